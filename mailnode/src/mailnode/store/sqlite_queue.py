"""Statements on what goes to other nodes and what has come from them.

For: sqlite_store.py. The functions that take a `Transaction` run in the writer's thread; the others read.
Not for: when something is tried again (federation).
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from mailnode.store import sqlite_mail
from mailnode.store.mail_store import AccountId, Envelope, Outgoing, OutgoingId, Recipient, Usage
from mailnode.store.sqlite_bodies import StoredBody, give_up_body, let_go_body
from mailnode.store.sqlite_writer import Transaction

REMEMBERED_SECONDS = 3 * 86_400
"""Longer than anybody tries again, so that no repetition is taken for a new message."""


def deliver_and_queue(
    transaction: Transaction,
    recipients: Collection[Recipient],
    envelopes: Sequence[Envelope],
    body: StoredBody,
    now_seconds: int,
) -> frozenset[AccountId]:
    """Deliver a message and queue it for other nodes; returns the recipients here that did not get it."""
    for envelope in envelopes:
        transaction.execute(
            "INSERT INTO outgoing (delivery_id, destination, sender, recipients, body_id, size_bytes,"
            " queued_at_seconds, next_attempt_at_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                envelope.delivery_id,
                envelope.destination,
                envelope.sender,
                "\n".join(envelope.recipients),
                body.id,
                body.size_bytes,
                now_seconds,
                now_seconds,
            ),
        )
    return sqlite_mail.deliver(transaction, recipients, body, now_seconds, len(envelopes))


def deliver_once(
    transaction: Transaction,
    delivery_id: str,
    recipients: Collection[Recipient],
    body: StoredBody,
    now_seconds: int,
) -> frozenset[AccountId]:
    """Deliver a message, unless that was done before; returns the recipients that did not get it then."""
    transaction.execute(
        "DELETE FROM received WHERE received_at_seconds < ?", (now_seconds - REMEMBERED_SECONDS,)
    )
    row = transaction.execute("SELECT refused FROM received WHERE delivery_id = ?", (delivery_id,)).fetchone()
    if row is not None:
        give_up_body(transaction, body)
        return frozenset(AccountId(int(word)) for word in row[0].split())
    refused = sqlite_mail.deliver(transaction, recipients, body, now_seconds)
    if len(refused) < len(recipients):
        words = " ".join(str(account_id) for account_id in sorted(refused))
        transaction.execute("INSERT INTO received VALUES (?, ?, ?)", (delivery_id, now_seconds, words))
    return refused


def count_outgoing(reader: sqlite3.Connection) -> Mapping[str, int]:
    """Count the messages that wait, by domain."""
    return dict(
        reader.execute("SELECT destination, count(*) FROM outgoing GROUP BY destination ORDER BY destination")
    )


def list_outgoing(reader: sqlite3.Connection, destination: str, limit: int) -> Sequence[Outgoing]:
    """List what waits for a domain, in the order in which it is tried."""
    rows = reader.execute(
        "SELECT id, delivery_id, destination, sender, recipients, body_id, size_bytes, queued_at_seconds,"
        " attempt_count, next_attempt_at_seconds FROM outgoing WHERE destination = ?"
        " ORDER BY next_attempt_at_seconds, id LIMIT ?",
        (destination, limit),
    ).fetchall()
    return [
        Outgoing(row[0], Envelope(row[1], row[2], row[3], tuple(row[4].split("\n"))), *row[5:])
        for row in rows
    ]


def postpone(
    transaction: Transaction,
    outgoing_id: OutgoingId,
    next_attempt_at_seconds: int,
    recipients: Sequence[str] = (),
) -> None:
    """Count an attempt that failed; `recipients` are those that are left, if not all are."""
    if recipients:
        transaction.execute(
            "UPDATE outgoing SET recipients = ? WHERE id = ?", ("\n".join(recipients), outgoing_id)
        )
    transaction.execute(
        "UPDATE outgoing SET attempt_count = attempt_count + 1, next_attempt_at_seconds = ? WHERE id = ?",
        (next_attempt_at_seconds, outgoing_id),
    )


def finish(transaction: Transaction, outgoing_id: OutgoingId) -> None:
    """Let a message go, and its body if nobody else has that."""
    row = transaction.execute(
        "DELETE FROM outgoing WHERE id = ? RETURNING body_id", (outgoing_id,)
    ).fetchone()
    if row is not None:
        let_go_body(transaction, row[0])


def read_usage(reader: sqlite3.Connection) -> Usage:
    """Tell how much waits."""
    row = reader.execute("SELECT coalesce(sum(size_bytes), 0), count(*) FROM outgoing").fetchone()
    return Usage(*row)
