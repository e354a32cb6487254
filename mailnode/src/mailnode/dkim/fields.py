"""A message taken apart as DKIM hashes it: the bytes of each field, in their order, and the body.

For: signing and verification.
Not for: what a field means (encryption.mime_framing reads those that the gate needs).

Source: RFC 5322 section 2.2, RFC 6376 section 5.4.2.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailnode.dkim.errors import MalformedError

MAX_HEADER_BYTES = 256 * 1024
MAX_FIELDS = 1_000

_FIELD = re.compile(rb"([!-9;-~]+):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `name` is in lower case, `raw_name` as it stands; `value` ends before the last CRLF."""

    name: bytes
    raw_name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """A message. `body` begins behind the empty line; a message without one has none."""

    fields: tuple[Field, ...]
    body: memoryview

    def find(self, name: bytes) -> list[Field]:
        """Find the fields of a name (in lower case), the first one first."""
        return [field for field in self.fields if field.name == name]


def split_message(message: bytes) -> Parts:
    """Split a message whose lines end with CRLF.

    Raises:
        MalformedError: Its header has a line that is no field, does not end, or is too large.
    """
    if message.startswith(b"\r\n"):
        return Parts((), memoryview(message)[2:])
    end = message.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if end < 0 and message.endswith(b"\r\n") and len(message) <= MAX_HEADER_BYTES:
        end = len(message) - 2  # nothing but a header
    if end < 0:
        raise MalformedError("the header does not end, or is too large")
    fields: list[Field] = []
    offset = 0
    while offset < end + 2:
        match = _FIELD.match(message, offset, end + 2)
        if match is None or len(fields) >= MAX_FIELDS:
            raise MalformedError("a line of the header is no field, or there are too many")
        fields.append(Field(match[1].lower(), match[1], match[2]))
        offset = match.end()
    return Parts(tuple(fields), memoryview(message)[end + 4 :])


def choose_fields(fields: Sequence[Field], names: Iterable[bytes]) -> list[Field]:
    """Choose the fields that `h=` names: of one name the last one first; a name too many means nothing."""
    left: dict[bytes, list[Field]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field)
    return [left[name].pop() for name in names if left.get(name)]
