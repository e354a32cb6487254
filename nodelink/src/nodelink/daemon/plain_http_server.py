"""Serve plain HTTP on port 80, so that authorities can check who we are and people find HTTPS.

For: control plane and mail nodes, which hand in their origin and the directory that an ACME client fills.
Not for: what is answered (plain_http.py).

    made ─▶ reading ──head is complete or refused──▶ answered ─▶ closed by the client
               │ head_seconds                           │ farewell_seconds
               ▼                                        ▼
            aborted                                  aborted

When there are too many, the oldest gives way: whoever has something to ask does so at once.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from nodelink.daemon.plain_http import (
    RefusedRequestError,
    check_origin,
    find_token,
    read_request,
    write_challenge,
    write_redirect,
    write_refusal,
)

MAX_CHALLENGE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one client, or all of them, may take.

    head_seconds: from the start of a connection to the end of the request's head.
    farewell_seconds: from the answer until the client has closed.
    """

    head_seconds: float = 10
    farewell_seconds: float = 3
    max_connections: int = 256


class PlainHttpServer:
    """All connections of port 80; ends them when the stack that it was started on unwinds.

    Raises:
        BadOriginError: No redirect can name `origin`.
    """

    def __init__(self, origin: str, challenges: Path | None, *, bounds: Bounds | None = None) -> None:
        self._origin = check_origin(origin)
        self._challenges = challenges
        self.bounds = bounds or Bounds()
        self._open: dict[_Connection, None] = {}  # in the order in which they came

    async def start(self, stack: AsyncExitStack, sockets: Sequence[socket.socket]) -> None:
        """Serve on listening sockets until the stack unwinds."""
        loop = asyncio.get_running_loop()
        stack.callback(self._end)
        for listener in sockets:
            server = await loop.create_server(lambda: _Connection(self), sock=listener)
            stack.callback(server.close)

    def answer(self, received: bytes) -> bytes | None:
        """Answer what has come in on a connection; `None` while more must come."""
        try:
            request = read_request(received)
        except RefusedRequestError as error:
            return write_refusal(error.status)
        if request is None:
            return None
        token = find_token(request)
        if token is None:
            return write_redirect(request, self._origin)
        return write_challenge(request, self._read_challenge(token))

    def admit(self, connection: "_Connection") -> None:
        """Take a connection in, and end the oldest where there are too many."""
        if len(self._open) >= self.bounds.max_connections:
            next(iter(self._open)).abort()
        self._open[connection] = None

    def forget(self, connection: "_Connection") -> None:
        """Leave out a connection that is over."""
        self._open.pop(connection, None)

    def _read_challenge(self, token: str) -> bytes | None:
        if self._challenges is None or not token:
            return None
        try:
            # Neither through a link nor waiting at a pipe: only what the ACME client itself wrote.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._challenges / token, flags)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_CHALLENGE_BYTES:
                return None
            return os.read(descriptor, MAX_CHALLENGE_BYTES)
        finally:
            os.close(descriptor)

    def _end(self) -> None:
        for connection in list(self._open):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection: one request, one answer."""

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle

    def __init__(self, server: PlainHttpServer) -> None:
        self._server = server
        self._received: bytearray | None = bytearray()  # None once there is an answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP has both ways
        self._transport = transport
        self._wait(self._server.bounds.head_seconds)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        if self._received is None:
            return  # the rest is read and dropped, because a reset would take the answer away from the client
        self._received += data
        answer = self._server.answer(bytes(self._received))
        if answer is None:
            return
        self._received = None
        self._transport.write(answer)
        self._transport.write_eof()
        self._deadline.cancel()
        self._wait(self._server.bounds.farewell_seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        self._deadline.cancel()
        self._server.forget(self)

    def abort(self) -> None:
        """End it now."""
        self._server.forget(self)
        self._transport.abort()

    def _wait(self, seconds: float) -> None:
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)
