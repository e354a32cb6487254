"""The links that Delta Chat reads: an account with its settings, or a place to get an account.

For: pages, QR codes and `/new`; every function is pure.
Not for: drawing them (endpoints.py).

Source: Delta Chat core, `src/qr/dclogin_scheme.rs` (keys and values) and `src/qr.rs` (`dcaccount:`).
"""

from urllib.parse import quote, urlencode

from nodelink.contract.reports import MailPlaces

SCHEME_VERSION = 1
ACCEPT_ANY_CERTIFICATE = 3
PLAIN_IN_ADDRESS = "@[]:"


def build_login_url(places: MailPlaces, address: str, password: str) -> str:
    """Build the `dclogin:` link of an account, with explicit hosts and ports, so that nothing is guessed."""
    settings: dict[str, str | int] = {
        "p": password,
        "v": SCHEME_VERSION,
        "ih": places.host,
        "ip": places.imap_tls_port,
        "is": "ssl",
        "sh": places.host,
        "sp": places.smtp_tls_port,
        "ss": "ssl",
    }
    if places.tls_pin is not None:
        settings["ic"] = ACCEPT_ANY_CERTIFICATE
    # `quote` and not its default: clients that decode only %XX would read a plus where a space was meant.
    query = urlencode(settings, quote_via=quote, safe="")
    return f"dclogin:{quote(address, safe=PLAIN_IN_ADDRESS)}?{query}"


def build_account_url(public_url: str, token: str | None = None, node: str | None = None) -> str:
    """Build the `dcaccount:` link by which an app fetches an account from `/new`.

    Args:
        public_url: Whose `/new` it is.
        token: Shown there, if need be.
        node: Where alone it may be made; `None` for anywhere.
    """
    shown = {name: value for name, value in (("token", token), ("node", node)) if value is not None}
    query = urlencode(shown, quote_via=quote, safe="")
    return f"dcaccount:{public_url}/new" + (f"?{query}" if query else "")
