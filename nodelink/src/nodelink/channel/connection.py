"""One connection to one address of the control plane.

For: agent.py, which keeps one of these for each address.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never
from urllib.parse import urlsplit

import structlog
from pydantic import JsonValue
from websockets.asyncio.client import ClientConnection, connect

from nodelink.contract.assertions import make_assertion
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.errors import ContractError
from nodelink.contract.frames import (
    MAX_FRAME_BYTES,
    MAX_PROBLEM_CHARACTERS,
    Answer,
    Desired,
    Done,
    FromControlPlane,
    FromNode,
    Hello,
    KeyChanges,
    OperationFrame,
    Query,
    ReportFrame,
    Siblings,
    SiblingsWanted,
    read_frame_from_control_plane,
)
from nodelink.contract.keys import PrivateKey
from nodelink.contract.reports import Report
from nodelink.daemon.complaints import Complaints

REPORT_SECONDS = 5
DEADLINE_SECONDS = 10
HANDSHAKE_SECONDS = 40
"""A control plane to which a large fleet comes back at once takes so long; whoever gives up costs it more."""
QUERY_SECONDS = 20
ASK_AGAIN_SECONDS = 30
"""A list of siblings is large, and may be long on its way to a fleet that comes back at once."""
HTTPS_PORT = 443
MAX_AT_ONCE = 64
"""How many questions and operations are at work at once; more of them are dropped, and may be asked again."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class RefusedError(Exception):
    """Whatever cannot be done or answered, ever; the text is told to the control plane."""


