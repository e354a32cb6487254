"""What is left when the process is killed, or the disk is full for a while."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from mailnode.store.mail_store import MailStore
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_mail import find_inbox

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).parents[2]
"""Where `python -m support.…` finds its module."""
ROUNDS = 4


def write_until_killed(directory: Path, round_: int) -> list[tuple[str, str]]:
    """Let the writer run, kill it at a random moment, and return what it was told is done."""
    command = [sys.executable, "-m", "support.store_crash_writer", str(directory), str(round_)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random.uniform(0.02, 0.6))
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    lines = (first + rest).decode().splitlines(keepends=True)
    words = [line.split() for line in lines if line.endswith("\n")]
    return [(line[0], line[1]) for line in words if line[0] in {"account", "added", "removed"}]


async def find_tokens(store: MailStore, name: str) -> Counter[str]:
    account = await store.find_account(f"{name}@example.org")
    if account is None:
        return Counter()
    messages = (await store.read_contents((await find_inbox(store, account.id)).id)).messages
    assert (await store.read_usage(account.id)).size_bytes == sum(message.size_bytes for message in messages)
    tokens: Counter[str] = Counter()
    for message in messages:
        body = await store.read_body(message.body_id)
        assert body is not None
        assert len(body) == message.size_bytes
        tokens[body.split()[1].decode()] += 1
    return tokens


async def test_kill_loses_nothing_that_was_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    for round_ in range(ROUNDS):
        said += write_until_killed(tmp_path, round_)
    added = {token for what, token in said if what == "added"}
    removed = {token for what, token in said if what == "removed"}
    names = [token for what, token in said if what == "account"]
    assert len(added) > ROUNDS

    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path)
        await store.start(stack)
        found: Counter[str] = Counter()
        for name in names:
            assert await store.find_account(f"{name}@example.org") is not None
            found += await find_tokens(store, name)

    assert max(found.values()) == 1
    missing = added - removed - set(found)
    # A kill may fall between the commit of a removal and its line; each sender has one such moment a round.
    assert len(missing) <= ROUNDS * 8
    assert all(was_last_of_its_sender(token, said) for token in missing), missing
    assert not removed & set(found)
    with closing(sqlite3.connect(tmp_path / "mail.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        (in_files,) = connection.execute("SELECT count(*) FROM body WHERE rest IS NULL").fetchone()
        (unused,) = connection.execute(
            "SELECT count(*) FROM body WHERE id NOT IN (SELECT body_id FROM message)"
        ).fetchone()
    assert unused == 0
    assert in_files == len(list((tmp_path / "bodies").iterdir()))


def was_last_of_its_sender(token: str, said: list[tuple[str, str]]) -> bool:
    """Tell whether the last line of a token's sender is one after which it removes a message."""
    sender = token.partition("n")[0]
    what, last = [line for line in said if line[1].partition("n")[0] == sender][-1]
    return what == "added" and int(last.partition("n")[2]) % 4 == 0


def test_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.store_full_disk", str(tmp_path)]

    done = subprocess.run(command, cwd=TESTS, capture_output=True, check=True, timeout=20)

    report = json.loads(done.stdout.decode().splitlines()[-1])
    assert report["small"] > 0
    assert report["small_refused"] > 0
    assert report["large"] == 0
    assert report["after_refused"] == 0
    assert report["stored"] == report["readable"] == report["expected"]
    assert report["used_bytes"] == report["size_bytes"]
    assert report["files"] == report["large_stored"] == 40
