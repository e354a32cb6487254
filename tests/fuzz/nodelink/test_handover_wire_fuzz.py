"""What the other process may say during a handover: understood or refused, and no descriptor stays open."""

import os
import socket
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodelink.daemon.handover_wire import (
    MAX_PACKET_BYTES,
    SOCKETS_PER_PACKET,
    HandoverError,
    Packet,
    Word,
    expect,
    open_wire,
    pack_sockets,
    read_service_manager,
    receive_packet,
    send_packet,
    unpack_sockets,
    write_service_manager,
)

names = st.from_regex(r"[a-z0-9@.-]{1,20}", fullmatch=True)


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def read(wire: socket.socket) -> None:
    """Read what the new process reads, and close what came with it. Raises: HandoverError."""
    packet = expect(wire, Word.SOCKETS, Word.ALL)
    if packet.word is Word.SOCKETS:
        received: dict[str, list[socket.socket]] = {}
        unpack_sockets(packet, received)
        for one in chain.from_iterable(received.values()):
            one.close()
    else:
        for descriptor in packet.descriptors:
            os.close(descriptor)
        read_service_manager(packet)


@given(st.binary(max_size=200), st.integers(0, 3))
@example(b"", 1)
@example(b"ready 1", 2)
@example(b"sockets a:b", 1)
@example(b"all nothing here", 0)
@example(b"no \xff", 1)
@example(b"x" * MAX_PACKET_BYTES, 1)
def test_whatever_is_said_is_understood_or_refused(data: bytes, descriptors: int) -> None:
    before = count_descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(1)
    with ours, theirs:
        socket.send_fds(theirs, [data], [theirs.fileno()] * descriptors)
        with suppress(HandoverError):
            read(ours)
    assert count_descriptors() == before


@given(
    st.text(alphabet=st.characters(codec="ascii", exclude_characters="\n"), max_size=100), st.floats(0.1, 1e6)
)
def test_service_manager_is_read_as_it_was_written(address: str, seconds: float) -> None:
    assert read_service_manager(write_service_manager(address, seconds)) == (address, seconds)
    assert read_service_manager(write_service_manager(address, None)) == (address, None)


@pytest.mark.parametrize("count", [0, 1, SOCKETS_PER_PACKET, SOCKETS_PER_PACKET + 1])
def test_any_number_of_sockets_arrives_under_their_names(count: int) -> None:
    kept = {f"s{number % 7}": list[socket.socket]() for number in range(min(count, 7))}
    for number in range(count):
        kept[f"s{number % 7}"].append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    ours, theirs = open_wire_pair()
    received: dict[str, list[socket.socket]] = {}
    with ours, theirs:
        for packet in pack_sockets(kept):
            assert len(packet.descriptors) <= SOCKETS_PER_PACKET
            send_packet(theirs, packet)
            unpack_sockets(receive_packet(ours), received)

    assert {name: len(sockets) for name, sockets in received.items()} == {
        name: len(sockets) for name, sockets in kept.items()
    }
    for sockets in (*kept.values(), *received.values()):
        for one in sockets:
            one.close()


def open_wire_pair() -> tuple[socket.socket, socket.socket]:
    listener, client = open_wire(), open_wire()
    with listener:
        listener.bind("")  # an abstract name of the kernel's choice
        listener.listen()
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    return server, client


def test_refusal_is_passed_on_and_the_end_is_noticed() -> None:
    ours, theirs = open_wire_pair()
    with ours:
        with theirs:
            send_packet(theirs, Packet(Word.NO, "Restart instead."))
            with pytest.raises(HandoverError, match="Restart instead"):
                expect(ours, Word.SOCKETS)
        with pytest.raises(HandoverError, match="has ended"):
            expect(ours, Word.SOCKETS)
