"""Write strings as a response may hold them.

Source: RFC 3501 section 4.3 and section 9 (string, nstring, astring).
"""

import re
from collections.abc import Iterator

PIECE_BYTES = 1 << 18
MAX_QUOTED_BYTES = 1024

_ATOM_LIKE = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_SPECIAL = re.compile(rb'(["\\])')


def format_string(text: bytes) -> bytes:
    """Write a quoted string, or a literal where the text cannot be quoted."""
    if len(text) <= MAX_QUOTED_BYTES and _QUOTABLE.fullmatch(text):
        return b'"' + _SPECIAL.sub(rb"\\\1", text) + b'"'
    return format_literal(text)


def format_nstring(text: bytes | None) -> bytes:
    """Write a string, or NIL for `None`."""
    return b"NIL" if text is None else format_string(text)


def format_astring(text: bytes) -> bytes:
    """Write an atom where that is possible."""
    return text if _ATOM_LIKE.fullmatch(text) and text.upper() != b"NIL" else format_string(text)


def format_literal(text: bytes) -> bytes:
    """Write a literal. NUL may not stand in one, so each is replaced (RFC 3501 section 9, CHAR8)."""
    if b"\0" in text:
        text = text.replace(b"\0", b"\x80")  # the same length, so that sizes stay true; Dovecot does so, too
    return b"{%d}\r\n%s" % (len(text), text)


def split_literal(text: bytes) -> Iterator[bytes]:
    """Write a literal in pieces, so that a long one is never copied as a whole."""
    if len(text) <= PIECE_BYTES:
        yield format_literal(text)
        return
    yield b"{%d}\r\n" % len(text)
    for start in range(0, len(text), PIECE_BYTES):
        yield text[start : start + PIECE_BYTES].replace(b"\0", b"\x80")
