"""Read messages of a layout that was met before at once, instead of attribute by attribute.

    a request is proved ─▶ learn: types and lengths of its attributes ─▶ the next one like it: one unpack
                                any other message ─▶ decode, by all rules (message.py)

For: the relay: a client asks in the same way each time, and so do all of its kind.
Not for: rules. What is read here has the very types and lengths that `decode` has accepted before, so only
values can differ, and of those only the fingerprint has a rule.

Layouts are learnt from those who have proved who they are, and there is an end to them: nobody else can fill
the table, and without it everything only takes longer.
"""

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import Final

from turnnode.stun.message import (
    FINGERPRINT_MASK,
    FINGERPRINT_TYPE,
    HEADER_BYTES,
    MAGIC_COOKIE,
    Integrity,
    IntegrityKind,
    Message,
    MessageClass,
    type_of,
)

MAX_LAYOUTS: Final = 256
_START_BYTES: Final = 4  # type and length
_FINGERPRINT_BYTES: Final = 8  # with its head


@dataclass(frozen=True, slots=True)
class _Layout:
    """What messages of one layout have in common.

    `heads` are types and lengths of all attributes, `types` those of the kept ones, `proof_offset` and
    `fingerprint_offset` where the others begin; the latter is 0 if there is none.
    """

    size_bytes: int
    fields: Struct
    heads: tuple[int, ...]
    types: tuple[int, ...]
    are_distinct: bool
    method: int
    message_class: MessageClass
    kind: IntegrityKind
    proof_offset: int
    covered_length: bytes
    covered_bytes: int
    fingerprint_offset: int


class KnownLayouts:
    """The layouts of requests that were proved."""

    def __init__(self, room: int = MAX_LAYOUTS) -> None:
        self._room = room
        self._by_start: dict[bytes, _Layout] = {}

    def __len__(self) -> int:
        return len(self._by_start)

    def read(self, datagram: bytes) -> Message | None:
        """Read a message; `None` if its layout is not known, or anything else is to be said about it."""
        layout = self._by_start.get(datagram[:_START_BYTES])
        if layout is None or len(datagram) != layout.size_bytes:
            return None
        fields = layout.fields.unpack(datagram)
        if fields[1] != MAGIC_COOKIE or fields[3::2] != layout.heads:
            return None
        values = fields[4::2]
        types, offset = layout.types, layout.proof_offset
        has_fingerprint = layout.fingerprint_offset != 0
        if has_fingerprint:
            checksum = zlib.crc32(datagram[: layout.fingerprint_offset]) ^ FINGERPRINT_MASK
            if values[-1] != checksum.to_bytes(4):
                return None
            covered = datagram[:2] + layout.covered_length + datagram[_START_BYTES:offset]
        else:
            covered = datagram[:offset]  # the length in it counts up to the proof's end already
        pairs = tuple(zip(types, values, strict=False))  # behind the kept ones come proof and fingerprint
        return Message(
            layout.method,
            layout.message_class,
            fields[2],
            pairs,
            Integrity(layout.kind, covered, values[len(types)]),
            has_fingerprint,
            layout.covered_bytes,
            dict(pairs) if layout.are_distinct else None,
            True,  # noqa: FBT003 - by position, which costs less: `is_of_known_layout`
        )

    def learn(self, message: Message) -> None:
        """Know the layout of a proved message from now on, if there is room and none that begins like it."""
        if message.integrity is None or len(self._by_start) >= self._room:
            return
        length = message.covered_bytes - HEADER_BYTES + _FINGERPRINT_BYTES * message.has_fingerprint
        start = type_of(message.method, message.message_class).to_bytes(2) + length.to_bytes(2)
        if start not in self._by_start:
            self._by_start[start] = _layout_of(message, message.integrity)


def _layout_of(message: Message, integrity: Integrity) -> _Layout:
    """Work out the layout; what followed the proof, and means nothing, is not in it."""
    sizes = [(kind, len(value)) for kind, value in message.attributes]
    types = tuple(kind for kind, _ in sizes)
    proof_offset = HEADER_BYTES + sum(4 + size + (-size & 3) for _, size in sizes)
    covered_bytes = proof_offset + 4 + len(integrity.digest)
    sizes.append((integrity.kind, len(integrity.digest)))
    if message.has_fingerprint:
        sizes.append((FINGERPRINT_TYPE, 4))
    return _Layout(
        size_bytes=covered_bytes + _FINGERPRINT_BYTES * message.has_fingerprint,
        fields=Struct("!II12s" + "".join(f"I{size}s{-size & 3}x" for _, size in sizes)),
        heads=tuple(kind << 16 | size for kind, size in sizes),
        types=types,
        are_distinct=len(set(types)) == len(types),
        method=message.method,
        message_class=message.message_class,
        kind=integrity.kind,
        proof_offset=proof_offset,
        covered_length=(covered_bytes - HEADER_BYTES).to_bytes(2),
        covered_bytes=covered_bytes,
        fingerprint_offset=covered_bytes if message.has_fingerprint else 0,
    )
