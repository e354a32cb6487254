"""Find the accounts of a Madmail server of version 1.

    state directory
        credentials.db     passwords(key: address, value: bcrypt:$2a$… or sha256:…)
        imapsql.db         users ◀── mboxes ◀── msgs ──▶ flags
        messages/<key>     each message in a file; `extBodyKey` of msgs is its name

For: adopting.py, on the state directory or a copy of it.
Not for: version 2, which keeps mail in another form.

Source: the schema of go-imap-sql, which Madmail 1 has from maddy.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from mailnode.adoption.sources import (
    AdoptionError,
    FoundAccount,
    FoundMailbox,
    FoundMessage,
    use_network_lines,
)
from mailnode.store.mail_store import HIERARCHY_DELIMITER, INBOX

_DELIMITER = "."
_RECENT = "\\Recent"


def find_accounts(directory: Path) -> Sequence[FoundAccount]:
    """Find all accounts by address. Raises: AdoptionError."""
    for name in ("credentials.db", "imapsql.db"):
        if not (directory / name).is_file():
            raise AdoptionError(
                f"{directory} holds no {name}. Name the state directory of a Madmail server of version 1."
            )
    try:
        with closing(_open(directory / "credentials.db")) as connection:
            rows = connection.execute("SELECT key, value FROM passwords ORDER BY key").fetchall()
    except sqlite3.Error as error:
        raise AdoptionError(f"{directory / 'credentials.db'} cannot be read: {error}.") from error
    return [
        FoundAccount(
            str(address),
            str(value).removeprefix("bcrypt:"),
            None,
            partial(_open_mailboxes, directory, str(address)),
        )
        for address, value in rows
    ]


def _open_mailboxes(directory: Path, address: str) -> Iterator[FoundMailbox]:
    """Read an account's mailboxes; one that nobody has opened yet has none. Raises: AdoptionError."""
    try:
        with closing(_open(directory / "imapsql.db")) as connection:
            mailboxes = connection.execute(
                "SELECT mboxes.id, name, uidvalidity, uidnext, sub"
                " FROM mboxes JOIN users ON users.id = mboxes.uid"
                " WHERE lower(username) = lower(?) ORDER BY name <> 'INBOX', name",
                (address,),
            ).fetchall()
            for mailbox_id, name, uid_validity, uid_next, is_subscribed in mailboxes:
                plain = str(name)
                yield FoundMailbox(
                    INBOX if plain.upper() == INBOX else plain.replace(_DELIMITER, HIERARCHY_DELIMITER),
                    int(uid_validity),
                    int(uid_next),
                    bool(is_subscribed),
                    _list_messages(connection, directory / "messages", int(mailbox_id)),
                )
    except sqlite3.Error as error:
        raise AdoptionError(f"{directory / 'imapsql.db'} cannot be read: {error}") from error


def _list_messages(connection: sqlite3.Connection, files: Path, mailbox_id: int) -> list[FoundMessage]:
    flags: dict[int, set[str]] = {}
    for uid, flag in connection.execute("SELECT msgId, flag FROM flags WHERE mboxId = ?", (mailbox_id,)):
        flags.setdefault(uid, set()).add(flag)
    rows = connection.execute(
        "SELECT msgId, date, extBodyKey, compressAlgo FROM msgs WHERE mboxId = ? ORDER BY msgId",
        (mailbox_id,),
    )
    return [
        FoundMessage(
            int(uid),
            frozenset(flags.get(uid, set()) - {_RECENT}),
            int(received_at),
            partial(_read_message, files, str(key), str(algorithm or "")),
        )
        for uid, received_at, key, algorithm in rows
    ]


def _read_message(files: Path, key: str, algorithm: str) -> bytes:
    if algorithm:
        raise AdoptionError(f"a message is compressed by {algorithm}; set `compression off`, and move it")
    path = files / key
    if path.parent != files:
        raise AdoptionError("a message names a file elsewhere")
    try:
        return use_network_lines(path.read_bytes())
    except OSError as error:
        raise AdoptionError(f"the file of a message cannot be read: {error.strerror}") from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
