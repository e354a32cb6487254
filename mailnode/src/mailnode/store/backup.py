"""Copy a mail node's state while it works, and put such a copy back in place.

    state directory                  backup
    ├── pepper, keys, …      ──▶     ├── pepper, keys, …      small files
    └── mail                         ├── manifest.json
        ├── mail.sqlite3     ──▶     └── mail                 one moment of the database,
        └── bodies           ──▶                              and the files that it names

Files of bodies never change: where the backup is on the same file system they are linked, which takes no
room. A message that is let go while its file is being copied is left out of the backup.

For: `mailnode backup` and `mailnode restore`.
Not for: moving accounts to another node (export and import do that), or encrypting: whoever has a backup has
the accounts and what their messages show.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailnode.store.body_files import BodyFiles
from mailnode.store.checking import Report, Say, check_store
from mailnode.store.directory_lock import hold_directory
from mailnode.store.mail_store import BodyId, MailboxId, MailStoreError, OutgoingId
from mailnode.store.sqlite_bodies import free_messages, has_body
from mailnode.store.sqlite_queue import finish
from mailnode.store.sqlite_schema import MIGRATIONS, migrate, open_reader
from mailnode.store.sqlite_store import DATABASE_NAME
from mailnode.store.sqlite_writer import Transaction

MAIL_DIRECTORY = "mail"
MANIFEST = "manifest.json"
BEFORE_RESTORE = "before-restore"
MAX_SMALL_BYTES = 1 << 20
UID_GAP = 1 << 20
"""UIDs that are skipped at a restore: apps have seen some of them on messages that came after the backup."""


class BackupError(MailStoreError):
    """A backup cannot be taken or used; the text names the remedy."""


class Manifest(BaseModel):
    """What a backup is of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mail_domain: str = Field(max_length=300)
    created_at_seconds: int = Field(ge=0)
    accounts: int = Field(ge=0)
    messages: int = Field(ge=0)


def back_up(state: Path, target: Path, mail_domain: str, say: Say) -> Manifest:
    """Copy a node's state into a directory that does not exist yet; after this returns it is on disk.

    Raises:
        BackupError: `target` is there already or cannot be written, or the store is not whole.
        StoreStartError: There is no store, or it cannot be read.
    """
    if target.exists():
        raise BackupError(f"{target} exists already. Name a directory that does not.")
    draft = target.with_name(target.name + ".partial")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        (draft / MAIL_DIRECTORY).mkdir(mode=0o700, parents=True)
        draft.chmod(0o700)
        _copy_small_files(state, draft)
        _copy_store(state / MAIL_DIRECTORY, draft / MAIL_DIRECTORY, say)
        say("Checking the copy ...")
        report = check_store(draft / MAIL_DIRECTORY)
        if not report.is_whole:
            raise BackupError(
                f"The mail store is not whole: {report.faults[0].count} {report.faults[0].what}. "
                "Stop the mail node and run `mailnode check --repair`."
            )
        manifest = _describe(report, mail_domain)
        (draft / MANIFEST).touch(mode=0o600)
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
        _sync_tree(draft)
        draft.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise BackupError(
            f"The backup cannot be written to {target}: {error.strerror}. "
            "Free space, or name a directory that the user mailnode may write to."
        ) from error
    return manifest


def restore(source: Path, state: Path, *, is_replacing: bool, say: Say) -> Manifest:
    """Put a backup in place; with `is_replacing`, what is there now is kept beside it.

    UIDs and UIDVALIDITY are those of the backup, but new messages get UIDs that no app has seen.

    Raises:
        BackupError: It is no backup, or damaged, or there is a store already.
        StoreStartError: The daemon runs, or this version does not know the backup's form.
    """
    manifest = _read_manifest(source)
    present, former = state / MAIL_DIRECTORY, state / BEFORE_RESTORE
    if (present / DATABASE_NAME).exists() and not is_replacing:
        raise BackupError(
            f"{present} holds a mail store already. Use --replace to put the backup in its place."
        )
    if is_replacing and former.exists():
        raise BackupError(f"{former} is left from an earlier restore. Move it away first.")
    try:
        with hold_directory(present):
            draft = state / "restore.partial"
            shutil.rmtree(draft, ignore_errors=True)
            (draft / MAIL_DIRECTORY).mkdir(mode=0o700, parents=True)
            _copy_small_files(source, draft)
            _copy_store(source / MAIL_DIRECTORY, draft / MAIL_DIRECTORY, say)
            say("Checking what was copied ...")
            _bring_to_form(draft / MAIL_DIRECTORY / DATABASE_NAME)
            report = check_store(draft / MAIL_DIRECTORY)
            if not report.is_whole:
                raise BackupError(f"The backup is damaged: {report.faults[0].what}. Use another one.")
            _skip_uids(draft / MAIL_DIRECTORY / DATABASE_NAME)
            _sync_tree(draft)
            _put_in_place(draft, state, former)
    except OSError as error:
        raise BackupError(f"The backup cannot be put into {state}: {error.strerror}.") from error
    return manifest


