"""One connection: the transport, in what order commands run, and how long a client may take.

For: feeding bytes to the reader, commands to the execution, and answers to the transport.
Not for: what commands mean (execution.py).

    data ─▶ reader ─▶ one command at a time ─▶ answer          while one is at work, the others wait in the
                            │                                  reader, and soon in the client's kernel
                 ends at once, or waits

    OPEN ──STARTTLS──▶ UPGRADING ──▶ OPEN ──BYE──▶ ENDING ──▶ CLOSED
"""

import asyncio
import ssl
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Protocol, cast

import structlog

from mailnode.imap.command_reader import CommandReader, CommandText, LiteralRefused, LiteralWanted, ReadLimits
from mailnode.imap.context import ImapContext
from mailnode.imap.eager import run_eagerly
from mailnode.imap.errors import ConnectionClosedError, SessionEndedError
from mailnode.imap.execution import answer_line, capability_names, execute, refuse_literal
from mailnode.imap.limits import SessionLimits
from mailnode.imap.session import NO_WIRE, Session

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LIMITS_BEFORE_LOGIN = ReadLimits(line_bytes=8192, literals_bytes=4096, takes_messages=False)
LIMITS_OF_USERS = ReadLimits(line_bytes=65_536, literals_bytes=65_536, takes_messages=True)
MAX_AHEAD_BYTES = 65_536
MAX_COMMANDS_AT_ONCE = 32
"""How many commands of one client run before others have their turn."""


class Owner(Protocol):
    """The server, as a connection sees it."""

    @property
    def context(self) -> ImapContext:
        """What commands work with."""

    @property
    def limits(self) -> SessionLimits:
        """How many sessions there may be, and how long they may take."""

    @property
    def tls(self) -> ssl.SSLContext:
        """What STARTTLS turns on."""

    def admit(self, connection: "ImapConnection") -> str | None:
        """Take a new connection in, or tell why not."""

    def forget(self, connection: "ImapConnection") -> None:
        """Forget a connection that has ended."""

    def message_bytes(self) -> int:
        """How large a message may be now."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on in a task."""


class _State(Enum):
    """Where a connection stands."""

    OPEN = 1
    UPGRADING = 2
    ENDING = 3
    CLOSED = 4


