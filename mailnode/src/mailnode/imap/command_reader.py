"""Cut a stream of bytes into commands, however the network has cut it.

For: lines, literals (RFC 3501 section 4.3) and non-synchronizing literals (RFC 7888), within limits that
hold before anything is kept.
Not for: what the commands mean (lexer.py, parser.py) or answering them.

    line ──{n}──▶ LiteralWanted ─▶ n bytes ─▶ line …  ─▶ CommandText
      │  ──{n+}─────────────────▶ n bytes ─▶ line …
      └──too long, or {n+} too large─▶ SessionEndedError      {n} too large ─▶ LiteralRefused

The reader is asked for the next event instead of calling back, because only the session knows whether the
next line is a command, the DONE of an IDLE or a SASL response.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mailnode.imap.errors import SessionEndedError

MAX_LITERALS = 512
"""How many literals one command may have: more than anything that a parser takes needs."""

_LITERAL_MARKER = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_APPEND = re.compile(rb"[^ ]+ append ", re.IGNORECASE)
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+(?= )')


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much one command may be: its text, its literals together, and whether it may bring a message."""

    line_bytes: int
    literals_bytes: int
    takes_messages: bool


class CommandText(NamedTuple):
    """One whole command. In `line` each literal's marker still stands; `literals` are in the same order.

    `marker_ends` are the offsets in `line` behind each marker, so that nobody can write a marker elsewhere.
    """

    line: bytes
    literals: tuple[bytes, ...] = ()
    marker_ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LiteralWanted:
    """The client waits for a continuation request before it sends a literal."""


@dataclass(frozen=True, slots=True)
class LiteralRefused:
    """The client has announced too large a literal; it waits for a tagged answer and sends none of it."""

    tag: bytes
    is_message: bool


ReaderEvent = CommandText | LiteralWanted | LiteralRefused

_LITERAL_WANTED = LiteralWanted()


class CommandReader:
    """The state of one direction of one connection. `limits` may be replaced between commands.

    `pending` is what has been fed and not been asked for; without any of it, there is no event either.
    `message_bytes` tells how large a message may be at this moment; it is asked at each APPEND.
    """

    __slots__ = (
        "_line",
        "_literal",
        "_literals",
        "_literals_bytes",
        "_marker_ends",
        "_message_bytes",
        "_missing",
        "_scanned",
        "limits",
        "pending",
    )

    def __init__(self, limits: ReadLimits, message_bytes: Callable[[], int]) -> None:
        self.limits = limits
        self._message_bytes = message_bytes
        self.pending = bytearray()
        self.clear()

    def clear(self) -> None:
        """Forget everything that was read. Source: RFC 3501 section 6.2.1, nothing survives STARTTLS."""
        self.pending.clear()
        self._scanned = 0  # no line end before this offset
        self._missing = 0  # bytes that the literal still lacks
        self._literal: bytearray | None = None
        self._reset()

    def feed(self, data: bytes) -> None:
        """Take what the network brought."""
        self.pending += data

    def read_line(self) -> bytes | None:
        """Take one line that is no command: DONE, or a SASL response; `None` until it is complete.

        Raises:
            SessionEndedError: The line is too long.
        """
        return self._take_line()

    def read_command(self) -> ReaderEvent | None:
        """Take the next event; `None` until there is more to read.

        Raises:
            SessionEndedError: A line is too long, or the client sends too large a literal unasked.
        """
        while self._literal is None or self._take_literal():
            line = self._take_line()
            if line is None:
                return None
            marker = _LITERAL_MARKER.search(line) if line.endswith(b"}") else None
            if marker is None:
                if not self._literals:
                    return CommandText(line)
                command = CommandText(self._line + line, tuple(self._literals), tuple(self._marker_ends))
                self._reset()
                return command
            self._line += line
            event = self._begin_literal(int(marker[1]), is_announced=not marker[2])
            if event is not None:
                return event
        return None

    def _begin_literal(self, size_bytes: int, *, is_announced: bool) -> ReaderEvent | None:
        is_append = self.limits.takes_messages and _APPEND.match(self._line) is not None
        limit = self._message_bytes() if is_append else self.limits.literals_bytes
        if len(self._literals) == MAX_LITERALS:
            raise SessionEndedError("There are too many literals")
        if size_bytes + self._literals_bytes > limit:
            if not is_announced:
                raise SessionEndedError("That literal is too large")
            tag = _TAG.match(self._line)
            self._reset()
            return LiteralRefused(tag[0] if tag else b"*", is_message=is_append)
        self._literals_bytes += size_bytes
        self._marker_ends.append(len(self._line))
        self._literal = bytearray()
        self._missing = size_bytes
        return _LITERAL_WANTED if is_announced else None

    def _take_literal(self) -> bool:
        """Move what has come of the literal; tell whether it is complete."""
        if self._literal is None:
            return True
        part = self.pending[: self._missing]
        del self.pending[: len(part)]
        self._literal += part
        self._missing -= len(part)
        if self._missing:
            return False
        self._literals.append(bytes(self._literal))
        self._literal = None
        return True

    def _take_line(self) -> bytes | None:
        buffer = self.pending
        end = buffer.find(b"\n", self._scanned)
        length = len(buffer) if end < 0 else end
        if length + len(self._line) > self.limits.line_bytes:
            raise SessionEndedError("That line is too long")
        if end < 0:
            self._scanned = length
            return None
        # A bare LF ends a line, too: there is no message text in lines here, so nothing can be smuggled.
        line = bytes(buffer[: end - 1 if end and buffer[end - 1] == 0x0D else end])
        if end + 1 == len(buffer):
            buffer.clear()
        else:
            del buffer[: end + 1]
        self._scanned = 0
        return line

    def _reset(self) -> None:
        self._line = b""
        self._literals: list[bytes] = []
        self._literals_bytes = 0
        self._marker_ends: list[int] = []
