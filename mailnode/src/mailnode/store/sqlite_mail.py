"""Statements on messages.

For: sqlite_store.py. The functions that take a `Transaction` run in the writer's thread; the others read.
Not for: bodies (sqlite_bodies.py).

Each function that writes checks before it changes anything (see sqlite_writer.py).
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

from mailnode.store.mail_store import (
    NO_FLAGS,
    TRIM_AFTER_SECONDS,
    AccountId,
    Arrived,
    Expunged,
    FlagMode,
    Flags,
    FlagsChanged,
    Mailbox,
    MailboxContents,
    MailboxId,
    MailboxStatus,
    MailStoreError,
    Message,
    QuotaExceededError,
    Recipient,
    Uid,
    UnknownMailboxError,
)
from mailnode.store.sqlite_bodies import StoredBody, add_body, free_messages, give_up_body, share_body
from mailnode.store.sqlite_writer import Transaction

_INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)"
_TAKE_UID = (
    "UPDATE mailbox SET uid_next = uid_next + 1 WHERE account_id = ? AND name = 'INBOX'"
    " AND (SELECT size_bytes + ? <= ? FROM usage WHERE usage.account_id = mailbox.account_id)"
    " RETURNING id, uid_next - 1"
)
"""Give out the INBOX's next UID, where an account has room for so many bytes."""

# The same for many at once: a statement costs more than a row. `?1` is a list of accounts in JSON.
_TAKE_UIDS = (
    "UPDATE mailbox SET uid_next = uid_next + 1"
    " WHERE account_id IN (SELECT value FROM json_each(?1)) AND name = 'INBOX'"
    " AND (SELECT size_bytes + ?2 <= ?3 FROM usage WHERE usage.account_id = mailbox.account_id)"
    " RETURNING account_id, id, uid_next - 1"
)
_COUNT_MANY = (
    "UPDATE usage SET size_bytes = size_bytes + ?2, message_count = message_count + 1"
    " WHERE account_id IN (SELECT value FROM json_each(?1))"
)
_INSERT_MANY = (
    "INSERT INTO message SELECT id, uid_next - 1, '', ?2, ?3, ?4 FROM mailbox"
    " WHERE account_id IN (SELECT value FROM json_each(?1)) AND name = 'INBOX'"
)

_CONTENTS = (
    "SELECT id, account_id, name, uid_validity, uid_next,"
    " uid, flags, size_bytes, received_at_seconds, body_id"
    " FROM mailbox LEFT JOIN message ON mailbox_id = id WHERE id = ? ORDER BY uid LIMIT ?"
)


def read_contents(
    reader: sqlite3.Connection, mailbox_id: MailboxId, max_messages: int
) -> MailboxContents | None:
    """Read what a mailbox holds; `None` when there is more than that. Raises: UnknownMailboxError."""
    contents = _read_contents(reader, mailbox_id, max_messages + 1)
    return contents if len(contents.messages) <= max_messages else None


def read_all_contents(reader: sqlite3.Connection, mailbox_id: MailboxId) -> MailboxContents:
    """Read what a mailbox holds, however much. Raises: UnknownMailboxError."""
    return _read_contents(reader, mailbox_id, -1)


def read_status(reader: sqlite3.Connection, mailbox_id: MailboxId) -> MailboxStatus:
    """Read a mailbox's counts. Raises: UnknownMailboxError."""
    row = reader.execute(
        "SELECT count(uid), coalesce(sum(instr(' ' || flags || ' ', ' \\Seen ') = 0), 0), uid_next,"
        " coalesce(sum(size_bytes), 0)"
        " FROM mailbox LEFT JOIN message ON mailbox_id = id WHERE id = ? GROUP BY id",
        (mailbox_id,),
    ).fetchone()
    if row is None:
        raise UnknownMailboxError
    message_count, unseen_count, uid_next, size_bytes = row
    return MailboxStatus(message_count, unseen_count if message_count else 0, uid_next, size_bytes)


