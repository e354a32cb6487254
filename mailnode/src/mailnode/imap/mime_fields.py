"""Read the fields that say what a part is.

For: Content-Type, Content-Disposition and their parameters, and splitting a header into fields.
Not for: addresses (envelope.py) or decoding (header_text.py).

Source: RFC 2045 section 5.1, RFC 2183 section 2, RFC 5322 section 2.2.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_FIELDS = 1000
MAX_PARAMETERS = 64
MAX_VALUE_BYTES = 16_384

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_NAME = r"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+"
_TYPE = re.compile(rf"\s*({_NAME})\s*/\s*({_NAME})")
_WORD = re.compile(rf"\s*({_NAME})")
_PARAMETER = re.compile(rf';\s*({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")


Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case, with its parameters in their order; octets above 127 as Latin-1."""

    main: str
    sub: str
    parameters: Parameters

    def parameter(self, name: str) -> str:
        """Look a parameter up; an empty text where it is missing."""
        return next((value for key, value in self.parameters if key == name), "")


@dataclass(frozen=True, slots=True)
class Disposition:
    """A Content-Disposition."""

    kind: str
    parameters: Parameters


def split_header(header: bytes) -> dict[bytes, bytes]:
    """Split a header into unfolded, stripped values by lower-case name; of equal names the first counts."""
    fields: dict[bytes, bytes] = {}
    for count, found in enumerate(_FIELD.finditer(header)):
        if count == MAX_FIELDS:
            break
        fields.setdefault(found[1].lower(), unfold(found[2]))
    return fields


def unfold(value: bytes) -> bytes:
    """Put a folded value into one line, without space around it."""
    return _FOLD.sub(b"", value).strip() if b"\n" in value else value.strip()


@lru_cache(maxsize=256)
def fields_pattern(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Build a pattern that finds the fields of these names, whole and as they stand."""
    alternatives = b"|".join(map(re.escape, names))
    return re.compile(
        rb"^(?:" + alternatives + rb")[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.MULTILINE | re.IGNORECASE
    )


def parse_content_type(value: bytes | None, default: ContentType) -> ContentType:
    """Parse a Content-Type; a missing or broken one is the default. Source: RFC 2045 section 5.2."""
    if value is None:
        return default
    text = value[:MAX_VALUE_BYTES].decode("latin-1")
    found = _TYPE.match(text)
    if found is None:
        return default
    return ContentType(found[1].lower(), found[2].lower(), _parse_parameters(text[found.end() :]))


def parse_disposition(value: bytes | None) -> Disposition | None:
    """Parse a Content-Disposition; `None` where there is none that can be read."""
    if value is None:
        return None
    text = value[:MAX_VALUE_BYTES].decode("latin-1")
    found = _WORD.match(text)
    return Disposition(found[1].lower(), _parse_parameters(text[found.end() :])) if found else None


def _parse_parameters(text: str) -> Parameters:
    if '"' not in text:
        text = _COMMENT.sub("", text)
    parameters = []
    for count, found in enumerate(_PARAMETER.finditer(text)):
        if count == MAX_PARAMETERS:
            break
        value = found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        parameters.append((found[1].lower(), value))
    return tuple(parameters)
