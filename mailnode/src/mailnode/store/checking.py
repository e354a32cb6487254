"""Look through a whole store: is everything there that its rows promise, and nothing twice?

    database whole? ──▶ rows refer to rows? ──▶ files of large bodies ──▶ rules on rows (sqlite_faults.py)

For: `mailnode check`, and backups, which are checked when they are made.
Not for: the daemon, which never needs it: a crash leaves at most a file too many.

Without `repair` it reads only, as of one moment, and may run beside the daemon. With it, the directory must
be its own. All that it mends is one transaction; what it removes could not be read any more in any case.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from mailnode.store.body_files import BodyFile, BodyFiles
from mailnode.store.directory_lock import hold_directory
from mailnode.store.mail_store import BodyId
from mailnode.store.sqlite_bodies import has_body
from mailnode.store.sqlite_faults import (
    BODY_RULES,
    COUNT_RULES,
    REFERENCE_RULES,
    UNREADABLE,
    USES,
    Rule,
    count_found,
    mend,
)
from mailnode.store.sqlite_schema import MIGRATIONS, StoreStartError, open_reader
from mailnode.store.sqlite_store import DATABASE_NAME

YOUNG_FILE_SECONDS = 60.0
"""A file is written before the commit that needs it, so a young one without a row is no fault."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """So many things are wrong in one way; `loses` when what is affected cannot be saved."""

    what: str
    count: int
    loses: bool = False
    is_mended: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found, and how much there is."""

    faults: tuple[Fault, ...]
    accounts: int
    messages: int
    files: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong now."""
        return all(fault.is_mended for fault in self.faults)


def check_store(directory: Path, *, repair: bool = False, say: Say = lambda _: None) -> Report:
    """Check the store in a directory; `say` is told what is looked at.

    Raises:
        StoreStartError: There is no store, its form is another one, or, with `repair`, it is in use.
    """
    path = directory / DATABASE_NAME
    if not path.is_file():
        raise StoreStartError(f"There is no mail store in {directory}. Name the directory that holds one.")
    with hold_directory(directory) if repair else nullcontext():
        mode = "rw" if repair else "ro"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None
        )
        with closing(connection):
            try:
                connection.execute("PRAGMA foreign_keys = ON")
                return _Check(connection, BodyFiles(directory), is_repair=repair, say=say).run()
            except sqlite3.Error as error:
                raise StoreStartError(
                    f"The mail store {path} cannot be read: {error}. Restore it from a backup."
                ) from error


@dataclass(slots=True)
class _Check:
    """One check of one store."""

    connection: sqlite3.Connection
    files: BodyFiles
    is_repair: bool
    say: Say
    faults: list[Fault] = field(default_factory=list)

    def run(self) -> Report:
        """Check, and mend if that is wanted. Raises: sqlite3.Error, StoreStartError."""
        execute = self.connection.execute
        _refuse_other_form(self.connection)
        self.say("Reading the database ...")
        self._check_pages()
        execute("BEGIN IMMEDIATE" if self.is_repair else "BEGIN")
        self._apply(REFERENCE_RULES)
        self._count_uses()
        self.say("Comparing large messages with their files ...")
        useless = self._check_files()
        self.say("Counting ...")
        self._apply(BODY_RULES)
        self._count_uses()
        self._apply(COUNT_RULES)
        accounts, messages, files = (
            int(execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608 - constants
            for what in ("account", "message", "body WHERE rest IS NULL")
        )
        execute("COMMIT")
        if self.is_repair:
            self.files.remove_all(useless)
        return Report(tuple(self.faults), accounts, messages, files)

    def _check_pages(self) -> None:
        problem = _find_damage(self.connection)
        if problem is None:
            return
        if self.is_repair:
            self.connection.execute("REINDEX")
        is_mended = self.is_repair and _find_damage(self.connection) is None
        self.faults.append(Fault(f"damage of the database: {problem}", 1, not is_mended, is_mended))

    def _count_uses(self) -> None:
        for statement in USES:
            self.connection.execute(statement)

    def _check_files(self) -> list[BodyId]:
        """Note bodies whose file is not right; return the files that are of no use."""
        execute = self.connection.execute
        execute(UNREADABLE)
        promised = {
            BodyId(body_id): size_bytes
            for body_id, size_bytes in execute(
                "SELECT id, least_bytes FROM body JOIN temp.body_use ON body_id = id WHERE rest IS NULL"
            )
        }
        found = self.files.measure()
        unreadable = {id_ for id_, size_bytes in promised.items() if _size(found, id_) != size_bytes}
        if unreadable and not self.is_repair:
            unreadable -= self._find_gone(unreadable)
        self.connection.executemany("INSERT INTO temp.unreadable VALUES (?)", [(id_,) for id_ in unreadable])
        before_seconds = time.time() - (0 if self.is_repair else YOUNG_FILE_SECONDS)
        orphans = [
            id_
            for id_, file in found.items()
            if id_ not in promised and file.written_at_seconds <= before_seconds
        ]
        if orphans:
            self.faults.append(Fault("files belong to no message", len(orphans), is_mended=self.is_repair))
        return [*orphans, *(unreadable & found.keys())]

    def _find_gone(self, bodies: Collection[BodyId]) -> set[BodyId]:
        """Find those that the daemon has let go since this check's moment."""
        (_, _, path), *_ = self.connection.execute("PRAGMA database_list").fetchall()
        with closing(open_reader(Path(path))) as now:
            return {body_id for body_id in bodies if not has_body(now, body_id)}

    def _apply(self, rules: Sequence[Rule]) -> None:
        for rule in rules:
            count = count_found(self.connection, rule)
            if count:
                if self.is_repair:
                    mend(self.connection, rule)
                self.faults.append(Fault(rule.what, count, rule.loses, self.is_repair))


def _size(found: Mapping[BodyId, BodyFile], body_id: BodyId) -> int | None:
    return found[body_id].size_bytes if body_id in found else None


def _find_damage(connection: sqlite3.Connection) -> str | None:
    """Find the first thing that is wrong with pages and indexes; `None` when nothing is."""
    ((answer,), *_) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    return None if answer == "ok" else str(answer)


def _refuse_other_form(connection: sqlite3.Connection) -> None:
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    if form != len(MIGRATIONS):
        raise StoreStartError(
            f"The mail store has form {form}, and this program checks {len(MIGRATIONS)}. "
            "An older store comes to its form when the mail node starts; a newer one needs its own version."
        )
