"""Where operations run, what shares a transaction, and what happens to the others when one fails."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailnode.store.mail_store import StoreUnavailableError, UnknownMailboxError
from mailnode.store.sqlite_schema import open_writer
from mailnode.store.sqlite_writer import (
    BYTES_ON_LOOP,
    LONG,
    OPERATION_BYTES,
    ROWS_ON_LOOP,
    Transaction,
    Writer,
)

pytestmark = pytest.mark.anyio

BLOCK = "INSERT INTO blocked VALUES (?, '', 0)"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "mail.sqlite3")) as opened:
        yield opened


@pytest.fixture
async def writer(connection: sqlite3.Connection) -> AsyncIterator[Writer]:
    started = Writer(connection, on_commit=lambda _: None, on_files_gone=lambda _: None)
    yield started
    await started.close()


def tell_thread(_: Transaction) -> int:
    return threading.get_ident()


def list_blocked(connection: sqlite3.Connection) -> list[str]:
    return [address for (address,) in connection.execute("SELECT address FROM blocked ORDER BY address")]


@pytest.mark.parametrize(
    ("row_count", "is_on_loop"), [(ROWS_ON_LOOP - 1, True), (ROWS_ON_LOOP, True), (ROWS_ON_LOOP + 1, False)]
)
async def test_operation_on_few_rows_runs_on_the_loop(
    writer: Writer, row_count: int, *, is_on_loop: bool
) -> None:
    thread = await writer.submit(tell_thread, row_count=row_count)

    assert (thread == threading.get_ident()) is is_on_loop


@pytest.mark.parametrize(("more_bytes", "is_on_loop"), [(-1, True), (0, True), (1, False)])
async def test_operation_on_few_bytes_runs_on_the_loop(
    writer: Writer, more_bytes: int, *, is_on_loop: bool
) -> None:
    thread = await writer.submit(tell_thread, BYTES_ON_LOOP - OPERATION_BYTES + more_bytes, 1)

    assert (thread == threading.get_ident()) is is_on_loop


async def test_brief_operations_that_are_many_leave_the_loop_together(writer: Writer) -> None:
    threads = await asyncio.gather(
        *(writer.submit(tell_thread, row_count=1) for _ in range(ROWS_ON_LOOP + 1))
    )

    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    assert writer.commit_count == 1


async def test_operation_of_unknown_length_takes_those_with_it_off_the_loop(writer: Writer) -> None:
    brief, long = await asyncio.gather(writer.submit(tell_thread, row_count=1), writer.submit(tell_thread))

    assert brief == long != threading.get_ident()


async def test_operation_that_turns_out_long_begins_anew_in_the_thread(
    writer: Writer, connection: sqlite3.Connection
) -> None:
    threads: list[int] = []

    def operation(transaction: Transaction) -> str:
        threads.append(threading.get_ident())
        transaction.execute(BLOCK, ("long",))
        transaction.leave_loop()
        return "done"

    def other(transaction: Transaction) -> None:
        transaction.execute(BLOCK, ("other",))

    result, _ = await asyncio.gather(writer.submit(operation, 0, 1), writer.submit(other, 0, 1))

    assert result == "done"
    assert threads[0] == threading.get_ident() != threads[1]
    assert list_blocked(connection) == ["long", "other"]
    assert writer.commit_count == 1


async def test_what_comes_during_a_commit_goes_with_the_next_one(writer: Writer) -> None:
    is_begun, may_end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        is_begun.set()
        may_end.wait(10)

    held = writer.submit(hold)
    await asyncio.to_thread(is_begun.wait, 10)
    later = [writer.submit(tell_thread, row_count=1) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(future.done() for future in later)
    may_end.set()
    await asyncio.gather(held, *later)

    assert writer.commit_count == 2


@pytest.mark.parametrize("row_count", [1, LONG], ids=["loop", "thread"])
async def test_refused_operation_spoils_no_other(
    writer: Writer, connection: sqlite3.Connection, row_count: int
) -> None:
    def refuse(_: Transaction) -> None:
        raise UnknownMailboxError

    def block(transaction: Transaction) -> None:
        transaction.execute(BLOCK, ("one",))

    results = await asyncio.gather(
        writer.submit(refuse, 0, row_count), writer.submit(block, 0, row_count), return_exceptions=True
    )

    assert isinstance(results[0], UnknownMailboxError)
    assert list_blocked(connection) == ["one"]
    assert writer.commit_count == 1


@pytest.mark.parametrize("row_count", [1, LONG], ids=["loop", "thread"])
async def test_operation_that_only_the_commit_refuses_spoils_no_other(
    writer: Writer, connection: sqlite3.Connection, row_count: int
) -> None:
    def orphan(transaction: Transaction) -> None:
        transaction.execute("PRAGMA defer_foreign_keys = ON")
        transaction.execute("INSERT INTO subscription VALUES (99, 'of nobody')")

    def block(transaction: Transaction) -> None:
        transaction.execute(BLOCK, ("one",))

    results = await asyncio.gather(
        writer.submit(orphan, 0, row_count), writer.submit(block, 0, row_count), return_exceptions=True
    )

    assert isinstance(results[0], StoreUnavailableError)
    assert results[1] is None
    assert list_blocked(connection) == ["one"]
    assert connection.execute("SELECT count(*) FROM subscription").fetchone() == (0,)


async def test_lock_of_another_process_is_waited_for_in_the_thread(writer: Writer, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = writer.submit(tell_thread, row_count=1)
        for _ in range(5):  # the loop goes on meanwhile
            await asyncio.sleep(0.01)
        assert not waiting.done()
        other.execute("COMMIT")

    assert await waiting != threading.get_ident()
    assert await writer.submit(tell_thread, row_count=1) == threading.get_ident()


async def test_what_is_gathered_during_the_last_commit_is_still_committed(
    connection: sqlite3.Connection,
) -> None:
    writer = Writer(connection, on_commit=lambda _: None, on_files_gone=lambda _: None)
    first = writer.submit(tell_thread)
    await asyncio.sleep(0)
    second = writer.submit(lambda transaction: transaction.execute(BLOCK, ("last",)).rowcount, 0, 1)
    await writer.close()

    assert first.done()
    assert await second == 1
    with pytest.raises(StoreUnavailableError):
        writer.submit(tell_thread)
    assert list_blocked(connection) == ["last"]
