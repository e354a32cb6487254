"""Write the message that tells a sender who did not get his, and have apps read those of others.

For: failure_report.py, when some recipients of a message got it and others did not, or another node did not
take it.
Not for: a message that nobody here got; the reply to DATA says that.

Delta Chat knows such a message by its type, finds its own by the Message-ID in the last part, and shows that
as failed, with the text of the first part. But since it takes encrypted mail only, it throws any other away
before it looks, unless that begins a key exchange. So a report has the field of one. Delta Chat then finds no
number of an invitation, leaves the exchange alone, and reads the report.

Source: RFC 3462 (multipart/report), RFC 3464 (message/delivery-status), RFC 3834 (Auto-Submitted).
"""

import re
from collections.abc import Mapping
from email.utils import formatdate
from secrets import token_hex

MAX_SHOWN_FIELD_BYTES = 998
READ_BY_APPS = "Secure-Join: vc-request\r\n"

_STATUSES = {
    "Mailbox full": "5.2.2",
    "No such user": "5.1.1",
    "Encryption Needed": "5.7.1",
    "too large": "5.3.4",
    "policy of this server": "5.7.1",
    "not reached for": "5.4.7",
}

_REPLY = re.compile(r"[45][0-9]{2} ")
_ENHANCED = re.compile(r"(?<![0-9.])5\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_IS_REPORT = re.compile(rb"(?:^|\r\n)content-type[ \t]*:(?:\r\n)?[ \t]*multipart/report\b", re.IGNORECASE)
_IS_READ = re.compile(rb"(?:^|\r\n)secure-join[ \t]*:", re.IGNORECASE)
_SHOWN_FIELD = re.compile(rb"(?:^|\r\n)((?:message-id|date|from|subject):[^\r\n]*)", re.IGNORECASE)


def write_report(
    *, domain: str, sender: str, refused: Mapping[str, str], message: bytes, now_seconds: float
) -> bytes:
    """Write the report.

    Args:
        domain: This node's, as in addresses.
        sender: Who gets the report.
        refused: Who did not get the message, each with the reason: a few words of ASCII.
        message: The message; a few fields of its header are shown.
        now_seconds: Unix time.
    """
    token = token_hex(16)
    header = message[: max(message.find(b"\r\n\r\n"), 0)]
    shown = [field[:MAX_SHOWN_FIELD_BYTES] for field in _SHOWN_FIELD.findall(header)]
    statuses = "".join(
        f"\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {_find_status(reason)}\r\n"
        f"Diagnostic-Code: {_name_kind(reason)}; {reason}\r\n"
        for recipient, reason in refused.items()
    )
    names = "".join(f"  {recipient}: {reason}\r\n" for recipient, reason in refused.items())
    return (
        (
            f"From: <mailer-daemon@{domain}>\r\n"
            f"To: <{sender}>\r\n"
            "Subject: Message not delivered to everybody\r\n"
            f"Date: {formatdate(now_seconds)}\r\n"
            f"Message-ID: <{token}@{domain}>\r\n"
            "Auto-Submitted: auto-replied\r\n"
            f"{READ_BY_APPS}"
            "MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/report; report-type=delivery-status; boundary="{token}"\r\n'
            "\r\n"
            f"--{token}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "\r\n"
            "Your message was not delivered to these recipients:\r\n"
            "\r\n"
            f"{names}"
            "\r\n"
            f"--{token}\r\n"
            "Content-Type: message/delivery-status\r\n"
            "\r\n"
            f"Reporting-MTA: dns; {domain}\r\n"
            f"{statuses}"
            "\r\n"
            f"--{token}\r\n"
            "Content-Type: text/rfc822-headers\r\n"
            "\r\n"
        ).encode()
        + b"".join(field + b"\r\n" for field in shown)
        + f"\r\n--{token}--\r\n".encode()
    )


def have_apps_read(message: bytes) -> bytes:
    """Add the field to a report of another server, which does not know of it; leave other mail as it is."""
    header = message[: max(message.find(b"\r\n\r\n"), 0)]
    if b"multipart/report" not in header.lower():  # nearly always, and cheaper to find out
        return message
    if _IS_REPORT.search(header) is None or _IS_READ.search(header) is not None:
        return message
    return READ_BY_APPS.encode() + message


def _name_kind(reason: str) -> str:
    """Name whose words a reason has: a server's or our own. Source: RFC 3464 section 2.3.6."""
    return "smtp" if _REPLY.match(reason) else "X-Madfleet"


def _find_status(reason: str) -> str:
    """Find the status code that says the same. Source: RFC 3463."""
    said = _ENHANCED.search(reason)
    if said is not None:
        return said[0]
    return next((status for words, status in _STATUSES.items() if words in reason), "5.0.0")
