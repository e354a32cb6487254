"""Parse one command.

For: everything but what FETCH and SEARCH ask for and METADATA names, which have parsers of their own.
Not for: literals in the stream (command_reader.py), or whether the command may be given now (session.py).

Source: RFC 3501 section 9, and the RFC that is named at a command's class.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from mailnode.imap.command_reader import CommandText
from mailnode.imap.commands import (
    Append,
    Authenticate,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Fetch,
    GetQuota,
    GetQuotaRoot,
    Identify,
    List,
    Login,
    Plain,
    Rename,
    Search,
    Select,
    SetQuota,
    Status,
    StatusItem,
    Store,
    Subscribe,
    UidExpunge,
    Verb,
)
from mailnode.imap.dates import parse_date_time
from mailnode.imap.errors import BadCommandError
from mailnode.imap.fetch_parser import read_fetch_items
from mailnode.imap.flags import read_flag_list, read_flags
from mailnode.imap.lexer import Cursor
from mailnode.imap.mailbox_name import decode_name
from mailnode.imap.metadata_parser import read_get_metadata, read_set_metadata
from mailnode.imap.search_parser import read_search
from mailnode.imap.sequence_set import read_sequence_set
from mailnode.store.mail_store import NO_FLAGS, FlagMode, Flags

MAX_CLIENT_FIELDS = 30
MAX_ARGUMENTS = 32
CACHED_BYTES = 128
"""So long may arguments be whose meaning is remembered."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_STORE_WHAT = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.IGNORECASE)
_MODES = {b"": FlagMode.REPLACE, b"+": FlagMode.ADD, b"-": FlagMode.REMOVE}


def parse_command(cursor: Cursor) -> Command:
    """Parse what follows the tag.

    Raises:
        BadCommandError: There is no such command, or it is written wrongly.
        RefusedError: It names something that this server does not know, such as a character set.
    """
    is_uid, word = cursor.verb()
    if word == b"UID" and not is_uid:
        cursor.space()
        word = cursor.keyword()
        is_uid = True
    if is_uid:
        read = _WITH_UID.get(word)
        if read is not None:
            cursor.space()
            return read(cursor, True)  # noqa: FBT003 - one signature for all of the table
        raise BadCommandError("There is no such command on UIDs")
    plain = _PLAIN.get(word)
    if plain is not None:
        cursor.end()
        return plain
    with_arguments = _WITH_ARGUMENTS.get(word)
    if with_arguments is not None:
        cursor.space()
        return with_arguments(cursor)
    read = _WITH_MESSAGES.get(word)
    if read is None:
        raise BadCommandError("There is no such command")
    cursor.space()
    return read(cursor, False)  # noqa: FBT003 - as above


def _read_mailbox(cursor: Cursor) -> str:
    return decode_name(cursor.astring())


def _read_last_mailbox(cursor: Cursor) -> str:
    mailbox = _read_mailbox(cursor)
    cursor.end()
    return mailbox


def _read_login(cursor: Cursor) -> Command:
    user = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    return Login(user, password)


def _read_authenticate(cursor: Cursor) -> Command:
    mechanism = cursor.keyword()
    initial_response = None
    if cursor.skip(b" "):
        # RFC 4959 section 3: a response of no octets is written as "=".
        initial_response = cursor.pattern(_BASE64, "the initial response is no base64")
    cursor.end()
    return Authenticate(mechanism, b"" if initial_response == b"=" else initial_response)


def _read_identify(cursor: Cursor) -> Command:
    if cursor.skip(b"("):
        for _ in range(MAX_CLIENT_FIELDS):
            if cursor.skip(b")"):
                break
            cursor.string()
            cursor.space()
            cursor.nstring()
            cursor.skip(b" ")
        else:
            cursor.expect(b")")
    elif cursor.nstring() is not None:
        raise BadCommandError("ID takes a list, or NIL")
    cursor.end()
    return Identify()


