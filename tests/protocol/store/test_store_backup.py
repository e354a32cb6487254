"""A backup that is taken while mail comes and goes is whole, and brings back what apps know."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailnode.cli.main import app
from mailnode.store.backup import UID_GAP, BackupError, back_up, restore
from mailnode.store.body_files import LARGE_BODY_BYTES
from mailnode.store.checking import check_store
from mailnode.store.mail_store import MailboxContents
from mailnode.store.sqlite_schema import MIGRATIONS, StoreStartError
from support.store_backends import open_sqlite
from support.store_mail import add_account, append, deliver, find_inbox, make_body

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).parents[2]
DOMAIN = "example.org"


def say_nothing(_step: str) -> None:
    pass


@contextmanager
def busy_writer(directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Let a process fill and empty a store meanwhile."""
    command = [sys.executable, "-m", "support.store_crash_writer", str(directory), "1"]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        while b"removed" not in writer.stdout.readline():
            pass
        os.set_blocking(writer.stdout.fileno(), False)
        yield writer
        writer.kill()


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A node's state: a key, and a store with three messages, one of them large."""
    state = tmp_path / "state"
    async with open_sqlite(state / "mail") as store:
        alice, inbox = await add_account(store)
        await deliver(store, alice)
        await append(store, inbox.id, make_body(LARGE_BODY_BYTES + 1))
        await deliver(store, alice, body=make_body(fill=b"y"))
        await store.expunge(inbox.id, [(await store.read_contents(inbox.id)).messages[0].uid])
    (state / "pepper").write_bytes(b"p" * 32)
    return state


async def read_inbox(state: Path) -> tuple[MailboxContents, list[bytes | None]]:
    async with open_sqlite(state / "mail") as store:
        account = await store.find_account("alice@example.org")
        assert account is not None
        contents = await store.read_contents((await find_inbox(store, account.id)).id)
        return contents, [await store.read_body(message.body_id) for message in contents.messages]


async def test_everything_comes_back_under_its_uids(state: Path, tmp_path: Path) -> None:
    manifest = back_up(state, tmp_path / "backup", DOMAIN, say_nothing)
    assert (manifest.accounts, manifest.messages) == (1, 2)
    before, bodies = await read_inbox(state)

    other = tmp_path / "other"
    assert restore(tmp_path / "backup", other, is_replacing=False, say=say_nothing) == manifest

    after, restored = await read_inbox(other)
    assert after.messages == before.messages
    assert after.mailbox.uid_validity == before.mailbox.uid_validity
    assert after.uid_next == before.uid_next + UID_GAP
    assert restored == bodies
    assert (other / "pepper").read_bytes() == b"p" * 32
    assert check_store(other / "mail").is_whole
    everything = [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]
    assert [path for path in everything if path.stat().st_mode & 0o77 and path.is_file()] == []
    assert (tmp_path / "backup").stat().st_mode & 0o77 == 0


