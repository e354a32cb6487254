"""What the agent writes into the maps: the structures of bpf/flow.h.

For: pure functions from addresses to bytes.
Not for: which flows there are (flows.py).
"""

import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from turnnode.stun.attributes import Address

KEY_BYTES: Final = 40
FLOW_BYTES: Final = 60
STATE_BYTES: Final = 32
HOP_BYTES: Final = 32
BUCKET_BYTES: Final = 32
CONTROL_BYTES: Final = 48
SCRATCH_BYTES: Final = 2560
STATE_WORDS: Final = STATE_BYTES // 8
EXPIRES_WORD, RELAYED_WORD, DROPPED_WORD = range(3)
PACKET: Final = 1 << 40
PORTS: Final = 4
LEASE_WORD, PORTS_WORD, ALL_WORD = range(3)
_ENDS: Final = struct.Struct("!16s16sHHHH")
_FLOW_MIDDLE: Final = struct.Struct("=HI")
_FLOW_TAIL: Final = struct.Struct("=IIII")
_HOP: Final = struct.Struct("=6s6sII2s10x")
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Ends(NamedTuple):
    """The addresses of a datagram, and its channel; 0 on the side of a peer."""

    source: Address
    destination: Address
    channel: int = 0

    def pack(self) -> bytes:
        """Return all of it in network order: also the key of a flow."""
        return _ENDS.pack(
            pack_host(self.source[0]),
            pack_host(self.destination[0]),
            self.source[1],
            self.destination[1],
            self.channel,
            0,
        )


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where a frame goes: the addresses of the link, the interface, how much fits, and a tag; 0 is none."""

    destination: bytes
    source: bytes
    interface: int
    mtu: int
    tag: int = 0

    def pack(self) -> bytes:
        """Return an element of `hops`."""
        return _HOP.pack(self.destination, self.source, self.interface, self.mtu, self.tag.to_bytes(2))


NO_HOP: Final = bytes(HOP_BYTES)
NO_BUCKET: Final = bytes(BUCKET_BYTES)


@lru_cache(maxsize=4096)
def pack_host(host: str) -> bytes:
    """Return an IP address in 16 octets; an IPv4 address is mapped."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host)
    return _MAPPED + socket.inet_aton(host)


class Rewriting(NamedTuple):
    """What becomes of a datagram: its flow's key, the element but for `pack_tail`, who sends to whom."""

    key: bytes
    head: bytes
    pair: tuple[str, str]


def pack_flow(before: Ends, after: Ends, *, slot: int, hop: int, buckets: tuple[int, int] = (0, 0)) -> bytes:
    """Return an element of `flows`: what becomes of a datagram, and from whose buckets it comes."""
    return rewrite(before, after).head + pack_tail(slot, hop, buckets)


def rewrite(before: Ends, after: Ends) -> Rewriting:
    """Have a datagram with some ends get others."""
    key, ends = before.pack(), after.pack()
    pair = after.source[0], after.destination[0]
    return Rewriting(key, ends[:38] + _FLOW_MIDDLE.pack(_version_of(pair), _delta(key, ends)), pair)


def rewrite_both(near: Ends, far: Ends) -> tuple[Rewriting, Rewriting]:
    """Do so for what a client sends, `near`, which becomes `far`, and for what goes back."""
    (client, server, channel), (relay, peer, _) = near, far
    client_host, server_host = pack_host(client[0]), pack_host(server[0])
    relay_host, peer_host = pack_host(relay[0]), pack_host(peer[0])
    key = _ENDS.pack(client_host, server_host, client[1], server[1], channel, 0)
    ends = _ENDS.pack(relay_host, peer_host, relay[1], peer[1], 0, 0)
    key_back = _ENDS.pack(peer_host, relay_host, peer[1], relay[1], 0, 0)
    ends_back = _ENDS.pack(server_host, client_host, server[1], client[1], channel, 0)
    delta = _delta(key, ends)
    there, back = (relay[0], peer[0]), (server[0], client[0])
    return (
        Rewriting(key, ends[:38] + _FLOW_MIDDLE.pack(_version_of(there), delta), there),
        Rewriting(key_back, ends_back[:38] + _FLOW_MIDDLE.pack(_version_of(back), -delta % 0xFFFF), back),
    )


def pack_tail(slot: int, hop: int, buckets: tuple[int, int]) -> bytes:
    """Return the end of an element: where its state, its next hop and its buckets are."""
    return _FLOW_TAIL.pack(slot, hop, *buckets)


def _version_of(pair: tuple[str, str]) -> int:
    return 6 if ":" in pair[1] else 4


def _delta(before: bytes, after: bytes) -> int:
    """Return by how much a checksum grows.

    Modulo 65,535, a number is the sum of its 16-bit words in one's complement.
    """
    return (int.from_bytes(after, sys.byteorder) - int.from_bytes(before, sys.byteorder)) % 0xFFFF


def pack_control(*, lease_until_ns: int, ports: Sequence[int], every: bytes = NO_BUCKET) -> bytes:
    """Return the element of `control`; `every` is the bucket of all data."""
    return struct.pack("=Q", lease_until_ns) + pack_ports(ports) + every


def pack_ports(ports: Sequence[int]) -> bytes:
    """Return where clients are served, as one word; those beyond `PORTS` are left out."""
    return struct.pack("!4H", *ports[:PORTS], *bytes(max(0, PORTS - len(ports))))


def split_relayed(relayed: int) -> tuple[int, int]:
    """Return packets and bytes of what `RELAYED_WORD` has grown by: below 16 million, and 1 TiB."""
    return relayed % 2**64 // PACKET, relayed % PACKET


def pack_bucket(*, bytes_per_second: int, tolerance_ns: int) -> bytes:
    """Return a bucket: a rate of data, 0 for no limit, and how far ahead of it a burst may be."""
    if bytes_per_second == 0:
        return NO_BUCKET
    return struct.pack("=QQQQ", 0, tolerance_ns, max(1, 1024 * 10**9 // bytes_per_second), 0)


def sum_words(data: bytes) -> int:
    """Sum up 16-bit words as the machine reads them; one's complement does not mind the order of bytes."""
    return sum(_words(data))


def fold(number: int) -> int:
    """Fold a sum into 16 bits."""
    while number >> 16:
        number = (number & 0xFFFF) + (number >> 16)
    return number


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(data) // 2}H", data)
