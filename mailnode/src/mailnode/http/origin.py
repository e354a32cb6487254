"""Tell whether a page of somebody else made the browser send a request.

For: requests that change something. We use no cookies, so all that is at stake is that a foreign page
makes its visitors fill our node with accounts.
Not for: clients that are no browsers, such as Delta Chat; they send none of these headers and pass.
"""

from collections.abc import Mapping

OWN_PAGES = frozenset({"same-origin", "none"})
"""`none`: the user did it, for example by reloading the page."""


def is_cross_site(headers: Mapping[str, str], scheme: str) -> bool:
    """Judge a request by `Sec-Fetch-Site`, or in browsers without it by `Origin`.

    Args:
        headers: The request's headers; names in any case.
        scheme: What the request came by, `https` or `http`.

    Source: https://www.w3.org/TR/fetch-metadata/ section 2.3, RFC 6454 section 7.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OWN_PAGES
    origin = headers.get("origin")
    return origin is not None and origin != f"{scheme}://{headers.get('host', '')}"