async def test_restored_store_takes_no_part_in_the_backup_any_more(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup", DOMAIN, say_nothing)
    other = tmp_path / "other"
    restore(tmp_path / "backup", other, is_replacing=False, say=say_nothing)
    async with open_sqlite(other / "mail") as store:
        account = await store.find_account("alice@example.org")
        assert account is not None
        await store.remove_account(account.id)

    assert len(list((tmp_path / "backup/mail/bodies").iterdir())) == 1
    restore(tmp_path / "backup", tmp_path / "third", is_replacing=False, say=say_nothing)
    contents, _ = await read_inbox(tmp_path / "third")
    assert len(contents.messages) == 2


async def test_backups_beside_a_busy_daemon_are_whole(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with busy_writer(state / "mail") as writer:
        for number in range(8):
            back_up(state, tmp_path / f"{number}", DOMAIN, say_nothing)
        assert writer.poll() is None

    counts = []
    for number in range(8):
        report = check_store(tmp_path / f"{number}" / "mail")
        assert report.faults == ()
        counts.append(report.messages)
    assert counts[-1] > counts[0]


async def test_store_in_use_is_not_replaced(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup", DOMAIN, say_nothing)
    busy = tmp_path / "busy"
    with busy_writer(busy / "mail"), pytest.raises(StoreStartError, match="in use"):
        restore(tmp_path / "backup", busy, is_replacing=True, say=say_nothing)


async def test_store_is_replaced_only_on_demand_and_kept(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup", DOMAIN, say_nothing)
    with pytest.raises(BackupError, match="--replace"):
        restore(tmp_path / "backup", state, is_replacing=False, say=say_nothing)

    restore(tmp_path / "backup", state, is_replacing=True, say=say_nothing)

    assert check_store(state / "before-restore/mail").messages == 2
    with pytest.raises(BackupError, match="earlier restore"):
        restore(tmp_path / "backup", state, is_replacing=True, say=say_nothing)


async def test_store_with_a_fault_gets_no_backup(state: Path, tmp_path: Path) -> None:
    next((state / "mail/bodies").iterdir()).unlink()
    with pytest.raises(BackupError, match="mailnode check --repair"):
        back_up(state, tmp_path / "backup", DOMAIN, say_nothing)
    assert not (tmp_path / "backup").exists()


async def test_damaged_backup_is_refused_and_changes_nothing(state: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(state, backup, DOMAIN, say_nothing)
    next((backup / "mail/bodies").iterdir()).unlink()
    before = await read_inbox(state)

    with pytest.raises(BackupError, match="damaged"):
        restore(backup, state, is_replacing=True, say=say_nothing)
    assert await read_inbox(state) == before

    (backup / "manifest.json").write_text("{}")
    with pytest.raises(BackupError, match="no backup of a mail node"):
        restore(backup, state, is_replacing=True, say=say_nothing)


@pytest.mark.parametrize(("form", "is_taken"), [(3, True), (len(MIGRATIONS), True), (99, False)])
async def test_backup_of_an_older_version_is_brought_to_form(
    state: Path, tmp_path: Path, form: int, *, is_taken: bool
) -> None:
    backup, other = tmp_path / "backup", tmp_path / "other"
    back_up(state, backup, DOMAIN, say_nothing)
    with closing(sqlite3.connect(backup / "mail/mail.sqlite3")) as connection, connection:
        if form == 3:
            connection.execute("DROP TABLE notification")  # the fourth form has it, and the fifth this index
            connection.execute("DROP INDEX message_read")
        connection.execute(f"PRAGMA user_version = {form}")

    if is_taken:
        restore(backup, other, is_replacing=False, say=say_nothing)
        contents, _ = await read_inbox(other)
        assert len(contents.messages) == 2
    else:
        with pytest.raises(StoreStartError, match="Install the version that wrote it"):
            restore(backup, other, is_replacing=False, say=say_nothing)


async def test_target_that_exists_is_left_alone(state: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="exists already"):
        back_up(state, tmp_path, DOMAIN, say_nothing)


async def test_commands_tell_what_they_did(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "STATE_DIRECTORY": state,
        "RUNTIME_DIRECTORY": tmp_path,
        "MAIL_DOMAIN": DOMAIN,
        "TLS_CERTIFICATE": "x",
        "TLS_KEY": "x",
        "SUPPORT_CONTACT": "mailto:help@example.org",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"MAILNODE_{name}", str(value))
    run = CliRunner().invoke

    whole = run(app, ["check"])
    taken = run(app, ["backup", str(tmp_path / "backup")])
    refused = run(app, ["restore", str(tmp_path / "backup")])
    next((state / "mail/bodies").iterdir()).unlink()
    broken = run(app, ["check"])
    restored = run(app, ["restore", str(tmp_path / "backup"), "--replace"])

    assert (whole.exit_code, whole.stdout) == (0, "The store is whole: 1 accounts, 2 messages, 1 files.\n")
    assert taken.stdout == f"1 accounts and 2 messages are in {tmp_path / 'backup'}.\n"
    assert refused.exit_code == 2
    assert "--replace" in refused.stderr
    assert broken.exit_code == 1
    assert "WRONG: 1 bodies" in broken.stdout
    assert restored.exit_code == 0, restored.output
    assert run(app, ["check", "--json"]).exit_code == 0
