"""Read header fields, media types and multiparts from bytes, as strictly as the gate needs.

For: the gate. What two readers could understand differently is refused, so that nobody can hide a readable
part from the gate which an app would show: repeated fields, text before and after the parts, delimiters that
are almost delimiters, parameters in pieces.
Not for: showing or composing mail; it would refuse much that is legal.

Source: RFC 5322 section 2.2, RFC 2045 section 5.1, RFC 2046 section 5.1.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from mailnode.encryption.errors import UnencryptedError

# Bounds the work of reading fields one by one; a group's list of 1,000 members and two keys fit in.
MAX_HEADER_BYTES = 256 * 1024

# RFC 5322 section 3.6 allows each at most once, and so does whoever defines the others.
ONCE = frozenset(
    (
        b"auto-submitted",
        b"autocrypt-setup-message",
        b"content-transfer-encoding",
        b"content-type",
        b"date",
        b"from",
        b"message-id",
        b"mime-version",
        b"secure-join",
        b"sender",
        b"subject",
        b"to",
    )
)

_FOLD = re.compile(rb"\r\n(?=[ \t])")
_FIELD = re.compile(
    rb"^([!-9;-~]+):([^\r\n\0]*)", re.MULTILINE
)  # begins at lines only: else 256 KiB take hours
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rb"[ \t]*(%b/%b)[ \t]*" % (_TOKEN, _TOKEN))
_PARAMETER = re.compile(rb';[ \t]*(?:(%b)=(?:(%b)|"([^"\\\r\n]*)")[ \t]*)?' % (_TOKEN, _TOKEN))
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")

# A search of a whole large message would keep the interpreter's lock, and hold up all sessions meanwhile.
SEARCHED_AT_ONCE_BYTES = 1 << 18
CACHED_BYTES = 128

Fields = Mapping[bytes, bytes]
"""Field names in lower case, and their unfolded values; of repeated fields the first."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A message or a part of one, split at its first empty line. Source: RFC 2045 section 2.4.

    Its body is in `data`, between `start`, behind a CRLF, and `end`: a copy would take as long as reading it.
    """

    fields: Fields
    data: bytes
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How large the body is."""
        return self.end - self.start

    @property
    def body(self) -> bytes:
        """A copy of the body; for small ones."""
        return self.data[self.start : self.end]


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type: `name` as `b"text/plain"`, in lower case like the names of the parameters."""

    name: bytes
    parameters: Mapping[bytes, bytes]


PLAIN_TEXT = MediaType(b"text/plain", {})


def split_entity(data: bytes, start: int = 0, end: int | None = None) -> Entity:
    """Split header and body, and the header into fields, of what is between `start` and `end`.

    Raises:
        UnencryptedError: The header is too large, has a line that is no field, or has a field twice that
            may be there once.
    """
    end = len(data) if end is None else end
    if data.startswith(b"\r\n", start, end):
        return Entity({}, data, start + 2, end)
    header_end = data.find(b"\r\n\r\n", start, min(end, start + MAX_HEADER_BYTES))
    if header_end < 0:
        raise UnencryptedError("the header does not end, or is too large")
    header = data[start:header_end]
    if b"\r\n " in header or b"\r\n\t" in header:
        header = _FOLD.sub(b"", header)
    found: list[tuple[bytes, bytes]] = _FIELD.findall(header)
    # Whatever was passed over is missing here: then not every line is a field.
    if b"\r\n".join([b"%b:%b" % field for field in found]) != header:
        raise UnencryptedError("a line of the header is no field")
    fields: dict[bytes, bytes] = {}
    for spelled, value in found:
        name = spelled.lower()
        if name not in fields:
            fields[name] = value
        elif name in ONCE:
            raise UnencryptedError("a field is there twice")
    return Entity(fields, data, header_end + 4, end)


def read_media_type(fields: Fields) -> MediaType:
    """Read Content-Type; plain text where there is none, as RFC 2045 section 5.2 has it.

    Raises:
        UnencryptedError: It is malformed, or a parameter is there twice, in pieces (RFC 2231) or escaped.
    """
    value = fields.get(b"content-type")
    if value is None:
        return PLAIN_TEXT
    if len(value) <= CACHED_BYTES and b"boundary" not in value:
        return _parse_small(value)
    return _parse_media_type(value)


@lru_cache(maxsize=64)
def _parse_small(value: bytes) -> MediaType:
    """Parse what is the same in each message: the types of the parts. A boundary is new each time."""
    return _parse_media_type(value)


def _parse_media_type(value: bytes) -> MediaType:
    media_type = _MEDIA_TYPE.match(value)
    if media_type is None:
        raise UnencryptedError("the media type is malformed")
    parameters: dict[bytes, bytes] = {}
    offset = media_type.end()
    while offset < len(value):
        parameter = _PARAMETER.match(value, offset)
        if parameter is None:
            raise UnencryptedError("a parameter of the media type is malformed")
        offset = parameter.end()
        name, token, quoted = parameter.groups()
        if name is None:  # a lone semicolon, as Delta Chat writes it at the end
            continue
        name = name.lower()
        if name in parameters or b"*" in name:
            raise UnencryptedError("a parameter of the media type is there twice or in pieces")
        parameters[name] = token if quoted is None else quoted
    return MediaType(media_type[1].lower(), parameters)


def check_is_unencoded(fields: Fields) -> None:
    """Accept a body that is what it looks like.

    Raises:
        UnencryptedError: It is encoded, so that what was looked at is not what an app would see.
    """
    encoding = fields.get(b"content-transfer-encoding", b"7bit").strip(b" \t").lower()
    if encoding not in (b"7bit", b"8bit"):
        raise UnencryptedError("a transfer encoding has no place here")


def split_multipart(entity: Entity, media_type: MediaType, part_count: int) -> list[Entity]:
    """Split a multipart into its parts.

    Raises:
        UnencryptedError: There are more or fewer parts, there is text outside of them, a part's header has
            fields that describe no content, or a line begins like a delimiter and is none.
    """
    boundary = media_type.parameters.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise UnencryptedError("the boundary is missing or malformed")
    delimiter = b"\r\n--" + boundary
    data = entity.data
    # The first delimiter may be the first line: then its CRLF is that of the empty line before the body.
    places = _find_all(data, delimiter, entity.start - 2, entity.end, part_count + 2)
    if len(places) != part_count + 1:
        raise UnencryptedError("the number of parts is wrong")
    before, after = data[entity.start - 2 : places[0]], data[places[-1] + len(delimiter) : entity.end]
    if not after.startswith(b"--") or not is_blank(before) or not is_blank(after[2:]):
        raise UnencryptedError("the parts do not end, or there is text outside of them")
    return [_split_part(data, start + len(delimiter), end) for start, end in pairwise(places)]


def is_blank(data: bytes) -> bool:
    """Tell whether there is nothing but line ends and white space. A lone CR or LF is no line end."""
    return not data.replace(b"\r\n", b"").strip(b" \t")


def _find_all(data: bytes, wanted: bytes, start: int, end: int, max_count: int) -> list[int]:
    """Find the first places of something, a piece after the other."""
    places: list[int] = []
    while end - start >= len(wanted) and len(places) < max_count:
        piece_end = min(end, start + SEARCHED_AT_ONCE_BYTES)
        place = data.find(wanted, start, piece_end + len(wanted) - 1 if piece_end < end else end)
        if place >= 0:
            places.append(place)
        start = place + len(wanted) if place >= 0 else piece_end
    return places


def _split_part(data: bytes, start: int, end: int) -> Entity:
    if not data.startswith(
        b"\r\n", start, end
    ):  # RFC 2046 section 5.1.1 allows white space, which nobody sends
        raise UnencryptedError("a line begins like a delimiter and is none")
    entity = split_entity(data, start + 2, end)
    # Delta Chat 2.24 repeats the Message-ID in the part of a request to join.
    for name in entity.fields:
        if not name.startswith(b"content-") and name != b"message-id":
            raise UnencryptedError("a part has a field that does not describe it")
    return entity
