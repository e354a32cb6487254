"""Read and write ChannelData: data to or from a peer behind four octets instead of a STUN message.

For: datagrams. Over UDP each holds one ChannelData message, padding is allowed and means nothing.
Not for: streams, where padding would matter.

    | channel number, 0x4000 to 0x7FFF | length of the data | data … | padding, ignored |

Source: RFC 8656 section 12.4.
"""

from struct import Struct
from typing import Final

from turnnode.errors import StunFormatError

HEADER_BYTES: Final = 4
_HEADER: Final = Struct("!HH")


def is_channel_data(datagram: bytes) -> bool:
    """Tell ChannelData from STUN by the first two bits; an empty datagram is neither."""
    return len(datagram) > 0 and datagram[0] & 0xC0 == 0x40


def encode_channel_data(number: int, data: bytes) -> bytes:
    """Write one message without padding.

    Raises:
        OverflowError: There is more data than a datagram can hold.
    """
    return number.to_bytes(2) + len(data).to_bytes(2) + data


def decode_channel_data(datagram: bytes) -> tuple[int, bytes]:
    """Return channel number and data; the number need not be one that may be bound.

    Raises:
        StunFormatError: It is no ChannelData, or the data is shorter than it says.
    """
    if len(datagram) < HEADER_BYTES or datagram[0] & 0xC0 != 0x40:
        raise StunFormatError("this is no ChannelData")
    number, size_bytes = _HEADER.unpack_from(datagram)
    end = HEADER_BYTES + size_bytes
    if end > len(datagram):
        raise StunFormatError("the data is shorter than its length says")
    return number, datagram[HEADER_BYTES:end]
