"""Two replicas of one control plane as processes: one PostgreSQL database, one master key, one certificate.

They listen on two addresses of loopback and one port, as a name that has two addresses. Clients and nodes of
theirs are also those of a control plane that stands alone.
"""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from subprocess import Popen

import httpx2
from sqlmodel import select

from controlplane.admins.audit_models import Action, AuditEntry
from controlplane.operations.models import NodeOperation
from controlplane.plane import Plane, open_plane
from controlplane.registration.token_models import RegistrationToken
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
SOON_SECONDS = 40
FIRST_MESSAGE_BYTES = 1 << 25


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


def open_client(installation: Installation, plane: Plane, address: str, token: str) -> httpx2.AsyncClient:
    """Open a client of the replica at an address."""
    context = build_client_context(plane.read_tls_pin())
    headers = {"authorization": f"Bearer {token}"}
    url = f"https://{address}:{installation.port}/api/v1"
    return httpx2.AsyncClient(base_url=url, headers=headers, verify=context, timeout=10)


async def make_changes(clients: list[httpx2.AsyncClient], number: int) -> None:
    """Make a token, let messages of an account go, change the policy; where none answers, ask the next."""
    headers = {"idempotency-key": f"change-{number}"}
    async with asyncio.timeout(SOON_SECONDS):
        for client in cycle(clients[number % len(clients) :] + clients[: number % len(clients)]):
            try:
                made = await client.post(
                    "/registration-tokens", json={"comment": str(number)}, headers=headers
                )
                assert made.status_code == 201, made.text
                path = f"/nodes/mail1/accounts/user{number}@mail1.example.org/purge"
                order = {"idempotency-key": f"order-{number}"}
                wanted = await client.post(path, json={"what": "all"}, headers=order)
                policy = {"message_bytes": FIRST_MESSAGE_BYTES + number}
                changed = await client.patch("/policy", json=policy, headers={"if-match": "*"})
            except httpx2.TransportError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            assert wanted.status_code == 202, wanted.text
            assert changed.status_code == 200, changed.text
            return


def count_waiting(plane: Plane) -> int:
    """Count the operations that no node has acknowledged."""
    with plane.sessions() as session:
        return sum(row.acknowledged_at_seconds is None for row in session.exec(select(NodeOperation)))


def check_changes(plane: Plane, count: int, done: Mapping[str, int]) -> None:
    """Check that each of so many changes was made, and none twice.

    A PATCH whose answer was lost is sent again and may set the same value again.
    """
    with plane.sessions() as session:
        made = Counter(row.comment for row in session.exec(select(RegistrationToken)))
        audited = Counter(row.action for row in session.exec(select(AuditEntry)))
        policies = [
            json.loads(row.after or "{}")["message_bytes"]
            for row in session.exec(select(AuditEntry))
            if row.action == Action.FLEET_POLICY_CHANGE
        ]
        operations = len(session.exec(select(NodeOperation)).all())
    assert done == {f"user{number}@mail1.example.org": 1 for number in range(count)}
    assert operations == count
    assert set(policies) == {FIRST_MESSAGE_BYTES + number for number in range(count)}
    assert audited[Action.MAIL_PURGE] == count
    assert made == {str(number): 1 for number in range(count)}
    assert audited[Action.REGISTRATION_TOKEN_CREATE] == count


@asynccontextmanager
async def follow(
    installation: Installation, plane: Plane, name: str, addresses: tuple[str, ...] = (FIRST, SECOND)
) -> AsyncIterator[FollowingNode]:
    """Run a node that keeps a channel to each address."""
    node = _build(installation, plane, name, add_node(plane, name))
    node.agent.restore()
    tasks = [asyncio.create_task(_keep(node.agent, address)) for address in addresses]
    try:
        yield node
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _build(installation: Installation, plane: Plane, name: str, key: PrivateKey) -> FollowingNode:
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
        url=installation.url,
        trusted_keys=plane.keys.trusted,
        tls_pin=pin,
    )
    agent = NodeAgent(
        files=NodeFiles(installation.directory / name),
        identity=key,
        enrolment=enrolment,
        software_version="test",
        apply=apply,
        read_report=lambda revision: make_report(applied_revision=revision),
        build_tls=lambda: build_client_context(pin),
        operations={"purge_mail": note},
    )
    return FollowingNode(agent, done, states)


async def _keep(agent: NodeAgent, address: str) -> None:
    me = asyncio.current_task()
    while me is None or not me.cancelling():
        with suppress(OSError, ExceptionGroup, TimeoutError):
            await Connection(agent, address).run()
        await asyncio.sleep(PAUSE_SECONDS)
