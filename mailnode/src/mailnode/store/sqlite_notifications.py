"""Notifications in the database.

For: sqlite_store.py, which has all of `SqliteNotifications`.
Not for: promises (notification_queue.py).

Which accounts have a token at all is known in memory, so that a delivery to all others costs nothing. An
account stays there until the next start, though its tokens have gone: what is asked then finds none.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from mailnode.store.mail_store import AccountId, Recipient
from mailnode.store.notification_queue import TOKEN_FRESH_SECONDS, Notification
from mailnode.store.sqlite_readers import Readers
from mailnode.store.sqlite_writer import Operation, Transaction

_COLUMNS = "id, account_id, token, serial, queued_at_seconds, attempt_count, next_attempt_at_seconds"

T = TypeVar("T")


class _Store(Protocol):
    """What `SqliteMailStore` lends."""

    _readers: Readers
    _wake: Callable[[], None] | None

    def _write(self, operation: Operation[T]) -> asyncio.Future[T]: ...


class SqliteNotifications:
    """The part of a `SqliteMailStore` that makes it a `NotificationQueue`."""

    _wake: Callable[[], None] | None = None

    def watch_notifications(self: _Store, wake: Callable[[], None]) -> Callable[[], None]:
        """Queue notifications and call `wake`, until the returned function is called."""
        self._wake = wake

        def end() -> None:
            self._wake = None

        return end

    async def list_notifications(self: _Store, limit: int, *, is_retry: bool) -> Sequence[Notification]:
        """List what has failed before, or what has not, in the order in which it is due."""
        return self._readers.read(lambda reader: list_notifications(reader, limit, is_retry=is_retry))

    async def count_notifications(self: _Store) -> int:
        """Count what waits."""
        return self._readers.read(count_notifications)

    async def postpone_notification(
        self: _Store, notification: Notification, next_attempt_at_seconds: int
    ) -> None:
        """Count an attempt that failed."""
        await self._write(lambda transaction: postpone(transaction, notification, next_attempt_at_seconds))

    async def finish_notification(self: _Store, notification: Notification) -> None:
        """Let a notification go, unless more mail has come."""
        await self._write(lambda transaction: finish(transaction, notification))

    async def remove_device_token(self: _Store, notification: Notification) -> None:
        """Forget a token with what waits for it."""
        await self._write(lambda transaction: remove_token(transaction, notification))


def find_token_holders(reader: sqlite3.Connection) -> set[AccountId]:
    """Find the accounts that have a token."""
    return {row[0] for row in reader.execute("SELECT DISTINCT account_id FROM device_token")}


def queue_notifications(
    transaction: Transaction,
    recipients: Collection[Recipient],
    refused: Collection[AccountId],
    now_seconds: int,
) -> None:
    """Queue a notification for each fresh token of those who got a message and did not send it."""
    for recipient in recipients:
        if recipient.is_sender or recipient.account_id in refused:
            continue
        queued = transaction.execute(
            "INSERT INTO notification"
            " (account_id, token, queued_at_seconds, newest_at_seconds, next_attempt_at_seconds)"
            " SELECT account_id, token, ?1, ?1, ?1 FROM device_token"
            " WHERE account_id = ?2 AND added_at_seconds >= ?3"
            " ON CONFLICT (account_id, token) DO UPDATE SET serial = serial + 1, newest_at_seconds = ?1",
            (now_seconds, recipient.account_id, now_seconds - TOKEN_FRESH_SECONDS),
        )
        transaction.has_notifications |= queued.rowcount > 0


def list_notifications(reader: sqlite3.Connection, limit: int, *, is_retry: bool) -> Sequence[Notification]:
    """List what has failed before, or what has not, in the order in which it is due."""
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM notification WHERE (attempt_count > 0) = ?"  # noqa: S608 - constant
        " ORDER BY next_attempt_at_seconds, id LIMIT ?",
        (is_retry, limit),
    ).fetchall()
    return [Notification(*row) for row in rows]


def count_notifications(reader: sqlite3.Connection) -> int:
    """Count what waits."""
    (count,) = reader.execute("SELECT count(*) FROM notification").fetchone()
    return int(count)


def postpone(transaction: Transaction, notification: Notification, next_attempt_at_seconds: int) -> None:
    """Count an attempt that failed."""
    transaction.execute(
        "UPDATE notification SET attempt_count = attempt_count + 1, next_attempt_at_seconds = ? WHERE id = ?",
        (next_attempt_at_seconds, notification.id),
    )


def finish(transaction: Transaction, notification: Notification) -> None:
    """Let a notification go; if more mail has come since it was listed, it begins anew instead."""
    gone = transaction.execute(
        "DELETE FROM notification WHERE id = ? AND serial = ?", (notification.id, notification.serial)
    )
    if not gone.rowcount:
        transaction.execute(
            "UPDATE notification SET attempt_count = 0, queued_at_seconds = newest_at_seconds,"
            " next_attempt_at_seconds = newest_at_seconds WHERE id = ?",
            (notification.id,),
        )


def remove_token(transaction: Transaction, notification: Notification) -> None:
    """Forget a token with what waits for it."""
    row = (notification.account_id, notification.token)
    transaction.execute("DELETE FROM notification WHERE account_id = ? AND token = ?", row)
    transaction.execute("DELETE FROM device_token WHERE account_id = ? AND token = ?", row)
