"""The database of a mail node: how it is opened, its tables, and how older ones become newer ones.

For: sqlite_store.py.
Not for: statements on those tables; they stand with what they are for (sqlite_accounts, _mail, ...).

Who refers to whom:

    account ◀── mailbox ◀── message ──▶ body          small bodies: header and rest in the row
       ▲                                 ▲ └───────── large bodies: a file named by the id (body_files.py)
       └── subscription, metadata,       ├── body_share: how many messages have it, where that is not one
           device_token                  └── outgoing: waits for another node; counts as a message there

    blocked: addresses that nobody may use, whether or not there is an account
    received: what other nodes have handed over lately, so that a repetition is told
    notification: device tokens that wait to be handed to the notification proxy

A body's row holds the header before the rest, so that SQLite reads the header without the pages of the rest.
Most bodies belong to one message all their life: counting only those that do not saves a row per message.
There is no foreign key from message to body: it would need an index to check each body that goes.
"""

import sqlite3
from pathlib import Path

from mailnode.store.mail_store import MailStoreError

BUSY_TIMEOUT_SECONDS = 5.0
WRITER_CACHE_KIB = 16_384
READER_CACHE_KIB = 4_096
MAX_IDLE_WAL_BYTES = 64 << 20

MIGRATIONS: tuple[str, ...] = (
    # 1: the first form
    """
    CREATE TABLE account (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        address TEXT NOT NULL CONSTRAINT account_address_unique UNIQUE,
        password_hash TEXT NOT NULL,
        quota_bytes INTEGER,
        is_banned INTEGER NOT NULL DEFAULT 0,
        created_at_seconds INTEGER NOT NULL,
        last_login_at_seconds INTEGER
    ) STRICT;
    CREATE TABLE usage (
        account_id INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
        size_bytes INTEGER NOT NULL DEFAULT 0,
        message_count INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        name TEXT NOT NULL,
        uid_validity INTEGER NOT NULL,
        uid_next INTEGER NOT NULL DEFAULT 1,
        CONSTRAINT mailbox_name_unique UNIQUE (account_id, name)
    ) STRICT;
    CREATE TABLE message (
        mailbox_id INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
        uid INTEGER NOT NULL,
        flags TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        received_at_seconds INTEGER NOT NULL,
        body_id INTEGER NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE body (
        id INTEGER PRIMARY KEY,
        header BLOB,
        rest BLOB
    ) STRICT;
    CREATE TABLE body_share (
        body_id INTEGER PRIMARY KEY REFERENCES body ON DELETE CASCADE,
        message_count INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE subscription (
        account_id INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE metadata (
        account_id INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        mailbox_name TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (account_id, mailbox_name, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE device_token (
        account_id INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        token TEXT NOT NULL,
        added_at_seconds INTEGER NOT NULL,
        PRIMARY KEY (account_id, token)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE last_uid_validity (value INTEGER NOT NULL) STRICT;
    INSERT INTO last_uid_validity VALUES (0);
    """,
    # 2: mail to and from other nodes
    """
    CREATE TABLE outgoing (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        delivery_id TEXT NOT NULL,
        destination TEXT NOT NULL,
        sender TEXT NOT NULL,
        recipients TEXT NOT NULL,
        body_id INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        queued_at_seconds INTEGER NOT NULL,
        attempt_count INTEGER NOT NULL DEFAULT 0,
        next_attempt_at_seconds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX outgoing_by_turn ON outgoing (destination, next_attempt_at_seconds, id);
    CREATE TABLE received (
        delivery_id TEXT PRIMARY KEY,
        received_at_seconds INTEGER NOT NULL,
        refused TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX received_by_age ON received (received_at_seconds);
    """,
    # 3: addresses that nobody may use
    """
    CREATE TABLE blocked (
        address TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        blocked_at_seconds INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    # 4: apps that are to be woken
    """
    CREATE TABLE notification (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        token TEXT NOT NULL,
        serial INTEGER NOT NULL DEFAULT 0,
        queued_at_seconds INTEGER NOT NULL,
        newest_at_seconds INTEGER NOT NULL,
        attempt_count INTEGER NOT NULL DEFAULT 0,
        next_attempt_at_seconds INTEGER NOT NULL,
        CONSTRAINT notification_token_unique UNIQUE (account_id, token)
    ) STRICT;
    CREATE INDEX notification_by_turn ON notification (next_attempt_at_seconds, id);
    """,
    # 5: what may make room; a mailbox that is full of other mail is not gone through each time
    r"""
    CREATE INDEX message_read ON message (mailbox_id, received_at_seconds)
        WHERE instr(' ' || flags || ' ', ' \Seen ');
    """,
)


class StoreStartError(MailStoreError):
    """The store cannot be opened; the text names the remedy for the operator."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes; make or migrate the database where needed.

    Raises:
        StoreStartError: The file is no database, was written by a newer version, or cannot be written.
    """
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_IDLE_WAL_BYTES}")
        migrate(connection, MIGRATIONS)
    except sqlite3.Error as error:
        connection.close()
        raise StoreStartError(
            f"The mail store {path} cannot be opened: {error}. "
            "Free space or mend its permissions, or restore it from a backup, and start again."
        ) from error
    except StoreStartError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that reads only. It must not be used by two threads at once."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...]) -> None:
    """Bring a database to the newest form; each step is done as a whole or not at all.

    Raises:
        StoreStartError: The database is newer than this program.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StoreStartError(
            f"The mail store has form {version}, this program knows {len(migrations)}. "
            "Install the version that wrote it, or a newer one."
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
