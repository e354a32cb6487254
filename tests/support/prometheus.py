"""A real Prometheus that scrapes a control plane, with our alert rules, and is asked what our dashboard asks.

For: tests; it needs Debian's package prometheus.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MONITORING = Path(__file__).parents[2] / "monitoring"
RULES = MONITORING / "alert-rules.yml"
DASHBOARD = MONITORING / "grafana-dashboard.json"
PROMETHEUS = shutil.which("prometheus")

RATE_INTERVAL = "1m"
DATA_SECONDS = 15
POLL_SECONDS = 0.2


def read_panels() -> list[tuple[str, str]]:
    """Read the title and the query of each line in each panel, with what Grafana fills in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", RATE_INTERVAL))
        for panel in panels
        for target in panel["targets"]
    ]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs."""

    client: httpx.Client

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Ask for the present value of each series that a query finds."""
        answer = self.client.get("/query", params={"query": query})
        assert answer.status_code == 200, (query, answer.text)
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def wait_for_data(self, query: str) -> bool:
        """Ask until there is an answer: figures come with one scrape or the next. `False`: none came."""
        deadline = time.monotonic() + DATA_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if self.ask(query):
                    return True
            time.sleep(POLL_SECONDS)
        return False

    def read_rules(self) -> list[dict[str, Any]]:
        """Read the alert rules as it has evaluated them."""
        groups = self.client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def run_prometheus(directory: Path, target: str, token: str, **scrape: object) -> Iterator[Prometheus]:
    """Scrape a control plane each second.

    Args:
        directory: Where it keeps what it reads.
        target: HOST:PORT.
        token: An admin token.
        scrape: More of a `scrape_config`.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = directory / "prometheus.yml"
    settings.write_text(json.dumps(_write_settings(target, token, scrape)))
    process = subprocess.Popen(
        [
            str(PROMETHEUS),
            f"--config.file={settings}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
            yield Prometheus(client)
    finally:
        process.kill()
        process.wait()


def _write_settings(target: str, token: str, scrape: Mapping[str, object]) -> dict[str, object]:
    job: dict[str, object] = {
        "job_name": "madfleet",
        "metrics_path": "/api/v1/metrics",
        "authorization": {"credentials": token},
        "static_configs": [{"targets": [target]}],
    }
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{**job, **scrape}],
    }
