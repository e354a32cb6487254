"""The writer: what has queued up is one transaction, which a thread commits (group commit).

For: sqlite_store.py, which hands in operations and awaits their results.
Not for: what the operations do.

    loop:    submit ── submit ─▶ end of the turn: BEGIN op op op        finish: caches, watchers, results
                                     │ all of them brief      └──▶ COMMIT ──▶ ▲  (one call per batch)
    thread:                          └ else: BEGIN op op op COMMIT ───────────┘

What comes within one turn of the loop, or while a commit is under way, goes together. To wait for the disk is
the thread's. Brief operations, as nearly all are, are carried out on the loop: each statement lets go of the
interpreter's lock for its few microseconds, and two threads that have something to do would hand it to and
fro for each of them (measured: 6 changes of threads a message). The connection belongs to the loop while no
batch is on its way, and to the thread until the batch is reported.

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
from mailnode.store.sqlite_schema import BUSY_TIMEOUT_SECONDS

MAX_PENDING_BYTES = 128 << 20
OPERATION_BYTES = 512
"""What an operation counts for beside its body."""

LONG = 1 << 30
"""So many rows as an operation is about that nobody has counted."""

ROWS_ON_LOOP = 128
"""A batch about more rows is none for the loop: so many take a few milliseconds, and may be on cold pages."""

BYTES_ON_LOOP = 1 << 20
SHRINK_EVERY_COMMITS = 256
MIN_FREE_PAGES = 2_048
SHRINK_PAGES = 512

log: structlog.stdlib.BoundLogger = structlog.get_logger()
T = TypeVar("T")


class _TooLongError(Exception):
    """An operation turns out to be none for the loop."""


@dataclass(slots=True)
class Transaction:
    """What one transaction does beside its rows. All of it happens after the commit, in this order."""

    execute: Callable[..., sqlite3.Cursor]
    is_on_loop: bool = False
    new_accounts: list[Account] = field(default_factory=list)
    stale_addresses: list[str] = field(default_factory=list)
    stale_mailboxes: list[MailboxId] = field(default_factory=list)
    gone_bodies: list[BodyId] = field(default_factory=list)
    gone_files: list[BodyId] = field(default_factory=list)
    changes: list[tuple[MailboxId, MailboxChange]] = field(default_factory=list)
    has_notifications: bool = False

    def leave_loop(self) -> None:
        """Call this before something long: everything begins anew, in the thread, if that is elsewhere."""
        if self.is_on_loop:
            raise _TooLongError


Operation = Callable[[Transaction], T]


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: asyncio.Future[Any]
    size_bytes: int
    row_count: int
    result: object = None
    error: BaseException | None = None


_Outcome = tuple[Sequence[_Job], Transaction | None]
"""Operations that have ended together, and their transaction if it was committed."""


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
        self._is_hand_over_due = False
        self._is_committing = False
        self._rested: asyncio.Future[None] | None = None
        self._queue: SimpleQueue[_Outcome | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._wait_for_others(0)  # not on the loop
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

    def submit(
        self, operation: Operation[T], size_bytes: int = 0, row_count: int = LONG
    ) -> asyncio.Future[T]:
        """Queue an operation; the future is done after its commit.

        `row_count` is how many rows it is about, roughly: what is about a few is carried out on the loop.

        Raises:
            StoreUnavailableError: As `reserve`.
        """
        size_bytes += OPERATION_BYTES
        self.reserve(size_bytes)
        future: asyncio.Future[T] = self._loop.create_future()
        self._gathered.append(_Job(operation, future, size_bytes, row_count))
        if not self._is_hand_over_due and not self._is_committing:
            self._is_hand_over_due = True
            self._loop.call_soon(self._hand_over)
        return future

    async def close(self) -> None:
        """Commit what is queued, take no more, and end the thread."""
        self._is_closing = True
        self._hand_over()
        if self._is_committing:
            self._rested = self._loop.create_future()
            await self._rested
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        """Begin a transaction with what has queued up, unless another one is under way."""
        self._is_hand_over_due = False
        if self._is_committing or not self._gathered:
            return
        jobs, self._gathered = self._gathered, []
        self._is_committing = True
        self._queue.put((jobs, self._try_on_loop(jobs)))

    def _try_on_loop(self, jobs: Sequence[_Job]) -> Transaction | None:
        """Carry operations out, but for the commit; `None` where the thread has to begin with them."""
        if sum([job.row_count for job in jobs]) > ROWS_ON_LOOP:
            return None
        if sum([job.size_bytes for job in jobs]) > BYTES_ON_LOOP:
            return None
        transaction = Transaction(self._connection.execute, is_on_loop=True)
        try:
            self._perform(jobs, transaction)
        except Exception:  # noqa: BLE001 - whatever it is, the thread meets it again, and deals with it
            self._roll_back()
            return None
        return transaction

    def _perform(self, jobs: Sequence[_Job], transaction: Transaction) -> None:
        transaction.execute("BEGIN IMMEDIATE")
        for job in jobs:
            job.error = None
            try:
                job.result = job.operation(transaction)
            except MailStoreError as refusal:
                job.error = refusal

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            before = self.commit_count
            outcomes = self._commit(*batch)
            for _, committed in outcomes:
                if committed is not None and committed.gone_files:
                    self._on_files_gone(committed.gone_files)
            must_shrink = before // SHRINK_EVERY_COMMITS != self.commit_count // SHRINK_EVERY_COMMITS
            if must_shrink:
                self._loop.call_soon_threadsafe(self._finish, outcomes)
                self._shrink()
                self._loop.call_soon_threadsafe(self._take_back)
            else:
                self._loop.call_soon_threadsafe(self._take_back_and_finish, outcomes)

    def _commit(self, jobs: Sequence[_Job], transaction: Transaction | None) -> list[_Outcome]:
        """Commit these operations as one transaction, which may have begun already."""
        try:
            if transaction is None:
                transaction = Transaction(self._connection.execute)
                self._wait_for_others(BUSY_TIMEOUT_SECONDS)
                try:
                    self._perform(jobs, transaction)
                finally:
                    self._wait_for_others(0)
            transaction.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the supervisor of operations: the thread must live on
            self._roll_back()
            if len(jobs) > 1 and not _is_trouble_of_disk(error):
                return [outcome for job in jobs for outcome in self._commit([job], None)]
            self._fail(jobs, error)
            return [(jobs, None)]
        self.commit_count += 1
        if self._is_failing:
            self._is_failing = False
            log.info("mail store writes again")
        return [(jobs, transaction)]

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

    def _wait_for_others(self, seconds: float) -> None:
        """Say how long another process may have the database locked: nobody's but a tool of an operator."""
        self._connection.execute(f"PRAGMA busy_timeout = {round(1_000 * seconds)}")

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

    def _take_back_and_finish(self, outcomes: Sequence[_Outcome]) -> None:
        self._take_back()  # before all else, so that the disk has something to do meanwhile
        self._finish(outcomes)

    def _take_back(self) -> None:
        """Take the connection back from the thread, and begin with what has come meanwhile."""
        self._is_committing = False
        self._hand_over()
        if self._rested is not None and not self._is_committing and not self._rested.done():
            self._rested.set_result(None)

    def _finish(self, outcomes: Sequence[_Outcome]) -> None:
        for jobs, transaction in outcomes:
            if transaction is not None:
                self._on_commit(transaction)
            for job in jobs:
                self._settle(job)

    def _settle(self, job: _Job) -> None:
        self._pending_bytes -= job.size_bytes
        if job.future.done():  # its caller was cancelled
            return
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _is_trouble_of_disk(error: Exception) -> bool:
    """Tell trouble of the disk, which every operation would meet, from that of one operation."""
    of_one = sqlite3.IntegrityError | sqlite3.InterfaceError | sqlite3.ProgrammingError | sqlite3.DataError
    return isinstance(error, sqlite3.Error) and not isinstance(error, of_one)
