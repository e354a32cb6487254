"""The last day of the fleet: what is kept of it, what is forgotten, and how counters are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from controlplane.health.sample_models import FleetSample, HistoryPublic, NodeSample
from controlplane.health.samples import (
    INTERVAL_SECONDS,
    KEPT_MINUTES,
    floor_minute,
    keep_samples,
    measure_growth,
    read_fleet_history,
    read_node_history,
)
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.models import Node
from controlplane.nodes.reports import keep_report
from controlplane.plane import Plane
from nodelink.contract.states import NodeKind
from support.controlplane_site import NOW, add_node, make_report

START = floor_minute(NOW)


def tell(plane: Plane, name: str, at_seconds: int, kind: NodeKind = NodeKind.MAIL, **figures: float) -> None:
    with plane.sessions.begin() as session:
        keep_report(session, read_node(session, name), make_report(kind, figures=figures), at_seconds)


def keep(plane: Plane, at_seconds: int) -> bool:
    with plane.sessions.begin() as session:
        return keep_samples(session, at_seconds)


def read(plane: Plane, at_seconds: int, name: str | None = None, minutes: int = 3) -> HistoryPublic:
    with plane.sessions() as session:
        if name is None:
            return read_fleet_history(session, minutes, at_seconds)
        return read_node_history(session, read_node(session, name), minutes, at_seconds)


def test_a_node_has_gauges_as_told_and_counters_as_growth(plane: Plane) -> None:
    add_node(plane, "mail1")
    for minute, accepted in enumerate((10, 25, 4)):  # it began anew before the third minute
        at_seconds = START + minute * INTERVAL_SECONDS
        tell(plane, "mail1", at_seconds, accounts=3 + minute, messages_accepted=accepted, unknown=1)
        assert keep(plane, at_seconds + 3)
    history = read(plane, START + 2 * INTERVAL_SECONDS + 5, "mail1")
    assert history.times_seconds == [START, START + 60, START + 120]
    assert history.figures == {"accounts": [3, 4, 5], "messages_accepted": [None, 15, 4]}


def test_a_minute_is_kept_once(plane: Plane) -> None:
    assert keep(plane, START + 1)
    assert not keep(plane, START + 59)
    assert keep(plane, START + 60)


def test_the_fleet_is_the_sum_of_its_nodes_that_are_connected(plane: Plane) -> None:
    for name in ("mail1", "mail2", "mail3"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    tell(plane, "mail1", START, accounts=3, loop_lag_seconds=0.1)
    tell(plane, "mail2", START, accounts=4, loop_lag_seconds=0.2)
    tell(plane, "mail3", START - 16, accounts=100)
    tell(plane, "turn1", START, NodeKind.TURN, allocations=7)
    keep(plane, START)
    figures = {name: values[-1] for name, values in read(plane, START).figures.items()}
    assert figures == {
        "accounts": 7,
        "loop_lag_seconds": 0.2,
        "allocations": 7,
        "nodes": 4,
        "connected_nodes": 3,
    }


def test_minutes_without_a_report_are_null(plane: Plane) -> None:
    add_node(plane, "mail1")
    tell(plane, "mail1", START, accounts=3)
    keep(plane, START)
    keep(plane, START + 60)
    assert read(plane, START + 60, "mail1").figures == {"accounts": [None, 3, None]}


def test_no_more_than_a_day_is_kept(plane: Plane) -> None:
    add_node(plane, "mail1")
    for minutes in (0, 1, KEPT_MINUTES):
        tell(plane, "mail1", START + minutes * 60, accounts=minutes)
        keep(plane, START + minutes * 60)
    with plane.sessions() as session:
        wanted = [START + 60, START + KEPT_MINUTES * 60]
        assert [row.at_seconds for row in session.exec(select(FleetSample))] == wanted
        assert [row.at_seconds for row in session.exec(select(NodeSample))] == wanted


def test_the_day_of_a_retired_node_is_gone(plane: Plane) -> None:
    add_node(plane, "mail1")
    tell(plane, "mail1", START, accounts=3)
    keep(plane, START)
    with plane.sessions.begin() as session:
        session.delete(session.get(Node, "mail1"))
    with plane.sessions() as session:
        assert session.exec(select(NodeSample)).all() == []


@pytest.mark.parametrize(("value", "former", "growth"), [(5, 3, 2), (3, 3, 0), (2, 3, 2)])
def test_a_counter_that_fell_has_begun_anew(value: float, former: float, growth: float) -> None:
    assert measure_growth(value, former) == growth


@given(st.floats(0, 1e15), st.floats(0, 1e15))
def test_no_growth_is_negative(value: float, former: float) -> None:
    assert 0 <= measure_growth(value, former) <= value
