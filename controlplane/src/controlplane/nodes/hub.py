"""All channels that are open at this replica.

For: pushing changes to nodes as soon as there are any, and finding the channel of a node to ask it something.
Not for: what a channel says (channel.py).

    a request commits a change ──▶ wake() ─┐
    another process does ──▶ news or poll ─┴──▶ has the fleet's change count risen? ──▶ kick every channel

A kicked channel looks in the database for what its node is owed. News that are lost cost
one poll: half a second, or five where PostgreSQL tells of changes (news.py).
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Gauge
from pydantic import JsonValue
from sqlalchemy.exc import OperationalError
from starlette.websockets import WebSocket

from controlplane.errors import NodeNotConnectedError
from controlplane.nodes.channel import Channel, Ending
from controlplane.nodes.desk import Desk
from controlplane.nodes.news import follow_news
from controlplane.nodes.work import ChannelWork
from nodelink.contract.frames import Done
from nodelink.daemon.tasks import open_task_group

POLL_SECONDS = 0.5
SLOW_POLL_SECONDS = 5.0
TEND_SECONDS = 5.0
SIBLINGS_SECONDS = 1.0
LISTS_BYTES_PER_SECOND = 20_000_000
"""What lists of siblings may cost on average: each is sent to every mail node when one has moved."""
ASK_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, eq=False)
class ChannelHub:
    """The channels, by the name of their node and the address of ours that it has dialled.

    A node keeps a channel to each address of the control plane's name; two of them may lead to this replica.
    """

    desk: Desk
    registry: CollectorRegistry
    work: ChannelWork = field(init=False)
    _channels: dict[str, dict[str, Channel]] = field(init=False, default_factory=dict)
    _expected: "dict[tuple[str, str], asyncio.Future[Done]]" = field(init=False, default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)
    _poll_seconds: float = field(init=False, default=POLL_SECONDS)
    _siblings_due: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.work = ChannelWork(self.desk)

    async def start(self, stack: AsyncExitStack) -> None:
        """Look for changes until the stack unwinds."""
        self._loop = asyncio.get_running_loop()
        connected = Gauge(
            "controlplane_connected_nodes", "Nodes with a channel to this replica.", registry=self.registry
        )
        connected.set_function(lambda: len(self._channels))
        await asyncio.to_thread(self.desk.adopt_settings)
        await self.work.start(stack)
        spawn = await open_task_group(stack)
        spawn(self._watch_changes())
        spawn(self._renew_siblings())
        url = self.desk.plane.settings.database_url
        if url is not None:
            self._poll_seconds = SLOW_POLL_SECONDS
            spawn(follow_news(url.get_secret_value(), self.wake))
        spawn(self._tend())

    def wake(self) -> None:
        """Look for changes at once. May be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def serve(self, websocket: WebSocket, node: str, public_key: str) -> None:
        """Speak with a node that was admitted, instead of by an older channel to the same address."""
        channel = Channel(
            node, public_key, websocket, self.work, self._hear_news, partial(self._hear_done, node)
        )
        address = str((websocket.scope.get("server") or ("",))[0])
        former = self._channels.get(node, {}).pop(address, None)
        if former is not None:
            former.end(Ending.REPLACED)
        self._channels.setdefault(node, {})[address] = channel
        try:
            await channel.run()
        finally:
            channels = self._channels.get(node, {})
            if channels.get(address) is channel:
                del channels[address]
            if not channels:
                self._channels.pop(node, None)

    async def ask_node(
        self,
        node: str,
        name: str,
        arguments: Mapping[str, JsonValue] | None = None,
        timeout_seconds: float = ASK_SECONDS,
    ) -> JsonValue:
        """Ask a node something that it answers from what it knows.

        Raises:
            NodeNotConnectedError: It has no channel to this replica.
            NodeRefusedError: It cannot answer that.
            NodeSilentError: It did not answer in time.
        """
        channels = self._channels.get(node)
        if not channels:
            raise NodeNotConnectedError(node=node)
        return await next(reversed(channels.values())).ask(name, arguments or {}, timeout_seconds)

    def list_connected(self) -> frozenset[str]:
        """List the nodes that have a channel to this replica."""
        return frozenset(self._channels)

    @contextmanager
    def expect(self, node: str, operation: str) -> Iterator["asyncio.Future[Done]"]:
        """Listen for the acknowledgement of an operation that is about to be created for a node."""
        heard: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._expected[node, operation] = heard
        try:
            yield heard
        finally:
            del self._expected[node, operation]

    def _hear_news(self) -> None:
        self._siblings_due.set()
        self.wake()

    def _hear_done(self, node: str, done: Done) -> None:
        heard = self._expected.get((node, done.operation))
        if heard is not None and not heard.done():
            heard.set_result(done)

    async def _watch_changes(self) -> None:
        seen: int | None = None
        while True:
            try:
                count = await asyncio.to_thread(self.desk.read_change_count)
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))
            else:
                if count != seen:
                    seen = count
                    for channels in self._channels.values():
                        for channel in channels.values():
                            channel.kick()
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    async def _renew_siblings(self) -> None:
        """Tell mail nodes of one another: at once, and of many that come together in one go.

        In a large fleet that is much to send, and after a power cut every node may have news: the pauses grow
        with it. Should this replica die before, the next start of any does it, and so does the next change.
        """
        while True:
            await self._siblings_due.wait()
            self._siblings_due.clear()
            list_bytes = 0
            try:
                list_bytes = await asyncio.to_thread(self.desk.renew_siblings)
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))
                self._siblings_due.set()
            self.wake()
            due_bytes = list_bytes * len(self._channels)
            await asyncio.sleep(max(SIBLINGS_SECONDS, due_bytes / LISTS_BYTES_PER_SECOND))

    async def _tend(self) -> None:
        """See from time to time whether a TURN node has gone, or whether every node has the next key."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                if await asyncio.to_thread(self.desk.tend):
                    self.wake()
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))
