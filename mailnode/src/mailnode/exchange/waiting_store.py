"""The store of an exchanger: a mail store without accounts, in which everything waits for another server.

For: intake.py, pickup.py and forwarding.py; `MailStore` has most of what they need.
Not for: rules.

A message that is kept and one that is forwarded are the same row, so that a domain may move from one list of
the settings to the other while its mail waits.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mailnode.store import sqlite_queue
from mailnode.store.mail_store import OutgoingId, Usage
from mailnode.store.sqlite_store import SqliteMailStore
from mailnode.store.sqlite_writer import Transaction

EXPIRED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class WaitingId:
    """What names a message to its server: told with it, and said again to acknowledge it.

    The number finds it, the secret proves that this exchanger has told it, also after a restored backup.
    """

    number: OutgoingId
    secret: str

    def __str__(self) -> str:
        """Write it as `WaitingId.read` reads it."""
        return f"{self.number}-{self.secret}"

    @classmethod
    def read(cls, text: str) -> "WaitingId | None":
        """Read one; `None` for what is none."""
        number, _, secret = text.partition("-")
        if not (number.isascii() and number.isdecimal() and len(number) <= 18 and secret):
            return None
        return cls(OutgoingId(int(number)), secret)


class WaitingStore(SqliteMailStore):
    """A `MailStore` that knows the messages of a domain as a whole."""

    async def read_usages(self) -> Mapping[str, Usage]:
        """Tell how much waits for each domain. Raises: as `MailStore`, here and below."""
        return await self._readers.read_in_thread(_read_usages)

    async def finish_waiting(
        self, domains: Collection[str], ids: Collection[WaitingId]
    ) -> Sequence[tuple[str, int]]:
        """Let messages of these domains go, and no others; returns the domain and size of each that went."""
        return await self._write(lambda transaction: _finish(transaction, domains, ids))

    async def expire(self, domain: str, before_seconds: int) -> Sequence[int]:
        """Let go what came for a domain before a moment, some of it; returns the sizes, none at the end."""
        return await self._write(lambda transaction: _expire(transaction, domain, before_seconds))


def _read_usages(reader: sqlite3.Connection) -> Mapping[str, Usage]:
    rows = reader.execute(
        "SELECT destination, sum(size_bytes), count(*) FROM outgoing GROUP BY destination"
    ).fetchall()
    return {domain: Usage(size_bytes, count) for domain, size_bytes, count in rows}


def _finish(
    transaction: Transaction, domains: Collection[str], ids: Collection[WaitingId]
) -> list[tuple[str, int]]:
    gone = []
    for each in ids:
        row = transaction.execute(
            "SELECT destination, size_bytes FROM outgoing WHERE id = ? AND delivery_id = ?",
            (each.number, each.secret),
        ).fetchone()
        if row is not None and row[0] in domains:
            sqlite_queue.finish(transaction, each.number)
            gone.append((str(row[0]), int(row[1])))
    return gone


def _expire(transaction: Transaction, domain: str, before_seconds: int) -> list[int]:
    rows = transaction.execute(
        "SELECT id, size_bytes FROM outgoing WHERE destination = ? AND queued_at_seconds < ? LIMIT ?",
        (domain, before_seconds, EXPIRED_AT_ONCE),
    ).fetchall()
    for id_, _ in rows:
        sqlite_queue.finish(transaction, id_)
    return [int(size_bytes) for _, size_bytes in rows]
