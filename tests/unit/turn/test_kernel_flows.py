"""Flows in real maps: there after a flush, gone after the next, and in userspace where there is no room."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from turnnode.kernel.buckets import BucketTable
from turnnode.kernel.flows import FlowTable
from turnnode.kernel.hops import HopTable
from turnnode.kernel.layout import EXPIRES_WORD, STATE_WORDS, Ends
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.routes import RouteSocket
from turnnode.relay.data_path import Flow

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="maps in the kernel need root")

ENTRIES = 8
HERE = "127.0.0.1"
SERVER = (HERE, 3478)


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
            is_own="192.0.2.9".__eq__,
        )

    def bucket(self, flow: Flow) -> int:
        """Read where an element says that its credential's bucket is."""
        value = self.maps.flows.get(Ends(flow.client, flow.server, flow.channel).pack())
        assert value is not None
        return int.from_bytes(value[52:], sys.byteorder)

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
        table.maps.flows.put(Ends((HERE, number), (HERE, 1)).pack(), bytes(56))
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