def _read_enable(cursor: Cursor) -> Command:
    capabilities = [cursor.keyword()]
    while cursor.skip(b" ") and len(capabilities) <= MAX_ARGUMENTS:
        capabilities.append(cursor.keyword())
    cursor.end()
    return Enable(tuple(capabilities))


def _read_select(cursor: Cursor, *, is_read_only: bool) -> Command:
    rest = cursor.rest()
    if b"{" in rest or len(rest) > CACHED_BYTES:
        return _read_whole_select(cursor, is_read_only=is_read_only)
    cursor.at = len(cursor.line)
    return _parse_select(rest, is_read_only=is_read_only)


@lru_cache(maxsize=256)
def _parse_select(text: bytes, *, is_read_only: bool) -> Command:
    """Parse what holds no literal; clients select the same few mailboxes all day."""
    return _read_whole_select(Cursor(CommandText(text)), is_read_only=is_read_only)


def _read_whole_select(cursor: Cursor, *, is_read_only: bool) -> Command:
    mailbox = _read_mailbox(cursor)
    parameters = []
    if cursor.skip(b" ("):
        parameters.append(cursor.keyword())
        while cursor.skip(b" ") and len(parameters) <= MAX_ARGUMENTS:
            parameters.append(cursor.keyword())
        cursor.expect(b")")
    cursor.end()
    return Select(mailbox, is_read_only, tuple(parameters))


def _read_create(cursor: Cursor) -> Command:
    wire = cursor.astring()
    cursor.end()
    # RFC 3501 section 6.3.3: a delimiter at the end says that names below are to follow.
    return Create(decode_name(wire.removesuffix(b"/")))


def _read_rename(cursor: Cursor) -> Command:
    old = _read_mailbox(cursor)
    cursor.space()
    return Rename(old, _read_last_mailbox(cursor))


def _read_list(cursor: Cursor, *, only_subscribed: bool) -> Command:
    reference = cursor.astring()
    cursor.space()
    pattern = cursor.list_pattern()
    cursor.end()
    return List(reference + pattern if pattern else b"", only_subscribed)


def _read_status(cursor: Cursor) -> Command:
    mailbox = _read_mailbox(cursor)
    cursor.space()
    cursor.expect(b"(")
    items = [_read_status_item(cursor)]
    while cursor.skip(b" ") and len(items) <= MAX_ARGUMENTS:
        items.append(_read_status_item(cursor))
    cursor.expect(b")")
    cursor.end()
    return Status(mailbox, tuple(items))


def _read_status_item(cursor: Cursor) -> StatusItem:
    try:
        return StatusItem(cursor.keyword().decode("ascii"))
    except ValueError as error:
        raise BadCommandError("There is no such status") from error


def _read_append(cursor: Cursor) -> Command:
    mailbox = _read_mailbox(cursor)
    cursor.space()
    flags = NO_FLAGS
    if cursor.is_at(b"("):
        flags = read_flag_list(cursor)
        cursor.space()
    received_at_seconds = None
    if cursor.is_at(b'"'):
        received_at_seconds = parse_date_time(cursor.string())
        cursor.space()
    if not cursor.is_at(b"{"):
        raise BadCommandError("The message must be a literal")
    message = cursor.string()
    cursor.end()
    return Append(mailbox, flags, received_at_seconds, message)


def _read_get_quota_root(cursor: Cursor) -> Command:
    return GetQuotaRoot(_read_last_mailbox(cursor))


def _read_get_quota(cursor: Cursor) -> Command:
    root = cursor.astring()
    cursor.end()
    return GetQuota(root)


def _read_set_quota(cursor: Cursor) -> Command:
    root = cursor.astring()
    cursor.space()
    cursor.expect(b"(")
    for count in range(MAX_ARGUMENTS):
        if cursor.skip(b")"):
            break
        if count:
            cursor.space()
        cursor.atom()
        cursor.space()
        cursor.number()
    else:
        cursor.expect(b")")
    cursor.end()
    return SetQuota(root)


