"""Remembered decisions: where a channel's data goes, what goes together, who pays, and when they end."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.turn_machine import ALICE, BOB, NOON, PEER, SERVER, Node, policy_with
from turnnode.relay.allocation import ClientTransport, Side
from turnnode.relay.data_path import SAMPLE
from turnnode.relay.usage import BURST_SECONDS, TrafficLimit, Usage
from turnnode.relay.ways import MAX_TOGETHER, MAX_TOGETHER_BYTES, MIN_KNOWN, KnownWays, Way
from turnnode.stun.attributes import Address, AttributeType, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Method

CHANNEL, BOBS_CHANNEL = 0x4000, 0x4001
DATA = encode_channel_data(CHANNEL, b"data")


class Recorder:
    """An outlet that keeps what it was asked to send, by calls."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []

    def send(self, data: bytes, address: Address) -> None:
        assert address == PEER
        self.sent.append([data])

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        assert address == PEER
        self.sent.append(list(datagrams))


def new_way(header: bytes = b"") -> tuple[Way, Recorder]:
    recorder = Recorder()
    return Way(recorder, PEER, until=NOON, usages=(Usage("1"),), header=header), recorder


@pytest.mark.parametrize(
    ("sizes", "together"),
    [
        ([160], [1]),
        ([160, 160, 160], [3]),
        ([160, 160, 100], [3]),  # the last one may be shorter
        ([160, 100, 100], [2, 1]),
        ([100, 160, 160], [1, 2]),
        ([160, 0, 160], [1, 1, 1]),
        ([0, 0], [1, 1]),
        ([160] * (MAX_TOGETHER + 1), [MAX_TOGETHER, 1]),
        ([1200] * (MAX_TOGETHER_BYTES // 1200 + 1), [MAX_TOGETHER_BYTES // 1200, 1]),
    ],
)
def test_datagrams_of_one_size_leave_together(sizes: list[int], together: list[int]) -> None:
    way, recorder = new_way()
    way.send([bytes(size) for size in sizes])

    assert [len(call) for call in recorder.sent] == together


@given(
    datas=st.lists(st.integers(0, 5).flatmap(lambda size: st.just(bytes([size]) * (size * 400))), min_size=1),
    header=st.sampled_from([b"", b"\x40\x01"]),
)
def test_data_stays_whole_and_in_order_whatever_goes_together(datas: list[bytes], header: bytes) -> None:
    way, recorder = new_way(header)
    way.send(datas)

    expected = [encode_channel_data(0x4001, data) if header else data for data in datas]
    assert [datagram for call in recorder.sent for datagram in call] == expected
    for call in recorder.sent:
        assert {len(datagram) for datagram in call[:-1]} <= {len(call[0])}
        assert len(call[-1]) <= len(call[0])
        assert sum(map(len, call)) <= MAX_TOGETHER_BYTES


def test_ended_ways_are_forgotten_before_there_are_twice_as_many_as_live_ones() -> None:
    known = KnownWays()
    live = [new_way()[0] for _ in range(MIN_KNOWN)]
    for number, way in enumerate(live):
        known.keep(b"live %d" % number, way)
    for number in range(10 * MIN_KNOWN):
        ended, _ = new_way()
        known.keep(b"ended %d" % number, ended)
        ended.end()
        assert len(known.by_key) <= 2 * MIN_KNOWN + 1
    assert all(known.by_key[b"live %d" % number] is way for number, way in enumerate(live))


class Call:
    """A node with a client that has bound a peer's channel, and a call between two clients."""

    def __init__(self) -> None:
        self.node = Node()
        self.alice, self.bob = self.node.client(ALICE), self.node.client(BOB, ends_in=80_000)
        self.relay, self.bobs_relay = self.alice.allocate(), self.bob.allocate()
        assert self.alice.bind(CHANNEL, PEER) == 200

    def join(self) -> None:
        assert self.alice.bind(BOBS_CHANNEL, self.bobs_relay) == 200
        assert self.bob.bind(CHANNEL, self.relay) == 200

    def find(self, number: int = CHANNEL) -> Way | None:
        datagram = encode_channel_data(number, b"data")
        return self.node.machine.ways.find_from_client(self.node.side, datagram, ALICE)

    def find_back(self, peer: Address = PEER) -> Way | None:
        return self.node.machine.ways.find_from_peer(self.relay, peer)


def test_way_to_a_peer_and_back_is_what_the_machine_decides() -> None:
    call = Call()
    for way, send in (
        (call.find(), call.alice.send(DATA)),
        (call.find_back(), call.node.from_peer(call.relay, b"data", PEER)),
    ):
        assert way is not None
        assert send is not None
        assert (way.outlet, way.address) == (send.outlet, send.address)
        assert way.until == NOON + 600


def test_way_between_two_clients_is_paid_by_both() -> None:
    call = Call()
    call.join()
    way = call.find(BOBS_CHANNEL)

    assert way is not None
    assert (way.outlet, way.address, way.header) == (call.node.side.outlet, BOB, b"\x40\x00")
    assert [usage.username for usage in way.usages] == [
        call.alice.writer.credential.username,
        call.bob.writer.credential.username,
    ]


def test_no_way_is_found_for_what_has_to_be_decided_each_time() -> None:
    call = Call()
    assert call.alice.bind(BOBS_CHANNEL, call.bobs_relay) == 200  # Bob has bound none to Alice
    ways, side = call.node.machine.ways, call.node.side
    by_tcp = Side(SERVER, side.outlet, side.allocations, transport=ClientTransport.TCP)

    assert call.find(BOBS_CHANNEL) is None
    assert call.find(CHANNEL + 2) is None
    assert call.find_back(("8.8.8.8", 1)) is None
    assert ways.find_from_client(side, DATA, ("5.5.5.9", 1)) is None
    assert ways.find_from_client(side, b"\x00\x01\x00\x00" + bytes(16), ALICE) is None
    assert ways.find_from_client(by_tcp, DATA, ALICE) is None


def _end(call: Call) -> None:
    call.alice.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))


