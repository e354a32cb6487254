"""A store that is filled until something cuts it off, and what it must hold afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from mailnode.store.checking import check_store
from mailnode.store.mail_store import MailStore
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_crash_writer import SENDERS
from support.store_mail import find_inbox

TESTS = Path(__file__).parent.parent
"""Where `python -m support.…` finds its module."""

SAID = {"account", "added", "removed"}
Said = tuple[str, str]
"""What the store has acknowledged: `account`, `added` or `removed`, and of what."""

Cut = Callable[["subprocess.Popen[bytes]"], None]


def kill(writer: "subprocess.Popen[bytes]") -> None:
    """End the process at once."""
    writer.send_signal(signal.SIGKILL)


def stop_and_then(cut: Callable[[], None]) -> Cut:
    """Stop the process before a cut and end it after: a computer without power answers nothing any more."""

    def cut_off(writer: "subprocess.Popen[bytes]") -> None:
        writer.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
        cut()
        writer.send_signal(signal.SIGKILL)

    return cut_off


def write_until(cut: Cut, directory: Path, round_: int) -> list[Said]:
    """Let the writer run, cut it off at a random moment, and return what it was told is done."""
    command = [sys.executable, "-m", "support.store_crash_writer", str(directory), str(round_)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random.uniform(0.02, 0.6))
        cut(writer)
        rest = writer.stdout.read()
    lines = (first + rest).decode().splitlines(keepends=True)
    words = [line.split() for line in lines if line.endswith("\n")]
    # The store's log goes there, too.
    return [(line[0], line[1]) for line in words if len(line) == 2 and line[0] in SAID]


async def check_promises(directory: Path, said: list[Said], rounds: int) -> None:
    """See that all that was acknowledged in so many rounds is there exactly once, and the store is whole."""
    added = {token for what, token in said if what == "added"}
    removed = {token for what, token in said if what == "removed"}
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        found: Counter[str] = Counter()
        for name in [token for what, token in said if what == "account"]:
            assert await store.find_account(f"{name}@example.org") is not None
            found += await _find_tokens(store, name)

    assert max(found.values()) == 1
    missing = added - removed - set(found)
    # A cut may fall between the commit of a removal and its line; each sender has one such moment a round.
    assert len(missing) <= rounds * SENDERS
    assert all(_was_last_of_its_sender(token, said) for token in missing), missing
    assert not removed & set(found)
    assert check_store(directory, repair=True).faults == ()


async def _find_tokens(store: MailStore, name: str) -> Counter[str]:
    account = await store.find_account(f"{name}@example.org")
    assert account is not None
    messages = (await store.read_contents((await find_inbox(store, account.id)).id)).messages
    assert (await store.read_usage(account.id)).size_bytes == sum(message.size_bytes for message in messages)
    tokens: Counter[str] = Counter()
    for message in messages:
        body = await store.read_body(message.body_id)
        assert body is not None
        assert len(body) == message.size_bytes
        tokens[body.split()[1].decode()] += 1
    return tokens


def _was_last_of_its_sender(token: str, said: list[Said]) -> bool:
    """Tell whether the last line of a token's sender is one after which it removes a message."""
    sender = token.partition("n")[0]
    what, last = [line for line in said if line[1].partition("n")[0] == sender][-1]
    return what == "added" and int(last.partition("n")[2]) % 4 == 0
