"""A node that speaks the contract over a WebSocket on loopback, as a test tells it to."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from nodelink.contract.assertions import make_assertion
from nodelink.contract.frames import (
    Desired,
    FromControlPlane,
    Hello,
    OperationFrame,
    Query,
    ReportFrame,
    read_frame_from_control_plane,
)
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.operations import Operation, open_operation
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, MailNodeState, TurnNodeState, open_desired_state
from support.controlplane_site import PUBLIC_URL

SOON_SECONDS = 10


@dataclass
class FakeNode:
    """One channel of a node."""

    name: str
    channel: ClientConnection
    trusted: tuple[PublicKey, ...]
    waiting: list[FromControlPlane] = field(default_factory=list)

    async def say(self, frame: BaseModel) -> None:
        await self.channel.send(frame.model_dump_json())

    async def greet(self, applied_revision: int = 0, trusted_keys: tuple[str, ...] = ()) -> None:
        """Say hello; without keys as a node of an older version does."""
        hello = Hello(applied_revision=applied_revision, software_version="0.1.0", trusted_keys=trusted_keys)
        await self.say(hello)

    async def report(self, report: Report) -> None:
        await self.say(ReportFrame(report=report))

    async def hear(self, within_seconds: float = SOON_SECONDS) -> FromControlPlane:
        async with asyncio.timeout(within_seconds):
            return read_frame_from_control_plane(await self.channel.recv())

    async def hear_state(self, within_seconds: float = SOON_SECONDS) -> DesiredState:
        frame = await self.hear(within_seconds)
        assert isinstance(frame, Desired), frame
        return open_desired_state(frame.document, self.trusted, self.name)

    async def hear_mail_state(self, within_seconds: float = SOON_SECONDS) -> MailNodeState:
        state = (await self.hear_state(within_seconds)).state
        assert isinstance(state, MailNodeState)
        return state

    async def hear_turn_state(self) -> TurnNodeState:
        state = (await self.hear_state()).state
        assert isinstance(state, TurnNodeState)
        return state

    async def hear_operation(self) -> Operation:
        frame = await self.hear()
        assert isinstance(frame, OperationFrame), frame
        return self.open(frame)

    def open(self, frame: OperationFrame) -> Operation:
        return open_operation(frame.document, self.trusted, self.name, int(time.time()))

    async def hear_query(self) -> Query:
        frame = await self.hear()
        assert isinstance(frame, Query), frame
        return frame

    async def hear_end(self) -> int | None:
        """Read until the control plane closes the channel; return its code."""
        async with asyncio.timeout(SOON_SECONDS):
            try:
                async for _ in self.channel:
                    continue
            except ConnectionClosedError:
                return self.channel.close_code
        return self.channel.close_code


def assert_identity(key: PrivateKey, name: str, audience: str = PUBLIC_URL) -> str:
    return make_assertion(key, node=name, audience=audience, now_seconds=int(time.time()))


@asynccontextmanager
async def open_node(
    port: int, name: str, key: PrivateKey, trusted: tuple[str, ...], assertion: str | None = None
) -> AsyncIterator[FakeNode]:
    bearer = assertion or assert_identity(key, name)
    async with connect(
        f"ws://127.0.0.1:{port}/api/v1/channel",
        additional_headers={"authorization": f"Bearer {bearer}"},
        compression=None,
        proxy=None,
    ) as channel:
        yield FakeNode(name, channel, tuple(PublicKey(x) for x in trusted))
