"""Cut a byte stream of a TCP or TLS client into messages, and pad what goes back.

    …│ STUN: 20 octets + its length, a multiple of four │ ChannelData: 4 + its length, padded to four │…

For: connections, where nothing but the lengths tells where a message ends.
Not for: datagrams, each of which is one message (message.py, channel_data.py).

What cannot be a message ends the stream: there is no way to find the next one.

Source: RFC 8489 section 6.2.2, RFC 8656 section 12.5.
"""

from typing import Final

from turnnode.errors import StunFormatError
from turnnode.stun.message import HEADER_BYTES, MAGIC_COOKIE

MAX_FRAME_BYTES: Final = 16_384  # packets of calls stay below 1,500
_HEAD_BYTES = 4
_COOKIE = MAGIC_COOKIE.to_bytes(4)
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class StreamFraming:
    """The unread part of one stream; it never holds more than one message and what came with its end."""

    def __init__(self) -> None:
        self._unread = bytearray()

    @property
    def is_within_message(self) -> bool:
        """Tell whether a message has begun and not ended."""
        return bool(self._unread)

    def feed(self, received: bytes) -> list[bytes]:
        """Take what was received; return the messages that are whole, ChannelData with its padding.

        Raises:
            StunFormatError: What follows can be no message, or is longer than we take.
        """
        unread = self._unread
        unread += received
        frames = []
        start = 0
        while len(unread) - start >= _HEAD_BYTES:
            size_bytes = _size_at(unread, start)
            if len(unread) - start < size_bytes:
                break
            frames.append(bytes(unread[start : start + size_bytes]))
            start += size_bytes
        del unread[:start]
        return frames


def pad_frame(message: bytes) -> bytes:
    """Return a message as it stands in a stream; STUN has its padding already."""
    return message + _PADDING[len(message) & 3]


def _size_at(stream: bytearray, start: int) -> int:
    """Return how long the message is that begins at `start`; its first four octets are there."""
    length = stream[start + 2] << 8 | stream[start + 3]
    match stream[start] >> 6:
        case 0:
            cookie = stream[start + 4 : start + 8]
            if length & 3 or not _COOKIE.startswith(cookie):
                raise StunFormatError("this is no STUN message")
            size_bytes = HEADER_BYTES + length
        case 1:
            size_bytes = _HEAD_BYTES + length + (-length & 3)
        case _:
            raise StunFormatError("this is neither STUN nor ChannelData")
    if size_bytes > MAX_FRAME_BYTES:
        raise StunFormatError("a message is too long")
    return size_bytes
