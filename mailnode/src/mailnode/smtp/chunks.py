"""A message that comes in chunks, by BDAT.

    MAIL ─▶ RCPT ... ─▶ BDAT 100 ─▶ BDAT 100 ─▶ BDAT 7 LAST ─▶ 250
                           └─▶ refused, or RSET: the chunks are dropped, and what still comes is thrown away

For: the sessions. A chunk says how long it is, so that there are no dots to look for, no reply to wait for
before it, and no doubt where it ends.
Not for: what a message must be (message_text.py). Not BINARYMIME either: lines end with CRLF as ever.

Source: RFC 3030 section 2.
"""

import re
from dataclasses import dataclass, field

from mailnode.smtp.replies import BAD_ARGUMENT
from mailnode.smtp.syntax import CommandError

_ARGUMENT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChunkCommand:
    """What BDAT says: how many bytes follow it, and whether they end the message."""

    size_bytes: int
    is_last: bool


@dataclass(slots=True)
class Chunks:
    """What has come of a message: in one piece, since a chunk may be a single byte."""

    content: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes | bytearray) -> None:
        """Put a chunk to those before. The first one is not copied where it is large."""
        if isinstance(chunk, bytearray) and not self.content:
            self.content = chunk
        else:
            self.content += chunk

    def finish(self) -> bytearray:
        """Make a message of it, which ends with a line end as each that comes by DATA."""
        if not self.content.endswith(b"\r\n"):
            self.content += b"\r\n"
        return self.content


def read_chunk_command(argument: str) -> ChunkCommand:
    """Read what stands behind BDAT.

    Raises:
        CommandError: It is malformed; nobody knows how much follows, so nothing more can be read.
    """
    match = _ARGUMENT.fullmatch(argument)
    if match is None:
        raise CommandError(BAD_ARGUMENT)
    return ChunkCommand(int(match[1]), match[2] is not None)
