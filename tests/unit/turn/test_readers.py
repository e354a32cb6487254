"""What the kernel hands over together is relayed as if it had come one by one."""

import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.turn_machine import PEER, FakePort, FakePorts, Node, policy_with
from turnnode.relay.allocation import Side
from turnnode.relay.datagram_batch import BATCH_DATAGRAMS, MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.readers import Lane, Reader
from turnnode.relay.sockets import DatagramOutlet, address_of, bind_datagram
from turnnode.relay.usage import TrafficLimit
from turnnode.stun.attributes import Address, AttributeType, decode_xor_address, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Message, MessageClass, Method, decode, encode

UDP_SEGMENT, UDP_GRO = 103, 104  # udp(7)
CHANNEL, OTHER_CHANNEL = 0x4000, 0x4001
OTHER_PEER = ("8.8.4.4", 50_001)
CLIENTS = BATCH_DATAGRAMS + 3
NO_LIMIT, HIGH_LIMIT = TrafficLimit(), TrafficLimit(bits_per_second=10**12)


class RecordingPort(FakePort):
    """Keeps what it is asked to send, while it is open."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.sent: list[tuple[bytes, Address]] = []

    def send(self, data: bytes, address: Address) -> None:
        assert not self.is_closed
        self.sent.append((data, address))

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        self.sent += [(datagram, address) for datagram in datagrams]


class RecordingPorts(FakePorts):
    def open(self, family: int) -> FakePort | None:  # noqa: ARG002 - the protocol's signature
        self.opened.append(RecordingPort(("9.9.9.1", 50_000)))
        return self.opened[-1]


class Site:
    """A machine that reads a real socket, with a client that has bound two channels."""

    def __init__(self, *, joins: bool, limit: TrafficLimit = NO_LIMIT) -> None:
        self.receiver, self.sender = (bind_datagram("127.0.0.1", 0, socket.AF_INET) for _ in range(2))
        self.node = Node(ports=RecordingPorts())
        self.node.policy.replace(policy_with(traffic=limit))
        self.client = self.node.client(address_of(self.sender))
        self.client.allocate()
        assert self.client.bind(CHANNEL, PEER) == self.client.bind(OTHER_CHANNEL, OTHER_PEER) == 200
        ways, side = self.node.machine.ways, self.node.side
        self.reader = Reader(
            self.receiver,
            partial(self.node.machine.from_client, side),
            clock=lambda: self.node.now,
            dues=Dues(),
            batch=DatagramBatch(socket.AF_INET),
            lane=Lane(ways, partial(ways.find_from_client, side), is_from_clients=True),
            joins=joins,
        )

    def relay(self, turns: list[list[bytes]]) -> list[tuple[bytes, Address]]:
        """Send the datagrams of each turn together; return what goes to peers."""
        for datagrams in turns:
            size = len(datagrams[0]).to_bytes(2, sys.byteorder)
            address = self.receiver.getsockname()
            self.sender.sendmsg(datagrams, [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, address)
            self.reader.read()
        port = self.node.ports.opened[0]
        assert isinstance(port, RecordingPort)
        return port.sent

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


def frames(size: int) -> st.SearchStrategy[bytes]:
    """Write what a client may send in `size` octets: data of either channel or of none, and what is wrong."""
    data = st.integers(0, 255).map(lambda octet: bytes([octet]) * max(0, size - 4))
    number = st.sampled_from([CHANNEL, CHANNEL, CHANNEL, OTHER_CHANNEL, 0x4FFF])
    good = st.builds(encode_channel_data, number, data)
    bad = st.binary(min_size=size, max_size=size)
    padded = good.map(lambda frame: frame[:2] + max(0, size - 5).to_bytes(2) + frame[4:])
    return st.one_of(good, good, good, padded, bad).map(lambda frame: frame[:size].ljust(size, b"\0"))


TURNS = st.integers(1, 40).flatmap(
    lambda size: st.lists(st.lists(frames(size), min_size=1, max_size=8), min_size=1, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(turns=TURNS, is_limited=st.booleans())
def test_what_comes_together_is_relayed_as_what_comes_one_by_one(
    turns: list[list[bytes]], *, is_limited: bool
) -> None:
    sites = [Site(joins=joins, limit=HIGH_LIMIT if is_limited else NO_LIMIT) for joins in (False, True)]
    try:
        one_by_one, together = (site.relay(turns) for site in sites)
        by_peer = [
            [data for data, address in sent if address == peer]
            for sent in (one_by_one, together)
            for peer in (PEER, OTHER_PEER)
        ]
        assert by_peer[:2] == by_peer[2:]  # datagrams to different peers may overtake each other
        counted = [
            replace(site.node.counters, allocate_seconds=0.0, allocate_worst_seconds=0.0) for site in sites
        ]
        assert counted[0] == counted[1]
    finally:
        for site in sites:
            site.close()


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize(
    ("size", "relayed"), [(MAX_DATAGRAM_BYTES - 1, 4), (MAX_DATAGRAM_BYTES, 0), (MAX_DATAGRAM_BYTES + 1, 0)]
)
def test_long_datagram_is_dropped_alone_or_together(size: int, relayed: int, *, joins: bool) -> None:
    site = Site(joins=joins)
    frame = encode_channel_data(CHANNEL, bytes(size - 4))
    try:
        assert len(site.relay([[frame, frame], [frame, frame]])) == relayed
    finally:
        site.close()


@pytest.mark.parametrize("count", [1, 2, 64])
def test_many_small_datagrams_stay_as_many(count: int) -> None:
    site = Site(joins=True)
    frame = encode_channel_data(CHANNEL, b"x" * 160)
    try:
        assert site.relay([[frame], [frame] * count]) == [(b"x" * 160, PEER)] * (1 + count)
    finally:
        site.close()


def test_what_came_before_the_end_of_an_allocation_is_sent_and_nothing_after_it() -> None:
    site = Site(joins=False)
    try:
        site.node.side.outlet = DatagramOutlet(site.receiver, site.node.counters)
        frame = encode_channel_data(CHANNEL, b"data")
        site.relay([[frame]])
        end = site.client.writer.write(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        for datagram in (frame, end, frame):
            site.sender.sendto(datagram, address_of(site.receiver))
        site.reader.read()

        port = site.node.ports.opened[0]
        assert isinstance(port, RecordingPort)
        assert port.sent == 2 * [(b"data", PEER)]
        assert site.node.counters.dropped_unpermitted == 1
    finally:
        site.close()


@pytest.mark.parametrize("joins", [False, True])
def test_kernel_puts_together_only_where_that_is_wanted_now(*, joins: bool) -> None:
    batch = DatagramBatch(socket.AF_INET)
    with bind_datagram("127.0.0.1", 0, socket.AF_INET) as sock:
        for wanted in (not joins, joins):  # a former process may have wanted something else
            batch.join_together(sock, joins=wanted)
            assert sock.getsockopt(socket.IPPROTO_UDP, UDP_GRO) == wanted


HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.mark.parametrize("family", list(HOSTS))
def test_each_of_many_clients_gets_its_own_answer(family: socket.AddressFamily) -> None:
    node = Node()
    with ExitStack() as stack:
        receiver, *clients = (
            stack.enter_context(bind_datagram(HOSTS[family], 0, family)) for _ in range(1 + CLIENTS)
        )
        outlet = DatagramOutlet(receiver, node.counters)
        side = Side(address_of(receiver), outlet)
        ways = node.machine.ways
        reader = Reader(
            receiver,
            partial(node.machine.from_client, side),
            clock=lambda: node.now,
            dues=Dues(),
            batch=DatagramBatch(family),
            lane=Lane(ways, partial(ways.find_from_client, side), is_from_clients=True, outlet=outlet),
        )
        for place, client in enumerate(clients):
            # The last one asks with attributes that nobody knows, and the answer names all of them.
            unknown = tuple((0x7000 + number, b"") for number in range(300 if client is clients[-1] else 0))
            request = Message(Method.BINDING, MessageClass.REQUEST, bytes([place]) * 12, unknown)
            client.sendto(encode(request), address_of(receiver))
        reader.read()
        reader.read()

        for place, client in enumerate(clients[:-1]):
            answer = decode(client.recv(2048))
            assert answer.transaction_id == bytes([place]) * 12
            mapped = answer.find(AttributeType.XOR_MAPPED_ADDRESS)
            assert mapped is not None
            assert decode_xor_address(mapped, answer.transaction_id) == address_of(client)
        assert len(clients[-1].recv(2048)) > 600
        assert node.counters.refused == {420: 1}