def deliver(
    transaction: Transaction,
    recipients: Collection[Recipient],
    body: StoredBody,
    now_seconds: int,
    queued_count: int = 0,
) -> frozenset[AccountId]:
    """Put a message into the INBOX of each recipient; returns those that did not get it.

    `queued_count` rows of the queue have the body as well; the caller adds them.
    """
    refused: list[AccountId] = []
    by_quota: dict[int, list[Recipient]] = {}
    for recipient in recipients:
        by_quota.setdefault(recipient.quota_bytes, []).append(recipient)
    for quota_bytes, alike in by_quota.items():
        left: Collection[Recipient] = alike
        if len(alike) > 1:
            left = _deliver_to_many(transaction, alike, quota_bytes, body, now_seconds)
        refused += [each.account_id for each in left if not _deliver_to(transaction, each, body, now_seconds)]
    message_count = len(recipients) - len(refused) + queued_count
    if message_count:
        add_body(transaction, body, message_count)
    else:
        give_up_body(transaction, body)
    return frozenset(refused)


def _deliver_to_many(
    transaction: Transaction,
    recipients: Collection[Recipient],
    quota_bytes: int,
    body: StoredBody,
    now_seconds: int,
) -> list[Recipient]:
    """Put a message into the INBOX of all who have room for it; returns the others."""
    size_bytes = body.size_bytes
    wanted = json.dumps([recipient.account_id for recipient in recipients])
    taken = transaction.execute(_TAKE_UIDS, (wanted, size_bytes, quota_bytes)).fetchall()
    served = {account_id for account_id, _, _ in taken}
    accounts = wanted if len(served) == len(recipients) else json.dumps(sorted(served))
    transaction.execute(_COUNT_MANY, (accounts, size_bytes))
    transaction.execute(_INSERT_MANY, (accounts, size_bytes, now_seconds, body.id))
    transaction.changes += [
        (mailbox_id, Arrived((Message(uid, NO_FLAGS, size_bytes, now_seconds, body.id),)))
        for _, mailbox_id, uid in taken
    ]
    return [recipient for recipient in recipients if recipient.account_id not in served]


def _deliver_to(transaction: Transaction, recipient: Recipient, body: StoredBody, now_seconds: int) -> bool:
    """Put a message into one INBOX, where there is or can be made room for it; tell whether there was."""
    execute = transaction.execute
    room = (recipient.account_id, body.size_bytes, recipient.quota_bytes)
    inbox = execute(_TAKE_UID, room).fetchone()
    if inbox is None and recipient.is_trimmed and trim(transaction, *room, now_seconds):
        inbox = execute(_TAKE_UID, room).fetchone()
    if inbox is None:
        return False
    _count(transaction, recipient.account_id, body.size_bytes, 1)
    mailbox_id, uid = inbox
    execute(_INSERT, (mailbox_id, uid, "", body.size_bytes, now_seconds, body.id))
    message = Message(uid, NO_FLAGS, body.size_bytes, now_seconds, body.id)
    transaction.changes.append((mailbox_id, Arrived((message,))))
    return True


def trim(
    transaction: Transaction, account_id: AccountId, more_bytes: int, quota_bytes: int, now_seconds: int
) -> bool:
    """Make room by letting read messages go, the oldest and largest first; tell whether there is enough now.

    Nothing goes where it would not be enough. A tenth of the quota is freed beside, so that the next messages
    find room, too.
    """
    if more_bytes > quota_bytes:
        return False
    row = transaction.execute("SELECT size_bytes FROM usage WHERE account_id = ?", (account_id,)).fetchone()
    if row is None:
        return False
    needed_bytes = row[0] + more_bytes - quota_bytes
    candidates = list_trimmable(transaction, account_id, now_seconds)
    if sum(size_bytes for *_, size_bytes in candidates) < needed_bytes:
        return False
    going: dict[MailboxId, list[Uid]] = {}
    freed_bytes = 0
    for mailbox_id, uid, size_bytes in candidates:
        if freed_bytes >= needed_bytes + quota_bytes // 10:
            break
        going.setdefault(mailbox_id, []).append(uid)
        freed_bytes += size_bytes
    for mailbox_id, uids in going.items():
        expunge(transaction, mailbox_id, uids)
    return True


