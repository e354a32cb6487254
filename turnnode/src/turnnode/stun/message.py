"""Read and write STUN messages.

For: both ends: the relay, and the client that tests it.
Not for: what a message means, what its attributes hold (attributes.py), or whether a sender may ask.

     0                   1                   2                   3
    |0 0|  type: method and class   |  length of what follows, 4 n  |
    |                 magic cookie 0x2112A442                       |
    |                 transaction id, 96 bits                       |
    | attribute type | attribute length | value, padded to 4 octets | …

Only attributes that are covered by MESSAGE-INTEGRITY (or by MESSAGE-INTEGRITY-SHA256, whichever comes
first) are kept: what follows it could have been added by anyone on the way.

Source: RFC 8489 sections 5, 6.3 and 14.
"""

import hashlib
import hmac
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Final

from turnnode.errors import StunFormatError

MAGIC_COOKIE: Final = 0x2112A442
HEADER_BYTES: Final = 20
TRANSACTION_ID_BYTES: Final = 12
FINGERPRINT_MASK: Final = 0x5354554E  # RFC 8489 section 14.7
SHA1_BYTES: Final = 20
SHA256_BYTES: Final = 32
MIN_SHA256_BYTES: Final = 16  # RFC 8489 section 14.6 lets a sender truncate it this far

PREPARED_KEYS: Final = 4096  # of clients that ask now; others are prepared again

Attributes = tuple[tuple[int, bytes], ...]
"""Types and values, in wire order."""

_HEADER = Struct("!HHI12s")
_ATTRIBUTE = Struct("!HH")
_WORD = Struct("!I")
_BLOCK_BYTES = 64  # of SHA-1 and SHA-256
_INNER_PAD = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD = bytes(octet ^ 0x5C for octet in range(256))
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class MessageClass(IntEnum):
    """What a message is to its transaction (RFC 8489 section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Method(IntEnum):
    """The methods of STUN and of TURN over UDP (RFC 8489 section 18.2, RFC 8656 section 17)."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009


class IntegrityKind(IntEnum):
    """The two attributes that prove a key; each value is the attribute's type."""

    SHA1 = 0x0008
    SHA256 = 0x001C


FINGERPRINT_TYPE: Final = 0x8028
_CLASSES = tuple(MessageClass)
_SHA1 = IntegrityKind.SHA1  # to find a member in its class costs as much as to look it up in a table
_INTEGRITY_TYPES = {int(kind): kind for kind in IntegrityKind}


@dataclass(slots=True)
class Integrity:
    """Proof that the sender of `covered` knows a key."""

    kind: IntegrityKind
    covered: bytes
    digest: bytes

    def is_proved_by(self, key: bytes) -> bool:
        """Tell whether this proof was made with `key`, in a time that does not depend on the answer."""
        digest = make_proof(self.kind, key, self.covered)
        return hmac.compare_digest(digest[: len(self.digest)], self.digest)


