"""What `mailnode check` finds and sets right, and what it leaves alone."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mailnode.store.body_files import LARGE_BODY_BYTES
from mailnode.store.checking import Report, check_store
from mailnode.store.mail_store import Envelope, Recipient, Uid
from mailnode.store.sqlite_schema import StoreStartError
from support.store_backends import open_sqlite
from support.store_mail import NOW, PLENTY, add_account, append, deliver, find_inbox, make_body

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).parents[2]

ROWS = {
    "DELETE FROM body WHERE id = (SELECT min(body_id) FROM message)": "messages have no body",
    "UPDATE outgoing SET body_id = 9999": "messages that wait for other servers have no body",
    "UPDATE message SET size_bytes = size_bytes + 1 WHERE uid = 1": "bodies do not have the size",
    "INSERT INTO body VALUES (9999, x'00', x'00')": "bodies belong to no message",
    "DELETE FROM body_share": "bodies count their messages wrongly",
    "UPDATE body_share SET message_count = message_count + 1": "bodies count their messages wrongly",
    "UPDATE usage SET size_bytes = size_bytes - 1": "accounts count what they hold wrongly",
    "DELETE FROM usage": "accounts count what they hold wrongly",
    "UPDATE mailbox SET uid_next = 1 WHERE name = 'INBOX'": "mailboxes would give a UID twice",
    "UPDATE last_uid_validity SET value = 0": "new mailboxes would get a UIDVALIDITY twice",
    "DELETE FROM mailbox WHERE name = 'INBOX' AND account_id = 2": "accounts have no INBOX",
    "DELETE FROM account WHERE id = 1": "rows of mailbox belong to no account",
    "DELETE FROM mailbox WHERE name = 'INBOX'": "rows of message belong to no mailbox",
}
"""What damages rows, and a fault that is found then. SQLite looks at no foreign keys meanwhile."""


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """A store with small, large, shared and outgoing messages, in two mailboxes of two accounts."""
    async with open_sqlite(tmp_path) as store:
        alice, inbox = await add_account(store)
        bob, _ = await add_account(store, "bob")
        box = await store.create_mailbox(alice.id, "DeltaChat")
        for _ in range(3):
            await deliver(store, alice, bob)
        await deliver(store, alice, bob, body=make_body(LARGE_BODY_BYTES + 1))
        await append(store, inbox.id, make_body(LARGE_BODY_BYTES + 2))
        await store.copy_messages(inbox.id, [Uid(1), Uid(2)], box.id, PLENTY)
        envelope = Envelope("one", "example.net", "alice@example.org", ("carol@example.net",))
        await store.deliver([Recipient(bob.id, PLENTY)], make_body(), NOW, [envelope])
    return tmp_path


def damage(directory: Path, statement: str) -> None:
    with closing(sqlite3.connect(directory / "mail.sqlite3")) as connection:
        connection.execute(statement)
        connection.commit()


def found(report: Report) -> list[str]:
    return [fault.what for fault in report.faults]


async def test_store_in_order_is_whole_and_counted(directory: Path) -> None:
    report = check_store(directory)

    assert report == Report((), accounts=2, messages=12, files=2)
    assert check_store(directory, repair=True) == report


@pytest.mark.parametrize("statement", ROWS)
async def test_wrong_rows_are_found_and_mended(directory: Path, statement: str) -> None:
    damage(directory, statement)
    before = check_store(directory)
    assert any(what.startswith(ROWS[statement]) for what in found(before)), found(before)
    assert not before.is_whole

    mended = check_store(directory, repair=True)

    assert mended.is_whole
    assert any(what.startswith(ROWS[statement]) for what in found(mended))
    assert check_store(directory).faults == ()
    async with open_sqlite(directory) as store:
        for name in ("alice", "bob"):
            account = await store.find_account(f"{name}@example.org")
            if account is not None:
                await deliver(store, account)
                contents = await store.read_contents((await find_inbox(store, account.id)).id)
                assert await store.read_body(contents.messages[-1].body_id) == make_body()
    assert check_store(directory).faults == ()


@pytest.mark.parametrize("size_bytes", [None, 0, LARGE_BODY_BYTES])
async def test_lost_file_costs_its_messages_and_nothing_else(directory: Path, size_bytes: int | None) -> None:
    victim = min((directory / "bodies").iterdir())
    if size_bytes is None:
        victim.unlink()
    else:
        victim.write_bytes(bytes(size_bytes))

    before = check_store(directory)
    assert [(fault.count, fault.loses) for fault in before.faults] == [(1, True)]
    check_store(directory, repair=True)

    assert check_store(directory) == Report((), accounts=2, messages=10, files=1)
    assert not victim.exists()


async def test_file_of_nobody_is_a_fault_only_when_it_is_old(directory: Path) -> None:
    young = directory / "bodies" / f"{99:016x}"
    young.write_bytes(b"a message that is being committed")
    assert check_store(directory).is_whole

    assert found(check_store(directory, repair=True)) == ["files belong to no message"]
    assert not young.exists()


async def test_what_an_operator_put_there_stays(directory: Path) -> None:
    note = directory / "bodies" / "README"
    note.write_text("mine")
    assert check_store(directory, repair=True).is_whole
    assert note.exists()


def test_check_beside_the_daemon_finds_no_fault(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.store_crash_writer", str(tmp_path), "1"]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        while b"added" not in writer.stdout.readline():
            pass
        reports = [check_store(tmp_path) for _ in range(20)]
        with pytest.raises(StoreStartError, match=f"in use by another mailnode .process {writer.pid}"):
            check_store(tmp_path, repair=True)
        writer.kill()
        writer.stdout.read()

    assert [report.faults for report in reports] == [()] * 20
    assert reports[-1].messages > reports[0].messages
    assert check_store(tmp_path).is_whole


async def test_damaged_pages_are_told_and_never_called_whole(directory: Path) -> None:
    path = directory / "mail.sqlite3"
    pages = bytearray(path.read_bytes())
    for page in range(4096 * 3, len(pages) - 4096, 4096):
        pages[page : page + 64] = b"\xff" * 64
    path.write_bytes(pages)

    with pytest.raises(StoreStartError, match="Restore it from a backup"):
        check_store(directory, repair=True)


async def test_other_forms_are_refused(directory: Path) -> None:
    damage(directory, "PRAGMA user_version = 99")
    with pytest.raises(StoreStartError, match="form 99"):
        check_store(directory)
    with pytest.raises(StoreStartError, match="There is no mail store"):
        check_store(directory / "bodies")
