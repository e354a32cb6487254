"""Flows in real maps: there after a flush, gone after the next, and in userspace where there is no room."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

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
        self.flows = FlowTable(
            flows=self.maps.flows, states=self.maps.states, hops=hops, is_own="192.0.2.9".__eq__
        )

    def has(self, flow: Flow) -> list[bool]:
        """Tell whether the map has the way to the peer, and the way back."""
        up = Ends(flow.client, flow.server, flow.channel).pack()
        down = Ends(flow.peer, flow.relay).pack()
        return [self.maps.flows.get(key) is not None for key in (up, down)]


@pytest.fixture
def table() -> Iterator[Table]:
    with ExitStack() as stack:
        yield Table(stack)


def flow_of(number: int, *, expires_at: float = 1000.0) -> Flow:
    return Flow(
        client=(HERE, 10_000 + number),
        server=SERVER,
        relay=(HERE, 50_000 + number),
        published=(HERE, 50_000 + number),
        peer=(HERE, 20_000 + number),
        channel=0x4000 + number,
        expires_at=expires_at,
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
