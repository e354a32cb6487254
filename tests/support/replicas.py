"""Two replicas of one control plane as processes: one PostgreSQL database, one master key, one certificate.

They listen on two addresses of loopback and one port, as a name that has two addresses.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import httpx2

from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.agent import NodeAgent
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.connection import Connection
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import MailNodeState, NodeKind, NodeState
from nodelink.daemon.settings import read_settings_or_exit
from support.controlplane_process import Installation, install
from support.controlplane_site import add_node, make_report
from support.postgresql import database_of

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Replicas:
    """Where the two are installed."""

    first: Installation
    second: Installation

    @contextmanager
    def open(self) -> Iterator[Plane]:
        """Open the control plane beside them."""
        with open_plane(read_settings_or_exit(ControlPlaneSettings, self.first.settings)) as plane:
            yield plane

    @contextmanager
    def start(self) -> Iterator[tuple["Popen[str]", "Popen[str]"]]:
        """Run both until the block ends."""
        with (
            self.first.start(self.first.directory / "first.log") as first,
            self.second.start(self.second.directory / "second.log") as second,
        ):
            yield first, second

    def open_client(self, plane: Plane, address: str, token: str) -> httpx2.AsyncClient:
        """Open a client of one of them."""
        context = build_client_context(plane.read_tls_pin())
        headers = {"authorization": f"Bearer {token}"}
        url = f"https://{address}:{self.first.port}/api/v1"
        return httpx2.AsyncClient(base_url=url, headers=headers, verify=context, timeout=10)


@dataclass
class FollowingNode:
    """A mail node with a channel to both; it counts how often it did each operation."""

    agent: NodeAgent
    done: dict[str, int] = field(default_factory=dict)
    states: list[MailNodeState] = field(default_factory=list)


def install_replicas(directory: Path) -> Replicas:
    """Install both; the second one gets the master key of the first, as an operator has to copy it."""
    url = database_of(directory)
    first = install(directory, database_url=f"'{url}'")
    with open_plane(read_settings_or_exit(ControlPlaneSettings, first.settings)):
        pass
    elsewhere = directory / "second"
    (elsewhere / "state").mkdir(parents=True, mode=0o700)
    shutil.copy(directory / "state" / "master-key", elsewhere / "state" / "master-key")
    lines = first.settings.read_text()
    lines = lines.replace(str(directory / "state"), str(elsewhere / "state"))
    lines = lines.replace(f"LISTEN_ADDRESSES={FIRST}", f"LISTEN_ADDRESSES={SECOND}")
    second = Installation(elsewhere, first.port)
    second.settings.write_text(lines)
    return Replicas(first, second)


@asynccontextmanager
async def follow(replicas: Replicas, plane: Plane, name: str) -> AsyncIterator[FollowingNode]:
    """Run a node that keeps a channel to each replica."""
    node = _build(replicas, plane, name, add_node(plane, name))
    node.agent.restore()
    tasks = [asyncio.create_task(_keep(node.agent, address)) for address in (FIRST, SECOND)]
    try:
        yield node
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _build(replicas: Replicas, plane: Plane, name: str, key: PrivateKey) -> FollowingNode:
    pin = plane.read_tls_pin()
    states: list[MailNodeState] = []
    done: dict[str, int] = {}

    def apply(state: NodeState) -> None:
        assert isinstance(state, MailNodeState)
        states.append(state)

    async def note(arguments: "object") -> None:
        assert isinstance(arguments, dict)
        address = str(arguments["address"])
        done[address] = done.get(address, 0) + 1

    enrolment = Enrolment(
        node=name,
        kind=NodeKind.MAIL,
        url=replicas.first.url,
        trusted_keys=plane.keys.trusted,
        tls_pin=pin,
    )
    agent = NodeAgent(
        files=NodeFiles(replicas.first.directory / name),
        identity=key,
        enrolment=enrolment,
        software_version="test",
        apply=apply,
        read_report=lambda revision: make_report(applied_revision=revision),
        build_tls=lambda: build_client_context(pin),
        operations={"change_quota": note},
    )
    return FollowingNode(agent, done, states)


async def _keep(agent: NodeAgent, address: str) -> None:
    me = asyncio.current_task()
    while me is None or not me.cancelling():
        with suppress(OSError, ExceptionGroup, TimeoutError):
            await Connection(agent, address).run()
        await asyncio.sleep(PAUSE_SECONDS)
