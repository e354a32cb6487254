"""One node's channel, from hello to its end.

    hello ──▶ listen ◀─▶ reports, answers, done                       until the node leaves,
          └─▶ follow  ──▶ key changes, desired state, operations      or is told to (`end`)

For: one WebSocket that was admitted (door.py).
Not for: knowing all channels (hub.py), nor for what is owed to a node (desk.py).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from secrets import token_urlsafe
from typing import assert_never

import structlog
from pydantic import BaseModel, JsonValue
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from controlplane.errors import NodeNotConnectedError, NodeRefusedError, NodeSilentError
from controlplane.nodes.errands import Inquiry
from controlplane.nodes.work import ChannelWork
from controlplane.rate_limit import RateLimit
from nodelink.contract.errors import MalformedError
from nodelink.contract.frames import (
    MAX_KEY_CHANGES,
    Answer,
    Desired,
    Done,
    FromNode,
    Hello,
    KeyChanges,
    OperationFrame,
    Query,
    ReportFrame,
    SiblingsWanted,
    read_frame_from_node,
)
from nodelink.contract.reports import Report

DEADLINE_SECONDS = 10.0
REPEAT_SECONDS = 10.0
"""How often an operation that was not acknowledged is sent again."""
MAX_OPEN_QUERIES = 64
FRAMES_PER_SECOND, FRAME_BURST = 50, 200
REPORTS_PER_SECOND, REPORT_BURST = 2, 10
LISTS_PER_MINUTE, LIST_BURST = 12, 3
"""A list of siblings is large."""
COMPLAINT_SECONDS = 10
"""How often one node's nonsense is worth a line in the log."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Ending(IntEnum):
    """Why a channel is closed. Source: RFC 6455 section 7.4.2, 4000-4999 are for private use."""

    REPLACED = 4000
    NO_HELLO = 4400
    RETIRED = 4401
    TOO_MANY_FRAMES = 4429


class ChannelEndedError(Exception):
    """The channel is over; `ending` is `None` if the node has left."""

    def __init__(self, ending: Ending | None = None) -> None:
        super().__init__()
        self.ending = ending


