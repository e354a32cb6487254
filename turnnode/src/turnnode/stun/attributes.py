"""Attribute types of STUN and TURN, and what stands in their values.

For: turning a value into an address, a number or a status, and back.
Not for: the message around it (message.py).

Source: RFC 8489 section 14, RFC 8656 section 18.
"""

import socket
from enum import IntEnum
from struct import Struct
from typing import Final

from turnnode.errors import StunFormatError
from turnnode.stun.message import MAGIC_COOKIE

Address = tuple[str, int]
"""Host, as `inet_ntop` writes it, and port."""

FAMILY_IPV4: Final = 1
FAMILY_IPV6: Final = 2
MIN_CHANNEL: Final = 0x4000
# RFC 8656 section 12 ends at 0x4FFF, for ports that serve other protocols as well. Ours do not, and clients
# of RFC 5766, such as Debian's turnutils_uclient, go up to 0x7FFF. The kernel leaves the others to us.
MAX_CHANNEL: Final = 0x7FFF

_ADDRESS_HEAD = Struct("!BBH")
_COOKIE = MAGIC_COOKIE.to_bytes(4)
_COOKIE_HIGH = MAGIC_COOKIE >> 16


class AttributeType(IntEnum):
    """The attributes that we read or write."""

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    EVEN_PORT = 0x0018
    REQUESTED_TRANSPORT = 0x0019
    DONT_FRAGMENT = 0x001A
    PASSWORD_ALGORITHM = 0x001D
    XOR_MAPPED_ADDRESS = 0x0020
    RESERVATION_TOKEN = 0x0022
    ADDITIONAL_ADDRESS_FAMILY = 0x8000
    ADDRESS_ERROR_CODE = 0x8001
    PASSWORD_ALGORITHMS = 0x8002
    ICMP = 0x8004
    SOFTWARE = 0x8022
    ALTERNATE_SERVER = 0x8023


def encode_xor_address(address: Address, transaction_id: bytes) -> bytes:
    """Write an address, mixed with the magic cookie and, for IPv6, the transaction id.

    Raises:
        OSError: The host is no IP address in text.

    Source: RFC 8489 section 14.2.
    """
    host, port = address
    if ":" in host:
        family, packed = FAMILY_IPV6, socket.inet_pton(socket.AF_INET6, host)
    else:
        family, packed = FAMILY_IPV4, socket.inet_pton(socket.AF_INET, host)
    return _ADDRESS_HEAD.pack(0, family, port ^ _COOKIE_HIGH) + _mix(packed, transaction_id)


def encode_address(address: Address) -> bytes:
    """Write an address as it is. Raises: OSError, where the host is no IP address in text.

    Source: RFC 8489 sections 14.1 and 14.15.
    """
    host, port = address
    family = family_of(host)
    packed = socket.inet_pton(socket.AF_INET6 if family == FAMILY_IPV6 else socket.AF_INET, host)
    return _ADDRESS_HEAD.pack(0, family, port) + packed


def decode_xor_address(value: bytes, transaction_id: bytes) -> Address:
    """Read an address of either family.

    Raises:
        StunFormatError: The family is unknown, or the length is not the family's.
    """
    if len(value) < 4:
        raise StunFormatError("an address is too short")
    _, family, mixed_port = _ADDRESS_HEAD.unpack_from(value)
    if (family, len(value)) == (FAMILY_IPV4, 8):
        host = socket.inet_ntop(socket.AF_INET, _mix(value[4:], transaction_id))
    elif (family, len(value)) == (FAMILY_IPV6, 20):
        host = socket.inet_ntop(socket.AF_INET6, _mix(value[4:], transaction_id))
    else:
        raise StunFormatError("an address has an unknown family or a wrong length")
    return host, mixed_port ^ _COOKIE_HIGH


def family_of(host: str) -> int:
    """Return the family's number in STUN; `host` is an IP address in text."""
    return FAMILY_IPV6 if ":" in host else FAMILY_IPV4


def encode_error_code(status: int) -> bytes:
    """Write an error code without a reason phrase: every octet of it would help to amplify a spoofed request.

    Source: RFC 8489 section 14.8.
    """
    return bytes((0, 0, status // 100, status % 100))


def decode_error_code(value: bytes) -> int:
    """Read the number of an error code and ignore its phrase.

    Raises:
        StunFormatError: The value is too short, or no number from 300 to 699.
    """
    if len(value) < 4 or not 3 <= value[2] <= 6 or value[3] > 99:
        raise StunFormatError("an error code is malformed")
    return value[2] * 100 + value[3]


def encode_unknown_attributes(types: tuple[int, ...]) -> bytes:
    """Write the list that goes with a 420 (RFC 8489 section 14.13)."""
    return b"".join(attribute_type.to_bytes(2) for attribute_type in types)


def encode_lifetime(seconds: int) -> bytes:
    """Write a lifetime (RFC 8656 section 18.2)."""
    return seconds.to_bytes(4)


def decode_lifetime(value: bytes) -> int:
    """Read a lifetime in seconds.

    Raises:
        StunFormatError: The value is not four octets long.
    """
    return _number(value)


def encode_channel_number(number: int) -> bytes:
    """Write a channel number and the two reserved octets (RFC 8656 section 18.1)."""
    return number.to_bytes(2) + b"\0\0"


def decode_channel_number(value: bytes) -> int:
    """Read a channel number, whether or not it is one that may be bound.

    Raises:
        StunFormatError: The value is not four octets long.
    """
    return _number(value) >> 16


def encode_first_octet(number: int) -> bytes:
    """Write a family or a transport protocol and its three reserved octets (RFC 8656 section 18)."""
    return bytes((number, 0, 0, 0))


def decode_first_octet(value: bytes) -> int:
    """Read the number of a family or of a transport protocol.

    Raises:
        StunFormatError: The value is not four octets long.
    """
    return _number(value) >> 24


def encode_icmp(icmp_type: int, code: int, error_data: int) -> bytes:
    """Write what an ICMP error said: seven bits of type, nine of code, and its data, such as an MTU.

    Source: RFC 8656 section 18.13.
    """
    return (icmp_type << 9 | code).to_bytes(4) + error_data.to_bytes(4)


def decode_icmp(value: bytes) -> tuple[int, int, int]:
    """Read type, code and data of an ICMP error.

    Raises:
        StunFormatError: The value is not eight octets long.
    """
    if len(value) != 8:
        raise StunFormatError("an ICMP error has a wrong length")
    return value[2] >> 1, (value[2] & 1) << 8 | value[3], int.from_bytes(value[4:])


def _number(value: bytes) -> int:
    if len(value) != 4:
        raise StunFormatError("a number has a wrong length")
    return int.from_bytes(value)


def _mix(packed: bytes, transaction_id: bytes) -> bytes:
    size = len(packed)
    if size == 4:
        return (int.from_bytes(packed) ^ MAGIC_COOKIE).to_bytes(4)
    return (int.from_bytes(packed) ^ int.from_bytes(_COOKIE + transaction_id)).to_bytes(size)
