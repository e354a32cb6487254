"""The fleet that `make lab` has deployed, as lab tests drive it.

For: tests that run inside the lab's network (scripts/lab_test.sh).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.clocks import wait_until
from support.deltachat import Core
from support.deployed_fleet import ADDRESSES, UNITS, run_on
from support.log_lines import pick_events
from support.namespaces import Network

CONTROL, MAIL, TURN = ADDRESSES["control"], ADDRESSES["mail1"], ADDRESSES["turn1"]
CONTROL_NAME, MAIL_NAME, MAIL2_NAME, TURN_NAME = "_control.test", "_mail1.test", "_mail2.test", "turn.test"
READY_SECONDS = 40
PROGRAMS = Path(sys.executable).parent
NEWEST_CORE = str(PROGRAMS / "deltachat-rpc-server")
OLD_CORE = str(PROGRAMS.parent / "deltachat-2.24/bin/deltachat-rpc-server")

OpenCore = Callable[..., Core]


@dataclass(frozen=True, slots=True)
class LabFleet:
    """A deployed fleet, with clients around it."""

    network: Network

    def start(self, host: str) -> None:
        """Start a host's service."""
        run_on(host, f"systemctl start {UNITS[host]}")

    def stop(self, host: str) -> None:
        """Stop a host's service in order."""
        run_on(host, f"systemctl stop {UNITS[host]}")

    def kill(self, host: str) -> None:
        """Kill a host's service at once; systemd starts it again."""
        run_on(host, f"systemctl kill --signal=KILL {UNITS[host]}")

    def process(self, host: str) -> str:
        """Tell which process a host's service is, and whether it is active."""
        return run_on(host, f"systemctl show {UNITS[host]} --property=MainPID,ActiveState")

    def events(self, host: str, event: str) -> list[dict[str, object]]:
        """Read the lines of one event that a host's service has logged since it was started."""
        unit = UNITS[host]
        this_run = f"_SYSTEMD_INVOCATION_ID=$(systemctl show {unit} --value --property=InvocationID)"
        return pick_events(
            run_on(host, f"journalctl --output cat {this_run} --grep '{event}' || true"), event
        )

    def madfleet(self, *arguments: str) -> str:
        """Run the admin's command on the control plane's host."""
        return run_on("control", "madfleet " + " ".join(arguments))

    def node(self, name: str) -> dict[str, Any]:
        """Read what the control plane knows of a node."""
        found: dict[str, Any] = next(node for node in self._read_nodes() if node["name"] == name)
        return found

    def wait_until_ready(self) -> float:
        """Wait until all nodes follow the control plane; return the seconds it took."""
        return wait_until(self._is_ready, READY_SECONDS)

    def register(self, host: str = MAIL_NAME) -> dict[str, str]:
        """Make an account as an app does that has scanned the `dcaccount:` link of a node or the fleet."""
        answer = self.network.run(
            *("a", "curl", "--silent", "--fail-with-body", "--insecure", "-X", "POST", f"https://{host}/new")
        )
        account: dict[str, str] = json.loads(answer.stdout)
        return account

    def _read_nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = json.loads(self.madfleet("nodes", "--json"))
        return nodes

    def _is_ready(self) -> bool:
        nodes = self._read_nodes()
        return {node["name"] for node in nodes} == ADDRESSES.keys() - {"control"} and all(
            node["health"] == "ok" and node["applied_revision"] == node["revision"] for node in nodes
        )