def _read_fetch(cursor: Cursor, is_uid: bool) -> Command:  # noqa: FBT001 - one signature for all of the table
    messages = read_sequence_set(cursor)
    cursor.space()
    return Fetch(messages, read_fetch_items(cursor), is_uid)


def _read_store(cursor: Cursor, is_uid: bool) -> Command:  # noqa: FBT001 - as above
    messages = read_sequence_set(cursor)
    cursor.space()
    what = _STORE_WHAT.match(cursor.line, cursor.at)
    if what is None:
        raise BadCommandError("There is nothing of that name to store")
    cursor.at = what.end() + 1
    rest = cursor.rest()
    if len(rest) > CACHED_BYTES:
        flags = read_flags(cursor)
        cursor.end()
    else:
        cursor.at = len(cursor.line)
        flags = _parse_flags(rest)
    return Store(messages, _MODES[what[1]], flags, what[2] is not None, is_uid)


@lru_cache(maxsize=256)
def _parse_flags(text: bytes) -> Flags:
    """Parse flags that end a command; clients set the same few ones all day."""
    cursor = Cursor(CommandText(text))
    flags = read_flags(cursor)
    cursor.end()
    return flags


def _read_copy(cursor: Cursor, is_uid: bool) -> Command:  # noqa: FBT001 - as above
    messages = read_sequence_set(cursor)
    cursor.space()
    return Copy(messages, _read_last_mailbox(cursor), is_move=False, is_uid=is_uid)


def _read_move(cursor: Cursor, is_uid: bool) -> Command:  # noqa: FBT001 - as above
    messages = read_sequence_set(cursor)
    cursor.space()
    return Copy(messages, _read_last_mailbox(cursor), is_move=True, is_uid=is_uid)


def _read_search(cursor: Cursor, is_uid: bool) -> Command:  # noqa: FBT001 - as above
    return Search(read_search(cursor), is_uid)


def _read_uid_expunge(cursor: Cursor, _: bool) -> Command:  # noqa: FBT001 - as above
    messages = read_sequence_set(cursor)
    cursor.end()
    return UidExpunge(messages)


_PLAIN = {verb.value.encode("ascii"): Plain(verb) for verb in Verb}
_WITH_MESSAGES: dict[bytes, Callable[[Cursor, bool], Command]] = {
    b"COPY": _read_copy,
    b"FETCH": _read_fetch,
    b"MOVE": _read_move,
    b"SEARCH": _read_search,
    b"STORE": _read_store,
}
_WITH_UID = _WITH_MESSAGES | {b"EXPUNGE": _read_uid_expunge}
_WITH_ARGUMENTS: dict[bytes, Callable[[Cursor], Command]] = {
    b"APPEND": _read_append,
    b"AUTHENTICATE": _read_authenticate,
    b"CREATE": _read_create,
    b"DELETE": lambda cursor: Delete(_read_last_mailbox(cursor)),
    b"ENABLE": _read_enable,
    b"EXAMINE": lambda cursor: _read_select(cursor, is_read_only=True),
    b"GETMETADATA": read_get_metadata,
    b"GETQUOTA": _read_get_quota,
    b"GETQUOTAROOT": _read_get_quota_root,
    b"ID": _read_identify,
    b"LIST": lambda cursor: _read_list(cursor, only_subscribed=False),
    b"LOGIN": _read_login,
    b"LSUB": lambda cursor: _read_list(cursor, only_subscribed=True),
    b"RENAME": _read_rename,
    b"SELECT": lambda cursor: _read_select(cursor, is_read_only=False),
    b"SETMETADATA": read_set_metadata,
    b"SETQUOTA": _read_set_quota,
    b"STATUS": _read_status,
    b"SUBSCRIBE": lambda cursor: Subscribe(_read_last_mailbox(cursor), is_subscribed=True),
    b"UNSUBSCRIBE": lambda cursor: Subscribe(_read_last_mailbox(cursor), is_subscribed=False),
}
