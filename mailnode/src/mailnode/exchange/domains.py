"""Which domains' mail an exchanger takes, and what becomes of it.

For: settings.py, which reads the two lists; intake.py and forwarding.py, which follow them. Pure functions.
Not for: mail.

    kept        DOMAIN=DIGEST            waits until somebody shows the token of that digest; may stand often
    forwarded   DOMAIN                   to https://DOMAIN/mxdeliv
                DOMAIN=URL               to that URL
"""

from collections.abc import Mapping

from mailnode.exchange.tokens import DIGEST
from mailnode.peering.errors import NoRouteError
from mailnode.peering.policy import find_peer
from mailnode.peering.routes import DELIVERY_PATH, Ports, Stop, plan_override
from nodelink.contract.federation import PeerTransport

IPV6_PREFIX = "IPv6:"
HTTP_TRANSPORTS = (PeerTransport.HTTPS, PeerTransport.HTTP)


def read_kept(text: str) -> dict[str, tuple[str, ...]]:
    """Read which domains are kept, each with the digests of its tokens.

    Raises:
        ValueError: It is no such list; the text tells why, and the remedy.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in _split(text):
        name, _, digest = word.partition("=")
        domain = read_domain(name)
        if not DIGEST.fullmatch(digest):
            raise ValueError(
                f"{domain} needs the digest of its token after a =; "
                f"`mailnode exchange token {domain}` makes both"
            )
        if digest not in found.get(domain, ()):
            found[domain] = (*found.get(domain, ()), digest)
    return found


def read_forwarded(text: str) -> dict[str, str]:
    """Read which domains are forwarded, each with the URL where it goes. Raises: as `read_kept`."""
    found: dict[str, str] = {}
    for word in _split(text):
        name, _, url = word.partition("=")
        domain = read_domain(name)
        if domain in found:
            raise ValueError(f"{domain} stands there twice; leave one of them out")
        found[domain] = url or write_url(domain)
        plan_stop(domain, found[domain])
    return found


def read_domain(name: str) -> str:
    """Give a domain its normal form. Raises: as `read_kept`."""
    domain = find_peer(name)
    if domain is None:
        raise ValueError(f"{name!r} is no mail domain; write one such as example.org or [192.0.2.1]")
    return domain


def plan_stop(domain: str, url: str) -> Stop:
    """Plan where the mail of a domain goes. Raises: as `read_kept`."""
    try:
        stops = plan_override(url, HTTP_TRANSPORTS, Ports()) if "://" in url else []
    except NoRouteError:
        stops = []
    for stop in stops:
        if stop.transport in HTTP_TRANSPORTS:
            return stop
    raise ValueError(f"{domain} goes to {url!r}, which is no address; write https://HOST{DELIVERY_PATH}")


def plan_stops(forwarded: Mapping[str, str]) -> dict[str, Stop]:
    """Plan where the mail of each domain goes. Raises: as `read_kept`."""
    return {domain: plan_stop(domain, url) for domain, url in forwarded.items()}


def write_url(domain: str) -> str:
    """Write where the server of a domain takes mail if nobody says otherwise."""
    host = domain.strip("[]")
    if host.startswith(IPV6_PREFIX):
        host = f"[{host.removeprefix(IPV6_PREFIX)}]"
    return f"https://{host}{DELIVERY_PATH}"


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
