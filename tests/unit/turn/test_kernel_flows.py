"""Flows in real maps: there after a flush, gone after the next, and in userspace where there is no room."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from turnnode.kernel.buckets import BucketTable
from turnnode.kernel.flows import FlowTable
from turnnode.kernel.hops import HopTable
from turnnode.kernel.layout import (
    BUCKET_BYTES,
    DROPPED_WORD,
    EXPIRES_WORD,
    FLOW_BYTES,
    PACKET,
    RELAYED_WORD,
    STATE_WORDS,
    Ends,
)
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.routes import RouteSocket
from turnnode.relay.data_path import Flow, Relayed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="maps in the kernel need root")

ENTRIES = 8
HERE = "127.0.0.1"
OWN = "127.0.0.9"
SERVER = (HERE, 3478)
BUCKET_WORDS = BUCKET_BYTES // 8


class Table:
    """A flow table of eight elements, which are four flows."""

    def __init__(self, stack: ExitStack) -> None:
        self.maps = RelayMaps.create(stack, entries=ENTRIES)
        hops = HopTable(RouteSocket(stack), self.maps.hops)
        self.buckets = BucketTable(self.maps.buckets)
        self.flows = FlowTable(
            flows=self.maps.flows,
            states=self.maps.states,
            hops=hops,
            buckets=self.buckets,
            is_own=OWN.__eq__,
        )

    def bucket(self, flow: Flow) -> int:
        """Read where an element says that its credential's bucket is."""
        value = self.maps.flows.get(Ends(flow.client, flow.server, flow.channel).pack())
        assert value is not None
        return int.from_bytes(value[52:56], sys.byteorder)

    def other_bucket(self, flow: Flow) -> int:
        """Read where it says that the receiver's is."""
        value = self.maps.flows.get(Ends(flow.client, flow.server, flow.channel).pack())
        assert value is not None
        return int.from_bytes(value[56:], sys.byteorder)

    def is_limited(self, place: int) -> bool:
        return any(self.maps.buckets.read(place)[8:])

    def has(self, flow: Flow) -> list[bool]:
        """Tell whether the map has the way to the peer, and the way back."""
        up = Ends(flow.client, flow.server, flow.channel).pack()
        down = Ends(flow.peer, flow.relay).pack()
        return [self.maps.flows.get(key) is not None for key in (up, down)]


@pytest.fixture
def table() -> Iterator[Table]:
    with ExitStack() as stack:
        yield Table(stack)


def flow_of(number: int, *, expires_at: float = 1000.0, username: str = "") -> Flow:
    return Flow(
        client=(HERE, 10_000 + number),
        server=SERVER,
        relay=(HERE, 50_000 + number),
        published=(HERE, 50_000 + number),
        peer=(HERE, 20_000 + number),
        channel=0x4000 + number,
        expires_at=expires_at,
        username=username,
    )


def test_flows_are_in_the_map_from_the_flush_on(table: Table) -> None:
    flows = [flow_of(number) for number in range(4)]
    for flow in flows:
        table.flows.add(flow)
    assert [table.has(flow) for flow in flows] == [[False, False]] * 4

    assert table.flows.flush()
    assert [table.has(flow) for flow in flows] == [[True, True]] * 4
    assert table.flows.count == 4


def test_flow_that_has_ended_relays_nothing_even_before_the_flush(table: Table) -> None:
    flow = flow_of(1)
    table.flows.add(flow)
    table.flows.flush()
    table.flows.remove(flow)
    assert not any(table.maps.states.words[EXPIRES_WORD::STATE_WORDS])

    assert table.flows.flush()
    assert table.has(flow) == [False, False]


def test_flow_that_ends_and_begins_again_before_the_flush_is_in_the_map(table: Table) -> None:
    flow = flow_of(1)
    table.flows.add(flow)
    table.flows.flush()
    table.flows.remove(flow)
    table.flows.add(flow_of(1, expires_at=2000.0))
    assert table.flows.flush()

    assert table.has(flow) == [True, True]
    ends = [word for word in table.maps.states.words[EXPIRES_WORD::STATE_WORDS] if word]
    assert ends == [2000 * 10**9] * 2


