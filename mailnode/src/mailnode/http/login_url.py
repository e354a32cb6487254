"""The links that Delta Chat reads: an account with its settings, or a place to get an account.

For: QR codes, pages and `/new`; every function is pure.
Not for: drawing them (pages.py).

Source: Delta Chat core, `src/qr/dclogin_scheme.rs` (keys and values) and `src/qr.rs` (`dcaccount:`).
"""

from urllib.parse import quote, urlencode

from mailnode.http.site import DEFAULT_HTTPS_PORT, Site

SCHEME_VERSION = 1
ACCEPT_ANY_CERTIFICATE = 3
# What may stand in an address as it is; `?`, `/` and `%` would end or change it.
PLAIN_IN_ADDRESS = "@[]:"


def build_login_url(site: Site, address: str, password: str) -> str:
    """Build the `dclogin:` link of an account, with explicit hosts and ports, so that nothing is guessed."""
    imap, smtp = site.imap[0], site.smtp[0]
    settings: dict[str, str | int] = {
        "p": password,
        "v": SCHEME_VERSION,
        "ih": imap.host,
        "ip": imap.port,
        "is": imap.security,
        "sh": smtp.host,
        "sp": smtp.port,
        "ss": smtp.security,
    }
    if site.is_self_signed:
        settings["ic"] = ACCEPT_ANY_CERTIFICATE
    # `quote` and not its default: clients that decode only %XX would read a plus where a space was meant.
    query = urlencode(settings, quote_via=quote, safe="")
    return f"dclogin:{quote(address, safe=PLAIN_IN_ADDRESS)}?{query}"


def build_account_url(site: Site, token: str | None = None) -> str:
    """Build the `dcaccount:` link by which an app fetches an account from `/new`, where it shows a token."""
    query = "" if token is None else "?" + urlencode({"token": token}, quote_via=quote, safe="")
    return f"dcaccount:{build_https_url(site)}/new{query}"


def build_https_url(site: Site) -> str:
    """Build the address of the landing page, without the slash at its end."""
    host = f"[{site.https_host}]" if ":" in site.https_host else site.https_host
    port = "" if site.https_port == DEFAULT_HTTPS_PORT else f":{site.https_port}"
    return f"https://{host}{port}"
