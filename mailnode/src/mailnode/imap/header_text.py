"""Decode the text of headers and parts, for people who search.

For: encoded words, transfer encodings and character sets; whatever is broken is read as far as possible.
Not for: anything that must be exact.

Source: RFC 2047, RFC 2045 section 6.
"""

import base64
import binascii
import quopri
import re

from mailnode.imap.message_parts import Part

_ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]+)(?:\*[^?]*)?\?([BbQq])\?([^? ]*)\?=(?:\s+(?==\?))?")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decode_header_text(value: bytes) -> str:
    """Decode the encoded words in a header's value."""
    return _ENCODED_WORD.sub(_decode_word, value.decode("utf-8", "replace"))


def decode_part_text(data: bytes, part: Part) -> str:
    """Decode the body of a text part."""
    body = data[part.body_start : part.body_end]
    encoding = part.header.get(b"content-transfer-encoding", b"").lower()
    if encoding == b"base64":
        body = _decode_base64(body)
    elif encoding == b"quoted-printable":
        body = quopri.decodestring(body)
    return _decode(body, part.content_type.parameter("charset"))


def _decode_word(word: re.Match[str]) -> str:
    text = word[3].encode()
    if word[2] in "Bb":
        return _decode(_decode_base64(text), word[1])
    return _decode(quopri.decodestring(text, header=True), word[1])


def _decode_base64(text: bytes) -> bytes:
    letters = _NOT_BASE64.sub(b"", text)
    letters = letters[: len(letters) - 1 if len(letters) % 4 == 1 else None]
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return b""


def _decode(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError, ValueError):  # no such character set, or one that is not of text
        return octets.decode("utf-8", "replace")
