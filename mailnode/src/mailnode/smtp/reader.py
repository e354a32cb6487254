"""Take commands and messages out of a stream, however it is cut, and never hold more than is allowed.

For: connection.py.
Not for: what they mean.

Lines end with CRLF, and a message after DATA with CRLF.CRLF, and with nothing else: whoever ends them with
a lone CR or LF ("SMTP smuggling") finds his bytes inside of the line or message, where they are refused.

`_buffer`, `_eof`, `_exception`, `_limit`, `_loop`, `_paused`, `_transport`, `_wait_for_data` and
`_maybe_resume_transport` are asyncio's own; aiosmtpd changes some of them, too, and a test fails should they
be renamed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LINE_END = b"\r\n"
MESSAGE_END = b"\r\n.\r\n"
RESTING_LIMIT_BYTES = 65_536
DRAIN_BYTES = 65_536

MAX_DRAINED_LINE_BYTES = 65_536
MAX_DRAINED_MESSAGES = 2
"""What is too long is read to its end, so that the session can go on: up to here, in permitted messages."""

COPIED_MESSAGE_BYTES = 262_144
"""A larger message keeps the memory that it came into: a copy of 100 MB holds everybody up for 50 ms."""

TURN_BYTES = 131_072
"""Of what is longer, no more is read in this turn of the loop: as long as more is here, libuv would go on for
up to 8 MB, and everybody would wait."""

UNCOUNTED_MESSAGE_BYTES = 65_536
"""A message up to here finds room always: chats go on while somebody fills the room with files."""


class LineTooLongError(Exception):
    """A line is longer than allowed. It has been read to its end and thrown away."""


class MessageTooLargeError(Exception):
    """A message is larger than allowed. It has been read to its end and thrown away."""


class FloodError(Exception):
    """There was no end of a line or message, far beyond what is allowed."""


class NoRoomError(Exception):
    """All sessions together hold as much of unfinished messages as they may."""


@dataclass(slots=True)
class MessageRoom:
    """How much of unfinished messages all sessions together hold, and may hold."""

    max_bytes: int
    held_bytes: int = 0


class SmtpReader(asyncio.StreamReader):
    """The stream from a client. Who has read a message calls `leave_room` when it is dealt with."""

    _buffer: bytearray
    _eof: bool
    _exception: Exception | None
    _limit: int
    _loop: asyncio.AbstractEventLoop
    _paused: bool
    _transport: asyncio.Transport | None
    _maybe_resume_transport: Callable[[], None]
    _wait_for_data: Callable[[str], Awaitable[None]]

    def __init__(self, loop: asyncio.AbstractEventLoop, room: MessageRoom) -> None:
        super().__init__(limit=RESTING_LIMIT_BYTES, loop=loop)
        self._room = room
        self._held_bytes = 0
        self._is_in_message = False
        self._is_resting = False

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # loops hand in bytes and nothing else
        """Take what the client has sent; a part of a message only if there is room for it."""
        if self._is_in_message:
            self._held_bytes += len(data)
            self._room.held_bytes += len(data)
            if (
                self._held_bytes > UNCOUNTED_MESSAGE_BYTES
                and self._room.held_bytes > self._room.max_bytes
                and self._exception is None
            ):
                self._buffer.clear()
                self.leave_room()
                self.set_exception(NoRoomError())
        if self._exception is None:
            super().feed_data(data)
            if len(self._buffer) > TURN_BYTES:
                self._rest()

    def has_line(self) -> bool:
        """Tell whether a whole line is here, so that reading it will not wait."""
        return LINE_END in self._buffer

    def take_line(self, max_bytes: int) -> bytes | None:
        """Take a line that is here, as `read_line`; `None` where that is for `read_line` to do."""
        end = self._buffer.find(LINE_END)
        if not 0 <= end <= max_bytes - 2 or self._exception is not None:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if self._paused:
            self._maybe_resume_transport()
        return line

    async def discard(self) -> None:
        """Throw away what is here. Does not wait."""
        if self._buffer:
            await self.read(len(self._buffer))

    def use(self, transport: asyncio.Transport) -> None:
        """Belong to another transport from now on."""
        self._transport = transport

    async def read_line(self, max_bytes: int) -> bytes:
        """Read a line of at most `max_bytes`, CRLF included and taken off.

        Raises:
            LineTooLongError: It is longer; the next line can be read.
            FloodError: It is much longer.
            asyncio.IncompleteReadError: The client has left.
        """
        self._limit = max_bytes - len(LINE_END)
        try:
            return (await self.readuntil(LINE_END))[:-2]
        except asyncio.LimitOverrunError as overrun:
            await self._drain(LINE_END, overrun.consumed, MAX_DRAINED_LINE_BYTES)
            raise LineTooLongError from overrun
        finally:
            self._limit = RESTING_LIMIT_BYTES

    def leave_room(self) -> None:
        """Hold nothing of a message any more."""
        self._is_in_message = False
        self._room.held_bytes -= self._held_bytes
        self._held_bytes = 0

    async def read_message(self, max_bytes: int) -> bytes | bytearray:
        """Read a message of at most `max_bytes` after DATA, dots still stuffed.

        Returns:
            The lines *behind* a CRLF, so that every line, the first too, begins after one.

        Raises:
            MessageTooLargeError: It is larger; the next command can be read.
            FloodError: It is much larger.
            NoRoomError: There are too many large ones at this moment; nothing more can be read.
            asyncio.IncompleteReadError: The client has left; what came is worth nothing.
        """
        self._is_in_message = True
        # The CRLF of the DATA command begins the end of an empty message (RFC 5321 section 4.1.1.4).
        self._buffer[:0] = LINE_END
        self._limit = max_bytes
        try:
            return await self._take_message()
        except asyncio.LimitOverrunError as overrun:
            self.leave_room()
            await self._drain(MESSAGE_END, overrun.consumed, MAX_DRAINED_MESSAGES * max_bytes)
            raise MessageTooLargeError from overrun
        finally:
            self._is_in_message = False
            self._limit = RESTING_LIMIT_BYTES

    async def _take_message(self) -> bytes | bytearray:
        """Do as `readuntil` does with a message, without its copies. Raises: as that."""
        if (problem := self.exception()) is not None:
            raise problem
        searched = 0
        while (end := self._buffer.find(MESSAGE_END, searched)) < 0:
            searched = max(0, len(self._buffer) + 1 - len(MESSAGE_END))
            if searched > self._limit:
                raise asyncio.LimitOverrunError("the message is too large", searched)
            if self._eof:
                rest = bytes(self._buffer)
                self._buffer.clear()
                raise asyncio.IncompleteReadError(rest, None)
            await self._wait_for_data("read_message")
        if end > self._limit:
            raise asyncio.LimitOverrunError("the message is too large", end)
        return self._cut_off(end + len(b"\r\n"), end + len(MESSAGE_END))

    def _cut_off(self, size_bytes: int, consumed_bytes: int) -> bytes | bytearray:
        """Take so many bytes, and throw away what is between them and `consumed_bytes`."""
        if size_bytes <= COPIED_MESSAGE_BYTES:
            taken: bytes | bytearray = bytes(self._buffer[:size_bytes])
            del self._buffer[:consumed_bytes]
        else:
            taken, self._buffer = self._buffer, self._buffer[consumed_bytes:]
            del taken[size_bytes:]
        self._maybe_resume_transport()
        return taken

    def hold(self, size_bytes: int) -> None:
        """Count a chunk that is about to be read, until `leave_room`. Raises: NoRoomError."""
        self._held_bytes += size_bytes
        self._room.held_bytes += size_bytes
        if self._held_bytes > UNCOUNTED_MESSAGE_BYTES and self._room.held_bytes > self._room.max_bytes:
            self.leave_room()
            raise NoRoomError

    def has_chunk(self, size_bytes: int) -> bool:
        """Tell whether so much is here, so that reading it will not wait."""
        return len(self._buffer) >= size_bytes

    async def read_chunk(self, size_bytes: int) -> bytes:
        """Read so many bytes after BDAT. Raises: asyncio.IncompleteReadError, when the client has left."""
        self._limit = max(size_bytes, RESTING_LIMIT_BYTES)
        try:
            return await self.readexactly(size_bytes)
        finally:
            self._limit = RESTING_LIMIT_BYTES

    async def throw_away(self, size_bytes: int) -> None:
        """Read so many bytes and keep nothing. Raises: asyncio.IncompleteReadError."""
        while size_bytes:
            piece_bytes = min(size_bytes, DRAIN_BYTES)
            await self.readexactly(piece_bytes)
            size_bytes -= piece_bytes

    def _rest(self) -> None:
        """Read nothing more before all others have had their turn."""
        transport = self._transport
        if not (self._is_resting or self._paused or transport is None or transport.is_closing()):
            self._is_resting = True
            transport.pause_reading()
            self._loop.call_soon(self._read_on, transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        self._is_resting = False
        if not (self._paused or transport.is_closing()):
            transport.resume_reading()

    async def _drain(self, end: bytes, found_bytes: int, max_bytes: int) -> None:
        """Read up to and with `end`, which must come within `max_bytes`; that much has been found already."""
        self._limit = DRAIN_BYTES
        drained_bytes = 0
        while True:
            drained_bytes += found_bytes
            if drained_bytes > max_bytes:
                raise FloodError
            await self.readexactly(found_bytes)
            try:
                rest = await self.readuntil(end)
            except asyncio.LimitOverrunError as overrun:
                found_bytes = overrun.consumed
                continue
            if drained_bytes + len(rest) - len(end) > max_bytes:
                raise FloodError
            return
