"""Statements on mailboxes, subscriptions, metadata and device tokens.

For: sqlite_store.py. The functions that take a `Transaction` run in the writer's thread; the others read.
Not for: messages (sqlite_mail.py), but for those that go with their mailbox.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from mailnode.store.mail_store import (
    INBOX,
    AccountId,
    Mailbox,
    MailboxExistsError,
    MailboxGone,
    MailboxId,
    UnknownAccountError,
    UnknownMailboxError,
)
from mailnode.store.sqlite_bodies import free_messages
from mailnode.store.sqlite_writer import Transaction

_COLUMNS = "id, account_id, name, uid_validity"


def list_mailboxes(reader: sqlite3.Connection, account_id: AccountId) -> Sequence[Mailbox]:
    """List mailboxes by name, INBOX first."""
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? ORDER BY name <> ?, name",  # noqa: S608 - constant
        (account_id, INBOX),
    ).fetchall()
    return [Mailbox(*row) for row in rows]


def find_mailbox(reader: sqlite3.Connection, account_id: AccountId, name: str) -> Mailbox | None:
    """Look a mailbox up by its name."""
    row = reader.execute(
        f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND name = ?",  # noqa: S608 - constant
        (account_id, name),
    ).fetchone()
    return None if row is None else Mailbox(*row)


def list_subscriptions(reader: sqlite3.Connection, account_id: AccountId) -> Sequence[str]:
    """List the names that are subscribed."""
    rows = reader.execute(
        "SELECT name FROM subscription WHERE account_id = ? ORDER BY name", (account_id,)
    ).fetchall()
    return [name for (name,) in rows]


def read_metadata(reader: sqlite3.Connection, account_id: AccountId, mailbox_name: str) -> Mapping[str, str]:
    """Read an account's entries for a mailbox name."""
    rows = reader.execute(
        "SELECT key, value FROM metadata WHERE account_id = ? AND mailbox_name = ? ORDER BY key",
        (account_id, mailbox_name),
    ).fetchall()
    return dict(rows)


def list_device_tokens(
    reader: sqlite3.Connection, account_id: AccountId, since_seconds: int
) -> Sequence[str]:
    """List the tokens that were added since then."""
    rows = reader.execute(
        "SELECT token FROM device_token WHERE account_id = ? AND added_at_seconds >= ? ORDER BY token",
        (account_id, since_seconds),
    ).fetchall()
    return [token for (token,) in rows]


def create_mailbox(transaction: Transaction, account_id: AccountId, name: str, uid_validity: int) -> Mailbox:
    """Create a mailbox. Raises: MailboxExistsError, UnknownAccountError."""
    _check_account(transaction, account_id)
    if _find_id(transaction, account_id, name) is not None:
        raise MailboxExistsError
    return add_mailbox(transaction, account_id, name, uid_validity)


def add_mailbox(transaction: Transaction, account_id: AccountId, name: str, uid_validity: int) -> Mailbox:
    """Add a mailbox that is known not to exist.

    `uid_validity` is the least that it gets: no two mailboxes of this store ever have the same.
    """
    (uid_validity,) = transaction.execute(
        "UPDATE last_uid_validity SET value = max(value + 1, ?) RETURNING value", (uid_validity,)
    ).fetchone()
    row = transaction.execute(
        f"INSERT INTO mailbox (account_id, name, uid_validity) VALUES (?, ?, ?) RETURNING {_COLUMNS}",  # noqa: S608 - constant
        (account_id, name, uid_validity),
    ).fetchone()
    return Mailbox(*row)


def rename_mailbox(transaction: Transaction, mailbox_id: MailboxId, name: str) -> None:
    """Rename a mailbox. Raises: UnknownMailboxError, MailboxExistsError."""
    row = transaction.execute("SELECT account_id FROM mailbox WHERE id = ?", (mailbox_id,)).fetchone()
    if row is None:
        raise UnknownMailboxError
    if _find_id(transaction, row[0], name) not in (None, mailbox_id):
        raise MailboxExistsError
    transaction.execute("UPDATE mailbox SET name = ? WHERE id = ?", (name, mailbox_id))
    transaction.stale_mailboxes.append(mailbox_id)


def remove_mailbox(transaction: Transaction, mailbox_id: MailboxId) -> None:
    """Remove a mailbox with its messages. Raises: UnknownMailboxError."""
    row = transaction.execute("SELECT account_id FROM mailbox WHERE id = ?", (mailbox_id,)).fetchone()
    if row is None:
        raise UnknownMailboxError
    drop_mailbox(transaction, mailbox_id)


def drop_mailbox(transaction: Transaction, mailbox_id: MailboxId) -> None:
    """Remove a mailbox that is known to exist."""
    free_messages(transaction, mailbox_id, 0, None)
    transaction.execute("DELETE FROM mailbox WHERE id = ?", (mailbox_id,))
    transaction.changes.append((mailbox_id, MailboxGone()))


def change_subscription(
    transaction: Transaction, account_id: AccountId, name: str, *, is_subscribed: bool
) -> None:
    """Subscribe to a name or end that. Raises: UnknownAccountError."""
    _check_account(transaction, account_id)
    statement = (
        "INSERT INTO subscription VALUES (?, ?) ON CONFLICT DO NOTHING"
        if is_subscribed
        else "DELETE FROM subscription WHERE account_id = ? AND name = ?"
    )
    transaction.execute(statement, (account_id, name))


def change_metadata(
    transaction: Transaction, account_id: AccountId, mailbox_name: str, entries: Mapping[str, str | None]
) -> None:
    """Set entries, or remove those that are `None`. Raises: UnknownAccountError."""
    _check_account(transaction, account_id)
    for key, value in entries.items():
        if value is None:
            transaction.execute(
                "DELETE FROM metadata WHERE account_id = ? AND mailbox_name = ? AND key = ?",
                (account_id, mailbox_name, key),
            )
        else:
            transaction.execute(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", (account_id, mailbox_name, key, value)
            )


def add_device_token(transaction: Transaction, account_id: AccountId, token: str, now_seconds: int) -> None:
    """Remember a push token. Raises: UnknownAccountError."""
    _check_account(transaction, account_id)
    row = (account_id, token, now_seconds)
    transaction.execute("INSERT OR REPLACE INTO device_token VALUES (?, ?, ?)", row)


def _check_account(transaction: Transaction, account_id: AccountId) -> None:
    if transaction.execute("SELECT 1 FROM account WHERE id = ?", (account_id,)).fetchone() is None:
        raise UnknownAccountError


def _find_id(transaction: Transaction, account_id: AccountId, name: str) -> MailboxId | None:
    row = transaction.execute(
        "SELECT id FROM mailbox WHERE account_id = ? AND name = ?", (account_id, name)
    ).fetchone()
    return None if row is None else MailboxId(row[0])
