"""Metrics of the fleet, read by a real Prometheus: every query of the dashboard and every alert rule."""

import asyncio
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from controlplane.admins.access import Role
from controlplane.plane import Plane
from nodelink.contract.figures import FIGURES, FigureKind
from nodelink.contract.reports import ProbeReport
from nodelink.contract.states import NodeKind
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import (
    NOW,
    add_group,
    add_node,
    add_node_token,
    add_token,
    make_report,
    open_client,
    serve_plane,
)
from support.prometheus import PROMETHEUS, RULES, read_panels, run_prometheus

pytestmark = pytest.mark.anyio

PROMTOOL = shutil.which("promtool")

needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="apt-get install prometheus")


async def keep_reporting(nodes: list[FakeNode]) -> None:
    for count in range(1000):
        for node in nodes:
            kind = NodeKind.TURN if node.name.startswith("turn") else NodeKind.MAIL
            figures = {
                name: float(1 + count * (figure.kind is FigureKind.COUNTER))
                for name, figure in FIGURES[kind].items()
            }
            probes = (ProbeReport(peer="other", at_seconds=NOW, seconds=0.1, problem=None),)
            await node.report(make_report(kind, figures=figures, probes=probes))
        await asyncio.sleep(0.5)


@needs_prometheus
@pytest.mark.timeout(60)
async def test_every_panel_has_data_and_every_rule_is_evaluated(plane: Plane, tmp_path: Path) -> None:
    keys = {
        name: add_node(plane, name, kind)
        for name, kind in (("mail1", NodeKind.MAIL), ("turn1", NodeKind.TURN))
    }
    token = add_token(plane, Role.VIEWER)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_plane(plane))
        trusted = plane.keys.trusted
        nodes = [
            await stack.enter_async_context(open_node(port, name, key, trusted)) for name, key in keys.items()
        ]
        for node in nodes:
            await node.greet()
        reporting = asyncio.create_task(keep_reporting(nodes))
        stack.callback(reporting.cancel)
        prometheus = stack.enter_context(run_prometheus(tmp_path, f"127.0.0.1:{port}", token))
        await asyncio.to_thread(prometheus.wait_for_data, "rate(madfleet_mail_accounts_made_total[1m]) > 0")
        for title, query in read_panels():
            assert await asyncio.to_thread(prometheus.wait_for_data, query), (title, query)
        rules = await asyncio.to_thread(prometheus.read_rules)
        assert rules
        assert {rule["health"] for rule in rules} == {"ok"}


@pytest.mark.skipif(PROMTOOL is None, reason="apt-get install prometheus")
def test_promtool_has_nothing_against_the_rules() -> None:
    subprocess.run([str(PROMTOOL), "check", "rules", str(RULES)], check=True, capture_output=True, timeout=20)


def test_metrics_name_each_node_with_its_group(plane: Plane) -> None:
    add_node(plane, "mail1")
    add_group(plane, "eu", "mail1")
    with open_client(plane) as client:
        text = client.get("/api/v1/metrics").text
    assert 'madfleet_node_up{group="eu",kind="mail",node="mail1"} 0.0' in text
    assert "madfleet_mail_accounts{" not in text  # what a node that is away last said, it may not be any more


def test_metrics_of_the_fleet_are_not_for_the_token_of_a_node(plane: Plane) -> None:
    add_node(plane, "mail1")
    headers = {"authorization": f"Bearer {add_node_token(plane, 'mail1')}"}
    with open_client(plane) as client:
        assert client.get("/api/v1/metrics", headers=headers).status_code == 403
