"""Three computers in network namespaces, in a row: a client, a TURN node, and a peer.

    tk-client 192.0.2.1 ── veth ── 192.0.2.2 tk-turn 198.51.100.1 ── veth ── 198.51.100.2 tk-peer
              2001:db8:a::1        ::2               2001:db8:b::1           ::2

A socket stays where it was opened, so a test opens it there and uses it from anywhere. Needs root.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar
from urllib.request import urlopen

from support import turn_program
from support.service_manager import FakeSystemd
from support.turn_client import (
    UDP,
    Attribute,
    RequestWriter,
    TurnCredential,
    channel_attribute,
    peer_attribute,
    relay_of,
    status_of,
)
from support.turn_program import SECRET
from turnnode.stun.attributes import Address
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, Method, decode

CLIENT, CLIENT_IPV6 = "192.0.2.1", "2001:db8:a::1"
NODE, NODE_IPV6 = "192.0.2.2", "2001:db8:a::2"
RELAY, RELAY_IPV6 = "198.51.100.1", "2001:db8:b::1"
PEER, PEER_IPV6 = "198.51.100.2", "2001:db8:b::2"
PORT = 3478
METRICS_PORT = 9478
SOON_SECONDS = 5
CLONE_NEWNET = 0x40000000
SIOCGIFHWADDR, SIOCETHTOOL, SET_CHECKSUM, SET_GRO = 0x8927, 0x8946, 0x17, 0x2C

ResultT = TypeVar("ResultT")


class NamespaceTakenError(Exception):
    """A namespace of the wanted name is somebody else's, or a killed run's; the text says what to do."""


@dataclass(frozen=True, slots=True)
class KernelNetwork:
    """The namespaces of one test, and the sockets in them, which end with it."""

    name: str
    sockets: ExitStack

    def inside(self, host: str, function: Callable[[], ResultT]) -> ResultT:
        """Call a function with a host's network: `client`, `turn` or `peer`."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(f"{self.name}-{host}",)) as executor:
            return executor.submit(function).result()

    def ip(self, host: str, *arguments: str) -> None:
        """Run ip(8) on a host."""
        _ip("-n", f"{self.name}-{host}", *arguments)

    def bind(self, host: str, address: Address) -> socket.socket:
        """Open a UDP socket on a host."""

        def bound() -> socket.socket:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.bind(address)
            opened.settimeout(SOON_SECONDS)
            return opened

        return self.sockets.enter_context(self.inside(host, bound))

    def be_like_cards(self) -> None:
        """Have the ends of the cables be like real cards: sums are in packets, frames of XDP are taken."""
        for host, device in (("client", "c0"), ("peer", "p0")):
            self.inside(host, partial(_set_offload, device, SET_CHECKSUM, 0))
            self.set_receive_offload(host, device)

    def set_receive_offload(self, host: str, device: str) -> None:
        """Have a device collect what it receives (GRO); that also gives a cable's end a thread of its own."""
        self.inside(host, partial(_set_offload, device, SET_GRO, 1))

    def link_address(self, host: str, device: str) -> bytes:
        """Tell the address of a device on its link."""

        def read() -> bytes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                answer = fcntl.ioctl(asking, SIOCGIFHWADDR, struct.pack("40s", device.encode()))
            return answer[18:24]

        return self.inside(host, read)


@contextmanager
def open_kernel_network(name: str) -> Iterator[KernelNetwork]:
    """Make the namespaces and the cables, and remove afterwards what was made here, and nothing else.

    Raises:
        NamespaceTakenError: There is a namespace of that name already.
    """
    sockets = ExitStack()
    network = KernelNetwork(name, sockets)
    hosts = ("client", "turn", "peer")
    with ExitStack() as made:
        for host in hosts:
            made.enter_context(_namespace(f"{name}-{host}"))
            _ip("-n", f"{name}-{host}", "link", "set", "lo", "up")
        # The node's ends come up first: else nothing is forwarded to a peer on some kernels.
        _lay("turn", "t0", "client", "c0", name)
        _lay("turn", "t1", "peer", "p0", name)
        for host, device, ipv4, ipv6 in (
            ("turn", "t0", NODE, NODE_IPV6),
            ("client", "c0", CLIENT, CLIENT_IPV6),
            ("turn", "t1", RELAY, RELAY_IPV6),
            ("peer", "p0", PEER, PEER_IPV6),
        ):
            namespace = f"{name}-{host}"
            _ip("-n", namespace, "addr", "add", f"{ipv4}/24", "dev", device)
            _ip("-n", namespace, "addr", "add", f"{ipv6}/64", "dev", device, "nodad")
            _ip("-n", namespace, "link", "set", device, "up")
        with sockets:
            yield network


