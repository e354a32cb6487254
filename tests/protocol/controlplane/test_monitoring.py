"""Metrics of the fleet, read by a real Prometheus: every query of the dashboard and every alert rule."""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
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

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "monitoring" / "alert-rules.yml"
DASHBOARD = ROOT / "monitoring" / "grafana-dashboard.json"
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

DATA_SECONDS = 15

needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="apt-get install prometheus")


def all_queries() -> list[tuple[str, str]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def rate_windows_closed(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m")


@asynccontextmanager
async def run_prometheus(directory: Path, target: int, token: str) -> AsyncIterator[str]:
    """Scrape a control plane each second; yields the address of the API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scrape = {
        "job_name": "madfleet",
        "metrics_path": "/api/v1/metrics",
        "authorization": {"credentials": token},
        "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
    }
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [scrape],
    }
    file = directory / "prometheus.yml"
    file.write_text(json.dumps(settings))
    process = await asyncio.create_subprocess_exec(
        str(PROMETHEUS),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.kill()
        await process.wait()


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


async def ask(client: httpx.AsyncClient, api: str, query: str) -> list[dict[str, object]]:
    answer = await client.get(f"{api}/query", params={"query": query})
    assert answer.status_code == 200, (query, answer.text)
    result: list[dict[str, object]] = answer.json()["data"]["result"]
    return result


async def wait_for_data(client: httpx.AsyncClient, api: str, query: str) -> bool:
    """Ask until there is an answer; figures come with one scrape or the next."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DATA_SECONDS):
            while True:
                with suppress(httpx.ConnectError):
                    if await ask(client, api, query):
                        return True
                await asyncio.sleep(0.2)
    return False


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
        api = await stack.enter_async_context(run_prometheus(tmp_path, port, token))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        await wait_for_data(client, api, "rate(madfleet_mail_accounts_made_total[1m]) > 0")
        for title, query in all_queries():
            assert await wait_for_data(client, api, rate_windows_closed(query)), (title, query)
        rules = (await client.get(f"{api}/rules")).json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} == {"ok"}
        for rule in rules:
            await ask(client, api, rule["query"])


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
