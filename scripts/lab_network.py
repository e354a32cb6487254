"""The lab's own network: one namespace that holds bridge, machines and controller, and leads nowhere else.

For: lab.py. Its addresses are documentation addresses (RFC 5737, RFC 3849).
Not for: machines (lab_machines.py).
"""

import os
import subprocess
from pathlib import Path

NAMESPACE = os.environ.get("LAB_NAME", "madfleet-lab")
NAMESPACE_FILE = Path("/run/netns") / NAMESPACE
BRIDGE = "lab0"
PREFIX_IPV4 = "198.51.100"
PREFIX_IPV6 = "2001:db8"
GATEWAY_IPV4 = f"{PREFIX_IPV4}.1"
GATEWAY_IPV6 = f"{PREFIX_IPV6}::1"
COMMAND_SECONDS = 20


class NetworkError(Exception):
    """The network cannot be made; the text says why."""


def make_network() -> None:
    """Make the namespace and its bridge; leave them as they are when they are there."""
    if NAMESPACE_FILE.exists():
        return
    _ip("netns", "add", NAMESPACE)
    _ip("-n", NAMESPACE, "link", "set", "lo", "up")
    _ip("-n", NAMESPACE, "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    _ip("-n", NAMESPACE, "addr", "add", f"{GATEWAY_IPV4}/24", "dev", BRIDGE)
    _ip("-n", NAMESPACE, "addr", "add", f"{GATEWAY_IPV6}/64", "dev", BRIDGE, "nodad")
    _ip("-n", NAMESPACE, "link", "set", BRIDGE, "up")
    # Whatever looks for the outside is told at once that there is none.
    _ip("-n", NAMESPACE, "route", "add", "unreachable", "default")


def remove_network() -> None:
    """Remove the namespace with all that is in it."""
    if NAMESPACE_FILE.exists():
        _ip("netns", "del", NAMESPACE)


def enter_network(*command: str) -> list[str]:
    """Write a command so that it runs inside. Not `ip netns exec`: that would hide the control groups."""
    return ["nsenter", f"--net={NAMESPACE_FILE}", *command]


def _ip(*arguments: str) -> None:
    ended = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if ended.returncode != 0:
        raise NetworkError(f"ip {' '.join(arguments)} failed: {ended.stderr.strip()}")