def test_flow_that_begins_and_ends_before_the_flush_never_is_in_the_map(table: Table) -> None:
    flow = flow_of(1)
    table.flows.add(flow)
    table.flows.remove(flow)
    assert table.flows.flush()
    assert (table.has(flow), table.flows.count) == ([False, False], 0)


def test_flow_without_room_stays_in_userspace_until_there_is_room_for_another(table: Table) -> None:
    flows = [flow_of(number) for number in range(5)]
    for flow in flows:
        table.flows.add(flow)
    table.flows.flush()
    assert [table.has(flow) for flow in flows] == [[True, True]] * 4 + [[False, False]]
    assert table.flows.count == 4

    table.flows.remove(flows[0])
    table.flows.flush()
    table.flows.add(flow_of(5))
    assert table.flows.flush()
    assert table.has(flow_of(5)) == [True, True]


def test_elements_that_the_map_refuses_are_taken_back(table: Table) -> None:
    for number in range(7):  # somebody else's, so that only one place is left
        table.maps.flows.put(Ends((HERE, number), (HERE, 1)).pack(), bytes(FLOW_BYTES))
    flow = flow_of(1)
    table.flows.add(flow)
    assert not table.flows.flush()

    assert (table.has(flow), table.flows.count) == ([False, False], 0)


def test_flows_of_one_credential_share_a_bucket_and_others_have_their_own(table: Table) -> None:
    table.buckets.set_rate(10_000)
    flows = [flow_of(1, username="a"), flow_of(2, username="a"), flow_of(3, username="b")]
    for flow in flows:
        table.flows.add(flow)
    table.flows.flush()
    first, second, other = (table.bucket(flow) for flow in flows)

    assert first == second != other
    assert 0 not in {first, other}
    assert table.is_limited(first)
    assert table.is_limited(other)
    assert not table.is_limited(0)


def test_bucket_is_free_when_the_last_flow_of_its_credential_has_ended(table: Table) -> None:
    flows = [flow_of(1, username="a"), flow_of(2, username="a")]
    for flow in flows:
        table.flows.add(flow)
    table.flows.flush()
    place = table.bucket(flows[1])
    table.flows.remove(flows[0])
    table.flows.add(flow_of(3, username="b"))
    table.flows.remove(flows[1])
    table.flows.add(flow_of(4, username="c"))
    table.flows.flush()

    assert table.bucket(flow_of(3)) != place
    assert table.bucket(flow_of(4)) == place


def test_rate_holds_for_flows_that_are_there_and_ends_with_the_limit(table: Table) -> None:
    flow = flow_of(1, username="a")
    table.flows.add(flow)
    table.flows.flush()
    assert not table.is_limited(table.bucket(flow))

    table.buckets.set_rate(10_000)
    assert table.is_limited(table.bucket(flow))
    table.buckets.set_rate(0)
    assert not table.is_limited(table.bucket(flow))


def test_credentials_beyond_the_places_share_the_last_one(table: Table) -> None:
    table.buckets.set_rate(10_000)
    places = [table.buckets.hold(str(number)) for number in range(ENTRIES + 1)]

    assert sorted(places[:6]) == list(range(1, 7))
    assert places[6:] == [7, 7, 7]
    assert table.is_limited(7)


def relays(table: Table, before: Ends, size_bytes: int, *, dropped: int = 0) -> None:
    """Count as programs do."""
    value = table.maps.flows.get(before.pack())
    assert value is not None
    first = STATE_WORDS * int.from_bytes(value[44:48], sys.byteorder)
    relayed = table.maps.states.words[first + RELAYED_WORD] + PACKET + size_bytes
    table.maps.states.words[first + RELAYED_WORD] = relayed % 2**64
    table.maps.states.words[first + DROPPED_WORD] += dropped


