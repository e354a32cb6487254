"""One client's connection: its bytes, its TLS, its deadlines and its end.

For: session.py, which says what the commands mean.
Not for: commands. Of aiosmtpd's `SMTP` this keeps the stream protocol and the timer, and replaces what reads
line by line, logs each command, makes tasks that nobody owns, and builds TLS on asyncio's own
`SSLProtocol`, which takes 256 KiB a session.

    connection_made ─▶ admitted? ─▶ greeting ─▶ read, answer, read ... ─▶ BYE | 421 | the client leaves
                                                 │ deadline, ban, shutdown ─▶ 421, at once when it waits,
                                                 └──────────────────────────  else after the answer

Replies to pipelined commands leave together (RFC 2920 section 3.2): they are written when nothing more is
here to read.
"""

import asyncio
import ssl
from typing import Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP

from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.reader import FloodError, MessageRoom, NoRoomError, SmtpReader
from mailnode.smtp.replies import INTERNAL_ERROR, NO_ROOM, TIMED_OUT, TOO_MUCH_DATA, SmtpReply
from mailnode.smtp.submission import Submission

LINES_PER_TURN = 50
"""So many lines that are here already are answered before all other sessions get their turn: 2 ms at most."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Surroundings(Protocol):
    """What a connection needs of the server that it belongs to."""

    hostname: str
    tls: ssl.SSLContext
    limits: SmtpLimits
    room: MessageRoom
    submission: Submission

    def admit(self, connection: "SmtpConnection") -> SmtpReply | None:
        """Take a new connection in, or tell why not. Its `_serve` is run from now on."""

    def forget(self, connection: "SmtpConnection") -> None:
        """Forget a connection that has ended, or was never admitted."""


class _NoHooks:
    """A handler without hooks, for aiosmtpd; what it looks for takes time at each connection."""

    def __dir__(self) -> tuple[str, ...]:
        return ()


_NO_HOOKS = _NoHooks()


class SmtpConnection(SMTP):
    """A connection that answers; `run_session` of the subclass holds the dialogue."""

    def __init__(self, surroundings: Surroundings, *, is_secure: bool) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(_NO_HOOKS, hostname=surroundings.hostname, enable_SMTPUTF8=True, loop=loop)
        self.incoming = SmtpReader(loop, surroundings.room)
        # Once more, so that the stream protocol feeds our reader instead of aiosmtpd's, and has no method of
        # ours to call: what stands in a circle stays, with its TLS, until the collector has gone through all.
        asyncio.StreamReaderProtocol.__init__(self, self.incoming, None, loop)
        self._strong_reader = None
        self.surroundings = surroundings
        self.is_secure = is_secure
        self.client_address = ""
        self.prefix = ""
        self._wire: asyncio.Transport | None = None
        self._replies: list[bytes] = []
        self._lines_this_turn = 0
        self._is_waiting = False
        self._is_closing = False
        self._farewell: SmtpReply | None = None

    def __dir__(self) -> tuple[str, ...]:
        """Show aiosmtpd no commands: it looks for them at each connection, which takes 0.5 ms."""
        return ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many connections."""
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.transport = transport
        self._wire = cast("asyncio.Transport", transport)  # uvloop's are, without being of that class
        self._writer = asyncio.StreamWriter(self._wire, self, self.incoming, self.loop)
        self.session = self._create_session()
        self._reset_timeout(self.surroundings.limits.login_seconds)
        peer = transport.get_extra_info("peername")
        self.client_address = str(peer[0]) if isinstance(peer, tuple) else ""
        refusal = self.surroundings.admit(self)
        if refusal is not None:
            self.end(refusal)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the client; what was being done for it is cancelled by the server."""
        self.surroundings.forget(self)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self._writer.close()  # uvloop's TLS transport is not closed by being lost
        del self._writer  # the other circle; whoever would write has been cancelled
        self.transport = self._wire = None

    def eof_received(self) -> bool | None:
        """Answer what was said before the client closed its side; aiosmtpd would drop it."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    async def serve(self) -> None:
        """Hold the dialogue, whatever comes."""
        try:
            await self.run_session()
            self.end(self._farewell)
        except asyncio.IncompleteReadError:
            self.end(None)  # the client has closed its side
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.abort()  # it has broken off, or its TLS never came
        except FloodError:
            self.end(TOO_MUCH_DATA)
        except NoRoomError:
            self.end(NO_ROOM)
        except Exception:  # one session's trouble must not end the daemon with all others
            log.exception("smtp session failed")
            self.end(INTERNAL_ERROR)

    async def run_session(self) -> None:
        """Read and answer until `is_ending`."""
        raise NotImplementedError

    @property
    def is_ending(self) -> bool:
        """Whether the dialogue is to end now."""
        return self._farewell is not None or self._is_closing

    def say(self, reply: SmtpReply) -> None:
        """Answer, at the latest when the next thing has to be waited for."""
        self._replies.append(reply.line)

    def say_lines(self, lines: bytes) -> None:
        """Answer with more than one line."""
        self._replies.append(lines)

    def end_soon(self, farewell: SmtpReply) -> None:
        """Say farewell and close: at once when the client is waited for, else after the next answer."""
        if self._farewell is None:
            self._farewell = farewell
        if self._is_waiting:
            self.end(farewell)

    def end(self, farewell: SmtpReply | None) -> None:
        """Say farewell and close. A client that does not take our words in time is cut off."""
        if self._wire is None or self._is_closing:
            return
        if farewell is not None:
            self._farewell = farewell
            self.say(farewell)
        self._write()
        self._wire.close()
        self._is_closing = True
        self._reset_timeout(self.surroundings.limits.farewell_seconds)

    def abort(self) -> None:
        """Close without another word."""
        if self._wire is not None:
            self._wire.abort()

    async def read_line(self, max_bytes: int, wait_seconds: float) -> bytes:
        """Read the next line; before waiting for it, send what there is to say.

        Raises:
            LineTooLongError, FloodError, asyncio.IncompleteReadError: As `SmtpReader.read_line`.
        """
        if self._lines_this_turn + 1 < LINES_PER_TURN:
            line = self.incoming.take_line(max_bytes)
            if line is not None:  # nothing is waited for, so there is no deadline either
                self._lines_this_turn += 1
                return line
        self._expect_within(wait_seconds)
        try:
            await self._take_turn()
            self._is_waiting = True
            return await self.incoming.read_line(max_bytes)
        finally:
            self._is_waiting = False
            self._expect_within(None)

    async def read_message(self, max_bytes: int) -> bytes | bytearray:
        """Read a message; see `is_ending` before it is used. Raises: as `SmtpReader.read_message`."""
        self._expect_within(self.surroundings.limits.data_seconds)
        try:
            await self.flush()
            self._is_waiting = True
            return await self.incoming.read_message(max_bytes)
        finally:
            self._is_waiting = False
            self._expect_within(None)

    async def read_chunk(self, size_bytes: int) -> bytes:
        """Read a chunk; before waiting for it, send what there is to say. See `is_ending` before it is used.

        Raises:
            asyncio.IncompleteReadError: The client has left.
        """
        self._expect_within(self.surroundings.limits.data_seconds)
        try:
            if not self.incoming.has_chunk(size_bytes):
                await self.flush()
                self._is_waiting = True
            return await self.incoming.read_chunk(size_bytes)
        finally:
            self._is_waiting = False
            self._expect_within(None)

    async def throw_away(self, size_bytes: int) -> None:
        """Read a chunk that nobody wants, so that the session can go on. Raises: as `read_chunk`."""
        self._expect_within(self.surroundings.limits.data_seconds)
        try:
            await self.flush()
            self._is_waiting = True
            await self.incoming.throw_away(size_bytes)
        finally:
            self._is_waiting = False
            self._expect_within(None)

    async def flush(self) -> None:
        """Send what there is to say; wait while the client does not take it."""
        self._write()
        await self._writer.drain()

    async def start_tls(self, reply: SmtpReply) -> None:
        """Turn TLS on after `reply`. Nothing that was read before survives (RFC 3207 section 4.2).

        Raises:
            ConnectionError, ssl.SSLError, TimeoutError: The client did not do its part.
        """
        wire = self._wire
        if wire is None:
            raise ConnectionResetError
        self.say(reply)
        self._write()
        await (
            self.incoming.discard()
        )  # without a turn of the loop until TLS is on: no more can come before it
        secured = await self.loop.start_tls(
            wire,
            self,
            self.surroundings.tls,
            server_side=True,
            ssl_handshake_timeout=self.surroundings.limits.login_seconds,
        )
        if secured is None:
            raise ConnectionResetError
        self.incoming.use(secured)
        self.transport = self._wire = secured
        self._over_ssl = True
        self.is_secure = True

    async def _take_turn(self) -> None:
        """Before a line is read: send what there is to say, unless more is here and it is our turn still."""
        self._lines_this_turn += 1
        if not self.incoming.has_line():
            self._lines_this_turn = 0
            await self.flush()
        elif self._lines_this_turn >= LINES_PER_TURN:
            self._lines_this_turn = 0
            await self.flush()
            await asyncio.sleep(0)

    def _write(self) -> None:
        if self._replies and self._wire is not None:
            self._wire.write(b"".join(self._replies))
        self._replies.clear()

    def _expect_within(self, seconds: float | None) -> None:
        """Set the deadline for the client; `None` while it is our turn. The farewell's deadline stays."""
        if self._is_closing:
            return
        if seconds is not None:
            self._reset_timeout(seconds)
        elif self._timeout_handle is not None:
            self._timeout_handle.cancel()

    def _timeout_cb(self) -> None:
        if self._is_closing:
            self.abort()
        else:
            self.end(TIMED_OUT)
