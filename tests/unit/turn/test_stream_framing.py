"""Cutting streams into messages."""

import pytest

from turnnode.errors import StunFormatError
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.framing import MAX_FRAME_BYTES, StreamFraming, pad_frame
from turnnode.stun.message import Message, MessageClass, Method, encode

BINDING = encode(Message(Method.BINDING, MessageClass.REQUEST, b"t" * 12))
CHANNEL = pad_frame(encode_channel_data(0x4000, b"hello"))


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_messages_come_out_whole_however_they_are_cut(step: int) -> None:
    stream = BINDING + CHANNEL + BINDING
    framing = StreamFraming()
    messages = [
        message
        for start in range(0, len(stream), step)
        for message in framing.feed(stream[start : start + step])
    ]

    assert messages == [BINDING, CHANNEL, BINDING]
    assert not framing.is_within_message


@pytest.mark.parametrize(("size", "padded"), [(0, 4), (1, 8), (3, 8), (4, 8), (5, 12)])
def test_channel_data_is_padded_to_four_octets(size: int, padded: int) -> None:
    assert len(pad_frame(encode_channel_data(0x4000, b"x" * size))) == padded


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\x00\x00\x00",
        b"\xc0\x00\x00\x00",
        b"\x00\x01\x00\x02",
        b"\x00\x01\x00\x00\x21\x12\xa4\x43",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
def test_stream_of_something_else_is_refused(stream: bytes) -> None:
    with pytest.raises(StunFormatError):
        StreamFraming().feed(stream + bytes(70_000))


@pytest.mark.parametrize(("size", "is_taken"), [(-4, True), (0, True), (4, False)])
def test_message_may_be_so_long_and_no_longer(size: int, is_taken: bool) -> None:
    data = bytes(MAX_FRAME_BYTES - 4 + size)
    stream = pad_frame(encode_channel_data(0x4000, data))
    if is_taken:
        assert StreamFraming().feed(stream) == [stream]
    else:
        with pytest.raises(StunFormatError):
            StreamFraming().feed(stream)


def test_message_that_has_begun_is_known() -> None:
    framing = StreamFraming()

    assert framing.feed(BINDING[:10]) == []
    assert framing.is_within_message
