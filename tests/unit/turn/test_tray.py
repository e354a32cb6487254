"""Many datagrams by one system call: each to its own destination, and none lost with another."""

import ctypes
import socket
from collections.abc import Iterator

import pytest

from turnnode.relay.counters import RelayCounters
from turnnode.relay.sockets import DatagramOutlet, address_of, bind_datagram
from turnnode.relay.tray import PLACES, Destination, Tray

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=list(HOSTS))
def socks(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    family: socket.AddressFamily = request.param
    opened = [bind_datagram(HOSTS[family], 0, family) for _ in range(3)]
    yield opened
    for sock in opened:
        sock.close()


@pytest.mark.parametrize("count", [1, PLACES - 1, PLACES, PLACES + 1])
def test_each_datagram_goes_to_its_own_destination(socks: list[socket.socket], count: int) -> None:
    sender, *receivers = socks
    tray = DatagramOutlet(sender, RelayCounters()).tray
    destinations = [Destination(sender.family, address_of(sock)) for sock in receivers]
    data = ctypes.create_string_buffer(bytes(range(count)), count)
    tray.send(
        [(destinations[number % 2].pointer, ctypes.addressof(data) + number, 1) for number in range(count)]
    )

    for place, receiver in enumerate(receivers):
        for number in range(place, count, 2):
            assert receiver.recvfrom(10)[:1] == (bytes([number]),)
        with pytest.raises(BlockingIOError):
            receiver.recv(10)
    tray.send([])
    with pytest.raises(BlockingIOError):
        receivers[0].recv(10)


def test_datagram_that_is_not_taken_is_lost_alone(socks: list[socket.socket]) -> None:
    sender, receiver, _ = socks
    counters = RelayCounters()
    tray = Tray(sender, counters)
    good = Destination(sender.family, address_of(receiver))
    bad = Destination(sender.family, (HOSTS[socket.AddressFamily(sender.family)], 0))
    data = ctypes.create_string_buffer(b"abcde", 5)
    tray.send(
        [
            (destination.pointer, ctypes.addressof(data) + number, 1)
            for number, destination in enumerate((bad, good, bad, good, bad))
        ]
    )

    assert [receiver.recv(10) for _ in range(2)] == [b"b", b"d"]
    assert counters.dropped_unsent == 3


@pytest.mark.parametrize("size", [0, 1, 500, 2000])
def test_what_was_copied_need_not_stay(socks: list[socket.socket], size: int) -> None:
    sender, receiver, _ = socks
    tray = Tray(sender, RelayCounters())
    destination = Destination(sender.family, address_of(receiver))
    wanted = [bytes([number]) * size for number in range(PLACES + 1)]
    tray.send_copies([(destination.pointer, data) for data in wanted])

    assert [receiver.recv(2048) for _ in range(PLACES + 1)] == wanted
