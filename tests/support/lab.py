"""The fleet of the lab: control plane, mail node and TURN node in a namespace, with real names and ports.

Names that begin with `_` may have certificates that no authority vouches for: Delta Chat accepts them there.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fleet_plan import STANDARD_PORTS, FleetPlan, prepare_fleet
from self_signed import make_certificate
from support.clocks import wait_until
from support.deltachat import Core
from support.namespaces import Network, end_process, open_network

CONTROL, MAIL, TURN = "192.0.2.10", "192.0.2.21", "192.0.2.31"
CONTROL_NAME, MAIL_NAME = "_control.test", "_mail1.test"
MAIL2, MAIL2_NAME = "192.0.2.22", "_mail2.test"
READY_SECONDS = 40
SECOND = "mailnode2"
PROGRAMS = Path(sys.executable).parent
NEWEST_CORE = str(PROGRAMS / "deltachat-rpc-server")
OLD_CORE = str(PROGRAMS.parent / "deltachat-2.24/bin/deltachat-rpc-server")

OpenCore = Callable[..., Core]


@dataclass
class LabFleet:
    """A running fleet. Each program can be killed and started again."""

    network: Network
    plan: FleetPlan
    directory: Path
    running: dict[str, Any] = field(default_factory=dict)
    second: FleetPlan | None = None

    def start(self, service: str) -> None:
        """Start one of the programs; `mailnode2` is the second mail node's, once there is one."""
        plan, program = self.plan, service
        if service == SECOND:
            assert self.second is not None
            plan, program = self.second, "mailnode"
        self.running[service] = self.network.spawn(
            "hub", plan.processes[program], plan.environment, self.directory / f"{service}.log"
        )

    @contextmanager
    def second_mail_node(self) -> Iterator[None]:
        """Enrol a second mail node and run it; afterwards it is retired and ended."""
        self.second = plan_second(self.plan)
        make_certificate(self.directory, MAIL2_NAME, label="mail2")
        enrolment = self.directory / "mail2.json"
        key = self.second.run("mailnode", "identity").strip()
        enrolment.write_text(self.madfleet("enrol", "mail2", "--kind", "mail", "--public-key", key))
        self.second.run("mailnode", "enrol", str(enrolment))
        self.start(SECOND)
        try:
            self.wait_until_ready()
            yield
        finally:
            self.stop(SECOND)
            del self.running[SECOND]
            self.madfleet("retire", "mail2")

    def kill(self, service: str) -> None:
        """End one of the programs as a power cut would."""
        self.running[service].send_signal(signal.SIGKILL)
        self.running[service].wait()

    def stop(self, service: str) -> None:
        """End one of the programs orderly."""
        end_process(self.running[service])

    def madfleet(self, *arguments: str) -> str:
        """Run the admin's command on the control plane's host."""
        return self.plan.run("madfleet", *arguments)

    def node(self, name: str) -> dict[str, Any]:
        """Read what the control plane knows of a node."""
        found: dict[str, Any] = next(node for node in self.plan.read_nodes() if node["name"] == name)
        return found

    def wait_until_ready(self) -> float:
        """Wait until both nodes follow the control plane; return the seconds it took."""
        return wait_until(self._is_ready, READY_SECONDS)

    def register(self, host: str = MAIL_NAME) -> dict[str, str]:
        """Make an account as an app does that has scanned the `dcaccount:` link of a node or the fleet."""
        answer = self.network.run(
            "hub",
            "curl",
            "--silent",
            "--fail-with-body",
            "--insecure",
            "-X",
            "POST",
            f"https://{host}/new",
        )
        account: dict[str, str] = json.loads(answer.stdout)
        return account

    def _is_ready(self) -> bool:
        nodes = self.plan.read_nodes()
        return bool(nodes) and all(
            node["health"] == "ok" and node["applied_revision"] == node["revision"] for node in nodes
        )


def plan_second(plan: FleetPlan) -> FleetPlan:
    """Plan a second mail node of the same fleet."""
    directory = plan.directory
    return replace(
        plan,
        mail_domain=MAIL2_NAME,
        mail_address=MAIL2,
        extra={
            **plan.extra,
            "MAILNODE_STATE_DIRECTORY": str(directory / SECOND),
            "MAILNODE_RUNTIME_DIRECTORY": str(directory / "run2"),
            "MAILNODE_TLS_CERTIFICATE": str(directory / "mail2.crt"),
            "MAILNODE_TLS_KEY": str(directory / "mail2.key"),
        },
    )


@contextmanager
def open_lab(directory: Path, clients: list[str]) -> Iterator[LabFleet]:
    """Start a fleet with clients' namespaces around it; end everything afterwards."""
    names = {
        CONTROL_NAME: CONTROL,
        MAIL_NAME: MAIL,
        f"autoconfig.{MAIL_NAME}": MAIL,
        MAIL2_NAME: MAIL2,
        f"autoconfig.{MAIL2_NAME}": MAIL2,
        "_turn.test": TURN,
    }
    plan = FleetPlan(
        directory=directory,
        control_host=CONTROL_NAME,
        control_address=CONTROL,
        mail_domain=MAIL_NAME,
        mail_address=MAIL,
        turn_address=TURN,
        turn_peers=("192.0.2.0/24", "198.51.100.0/24"),
        ports=STANDARD_PORTS,
        extra={"MAILNODE_MESSAGES_PER_MINUTE": "0", "CONTROLPLANE_NEW_ACCOUNTS_PER_MINUTE": "0"},
    )
    with open_network(f"mf{time.time_ns() % 100_000}", names, clients) as network:
        prepare_fleet(plan)
        fleet = LabFleet(network, plan, directory)
        for service in plan.processes:
            fleet.start(service)
        try:
            fleet.wait_until_ready()
            yield fleet
        finally:
            for service in plan.processes:
                fleet.stop(service)