class Follower(Protocol):
    """What a connection needs of the agent."""

    identity: PrivateKey
    enrolment: Enrolment
    software_version: str
    applied_revision: int
    connected: set[str]
    complaints: Complaints

    def build_tls(self) -> ssl.SSLContext:
        """Build the context for one connection."""

    def read_report(self, revision: int, /) -> Report:
        """Tell how the node is."""

    def tell_trusted_keys(self) -> tuple[str, ...]:
        """Tell which keys of the control plane are trusted now."""

    async def accept_state(self, document: str) -> None:
        """Check, keep and apply a desired state."""

    def tell_lacking_siblings(self) -> str | None:
        """Tell the digest of the list of siblings that must be asked for."""

    async def accept_siblings(self, document: str) -> None:
        """Check, keep and apply a list of siblings."""

    async def follow_key_changes(self, documents: Sequence[str], /) -> None:
        """Trust the keys to which a chain of key changes leads."""

    async def carry_out(self, document: str) -> tuple[str, str | None]:
        """Carry out an operation once."""

    async def answer(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """Answer a question."""


@dataclass(slots=True)
class Connection:
    """A connection, from opening to its end."""

    follower: Follower
    address: str
    _at_work: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _asked: tuple[str, float] = field(init=False, default=("", 0.0))
    _operations: set[str] = field(init=False, default_factory=set)  # documents of those at work

    async def run(self) -> None:
        """Open the channel and follow it until it breaks; whatever ends it is raised."""
        enrolment = self.follower.enrolment
        target = urlsplit(enrolment.url)
        assertion = make_assertion(
            self.follower.identity, node=enrolment.node, audience=enrolment.url, now_seconds=int(time.time())
        )
        tls = await asyncio.to_thread(self.follower.build_tls)  # reading all the CAs takes 25 ms
        async with connect(
            f"wss://{target.netloc}/api/v1/channel",
            sock=await _open_socket(self.address, target.port or HTTPS_PORT),
            ssl=tls,
            server_hostname=target.hostname,
            additional_headers={"authorization": f"Bearer {assertion}"},
            max_size=MAX_FRAME_BYTES,
            open_timeout=HANDSHAKE_SECONDS,
            ping_interval=DEADLINE_SECONDS,
            ping_timeout=DEADLINE_SECONDS,
            compression=None,
            proxy=None,
        ) as channel:
            self.follower.connected.add(self.address)
            try:
                await self._follow(channel)
            finally:
                self.follower.connected.discard(self.address)

    async def _follow(self, channel: ClientConnection) -> None:
        log.info("control plane connected")
        hello = Hello(
            applied_revision=self.follower.applied_revision,
            software_version=self.follower.software_version,
            trusted_keys=self.follower.tell_trusted_keys(),
            reads_sibling_list=True,
        )
        await _send(channel, hello)
        async with asyncio.TaskGroup() as group:
            self._begin(group, self._report(channel))
            async for text in channel:
                try:
                    frame = read_frame_from_control_plane(text)
                except ContractError as error:
                    self.follower.complaints.warning("frame not understood", problem=str(error))
                    continue
                await self._act(channel, frame, group)
            # Nobody is left to hear an answer, and the next connection must not wait for one.
            for task in self._at_work:
                task.cancel()

    async def _act(
        self, channel: ClientConnection, frame: FromControlPlane, group: asyncio.TaskGroup
    ) -> None:
        match frame:
            case Desired():
                await self._take("desired state refused", self.follower.accept_state(frame.document))
                await self._send_report(channel)
                await self._ask_for_siblings(channel)
            case Siblings():
                await self._take("siblings refused", self.follower.accept_siblings(frame.document))
            case KeyChanges():
                await self._take("key change refused", self.follower.follow_key_changes(frame.documents))
                await self._send_report(channel)
            case OperationFrame():
                if frame.document in self._operations:
                    return  # it comes again until it is acknowledged
                if self._begin(group, self._operate(channel, frame.document)):
                    self._operations.add(frame.document)
            case Query():
                self._begin(group, self._answer(channel, frame))
            case _:
                assert_never(frame)

    async def _take(self, event: str, taking: Awaitable[None]) -> None:
        """Take a document in; one that is refused changes nothing."""
        try:
            await taking
        except (ContractError, OSError) as error:
            self._refuse(event, error)

    def _refuse(self, event: str, error: Exception) -> None:
        """Say in one line what was refused, and why."""
        self.follower.complaints.error(event, node=self.follower.enrolment.node, problem=str(error))

    def _begin(self, group: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> bool:
        if len(self._at_work) > MAX_AT_ONCE:  # the reports are one of them
            work.close()
            self.follower.complaints.warning("control plane asks too much at once", limit=MAX_AT_ONCE)
            return False
        task = group.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        return True

    async def _report(self, channel: ClientConnection) -> None:
        while True:
            await self._send_report(channel)
            await self._ask_for_siblings(channel)
            await asyncio.sleep(REPORT_SECONDS)

    async def _send_report(self, channel: ClientConnection) -> None:
        report = self.follower.read_report(self.follower.applied_revision)
        trusted_keys = self.follower.tell_trusted_keys()
        await _send(channel, ReportFrame(report=report.model_copy(update={"trusted_keys": trusted_keys})))

    async def _ask_for_siblings(self, channel: ClientConnection) -> None:
        """Ask for the list that is lacking, and again from time to time until it is there."""
        digest, now = self.follower.tell_lacking_siblings(), time.monotonic()
        asked, asked_at = self._asked
        if digest is None or (digest == asked and now - asked_at < ASK_AGAIN_SECONDS):
            return
        self._asked = digest, now
        await _send(channel, SiblingsWanted(digest=digest))

    async def _operate(self, channel: ClientConnection, document: str) -> None:
        try:
            operation, problem = await self.follower.carry_out(document)
        except ContractError as error:
            self._refuse("operation refused", error)
            return
        except Exception:
            log.exception("operation failed")  # it is not acknowledged, so it will come again
            return
        finally:
            self._operations.discard(document)
        await _send(channel, Done(operation=operation, problem=problem and problem[:MAX_PROBLEM_CHARACTERS]))

    async def _answer(self, channel: ClientConnection, query: Query) -> None:
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                result = await self.follower.answer(query.name, query.arguments)
            answer = Answer(id=query.id, result=result)
            if len(answer.model_dump_json()) > MAX_FRAME_BYTES:
                answer = Answer(id=query.id, problem="The answer is too long.")
        except TimeoutError:
            answer = Answer(id=query.id, problem="The node did not find the answer in time.")
        except RefusedError as error:
            answer = Answer(id=query.id, problem=str(error)[:MAX_PROBLEM_CHARACTERS])
        except Exception:
            log.exception("query failed", query=query.name)
            answer = Answer(id=query.id, problem="The node failed to answer; its log says why.")
        await _send(channel, answer)


async def resolve_addresses(url: str) -> frozenset[str]:
    """Resolve the control plane's name to all of its addresses. Raises: OSError."""
    target = urlsplit(url)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_SECONDS):
        found = await loop.getaddrinfo(target.hostname, target.port or HTTPS_PORT, type=socket.SOCK_STREAM)
    return frozenset(str(entry[4][0]) for entry in found)


async def _open_socket(address: str, port: int) -> socket.socket:
    """Connect to an address. Raises: OSError, TimeoutError; one that is cut off is soon tried again."""
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, place = (
        await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)  # noqa: FBT003 - the library's signature
        async with asyncio.timeout(DEADLINE_SECONDS):
            await loop.sock_connect(opened, place)
    except BaseException:
        opened.close()
        raise
    return opened


async def _send(channel: ClientConnection, frame: FromNode) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await channel.send(frame.model_dump_json())