@dataclass(slots=True)  # not frozen, which would triple their cost: there are two for each request
class Message:
    """One STUN message; `method` is a number, as there are methods that we do not know.

    `attributes` are in wire order, without integrity and fingerprint. `integrity`, `has_fingerprint` and
    `covered_bytes`, how long it was up to the end of the former, tell how a decoded message came, and
    `is_of_known_layout` how it was read (layouts.py); they take no part in comparison, and `encode` does not
    look at them.
    """

    method: int
    message_class: MessageClass
    transaction_id: bytes
    attributes: Attributes = ()
    integrity: Integrity | None = field(default=None, compare=False)
    has_fingerprint: bool = field(default=False, compare=False)
    covered_bytes: int = field(default=0, compare=False)
    _first: dict[int, bytes] | None = field(default=None, compare=False, repr=False)
    is_of_known_layout: bool = field(default=False, compare=False)

    def find(self, attribute_type: int) -> bytes | None:
        """Return the value of the first such attribute, which is the one that counts; `None` without one."""
        if self._first is None:
            self._first = dict(self.attributes[::-1])  # of equal types, the last one stays
        return self._first.get(attribute_type)

    def has_any(self, types: frozenset[int]) -> bool:
        """Tell whether there is an attribute of any of some types."""
        if self._first is None:
            self._first = dict(self.attributes[::-1])
        return not types.isdisjoint(self._first)

    def find_all(self, attribute_type: int) -> list[bytes]:
        """Return the values of every such attribute, in wire order."""
        return [value for found_type, value in self.attributes if found_type == attribute_type]

    def unknown_required(self, known: frozenset[int]) -> tuple[int, ...]:
        """Name the attributes that must be understood (types below 0x8000) and are not in `known`.

        Source: RFC 8489 section 14.
        """
        if self._first is None:
            self._first = dict(self.attributes[::-1])
        if self._first.keys() <= known:
            return ()
        return tuple(
            dict.fromkeys(kind for kind, _ in self.attributes if kind < 0x8000 and kind not in known)
        )


def encode(
    message: Message,
    key: bytes | None = None,
    *,
    kind: IntegrityKind = IntegrityKind.SHA1,
    fingerprint: bool = False,
) -> bytes:
    """Write a message, with a proof of `key` unless it is `None`, and a fingerprint if asked for."""
    type_word = type_of(message.method, message.message_class)
    return _write(type_word, message.transaction_id, message.attributes, key, kind, fingerprint=fingerprint)


def encode_answer(
    request: Message, message_class: MessageClass, attributes: Attributes, key: bytes | None = None
) -> bytes:
    """Write the answer to a request in kind: with the proof that it had, and a fingerprint if it had one."""
    kind = _SHA1 if request.integrity is None else request.integrity.kind
    return _write(
        type_of(request.method, message_class),
        request.transaction_id,
        attributes,
        key,
        kind,
        fingerprint=request.has_fingerprint,
    )


def _write(  # noqa: PLR0913 - the parts of a message
    type_word: int,
    transaction_id: bytes,
    attributes: Attributes,
    key: bytes | None,
    kind: IntegrityKind,
    *,
    fingerprint: bool,
) -> bytes:
    pack, rest = _ATTRIBUTE.pack, (MAGIC_COOKIE, transaction_id)
    body = b""
    for attribute_type, value in attributes:
        size_bytes = len(value)
        body += pack(attribute_type, size_bytes) + value + _PADDING[size_bytes & 3]
    if key is not None:
        size_bytes = SHA1_BYTES if kind is _SHA1 else SHA256_BYTES
        covered = _HEADER.pack(type_word, len(body) + 4 + size_bytes, *rest) + body
        proof = _ATTRIBUTE.pack(kind, size_bytes) + make_proof(kind, key, covered)
        if not fingerprint:
            return covered + proof
        body += proof
    if fingerprint:
        covered = _HEADER.pack(type_word, len(body) + 8, *rest) + body
        body += _ATTRIBUTE.pack(FINGERPRINT_TYPE, 4) + _WORD.pack(zlib.crc32(covered) ^ FINGERPRINT_MASK)
    return _HEADER.pack(type_word, len(body), *rest) + body


def encode_attribute(attribute_type: int, value: bytes) -> bytes:
    """Write one attribute, padded with zeros to a multiple of four octets."""
    return _ATTRIBUTE.pack(attribute_type, len(value)) + value + _PADDING[len(value) & 3]


