"""What nodes count, and how Prometheus reads it from them; and how late a loop is."""

import time
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from nodelink.contract.federation import PeerTraffic
from nodelink.contract.figures import FIGURES, LOOP_LAG, PEER_FIGURES, TURN_FIGURES
from nodelink.daemon.figure_metrics import FigureCollector
from nodelink.daemon.loop_lag import LoopLag
from support.clocks import until
from turnnode.figures import read_figures
from turnnode.relay.counters import RelayCounters

pytestmark = pytest.mark.anyio


def test_every_figure_of_a_turn_node_is_one_of_the_contract() -> None:
    assert read_figures(RelayCounters(), None, connections=0).keys() | {LOOP_LAG} == TURN_FIGURES.keys()


def test_counters_and_gauges_are_told_apart() -> None:
    registry = CollectorRegistry()
    registry.register(
        FigureCollector(
            "turnnode", TURN_FIGURES, lambda: read_figures(RelayCounters(allocations=3), None, connections=0)
        )
    )

    text = generate_latest(registry).decode()

    assert "\nturnnode_allocations 3.0\n" in text
    assert "\nturnnode_allocations_made_total 0.0\n" in text


def test_every_number_of_the_traffic_table_is_a_figure() -> None:
    assert PEER_FIGURES.keys() == PeerTraffic.model_fields.keys() - {"domain", "last_problem"}


def test_names_end_in_what_no_exporter_adds() -> None:
    for figures in (*FIGURES.values(), PEER_FIGURES):
        assert not [name for name in figures if name.endswith("_total")]


async def test_loop_that_is_blocked_is_late() -> None:
    lag = LoopLag()
    async with AsyncExitStack() as stack:
        await lag.start(stack)
        await until(lambda: len(lag._lags_seconds) > 1)  # noqa: SLF001 - or the block would come before the pause
        time.sleep(0.8)  # noqa: ASYNC251 - that is what is tested
        await until(lambda: lag.worst_seconds > 0.2)