@contextmanager
def mounted_bpf(directory: Path, options: str = "mode=0700") -> Iterator[Path]:
    """Mount a BPF file system of the test's own."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "bpf", "-o", options, "bpf", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


class KernelNode:
    """The daemon in the namespace `turn`, under a service manager; `become` is put before its command."""

    def __init__(
        self,
        network: KernelNetwork,
        directory: Path,
        *,
        become: Sequence[str] = (),
        python: str = sys.executable,
        **settings: str,
    ) -> None:
        self.network = network
        nsenter = shutil.which("nsenter")
        assert nsenter is not None
        namespace = f"--net=/var/run/netns/{network.name}-turn"
        self._program = (nsenter, namespace, "--", *become, python, turn_program.__file__)
        environment = {
            "STATE_DIRECTORY": str(directory / "state"),
            "LISTEN_ADDRESSES": f"{NODE},{NODE_IPV6}",
            "RELAY_ADDRESSES": f"{RELAY},{RELAY_IPV6}",
            "PUBLIC_NAME": NODE,
            "PEER_ALLOW": "198.51.100.0/24,2001:db8:b::/64",
            "METRICS_PORT": str(METRICS_PORT),
            **settings,
        }
        self.manager = FakeSystemd(
            directory, environment={f"TURNNODE_{name}": value for name, value in environment.items()}
        )

    def __enter__(self) -> Self:
        self.manager.__enter__()
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.manager.__exit__(*reason)

    def start(self) -> None:
        """Start the daemon with what is left of a former one."""
        self.manager.start(*self._program, "serve")

    def kill(self) -> None:
        """Kill the daemon."""
        self.manager.kill()

    def take_over(self, **settings: str) -> None:
        """Have another process take the place of the daemon, perhaps with other settings."""
        changed = {f"TURNNODE_{name}": value for name, value in settings.items()}
        self.manager.messages.clear()
        assert self.manager.reload(*self._program, "take-over", **changed) == 0, self.manager.read_log()
        self.manager.wait_for("READY=1")

    def read_figure(self, name: str) -> float:
        """Read a metric."""

        def read() -> str:
            with urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=SOON_SECONDS) as answer:
                return str(answer.read().decode())

        text = self.network.inside("turn", read)
        for line in text.splitlines():
            if line.startswith((f"turnnode_{name} ", f"turnnode_{name}_total ")):
                return float(line.split()[1])
        raise AssertionError(f"there is no figure {name} in {text}")


class KernelClient:
    """A client of the node, on a plain socket."""

    def __init__(self, network: KernelNetwork, local: Address, server: Address) -> None:
        self.socket = network.bind("client", local)
        self.server = server
        self.writer = RequestWriter(TurnCredential.made(SECRET, time.time() + 3600 + local[1]))

    def ask(self, method: int, *attributes: Attribute, transaction_id: bytes | None = None) -> Message:
        """Send a request and return its answer, after answering a challenge."""
        while True:
            request = self.writer.write(method, *attributes, transaction_id=transaction_id)
            self.socket.sendto(request, self.server)
            answer = decode(self.socket.recv(2048))
            if not self.writer.learns_from(answer):
                return answer

    def allocate(self, *attributes: Attribute) -> Address:
        """Return the relayed address."""
        answer = self.ask(Method.ALLOCATE, UDP, *attributes)
        assert status_of(answer) == 200, status_of(answer)
        return relay_of(answer)

    def bind(self, number: int, peer: Address) -> None:
        """Bind a channel."""
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        attributes = channel_attribute(number), peer_attribute(peer, transaction_id)
        answer = self.ask(Method.CHANNEL_BIND, *attributes, transaction_id=transaction_id)
        assert status_of(answer) == 200, status_of(answer)

    def send(self, number: int, data: bytes) -> None:
        """Send ChannelData."""
        self.socket.sendto(number.to_bytes(2) + len(data).to_bytes(2) + data, self.server)

    def receive(self) -> bytes:
        """Receive a datagram."""
        return self.socket.recv(4096)


def _set_offload(device: str, command: int, value: int) -> None:
    """Set an offload of a device of this thread's network. Source: include/uapi/linux/ethtool.h."""
    wanted = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sQ16x", device.encode(), ctypes.addressof(wanted))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, SIOCETHTOOL, request)


def _lay(host: str, device: str, other: str, other_device: str, name: str) -> None:
    _ip(
        *("link", "add", device, "netns", f"{name}-{host}", "type", "veth"),
        *("peer", "name", other_device, "netns", f"{name}-{other}"),
    )
    subprocess.run(
        [
            "ip",
            "netns",
            "exec",
            f"{name}-{other}",
            "sysctl",
            "-qw",
            f"net.ipv6.conf.{other_device}.accept_dad=0",
        ],
        check=True,
    )


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    """Make a namespace, and remove it afterwards."""
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if "File exists" in made.stderr:
        raise NamespaceTakenError(
            f"the namespace {name} is there already: wait for the run that has made it, or if that was "
            f"killed, remove it by `ip netns del {name}`"
        )
    made.check_returncode()
    try:
        yield
    finally:
        _ip("netns", "del", name)


def _enter(name: str) -> None:
    """Move this thread into a network namespace. Source: setns(2), which holds for one thread."""
    with Path("/var/run/netns", name).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
