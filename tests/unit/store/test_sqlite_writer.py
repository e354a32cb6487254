"""What shares a transaction, and what happens to the others when one operation fails."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailnode.store.mail_store import StoreUnavailableError, UnknownMailboxError
from mailnode.store.sqlite_schema import open_writer
from mailnode.store.sqlite_writer import Transaction, Writer

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


async def test_operations_of_one_turn_share_a_transaction_in_the_thread(writer: Writer) -> None:
    threads = await asyncio.gather(*(writer.submit(tell_thread) for _ in range(5)))

    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    assert writer.commit_count == 1


async def test_what_comes_during_a_commit_goes_with_the_next_one(writer: Writer) -> None:
    is_begun, may_end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        is_begun.set()
        may_end.wait(10)

    held = writer.submit(hold)
    await asyncio.to_thread(is_begun.wait, 10)
    later = [writer.submit(tell_thread) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(future.done() for future in later)
    may_end.set()
    await asyncio.gather(held, *later)

    assert writer.commit_count == 2


async def test_refused_operation_spoils_no_other(writer: Writer, connection: sqlite3.Connection) -> None:
    def refuse(_: Transaction) -> None:
        raise UnknownMailboxError

    def block(transaction: Transaction) -> None:
        transaction.execute(BLOCK, ("one",))

    results = await asyncio.gather(writer.submit(refuse), writer.submit(block), return_exceptions=True)

    assert isinstance(results[0], UnknownMailboxError)
    assert list_blocked(connection) == ["one"]
    assert writer.commit_count == 1


async def test_operation_that_only_the_commit_refuses_spoils_no_other(
    writer: Writer, connection: sqlite3.Connection
) -> None:
    def orphan(transaction: Transaction) -> None:
        transaction.execute("PRAGMA defer_foreign_keys = ON")
        transaction.execute("INSERT INTO subscription VALUES (99, 'of nobody')")

    def block(transaction: Transaction) -> None:
        transaction.execute(BLOCK, ("one",))

    results = await asyncio.gather(writer.submit(orphan), writer.submit(block), return_exceptions=True)

    assert isinstance(results[0], StoreUnavailableError)
    assert results[1] is None
    assert list_blocked(connection) == ["one"]
    assert connection.execute("SELECT count(*) FROM subscription").fetchone() == (0,)


async def test_lock_of_another_process_is_waited_for_in_the_thread(writer: Writer, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = writer.submit(tell_thread)
        for _ in range(5):  # the loop goes on meanwhile
            await asyncio.sleep(0.01)
        assert not waiting.done()
        other.execute("COMMIT")

    assert await waiting != threading.get_ident()


async def test_what_is_gathered_during_the_last_commit_is_still_committed(
    connection: sqlite3.Connection,
) -> None:
    writer = Writer(connection, on_commit=lambda _: None, on_files_gone=lambda _: None)
    first = writer.submit(tell_thread)
    await asyncio.sleep(0)
    second = writer.submit(lambda transaction: transaction.execute(BLOCK, ("last",)).rowcount)
    await writer.close()

    assert first.done()
    assert await second == 1
    with pytest.raises(StoreUnavailableError):
        writer.submit(tell_thread)
    assert list_blocked(connection) == ["last"]
