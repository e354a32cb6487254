"""Many datagrams by one system call: whole, in order, and with their senders."""

import ctypes
import socket
from collections.abc import Iterator

import pytest

from turnnode.relay.datagram_batch import BATCH_DATAGRAMS, MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.network_errors import collect_errors
from turnnode.relay.sockets import address_of, bind_datagram

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=list(HOSTS))
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    family: socket.AddressFamily = request.param
    with bind_datagram(HOSTS[family], 0, family) as one, bind_datagram(HOSTS[family], 0, family) as other:
        yield one, other


def read(batch: DatagramBatch, sock: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    count = batch.receive(ctypes.c_int(sock.fileno()))
    found = []
    places = zip(batch.list_places(count, batch.layout_of(0)), batch.list_sizes(count), strict=True)
    for place, ((key, _), (size,)) in enumerate(places):
        start = place * batch.place_bytes + batch.address_bytes
        found.append((batch.octets[start : start + size], batch.decode_address(key)))
    return found


def test_datagrams_come_whole_and_in_order_with_their_senders(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    sent = [bytes([number]) * (number * 17) for number in range(BATCH_DATAGRAMS)]
    for turn in (sent, sent[::-1]):
        for datagram in turn:
            other.sendto(datagram, one.getsockname())
        assert read(batch, one) == [(datagram, address_of(other)) for datagram in turn]
    assert read(batch, one) == []


def test_more_than_a_batch_waits_for_the_next_call(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    batch = DatagramBatch(one.family, places=4)
    for number in range(6):
        other.sendto(bytes([number]), one.getsockname())

    assert [datagram for datagram, _ in read(batch, one)] == [b"\0", b"\1", b"\2", b"\3"]
    assert [datagram for datagram, _ in read(batch, one)] == [b"\4", b"\5"]


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_size_tells_what_may_be_cut(pair: tuple[socket.socket, socket.socket], excess: int) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    other.sendto(bytes(MAX_DATAGRAM_BYTES + excess), one.getsockname())

    ((datagram, _),) = read(batch, one)
    assert len(datagram) == MAX_DATAGRAM_BYTES + min(excess, 0)


def test_key_holds_the_beginning_of_the_datagram(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    for number in (b"\x40\x00", b"\x40\x01", b"\x40\x00"):
        other.sendto(number + b"\x00\x04data", one.getsockname())

    count = batch.receive(ctypes.c_int(one.fileno()))
    found = list(batch.list_places(count, batch.layout_of(2)))
    assert [key[-2:] for key, _ in found] == [b"\x40\x00", b"\x40\x01", b"\x40\x00"]
    assert found[0] == found[2]
    assert {length for _, length in found} == {4}


def test_error_that_was_waiting_hides_no_datagram(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    collect_errors(one)
    with bind_datagram(HOSTS[socket.AddressFamily(one.family)], 0, one.family) as gone:
        nobody = gone.getsockname()
    one.sendto(b"to nobody", nobody)
    other.sendto(b"data", one.getsockname())

    assert [*read(batch, one), *read(batch, one)] == [(b"data", address_of(other))]
