"""Take a backup while the control plane works.

    database, as of one moment ──▶ checked ──▶ archive beside the target ──▶ target

For: the command `madfleet backup`, which the timer of the host runs as well.
Not for: the form of the file (archive.py).
"""

import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from controlplane.backup.archive import (
    DATABASE,
    MASTER_KEY,
    TLS_CERTIFICATE,
    TLS_KEY,
    Manifest,
    is_archive,
    write_archive,
)
from controlplane.backup.contents import Contents, check_contents
from controlplane.backup.placing import sync_directory
from controlplane.copying import copy_rows
from controlplane.database import open_sqlite, upgrade_database
from controlplane.errors import BackupError
from controlplane.locks import hold_lock
from controlplane.plane import Plane
from nodelink.channel.files import make_private_directory

STANDARD_OUTPUT = Path("-")
WORK = "backup.work"
_DATED = re.compile(r"controlplane-\d{8}T\d{6}Z\.madfleet-backup")


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken. `path` is `None` for one that went to standard output."""

    path: Path | None
    size_bytes: int
    contents: Contents


def take_backup(plane: Plane, target: Path, now_seconds: int) -> Taken:
    """Write a backup to a file, to a dated file in a directory, or to standard output (`-`).

    Raises:
        BackupError: It cannot be written, or is not what it should be.
    """
    directory = plane.settings.state_directory
    final = _choose_file(target, now_seconds)
    try:
        with hold_lock(directory / "backup.lock"), _make_work_directory(directory) as work:
            _copy_database(plane, work / DATABASE)
            shutil.copyfile(directory / MASTER_KEY, work / MASTER_KEY)
            contents = check_contents(work)
            files = {DATABASE: work / DATABASE, MASTER_KEY: work / MASTER_KEY}
            tls_pin = plane.read_tls_pin()
            if tls_pin is not None:
                files |= {TLS_CERTIFICATE: plane.settings.tls_certificate, TLS_KEY: plane.settings.tls_key}
            manifest = describe(plane, tls_pin, now_seconds)
            draft = work / "archive" if final is None else final.with_name(f".{final.name}.new")
            write_archive(draft, manifest, files)
            size_bytes = draft.stat().st_size
            if final is None:
                _print_file(draft)
            else:
                draft.replace(final)
                sync_directory(final.parent)
    except OSError as error:
        where = target if error.filename is None else error.filename
        raise BackupError(
            f"The backup cannot be written: {where}: {error.strerror}. Look at its owner and its disk."
        ) from error
    return Taken(final, size_bytes, contents)


def delete_older(directory: Path, kept: int) -> list[Path]:
    """Delete all dated backups of a directory but the newest `kept`; return those that are gone.

    Raises:
        BackupError: One cannot be deleted.
    """
    try:
        dated = sorted(path for path in directory.iterdir() if _DATED.fullmatch(path.name))
        older = dated[: max(0, len(dated) - kept)]
        for path in older:
            path.unlink()
    except OSError as error:
        raise BackupError(
            f"Older backups in {directory} cannot be deleted: {error.strerror}. Look at its owner."
        ) from error
    return older


def describe(plane: Plane, tls_pin: str | None, now_seconds: int) -> Manifest:
    """Say what a backup is of. There is no secret among the settings."""
    settings = plane.settings.model_dump(mode="json")
    return Manifest(
        software_version=version("controlplane"),
        created_at_seconds=now_seconds,
        fleet_name=plane.settings.fleet_name,
        public_url=plane.settings.public_url,
        tls_pin=tls_pin,
        settings={name: None if value is None else str(value) for name, value in settings.items()},
    )


def _choose_file(target: Path, now_seconds: int) -> Path | None:
    if target == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise BackupError("A backup is no text for a terminal. Name a file, or send it on with a pipe.")
        return None
    if target.is_dir():
        moment = datetime.fromtimestamp(now_seconds, UTC)
        return target / f"controlplane-{moment:%Y%m%dT%H%M%SZ}.madfleet-backup"
    try:
        if target.exists() and not is_archive(target):
            raise BackupError(f"{target} is there already and is no backup. Name another file.")
    except OSError as error:
        raise BackupError(f"{target} cannot be read: {error.strerror}. Name another file.") from error
    return target


def _copy_database(plane: Plane, path: Path) -> None:
    """Copy the database as it is at one moment, whoever writes meanwhile."""
    with plane.engine.connect() as connection:
        source = connection.connection.driver_connection
        if isinstance(source, sqlite3.Connection):
            with closing(sqlite3.connect(path)) as copy:
                source.backup(copy)
    if plane.engine.dialect.name == "postgresql":
        sink = open_sqlite(path)
        try:
            upgrade_database(sink)
            copy_rows(plane.engine, sink)
        finally:
            sink.dispose()
    path.chmod(0o600)


@contextmanager
def _make_work_directory(directory: Path) -> Iterator[Path]:
    """Lend an empty directory; what a backup left behind that was killed is gone first."""
    work = directory / WORK
    shutil.rmtree(work, ignore_errors=True)
    make_private_directory(work)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _print_file(path: Path) -> None:
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
