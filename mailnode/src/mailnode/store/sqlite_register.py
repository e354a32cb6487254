"""Administration of a store: lists of accounts with what they hold, blocked addresses, sums.

For: sqlite_store.py, which has all of `SqliteRegister`.
Not for: statements that users' protocols need (sqlite_accounts.py, _queue.py).
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Protocol, TypeVar

from mailnode.store.account_register import (
    AccountOrder,
    AccountSearch,
    Block,
    HeldAccount,
    WaitingMail,
)
from mailnode.store.mail_store import Account, Usage
from mailnode.store.sqlite_accounts import change_ban, read_row
from mailnode.store.sqlite_readers import Readers
from mailnode.store.sqlite_writer import Operation, Transaction

_KEYS = {
    AccountOrder.ADDRESS: "0",
    AccountOrder.SIZE: "usage.size_bytes",
    AccountOrder.LAST_LOGIN: "coalesce(account.last_login_at_seconds, 0)",
}
_COLUMNS = (
    "account.id, account.address, account.password_hash, account.quota_bytes, account.is_banned,"
    " account.created_at_seconds, account.last_login_at_seconds, usage.size_bytes, usage.message_count"
)

T = TypeVar("T")


class _Store(Protocol):
    """What `SqliteMailStore` lends."""

    _readers: Readers

    def _write(self, operation: Operation[T]) -> asyncio.Future[T]: ...


class SqliteRegister:
    """The part of a `SqliteMailStore` that makes it an `AccountRegister`."""

    async def search_accounts(self: _Store, wanted: AccountSearch) -> Sequence[HeldAccount]:
        """List accounts with what they hold."""
        return await self._readers.read_in_thread(lambda reader: search_accounts(reader, wanted))

    async def read_total_usage(self: _Store) -> Usage:
        """Tell what all accounts hold together."""
        return await self._readers.read_in_thread(read_total_usage)

    async def add_block(self: _Store, address: str, reason: str, now_seconds: int) -> Account | None:
        """Block an address; return the account of it, which is banned."""
        return await self._write(lambda transaction: add_block(transaction, address, reason, now_seconds))

    async def remove_block(self: _Store, address: str) -> None:
        """Let an address be used again."""
        await self._write(lambda transaction: remove_block(transaction, address))

    async def find_block(self: _Store, address: str) -> Block | None:
        """Look a blocked address up."""
        return self._readers.read(lambda reader: find_block(reader, address))

    async def list_blocks(self: _Store, after_address: str, limit: int) -> Sequence[Block]:
        """List blocked addresses."""
        return await self._readers.read_in_thread(lambda reader: list_blocks(reader, after_address, limit))

    async def list_waiting_mail(self: _Store) -> Sequence[WaitingMail]:
        """List what waits for other nodes, by domain."""
        return await self._readers.read_in_thread(list_waiting_mail)


def search_accounts(reader: sqlite3.Connection, wanted: AccountSearch) -> list[HeldAccount]:
    """List accounts in the order that is wanted."""
    key = _KEYS[wanted.order]
    direction, behind = ("DESC", "<") if wanted.is_descending else ("ASC", ">")
    conditions, values = [], list[object]()
    if wanted.search:
        conditions.append("instr(account.address, ?) > 0")
        values.append(wanted.search)
    if wanted.after is not None:
        behind += "=" if wanted.is_after_included else ""
        if wanted.order is AccountOrder.ADDRESS:  # so that the index of addresses is of use
            conditions.append(f"account.address {behind} ?")
            values.append(wanted.after[1])
        else:
            conditions.append(f"({key}, account.address) {behind} (?, ?)")
            values += wanted.after
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = f"account.address {direction}"
    if wanted.order is not AccountOrder.ADDRESS:
        order = f"{key} {direction}, {order}"
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM account JOIN usage ON usage.account_id = account.id{where}"  # noqa: S608 - constants
        f" ORDER BY {order} LIMIT ?",
        (*values, wanted.limit),
    ).fetchall()
    return [HeldAccount(read_row(row[:7]), Usage(*row[7:])) for row in rows]


def read_total_usage(reader: sqlite3.Connection) -> Usage:
    """Add up what all accounts hold."""
    row = reader.execute(
        "SELECT coalesce(sum(size_bytes), 0), coalesce(sum(message_count), 0) FROM usage"
    ).fetchone()
    return Usage(*row)


def add_block(transaction: Transaction, address: str, reason: str, now_seconds: int) -> Account | None:
    """Block an address, and ban the account of it."""
    transaction.execute(
        "INSERT INTO blocked VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET reason = excluded.reason",
        (address, reason, now_seconds),
    )
    return _change_ban(transaction, address, is_banned=True)


def remove_block(transaction: Transaction, address: str) -> None:
    """Let an address be used again, and the account of it log in."""
    transaction.execute("DELETE FROM blocked WHERE address = ?", (address,))
    _change_ban(transaction, address, is_banned=False)


def find_block(reader: sqlite3.Connection, address: str) -> Block | None:
    """Look a blocked address up."""
    row = reader.execute(
        "SELECT address, reason, blocked_at_seconds FROM blocked WHERE address = ?", (address,)
    ).fetchone()
    return None if row is None else Block(*row)


def list_blocks(reader: sqlite3.Connection, after_address: str, limit: int) -> list[Block]:
    """List blocked addresses in their order."""
    rows = reader.execute(
        "SELECT address, reason, blocked_at_seconds FROM blocked WHERE address > ? ORDER BY address LIMIT ?",
        (after_address, limit),
    ).fetchall()
    return [Block(*row) for row in rows]


def list_waiting_mail(reader: sqlite3.Connection) -> list[WaitingMail]:
    """List what waits, by domain."""
    rows = reader.execute(
        "SELECT destination, count(*), sum(size_bytes), min(queued_at_seconds), max(attempt_count)"
        " FROM outgoing GROUP BY destination ORDER BY destination"
    ).fetchall()
    return [WaitingMail(*row) for row in rows]


def _change_ban(transaction: Transaction, address: str, *, is_banned: bool) -> Account | None:
    row = transaction.execute("SELECT id FROM account WHERE address = ?", (address,)).fetchone()
    return None if row is None else change_ban(transaction, row[0], is_banned=is_banned)
