"""What two processes of one daemon say to one another while the work moves from the old to the new one.

    new ── ready 1 ──────────────────▶ old      the new one has read its settings and built its parts
    new ◀── sockets NAME:NAME:… ────── old      as often as needed, with descriptors; nobody reads them now
    new ◀── all SECONDS ADDRESS ────── old      the watchdog's span (0: none), the service manager's address
    new ── taken PID ────────────────▶ old      the new one knows its way; up to here the old one can go on
    new ◀── yours ──────────────────── old      the new one reads the sockets, the old one never again
    new ◀── main ───────────────────── old      the service manager knows the new one; then the old one ends

Instead of `sockets`, the old one may answer `no SENTENCE`. The two may be different releases: this stays as
it is, and a release that needs something else counts up `PROTOCOL`, which the other side then refuses.

For: handover.py, which is the old side, and succession.py, the new one.
Not for: when what is said.
"""

import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from nodelink.daemon.errors import HostError
from nodelink.daemon.service_manager import SocketsByName

PROTOCOL = "1"
SOCKET_NAME = "handover"
MAX_PACKET_BYTES = 65_536
SOCKETS_PER_PACKET = 200  # the kernel lets 253 pass at once


class HandoverError(HostError):
    """The work does not move; the text says why."""


class Word(StrEnum):
    """The first word of a packet."""

    READY = "ready"
    SOCKETS = "sockets"
    ALL = "all"
    NO = "no"
    TAKEN = "taken"
    YOURS = "yours"
    MAIN = "main"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet; `descriptors` are the receiver's now."""

    word: Word
    text: str = ""
    descriptors: tuple[int, ...] = ()


def open_wire() -> socket.socket:
    """Open a Unix socket for the packets."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_packet(wire: socket.socket, packet: Packet) -> None:
    """Send one packet. Raises: OSError."""
    socket.send_fds(wire, [f"{packet.word} {packet.text}".encode()], packet.descriptors)


def receive_packet(wire: socket.socket) -> Packet:
    """Receive one packet.

    Raises:
        HandoverError: The other side has ended, or says what nobody understands.
        OSError: It says nothing.
    """
    data, descriptors, _, _ = socket.recv_fds(wire, MAX_PACKET_BYTES, SOCKETS_PER_PACKET)
    if not data:
        _close_all(descriptors)
        raise HandoverError("The other process has ended; its log says why.")
    word, _, text = data.decode("ascii", "replace").partition(" ")
    try:
        return Packet(Word(word), text, tuple(descriptors))
    except ValueError as error:
        _close_all(descriptors)
        raise HandoverError(f"The other process says {word!r}, which is not understood.") from error


def expect(wire: socket.socket, *words: Word) -> Packet:
    """Receive one packet that must be one of some.

    Raises:
        HandoverError: It is another one, or none will come.
        OSError: It does not come in time.
    """
    packet = receive_packet(wire)
    if packet.word in words:
        return packet
    _close_all(packet.descriptors)
    if packet.word is Word.NO:
        raise HandoverError(packet.text)
    raise HandoverError(f"The other process says {packet.word} too early or too late.")


def write_service_manager(address: str, watchdog_seconds: float | None) -> Packet:
    """Write the packet that tells who supervises."""
    return Packet(Word.ALL, f"{watchdog_seconds or 0} {address}")


def read_service_manager(packet: Packet) -> tuple[str, float | None]:
    """Read address and watchdog's span. Raises: HandoverError."""
    seconds, _, address = packet.text.partition(" ")
    try:
        return address, float(seconds) or None
    except ValueError as error:
        raise HandoverError("The other process does not say who supervises it.") from error


def pack_sockets(kept: SocketsByName) -> Iterator[Packet]:
    """Write the packets that pass sockets with their names, but for those that are closed."""
    named = [(name, one) for name, sockets in kept.items() for one in sockets if one.fileno() >= 0]
    for begin in range(0, len(named), SOCKETS_PER_PACKET):
        part = named[begin : begin + SOCKETS_PER_PACKET]
        yield Packet(Word.SOCKETS, ":".join(name for name, _ in part), tuple(one.fileno() for _, one in part))


def unpack_sockets(packet: Packet, into: SocketsByName) -> None:
    """Add the sockets of a packet to what was received. Raises: HandoverError."""
    names = packet.text.split(":")
    if len(names) != len(packet.descriptors):
        _close_all(packet.descriptors)
        raise HandoverError("Not every socket came. Raise LimitNOFILE= of the unit.")
    for name, descriptor in zip(names, packet.descriptors, strict=True):
        into.setdefault(name, []).append(socket.socket(fileno=descriptor))


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