def list_trimmable(
    reader: sqlite3.Connection | Transaction, account_id: AccountId, now_seconds: int
) -> Sequence[tuple[MailboxId, Uid, int]]:
    """List what may be let go to make room, with its bytes, the oldest and largest first."""
    return reader.execute(
        "SELECT mailbox_id, uid, size_bytes FROM message JOIN mailbox ON mailbox_id = mailbox.id"
        " WHERE account_id = ? AND received_at_seconds <= ? AND instr(' ' || flags || ' ', ' \\Seen ')"
        " ORDER BY (? - received_at_seconds) * size_bytes DESC",
        (account_id, now_seconds - TRIM_AFTER_SECONDS, now_seconds),
    ).fetchall()


def append(
    transaction: Transaction, mailbox_id: MailboxId, quota_bytes: int, message: Message, body: StoredBody
) -> Message:
    """Add a message; its UID is given here. Raises: UnknownMailboxError, QuotaExceededError."""
    try:
        account_id = _find_owner(transaction, mailbox_id)
        _check_quota(transaction, account_id, body.size_bytes, quota_bytes)
    except MailStoreError:
        give_up_body(transaction, body)
        raise
    add_body(transaction, body, 1)
    _count(transaction, account_id, body.size_bytes, 1)
    (added,) = _add(transaction, mailbox_id, [message])
    return added


def copy_messages(
    transaction: Transaction, source: MailboxId, uids: Sequence[Uid], target: MailboxId, quota_bytes: int
) -> Sequence[tuple[Uid, Uid]]:
    """Copy messages. Raises: UnknownMailboxError, QuotaExceededError."""
    account_id = _find_owner(transaction, target)
    old = _pick(transaction, source, uids)
    if not old:
        return []
    size_bytes = sum(message.size_bytes for message in old)
    _check_quota(transaction, account_id, size_bytes, quota_bytes)
    _count(transaction, account_id, size_bytes, len(old))
    for message in old:
        share_body(transaction, message.body_id, 1)
    new = _add(transaction, target, old)
    return [(before.uid, after.uid) for before, after in zip(old, new, strict=True)]


def move_messages(
    transaction: Transaction, source: MailboxId, uids: Sequence[Uid], target: MailboxId
) -> Sequence[tuple[Uid, Uid]]:
    """Move messages: copied without regard to the quota, then expunged. Raises: UnknownMailboxError."""
    pairs = copy_messages(transaction, source, uids, target, (1 << 62))
    expunge(transaction, source, [old for old, _ in pairs])
    return pairs


def change_flags(
    transaction: Transaction, mailbox_id: MailboxId, uids: Collection[Uid], mode: FlagMode, flags: Flags
) -> Mapping[Uid, Flags]:
    """Change flags; returns those that each message still there has now."""
    result: dict[Uid, Flags] = {}
    changed: dict[Uid, Flags] = {}
    for message in _pick(transaction, mailbox_id, sorted(uids)):
        new = _combine(message.flags, mode, flags)
        result[message.uid] = new
        if new != message.flags:
            changed[message.uid] = new
            transaction.execute(
                "UPDATE message SET flags = ? WHERE mailbox_id = ? AND uid = ?",
                (_encode_flags(new), mailbox_id, message.uid),
            )
    if changed:
        transaction.changes.append((mailbox_id, FlagsChanged(changed)))
    return result


def expunge(transaction: Transaction, mailbox_id: MailboxId, uids: Collection[Uid]) -> frozenset[Uid]:
    """Remove messages; returns those that were there."""
    gone: list[Uid] = []
    for first, last in _ranges(uids):
        gone += free_messages(transaction, mailbox_id, first, last)
    if gone:
        transaction.changes.append((mailbox_id, Expunged(frozenset(gone))))
    return frozenset(gone)


