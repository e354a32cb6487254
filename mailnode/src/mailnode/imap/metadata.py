"""The METADATA commands: what the node tells its users, and what clients keep here.

    /shared/…              of the node, mailbox "" only: read through `SharedMetadata`, never written here
    /private/devicetoken   of INBOX: a set of push tokens; setting adds one, reading joins all that are fresh
    /private/…             of the node or a mailbox: values that clients keep, within limits

Source: RFC 5464; for the device token, chatmail relays.
"""

import re
from collections.abc import Mapping

from mailnode.imap.commands import GetMetadata, MetadataDepth, SetMetadata
from mailnode.imap.commands_mailbox import find_mailbox
from mailnode.imap.errors import RefusedError, ResponseCode
from mailnode.imap.mailbox_name import encode_name
from mailnode.imap.session import Session
from mailnode.imap.strings import format_astring, format_nstring, format_string
from mailnode.store.mail_store import INBOX, AccountId
from mailnode.store.notification_queue import TOKEN_FRESH_SECONDS

DEVICE_TOKEN = "/private/devicetoken"  # noqa: S105 - the name of an entry
MAX_TOKEN_BYTES = 8192
MAX_TOKENS = 100

MAX_ENTRIES = 100
MAX_VALUES_BYTES = 65_536
"""How much one account may keep for one mailbox: entries, and octets of their values together."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


async def get_metadata(session: Session, command: GetMetadata) -> bytes:
    """Tell entries; those named that are not there are NIL."""
    session.require_account()
    if command.mailbox:
        await find_mailbox(session, command.mailbox)
    known = await _read_entries(session, command)
    found: dict[str, str | None] = {}
    for entry in command.entries:
        found[entry] = known.get(entry.lower())
        for name in _names_below(entry, known, command.depth):
            found.setdefault(name, known[name])
    longest_bytes = 0
    words: list[bytes] = []
    for entry, value in found.items():
        octets = None if value is None else value.encode()
        size_bytes = len(octets or b"")
        if command.max_size_bytes is not None and size_bytes > command.max_size_bytes:
            longest_bytes = max(longest_bytes, size_bytes)
        else:
            words.append(format_astring(entry.encode("ascii")) + b" " + format_nstring(octets))
    if words:
        # The mailbox is always quoted: Delta Chat's parser takes it no other way.
        session.say(
            b"* METADATA %s (%s)\r\n" % (format_string(encode_name(command.mailbox)), b" ".join(words))
        )
    if longest_bytes:
        return b"OK [METADATA LONGENTRIES %d] Some are longer" % longest_bytes
    return b"OK That is all"


async def set_metadata(session: Session, command: SetMetadata) -> bytes:
    """Keep or remove private entries, all or none."""
    account = session.require_account()
    if command.mailbox:
        await find_mailbox(session, command.mailbox)
    if any(entry.startswith("/shared/") for entry in command.values):
        raise RefusedError(ResponseCode.NO_PERMISSION, "Shared entries cannot be set here")
    values = dict(command.values)
    token = values.pop(DEVICE_TOKEN, None) if command.mailbox == INBOX else None
    if token is not None:
        await _check_token(session, account.id, token)
    if values:
        kept = dict(await session.context.store.read_metadata(account.id, command.mailbox))
        _check_room(kept | values)
        await session.context.store.change_metadata(account.id, command.mailbox, values)
    if token is not None:
        now_seconds = int(session.context.clock_seconds())
        await session.context.store.add_device_token(account.id, token, now_seconds)
    return b"OK Kept"


async def _read_entries(session: Session, command: GetMetadata) -> Mapping[str, str]:
    """Read all that could be asked for, by names in lower case."""
    account = session.require_account()
    store = session.context.store
    known = dict(await store.read_metadata(account.id, command.mailbox))
    if not command.mailbox:
        known |= {name.lower(): value for name, value in session.context.metadata.read(account).items()}
    if command.mailbox == INBOX:
        tokens = await store.list_device_tokens(account.id, _fresh_since(session))
        if tokens:
            known[DEVICE_TOKEN] = " ".join(tokens)
    return known


def _names_below(entry: str, known: Mapping[str, str], depth: MetadataDepth) -> list[str]:
    if depth is MetadataDepth.NONE:
        return []
    inside = entry.lower() + "/"
    names = sorted(name for name in known if name.startswith(inside))
    return [name for name in names if depth is MetadataDepth.ALL or "/" not in name.removeprefix(inside)]


def _check_room(values: Mapping[str, str | None]) -> None:
    sizes_bytes = [len(value.encode()) for value in values.values() if value is not None]
    if len(sizes_bytes) > MAX_ENTRIES:
        raise RefusedError("METADATA TOOMANY", "There are too many entries")
    if sum(sizes_bytes) > MAX_VALUES_BYTES:
        raise RefusedError(f"METADATA MAXSIZE {MAX_VALUES_BYTES}", "The entries are too long")


async def _check_token(session: Session, account_id: AccountId, token: str) -> None:
    if len(token) > MAX_TOKEN_BYTES:
        raise RefusedError(f"METADATA MAXSIZE {MAX_TOKEN_BYTES}", "That token is too long")
    if not _TOKEN.fullmatch(token):  # a space would make two of it
        raise RefusedError(ResponseCode.CANNOT, "A token consists of printable characters")
    tokens = await session.context.store.list_device_tokens(account_id, _fresh_since(session))
    if token not in tokens and len(tokens) >= MAX_TOKENS:
        raise RefusedError("METADATA TOOMANY", "There are too many tokens")


def _fresh_since(session: Session) -> int:
    return int(session.context.clock_seconds()) - TOKEN_FRESH_SECONDS
