"""Judge what is in a backup: whether a control plane could work with it.

For: both taking and restoring, on a directory with the members of an archive.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import func, select

from controlplane.backup.archive import DATABASE, MASTER_KEY
from controlplane.database import open_sessions, open_sqlite, upgrade_database
from controlplane.errors import BackupError, BadInstallationError
from controlplane.nodes.models import Node
from controlplane.nodes.turn_secrets import open_secrets, prepare_first_secret
from controlplane.signing.keyring import read_key_rows, read_signing_keys
from controlplane.vault import KEY_BYTES, Vault


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup is good for."""

    nodes: int
    key_number: int


def check_contents(directory: Path) -> Contents:
    """See that the database is whole, that this version knows it, and that the master key opens its secrets.

    The database is brought to this version's form.

    Raises:
        BackupError: One of that does not hold.
    """
    key = (directory / MASTER_KEY).read_bytes()
    if len(key) != KEY_BYTES:
        raise BackupError("The backup is damaged: its master key is none. Use another one.")
    vault = Vault(key)
    engine = open_sqlite(directory / DATABASE)
    try:
        _check_integrity(directory / DATABASE)
        upgrade_database(engine)
        with open_sessions(engine)() as session:
            read_signing_keys(session, vault)
            prepare_first_secret(session, vault, 0)
            open_secrets(session, vault)
            nodes = session.exec(select(func.count()).select_from(Node)).one()
            return Contents(nodes, read_key_rows(session).present.number)
    except BadInstallationError as error:
        raise BackupError(f"The backup cannot be used. {error}") from error
    finally:
        engine.dispose()


def _check_integrity(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as database:
            ((answer, *_), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        raise BackupError("The backup is damaged: its database is none. Use another one.") from error
    if answer != "ok":
        raise BackupError("The backup is damaged: its database is not whole. Use another one.")