class ImapConnection(asyncio.Protocol):
    """The protocol of one connection. Slots, because there are thousands that only wait."""

    __slots__ = (
        "_due_for_pump",
        "_is_busy",
        "_is_reading_paused",
        "_loop",
        "_owner",
        "_reader",
        "_relieved",
        "_session",
        "_since",
        "_state",
        "_transport",
        "_written_at",
        "client_address",
        "due_second",
        "is_congested",
        "is_secure",
        "prefix",
    )

    def __init__(self, owner: Owner, *, is_secure: bool) -> None:
        self.is_secure = is_secure
        self.is_congested = False
        self.client_address = ""
        self.prefix = ""
        self.due_second = 0
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._session = Session(owner.context, self)
        self._reader = CommandReader(LIMITS_BEFORE_LOGIN, owner.message_bytes)
        self._state = _State.OPEN
        self._is_busy = False
        self._is_reading_paused = False
        self._due_for_pump = False
        self._relieved: asyncio.Future[None] | None = None
        self._since = self._written_at = self._loop.time()  # since: the connection, then what was last heard

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, or turn it away."""
        self._transport = cast("asyncio.Transport", transport)  # a stream, whatever kind of loop made it
        peer = transport.get_extra_info("peername")
        self.client_address = str(peer[0]) if isinstance(peer, tuple) else ""
        refusal = self._owner.admit(self)
        if refusal is not None:
            self.end(refusal)
            return
        names = capability_names(is_secure=self.is_secure, is_logged_in=False)
        self.send(
            b"* OK [CAPABILITY %s] %s\r\n" % (names, self._owner.context.hostname.encode("ascii", "replace"))
        )

    def data_received(self, data: bytes) -> None:
        """Run what has become complete."""
        if self._state in (_State.ENDING, _State.CLOSED):
            return
        if self._reader.limits is LIMITS_OF_USERS:  # before the login, it is since the connection
            self._since = self._loop.time()
        self._reader.feed(data)
        if self._is_busy:
            self._throttle()
        else:
            self._pump()

    def eof_received(self) -> bool:
        """Close: a client that sends nothing more cannot end its IDLE either."""
        return False

    def pause_writing(self) -> None:
        """Note that the client does not keep up."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """Go on with what the client had not read."""
        self.is_congested = False
        self._wake()
        if not self._is_busy:
            self._session.push_updates()
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """Let go of everything."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._session.close()
        self._session.wire = NO_WIRE
        self._reader.clear()
        self._owner.forget(self)
        self._wake()
        self._transport = None

    # The session calls these.

    def send(self, data: bytes) -> None:
        """Send bytes, or drop them where they may not go any more."""
        if self._state is _State.OPEN and self._transport is not None:
            self._written_at = self._loop.time()
            self._transport.write(data)

    def end(self, text: str, completion: bytes = b"") -> None:
        """Say BYE, and close when that is sent; the wheel looks after a client that does not take it."""
        if self._transport is None or self._state in (_State.ENDING, _State.CLOSED):
            return
        if self._state is _State.UPGRADING:  # in the middle of a handshake, no word of ours is understood
            self._transport.abort()
            return
        self._session.flush(f"* BYE {text}\r\n".encode("ascii") + completion)
        self._state = _State.ENDING
        self._since = self._loop.time()
        self._session.close()
        self._transport.close()

    def begin_login_state(self) -> None:
        """Allow longer commands, and to stay."""
        self._reader.limits = LIMITS_OF_USERS
        self._since = self._loop.time()

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent."""
        if self.is_congested and self._state is _State.OPEN:
            self._relieved = self._loop.create_future()
            await self._relieved
        if self._state is not _State.OPEN:
            raise ConnectionClosedError

    async def start_tls(self) -> None:
        """Turn TLS on.

        This must run without an await since the client's command was read: then the loop has had no chance
        to bring more of it, and all that comes later has come through TLS.
        """
        if self._transport is None or self._state is not _State.OPEN:
            raise ConnectionClosedError
        self._reader.clear()  # a command smuggled in behind STARTTLS (RFC 3501 section 6.2.1, CVE-2011-0411)
        self._state = _State.UPGRADING
        self.is_secure = True
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                self._owner.tls,
                server_side=True,
                ssl_handshake_timeout=self._owner.limits.login_seconds,
            )
        except OSError as error:  # ssl.SSLError is one
            raise ConnectionClosedError from error
        finally:
            if self._state is _State.UPGRADING:
                self._state = _State.OPEN
        if transport is None or self._transport is None:
            raise ConnectionClosedError
        self._transport = transport

    # The server calls these.

    def abort(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    def visit(self, now: float) -> float:
        """Do what is due, and tell when to come again."""
        limits = self._owner.limits
        late = now - self._since
        if self._state is _State.ENDING:
            if late >= limits.farewell_seconds:
                self.abort()
            return self._since + limits.farewell_seconds
        if not self._session.is_logged_in:
            if late >= limits.login_seconds:
                self.end("Log in sooner")
                return now + limits.farewell_seconds
            return self._since + limits.login_seconds
        is_idle = self._session.idle_tag is not None
        if is_idle and now - self._written_at >= limits.keepalive_seconds and not self._unsent_bytes():
            # A client in IDLE need not say anything, as long as it takes what we say.
            self.send(b"* OK Still here\r\n")
            self._since = now
        elif late >= limits.inactivity_seconds and (is_idle or self._unsent_bytes()):
            self.abort()
        elif late >= limits.inactivity_seconds and not self._is_busy:
            self.end("Inactive for too long")
            return now + limits.farewell_seconds
        due = self._written_at + limits.keepalive_seconds
        return due if is_idle and due > now else now + limits.keepalive_seconds

    # Ours

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _pump(self) -> None:
        """Run commands in their order, until there is none, one must wait, or others should have a turn."""
        self._due_for_pump = False
        try:
            for _ in range(MAX_COMMANDS_AT_ONCE):
                if self._is_busy or self.is_congested or self._state is not _State.OPEN:
                    break
                if not self._reader.pending or not self._step():
                    break
            else:
                self._due_for_pump = True
                self._loop.call_soon(self._pump)
        except SessionEndedError as error:
            self.end(error.text)
        if self._reader.pending or self._is_reading_paused:
            self._throttle()

    def _step(self) -> bool:
        """Take one event from the reader; tell whether there was one."""
        session = self._session
        if session.idle_tag is not None or session.sasl_tag is not None:
            line = self._reader.read_line()
            if line is not None:
                self._run(answer_line(session, line))
            return line is not None
        event = self._reader.read_command()
        match event:
            case CommandText():
                self._run(execute(session, event))
            case LiteralWanted():
                self.send(b"+ OK\r\n")
            case LiteralRefused():
                refuse_literal(session, event)
            case None:
                return False
        return True

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._is_busy = True
        if run_eagerly(self._supervise(work), self._spawn, self._take_next):
            self._is_busy = False

    def _spawn(self, rest: Coroutine[Any, Any, None]) -> None:
        self._owner.spawn(self._go_on(rest))

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SessionEndedError as error:
            self.end(error.text)
        except ConnectionClosedError:
            if self._state is _State.OPEN:
                self.abort()
                self.connection_lost(None)  # after a failed handshake, the loop does not say so
        except (
            Exception
        ):  # a command's own faults are answered; this is one of ours, and must end one session only
            log.exception("imap session failed")
            self.abort()

    async def _go_on(self, rest: Coroutine[Any, Any, None]) -> None:
        """Finish in a task what could not end at once, then take the next command."""
        await rest
        self._is_busy = False
        self._loop.call_soon(self._pump)

    def _take_next(self) -> None:
        self._is_busy = False
        self._pump()

    def _throttle(self) -> None:
        """Read no more while commands queue up; but always while one is incomplete."""
        must_pause = len(self._reader.pending) > MAX_AHEAD_BYTES and (
            self._is_busy or self.is_congested or self._due_for_pump
        )
        if (
            must_pause != self._is_reading_paused
            and self._transport is not None
            and self._state is _State.OPEN
        ):
            self._is_reading_paused = must_pause
            if must_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._relieved is not None and not self._relieved.done():
            self._relieved.set_result(None)
        self._relieved = None
