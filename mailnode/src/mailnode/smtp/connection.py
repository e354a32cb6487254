"""One client's connection: its bytes, its TLS, its deadlines and its end.

For: session.py, which says what the commands mean.
Not for: commands. Of aiosmtpd's `SMTP` this keeps the class, the timer and the wait for a client that reads
slowly. It replaces what reads line by line, logs each command, makes tasks that nobody owns, and builds TLS
on asyncio's own `SSLProtocol`, which takes 256 KiB a session.

    connection_made ─▶ admitted? ─▶ greeting ─▶ read, answer, read ... ─▶ BYE | 421 | the client leaves
                                                 │ deadline, ban, shutdown ─▶ 421, at once when it waits,
                                                 └──────────────────────────  else after the answer

The dialogue is a coroutine, and no task: what comes goes on with it at once, within the turn of the loop that
brought it, and so do futures that it awaits (measured: docs/measured/mail.md). Whoever needs a task in it, as
`asyncio.timeout` does, makes one and awaits that.

    data_received ──▶ dialogue ──▶ FOR_CLIENT: until more comes
                       ▲      └──▶ a future ─▶ done ─┐
                       └─────────────────────────────┘

Replies to pipelined commands leave together (RFC 2920 section 3.2): they are written when nothing more is
here to read.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Generator
from math import inf
from typing import Any, Protocol, TypeVar, cast

import structlog
from aiosmtpd.smtp import SMTP

from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.reader import FloodError, MessageRoom, NoRoomError, SmtpReader
from mailnode.smtp.replies import INTERNAL_ERROR, NO_ROOM, TIMED_OUT, TOO_MUCH_DATA, SmtpReply
from mailnode.smtp.submission import Submission

LINES_PER_TURN = 50
"""So many lines that are here already are answered before all other sessions get their turn: 2 ms at most."""

AHEAD_BYTES = 131_072
"""When more than this is here, no more is read in this turn of the loop: as long as there is any, libuv would
go on for up to 8 MB, and everybody would wait. While the dialogue is at work, no more is read at all."""

CLOCK_SECONDS = 0.001
"""How exact the loop's clock is."""

T = TypeVar("T")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _ForClient:
    """What a dialogue awaits until its client has said more."""

    def __await__(self) -> Generator["_ForClient", None, None]:
        yield self


FOR_CLIENT = _ForClient()


class ClientLeftError(Exception):
    """The client has closed its side, or is gone: nothing more will come."""


class Surroundings(Protocol):
    """What a connection needs of the server that it belongs to."""

    hostname: str
    tls: ssl.SSLContext
    limits: SmtpLimits
    room: MessageRoom
    submission: Submission

    def admit(self, connection: "SmtpConnection") -> SmtpReply | None:
        """Take a new connection in, or tell why not."""

    def forget(self, connection: "SmtpConnection") -> None:
        """Forget a connection that has ended, or was never admitted."""


class _NoHooks:
    """A handler without hooks, for aiosmtpd; what it looks for takes time at each connection."""

    def __dir__(self) -> tuple[str, ...]:
        return ()


_NO_HOOKS = _NoHooks()


