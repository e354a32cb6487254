"""Stores of other servers, as those leave them on their disk."""

import gzip
import os
import sqlite3
from contextlib import closing
from pathlib import Path

PASSWORD = "Hello world!"
SHA512_CRYPT = (
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
)
"""Of the password; source: the specification of SHA-crypt."""
DAY = 86_400
NOW = 1_700_000_000


def write_message(number: int, fill_bytes: int = 0) -> bytes:
    """Write a message as servers keep it: lines end with LF."""
    return f"Subject: ...\nX-Number: {number}\n\n".encode() + b"y" * fill_bytes + b"\n"


def make_relay(directory: Path) -> Path:
    """Make what a chatmail relay has of two people who logged in, and one who never did."""
    alice = make_maildir(directory / "alice123@example.org", 1_600_000_001, 8)
    (alice / "password").write_text("{SHA512-CRYPT}" + SHA512_CRYPT)
    os.utime(alice / "password", (NOW, NOW))
    add_file(alice / "cur", "1700000001.M1P2.relay,S=30,W=33:2,S", write_message(1))
    add_file(alice / "cur", "1700000002.M2P2.relay,S=30,W=33:2,RSa", gzip.compress(write_message(2, 300_000)))
    add_file(alice / "new", "1700000003.M3P2.relay", write_message(3))
    (alice / "dovecot-keywords").write_text("0 $Forwarded\n")
    (alice / "dovecot-uidlist").write_text(
        "3 V1600000001 N8 G0123456789abcdef\n"
        "4 :1700000001.M1P2.relay,S=30,W=33:2,\n"
        "7 W33 S30 :1700000002.M2P2.relay,S=30,W=33\n"
    )
    (alice / "subscriptions").write_text("DeltaChat\n")
    folder = make_maildir(alice / ".DeltaChat", 1_600_000_002, 2)
    add_file(folder / "cur", "1700000004.M4P2.relay:2,FT", write_message(4))
    bob = make_maildir(directory / "bob12345@example.org", 1_600_000_003, 1)
    (bob / "password").write_text(SHA512_CRYPT)
    (bob / "dovecot-uidlist").unlink()
    make_maildir(directory / "nobody99@example.org", 1, 1)
    (directory / "lost+found").mkdir()
    return directory


def make_maildir(path: Path, uid_validity: int, uid_next: int) -> Path:
    """Make an empty Maildir."""
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    (path / "dovecot-uidlist").write_text(f"3 V{uid_validity} N{uid_next} G00\n")
    return path


def add_file(directory: Path, name: str, content: bytes) -> None:
    """Add a message whose time of arrival is in its name."""
    (directory / name).write_bytes(content)
    arrived = int(name.partition(".")[0])
    os.utime(directory / name, (arrived, arrived))


def make_madmail(directory: Path) -> Path:
    """Make what Madmail 1 has of one person with two messages, and of one with a hash that nobody knows."""
    (directory / "messages").mkdir(parents=True)
    with closing(sqlite3.connect(directory / "credentials.db")) as connection, connection:
        connection.execute("CREATE TABLE passwords (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.executemany(
            "INSERT INTO passwords VALUES (?, ?)",
            [
                ("carol123@example.org", SHA512_CRYPT),
                (
                    "dave1234@example.org",
                    "bcrypt:$2b$04$abcdefghijklmnopqrstuuJ4VAL3dhsu0G/XE6hN.8S7sMzBNLr1G",
                ),
                ("erin1234@example.org", "argon2:3:1024:2:AAAA:BBBB"),
            ],
        )
    with closing(sqlite3.connect(directory / "imapsql.db")) as connection, connection:
        connection.executescript(
            """
            CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, msgsizelimit INTEGER,
                inboxId BIGINT);
            CREATE TABLE mboxes (id INTEGER PRIMARY KEY, uid INTEGER, name TEXT, sub INTEGER, mark INTEGER,
                msgsizelimit INTEGER, uidnext INTEGER, uidvalidity BIGINT, specialuse TEXT,
                msgsCount INTEGER);
            CREATE TABLE msgs (mboxId BIGINT, msgId BIGINT, date BIGINT, bodyLen INTEGER, mark INTEGER,
                bodyStructure BLOB, cachedHeader BLOB, extBodyKey TEXT, seen INTEGER, compressAlgo TEXT,
                recent INTEGER);
            CREATE TABLE flags (mboxId BIGINT, msgId BIGINT, flag TEXT);
            INSERT INTO users VALUES (1, 'carol123@example.org', NULL, 1);
            INSERT INTO mboxes VALUES (1, 1, 'INBOX', 1, 0, NULL, 12, 1600000009, NULL, 2);
            INSERT INTO mboxes VALUES (2, 1, 'Archive.2024', 0, 0, NULL, 1, 1600000010, NULL, 0);
            INSERT INTO msgs VALUES (1, 5, 1700000005, 40, 0, NULL, NULL, 'aaaa', 1, '', 0);
            INSERT INTO msgs VALUES (1, 11, 1700000006, 40, 0, NULL, NULL, 'bbbb', 0, NULL, 1);
            INSERT INTO flags VALUES (1, 5, '\\Seen'), (1, 11, '\\Recent');
            """
        )
    (directory / "messages/aaaa").write_bytes(write_message(5).replace(b"\n", b"\r\n"))
    (directory / "messages/bbbb").write_bytes(write_message(11))
    return directory
