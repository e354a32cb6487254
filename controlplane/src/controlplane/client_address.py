"""Find out from which address a request comes, also behind proxies.

For: counting attempts of each client. Only a proxy that the settings name is believed.
Not for: who somebody is (admins/callers.py).

    client 203.0.113.9 ──▶ proxy 192.0.2.2 ──▶ proxy 192.0.2.1 ──▶ us
    X-Forwarded-For: 198.51.100.1, 203.0.113.9, 192.0.2.2
                     └ made up      ▲ the last one that is no proxy of ours
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

IPV6_HOST_BITS = 64
FORWARDED_FOR = "x-forwarded-for"

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?|([0-9.]{7,15}):[0-9]{1,5}", re.ASCII)


def find_client(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Find the address of a client: the nearest one that is no proxy of ours.

    Args:
        peer: Who has connected to us.
        forwarded_for: What proxies say; each has appended who connected to it. Its beginning may be made up.
        proxies: Who is believed.
    """
    client = peer
    for word in reversed(forwarded_for.split(",")):
        address = _read_address(client)
        if address is None or not any(address in proxy for proxy in proxies):
            break
        if _read_address(word) is None:
            break  # a proxy of ours has passed on nonsense; what stands further left is worth no more
        client = word
    address = _read_address(client)
    return client if address is None else str(address)


def name_client(address: str) -> str:
    """Reduce an address to what one client holds: an IPv4 address, or a /64 of IPv6."""
    parsed = _read_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS))
    return address if parsed is None else str(parsed)


def name_client_of(request: HTTPConnection, proxies: Sequence[Network]) -> str:
    """Say of which client a request is, for counting."""
    forwarded_for = ",".join(request.headers.getlist(FORWARDED_FOR))
    return name_client(find_client(request.client.host if request.client else "", forwarded_for, proxies))


def _read_address(word: str) -> Address | None:
    """Read an address, with or without a port; an IPv4 address inside IPv6 counts as what it is."""
    word = word.strip()
    if match := _WITH_PORT.fullmatch(word):
        word = match[1] or match[2]
    try:
        address = ip_address(word)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