@dataclass(slots=True, eq=False)
class Channel:
    """A channel.

    `on_news` is called when a report concerns other nodes, `on_done` when an operation is acknowledged.
    """

    node: str
    public_key: str
    websocket: WebSocket
    work: ChannelWork
    on_news: Callable[[], None]
    on_done: Callable[[Done], None]
    _sent_revision: int = field(init=False, default=0)
    _sent_at: float = field(init=False, default=0.0)
    _trusted: tuple[str, ...] = field(init=False, default=())
    _reads_sibling_list: bool = field(init=False, default=False)
    _sent_changes: dict[str, float] = field(init=False, default_factory=dict)
    _sent_operations: dict[str, float] = field(init=False, default_factory=dict)
    _queries: "dict[str, asyncio.Future[Answer]]" = field(init=False, default_factory=dict)
    _kicked: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _told: "asyncio.Future[Ending]" = field(init=False)
    _frames: RateLimit = field(init=False)
    _reports: RateLimit = field(init=False)
    _lists: RateLimit = field(init=False)
    _complaints: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self._told = asyncio.get_running_loop().create_future()
        self._frames = RateLimit(events=FRAMES_PER_SECOND, period_seconds=1, burst=FRAME_BURST)
        self._reports = RateLimit(events=REPORTS_PER_SECOND, period_seconds=1, burst=REPORT_BURST)
        self._lists = RateLimit(events=LISTS_PER_MINUTE, period_seconds=60, burst=LIST_BURST)
        self._complaints = RateLimit(events=1, period_seconds=COMPLAINT_SECONDS, burst=3)

    def kick(self) -> None:
        """Look at once for what the node is owed."""
        self._kicked.set()

    def end(self, ending: Ending) -> None:
        """Close the channel soon."""
        if not self._told.done():
            self._told.set_result(ending)

    async def run(self) -> None:
        """Speak with the node until either side ends it."""
        ending: Ending | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._await_end())
                hello = await self._read_hello()
                await self.work.hellos.join((self.node, hello.applied_revision, hello.trusted_keys))
                self._sent_revision, self._trusted = hello.applied_revision, hello.trusted_keys
                self._reads_sibling_list = hello.reads_sibling_list
                log.info("node connected", node=self.node, software_version=hello.software_version)
                group.create_task(self._follow())
                await self._listen()
        except* ChannelEndedError as errors:
            ending = _find_ending(errors)
        finally:
            for query in self._queries.values():
                if not query.done():
                    query.set_exception(ChannelEndedError())
        log.info("node left", node=self.node, ending=ending)
        await self._close(ending)

    async def ask(self, name: str, arguments: Mapping[str, JsonValue], timeout_seconds: float) -> JsonValue:
        """Ask the node something.

        Raises:
            NodeRefusedError: It cannot answer that.
            NodeSilentError: It did not answer in time, or too much is being asked already.
            NodeNotConnectedError: It left meanwhile.
        """
        if len(self._queries) >= MAX_OPEN_QUERIES:
            raise NodeSilentError(node=self.node, problem="too many open queries")
        query = Query(id=token_urlsafe(12), name=name, arguments=dict(arguments))
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queries[query.id] = answered
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._send(query)
                answer = await answered
        except TimeoutError as error:
            raise NodeSilentError(node=self.node, query=name) from error
        except ChannelEndedError as error:
            raise NodeNotConnectedError(node=self.node) from error
        finally:
            del self._queries[query.id]
        if answer.problem is not None:
            raise NodeRefusedError(node=self.node, query=name, problem=answer.problem)
        return answer.result

    async def _await_end(self) -> None:
        raise ChannelEndedError(await self._told)

    async def _read_hello(self) -> Hello:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                frame = await self._receive()
        except TimeoutError as error:
            raise ChannelEndedError(Ending.NO_HELLO) from error
        if not isinstance(frame, Hello):
            raise ChannelEndedError(Ending.NO_HELLO)
        return frame

    async def _listen(self) -> None:
        """Take in whatever the node says. Ends with ChannelEndedError only."""
        while True:
            frame = await self._receive()
            if frame is None:
                continue
            try:
                await self._take_in(frame)
            except (OperationalError, IntegrityError) as error:
                # The node will say it again: a report in seconds, an acknowledgement when it is asked again.
                # Integrity is at stake if it is retired at this very moment.
                log.warning("database busy", node=self.node, cause=str(error.orig))

    async def _take_in(self, frame: FromNode) -> None:
        match frame:
            case Hello():
                return  # said once too often; there is nothing in it
            case ReportFrame():
                await self._take_report(frame.report)
            case SiblingsWanted():
                await self._send_siblings(frame.digest)
            case Answer():
                query = self._queries.get(frame.id)
                if query is not None and not query.done():
                    query.set_result(frame)
            case Done():
                await asyncio.to_thread(self.work.desk.note_done, self.node, frame.operation, frame.problem)
                self.on_done(frame)
            case _:
                assert_never(frame)

    async def _take_report(self, report: Report) -> None:
        if not self._reports.admit(self.node):
            if self._complaints.admit(self.node):
                log.warning("node reports too often", node=self.node)
            return
        self._compare(report)
        if await self.work.reports.join((self.node, report)):
            self.on_news()

    def _compare(self, report: Report) -> None:
        """Send again what a node was sent some time ago and does not have, as when its disk was full."""
        now = asyncio.get_running_loop().time()
        if report.applied_revision != self._sent_revision and now - self._sent_at >= REPEAT_SECONDS:
            self._sent_revision = report.applied_revision
            self.kick()
        if report.trusted_keys != self._trusted:
            self._trusted = report.trusted_keys
            self.kick()

    async def _receive(self) -> FromNode | None:
        """Receive a frame; `None` for one that the contract does not know, as of a newer node."""
        try:
            message = await self.websocket.receive()
        except RuntimeError as error:  # it was closed from our side
            raise ChannelEndedError from error
        if message["type"] == "websocket.disconnect":
            raise ChannelEndedError
        if not self._frames.admit(self.node):
            raise ChannelEndedError(Ending.TOO_MANY_FRAMES)
        content = message.get("text") or message.get("bytes") or b""
        try:
            return read_frame_from_node(content)
        except MalformedError as error:
            if self._complaints.admit(self.node):
                log.warning("frame not understood", node=self.node, problem=str(error))
            return None

    async def _follow(self) -> None:
        """Send what the node is owed, at each kick and from time to time."""
        while True:
            self._kicked.clear()
            try:
                await self._send_errand()
            except OperationalError as error:
                log.warning("database busy", node=self.node, cause=str(error.orig))
            try:
                async with asyncio.timeout(REPEAT_SECONDS):
                    await self._kicked.wait()
            except TimeoutError:
                continue

    async def _send_errand(self) -> None:
        errand = await self.work.errands.join(
            Inquiry(self.node, self.public_key, self._sent_revision, self._trusted, self._reads_sibling_list)
        )
        if errand is None:
            raise ChannelEndedError(Ending.RETIRED)
        now = asyncio.get_running_loop().time()
        await self._send_key_changes(errand.key_changes, now)  # first: what comes next may need them
        if errand.document is not None:
            await self._send(Desired(document=errand.document))
            self._sent_revision, self._sent_at = errand.revision, now
            log.info("desired state sent", node=self.node, revision=errand.revision)
        sent_at = {id_: at for id_, at in self._sent_operations.items() if id_ in errand.operations}
        for id_, document in errand.operations.items():
            if now - sent_at.get(id_, -REPEAT_SECONDS) >= REPEAT_SECONDS:
                await self._send(OperationFrame(document=document))
                sent_at[id_] = now
        self._sent_operations = sent_at

    async def _send_key_changes(self, documents: Sequence[str], now: float) -> None:
        """Send the key changes that were not sent lately; what the node says meanwhile may be older."""
        sent_at = {document: at for document, at in self._sent_changes.items() if document in documents}
        due = [
            document
            for document in documents
            if now - sent_at.get(document, -REPEAT_SECONDS) >= REPEAT_SECONDS
        ]
        for start in range(0, len(due), MAX_KEY_CHANGES):
            await self._send(KeyChanges(documents=tuple(due[start : start + MAX_KEY_CHANGES])))
        self._sent_changes = sent_at | dict.fromkeys(due, now)

    async def _send_siblings(self, digest: str) -> None:
        """Send the list that a node lacks; if another one holds by now, the state that names it."""
        if not self._lists.admit(self.node):
            return  # it will ask again
        text = await self.work.lists.join(digest)
        if text is None:
            self.kick()
            return
        await self._send_text(text)
        log.info("siblings sent", node=self.node)

    async def _send(self, frame: BaseModel) -> None:
        await self._send_text(frame.model_dump_json())

    async def _send_text(self, text: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self.websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, TimeoutError) as error:
            raise ChannelEndedError from error

    async def _close(self, ending: Ending | None) -> None:
        if self.websocket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self.websocket.close(ending or 1000, ending.name.lower() if ending else None)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return  # the node has left first


def _find_ending(errors: BaseExceptionGroup[ChannelEndedError]) -> Ending | None:
    """Find why a channel ended; of several reasons, one that we gave."""
    endings = [error.ending for error in errors.exceptions if isinstance(error, ChannelEndedError)]
    return next((ending for ending in endings if ending is not None), None)