def _shorten(call: Call) -> None:
    call.alice.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(700)))


def _change_policy(call: Call) -> None:
    call.node.policy.replace(policy_with(min_peer_port=PEER[1] + 1))


def _expire(call: Call) -> None:
    call.node.now += 600
    call.node.machine.expire(call.node.now)


@pytest.mark.parametrize("change", [_end, _shorten, _change_policy, _expire])
def test_ways_end_with_whatever_may_change_the_decision(change: Callable[[Call], None]) -> None:
    call = Call()
    ways = call.find(), call.find_back()
    change(call)

    assert [way is not None and way.until for way in ways] == [0, 0]


def test_way_between_two_clients_ends_with_either() -> None:
    for leaves in ("alice", "bob"):
        call = Call()
        call.join()
        way = call.find(BOBS_CHANNEL)
        assert way is not None
        client = getattr(call, leaves)
        client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        assert way.until == 0


@pytest.mark.parametrize(("sent_bytes", "is_admitted"), [(499, True), (500, True), (501, False)])
def test_data_on_a_way_keeps_to_the_rate(sent_bytes: int, is_admitted: bool) -> None:
    call = Call()
    limit = TrafficLimit(bits_per_second_per_credential=int(500 * 8 / BURST_SECONDS))
    call.node.policy.replace(policy_with(traffic=limit))
    ways, way = call.node.machine.ways, call.find()

    assert way is not None
    assert ways.are_limited
    assert ways.admit(way, sent_bytes, NOON)
    assert ways.admit(way, 1, NOON) == is_admitted
    assert call.node.counters.dropped_over_limit == (not is_admitted)


def test_what_went_a_way_is_counted_as_the_machine_counts() -> None:
    call = Call()
    call.join()
    ways = call.find(), call.find(BOBS_CHANNEL), call.find_back()
    recorder = Recorder()
    for way in ways:
        assert way is not None
        way.outlet, way.address = recorder, PEER
    call.node.machine.ways.send({way: [b"data", b"data"] for way in ways if way is not None})

    counters = call.node.counters
    assert (counters.packets_to_peers, counters.bytes_to_peers) == (2, 8)
    assert (counters.packets_to_clients, counters.bytes_to_clients) == (4, 16)
    assert counters.packets_hairpinned == 2
    assert [(one.packets, one.bytes) for one in call.node.machine.usages.list_largest(2, b"k")] == [
        (6, 24),
        (2, 8),
    ]


def test_data_path_is_told_of_one_datagram_in_so_many() -> None:
    call = Call()
    way = call.find()
    assert way is not None
    way.outlet = Recorder()
    for _ in range(3 * SAMPLE):
        call.node.machine.ways.send({way: [b"data"]})

    assert call.node.data_path.seen == 3 * [(ALICE, SERVER, CHANNEL)]
