"""Statements on bodies: putting them in, sharing them, letting them go.

For: sqlite_mail.py and sqlite_mailboxes.py. Functions that take a `Transaction` run in the writer's thread.
Not for: files; a body that has one is only named here.
"""

import sqlite3
from dataclasses import dataclass
from typing import Self

from mailnode.store.body_files import LARGE_BODY_BYTES, BodyFiles
from mailnode.store.headers import measure_header
from mailnode.store.mail_store import BodyId, MailboxId, Uid
from mailnode.store.sqlite_writer import Transaction

_DELETE_UNSHARED = (
    "DELETE FROM body WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM body_share WHERE body_id = ?1)"
    " RETURNING rest IS NULL"
)


@dataclass(frozen=True, slots=True)
class StoredBody:
    """What a body's row holds. `rest` is `None` when a file has the body, `header` when that is large."""

    id: BodyId
    size_bytes: int
    header: bytes | None
    rest: bytes | None

    @property
    def is_in_file(self) -> bool:
        """Whether a file has the body."""
        return self.rest is None

    @classmethod
    def split(cls, body_id: BodyId, body: bytes) -> Self:
        """Divide a body into what goes where."""
        header_size = measure_header(body)
        header = body[:header_size] if header_size <= LARGE_BODY_BYTES else None
        rest = body[header_size:] if len(body) <= LARGE_BODY_BYTES else None
        return cls(body_id, len(body), header, rest)


def find_last_body(reader: sqlite3.Connection) -> BodyId:
    """Find the highest id that a body has; 0 when there is none."""
    (last,) = reader.execute("SELECT coalesce(max(id), 0) FROM body").fetchone()
    return BodyId(last)


def has_body(reader: sqlite3.Connection, body_id: BodyId) -> bool:
    """Tell whether there is a body of that id."""
    return reader.execute("SELECT 1 FROM body WHERE id = ?", (body_id,)).fetchone() is not None


def read_header(reader: sqlite3.Connection, files: BodyFiles, body_id: BodyId) -> bytes | None:
    """Read a body's header; `None` when the body is gone."""
    row = reader.execute("SELECT header FROM body WHERE id = ?", (body_id,)).fetchone()
    if row is None:
        return None
    if row[0] is not None:
        return bytes(row[0])
    body = files.read(body_id)
    return None if body is None else body[: measure_header(body)]


def read_body(reader: sqlite3.Connection, files: BodyFiles, body_id: BodyId) -> bytes | None:
    """Read a body; `None` when it is gone."""
    row = reader.execute("SELECT header, rest FROM body WHERE id = ?", (body_id,)).fetchone()
    if row is None:
        return None
    return files.read(body_id) if row[1] is None else bytes(row[0] + row[1])


def add_body(transaction: Transaction, body: StoredBody, message_count: int) -> None:
    """Put a body in for so many messages, at least one."""
    transaction.execute("INSERT INTO body VALUES (?, ?, ?)", (body.id, body.header, body.rest))
    if message_count > 1:
        share_body(transaction, body.id, message_count - 1)


def share_body(transaction: Transaction, body_id: BodyId, more: int) -> None:
    """Count more messages that have a body."""
    transaction.execute(
        "INSERT INTO body_share VALUES (?1, 1 + ?2)"
        " ON CONFLICT (body_id) DO UPDATE SET message_count = message_count + ?2",
        (body_id, more),
    )


def free_messages(transaction: Transaction, mailbox_id: MailboxId, first: int, last: int | None) -> list[Uid]:
    """Delete the messages with these UIDs (`None`: to the end), and the bodies that nobody has any more.

    The usage of their account falls accordingly. Returns the UIDs that were there.
    """
    rows = transaction.execute(
        "DELETE FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ? RETURNING uid, size_bytes, body_id",
        (mailbox_id, first, (1 << 62) if last is None else last),
    ).fetchall()
    for _, _, body_id in rows:
        let_go_body(transaction, body_id)
    if rows:
        transaction.execute(
            "UPDATE usage SET size_bytes = size_bytes - ?, message_count = message_count - ?"
            " WHERE account_id = (SELECT account_id FROM mailbox WHERE id = ?)",
            (sum(size_bytes for _, size_bytes, _ in rows), len(rows), mailbox_id),
        )
    return [uid for uid, _, _ in rows]


def give_up_body(transaction: Transaction, body: StoredBody) -> None:
    """Let a body go that nobody has got."""
    transaction.gone_bodies.append(body.id)
    if body.is_in_file:
        transaction.gone_files.append(body.id)


def let_go_body(transaction: Transaction, body_id: BodyId) -> None:
    """Count one message less; without a count, as most are, it was the only one."""
    row = transaction.execute(_DELETE_UNSHARED, (body_id,)).fetchone()
    if row is None:
        share = transaction.execute(
            "UPDATE body_share SET message_count = message_count - 1 WHERE body_id = ?"
            " RETURNING message_count",
            (body_id,),
        ).fetchone()
        if share is not None and share[0] > 0:
            return
        row = transaction.execute(
            "DELETE FROM body WHERE id = ? RETURNING rest IS NULL", (body_id,)
        ).fetchone()
    transaction.gone_bodies.append(body_id)
    if row is not None and row[0]:
        transaction.gone_files.append(body_id)
