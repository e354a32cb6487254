"""How reports are kept and judged."""

import math

import pytest

from controlplane.nodes.enrolment import read_node
from controlplane.nodes.models import Health, NodeReport
from controlplane.nodes.reports import (
    CONNECTED_SECONDS,
    describe_node,
    judge_health,
    keep_report,
    read_report,
)
from controlplane.plane import Plane
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind
from support.controlplane_site import NOW, add_node, make_report

WELL = make_report()
SICK = make_report(problems=("The disk is full.",))


@pytest.mark.parametrize(
    ("report", "age_seconds", "health"),
    [
        (None, None, Health.NEVER_SEEN),
        (WELL, 0, Health.OK),
        (WELL, CONNECTED_SECONDS, Health.OK),
        (WELL, CONNECTED_SECONDS + 1, Health.NOT_CONNECTED),
        (SICK, 0, Health.PROBLEM),
        (SICK, CONNECTED_SECONDS + 1, Health.NOT_CONNECTED),
    ],
)
def test_health_is_one_word(report: Report | None, age_seconds: int | None, health: Health) -> None:
    assert judge_health(report, age_seconds) is health


def keep(plane: Plane, report: Report) -> bool:
    with plane.sessions.begin() as session:
        return keep_report(session, read_node(session, "mail1"), report, NOW)


def kept(plane: Plane) -> Report | None:
    with plane.sessions() as session:
        return read_report(session.get(NodeReport, "mail1"))


def test_report_is_kept_in_place_of_the_former_one(plane: Plane) -> None:
    add_node(plane, "mail1")

    assert kept(plane) is None
    assert keep(plane, WELL)
    assert keep(plane, SICK)
    assert kept(plane) == SICK


def test_report_of_another_kind_is_not_kept(plane: Plane) -> None:
    add_node(plane, "mail1")

    assert not keep(plane, make_report(NodeKind.TURN))
    assert kept(plane) is None


def test_figures_that_are_no_numbers_are_left_out(plane: Plane) -> None:
    add_node(plane, "mail1")
    figures = {"accounts": 3.0, "ratio": math.nan, "load": math.inf}

    assert keep(plane, make_report(figures=figures))
    assert kept(plane) == WELL


def test_report_of_another_version_that_cannot_be_read_does_not_break_the_view(plane: Plane) -> None:
    add_node(plane, "mail1")
    row = NodeReport(node_name="mail1", received_at_seconds=NOW, body='{"kind": "mail"}')
    with plane.sessions() as session:
        session.add(row)
        described = describe_node(session, read_node(session, "mail1"), NOW)

    assert (described.health, described.applied_revision) == (Health.NEVER_SEEN, 0)
