"""Statements on accounts.

For: sqlite_store.py. The functions that take a `Transaction` run in the writer's thread; the others read.
Not for: caching, or what an address looks like.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from mailnode.store.mail_store import (
    INBOX,
    Account,
    AccountExistsError,
    AccountId,
    UnknownAccountError,
    Usage,
)
from mailnode.store.sqlite_mailboxes import add_mailbox, drop_mailbox
from mailnode.store.sqlite_writer import Transaction

_COLUMNS = "id, address, password_hash, quota_bytes, is_banned, created_at_seconds, last_login_at_seconds"


def find_account(reader: sqlite3.Connection, address: str) -> Account | None:
    """Look an account up."""
    row = reader.execute(f"SELECT {_COLUMNS} FROM account WHERE address = ?", (address,)).fetchone()  # noqa: S608 - constant
    return None if row is None else read_row(row)


def list_accounts(reader: sqlite3.Connection, after_address: str, limit: int) -> Sequence[Account]:
    """List accounts in the order of their addresses."""
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM account WHERE address > ? ORDER BY address LIMIT ?",  # noqa: S608 - constant
        (after_address, limit),
    ).fetchall()
    return [read_row(row) for row in rows]


def count_accounts(reader: sqlite3.Connection) -> int:
    """Count the accounts."""
    (count,) = reader.execute("SELECT count(*) FROM account").fetchone()
    return int(count)


def count_near_quota(reader: sqlite3.Connection, quota_bytes: int) -> int:
    """Count the accounts that hold nine tenths of their quota or more."""
    (count,) = reader.execute(
        "SELECT count(*) FROM usage JOIN account ON account.id = usage.account_id"
        " WHERE usage.size_bytes * 10 >= coalesce(account.quota_bytes, ?) * 9",
        (quota_bytes,),
    ).fetchone()
    return int(count)


def read_usage(reader: sqlite3.Connection, account_id: AccountId) -> Usage:
    """Tell what an account holds. Raises: UnknownAccountError."""
    row = reader.execute(
        "SELECT size_bytes, message_count FROM usage WHERE account_id = ?", (account_id,)
    ).fetchone()
    if row is None:
        raise UnknownAccountError
    return Usage(*row)


def add_account(
    transaction: Transaction, address: str, password_hash: str, now_seconds: int, uid_validity: int
) -> Account:
    """Create an account with an empty INBOX, banned where the address is blocked.

    Raises:
        AccountExistsError: There is one already.
    """
    row = transaction.execute(
        "INSERT INTO account (address, password_hash, created_at_seconds, is_banned)"  # noqa: S608 - constant
        " VALUES (?, ?, ?, EXISTS (SELECT 1 FROM blocked WHERE blocked.address = ?))"
        f" ON CONFLICT (address) DO NOTHING RETURNING {_COLUMNS}",
        (address, password_hash, now_seconds, address),
    ).fetchone()
    if row is None:
        raise AccountExistsError
    account = read_row(row)
    transaction.execute("INSERT INTO usage (account_id) VALUES (?)", (account.id,))
    add_mailbox(transaction, account.id, INBOX, uid_validity)
    transaction.new_accounts.append(account)
    return account


def change_password(transaction: Transaction, account_id: AccountId, password_hash: str) -> Account:
    """Give an account another password hash. Raises: UnknownAccountError."""
    return _change(transaction, account_id, "password_hash", password_hash)


def change_quota(transaction: Transaction, account_id: AccountId, quota_bytes: int | None) -> Account:
    """Give an account its own quota, or none. Raises: UnknownAccountError."""
    return _change(transaction, account_id, "quota_bytes", quota_bytes)


def change_ban(transaction: Transaction, account_id: AccountId, *, is_banned: bool) -> Account:
    """Ban an account or allow it again. Raises: UnknownAccountError."""
    return _change(transaction, account_id, "is_banned", is_banned)


def remove_account(transaction: Transaction, account_id: AccountId) -> None:
    """Remove an account and all that it holds. Raises: UnknownAccountError."""
    row = transaction.execute("SELECT address FROM account WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        raise UnknownAccountError
    mailboxes = transaction.execute("SELECT id FROM mailbox WHERE account_id = ?", (account_id,)).fetchall()
    for (mailbox_id,) in mailboxes:
        drop_mailbox(transaction, mailbox_id)
    transaction.execute("DELETE FROM account WHERE id = ?", (account_id,))
    transaction.stale_addresses.append(row[0])


def write_logins(transaction: Transaction, logins: Mapping[AccountId, int]) -> None:
    """Note when accounts logged in last; accounts that are gone are left out."""
    for account_id, now_seconds in logins.items():
        row = transaction.execute(
            f"UPDATE account SET last_login_at_seconds = ? WHERE id = ? RETURNING {_COLUMNS}",  # noqa: S608 - constant
            (now_seconds, account_id),
        ).fetchone()
        if row is not None:
            transaction.new_accounts.append(read_row(row))


def read_row(row: Sequence[object]) -> Account:
    """Make an account of its columns, in the order of the table."""
    id_, address, password_hash, quota_bytes, is_banned, created_at, last_login_at = row
    return Account(id_, address, password_hash, quota_bytes, bool(is_banned), created_at, last_login_at)  # type: ignore[arg-type]  # STRICT tables hold what the schema says


def _change(transaction: Transaction, account_id: AccountId, column: str, value: str | int | None) -> Account:
    row = transaction.execute(
        f"UPDATE account SET {column} = ? WHERE id = ? RETURNING {_COLUMNS}",  # noqa: S608 - constants
        (value, account_id),
    ).fetchone()
    if row is None:
        raise UnknownAccountError
    account = read_row(row)
    transaction.stale_addresses.append(account.address)
    return account
