"""Read what routers and hosts have answered to our datagrams: ICMP errors, from a socket's error queue.

    our datagram ─▶ router or peer ─▶ ICMP ─▶ kernel ─▶ error queue ─▶ NetworkError, with the peer's address

For: relay sockets (relay_poll.py), and the machine that tells the client.
Not for: errors of this host, such as no route; those are no news from the network.

Errors that RFC 8656 section 11.5 passes on: destination unreachable and time exceeded, of IPv6 also packet
too big. With "fragmentation needed" and "packet too big" goes the MTU.

Source: ip(7) and ipv6(7), IP_RECVERR; struct sock_extended_err of linux/errqueue.h.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from turnnode.stun.attributes import Address

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_MSG_ERRQUEUE = 0x2000
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_EXTENDED_ERROR = Struct("=IBBBBII")  # errno, origin, type, code, padding, info, data
_MAX_ERRORS: Final = 16  # from one socket before the others get their turn
_CONTROL_BYTES = 256

_ERRORS_IPV4 = frozenset({3, 11})
_ERRORS_IPV6 = frozenset({1, 2, 3})
_FRAGMENTATION_NEEDED = (3, 4)
_PACKET_TOO_BIG = 2


@dataclass(frozen=True, slots=True)
class NetworkError:
    """What an ICMP error said of a datagram to `peer`; `data` is the MTU where it names one, otherwise 0."""

    peer: Address
    icmp_type: int
    code: int
    data: int


def collect_errors(sock: socket.socket) -> None:
    """Have a UDP socket collect the errors that its datagrams meet."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def read_errors(sock: socket.socket) -> Iterator[NetworkError]:
    """Take a few of the errors that a socket has collected, and yield those that clients are told."""
    for _ in range(_MAX_ERRORS):
        try:
            _, control, _, address = sock.recvmsg(0, _CONTROL_BYTES, _MSG_ERRQUEUE)
        except OSError:  # nothing more there
            return
        for level, kind, value in control:
            if (level, kind) in {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}:
                error = _read(value, address[:2])
                if error is not None:
                    yield error


def _read(value: bytes, peer: Address) -> NetworkError | None:
    """Read one error; `None` if it is none of those that clients are told."""
    if len(value) < _EXTENDED_ERROR.size:
        return None
    _, origin, icmp_type, code, _, information, _ = _EXTENDED_ERROR.unpack_from(value)
    if origin == _ORIGIN_ICMP and icmp_type in _ERRORS_IPV4:
        names_mtu = (icmp_type, code) == _FRAGMENTATION_NEEDED
    elif origin == _ORIGIN_ICMP6 and icmp_type in _ERRORS_IPV6:
        names_mtu = icmp_type == _PACKET_TOO_BIG
    else:
        return None
    return NetworkError(peer, icmp_type, code, information if names_mtu else 0)
