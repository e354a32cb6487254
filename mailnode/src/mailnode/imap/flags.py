r"""Flags between the wire and the store.

For: reading them from a command in the store's spelling, and writing them.
Not for: changing them (commands_message.py), or `\Recent`, which belongs to a session.

Source: RFC 3501 section 2.3.2.
"""

from functools import lru_cache

from mailnode.imap.errors import BadCommandError
from mailnode.imap.lexer import Cursor
from mailnode.store.mail_store import Flags

ANSWERED = "\\Answered"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
FLAGGED = "\\Flagged"
SEEN = "\\Seen"
RECENT = "\\Recent"
SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)

MAX_FLAGS = 32
"""How many flags one message may have."""

MAX_FLAG_BYTES = 64
"""No quota counts flags, so a message must not have many more octets of them than of text."""

_BY_LOWER_NAME = {flag.lower(): flag for flag in SYSTEM_FLAGS}


def read_flag_list(cursor: Cursor) -> Flags:
    """Take flags in parentheses. Raises: BadCommandError."""
    cursor.expect(b"(")
    if cursor.skip(b")"):
        return frozenset()
    flags = _read_flags(cursor)
    cursor.expect(b")")
    return flags


def read_flags(cursor: Cursor) -> Flags:
    """Take flags with or without parentheses, as STORE has them. Raises: BadCommandError."""
    return read_flag_list(cursor) if cursor.is_at(b"(") else _read_flags(cursor)


@lru_cache(maxsize=1024)
def format_flags(flags: Flags, *, is_recent: bool = False) -> bytes:
    """Write flags in parentheses, always in the same order."""
    words = sorted(flags)
    if is_recent:
        words.append(RECENT)
    return f"({' '.join(words)})".encode("ascii")


def _read_flags(cursor: Cursor) -> Flags:
    flags = [_read_flag(cursor)]
    while cursor.skip(b" "):
        flags.append(_read_flag(cursor))
    if len(flags) > MAX_FLAGS:
        raise BadCommandError("There are too many flags")
    return frozenset(flags)


def _read_flag(cursor: Cursor) -> str:
    is_system_flag = cursor.skip(b"\\")
    name = cursor.atom()
    if len(name) > MAX_FLAG_BYTES:
        raise BadCommandError("A flag is too long")
    if not is_system_flag:
        return name.decode("ascii")
    flag = _BY_LOWER_NAME.get(f"\\{name.decode('ascii').lower()}")
    if flag is None:
        raise BadCommandError("There is no such system flag, or it cannot be set")
    return flag
