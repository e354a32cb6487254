"""Speak HTTP on a connection that somebody else has accepted.

For: the multiplexer, which calls `build_protocol` once TLS is up; uvicorn's h11 protocol does the talking.
Not for: listening, TLS, or uvicorn's own server with its signals and sockets.

Why h11 and not httptools: h11 bounds the size of a request's head, which httptools does not.

Every state of a connection has a deadline, so that a client can hold it only by using it:

    made ─▶ idle ──first byte──▶ in a request ──last byte of the answer──▶ idle ─▶ …
             │ keep_alive_seconds     │ request_seconds
             ▼                        ▼
           closed                  aborted
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MAX_HEAD_BYTES: Final = 16_384
BUSY_ANSWER: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one client, or all of them, may take.

    request_seconds: from the first byte of a request to the last byte of its answer.
    keep_alive_seconds: between requests, and before the first one.
    grace_seconds: what open requests get to finish when the node stops.
    """

    request_seconds: float = 30
    keep_alive_seconds: float = 30
    grace_seconds: float = 5
    max_connections: int = 4096


class HttpServer:
    """All HTTP connections of a node; ends them when the stack that it was started on unwinds."""

    def __init__(self, app: ASGIApp, *, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._state = ServerState()
        self._config = Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",  # uvicorn warns about every malformed request, and those are not ours to mend
            access_log=False,  # it would log the addresses of visitors
            proxy_headers=False,  # no proxy stands in front: whoever sends X-Forwarded-For makes it up
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._config.load()

    async def start(self, stack: AsyncExitStack) -> None:
        """Be ready to end politely: open requests are answered, idle connections closed."""
        stack.push_async_callback(self._end)

    def build_protocol(self) -> asyncio.Protocol:
        """Build the protocol of one new connection."""
        return _BoundedProtocol(self._config, self._state, self._bounds)

    async def _end(self) -> None:
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=self._bounds.grace_seconds)
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()


class _BoundedProtocol(H11Protocol):
    """uvicorn's protocol with a deadline in every state and a limit on connections."""

    def __init__(self, config: Config, state: ServerState, bounds: Bounds) -> None:
        super().__init__(config, state, {})
        self._bounds = bounds
        self._is_idle = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self._bounds.max_connections:
            transport.write(BUSY_ANSWER)
            transport.close()
        self._renew_deadline()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # malformed data while the answer is on its way: too late for a 400
            self.transport.abort()
        if self._is_idle != self._judge_idle():
            self._renew_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._renew_deadline()

    def shutdown(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._deadline is not None:
            self._deadline.cancel()

    def _judge_idle(self) -> bool:
        """Tell whether nothing has come in that awaits an answer, not even a part of it."""
        unread, _ = self.conn.trailing_data
        return self.conn.their_state is h11.IDLE and not unread

    def _renew_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._is_idle = self._judge_idle()
        if self._is_idle:
            self._deadline = self.loop.call_later(self._bounds.keep_alive_seconds, self.transport.close)
        else:
            self._deadline = self.loop.call_later(self._bounds.request_seconds, self.transport.abort)
