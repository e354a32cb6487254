"""Metrics of the fleet, read by a real Prometheus: every query of the dashboard and every alert rule."""

import asyncio
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from controlplane.admins.access import Role
from controlplane.plane import Plane
from mailnode.peering.traffic import Traffic
from nodelink.contract.federation import PeerTransport
from nodelink.contract.figures import FIGURES, FigureKind
from nodelink.contract.reports import MAX_PEERS_REPORTED, ProbeReport
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


async def test_metrics_tell_of_each_peer_that_a_node_reports(plane: Plane) -> None:
    key = add_node(plane, "mail1")
    traffic = Traffic(clock_seconds=lambda: NOW)
    traffic.note_queued('"odd".example', 3)
    traffic.note_delivered("far.example", PeerTransport.SMTP, 1.5)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_plane(plane))
        node = await stack.enter_async_context(open_node(port, "mail1", key, plane.keys.trusted))
        await node.greet()
        await node.report(make_report(peers=traffic.list_peers(MAX_PEERS_REPORTED).peers))

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            headers = {"authorization": f"Bearer {add_token(plane, Role.VIEWER)}"}
            samples = await scrape_traffic(client, headers)

    labels = {"node": "mail1", "kind": "mail", "group": ""}
    told = {(each.name, each.labels["peer"]): each.value for each in samples}
    assert all(each.labels == labels | {"peer": each.labels["peer"]} for each in samples)
    assert told["madfleet_mail_traffic_queued", '"odd".example'] == 3
    assert told["madfleet_mail_traffic_delivered_smtp_total", "far.example"] == 1
    assert told["madfleet_mail_traffic_mean_latency_seconds", "far.example"] == 1.5
    assert told["madfleet_mail_traffic_last_seen_seconds", "far.example"] == NOW
    assert ("madfleet_mail_traffic_last_seen_seconds", '"odd".example') not in told


async def scrape_traffic(client: httpx.AsyncClient, headers: dict[str, str]) -> list[Sample]:
    """Read what the fleet's metrics tell of peers, as soon as they tell something."""
    async with asyncio.timeout(10):
        while True:
            text = (await client.get("/api/v1/metrics", headers=headers)).text
            families = text_string_to_metric_families(text)
            samples = [sample for family in families for sample in family.samples if "peer" in sample.labels]
            if samples:
                return samples
            await asyncio.sleep(0.02)


def test_metrics_of_the_fleet_are_not_for_the_token_of_a_node(plane: Plane) -> None:
    add_node(plane, "mail1")
    headers = {"authorization": f"Bearer {add_node_token(plane, 'mail1')}"}
    with open_client(plane) as client:
        assert client.get("/api/v1/metrics", headers=headers).status_code == 403
