"""Messages out of what comes: large ones without a copy, and otherwise as small ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.smtp import reader as reader_module
from mailnode.smtp.chunks import Chunks
from mailnode.smtp.reader import (
    COPIED_MESSAGE_BYTES,
    MessageRoom,
    MessageTooLargeError,
    SmtpReader,
)

TEXT = b"first\r\n..dots\r\n.\r\nNOOP\r\nQUIT\r\n"


def read_all(pieces: list[bytes], max_bytes: int) -> tuple[bytes, list[bytes | None]]:
    """Read a message and the commands behind it, of pieces that come one by one."""
    reader = SmtpReader(MessageRoom(1 << 30))
    reader.begin_message()
    message = reader.take_message(max_bytes)
    for piece in pieces:
        reader.feed(piece)
        message = message or reader.take_message(max_bytes)
    assert message is not None
    return bytes(message), [reader.take_line(100), reader.take_line(100)]


@pytest.mark.parametrize("copied_bytes", [0, COPIED_MESSAGE_BYTES])
@given(st.lists(st.integers(0, len(TEXT)), max_size=6))
def test_message_is_read_wherever_it_is_cut(copied_bytes: int, places: list[int]) -> None:
    borders = [0, *sorted(places), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in pairwise(borders) if start < end]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "COPIED_MESSAGE_BYTES", copied_bytes)

        message, lines = read_all(pieces, len(TEXT))

    assert message == b"\r\nfirst\r\n..dots\r\n"
    assert lines == [b"NOOP", b"QUIT"]


@pytest.mark.parametrize("size_bytes", [COPIED_MESSAGE_BYTES - 2, COPIED_MESSAGE_BYTES])
def test_large_message_keeps_its_memory(size_bytes: int) -> None:
    text = b"x" * (size_bytes - 4) + b"\r\n"

    reader = SmtpReader(MessageRoom(1 << 30))
    reader.begin_message()
    reader.feed(text + b".\r\nNOOP\r\n")
    memory = reader._buffer  # noqa: SLF001 - whether it is the same is what this is about

    message = reader.take_message(1 << 20)

    assert message is not None
    assert bytes(message) == b"\r\n" + text
    assert reader.take_line(100) == b"NOOP"
    assert (message is memory) is (len(text) + 2 > COPIED_MESSAGE_BYTES)


@pytest.mark.parametrize("size_bytes", [COPIED_MESSAGE_BYTES, COPIED_MESSAGE_BYTES + 1])
def test_large_chunk_keeps_its_memory(size_bytes: int) -> None:
    text = b"x" * (size_bytes - 2) + b"\r\n"
    reader, chunks = SmtpReader(MessageRoom(1 << 30)), Chunks()
    reader.feed(text + b"NOOP\r\n")
    memory = reader._buffer  # noqa: SLF001 - as above

    chunk = reader.take_chunk(size_bytes)
    assert chunk is not None
    chunks.add(chunk)

    assert chunks.finish() == text
    assert (chunks.finish() is memory) is (size_bytes > COPIED_MESSAGE_BYTES)
    assert reader.take_line(100) == b"NOOP"


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_size_of_a_message_is_limited(offset: int) -> None:
    max_bytes = len(b"\r\nfirst\r\n..dots") - offset

    if offset > 0:
        with pytest.raises(MessageTooLargeError):
            read_all([TEXT], max_bytes)
    else:
        assert read_all([TEXT], max_bytes)[1] == [b"NOOP", b"QUIT"]
