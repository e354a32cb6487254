"""Streams cut anywhere, of messages and of garbage."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from turnnode.errors import StunFormatError
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.framing import MAX_FRAME_BYTES, StreamFraming, pad_frame
from turnnode.stun.message import Message, MessageClass, encode

messages = st.one_of(
    st.builds(
        lambda method, data: encode(Message(method, MessageClass.REQUEST, bytes(12), ((0x0013, data),))),
        st.integers(0, 0xFFF),
        st.binary(max_size=300),
    ),
    st.builds(
        lambda number, data: pad_frame(encode_channel_data(number, data)),
        st.integers(0x4000, 0x7FFF),
        st.binary(max_size=300),
    ),
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(sent=st.lists(messages, max_size=8), places=st.lists(st.integers(0, 10_000), max_size=20))
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    sent: list[bytes], places: list[int]
) -> None:
    framing = StreamFraming()

    assert [message for piece in cut(b"".join(sent), places) for message in framing.feed(piece)] == sent
    assert not framing.is_within_message


@given(pieces=st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_is_cut_into_what_could_be_messages_or_refused(pieces: list[bytes]) -> None:
    framing = StreamFraming()
    came_out = b""
    try:
        for piece in pieces:
            for message in framing.feed(piece):
                assert 4 <= len(message) <= MAX_FRAME_BYTES
                assert len(message) % 4 == 0
                came_out += message
    except StunFormatError:
        return
    assert b"".join(pieces).startswith(came_out)