def _copy_small_files(source: Path, target: Path) -> None:
    """Copy the keys and the like; directories and what is large is none of ours."""
    for path in sorted(source.iterdir()):
        is_ours = path.is_file() and not path.is_symlink() and path.name != MANIFEST
        if is_ours and path.stat().st_size <= MAX_SMALL_BYTES:
            shutil.copyfile(path, target / path.name)
            (target / path.name).chmod(0o600)


def _copy_store(source: Path, target: Path, say: Say) -> None:
    """Copy files, then one moment of the database, then the files that it names and that came meanwhile."""
    files, copies = BodyFiles(source), BodyFiles(target)
    copies.directory.mkdir(mode=0o700)
    say("Copying large messages ...")
    _copy_bodies(files, copies, files.measure())
    say("Copying the database ...")
    with closing(sqlite3.connect(target / DATABASE_NAME, isolation_level=None)) as copy:
        with closing(open_reader(source / DATABASE_NAME)) as reader:
            reader.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that it can be read where nothing can be written
        named = {BodyId(id_) for (id_,) in copy.execute("SELECT id FROM body WHERE rest IS NULL")}
        say("Copying what has come meanwhile ...")
        _copy_bodies(files, copies, named - copies.measure().keys())
        copied = copies.measure().keys()
        copies.remove_all(copied - named)
        with closing(open_reader(source / DATABASE_NAME)) as reader:
            gone = {body_id for body_id in named - copied if not has_body(reader, body_id)}
        _leave_out(copy, gone)
    (target / DATABASE_NAME).chmod(0o600)


def _leave_out(copy: sqlite3.Connection, bodies: Collection[BodyId]) -> None:
    """Let go the messages of these bodies, as their owners have done a moment later."""
    transaction = Transaction(copy.execute)
    transaction.execute("BEGIN")
    for body_id in bodies:
        for table, free in (("message", _free_message), ("outgoing", _free_outgoing)):
            rows = copy.execute(f"SELECT * FROM {table} WHERE body_id = ?", (body_id,)).fetchall()  # noqa: S608 - constants
            for row in rows:
                free(transaction, row)
    transaction.execute("COMMIT")


def _free_message(transaction: Transaction, row: Sequence[int]) -> None:
    free_messages(transaction, MailboxId(row[0]), row[1], row[1])


def _free_outgoing(transaction: Transaction, row: Sequence[int]) -> None:
    finish(transaction, OutgoingId(row[0]))


def _copy_bodies(files: BodyFiles, copies: BodyFiles, bodies: Iterable[BodyId]) -> None:
    for body_id in bodies:
        source, target = files.path(body_id), copies.path(body_id)
        try:
            os.link(source, target)
        except FileNotFoundError:
            continue  # its message has been let go just now
        except OSError:  # another file system, or one without links
            try:
                shutil.copyfile(source, target)
            except FileNotFoundError:
                target.unlink(missing_ok=True)


def _describe(report: Report, mail_domain: str) -> Manifest:
    return Manifest(
        mail_domain=mail_domain,
        created_at_seconds=int(time.time()),
        accounts=report.accounts,
        messages=report.messages,
    )


def _read_manifest(source: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((source / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BackupError(
            f"{source} is no backup of a mail node. Name a directory that `mailnode backup` has made."
        ) from error


def _bring_to_form(path: Path) -> None:
    """Bring the database of an older version to this one's form. Raises: StoreStartError."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS)


def _skip_uids(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE mailbox SET uid_next = uid_next + ?", (UID_GAP,))
        connection.commit()


def _put_in_place(draft: Path, state: Path, former: Path) -> None:
    """Swap directories; small files go last, each whole or not at all."""
    mail = state / MAIL_DIRECTORY
    if (mail / DATABASE_NAME).exists():
        former.mkdir(mode=0o700)
        mail.rename(former / MAIL_DIRECTORY)
        _copy_small_files(state, former)
        _sync_tree(former)
    else:
        shutil.rmtree(mail)
    (draft / MAIL_DIRECTORY).rename(mail)
    for path in sorted(draft.iterdir()):
        path.rename(state / path.name)
    draft.rmdir()
    _sync(state)


def _sync_tree(directory: Path) -> None:
    for path in [*directory.rglob("*"), directory]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
