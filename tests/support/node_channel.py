"""A node's agent, and a control plane that speaks the contract over real TLS, by default on loopback."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, JsonValue
from websockets.asyncio.server import Server, ServerConnection, serve

from nodelink.channel.agent import NodeAgent
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.connection import RefusedError
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.assertions import check_assertion
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.frames import FromNode, ReportFrame, read_frame_from_node
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.operations import VALID_FOR_SECONDS, Operation
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, MailNodeState, NodeKind, NodeState
from nodelink.daemon.tls import ServerCertificate, read_spki_pin
from support.clocks import until

CONTROL_KEY = PrivateKey.generate()
NEXT_KEY = PrivateKey.generate()
HTTPS_PORT = 443


def desired(revision: int, *, jit_enabled: bool = True, key: PrivateKey = CONTROL_KEY) -> str:
    trusted = (CONTROL_KEY.public.x, NEXT_KEY.public.x) if key is CONTROL_KEY else (key.public.x,)
    state = MailNodeState(
        registration_open=True, jit_enabled=jit_enabled, quota_bytes=1 << 30, message_bytes=1 << 25, turn=None
    )
    content: BaseModel = DesiredState(
        node="mail1", revision=revision, issued_at_seconds=0, trusted_keys=trusted, state=state
    )
    return sign_document(key, DocumentType.DESIRED_STATE, content)


def operation(
    identifier: str, arguments: dict[str, JsonValue], *, node: str = "mail1", age_seconds: int = 0
) -> str:
    issued_at_seconds = int(time.time()) - age_seconds
    content: BaseModel = Operation(
        id=identifier,
        node=node,
        name="remove",
        arguments=arguments,
        issued_at_seconds=issued_at_seconds,
        expires_at_seconds=issued_at_seconds + VALID_FOR_SECONDS,
    )
    return sign_document(CONTROL_KEY, DocumentType.OPERATION, content)


def altered(document: str) -> str:
    """Change one character in the middle of what was signed."""
    header, payload, signature = document.split(".")
    place = len(payload) // 2
    other = "A" if payload[place] != "A" else "B"
    return f"{header}.{payload[:place]}{other}{payload[place + 1 :]}.{signature}"


@dataclass
class ControlPlane:
    """Speaks the contract; records what it hears."""

    certificate: Path
    key: Path
    node_key: PublicKey
    port: int = 0
    address: str = "127.0.0.1"
    name: str = "localhost"
    heard: list[FromNode] = field(default_factory=list)
    channels: list[ServerConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.name}" if self.port == HTTPS_PORT else f"https://{self.name}:{self.port}"

    async def open(self) -> Server:
        context = ServerCertificate(self.certificate, self.key).build_context()
        server = await serve(self._talk, self.address, self.port, ssl=context)
        self.port = next(iter(server.sockets)).getsockname()[1]
        return server

    async def send(self, frame: BaseModel) -> None:
        await self.channels[-1].send(frame.model_dump_json())

    def last(self, kind: type[FromNode]) -> FromNode | None:
        return next((frame for frame in reversed(self.heard) if isinstance(frame, kind)), None)

    async def _talk(self, channel: ServerConnection) -> None:
        assert channel.request is not None
        bearer = channel.request.headers["authorization"].removeprefix("Bearer ")
        check_assertion(bearer, self.node_key, audience=self.url, now_seconds=int(time.time()))
        self.channels.append(channel)
        async for text in channel:
            self.heard.append(read_frame_from_node(text))


@dataclass
class Node:
    """A node with an agent; what it applied and did."""

    files: NodeFiles
    agent: NodeAgent
    states: list[NodeState]
    removed: list[JsonValue]


def make_node(files: NodeFiles, url: str, tls_pin: str) -> Node:
    states: list[NodeState] = []
    removed: list[JsonValue] = []

    async def remove(arguments: Mapping[str, JsonValue]) -> None:
        if "address" not in arguments:
            raise RefusedError("There is no address.")
        removed.append(arguments["address"])

    async def count(_: Mapping[str, JsonValue]) -> JsonValue:
        return {"accounts": 7}

    def read_report(revision: int) -> Report:
        return Report(
            kind=NodeKind.MAIL,
            software_version="0",
            applied_revision=revision,
            started_at_seconds=0,
            public_name="example.org",
            public_port=443,
            overrides=(),
            problems=(),
            figures={},
        )

    enrolment = Enrolment(
        node="mail1", kind=NodeKind.MAIL, url=url, trusted_keys=(CONTROL_KEY.public.x,), tls_pin=tls_pin
    )
    agent = NodeAgent(
        files=files,
        identity=files.load_identity(),
        enrolment=enrolment,
        software_version="0",
        apply=states.append,
        read_report=read_report,
        build_tls=lambda: build_client_context(tls_pin),
        queries={"count": count},
        operations={"remove": remove},
    )
    return Node(files, agent, states, removed)


@asynccontextmanager
async def connected(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[tuple[Node, Server]]:
    async with AsyncExitStack() as stack:
        server = await control_plane.open()
        stack.callback(server.close)
        pin = read_spki_pin(control_plane.certificate)
        node = make_node(NodeFiles(tmp_path / "node"), control_plane.url, pin)
        node.agent.restore()
        await node.agent.start(stack)
        await until(lambda: control_plane.last(ReportFrame) is not None)
        yield node, server


def reported(control_plane: ControlPlane) -> int:
    frame = control_plane.last(ReportFrame)
    assert isinstance(frame, ReportFrame)
    return frame.report.applied_revision
