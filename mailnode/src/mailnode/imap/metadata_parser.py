"""Parse GETMETADATA and SETMETADATA.

Source: RFC 5464 sections 4.2, 4.3 and 5, and section 3.2 for the names of entries.
"""

import re

from mailnode.imap.commands import Command, GetMetadata, MetadataDepth, SetMetadata
from mailnode.imap.errors import BadCommandError
from mailnode.imap.lexer import Cursor
from mailnode.imap.mailbox_name import decode_name

MAX_ENTRIES = 64
MAX_NAME_BYTES = 255

# Printable US-ASCII without wildcards; levels are never empty.
_ENTRY = re.compile(rb"/(?:private|shared)(?:/[\x20-\x24\x26-\x29\x2b-\x2e\x30-\x7e]+)+", re.IGNORECASE)


def read_get_metadata(cursor: Cursor) -> Command:
    """Take the arguments of GETMETADATA. Raises: BadCommandError."""
    depth, max_size_bytes = MetadataDepth.NONE, None
    if cursor.skip(b"("):
        depth, max_size_bytes = _read_options(cursor)
        cursor.expect(b")")
        cursor.space()
    mailbox = decode_name(cursor.astring())
    cursor.space()
    entries = _read_list(cursor) if cursor.is_at(b"(") else [_read_entry(cursor)]
    cursor.end()
    return GetMetadata(mailbox, tuple(dict.fromkeys(entries)), depth, max_size_bytes)


def read_set_metadata(cursor: Cursor) -> Command:
    """Take the arguments of SETMETADATA. Raises: BadCommandError."""
    mailbox = decode_name(cursor.astring())
    cursor.space()
    cursor.expect(b"(")
    values: dict[str, str | None] = {}
    while True:
        entry = _read_entry(cursor).lower()
        cursor.space()
        values[entry] = _decoded(cursor.nstring())
        if len(values) > MAX_ENTRIES:
            raise BadCommandError("There are too many entries")
        if cursor.skip(b")"):
            break
        cursor.space()
    cursor.end()
    return SetMetadata(mailbox, values)


def _read_options(cursor: Cursor) -> tuple[MetadataDepth, int | None]:
    depth, max_size_bytes = MetadataDepth.NONE, None
    while True:
        option = cursor.keyword()
        cursor.space()
        if option == b"MAXSIZE":
            max_size_bytes = cursor.number()
        elif option == b"DEPTH":
            try:
                depth = MetadataDepth(cursor.atom().decode("ascii").lower())
            except ValueError as error:
                raise BadCommandError("There is no such depth") from error
        else:
            raise BadCommandError("There is no such option")
        if not cursor.skip(b" "):
            return depth, max_size_bytes


def _read_list(cursor: Cursor) -> list[str]:
    cursor.expect(b"(")
    entries = [_read_entry(cursor)]
    while cursor.skip(b" ") and len(entries) <= MAX_ENTRIES:
        entries.append(_read_entry(cursor))
    cursor.expect(b")")
    return entries


def _read_entry(cursor: Cursor) -> str:
    entry = cursor.astring()
    if len(entry) > MAX_NAME_BYTES or not _ENTRY.fullmatch(entry):
        raise BadCommandError("There cannot be an entry of that name")
    return entry.decode("ascii")


def _decoded(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadCommandError("The value of an entry must be UTF-8") from error
