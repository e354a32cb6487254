"""Clients' computers around the lab: a network namespace each, on the machines' bridge, apart from others.

    client a ── veth ──┐ bridge of the lab ── control, mail1, mail2, turn1, turn2, dns
    client b ── veth ──┘ (clients' ports are isolated: they reach the machines, and not each other)

No namespace has a way out, so a client that tries a public server is refused at once. Needs root, and a
process inside the lab's network.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lab_machines import NAME_SERVER_IPV4
from lab_network import BRIDGE, NAMESPACE, PREFIX_IPV4, PREFIX_IPV6

CLONE_NEWNET = 0x40000000
FIRST_CLIENT = 101
RESOLVER = f"nameserver {NAME_SERVER_IPV4}\noptions timeout:1 attempts:2\n"

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Network:
    """The namespaces of one test run."""

    clients: Sequence[str]

    def address(self, client: str) -> str:
        """Tell a client's IPv4 address."""
        return f"{PREFIX_IPV4}.{FIRST_CLIENT + self.clients.index(client)}"

    def command(self, client: str, *command: str) -> list[str]:
        """Build the command line that runs something on a client's computer."""
        return ["ip", "netns", "exec", f"{NAMESPACE}-{client}", *command]

    def run(self, client: str, *command: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end."""
        return subprocess.run(
            self.command(client, *command), capture_output=True, text=True, check=False, timeout=timeout
        )

    def call(self, client: str, function: Callable[[], ResultT]) -> ResultT:
        """Call a function with a client's network: the sockets that it opens are there."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(f"{NAMESPACE}-{client}",)) as executor:
            return executor.submit(function).result()


@contextmanager
def open_network(clients: Sequence[str]) -> Iterator[Network]:
    """Make the namespaces, and remove them afterwards."""
    network = Network(clients)
    try:
        for number, client in enumerate(clients, start=FIRST_CLIENT):
            _remove(client)  # a run that was killed leaves them behind
            _connect(client, number)
        yield network
    finally:
        for client in clients:
            _remove(client)


def _connect(client: str, number: int) -> None:
    """Lay a cable from a client to the bridge."""
    own = f"{NAMESPACE}-{client}"
    configuration = Path("/etc/netns") / own
    configuration.mkdir(parents=True)
    (configuration / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (configuration / "resolv.conf").write_text(RESOLVER)
    _ip("netns", "add", own)
    _ip("link", "add", f"to-{client}", "type", "veth", "peer", "name", "uplink", "netns", own)
    _ip("link", "set", f"to-{client}", "master", BRIDGE, "up")
    _ip("link", "set", f"to-{client}", "type", "bridge_slave", "isolated", "on")
    _ip("-n", own, "link", "set", "lo", "up")
    _ip("-n", own, "addr", "add", f"{PREFIX_IPV4}.{number}/24", "dev", "uplink")
    _ip("-n", own, "addr", "add", f"{PREFIX_IPV6}::{number}/64", "dev", "uplink", "nodad")
    _ip("-n", own, "link", "set", "uplink", "up")


def _remove(client: str) -> None:
    own = f"{NAMESPACE}-{client}"
    subprocess.run(["ip", "netns", "del", own], check=False, capture_output=True)
    shutil.rmtree(Path("/etc/netns") / own, ignore_errors=True)


def _enter(name: str) -> None:
    """Move this thread into a network namespace. Source: setns(2), which holds for one thread."""
    with Path("/var/run/netns", name).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
