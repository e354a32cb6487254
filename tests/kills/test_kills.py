"""The program, killed at any moment under 16 senders at full rate: it loses nothing, and doubles nothing.

Needs no machines: the node runs on loopback, and is started again on what the kill has left. Each sender has
a new account in each round, which is made by its login. KILL_ROUNDS: how often it is killed.
"""

import os
import random
import secrets
import smtplib
import sqlite3
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailnode.store.checking import check_store
from support.clocks import wait_until
from support.mailnode_process import HOST, RunningNode, running_node
from support.openpgp_messages import armored, encrypted_mail, real_packets

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
SENDERS = 16
SOON_SECONDS = 30
PASSWORD = "q3XjW8rT0pLkV5nBz7MdYs"
"""As Delta Chat makes them: a keyed hash is enough, so that many accounts are made at once."""
ARMOR = armored(real_packets(5000))
TLS = ssl._create_unverified_context()  # noqa: S323, SLF001 - the certificate is self-signed


@dataclass
class Promises:
    """What clients were told is done: accounts by their address, messages by their id."""

    accounts: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def send_until_killed(node: RunningNode, name: str, promises: Promises) -> None:
    """Send to oneself at full rate; a message whose answer did not come is not sent again."""
    address = f"{name}@[{HOST}]"
    try:
        port = node.ports["SMTP_TLS_PORT"]
        with smtplib.SMTP_SSL(HOST, port, context=TLS, timeout=SOON_SECONDS) as client:
            client.login(address, PASSWORD)
            promises.accounts.append(address)
            while True:
                message_id = f"{secrets.token_hex(12)}@example.org"
                client.sendmail(address, [address], bytes(encrypted_mail(ARMOR, address, message_id)))
                promises.messages.append(message_id)
    except (OSError, smtplib.SMTPException):
        return


def run_round(directory: Path, number: int, promises: Promises) -> None:
    """Start the node on what there is, let all send, and kill it at a random moment."""
    before = len(promises.messages)
    names = [f"sender{sender:02}r{number}" for sender in range(SENDERS)]
    unlimited = running_node(directory, MESSAGES_PER_MINUTE=0, NEW_ACCOUNTS_PER_MINUTE=0)
    with unlimited as node, ThreadPoolExecutor(SENDERS) as threads:
        sending = [threads.submit(send_until_killed, node, name, promises) for name in names]
        wait_until(lambda: len(promises.messages) - before > SENDERS, SOON_SECONDS)
        time.sleep(random.uniform(0, 0.7))
        node.process.kill()
        for each in sending:
            each.result()
        assert node.process.wait() < 0  # it was still there to be killed


def read_accounts(store: Path) -> set[str]:
    with closing(sqlite3.connect(store / "mail.sqlite3")) as connection:
        return {address for (address,) in connection.execute("SELECT address FROM account")}


def read_message_ids(store: Path) -> Iterator[str]:
    """Read the id of each message that a mailbox holds."""
    with closing(sqlite3.connect(store / "mail.sqlite3")) as connection:
        rows = connection.execute("SELECT header FROM message JOIN body ON body.id = body_id")
        for (header,) in rows:
            yield header.decode().partition("Message-ID: <")[2].partition(">")[0]


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_whatever_was_acknowledged_is_found_exactly_once_after_each_kill(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    store = tmp_path / "state/mail"
    promises = Promises()
    for number in range(ROUNDS):
        run_round(tmp_path, number, promises)

        report = check_store(store)
        assert report.faults == ()
        assert set(promises.accounts) <= read_accounts(store)
        found = Counter(read_message_ids(store))
        assert [message_id for message_id in promises.messages if found[message_id] != 1] == []
        assert set(found.values()) == {1}
    counts = f"{len(promises.accounts)} accounts and {len(promises.messages)} messages acknowledged"
    show(f"{ROUNDS} kills, {counts}, 0 lost, 0 doubled")
