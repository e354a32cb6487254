"""Take the ASCII armor off an OpenPGP message.

For: the gate, which wants to know that nothing readable stands around the encrypted data.
Not for: what is inside (openpgp_packets.py), or armor of keys and signatures.

    -----BEGIN PGP MESSAGE-----
    Version: ...                    armor headers, only those that the caller permits
                                    one empty line
    wV4DAAAAAAAAAAASAQdA...         base64, in lines without anything else
    =njUN                           optionally a checksum
    -----END PGP MESSAGE-----       and nothing after it but line ends

The checksum's form is checked and its value is not: RFC 9580 section 6.1 forbids to refuse a message for it,
and 24 bits say nothing readable.

Source: RFC 9580 section 6.2. Stricter than that: no text before or after, no blank or indented lines.
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Collection

from mailnode.encryption.errors import UnencryptedError

BEGIN_LINE = b"-----BEGIN PGP MESSAGE-----\r\n"
END_LINE = b"-----END PGP MESSAGE-----"
MAX_HEADER_LINES = 4
MAX_HEADER_LINE_BYTES = 100

# Base64 is decoded in pieces of this size. The decoder keeps the interpreter's lock for a whole call, a
# fifth of a millisecond; between the calls, the event loop's thread gets its turn.
PIECE_BYTES = 1 << 17

_CHECKSUM = re.compile(rb"\r\n=[0-9A-Za-z+/]{4}")


def remove_armor(
    text: bytes, permitted_headers: Collection[bytes], begin: int = 0, stop: int | None = None
) -> bytes:
    """Decode an armored message that fills `text` from `begin` to `stop`, or wholly.

    Args:
        text: The lines end with CRLF.
        permitted_headers: Names of the armor headers that may be there, as `b"Version"`.
        begin: Where it begins.
        stop: Behind its end.

    Raises:
        UnencryptedError: It is no such message, or there is something besides it.
    """
    stop = len(text) if stop is None else stop
    end = text.rfind(END_LINE, begin, stop)
    if not text.startswith(BEGIN_LINE, begin, stop) or end < 0:
        raise UnencryptedError("the armor does not begin and end as one of a message")
    if text[end + len(END_LINE) : stop].replace(b"\r\n", b""):
        raise UnencryptedError("there is something after the armor")
    start = _skip_headers(text, begin + len(BEGIN_LINE), permitted_headers)
    if text[end - 2 : end] != b"\r\n" or end - 2 <= start:
        raise UnencryptedError("the armor is empty or its last line is not its own")
    end -= 2
    if _CHECKSUM.fullmatch(text, max(start, end - 7), end):
        end -= 7
    if text[end - 2 : end] == b"\r\n":
        raise UnencryptedError("there are empty lines after the base64")
    return _decode(text, start, end)


def _skip_headers(text: bytes, offset: int, permitted_headers: Collection[bytes]) -> int:
    """Tell where the base64 begins."""
    for _ in range(MAX_HEADER_LINES + 1):
        line_end = text.find(b"\r\n", offset, offset + MAX_HEADER_LINE_BYTES + 2)
        if line_end < 0:
            raise UnencryptedError("an armor header is too long")
        if line_end == offset:
            return offset + 2
        name, separator, _ = text[offset:line_end].partition(b": ")
        if not separator or name not in permitted_headers:
            raise UnencryptedError("there is an armor header that is not permitted")
        offset = line_end + 2
    raise UnencryptedError("there are too many armor headers")


def _decode(text: bytes, start: int, end: int) -> bytes:
    pieces: list[bytes] = []
    rest = b""
    try:
        while end - start > PIECE_BYTES:
            # A CRLF that is cut in two would be taken for garbage; after its LF there can be no cut.
            cut = text.rfind(b"\n", start, start + PIECE_BYTES) + 1
            if cut == 0:
                raise UnencryptedError("a base64 line is too long")
            piece = rest + _join_lines(text[start:cut])
            if b"=" in piece:
                raise UnencryptedError("there is data after the base64's end")
            whole = len(piece) // 4 * 4
            pieces.append(a2b_base64(piece[:whole], strict_mode=True))
            rest = piece[whole:]
            start = cut
        pieces.append(a2b_base64(rest + _join_lines(text[start:end]), strict_mode=True))
    except BinasciiError as error:
        raise UnencryptedError("the base64 is none") from error
    data = b"".join(pieces)
    while pieces:  # one after the other: to let go of 100 MB by one call takes 14 ms, with the lock
        pieces.pop()
    return data


def _join_lines(text: bytes) -> bytes:
    """Take the line ends out; a lone CR or LF stays in, and the decoder will refuse it.

    Raises:
        UnencryptedError: There is an empty line.
    """
    width = text.find(b"\r\n")
    if width < 0:
        return text
    # Lines of one length, as all programs write them: a look at each line's end is enough, in a third of the
    # time. Every CR and LF is counted, so none can be elsewhere.
    count = text.count(b"\n")
    joined = text.translate(None, b"\r\n")
    if (
        width > 0
        and len(text) - len(joined) == 2 * count
        and text[width :: width + 2] == b"\r" * count
        and text[width + 1 :: width + 2] == b"\n" * count
    ):
        return joined
    if width == 0 or b"\r\n\r\n" in text:
        raise UnencryptedError("there are empty lines in the base64")
    return text.replace(b"\r\n", b"")
