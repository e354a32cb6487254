"""Make the message that is stored out of what came after DATA or BDAT.

For: submission.py; pure functions, so that large messages can be done in a thread.
Not for: encryption (encryption.gate).

Dots are unstuffed, lone CR and LF and overlong lines refused, and the header loses what tells about the
sender's device and network, who else got the message, and what only servers may say: that somebody has signed
it or vouches for it, and where it has been delivered. Nothing is added: no Received (it would name the
client's address and grow each message), no Return-Path (it is From, which the gate has compared).

Source: RFC 5321 sections 2.3.8, 4.5.2 and 4.5.3.1.6, RFC 5322 section 3.6.3 (Bcc), RFC 8601 section 5.
"""

import re

from mailnode.smtp.replies import BARE_LINE_END, MESSAGE_TOO_LARGE, TEXT_LINE_TOO_LONG
from mailnode.smtp.syntax import CommandError

MAX_LINE_BYTES = 1_000
"""998 octets and CRLF."""

SUBJECT = b"Subject: [...]"

_TELLING_FIELD = re.compile(
    rb"\r\n(?:(subject)|received|x-originating-ip|x-mailer|user-agent|bcc|resent-bcc|dkim-signature"
    rb"|authentication-results|arc-[a-z-]+|return-path|delivered-to|x-original-to)"
    rb"[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*",
    re.IGNORECASE,
)


def make_message(stuffed: bytes, max_bytes: int) -> bytes:
    """Unstuff and check a message that begins behind a CRLF, as `SmtpReader.read_message` returns it.

    Raises:
        CommandError: It is too large, or its lines are not lines.
    """
    return check_message(stuffed.replace(b"\r\n.", b"\r\n")[2:], max_bytes)


def check_message(message: bytes, max_bytes: int) -> bytes:
    """Check a message that is whole, without dots before its dots, and return it.

    Raises:
        CommandError: It is too large, or its lines are not lines.
    """
    if len(message) > max_bytes:
        raise CommandError(MESSAGE_TOO_LARGE)
    count = message.count(b"\n")
    if message.count(b"\r") != count or message.count(b"\r\n") != count:
        raise CommandError(BARE_LINE_END)
    offset, end = 0, len(message)
    while end - offset > MAX_LINE_BYTES:
        # The last line end within reach: one step for about 15 lines instead of one for each.
        offset = message.rfind(b"\n", offset, offset + MAX_LINE_BYTES) + 1
        if offset == 0:
            raise CommandError(TEXT_LINE_TOO_LONG)
    return message


def clean_header(message: bytes) -> bytes:
    """Drop the fields that a sender must not tell, or not claim, and the outer subject's text."""
    end = message.find(b"\r\n\r\n")
    header = b"\r\n" + (message if end < 0 else message[:end])
    cleaned = _TELLING_FIELD.sub(lambda field: b"\r\n" + SUBJECT if field[1] else b"", header)
    if cleaned == header:
        return message
    rest = b"" if end < 0 else message[end:]
    return cleaned[2:] + rest if cleaned else rest[2:]
