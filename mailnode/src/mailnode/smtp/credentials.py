"""Read what AUTH carries.

For: session.py, with the mechanisms PLAIN and LOGIN.
Not for: judging credentials (accounts).

Source: RFC 4616 section 2; LOGIN is described in draft-murchison-sasl-login only, and used by older clients.
"""

from base64 import b64encode
from binascii import Error as BinasciiError
from binascii import a2b_base64

from mailnode.smtp.replies import BAD_CREDENTIALS, SmtpReply
from mailnode.smtp.syntax import CommandError

MECHANISMS = ("PLAIN", "LOGIN")
EMPTY = "="


def challenge(text: str) -> SmtpReply:
    """Ask for something; the text is empty for PLAIN. Source: RFC 4954 section 4."""
    return SmtpReply(334, "", b64encode(text.encode()).decode())


def read_plain(encoded: str) -> tuple[str, str]:
    """Read an address and a password from PLAIN's message.

    Raises:
        CommandError: It is malformed, or one asks to act as somebody else.
    """
    identity, separator, rest = _decode(encoded).partition("\0")
    login, second_separator, password = rest.partition("\0")
    if not separator or not second_separator or not login or "\0" in password:
        raise CommandError(BAD_CREDENTIALS)
    if identity.lower() not in ("", login.lower()):
        raise CommandError(BAD_CREDENTIALS)
    return login, password


def read_word(encoded: str) -> str:
    """Read one answer of LOGIN. Raises: CommandError."""
    return _decode(encoded)


def _decode(encoded: str) -> str:
    try:
        return a2b_base64("" if encoded == EMPTY else encoded, strict_mode=True).decode()
    except (BinasciiError, ValueError) as error:  # ValueError: not ASCII, or not UTF-8 inside
        raise CommandError(BAD_CREDENTIALS) from error
