"""Find the addresses by which others reach this host, for the records that the DNS must have.

    set by the operator ─▶ those    bound to some ─▶ those    bound to all ─▶ where the default route leaves

For: reports.
Not for: binding (mail_ports.py). Nothing is sent: the system only says from where it would.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has, so the way to them is the default route."""
DISCARD_PORT = 9


def find_route_source(family: socket.AddressFamily) -> str | None:
    """Find the address that the default route of a family leaves from; `None` where there is none."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ELSEWHERE[family], DISCARD_PORT))
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return None


def list_public_addresses(
    published: Sequence[str],
    bound: Sequence[str],
    find_source: Callable[[socket.AddressFamily], str | None] = find_route_source,
) -> tuple[str, ...]:
    """List the addresses in their canonical form, none twice. Those of loopback or a link are left out."""
    found: dict[str, None] = {}
    for text in published or bound:
        address = ip_address(text)
        if address.is_unspecified:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            source = find_source(family)
            if source is None:
                continue
            address = ip_address(source.partition("%")[0])
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            found[str(address)] = None
    return tuple(found)
