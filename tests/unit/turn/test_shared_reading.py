"""Relay sockets that are read together: each client gets what its own peer sent, and nothing else."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from support.turn_machine import FakePort, FakePorts, Node, policy_with
from turnnode.relay.allocation import Side
from turnnode.relay.datagram_batch import BATCH_DATAGRAMS, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.readers import Lane, Reader
from turnnode.relay.shared_reading import SharedReading
from turnnode.relay.sockets import DatagramOutlet, address_of, bind_datagram
from turnnode.relay.usage import TrafficLimit
from turnnode.relay.ways import Way
from turnnode.stun.attributes import Address, AttributeType, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Method

CHANNEL = 0x4000
NO_LIMIT, HIGH_LIMIT = TrafficLimit(), TrafficLimit(bits_per_second=10**12)


class RealPorts(FakePorts):
    """Opens real sockets, which nobody sends by."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self.socks: list[socket.socket] = []
        self._stack = stack

    def open(self, family: int) -> FakePort | None:  # noqa: ARG002 - the protocol's signature
        sock = self._stack.enter_context(bind_datagram("127.0.0.1", 0, socket.AF_INET))
        self.socks.append(sock)
        return FakePort(address_of(sock))


class Calls:
    """Some clients, each with a channel to the same peer."""

    def __init__(self, stack: ExitStack, count: int, limit: TrafficLimit = NO_LIMIT) -> None:
        bind = partial(bind_datagram, "127.0.0.1", 0, socket.AF_INET)
        self.peer, listener = (stack.enter_context(bind()) for _ in range(2))
        self.ports = RealPorts(stack)
        self.node = Node(ports=self.ports, allow="127.0.0.0/8")
        policy = self.node.policy.current
        self.node.policy.replace(policy_with(peer_allow=policy.peer_allow, traffic=limit))
        self.node.side = Side(address_of(listener), DatagramOutlet(listener, self.node.counters))
        self.socks = [stack.enter_context(bind()) for _ in range(count)]
        self.clients = [
            self.node.client(address_of(sock), ends_in=5000 + place) for place, sock in enumerate(self.socks)
        ]
        self.relays: list[Address] = []
        for client in self.clients:
            self.relays.append(client.allocate())
            assert client.bind(CHANNEL, address_of(self.peer)) == 200
        batch, dues, ways = DatagramBatch(socket.AF_INET), Dues(), self.node.machine.ways
        self.readers = [
            Reader(
                sock,
                partial(self.node.machine.from_peer, relay),
                clock=lambda: self.node.now,
                dues=dues,
                batch=batch,
                lane=Lane(ways, partial(self._find, relay), is_from_clients=False),
            )
            for sock, relay in zip(self.ports.socks, self.relays, strict=True)
        ]
        self.reading = SharedReading(batch, ways, clock=lambda: self.node.now, dues=dues)

    def _find(self, relay: Address, _: bytes, peer: Address) -> Way | None:
        return self.node.machine.ways.find_from_peer(relay, peer)

    def send(self, *numbers: int, data: bytes = b"") -> None:
        """Have the peer send to the relays of these calls: which one it is, and more."""
        for number in numbers:
            self.peer.sendto(number.to_bytes(2) + data, self.relays[number])

    def read(self) -> None:
        self.reading.read(self.readers)

    def receive(self, number: int) -> list[bytes]:
        """Return all that a client has got."""
        found = []
        while True:
            try:
                found.append(self.socks[number].recv(5000))
            except BlockingIOError:
                return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("limit", [NO_LIMIT, HIGH_LIMIT])
@pytest.mark.parametrize("count", [1, BATCH_DATAGRAMS - 1, BATCH_DATAGRAMS, BATCH_DATAGRAMS + 1])
def test_each_client_gets_what_its_peer_sent(stack: ExitStack, count: int, limit: TrafficLimit) -> None:
    calls = Calls(stack, count, limit)
    for turn in range(3):  # in the first one, no way is known
        calls.send(*range(count), data=bytes(10 * turn))
        calls.read()

    for number in range(count):
        data = [number.to_bytes(2) + bytes(10 * turn) for turn in range(3)]
        assert calls.receive(number) == [encode_channel_data(CHANNEL, one) for one in data]
    counters = calls.node.counters
    assert counters.packets_to_clients == 3 * count
    assert counters.bytes_to_clients == 3 * count * (2 + 10)
    used = calls.node.machine.usages.list_largest(count, b"k")
    assert {(each.packets, each.bytes) for each in used} == {(3, 36)}


@pytest.mark.parametrize("count", [3, BATCH_DATAGRAMS - 1, BATCH_DATAGRAMS + 1])
def test_socket_with_more_than_its_share_of_the_room_is_read_on_the_next_time(
    stack: ExitStack, count: int
) -> None:
    calls = Calls(stack, count)
    calls.send(*range(count))
    calls.read()
    share = max(1, BATCH_DATAGRAMS // count)
    calls.send(0, *[1] * (share + 1), *range(2, count))
    calls.read()
    received = [len(calls.receive(number)) for number in range(count)]
    calls.read()

    assert received == [2, 1 + share, *[2] * (count - 2)]
    assert [len(calls.receive(number)) for number in range(count)] == [0, 1, *[0] * (count - 2)]


def test_nothing_goes_to_a_client_that_has_left_nor_from_a_stranger(stack: ExitStack) -> None:
    calls = Calls(stack, 2)
    calls.send(0, 1)
    calls.read()
    calls.clients[0].ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
    stranger = stack.enter_context(bind_datagram("127.0.0.2", 0, socket.AF_INET))
    for relay in calls.relays:
        stranger.sendto(b"stranger", relay)
    calls.send(0, 1)
    calls.read()

    assert [len(calls.receive(number)) for number in range(2)] == [1, 2]
    assert calls.node.counters.dropped_unpermitted == 3


@pytest.mark.parametrize(("size", "is_relayed"), [(4095, True), (4096, False), (4097, False)])
def test_long_datagram_is_dropped_alone(stack: ExitStack, size: int, *, is_relayed: bool) -> None:
    calls = Calls(stack, 2)
    for data in (b"", bytes(size - 2), b""):
        calls.send(0, 1, data=data)
        calls.read()

    for number in range(2):
        assert [len(frame) - 4 for frame in calls.receive(number)] == [2, *[size] * is_relayed, 2]
