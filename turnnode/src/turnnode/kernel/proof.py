"""Prove that a loaded program relays as it should, before any packet depends on it.

For: frames of both versions of IP and across, with and without a channel on either side; each is run through
the program in the kernel, and what comes out is compared with what ought to.
Not for: whether an interface hands its frames to the program (ladder.py).

The frames come from addresses that are for documentation only, and the flows are gone afterwards.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from turnnode.errors import ProgramProofError
from turnnode.kernel.layout import (
    EXPIRES_WORD,
    NO_HOP,
    STATE_BYTES,
    STATE_WORDS,
    Ends,
    NextHop,
    fold,
    pack_flow,
    pack_host,
    sum_words,
)
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.rungs import Rung
from turnnode.kernel.system_call import run_program

VERDICT_LEAVE: Final = {Rung.XDP: 2, Rung.GENERIC_XDP: 2, Rung.TC: 0xFFFF_FFFF}
VERDICT_REDIRECT: Final = {Rung.XDP: 4, Rung.GENERIC_XDP: 4, Rung.TC: 7}
TRAFFIC_CLASS: Final = 0xB8
HOP_LIMIT: Final = 64
LINK_HEADER: Final = bytes.fromhex("020000000001020000000002")
PROOF_HOP: Final = NextHop(bytes.fromhex("020000000003"), bytes.fromhex("020000000004"), 1, 1500)
_FOREVER: Final = (1 << 63) - 1
_SIZES: Final = (0, 1, 159, 160, 1200)

CLIENT, SERVER = ("192.0.2.1", 40_001), ("192.0.2.2", 0)
RELAY, PEER = ("198.51.100.1", 50_001), ("203.0.113.1", 50_002)
CLIENT_IPV6, SERVER_IPV6 = ("2001:db8::1", 40_003), ("2001:db8::2", 0)
RELAY_IPV6, PEER_IPV6 = ("2001:db8:1::1", 50_003), ("2001:db8:2::1", 50_004)


@dataclass(frozen=True, slots=True)
class Vector:
    """A flow to try, and the tags of the VLANs that its frames come and go by; 0 is none."""

    before: Ends
    after: Ends
    tags: tuple[int, int] = (0, 0)


def list_vectors(port: int) -> list[Vector]:
    """List one flow for each pair of versions and each way that a channel header changes."""
    sides = [
        (CLIENT, (SERVER[0], port), RELAY, PEER),
        (CLIENT_IPV6, (SERVER_IPV6[0], port), RELAY_IPV6, PEER_IPV6),
    ]
    vectors = []
    for number, (client, server, _, _) in enumerate(sides):
        for other, (other_client, other_server, relay, peer) in enumerate(sides):
            channel = 0x4000 + 2 * number + other
            across = Ends((client[0], client[1] + 100), server, channel)
            vectors += [
                Vector(Ends(client, server, channel), Ends(relay, peer)),
                Vector(Ends((peer[0], peer[1] + number), relay), Ends(server, client, channel)),
                Vector(across, Ends(other_server, other_client, 0x4FFF)),
            ]
    return vectors


def list_tagged_vectors(port: int) -> list[Vector]:
    """List flows by VLANs, for programs that see tags."""
    vectors = list_vectors(port)
    return [Vector(one.before, one.after, tags) for one in vectors for tags in ((7, 0), (0, 4094), (7, 8))]


def prove(maps: RelayMaps, program: int, rung: Rung, port: int) -> None:
    """Run every vector in every size.

    Raises:
        ProgramProofError: The program does something else than it should.
        OSError: The kernel does not run it.
    """
    vectors = list_vectors(port)
    if rung is not Rung.TC:
        vectors += list_tagged_vectors(port)
    for vector in vectors:
        with trial_flow(maps, vector):
            for size in _SIZES:
                _check(program, rung, vector, bytes(range(251)) * 5 if size == 1200 else bytes(size))
        frame = build_frame(vector.before, bytes(160), tag=vector.tags[0])
        if run_program(program, frame).verdict != VERDICT_LEAVE[rung]:
            raise ProgramProofError("the program relays what is no flow")


@contextmanager
def trial_flow(maps: RelayMaps, vector: Vector) -> Iterator[None]:
    """Have a flow in the maps until the block ends, with the last slot and the unused first next hop."""
    slot = maps.states.entries - 1
    held = maps.states.read(slot)
    maps.states.words[slot * STATE_WORDS + EXPIRES_WORD] = _FOREVER
    maps.hops.write(0, hop_of(vector).pack())
    key = vector.before.pack()
    maps.flows.put(key, pack_flow(vector.before, vector.after, slot=slot, hop=0))
    try:
        yield
    finally:
        maps.flows.remove(key)
        maps.hops.write(0, NO_HOP)
        maps.states.write(slot, held or bytes(STATE_BYTES))


def hop_of(vector: Vector) -> NextHop:
    """Return where the frames of a trial go."""
    return replace(PROOF_HOP, tag=vector.tags[1])


def build_frame(  # noqa: PLR0913 - what a frame is made of
    ends: Ends,
    data: bytes,
    *,
    hop_limit: int = HOP_LIMIT,
    link: bytes = LINK_HEADER,
    is_summed: bool = True,
    tag: int = 0,
) -> bytes:
    """Write a frame of Ethernet, perhaps a tag, IP, UDP, perhaps a channel header, and data."""
    if tag:
        link += struct.pack("!HH", 0x8100, tag)
    payload = struct.pack("!HH", ends.channel, len(data)) + data if ends.channel else data
    udp = struct.pack("!HHHH", ends.source[1], ends.destination[1], 8 + len(payload), 0)
    checksum = udp_checksum(ends, udp + payload) if is_summed else 0
    udp = udp[:6] + struct.pack("=H", checksum)
    source, destination = pack_host(ends.source[0]), pack_host(ends.destination[0])
    if ":" in ends.source[0]:
        head = struct.pack("!IHBB", 6 << 28 | TRAFFIC_CLASS << 20, len(udp) + len(payload), 17, hop_limit)
        return link + b"\x86\xdd" + head + source + destination + udp + payload
    size = 20 + len(udp) + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, TRAFFIC_CLASS, size, 0x1234, 0x4000, hop_limit, 17, 0)
    head += source[12:] + destination[12:]
    checksum = 0xFFFF ^ fold(sum_words(head))
    return link + b"\x08\x00" + head[:10] + struct.pack("=H", checksum) + head[12:] + udp + payload


def udp_checksum(ends: Ends, datagram: bytes) -> int:
    """Sum up a datagram whose checksum is zero, in the order of the machine's bytes."""
    pseudo = pack_host(ends.source[0]) + pack_host(ends.destination[0])
    pseudo += struct.pack("!HH", 17, len(datagram))
    checksum = 0xFFFF ^ fold(sum_words(pseudo) + sum_words(datagram + bytes(len(datagram) % 2)))
    return checksum or 0xFFFF


