"""ChannelData on datagrams."""

import pytest

from turnnode.errors import StunFormatError
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data, is_channel_data


@pytest.mark.parametrize("size", [0, 1, 4, 1200, 65_535])
def test_data_is_read_as_it_was_written(size: int) -> None:
    assert decode_channel_data(encode_channel_data(0x4001, bytes(size))) == (0x4001, bytes(size))


@pytest.mark.parametrize("padding", [1, 3, 40])
def test_padding_is_ignored(padding: int) -> None:
    assert decode_channel_data(encode_channel_data(0x4FFF, b"abc") + bytes(padding)) == (0x4FFF, b"abc")


@pytest.mark.parametrize(
    "datagram", [b"", b"\x40", b"\x40\x00\x00", b"\x40\x00\x00\x01", b"\x00\x01\x00\x00"]
)
def test_datagram_that_is_cut_or_no_channel_data_is_refused(datagram: bytes) -> None:
    with pytest.raises(StunFormatError):
        decode_channel_data(datagram)


def test_more_data_than_a_length_can_say_is_refused() -> None:
    with pytest.raises(OverflowError):
        encode_channel_data(0x4000, bytes(65_536))


@pytest.mark.parametrize(
    ("datagram", "answer"),
    [(b"", False), (b"\x00\x01", False), (b"\x40\x00", True), (b"\x7f", True), (b"\x80", False)],
)
def test_first_two_bits_tell_channel_data_from_stun(datagram: bytes, answer: bool) -> None:
    assert is_channel_data(datagram) is answer