def _read_contents(reader: sqlite3.Connection, mailbox_id: MailboxId, limit: int) -> MailboxContents:
    """Read at most `limit` messages (-1: all) at one moment: one statement sees one state."""
    rows = reader.execute(_CONTENTS, (mailbox_id, limit)).fetchall()
    if not rows:
        raise UnknownMailboxError
    messages = tuple(
        Message(uid, _decode_flags(flags), size_bytes, received_at, body_id)
        for *_, uid, flags, size_bytes, received_at, body_id in rows
        if uid is not None  # an empty mailbox is one row without a message
    )
    return MailboxContents(Mailbox(*rows[0][:4]), Uid(rows[0][4]), messages)


def _pick(transaction: Transaction, mailbox_id: MailboxId, uids: Sequence[Uid]) -> list[Message]:
    """Read the messages of these UIDs, in their order; those that are gone are left out."""
    found: dict[Uid, Message] = {}
    for first, last in _ranges(uids):
        rows = transaction.execute(
            "SELECT uid, flags, size_bytes, received_at_seconds, body_id FROM message"
            " WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
            (mailbox_id, first, last),
        ).fetchall()
        for uid, flags, size_bytes, received_at, body_id in rows:
            found[uid] = Message(uid, _decode_flags(flags), size_bytes, received_at, body_id)
    return [found[uid] for uid in dict.fromkeys(uids) if uid in found]


def _add(transaction: Transaction, mailbox_id: MailboxId, messages: Sequence[Message]) -> list[Message]:
    """Add messages under the next UIDs of a mailbox that is known to exist."""
    (uid_next,) = transaction.execute(
        "UPDATE mailbox SET uid_next = uid_next + ? WHERE id = ? RETURNING uid_next",
        (len(messages), mailbox_id),
    ).fetchone()
    added = [
        Message(Uid(uid), old.flags, old.size_bytes, old.received_at_seconds, old.body_id)
        for uid, old in enumerate(messages, start=uid_next - len(messages))
    ]
    for new in added:
        flags = _encode_flags(new.flags)
        row = (mailbox_id, new.uid, flags, new.size_bytes, new.received_at_seconds, new.body_id)
        transaction.execute(_INSERT, row)
    transaction.changes.append((mailbox_id, Arrived(tuple(added))))
    return added


def _find_owner(transaction: Transaction, mailbox_id: MailboxId) -> AccountId:
    row = transaction.execute("SELECT account_id FROM mailbox WHERE id = ?", (mailbox_id,)).fetchone()
    if row is None:
        raise UnknownMailboxError
    return AccountId(row[0])


def _check_quota(transaction: Transaction, account_id: AccountId, more_bytes: int, quota_bytes: int) -> None:
    (size_bytes,) = transaction.execute(
        "SELECT size_bytes FROM usage WHERE account_id = ?", (account_id,)
    ).fetchone()
    if size_bytes + more_bytes > quota_bytes:
        raise QuotaExceededError


def _count(transaction: Transaction, account_id: AccountId, size_bytes: int, message_count: int) -> None:
    transaction.execute(
        "UPDATE usage SET size_bytes = size_bytes + ?, message_count = message_count + ?"
        " WHERE account_id = ?",
        (size_bytes, message_count, account_id),
    )


def _ranges(uids: Collection[Uid]) -> Iterator[tuple[int, int]]:
    """Join UIDs into ranges: clients name whole runs of them, and a statement costs more than a row."""
    first = last = None
    for uid in sorted(set(uids)):
        if last is not None and uid == last + 1:
            last = uid
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = uid
    if first is not None and last is not None:
        yield first, last


def _combine(old: Flags, mode: FlagMode, flags: Flags) -> Flags:
    match mode:
        case FlagMode.REPLACE:
            return flags
        case FlagMode.ADD:
            return old | flags
        case FlagMode.REMOVE:
            return old - flags


@lru_cache(maxsize=4096)
def _decode_flags(text: str) -> Flags:
    return frozenset(text.split())


def _encode_flags(flags: Flags) -> str:
    return " ".join(sorted(flags))