def decode(datagram: bytes) -> Message:
    """Read one message that fills its datagram; padding may hold anything.

    Raises:
        StunFormatError: It is no STUN message, a length is wrong, or the fingerprint does not fit.
    """
    end = len(datagram)
    if end < HEADER_BYTES:
        raise StunFormatError("the message is shorter than its header")
    type_word, length, cookie, transaction_id = _HEADER.unpack_from(datagram)
    if type_word & 0xC000 or cookie != MAGIC_COOKIE:
        raise StunFormatError("this is no STUN message")
    if length & 3 or length + HEADER_BYTES != end:
        raise StunFormatError("the message's length is wrong")
    attributes: list[tuple[int, bytes]] = []
    integrity: Integrity | None = None
    has_fingerprint = False
    offset, covered_bytes = HEADER_BYTES, 0
    unpack = _ATTRIBUTE.unpack_from
    while offset < end:
        attribute_type, size_bytes = unpack(datagram, offset)
        start = offset + 4
        stop = start + size_bytes
        if stop > end:
            raise StunFormatError("an attribute is longer than its message")
        value = datagram[start:stop]
        if attribute_type == FINGERPRINT_TYPE:
            _check_fingerprint(datagram, offset, value)
            has_fingerprint = True
            covered_bytes = covered_bytes or offset
        elif integrity is None:
            if attribute_type in _INTEGRITY_TYPES:
                integrity = _integrity_at(datagram, offset, _INTEGRITY_TYPES[attribute_type], value)
                covered_bytes = stop
            else:
                attributes.append((attribute_type, value))
        offset = stop + 3 & ~3
    method = (type_word & 0xF) | (type_word >> 1 & 0x70) | (type_word >> 2 & 0xF80)
    message_class = _CLASSES[(type_word >> 4 & 1) | (type_word >> 7 & 2)]
    return Message(
        method,
        message_class,
        transaction_id,
        tuple(attributes),
        integrity,
        has_fingerprint,
        covered_bytes or end,
    )


def _integrity_at(datagram: bytes, offset: int, kind: IntegrityKind, digest: bytes) -> Integrity:
    size_bytes = len(digest)
    if kind is _SHA1:
        is_sound = size_bytes == SHA1_BYTES
    else:
        is_sound = MIN_SHA256_BYTES <= size_bytes <= SHA256_BYTES and size_bytes & 3 == 0
    if not is_sound:
        raise StunFormatError("the message's proof of integrity has a wrong length")
    # RFC 8489 section 14.5: the length in the header counts as if the message ended with this attribute.
    length = offset - HEADER_BYTES + 4 + size_bytes
    return Integrity(kind, datagram[:2] + length.to_bytes(2) + datagram[4:offset], digest)


def _check_fingerprint(datagram: bytes, offset: int, value: bytes) -> None:
    """Raise unless the fingerprint is the last attribute and fits (RFC 8489 section 14.7)."""
    if len(value) != 4 or offset + 8 != len(datagram):
        raise StunFormatError("the fingerprint is not the message's last four octets")
    if _WORD.unpack(value)[0] != zlib.crc32(datagram[:offset]) ^ FINGERPRINT_MASK:
        raise StunFormatError("the fingerprint does not fit the message")


@lru_cache(maxsize=256)
def type_of(method: int, message_class: MessageClass) -> int:
    """Interleave method and class (RFC 8489 figure 3)."""
    spread = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2
    return spread | (message_class & 1) << 4 | (message_class & 2) << 7


@lru_cache(maxsize=PREPARED_KEYS)
def _prepare(kind: IntegrityKind, key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """Return the two hashes of an HMAC with the key in them: half its cost for a short message (RFC 2104)."""
    # RFC 8489 section 14.5 prescribes HMAC-SHA1; its use inside HMAC is not broken.
    algorithm = hashlib.sha1 if kind is _SHA1 else hashlib.sha256
    block = (algorithm(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    return algorithm(block.translate(_INNER_PAD)), algorithm(block.translate(_OUTER_PAD))


def make_proof(kind: IntegrityKind, key: bytes, covered: bytes) -> bytes:
    """Return the HMAC of `covered`; a key of late costs less."""
    prepared_inner, prepared_outer = _prepare(kind, key)
    inner, outer = prepared_inner.copy(), prepared_outer.copy()
    inner.update(covered)
    outer.update(inner.digest())
    return outer.digest()
