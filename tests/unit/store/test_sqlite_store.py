"""What the SQLite store does beyond the contract: batches, files, start and end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from mailnode.store.body_files import LARGE_BODY_BYTES
from mailnode.store.mail_store import (
    TRIM_AFTER_SECONDS,
    Envelope,
    Recipient,
    StoreUnavailableError,
    Uid,
    UnknownAccountError,
    UnknownMailboxError,
)
from mailnode.store.sqlite_mail import list_trimmable
from mailnode.store.sqlite_schema import MIGRATIONS, StoreStartError, migrate, open_writer
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_backends import open_sqlite
from support.store_mail import HEADER, NOW, PLENTY, add_account, append, deliver, find_inbox, make_body

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteMailStore]:
    async with open_sqlite(tmp_path) as opened:
        yield opened


def files_in(directory: Path) -> int:
    return len(list((directory / "bodies").iterdir()))


async def test_deliveries_of_one_turn_of_the_loop_share_a_commit(store: SqliteMailStore) -> None:
    account, inbox = await add_account(store)
    before = store.commit_count

    await asyncio.gather(*(deliver(store, account) for _ in range(200)))

    assert store.commit_count - before == 1
    assert len((await store.read_contents(inbox.id)).messages) == 200


async def test_mail_is_committed_before_its_delivery_is_acknowledged(
    store: SqliteMailStore, tmp_path: Path
) -> None:
    account, _ = await add_account(store)

    with closing(sqlite3.connect(tmp_path / "mail.sqlite3")) as other:
        for number in range(1, 101):
            await deliver(store, account)
            assert other.execute("SELECT count(*) FROM message").fetchone() == (number,)


async def test_refused_operation_does_not_spoil_those_committed_with_it(store: SqliteMailStore) -> None:
    account, inbox = await add_account(store)

    results = await asyncio.gather(
        deliver(store, account),
        store.add_account(account.address, "hash", NOW),
        append(store, inbox.id),
        store.change_quota(type(account.id)(99), 1),
        return_exceptions=True,
    )

    assert isinstance(results[3], UnknownAccountError)
    assert len((await store.read_contents(inbox.id)).messages) == 2


async def test_broken_operation_does_not_spoil_those_committed_with_it(store: SqliteMailStore) -> None:
    account, inbox = await add_account(store)

    results = await asyncio.gather(
        deliver(store, account),
        store.create_mailbox(account.id, "\udcff is no text"),
        store.change_quota(account.id, 1 << 70),
        deliver(store, account),
        return_exceptions=True,
    )

    assert [isinstance(result, StoreUnavailableError) for result in results] == [False, True, True, False]
    assert [message.uid for message in (await store.read_contents(inbox.id)).messages] == [1, 2]


async def test_operation_whose_caller_gave_up_does_not_disturb_others(store: SqliteMailStore) -> None:
    account, inbox = await add_account(store)
    given_up = asyncio.ensure_future(deliver(store, account))
    await asyncio.sleep(0)
    given_up.cancel()

    await deliver(store, account)

    assert len((await store.read_contents(inbox.id)).messages) in {1, 2}


@pytest.mark.parametrize(
    ("extra_bytes", "file_count"), [(-1, 0), (0, 0), (1, 1)], ids=["below", "at", "above"]
)
async def test_body_above_the_threshold_is_a_file(
    store: SqliteMailStore, tmp_path: Path, extra_bytes: int, file_count: int
) -> None:
    account, inbox = await add_account(store)
    body = make_body(LARGE_BODY_BYTES + extra_bytes)

    message = await append(store, inbox.id, body)

    assert files_in(tmp_path) == file_count
    assert await store.read_body(message.body_id) == body
    await store.expunge(inbox.id, [message.uid])
    await deliver(store, account)  # files go after their commit, at the latest before the next one
    assert files_in(tmp_path) == 0


async def test_header_larger_than_the_threshold_is_read_from_the_file(store: SqliteMailStore) -> None:
    _, inbox = await add_account(store)
    header = b"X: " + b"y" * LARGE_BODY_BYTES + b"\r\n\r\n"

    message = await append(store, inbox.id, header + b"text")

    assert await store.read_header(message.body_id) == header


async def test_refused_large_body_leaves_no_file(store: SqliteMailStore, tmp_path: Path) -> None:
    account, inbox = await add_account(store)
    body = make_body(LARGE_BODY_BYTES + 1)

    assert await store.deliver([Recipient(account.id, 10)], body, NOW) == {account.id}
    await store.remove_account(account.id)
    with pytest.raises(UnknownMailboxError):
        await append(store, inbox.id, body)
    await add_account(store)

    assert files_in(tmp_path) == 0


async def test_cancelled_large_body_leaves_no_file(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, _ = await add_account(store)
        task = asyncio.ensure_future(deliver(store, account, body=make_body(LARGE_BODY_BYTES * 4)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert files_in(tmp_path) == 0


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    bodies = [make_body(100), make_body(LARGE_BODY_BYTES + 1)]
    async with open_sqlite(tmp_path) as store:
        account, inbox = await add_account(store)
        for body in bodies:
            await deliver(store, account, body=body)
        await store.expunge(inbox.id, [Uid(1)])
        before = await store.read_contents(inbox.id)

    async with open_sqlite(tmp_path) as store:
        assert await store.find_account(account.address) == account
        assert await store.read_contents(inbox.id) == before
        assert await store.read_body(before.messages[0].body_id) == bodies[1]
        assert await store.read_header(before.messages[0].body_id) == HEADER
        added = await append(store, inbox.id)
        assert added.uid == 3
        assert await store.read_body(added.body_id) == bodies[0]


async def test_small_bodies_are_read_from_the_database_too(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        _, inbox = await add_account(store)
        message = await append(store, inbox.id)

    async with open_sqlite(tmp_path) as store:
        assert await store.read_header(message.body_id) == HEADER
        assert await store.read_body(message.body_id) == make_body()
        await store.expunge(inbox.id, [message.uid])
        assert await store.read_body(message.body_id) is None


async def test_login_is_written_at_the_end_at_the_latest(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, _ = await add_account(store)
        store.record_login(account.id, NOW)
        store.record_login(account.id, NOW + 1)

    async with open_sqlite(tmp_path) as store:
        found = await store.find_account(account.address)
        assert found is not None
        assert found.last_login_at_seconds == NOW


async def test_login_of_the_next_day_is_recorded(store: SqliteMailStore) -> None:
    account, _ = await add_account(store)
    for now_seconds in (NOW, NOW + 60, NOW + 86_400):
        store.record_login(account.id, now_seconds)
        await deliver(store, account)

    found = await store.find_account(account.address)
    assert found is not None
    assert found.last_login_at_seconds == NOW + 86_400


async def test_files_that_a_crash_left_are_swept(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, _ = await add_account(store)
        await deliver(store, account, body=make_body(LARGE_BODY_BYTES + 1))
    (tmp_path / "bodies" / f"{77:016x}").write_bytes(b"an orphan")
    (tmp_path / "bodies" / "note of the operator").write_bytes(b"not ours")

    async with open_sqlite(tmp_path) as store:
        inbox = await find_inbox(store, account.id)
        (message,) = (await store.read_contents(inbox.id)).messages
        assert await store.read_body(message.body_id) == make_body(LARGE_BODY_BYTES + 1)
    assert files_in(tmp_path) == 2


async def test_second_process_is_told_who_has_the_directory(store: SqliteMailStore, tmp_path: Path) -> None:
    assert await store.count_accounts() == 0

    with pytest.raises(StoreStartError, match=r"in use by another mailnode \(process \d+\). Stop that one"):
        async with open_sqlite(tmp_path):
            pass


async def test_directory_is_free_again_after_the_end(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_sqlite(tmp_path) as store:
            await store.count_accounts()


async def test_unusable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreStartError, match=r"cannot be used: .* Give mailnode a directory"):
        async with open_sqlite(tmp_path / "file" / "below"):
            pass


async def test_broken_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mail.sqlite3").write_bytes(b"this is not a database, whatever its name says" * 100)

    with pytest.raises(StoreStartError, match=r"mail.sqlite3 cannot be opened: .* restore it from a backup"):
        async with open_sqlite(tmp_path):
            pass


async def test_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3")) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(StoreStartError, match="Install the version that wrote it, or a newer one"):
        async with open_sqlite(tmp_path):
            pass


async def test_failed_migration_changes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, _ = await add_account(store)
    broken = (*MIGRATIONS, "ALTER TABLE account ADD COLUMN note TEXT; INSERT INTO nowhere VALUES (1)")
    mended = (*MIGRATIONS, "ALTER TABLE account ADD COLUMN note TEXT")

    with closing(open_writer(tmp_path / "mail.sqlite3")) as connection:
        with pytest.raises(sqlite3.Error):
            migrate(connection, broken)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        migrate(connection, mended)
        assert connection.execute("SELECT address, note FROM account").fetchall() == [(account.address, None)]


async def test_database_is_set_up_for_power_cuts_and_shrinking(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "mail.sqlite3")) as connection:
        settings = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
        ]

    assert settings == ["wal", 2, 2, 1]


async def test_too_much_at_once_is_refused_and_later_taken(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path, max_pending_bytes=30_000)
        await store.start(stack)
        account, inbox = await add_account(store)

        results = await asyncio.gather(
            *(deliver(store, account, body=make_body(9_000)) for _ in range(10)), return_exceptions=True
        )
        assert sum(result == frozenset() for result in results) == 3
        assert sum(isinstance(result, StoreUnavailableError) for result in results) == 7

        await deliver(store, account, body=make_body(90_000))  # alone, even more than the limit is taken
        await deliver(store, account)
        assert len((await store.read_contents(inbox.id)).messages) == 5


async def test_store_that_has_ended_refuses(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, inbox = await add_account(store)

    with pytest.raises(StoreUnavailableError):
        await deliver(store, account)
    with pytest.raises(StoreUnavailableError):
        await store.read_contents(inbox.id)


async def test_what_is_queued_at_the_end_is_still_written(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as store:
        account, inbox = await add_account(store)
        deliveries = [asyncio.ensure_future(deliver(store, account)) for _ in range(20)]
        await asyncio.sleep(0)

    assert await asyncio.gather(*deliveries) == [frozenset()] * 20
    async with open_sqlite(tmp_path) as store:
        assert len((await store.read_contents(inbox.id)).messages) == 20


async def test_store_whose_queue_is_full_ends_in_order(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path, max_pending_bytes=9_000)
        await store.start(stack)
        account, inbox = await add_account(store)
        delivery = asyncio.ensure_future(deliver(store, account, body=make_body(90_000)))
        await asyncio.sleep(0)
        store.record_login(account.id, NOW)

    assert await delivery == frozenset()
    async with open_sqlite(tmp_path) as store:
        assert len((await store.read_contents(inbox.id)).messages) == 1


async def test_write_ahead_log_stays_small_while_mail_is_read(store: SqliteMailStore, tmp_path: Path) -> None:
    account, inbox = await add_account(store)
    for _ in range(15):
        await asyncio.gather(*(deliver(store, account, body=make_body(100_000)) for _ in range(10)))
        contents = await store.read_contents(inbox.id)
        await store.expunge(inbox.id, [message.uid for message in contents.messages])

    assert (tmp_path / "mail.sqlite3-wal").stat().st_size < 12_000_000


async def test_free_pages_go_back_to_the_file_system(store: SqliteMailStore, tmp_path: Path) -> None:
    account, inbox = await add_account(store)
    await asyncio.gather(*(deliver(store, account, body=make_body(150_000)) for _ in range(100)))
    contents = await store.read_contents(inbox.id)
    await store.expunge(inbox.id, [message.uid for message in contents.messages])

    with closing(sqlite3.connect(tmp_path / "mail.sqlite3")) as connection:
        (before,) = connection.execute("PRAGMA page_count").fetchone()
        for _ in range(260):
            await deliver(store, account)
        (after,) = connection.execute("PRAGMA page_count").fetchone()
    assert before - after >= 256


async def test_recipients_may_be_many(store: SqliteMailStore) -> None:
    accounts = [account for account, _ in [await add_account(store, f"u{number}") for number in range(40)]]

    before = store.commit_count
    assert await store.deliver([Recipient(a.id, PLENTY) for a in accounts], make_body(), NOW) == frozenset()

    assert store.commit_count == before + 1


async def test_filled_database_of_the_first_form_is_upgraded(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3", isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS[:1])
        connection.executescript(
            "INSERT INTO account VALUES (1, 'alice@example.org', 'hash', NULL, 0, 1, NULL);"
            "INSERT INTO usage VALUES (1, 20, 1);"
            "INSERT INTO mailbox VALUES (1, 1, 'INBOX', 7, 2);"
            "INSERT INTO message VALUES (1, 1, '', 20, 5, 1);"
            "INSERT INTO body VALUES (1, x'413a20620d0a0d0a', x'74657874');"
        )

    async with open_sqlite(tmp_path) as store:
        account = await store.find_account("alice@example.org")
        assert account is not None
        inbox = await find_inbox(store, account.id)
        (message,) = (await store.read_contents(inbox.id)).messages
        assert await store.read_body(message.body_id) == b"A: b\r\n\r\ntext"
        envelope = Envelope("id", "two.example", account.address, ("bob@two.example",))
        await store.deliver([Recipient(account.id, PLENTY)], make_body(), NOW, [envelope])
        assert [row.envelope for row in await store.list_outgoing("two.example", 9)] == [envelope]


async def test_queue_and_its_bodies_survive_a_restart(tmp_path: Path) -> None:
    body = make_body(LARGE_BODY_BYTES + 1)
    async with open_sqlite(tmp_path) as store:
        await store.deliver([], body, NOW, [Envelope("id", "two.example", "a@b", ("c@two.example",))])

    async with open_sqlite(tmp_path) as store:
        (row,) = await store.list_outgoing("two.example", 9)
        assert await store.read_body(row.body_id) == body
        await store.finish_outgoing(row.id)
        await store.add_account("alice@example.org", "hash", NOW)  # files go before the next commit
        assert files_in(tmp_path) == 0


async def test_full_mailbox_is_not_gone_through_for_what_may_make_room(
    store: SqliteMailStore, tmp_path: Path
) -> None:
    account, inbox = await add_account(store)
    await asyncio.gather(*(deliver(store, account) for _ in range(2_000)))
    seen: list[str] = []
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3")) as reader:
        reader.set_trace_callback(seen.append)
        assert list_trimmable(reader, account.id, NOW + TRIM_AFTER_SECONDS) == []
        reader.set_trace_callback(None)
        plan = reader.execute(f"EXPLAIN QUERY PLAN {seen[-1]}").fetchall()
    assert any("USING INDEX message_read" in step for *_, step in plan), plan
    assert len((await store.read_contents(inbox.id)).messages) == 2_000