def test_usage_is_told_once_and_what_is_left_when_a_flow_has_ended(table: Table) -> None:
    flows = [flow_of(1, username="a"), flow_of(2, username="a"), flow_of(3, username="b")]
    for flow in flows:
        table.flows.add(flow)
    table.flows.flush()
    assert table.flows.take_usage() == {}

    for flow in flows[:2]:
        relays(table, Ends(flow.client, flow.server, flow.channel), 100)
        relays(table, Ends(flow.peer, flow.relay), 10, dropped=1)
    assert table.flows.take_usage() == {"a": Relayed(4, 220, 2)}
    assert table.flows.take_usage() == {}

    relays(table, Ends(flows[1].peer, flows[1].relay), 7)
    table.flows.remove(flows[1])
    table.flows.add(flow_of(4, username="c"))  # in the places of the former one
    table.flows.flush()
    assert table.flows.take_usage() == {"a": Relayed(1, 7)}
    relays(table, Ends(flow_of(4).peer, flow_of(4).relay), 9)
    assert table.flows.take_usage() == {"c": Relayed(1, 9)}
    assert table.flows.read_totals() == Relayed(6, 236, 2)


def test_both_clients_of_a_joined_flow_pay_and_the_sender_has_dropped(table: Table) -> None:
    one_relay, other_relay = (OWN, 50_001), (OWN, 50_002)
    one = flow_of(1, username="a")._replace(relay=one_relay, published=one_relay, peer=other_relay)
    other = flow_of(2, username="b")._replace(relay=other_relay, published=other_relay, peer=one_relay)
    table.flows.add(one)
    table.flows.add(other)
    table.flows.flush()
    relays(table, Ends(one.client, one.server, one.channel), 100, dropped=1)

    assert table.flows.take_usage() == {"a": Relayed(1, 100, 1), "b": Relayed(1, 100)}
    assert table.flows.read_totals() == Relayed(1, 100, 1)
    assert table.bucket(one) == table.other_bucket(other) != 0
    assert table.bucket(other) == table.other_bucket(one) != table.bucket(one)

    table.flows.remove(one)  # with it, the other one is in userspace, and nobody holds a bucket
    assert {table.buckets.hold(str(number)) for number in range(6)} == set(range(1, 7))


def test_what_a_flow_to_a_peer_costs_its_receiver_pays_not(table: Table) -> None:
    flow = flow_of(1, username="a")
    table.flows.add(flow)
    table.flows.flush()
    assert table.other_bucket(flow) == 0


def test_counts_go_on_where_those_of_the_kernel_begin_again(table: Table) -> None:
    flow = flow_of(1, username="a")
    table.flows.add(flow)
    table.flows.flush()
    value = table.maps.flows.get(Ends(flow.client, flow.server, flow.channel).pack())
    assert value is not None
    word = STATE_WORDS * int.from_bytes(value[44:48], sys.byteorder) + RELAYED_WORD
    table.maps.states.words[word] = PACKET * 2**23 + PACKET - 1
    table.flows.take_usage()
    table.maps.states.words[word] = PACKET * (2**24 - 1) + PACKET - 1
    assert table.flows.take_usage() == {"a": Relayed(2**23 - 1, 0)}

    relays(table, Ends(flow.client, flow.server, flow.channel), 100)
    assert table.flows.take_usage() == {"a": Relayed(1, 100)}
    assert table.flows.read_totals().packets == 2**24


def test_rate_that_is_set_again_leaves_buckets_as_full_as_they_are(table: Table) -> None:
    table.buckets.set_rate(10_000)
    place = table.buckets.hold("a")
    first_word = place * BUCKET_WORDS
    table.maps.buckets.words[first_word] = 12_345  # full until then
    table.buckets.set_rate(10_000)
    assert table.maps.buckets.words[first_word] == 12_345

    table.buckets.set_rate(20_000)
    assert table.maps.buckets.words[first_word] == 0
