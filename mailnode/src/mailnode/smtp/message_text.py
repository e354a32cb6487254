"""Make the message that is stored out of what came after DATA or BDAT.

For: submission.py; pure functions, so that large messages can be done in a thread.
Not for: encryption (encryption.gate).

Dots are unstuffed, lone CR and LF and overlong lines refused, and the header loses what tells about the
sender's device and network, who else got the message, and what only servers may say: that somebody has signed
it or vouches for it, and where it has been delivered. Nothing is added: no Received (it would name the
client's address and grow each message), no Return-Path (it is From, which the gate has compared).

A large message is gone through in pieces, and never copied by one call: such a call keeps the interpreter's
lock, and all sessions would wait for it. Nor are the pieces let go by one call: 100 MB of them take 14 ms.

Source: RFC 5321 sections 2.3.8, 4.5.2 and 4.5.3.1.6, RFC 5322 section 3.6.3 (Bcc), RFC 8601 section 5.
"""

import re
from collections.abc import Iterator

from mailnode.smtp.replies import BARE_LINE_END, MESSAGE_TOO_LARGE, TEXT_LINE_TOO_LONG
from mailnode.smtp.syntax import CommandError

MAX_LINE_BYTES = 1_000
"""998 octets and CRLF."""

PIECE_BYTES = 1 << 17
"""A few calls with so much take a fifth of a millisecond."""

SUBJECT = b"Subject: [...]"

_TELLING_FIELD = re.compile(
    rb"\r\n(?:(subject)|received|x-originating-ip|x-mailer|user-agent|bcc|resent-bcc|dkim-signature"
    rb"|authentication-results|arc-[a-z-]+|return-path|delivered-to|x-original-to)"
    rb"[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*",
    re.IGNORECASE,
)


def make_message(stuffed: bytes | bytearray, max_bytes: int) -> bytes:
    """Unstuff and check a message that begins behind a CRLF, as `SmtpReader.read_message` returns it.

    A large one must end with a CRLF, and a buffer of it is empty afterwards: nobody else needs it.

    Raises:
        CommandError: It is too large, or its lines are not lines.
    """
    if len(stuffed) <= PIECE_BYTES:
        return check_message(bytes(stuffed).replace(b"\r\n.", b"\r\n")[2:], max_bytes)
    pieces: list[bytes] = []
    size_bytes = 0
    # Behind a CRLF stands the dot that may be one too many, so no piece ends with one but the last.
    for start, end in _cut_before_lines(stuffed):
        lines = bytes(stuffed[start:end]).replace(b"\r\n.", b"\r\n")[2:] + b"\r\n"
        size_bytes += len(lines)
        if size_bytes > max_bytes:
            raise CommandError(MESSAGE_TOO_LARGE)
        _check_lines(lines)
        pieces.append(lines)
    if isinstance(stuffed, bytearray):
        let_go(stuffed)
    return join_pieces(pieces)


def let_go(came: bytearray) -> None:
    """Empty a large buffer by halves: to free 100 MB by one call takes 12 ms, and the loop would wait."""
    while len(came) > PIECE_BYTES:
        del came[len(came) // 2 - 1 :]


def join_pieces(pieces: list[bytes]) -> bytes:
    """Make one of many pieces, and let them go one after the other."""
    whole = b"".join(pieces)  # without the interpreter's lock, by itself
    while pieces:
        pieces.pop()
    return whole


def check_message(message: bytes | bytearray, max_bytes: int) -> bytes:
    """Check a message that is whole, without dots before its dots, and return it.

    A large buffer of it is empty afterwards: nobody else needs it.

    Raises:
        CommandError: It is too large, or its lines are not lines.
    """
    if len(message) > max_bytes:
        raise CommandError(MESSAGE_TOO_LARGE)
    start = 0
    while len(message) - start > PIECE_BYTES:
        end = message.rfind(b"\n", start, start + PIECE_BYTES) + 1
        _check_lines(message[start : end or start + PIECE_BYTES])
        start = end  # there was a line end, or the piece would have been one line that is too long
    _check_lines(message[start:])
    if isinstance(message, bytes):
        return message
    starts = range(0, len(message), PIECE_BYTES)
    whole = join_pieces([bytes(message[start : start + PIECE_BYTES]) for start in starts])
    let_go(message)
    return whole


def _cut_before_lines(stuffed: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Cut into pieces that each begin with a CRLF; the one at the end belongs to none."""
    start, stop = 0, len(stuffed) - 2
    while stop - start > PIECE_BYTES:
        end = stuffed.rfind(b"\r\n", start + 2, start + PIECE_BYTES)
        if end < 0:  # a line that is too long, or lone ends of lines: the piece will be refused
            end = start + PIECE_BYTES
        yield start, end
        start = end
    yield start, stop


def _check_lines(lines: bytes | bytearray) -> None:
    """See that all are lines; what comes before and behind begins and ends with whole lines, too."""
    count = lines.count(b"\n")
    if lines.count(b"\r") != count or lines.count(b"\r\n") != count:
        raise CommandError(BARE_LINE_END)
    offset, end = 0, len(lines)
    while end - offset > MAX_LINE_BYTES:
        # The last line end within reach: one step for about 15 lines instead of one for each.
        offset = lines.rfind(b"\n", offset, offset + MAX_LINE_BYTES) + 1
        if offset == 0:
            raise CommandError(TEXT_LINE_TOO_LONG)


def clean_header(message: bytes) -> bytes:
    """Drop the fields that a sender must not tell, or not claim, and the outer subject's text."""
    end = message.find(b"\r\n\r\n")
    header = b"\r\n" + (message if end < 0 else message[:end])
    cleaned = _TELLING_FIELD.sub(lambda field: b"\r\n" + SUBJECT if field[1] else b"", header)
    if cleaned == header:
        return message
    if end < 0:
        return cleaned[2:]
    # Of a header from which all went, its own last CRLF goes, too: the empty line stays.
    first = cleaned[2:] if cleaned else b""
    end += 0 if cleaned else 2
    starts = range(end, len(message), PIECE_BYTES)
    return join_pieces([first, *(message[start : start + PIECE_BYTES] for start in starts)])
