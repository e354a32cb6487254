"""Many datagrams by one system call: whole, in order, and with their senders."""

import ctypes
import socket
import sys
from collections.abc import Iterator

import pytest

from turnnode.relay.datagram_batch import BATCH_DATAGRAMS, MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.network_errors import collect_errors
from turnnode.relay.sockets import address_of, bind_datagram

UDP_SEGMENT = 103  # udp(7)
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
    for place, ((key, _), (_, size)) in enumerate(places):
        start = place * batch.place_bytes + batch.address_bytes
        found.append((batch.octets[start : start + size], batch.decode_address(key)))
    return found


def send_together(sock: socket.socket, datagrams: list[bytes], address: tuple[str, int]) -> None:
    """Send datagrams of one size, but for the last, as the kernel hands them over where it may."""
    size = len(datagrams[0]).to_bytes(2, sys.byteorder)
    sock.sendmsg(datagrams, [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, address)


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


@pytest.mark.parametrize("size", [MAX_DATAGRAM_BYTES, 65_487])  # of IPv6, the largest is 20 octets larger
def test_large_datagram_comes_whole(pair: tuple[socket.socket, socket.socket], size: int) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    other.sendto(bytes(size), one.getsockname())

    ((datagram, _),) = read(batch, one)
    assert len(datagram) == size


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("last_bytes", [1, 99, 100])
def test_datagrams_of_one_sender_come_together_only_if_that_is_wanted(
    pair: tuple[socket.socket, socket.socket], last_bytes: int, *, joins: bool
) -> None:
    one, other = pair
    batch = DatagramBatch(one.family)
    batch.join_together(one, joins=joins)
    sent = [b"a" * 100, b"b" * 100, b"c" * last_bytes]
    send_together(other, sent, one.getsockname())
    other.sendto(b"alone", one.getsockname())

    count = batch.receive(ctypes.c_int(one.fileno()))
    sizes = list(batch.list_sizes(count))
    if joins:
        assert [(bool(several), size) for several, size in sizes] == [(True, 200 + last_bytes), (False, 5)]
        assert batch.size_of_one(0) == 100
        assert batch.octets[batch.address_bytes :][: 200 + last_bytes] == b"".join(sent)
    else:
        assert sizes == [(0, 100), (0, 100), (0, last_bytes), (0, 5)]


@pytest.mark.parametrize("room", [1, 2])
def test_several_sockets_are_read_into_one_batch(
    pair: tuple[socket.socket, socket.socket], room: int
) -> None:
    one, other = pair
    batch = DatagramBatch(one.family, places=5)
    batch.join_together(one, joins=True)
    for _ in range(2):  # the second time, as if there had been nothing before
        send_together(other, [b"a" * 100, b"b" * 50], one.getsockname())
        for number in range(3):
            one.sendto(bytes(number), other.getsockname())
        batch.empty()
        one_number, other_number = (ctypes.c_int(sock.fileno()) for sock in pair)
        assert batch.receive_more(one_number, 0, room) == 1
        assert batch.receive_more(one_number, 1, room) == 0
        assert batch.receive_more(other_number, 1, room) == room
        places = 1 + room
        keys = [batch.decode_address(key) for (key, _) in batch.list_places(places, batch.layout_of(0))]
        assert keys == [address_of(other), *[address_of(one)] * room]
        sizes = [(bool(several), size) for several, size in batch.list_sizes(places)]
        assert sizes == [(True, 150), *[(False, number) for number in range(room)]]
        assert batch.size_of_one(0) == 100
        assert batch.receive(other_number) == 3 - room  # what there was no room for


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
