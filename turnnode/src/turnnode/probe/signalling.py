"""How the two sides of a call find one another: lines of JSON, one message each.

    caller                          callee
      {"type": "offer", "sdp"}  ──▶
                                ◀── {"type": "answer", "sdp"}
      … call …
      {"type": "bye"}           ──▶
                                ◀── {"type": "tally", "data_sent", …}

For: two processes that someone connects, stdout of the one to stdin of the other and back.
Not for: trust: whoever carries the lines is trusted.
"""

import asyncio
import json
import sys
from typing import Final, Protocol, TextIO

from turnnode.errors import ProbeFailedError
from turnnode.probe.results import JsonObject

MAX_LINE_BYTES: Final = 1 << 20


class Wire(Protocol):
    """A way to the other side."""

    def send(self, message: JsonObject) -> None:
        """Send one message."""

    async def receive(self) -> JsonObject:
        """Wait for the next message."""


class LineWire:
    """Messages as lines, over a reader and a text file."""

    def __init__(self, reader: asyncio.StreamReader, output: TextIO) -> None:
        self._reader = reader
        self._output = output

    def send(self, message: JsonObject) -> None:
        """Write one line."""
        self._output.write(json.dumps(message) + "\n")
        self._output.flush()

    async def receive(self) -> JsonObject:
        """Read one line.

        Raises:
            ProbeFailedError: The other side has ended, or its line is no message.
        """
        try:
            line = await self._reader.readuntil()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ProbeFailedError("The other side has ended. Its own message says why.") from error
        return read_message(line)


def read_message(line: bytes) -> JsonObject:
    """Read one message.

    Raises:
        ProbeFailedError: It is no JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProbeFailedError("The other side sent a line that is no JSON.") from error
    if not isinstance(message, dict):
        raise ProbeFailedError("The other side sent JSON that is no object.")
    return message


def text_of(message: JsonObject, kind: str, key: str) -> str:
    """Return a text of a message that must be of one kind.

    Raises:
        ProbeFailedError: It is of another kind, or has no such text.
    """
    text = message.get(key)
    if message.get("type") != kind or not isinstance(text, str):
        raise ProbeFailedError(f"The other side sent something else than its {kind}. Swap the roles?")
    return text


async def open_standard_wire() -> LineWire:
    """Speak over stdin and stdout."""
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return LineWire(reader, sys.stdout)


class QueueWire:
    """One end of a way within a process; `pair` makes both."""

    def __init__(self, inbox: asyncio.Queue[JsonObject], outbox: asyncio.Queue[JsonObject]) -> None:
        self._inbox = inbox
        self._outbox = outbox

    @classmethod
    def pair(cls) -> "tuple[QueueWire, QueueWire]":
        """Return two ends of one way."""
        one: asyncio.Queue[JsonObject] = asyncio.Queue()
        other: asyncio.Queue[JsonObject] = asyncio.Queue()
        return cls(one, other), cls(other, one)

    def send(self, message: JsonObject) -> None:
        """Put a message into the other end."""
        self._outbox.put_nowait(message)

    async def receive(self) -> JsonObject:
        """Wait for a message."""
        return await self._inbox.get()
