"""Put a backup in place of what a host has.

    archive ──▶ restore.new ──judged, mended──▶ restore.ready ──▶ in place (placing.py)

For: the command `madfleet restore`, while the control plane does not run.
Not for: the form of the file (archive.py), nor for nodes: those find out by themselves, or are enrolled anew.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlmodel import col, update

from controlplane.backup.archive import DATABASE, MANIFEST, Manifest, read_archive
from controlplane.backup.contents import Contents, check_contents
from controlplane.backup.placing import BEFORE, READY, TLS, complete_restore, sync_directory
from controlplane.database import open_sessions, open_sqlite
from controlplane.errors import BackupError
from controlplane.locks import IN_USE, hold_lock
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import JoinTicket, Node
from nodelink.channel.files import make_private_directory
from nodelink.contract.states import MAX_REVISION

STANDARD_INPUT = Path("-")
DRAFT = "restore.new"
REVISION_LEAP = 1 << 20
"""More than any fleet changes between two backups: so every node takes what comes for newer."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    manifest: Manifest
    contents: Contents


def restore_backup(directory: Path, source: Path, now_seconds: int, *, replacing: bool) -> Restored:
    """Put a backup into a state directory; `-` is standard input. Until it was judged, nothing changes there.

    Raises:
        BackupError: It cannot be used; or the control plane runs; or the directory holds one already, and
            that is
            not to be replaced.
    """
    try:
        make_private_directory(directory)
        with _hold_alone(directory), _open_source(source) as archive:
            complete_restore(directory)
            if (directory / DATABASE).exists() and not replacing:
                raise BackupError(
                    f"{directory} holds a control plane already. With --force it is replaced, and kept in "
                    f"{directory / BEFORE}."
                )
            draft = directory / DRAFT
            shutil.rmtree(draft, ignore_errors=True)
            make_private_directory(draft)
            manifest = read_archive(archive, draft)
            contents = check_contents(draft)
            _mend(draft / DATABASE, now_seconds)
            (draft / MANIFEST).unlink()
            sync_directory(draft)
            for former in (BEFORE, TLS):
                shutil.rmtree(directory / former, ignore_errors=True)
            draft.replace(directory / READY)
            sync_directory(directory)
            complete_restore(directory)
    except OSError as error:
        raise BackupError(
            f"The backup cannot be restored: {error.filename or directory}: {error.strerror}. Look "
            "at its owner and its disk."
        ) from error
    return Restored(manifest, contents)


@contextmanager
def _hold_alone(directory: Path) -> Iterator[None]:
    try:
        with hold_lock(directory / IN_USE, waiting=False):
            yield
    except BlockingIOError as error:
        raise BackupError(
            "The control plane is running. Stop it first: systemctl stop controlplane."
        ) from error


@contextmanager
def _open_source(source: Path) -> Iterator[BinaryIO]:
    """Open a file; what comes through a pipe is kept meanwhile, because it is read twice."""
    if source != STANDARD_INPUT:
        with source.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy


def _mend(database: Path, now_seconds: int) -> None:
    """Change what would be wrong in a database from earlier times.

    Nodes have applied revisions that it has not given out, perhaps others with the same number: all get a
    much higher one. A join token that was redeemed since must not be good again: all are withdrawn.
    """
    engine = open_sqlite(database)
    try:
        with open_sessions(engine).begin() as session:
            begin_change(session)
            session.exec(
                update(Node)
                .where(col(Node.revision) < MAX_REVISION - REVISION_LEAP)
                .values(revision=col(Node.revision) + REVISION_LEAP)
            )
            session.exec(
                update(JoinTicket)
                .where(col(JoinTicket.used_at_seconds).is_(None))
                .values(used_at_seconds=now_seconds)
            )
    finally:
        engine.dispose()
