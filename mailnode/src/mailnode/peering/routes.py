"""Where mail for a domain goes: a plan of stops, made of what the policy and the DNS say.

For: courier.
Not for: looking up (resolver.py) and going there.

    override host, host:port   one stop at that host
    override URL               one stop, by that URL alone (https, http, or smtp)
    [192.0.2.1]                one stop at that address; nobody vouches for its certificate
    MX                         a stop for each exchanger, the preferred one first

At each stop HTTPS goes first, then HTTP where the policy allows it, then SMTP.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailnode.peering.errors import NoRouteError
from nodelink.contract.federation import PeerTransport

DELIVERY_PATH = "/mxdeliv"
ORDER = (PeerTransport.HTTPS, PeerTransport.HTTP, PeerTransport.SMTP)
HTTP_PORT = 80

_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where others listen; tests have others."""

    https: int = 443
    http: int = HTTP_PORT
    smtp: int = 25


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing to try: a transport at a host. `is_verified` tells whether its certificate must hold."""

    transport: PeerTransport
    host: str
    port: int
    path: str = DELIVERY_PATH
    is_verified: bool = True


def plan_override(target: str, allowed: Collection[PeerTransport], ports: Ports) -> list[Stop]:
    """Plan the way that an operator has chosen. A URL goes even where its transport is not allowed.

    Raises:
        NoRouteError: The target is none.
    """
    if "://" in target:
        return [_read_url(target, ports)]
    match = _HOST_PORT.fullmatch(target)
    if match is None or not 0 < int(match[2] or 1) < 65_536:
        raise NoRouteError("The endpoint that is set for this domain is none")
    host = match[1].strip("[]").lower()
    chosen = Ports(int(match[2] or ports.https), ports.http, ports.smtp)
    return plan_hosts([host], allowed, chosen)


def plan_literal(domain: str, allowed: Collection[PeerTransport], ports: Ports) -> list[Stop]:
    """Plan the way to a domain that is an address, such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`."""
    return plan_hosts([domain[1:-1].removeprefix("IPv6:")], allowed, ports)


def plan_hosts(hosts: Sequence[str], allowed: Collection[PeerTransport], ports: Ports) -> list[Stop]:
    """Plan the way to the exchangers of a domain."""
    number = {
        PeerTransport.HTTPS: ports.https,
        PeerTransport.HTTP: ports.http,
        PeerTransport.SMTP: ports.smtp,
    }
    return [
        Stop(transport, host, number[transport], is_verified=must_verify(host))
        for host in hosts
        for transport in ORDER
        if transport in allowed
    ]


def must_verify(host: str) -> bool:
    """Tell whether somebody vouches for a host: not for addresses, nor for names that begin with `_`."""
    return not host.startswith("_") and not is_address(host)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def may_be_dialled(address: str, *, allows_loopback: bool) -> bool:
    """Tell whether a server of others can be at an address: an MX record may name any."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback:
        return allows_loopback
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        return may_be_dialled(str(mapped), allows_loopback=allows_loopback)
    return not (ip.is_unspecified or ip.is_multicast or ip.is_link_local)


def _read_url(target: str, ports: Ports) -> Stop:
    try:
        parts = urlsplit(target)
        transport = PeerTransport(parts.scheme)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise NoRouteError("The endpoint that is set for this domain is none") from error
    if not host or parts.username is not None:
        raise NoRouteError("The endpoint that is set for this domain is none")
    usual = {PeerTransport.HTTPS: ports.https, PeerTransport.HTTP: ports.http, PeerTransport.SMTP: ports.smtp}
    path = parts.path if parts.path not in ("", "/") else DELIVERY_PATH
    if parts.query:
        path = f"{path}?{parts.query}"
    return Stop(transport, host, usual[transport] if port is None else port, path, must_verify(host))
