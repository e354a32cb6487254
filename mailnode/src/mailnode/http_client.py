"""Ask one thing of a server by HTTP/1.1, over connections that are kept.

For: uploads to siblings and peers, of which a busy node makes hundreds a second: a general client costs more
CPU than all else that happens to a message.
Not for: names (the caller says at which address the server is), redirects, proxies, or compressed answers.

    idle ── ask ──▶ busy ── whole answer, whole question sent ──▶ idle ── closed by them, too old ──▶ gone
                      └──── anything else ──▶ closed
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import h11

CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 25.0
"""Less than most servers wait for another request, or requests would meet connections that just close."""
CONNECTIONS_PER_SITE = 8
POOL_SECONDS = 60.0
JOINED_BYTES = 65_536
"""Up to here, a question is handed to TLS in one piece."""

Headers = Sequence[tuple[str, str]]


class HttpError(Exception):
    """There is no whole answer."""


class ConnectError(HttpError):
    """No connection: nothing was asked."""


class BrokenAnswerError(HttpError):
    """The connection ended early, or what came is no HTTP."""


class TooLongError(HttpError):
    """The answer is longer than anybody would read."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `host` is what the server is called."""

    method: str
    path: str
    host: str
    headers: Headers = ()
    content: bytes = field(default=b"", repr=False)


@dataclass(slots=True, eq=False, kw_only=True)
class Site:
    """One server, with the connections to it. `tls` is `None` for plain HTTP; `name` is to be proved."""

    port: int
    name: str
    tls: ssl.SSLContext | None
    source_address: str | None = None
    max_answer_bytes: int = 65_536
    _idle: list["_Connection"] = field(init=False, default_factory=list)
    _room: asyncio.Semaphore = field(
        init=False, default_factory=lambda: asyncio.Semaphore(CONNECTIONS_PER_SITE)
    )
    _is_closed: bool = field(init=False, default=False)

    async def ask(self, address: str, question: Question) -> tuple[int, bytes]:
        """Ask the server at an address; return status and content.

        Raises:
            HttpError: There is no whole answer.
        """
        try:
            async with asyncio.timeout(POOL_SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise ConnectError("all connections are busy") from error
        try:
            connection = self._find_idle(address) or await self._connect(address)
            try:
                return await connection.ask(question)
            finally:
                self._put_back(connection)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close what is idle now; what is busy is closed after its answer."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _find_idle(self, address: str) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.address == address and connection.is_usable():
                return connection
            connection.close()
        return None

    def _put_back(self, connection: "_Connection") -> None:
        if self._is_closed or not connection.begin_again():
            connection.abort()
        else:
            self._idle.append(connection)

    async def _connect(self, address: str) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: _Connection(address, self.max_answer_bytes),
                    address,
                    self.port,
                    ssl=self.tls,
                    server_hostname=self.name if self.tls else None,
                    local_addr=(self.source_address, 0) if self.source_address else None,
                )
        except TimeoutError as error:
            raise ConnectError("no connection in time") from error
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            raise ConnectError(str(error)) from error
        return connection


class _Connection(asyncio.Protocol):
    """One connection, which answers one question at a time."""

    def __init__(self, address: str, max_answer_bytes: int) -> None:
        self.address = address
        self._max_answer_bytes = max_answer_bytes
        self._http = h11.Connection(h11.CLIENT)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._status = 0
        self._content = b""
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        """Read an answer; nobody says anything without having been asked."""
        if self._answer is None:
            self.close()
            return
        self._receive(data)

    def eof_received(self) -> None:
        """Hear that nothing else comes, which may be how an answer ends."""
        if self._answer is not None:
            self._receive(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = None
        if self._expiry is not None:
            self._expiry.cancel()
        self._fail(
            BrokenAnswerError(f"the connection was lost: {exc}" if exc else "the connection was closed")
        )

    def is_usable(self) -> bool:
        """Tell whether the connection is still there."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, question: Question) -> tuple[int, bytes]:
        """Ask, and wait for the answer. Raises: HttpError."""
        transport = self._transport
        if transport is None:
            raise BrokenAnswerError("the connection was closed")
        self._answer = self._loop.create_future()
        self._status, self._content = 0, b""
        headers = [("host", question.host), *question.headers]
        if question.content or question.method == "POST":
            headers.append(("content-length", str(len(question.content))))
        try:
            head = self._write(h11.Request(method=question.method, target=question.path, headers=headers))
        except h11.LocalProtocolError as error:
            raise ConnectError(f"this cannot be asked: {error}") from error
        if question.content:
            self._http.send(h11.Data(data=question.content))
        self._http.send(h11.EndOfMessage())
        # All at once, and without waiting until it is away: an answer may come before.
        if len(question.content) < JOINED_BYTES:
            transport.write(head + question.content)
        else:
            transport.writelines([head, question.content])
        return await self._answer

    def begin_again(self) -> bool:
        """Get ready for another question; tell whether that can be."""
        answer, self._answer = self._answer, None
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return False
        if answer is None or not answer.done() or answer.cancelled() or answer.exception() is not None:
            return False
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self._expiry = self._loop.call_later(KEEP_ALIVE_SECONDS, self.close)
        return True

    def close(self) -> None:
        """Close it in order."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it though something may be under way."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, request: h11.Request) -> bytes:
        return self._http.send(request) or b""  # only what closes a connection is written as nothing

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._fail(BrokenAnswerError(str(error)))

    def _take(self, event: object) -> bool:
        """Take what has come; tell whether there may be more."""
        match event:
            case h11.Response():
                self._status = event.status_code
            case h11.Data():
                self._content += event.data
                if len(self._content) > self._max_answer_bytes:
                    self._fail(TooLongError("the answer is too long"))
                    return False
            case h11.EndOfMessage():
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result((self._status, self._content))
                return False
            case h11.InformationalResponse():
                pass
            case h11.ConnectionClosed():
                self._fail(BrokenAnswerError("the connection was closed without an answer"))
                return False
            case _:  # more is needed
                return False
        return True

    def _fail(self, error: HttpError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
