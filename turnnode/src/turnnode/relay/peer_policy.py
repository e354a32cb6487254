"""Decide which peers the relay may exchange data with.

For: the only gate between a client and everything that this node can reach: SSRF ends here.
Not for: permissions, which a client needs in addition (allocation.py).

    peer_allow ▶ all ports   own address ▶ live relay ports   globally routable ▶ all ports   else ▶ none
               └── never: the node's own listening ports, ports below `min_port` ──┘

An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) is refused whatever
it carries: no call needs one, since each allocation speaks one family, and translators would be a way around.

Source: the IANA special-purpose address registries (RFC 6890), RFC 8656 section 21.
"""

import socket
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from turnnode.stun.attributes import Address

Network = IPv4Network | IPv6Network
IPV6: Final = 6

MIN_PEER_PORT: Final = 1024  # below are the services that a relay must not be turned against
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound

_REFUSED_IPV4 = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carrier-grade NAT; cloud metadata of one provider, too
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local; cloud metadata
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # IETF protocol assignments; cloud metadata of one provider, too
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # relays of 6to4
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarking
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/3",  # multicast, reserved, broadcast
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")  # all that is assigned; loopback, mapped, fc00::/7, … are outside
_REFUSED_IPV6 = (
    "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
)
ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 section 6.1: the interface identifier's upper half


class Reach(Enum):
    """What may be reached at a host."""

    NOTHING = "nothing"
    RELAY_PORTS = "relay ports"
    ALL_PORTS = "all ports"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAddresses:
    """The transport addresses that this node listens on, and the hosts that it relays from."""

    listeners: frozenset[Address]
    relay_hosts: frozenset[str]

    def is_own_host(self, host: str) -> bool:
        """Tell whether a host is this node."""
        return host in self.relay_hosts or any(host == listener for listener, _ in self.listeners)

    def is_listener(self, peer: Address) -> bool:
        """Tell whether a peer is, or because of a wildcard could be, one of our listening sockets."""
        listeners, (_, port) = self.listeners, peer
        return peer in listeners or any((own, port) in listeners for own in WILDCARDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPolicy:
    """The rules of one moment."""

    own: OwnAddresses
    allow: tuple[Network, ...] = ()
    min_port: int = MIN_PEER_PORT
    _allowed: "tuple[tuple[bool, int, int], ...]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work the networks out once: whether they are of IPv6, and their first and last numbers."""
        allowed = [
            (network.version == IPV6, int(network.network_address), int(network.broadcast_address))
            for network in self.allow
        ]
        object.__setattr__(self, "_allowed", tuple(allowed))

    def reach_of(self, host: str) -> Reach:
        """Tell what may be reached at a host, which is an IP address in text."""
        number, is_ipv6 = _number_of(host), ":" in host
        for is_of_ipv6, first, last in self._allowed:
            if first <= number <= last and is_of_ipv6 == is_ipv6:
                return Reach.ALL_PORTS
        if self.own.is_own_host(host):
            return Reach.RELAY_PORTS
        return Reach.ALL_PORTS if is_globally_routable(host) else Reach.NOTHING

    def permits(self, peer: Address, *, is_live_relay: bool) -> bool:
        """Tell whether data may go to a peer; `is_live_relay` if it is an allocation of this node."""
        host, port = peer
        if is_live_relay:
            return host in self.own.relay_hosts
        if port < self.min_port or self.own.is_listener(peer):
            return False
        return self.reach_of(host) is Reach.ALL_PORTS


def list_refused_networks() -> list[Network]:
    """List what is refused as networks, for a firewall; ISATAP is none, but a pattern (`ISATAP`)."""
    outside = IPv6Network("::/0").address_exclude(_GLOBAL_IPV6)
    named = map(ip_network, (*_REFUSED_IPV4, *_REFUSED_IPV6))
    return sorted((*named, *outside), key=lambda network: (network.version, network.network_address))


def is_globally_routable(host: str) -> bool:
    """Tell whether a unicast address of the open Internet is meant, and no other is hidden in it."""
    number = _number_of(host)
    if ":" not in host:
        return not _is_within(_RANGES_IPV4, number)
    if not _holds(_GLOBAL_IPV6, host, number) or number >> 32 & 0xFFFF_FFFF in ISATAP:
        return False
    return not _is_within(_RANGES_IPV6, number)


Ranges = tuple[list[int], list[int]]


def _ranges_of(networks: tuple[str, ...]) -> Ranges:
    """Return first and last numbers, in order; the networks do not overlap."""
    parsed: list[Network] = sorted(
        map(ip_network, networks), key=lambda network: int(network.network_address)
    )
    first = [int(network.network_address) for network in parsed]
    return first, [int(network.broadcast_address) for network in parsed]


def _is_within(ranges: Ranges, number: int) -> bool:
    first, last = ranges
    place = bisect_right(first, number) - 1
    return place >= 0 and number <= last[place]


def _number_of(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, host))


def _holds(network: Network, host: str, number: int) -> bool:
    if (network.version == 6) != (":" in host):
        return False
    return int(network.network_address) <= number <= int(network.broadcast_address)


_RANGES_IPV4 = _ranges_of(_REFUSED_IPV4)
_RANGES_IPV6 = _ranges_of(_REFUSED_IPV6)
