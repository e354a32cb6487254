"""A small network of its own for a lab test run: the hosts of the fleet, and clients apart from each other.

    client a ── veth ──┐
    client b ── veth ──┤ hub: all addresses of the fleet, real ports, forwards nothing
    client c ── veth ──┘

No namespace has a way out, so a client that tries a public server is refused at once. Needs root.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

FLEET_NETWORK = "192.0.2.0/24"  # RFC 5737
END_SECONDS = 20
CLONE_NEWNET = 0x40000000

ResultT = TypeVar("ResultT")


def ip(*arguments: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass
class Network:
    """The namespaces of one test run; `names` are host names with the address that each has."""

    prefix: str
    names: Mapping[str, str]
    clients: Sequence[str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def command(self, namespace: str, *command: str) -> list[str]:
        """Build the command line that runs something inside a namespace."""
        return ["ip", "netns", "exec", f"{self.prefix}-{namespace}", *command]

    def spawn(
        self, namespace: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Start a program that is ended with the network, if not before."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(namespace, *command),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        return process

    def run(self, namespace: str, *command: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end."""
        return subprocess.run(
            self.command(namespace, *command), capture_output=True, text=True, check=False, timeout=timeout
        )

    def call(self, namespace: str, function: Callable[[], ResultT]) -> ResultT:
        """Call a function with the namespace's network: the sockets that it opens are inside."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(f"{self.prefix}-{namespace}",)) as executor:
            return executor.submit(function).result()


def _enter(name: str) -> None:
    """Move this thread into a network namespace. Source: setns(2), which holds for one thread."""
    with Path("/var/run/netns", name).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")


@contextmanager
def open_network(prefix: str, names: Mapping[str, str], clients: Sequence[str]) -> Iterator[Network]:
    """Make the namespaces; end what runs in them and remove them afterwards."""
    network = Network(prefix, names, clients)
    hosts = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items())
    try:
        for namespace in ("hub", *clients):
            configuration = Path("/etc/netns") / f"{prefix}-{namespace}"
            configuration.mkdir(parents=True)
            (configuration / "hosts").write_text(hosts)
            (configuration / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
            ip("netns", "add", configuration.name)
            ip("-n", configuration.name, "link", "set", "lo", "up")
        for address in sorted(set(names.values())):
            ip("-n", f"{prefix}-hub", "addr", "add", f"{address}/32", "dev", "lo")
        for number, client in enumerate(clients, start=1):
            _connect(prefix, client, number)
        yield network
    finally:
        for process in network.processes:
            end_process(process)
        for namespace in ("hub", *clients):
            subprocess.run(["ip", "netns", "del", f"{prefix}-{namespace}"], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / f"{prefix}-{namespace}", ignore_errors=True)


def end_process(process: "subprocess.Popen[bytes]") -> None:
    """End a program, orderly if it can."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connect(prefix: str, client: str, number: int) -> None:
    """Lay a cable from a client to the hub; the client knows no way but to the fleet."""
    hub, own = f"{prefix}-hub", f"{prefix}-{client}"
    ip("-n", hub, "link", "add", f"to-{client}", "type", "veth", "peer", "name", "uplink", "netns", own)
    ip("-n", hub, "addr", "add", f"198.51.100.{4 * number + 1}/30", "dev", f"to-{client}")
    ip("-n", own, "addr", "add", f"198.51.100.{4 * number + 2}/30", "dev", "uplink")
    ip("-n", hub, "link", "set", f"to-{client}", "up")
    ip("-n", own, "link", "set", "uplink", "up")
    ip("-n", own, "route", "add", FLEET_NETWORK, "via", f"198.51.100.{4 * number + 1}")