class SmtpConnection(SMTP):
    """A connection that answers; `run_session` of the subclass holds the dialogue.

    `_paused` and `_drain_helper` are asyncio's own: whether the client keeps up, and the wait until it does.
    A test fails should they be renamed.
    """

    _paused: bool
    _drain_helper: Callable[[], Awaitable[None]]

    def __init__(self, surroundings: Surroundings, *, is_secure: bool) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(_NO_HOOKS, hostname=surroundings.hostname, enable_SMTPUTF8=True, loop=loop)
        # Its reader is not used, and its method to be called back makes a circle: what stands in one stays
        # with its TLS until the collector has gone through all.
        self._strong_reader = self._client_connected_cb = None
        self.incoming = SmtpReader(surroundings.room)
        self.surroundings = surroundings
        self.is_secure = is_secure
        self.client_address = ""
        self.prefix = ""
        self._wire: asyncio.Transport | None = None
        self._dialogue: Coroutine[Any, Any, None] | None = None
        self._awaited: asyncio.Future[Any] | None = None
        self._replies: list[bytes] = []
        self._lines_this_turn = 0
        self._is_waiting = False
        self._is_reading = True
        self._has_ended = False
        self._is_closing = False
        self._farewell: SmtpReply | None = None
        self._due_at = self._timer_at = inf

    def __dir__(self) -> tuple[str, ...]:
        """Show aiosmtpd no commands: it looks for them at each connection, which takes 0.5 ms."""
        return ()

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many connections."""
        self.transport = transport
        self._wire = cast("asyncio.Transport", transport)  # uvloop's are, without being of that class
        peer = transport.get_extra_info("peername")
        self.client_address = str(peer[0]) if isinstance(peer, tuple) else ""
        refusal = self.surroundings.admit(self)
        if refusal is not None:
            self.end(refusal)
            return
        self._dialogue = self._serve()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Answer what has become complete."""
        if self._is_closing:
            return
        self.incoming.feed(data)
        if self._is_waiting:
            self._go_on()
        if self.incoming.ahead_bytes > AHEAD_BYTES and self._is_reading:
            self._rest()

    def eof_received(self) -> bool:
        """Answer what was said before the client closed its side; aiosmtpd would drop it."""
        self._has_ended = True
        if self._is_waiting:
            self._go_on()
        return not self.is_secure  # a transport of TLS cannot be closed on one side

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the client; what is being done for it is cancelled."""
        self.surroundings.forget(self)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        if self._awaited is not None:
            self._awaited.cancel()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = self._wire = None
        self._has_ended = True
        self.incoming.clear()
        if self._is_waiting:
            self._go_on()

    # The dialogue

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

    async def read_line(self, max_bytes: int, wait_seconds: float) -> bytes:
        """Read the next line.

        Raises:
            LineTooLongError, FloodError: As `SmtpReader.take_line`.
            ClientLeftError: It has not sent one.
        """
        if self._lines_this_turn == LINES_PER_TURN:
            self._lines_this_turn = 0
            await self._wait_for(lambda: True, wait_seconds)
            await asyncio.sleep(0)
        line = self.incoming.take_line(max_bytes)
        if line is not None:  # nothing is waited for, so there is no deadline either
            self._lines_this_turn += 1
            return line
        self._lines_this_turn = 0
        return await self._wait_for(lambda: self.incoming.take_line(max_bytes), wait_seconds)

    async def read_message(self, max_bytes: int) -> bytes | bytearray:
        """Read a message; see `is_ending` before it is used.

        Raises:
            MessageTooLargeError, FloodError, NoRoomError: As `SmtpReader.take_message`.
            ClientLeftError: What came is worth nothing.
        """
        self.incoming.begin_message()
        return await self._wait_for(
            lambda: self.incoming.take_message(max_bytes), self.surroundings.limits.data_seconds
        )

    async def read_chunk(self, size_bytes: int) -> bytes | bytearray:
        """Read a chunk; see `is_ending` before it is used. Raises: ClientLeftError."""
        chunk = self.incoming.take_chunk(size_bytes)
        if chunk is not None:
            return chunk
        return await self._wait_for(
            lambda: self.incoming.take_chunk(size_bytes), self.surroundings.limits.data_seconds
        )

    async def throw_away(self, size_bytes: int) -> None:
        """Read a chunk that nobody wants, so that the session can go on. Raises: ClientLeftError."""
        left_bytes = size_bytes

        def take() -> bool | None:
            nonlocal left_bytes
            left_bytes -= self.incoming.throw_away(left_bytes)
            return None if left_bytes else True

        await self._wait_for(take, self.surroundings.limits.data_seconds)

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
        self.incoming.clear()  # without a turn of the loop until TLS is on: no more can come before it
        secured = await self.loop.start_tls(
            wire,
            self,
            self.surroundings.tls,
            server_side=True,
            ssl_handshake_timeout=self.surroundings.limits.login_seconds,
        )
        if secured is None:
            raise ConnectionResetError
        self.transport = self._wire = secured
        self.is_secure = True

    # How it ends

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
        self._expect_within(self.surroundings.limits.farewell_seconds)
        self._is_closing = True
        self._wire.close()

    def abort(self) -> None:
        """Close without another word."""
        if self._wire is not None:
            self._wire.abort()

    # Ours

    async def _serve(self) -> None:
        """Hold the dialogue, whatever comes."""
        try:
            await self.run_session()
            self.end(self._farewell)
        except ClientLeftError:
            self.end(None)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.abort()  # it has broken off, or its TLS never came
        except FloodError:
            self.end(TOO_MUCH_DATA)
        except NoRoomError:
            self.end(NO_ROOM)
        except Exception:  # one session's trouble must not end the daemon with all others
            log.exception("smtp session failed")
            self.end(INTERNAL_ERROR)

    def _go_on(self, _: object = None) -> None:
        """Go on with the dialogue until it has to wait again."""
        self._is_waiting = False
        self._awaited = None
        if self._dialogue is None:
            return
        try:
            awaited = self._dialogue.send(None)
        except StopIteration:
            self._dialogue = None
            return
        except asyncio.CancelledError:
            self._dialogue = None
            self.abort()  # unless that is why
            return
        if awaited is FOR_CLIENT:
            self._is_waiting = True
        elif awaited is None:  # it gives others their turn
            self.loop.call_soon(self._go_on)
        else:
            awaited._asyncio_future_blocking = False  # noqa: SLF001 - whoever drives a coroutine takes it back
            awaited.add_done_callback(self._go_on)
            self._awaited = awaited

    async def _wait_for(self, take: Callable[[], T | None], wait_seconds: float) -> T:
        """Send what there is to say, and take something as soon as it is whole.

        Raises:
            ClientLeftError: It never will be; and what `take` raises.
            ConnectionError: The client is gone, and has not taken what was said.
        """
        if not self._is_closing:
            self._expect_within(wait_seconds)
        try:
            self._write()
            if self._paused:
                await self._drain_helper()
            while (taken := take()) is None:
                if self._has_ended:
                    raise ClientLeftError
                self._read_on()
                await FOR_CLIENT
            return taken
        finally:
            if not self._is_closing:  # else the farewell's deadline stays
                self._due_at = inf

    def _rest(self) -> None:
        """Read nothing more in this turn, and while the dialogue is at work."""
        if self._wire is not None and not self._is_closing:
            self._is_reading = False
            self._wire.pause_reading()
            if self._is_waiting:
                self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self._is_reading and self._wire is not None and not self._wire.is_closing():
            self._is_reading = True
            self._wire.resume_reading()

    def _write(self) -> None:
        if self._replies and self._wire is not None:
            self._wire.write(b"".join(self._replies))
        self._replies.clear()

    def _expect_within(self, seconds: float) -> None:
        """Set the deadline for the client.

        A timer that comes earlier looks for it then: a timer for each would cost more than most commands.
        """
        self._due_at = self.loop.time() + seconds
        if self._due_at < self._timer_at:
            self._timer_at = self._due_at
            self._reset_timeout(seconds)

    def _timeout_cb(self) -> None:
        self._timer_at = inf
        left_seconds = self._due_at - self.loop.time()
        if left_seconds == inf:
            return  # it is our turn
        if left_seconds > CLOCK_SECONDS:  # it has been put off since
            self._expect_within(left_seconds)
        elif self._is_closing:
            self.abort()
        else:
            self.end(TIMED_OUT)
