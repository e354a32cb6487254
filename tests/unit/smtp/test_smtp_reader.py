"""Messages out of a stream: large ones without a copy, and otherwise as small ones."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.smtp import reader as reader_module
from mailnode.smtp.reader import (
    COPIED_MESSAGE_BYTES,
    TURN_BYTES,
    MessageRoom,
    MessageTooLargeError,
    SmtpReader,
)

TEXT = b"first\r\n..dots\r\n.\r\nNOOP\r\nQUIT\r\n"


class Tap(asyncio.Transport):
    """What data comes from: on, off, or gone."""

    is_on = True
    is_gone = False

    def pause_reading(self) -> None:
        assert self.is_on
        self.is_on = False

    def resume_reading(self) -> None:
        assert not self.is_on
        self.is_on = True

    def is_closing(self) -> bool:
        return self.is_gone


async def read_all(pieces: list[bytes], max_bytes: int) -> tuple[bytes, list[bytes]]:
    """Read a message and the commands behind it, of pieces that come one by one."""
    stream = SmtpReader(asyncio.get_running_loop(), MessageRoom(1 << 30))

    async def feed() -> None:
        for piece in pieces:
            stream.feed_data(piece)
            await asyncio.sleep(0)

    feeding = asyncio.ensure_future(feed())
    message = bytes(await stream.read_message(max_bytes))
    lines = [await stream.read_line(100), await stream.read_line(100)]
    await feeding
    return message, lines


@pytest.mark.parametrize("copied_bytes", [0, COPIED_MESSAGE_BYTES])
@given(st.lists(st.integers(0, len(TEXT)), max_size=6))
def test_message_is_read_wherever_it_is_cut(copied_bytes: int, places: list[int]) -> None:
    borders = [0, *sorted(places), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in pairwise(borders) if start < end]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "COPIED_MESSAGE_BYTES", copied_bytes)

        message, lines = asyncio.run(read_all(pieces, len(TEXT)))

    assert message == b"\r\nfirst\r\n..dots\r\n"
    assert lines == [b"NOOP", b"QUIT"]


@pytest.mark.parametrize("size_bytes", [COPIED_MESSAGE_BYTES - 2, COPIED_MESSAGE_BYTES])
def test_large_message_keeps_its_memory(size_bytes: int) -> None:
    text = b"x" * (size_bytes - 4) + b"\r\n"

    async def read() -> tuple[bool, bytes | bytearray, bytes]:
        stream = SmtpReader(asyncio.get_running_loop(), MessageRoom(1 << 30))
        stream.feed_data(text + b".\r\nNOOP\r\n")
        memory = stream._buffer  # noqa: SLF001 - whether it is the same is what this is about
        message = await stream.read_message(1 << 20)
        return message is memory, message, await stream.read_line(100)

    is_same, message, line = asyncio.run(read())

    assert bytes(message) == b"\r\n" + text
    assert line == b"NOOP"
    assert is_same is (len(text) + 2 > COPIED_MESSAGE_BYTES)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_size_of_a_message_is_limited(offset: int) -> None:
    max_bytes = len(b"\r\nfirst\r\n..dots") - offset

    if offset > 0:
        with pytest.raises(MessageTooLargeError):
            asyncio.run(read_all([TEXT], max_bytes))
    else:
        assert asyncio.run(read_all([TEXT], max_bytes))[1] == [b"NOOP", b"QUIT"]


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_large_message_lets_all_others_have_their_turn(offset: int) -> None:
    async def feed() -> tuple[bool, bool]:
        stream, tap = SmtpReader(asyncio.get_running_loop(), MessageRoom(1 << 30)), Tap()
        stream.set_transport(tap)
        reading = asyncio.ensure_future(stream.read_message(1 << 20))
        await asyncio.sleep(0)
        stream.feed_data(b"x" * (TURN_BYTES - len(b"\r\n") + offset))
        is_on_at_once = tap.is_on
        await asyncio.sleep(0)
        is_on_later = tap.is_on
        stream.feed_data(b"\r\n.\r\n")
        await reading
        return is_on_at_once, is_on_later

    assert asyncio.run(feed()) == (offset <= 0, True)


def test_nothing_is_read_on_from_a_connection_that_ends_meanwhile() -> None:
    async def feed() -> bool:
        stream, tap = SmtpReader(asyncio.get_running_loop(), MessageRoom(1 << 30)), Tap()
        stream.set_transport(tap)
        reading = asyncio.ensure_future(stream.read_message(1 << 20))
        await asyncio.sleep(0)
        stream.feed_data(b"x" * TURN_BYTES)
        tap.is_gone = True
        await asyncio.sleep(0)
        reading.cancel()
        return tap.is_on

    assert not asyncio.run(feed())
