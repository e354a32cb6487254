"""Reach the lab's machines and run the production playbook on them, as an operator does.

For: tests that run in the lab's network.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDRESSES = {
    "control": "198.51.100.10",
    "mail1": "198.51.100.21",
    "mail2": "198.51.100.22",
    "turn1": "198.51.100.31",
    "turn2": "198.51.100.32",
}
NAME_SERVER_ADDRESS = "198.51.100.53"
UNITS = {
    "control": "controlplane",
    "mail1": "mailnode",
    "mail2": "mailnode",
    "turn1": "turnnode",
    "turn2": "turnnode",
}
PLAYBOOK_SECONDS = 400
COMMAND_SECONDS = 60


class PlaybookError(Exception):
    """A run of the playbook has failed; the text is its output."""


def deploy(*arguments: str) -> dict[str, int]:
    """Run the playbook; tell how many changes it made on each host.

    Raises:
        PlaybookError: It has failed.
    """
    ended = subprocess.run(
        [ROOT / "scripts/deploy.sh", ROOT / "inventories/lab", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PLAYBOOK_SECONDS,
    )
    if ended.returncode != 0:
        raise PlaybookError(ended.stdout + ended.stderr)
    return {
        host: int(changed)
        for host, changed in re.findall(r"^(\w+) +: .*changed=(\d+)", ended.stdout, re.MULTILINE)
    }


def run_on(host: str, command: str) -> str:
    """Run a command on a machine as root; return what it printed, without blanks around it."""
    return run_at(ADDRESSES[host], command)


def run_at(address: str, command: str) -> str:
    """Do so on the machine at an address."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    return subprocess.run(
        ["ssh", "-i", ROOT / ".lab/id_ed25519", *options, f"root@{address}", command],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    ).stdout.strip()
