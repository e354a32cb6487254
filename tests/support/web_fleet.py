"""A whole fleet on loopback for a browser: control plane, mail node and TURN node as programs, on free ports.

A second mail node is enrolled and never started: it is the one that is missing.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from fleet_plan import FleetPlan, Ports, plan_local_fleet, prepare_fleet
from nodelink.contract.keys import PrivateKey

HOST = "127.0.0.1"
READY_SECONDS = 60


@dataclass(frozen=True)
class WebFleet:
    """A fleet that runs."""

    plan: FleetPlan
    api: httpx.Client

    @property
    def url(self) -> str:
        return self.plan.control_url

    def make_token(self, **wanted: object) -> str:
        """Make an admin token."""
        answer = self.api.post("/admin-tokens", json=wanted)
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    def import_accounts(self, *addresses: str) -> None:
        """Have accounts made on the mail node, and wait until they are."""
        accounts = [{"address": address, "password": "a password of some length"} for address in addresses]
        answer = self.api.post("/nodes/mail1/account-import", json={"accounts": accounts})
        assert answer.status_code == 202, answer.text
        self.wait_for(answer.headers["location"])

    def wait_for(self, location: str) -> None:
        """Wait until an operation is over."""
        ends_at = time.monotonic() + READY_SECONDS
        while (state := self.api.get(f"{self.url}{location}").json()["state"]) == "waiting":
            assert time.monotonic() < ends_at, location
            time.sleep(0.1)
        assert state == "done"


@contextmanager
def running_fleet(directory: Path) -> Iterator[WebFleet]:
    """Run a fleet until the block ends."""
    plan = replace(plan_local_fleet(directory, HOST), ports=_find_ports())
    prepare_fleet(plan)
    plan.run("madfleet", "enrol", "mail2", "--kind", "mail", "--public-key", PrivateKey.generate().public.x)
    token = plan.run("madfleet", "admin-token", "--name", "owner").split("Token:")[1].split()[0]
    environment = os.environ | plan.environment
    with ExitStack() as stack:
        log = stack.enter_context((directory / "log").open("ab"))
        for command in plan.processes.values():
            process = stack.enter_context(
                subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
            stack.callback(process.terminate)
        headers = {"authorization": f"Bearer {token}"}
        api = stack.enter_context(
            httpx.Client(base_url=f"{plan.control_url}/api/v1", headers=headers, verify=False, timeout=20)  # noqa: S501 - its own certificate
        )
        fleet = WebFleet(plan, api)
        _wait_until_ready(fleet)
        yield fleet


def _wait_until_ready(fleet: WebFleet) -> None:
    ends_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends_at:
        try:
            nodes = {node["name"]: node["is_connected"] for node in fleet.api.get("/nodes").json()["items"]}
        except httpx.TransportError:
            nodes = {}
        if nodes.get("mail1") and nodes.get("turn1"):
            return
        time.sleep(0.2)
    raise TimeoutError((fleet.plan.directory / "log").read_text()[-2000:])


def _find_ports() -> Ports:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(6)]
        for each in sockets:
            each.bind((HOST, 0))
        control, https, imap_tls, imap_starttls, smtp_tls, smtp_starttls = (
            each.getsockname()[1] for each in sockets
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.bind((HOST, 0))
        turn = each.getsockname()[1]
    return Ports(
        control=control,
        https=https,
        imap_tls=imap_tls,
        imap_starttls=imap_starttls,
        smtp_tls=smtp_tls,
        smtp_starttls=smtp_starttls,
        turn=turn,
    )
