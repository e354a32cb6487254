"""Take commands and messages out of what has come, however it is cut, and never hold more than is allowed.

For: connection.py, which feeds it with what a client sends, and asks again when more has come.
Not for: waiting, or what commands and messages mean.

Lines end with CRLF, and a message after DATA with CRLF.CRLF, and with nothing else: whoever ends them with
a lone CR or LF ("SMTP smuggling") finds his bytes inside of the line or message, where they are refused.

What is too long is thrown away as it comes, up to its end, so that the session can go on.
"""

from dataclasses import dataclass

LINE_END = b"\r\n"
MESSAGE_END = b"\r\n.\r\n"

MAX_DRAINED_LINE_BYTES = 65_536
MAX_DRAINED_MESSAGES = 2
"""What is too long is read to its end up to here, in permitted messages."""

COPIED_MESSAGE_BYTES = 262_144
"""A larger message keeps the memory that it came into: a copy of 100 MB holds everybody up for 50 ms."""

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


class SmtpReader:
    """What has come from a client. Who has read a message calls `leave_room` when it is dealt with."""

    __slots__ = (
        "_buffer",
        "_drained_bytes",
        "_has_room",
        "_held_bytes",
        "_is_in_message",
        "_room",
        "_searched_bytes",
    )

    def __init__(self, room: MessageRoom) -> None:
        self._buffer = bytearray()
        self._room = room
        self._held_bytes = 0
        self._is_in_message = False
        self._has_room = True
        self._searched_bytes = 0  # here, no end begins
        self._drained_bytes = 0  # thrown away of what is too long

    @property
    def ahead_bytes(self) -> int:
        """How much has come and not been taken."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what the client has sent; a part of a message only if there is room for it."""
        if self._is_in_message:
            self._held_bytes += len(data)
            self._room.held_bytes += len(data)
            if self._is_over_room():
                self._buffer.clear()
                self.leave_room()
                self._has_room = False
        if self._has_room:
            self._buffer += data

    def clear(self) -> None:
        """Throw away what is here."""
        self._buffer.clear()
        self._searched_bytes = 0

    def take_line(self, max_bytes: int) -> bytes | None:
        """Take a line of at most `max_bytes`, CRLF included and taken off; `None` until it is whole.

        Raises:
            LineTooLongError: It is longer; the next line can be taken.
            FloodError: It is much longer.
        """
        size = self._find(LINE_END, max_bytes - len(LINE_END), MAX_DRAINED_LINE_BYTES, LineTooLongError)
        if size is None:
            return None
        line = bytes(self._buffer[:size])
        del self._buffer[: size + len(LINE_END)]
        return line

    def begin_message(self) -> None:
        """Expect a message after DATA."""
        self._is_in_message = True
        # The CRLF of the DATA command begins the end of an empty message (RFC 5321 section 4.1.1.4).
        self._buffer[:0] = LINE_END

    def take_message(self, max_bytes: int) -> bytes | bytearray | None:
        """Take a message of at most `max_bytes`, dots still stuffed; `None` until it is whole.

        Returns:
            The lines *behind* a CRLF, so that every line, the first too, begins after one.

        Raises:
            MessageTooLargeError: It is larger; the next command can be read.
            FloodError: It is much larger.
            NoRoomError: There are too many large ones at this moment; nothing more can be read.
        """
        if not self._has_room:
            raise NoRoomError
        size = self._find(MESSAGE_END, max_bytes, MAX_DRAINED_MESSAGES * max_bytes, MessageTooLargeError)
        if size is None:
            if self._drained_bytes:
                self.leave_room()
            return None
        self._is_in_message = False
        return self._cut_off(size + len(LINE_END), size + len(MESSAGE_END))

    def leave_room(self) -> None:
        """Hold nothing of a message any more."""
        self._is_in_message = False
        self._room.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Count a chunk that is about to be read, until `leave_room`. Raises: NoRoomError."""
        self._held_bytes += size_bytes
        self._room.held_bytes += size_bytes
        if self._is_over_room():
            self.leave_room()
            raise NoRoomError

    def take_chunk(self, size_bytes: int) -> bytes | bytearray | None:
        """Take so many bytes after BDAT; `None` until all of them are here."""
        return self._cut_off(size_bytes, size_bytes) if len(self._buffer) >= size_bytes else None

    def throw_away(self, size_bytes: int) -> int:
        """Throw away at most so many bytes; tell how many there were."""
        size_bytes = min(size_bytes, len(self._buffer))
        del self._buffer[:size_bytes]
        return size_bytes

    def _is_over_room(self) -> bool:
        return self._held_bytes > UNCOUNTED_MESSAGE_BYTES and self._room.held_bytes > self._room.max_bytes

    def _find(self, end: bytes, max_bytes: int, max_drained_bytes: int, error: type[Exception]) -> int | None:
        """Find how many bytes stand before `end`; `None` until it has come.

        Raises:
            error: They are more than allowed, and have been thrown away.
            FloodError: They are even more than may be thrown away.
        """
        place = self._buffer.find(end, self._searched_bytes)
        size = place if place >= 0 else max(0, len(self._buffer) + 1 - len(end))
        self._searched_bytes = 0 if place >= 0 else size
        if self._drained_bytes + size <= max_bytes:
            return size if place >= 0 else None
        self._drained_bytes += size
        if self._drained_bytes > max_drained_bytes:
            raise FloodError
        self._searched_bytes = 0
        del self._buffer[: size if place < 0 else size + len(end)]
        if place < 0:
            return None
        self._drained_bytes = 0
        raise error

    def _cut_off(self, size_bytes: int, consumed_bytes: int) -> bytes | bytearray:
        """Take so many bytes, and throw away what is between them and `consumed_bytes`."""
        if size_bytes <= COPIED_MESSAGE_BYTES:
            taken: bytes | bytearray = bytes(self._buffer[:size_bytes])
            del self._buffer[:consumed_bytes]
        else:
            taken, self._buffer = self._buffer, self._buffer[consumed_bytes:]
            del taken[size_bytes:]
        return taken