def expected_frame(vector: Vector, data: bytes) -> bytes:
    """Write the frame that a program must make of a flow's; from IPv6, there is no identification."""
    link = PROOF_HOP.destination + PROOF_HOP.source
    frame = build_frame(vector.after, data, hop_limit=HOP_LIMIT - 1, link=link)
    tag = struct.pack("!HH", 0x8100, vector.tags[1]) if vector.tags[1] else b""
    if ":" in vector.before.source[0] and ":" not in vector.after.source[0]:
        head = frame[14:18] + bytes(2) + frame[20:24] + bytes(2) + frame[26:34]
        checksum = struct.pack("=H", 0xFFFF ^ fold(sum_words(head)))
        frame = frame[:14] + head[:10] + checksum + head[12:] + frame[34:]
    return frame[:12] + tag + frame[12:]


def _check(program: int, rung: Rung, vector: Vector, data: bytes) -> None:
    run = run_program(program, build_frame(vector.before, data, tag=vector.tags[0]))
    if run.verdict != VERDICT_REDIRECT[rung]:
        raise ProgramProofError(f"the program does not relay {len(data)} bytes of {vector.before}")
    if run.frame != expected_frame(vector, data):
        raise ProgramProofError(f"the program garbles {len(data)} bytes of {vector.before}")
