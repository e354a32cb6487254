"""What is hashed: fields and bodies in the two forms that a signature may name.

For: signing and verification; pure functions. Large bodies are gone through in C (`re`, `translate`), once.
Not for: choosing fields (fields.py).

    simple    as it stands; empty lines at the end of a body are one line end
    relaxed   names in lower case, unfolded, runs of blanks are one, none at the end of a line

Source: RFC 6376 section 3.4.
"""

import re
from enum import StrEnum

from mailnode.dkim.fields import Field

_BLANKS = re.compile(rb"[ \t]+")
_LINE_BLANKS = re.compile(rb"[ \t]+(?=\r\n)")
_RUN = re.compile(rb"[ \t]{2,}|\t")


class Form(StrEnum):
    """A canonicalization algorithm."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def write_field(field: Field, form: Form) -> bytes:
    """Write a field without its last CRLF. Source: RFC 6376 sections 3.4.1 and 3.4.2."""
    if form is Form.SIMPLE:
        return field.raw_name + b":" + field.value
    unfolded = field.value.replace(b"\r\n", b"")
    return field.name + b":" + _BLANKS.sub(b" ", unfolded).strip(b" \t")


def write_body(body: bytes | memoryview, form: Form) -> bytes | memoryview:
    """Write a body; `simple` copies nothing. Source: RFC 6376 sections 3.4.3 and 3.4.4."""
    if form is Form.SIMPLE:
        return _end_simply(body)
    text = _RUN.sub(b" ", _LINE_BLANKS.sub(b"", bytes(body)))
    end = _find_end(text)
    return text[:end] + b"\r\n" if end else b""


def _end_simply(body: bytes | memoryview) -> bytes | memoryview:
    end = _find_end(body)
    if bytes(body[end : end + 2]) == b"\r\n":
        return body[: end + 2]
    return bytes(body) + b"\r\n"


def _find_end(body: bytes | memoryview) -> int:
    """Find where the line ends at the end of a body begin."""
    end = len(body)
    while end >= 2 and body[end - 1] == 0x0A and body[end - 2] == 0x0D:
        end -= 2
    return end
