"""The one thread that writes: it commits whatever has queued up as one transaction (group commit).

For: sqlite_store.py, which hands in operations and awaits their results.
Not for: what the operations do.

    loop:    submit ── submit ── submit ─▶ end of the turn       finish: caches, watchers, results
                 └────────┴────────┴───────────┴──▶ queue            ▲  (one call per batch)
    thread:                                           └─▶ BEGIN op op op COMMIT

What comes within one turn of the loop is handed over at its end: each hand-over wakes the thread, which then
wants the interpreter's lock, and so costs two changes of threads.

An operation checks before it changes: one that raises a `MailStoreError` has changed nothing, and does not
touch the others. So none needs a savepoint (measured: 3 µs each, where a delivery takes 36). Should one fail
otherwise, the whole batch is rolled back and each operation gets a transaction of its own; hence an
operation may run twice, and must keep nothing outside the transaction.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog

from mailnode.store.mail_store import (
    Account,
    BodyId,
    MailboxChange,
    MailboxId,
    MailStoreError,
    StoreUnavailableError,
)

MAX_PENDING_BYTES = 128 << 20
OPERATION_BYTES = 512
"""What an operation counts for beside its body."""

SHRINK_EVERY_COMMITS = 256
MIN_FREE_PAGES = 2_048
SHRINK_PAGES = 512

log: structlog.stdlib.BoundLogger = structlog.get_logger()
T = TypeVar("T")


@dataclass(slots=True)
class Transaction:
    """What one transaction does beside its rows. All of it happens after the commit, in this order."""

    execute: Callable[..., sqlite3.Cursor]
    new_accounts: list[Account] = field(default_factory=list)
    stale_addresses: list[str] = field(default_factory=list)
    stale_mailboxes: list[MailboxId] = field(default_factory=list)
    gone_bodies: list[BodyId] = field(default_factory=list)
    gone_files: list[BodyId] = field(default_factory=list)
    changes: list[tuple[MailboxId, MailboxChange]] = field(default_factory=list)
    has_notifications: bool = False


Operation = Callable[[Transaction], T]


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: asyncio.Future[Any]
    size_bytes: int
    result: object = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection and its thread.

    At most `max_pending_bytes` wait to be committed; one operation is taken whatever its size. More is
    refused: whoever sent it still has it and comes back, while waiting here would only move the queue.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        on_commit: Callable[[Transaction], None],
        on_files_gone: Callable[[Sequence[BodyId]], object],
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self.commit_count = 0
        self._connection = connection
        self._on_commit = on_commit
        self._on_files_gone = on_files_gone
        self._max_pending_bytes = max_pending_bytes
        self._pending_bytes = 0
        self._is_closing = False
        self._is_failing = False
        self._gathered: list[_Job] = []
        self._queue: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def reserve(self, size_bytes: int) -> None:
        """Count bytes that are on their way. Raises: StoreUnavailableError when that would be too many."""
        if self._is_closing:
            raise StoreUnavailableError("The mail store is closing.")
        if self._pending_bytes and self._pending_bytes + size_bytes > self._max_pending_bytes:
            raise StoreUnavailableError("The mail store has too much to write at this moment.")
        self._pending_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count bytes no more."""
        self._pending_bytes -= size_bytes

    def submit(self, operation: Operation[T], size_bytes: int = 0) -> asyncio.Future[T]:
        """Queue an operation; the future is done after its commit. Raises: as `reserve`."""
        size_bytes += OPERATION_BYTES
        self.reserve(size_bytes)
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Job(operation, future, size_bytes))
        return future

    async def close(self) -> None:
        """Commit what is queued, take no more, and end the thread."""
        self._is_closing = True
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        if jobs:
            self._queue.put(jobs)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            batch = [self._queue.get()]
            batch += [self._queue.get() for _ in range(self._queue.qsize())]
            jobs = [job for part in batch if part is not None for job in part]
            is_over = None in batch
            if jobs:
                self._commit(jobs)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Commit these operations as one transaction, and report that to the loop."""
        transaction = Transaction(self._connection.execute)
        try:
            transaction.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.error = None
                try:
                    job.result = job.operation(transaction)
                except MailStoreError as refusal:
                    job.error = refusal
            transaction.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the supervisor of operations: the thread must live on
            self._roll_back()
            if len(jobs) > 1 and not _is_trouble_of_disk(error):
                for job in jobs:
                    self._commit([job])
                return
            self._fail(jobs, error)
            return
        self.commit_count += 1
        if self._is_failing:
            self._is_failing = False
            log.info("mail store writes again")
        self._loop.call_soon_threadsafe(self._finish, jobs, transaction)
        if transaction.gone_files:
            self._on_files_gone(transaction.gone_files)
        if self.commit_count % SHRINK_EVERY_COMMITS == 0:
            self._shrink()

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        if _is_trouble_of_disk(error):
            if not self._is_failing:
                log.error("mail store cannot write; free space or mend the disk", error=str(error))
            self._is_failing = True
        else:
            log.error("store operation failed", exc_info=error)
        for job in jobs:
            job.error = StoreUnavailableError("The mail store cannot write at this moment.")
            job.error.__cause__ = error
        self._loop.call_soon_threadsafe(self._finish, jobs, None)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.error("mail store cannot roll back", error=str(error))  # noqa: TRY400 - the cause follows in _fail

    def _shrink(self) -> None:
        """Give pages back to the file system, a few at a time, when many are free."""
        try:
            (free_pages,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            if free_pages >= MIN_FREE_PAGES:
                # A script is stepped to its end; `execute` would step once, and free a single page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")
        except sqlite3.Error as error:
            log.warning("mail store could not be shrunk", error=str(error))

    def _finish(self, jobs: Sequence[_Job], transaction: Transaction | None) -> None:
        if transaction is not None:
            self._on_commit(transaction)
        for job in jobs:
            self._pending_bytes -= job.size_bytes
            if job.future.done():  # its caller was cancelled
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _is_trouble_of_disk(error: Exception) -> bool:
    """Tell trouble of the disk, which every operation would meet, from that of one operation."""
    of_one = sqlite3.IntegrityError | sqlite3.InterfaceError | sqlite3.ProgrammingError | sqlite3.DataError
    return isinstance(error, sqlite3.Error) and not isinstance(error, of_one)
