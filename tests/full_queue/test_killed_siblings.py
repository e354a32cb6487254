"""Two nodes of one fleet as programs, each killed while one hands its queue over to the other."""

import smtplib
import sqlite3
from collections import Counter
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.states import SiblingNode
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support.clocks import wait_until
from support.cut_off_node import enrol, make_identity
from support.mail_clients import trusting_context
from support.mailnode_process import HOST, RunningNode, running_node
from support.openpgp_messages import armored, encrypted_mail, real_packets
from support.peering_site import find_free_port

PASSWORD = "correct horse battery"
ALICE, BOB = "alice123@one.example", "bob56789@two.example"
MESSAGES = 90
LONGEST_SECONDS = 30

pytestmark = pytest.mark.timeout(4 * LONGEST_SECONDS)


@dataclass
class Place:
    """A node on disk; it runs when it is told."""

    name: str
    directory: Path

    def __post_init__(self) -> None:
        self.port = find_free_port()
        self.state = self.directory / "state"
        self.state.mkdir(parents=True)
        self.certificate, self.key = make_certificate(self.directory, HOST, label="kept")

    def describe(self) -> SiblingNode:
        """Say what the control plane would tell the other."""
        return SiblingNode(
            name=self.name,
            mail_domain=f"{self.name}.example",
            host=HOST,
            port=self.port,
            public_key=make_identity(self.state),
            tls_pin=read_spki_pin(self.certificate),
        )

    def running(self) -> AbstractContextManager[RunningNode]:
        """Run the node; at the end of the block it is killed."""
        return running_node(
            self.directory,
            log=self.directory / "log",
            opens_registration=False,
            MAIL_DOMAIN=f"{self.name}.example",
            HTTPS_PORT=self.port,
            TLS_CERTIFICATE=self.certificate,
            TLS_KEY=self.key,
            MESSAGES_PER_MINUTE=0,
        )

    def count(self, table: str) -> int:
        """Count what the node has on disk at this moment."""
        path = self.state / "mail" / "mail.sqlite3"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            found: int = reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - a test's own
        reader.close()
        return found

    async def count_message_ids(self) -> Counter[bytes]:
        """Count what has arrived, by its Message-ID."""
        found: Counter[bytes] = Counter()
        async with AsyncExitStack() as stack:
            store = SqliteMailStore(self.state / "mail")
            await store.start(stack)
            account = await store.find_account(BOB)
            assert account is not None
            (inbox,) = await store.list_mailboxes(account.id)
            for message in (await store.read_contents(inbox.id)).messages:
                header = await store.read_header(message.body_id) or b""
                found[header.partition(b"Message-ID: <")[2].partition(b">")[0]] += 1
        return found


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Place, Place]:
    one, two = Place("one", tmp_path / "one"), Place("two", tmp_path / "two")
    enrol(one.state, None, node="one", siblings=[two.describe()])
    enrol(two.state, None, node="two", siblings=[one.describe()])
    return one, two


def submit(node: RunningNode, count: int) -> None:
    armor = armored(real_packets(30_000))
    port = node.ports["SMTP_TLS_PORT"]
    with smtplib.SMTP_SSL(HOST, port, context=trusting_context(), timeout=LONGEST_SECONDS) as client:
        client.login(ALICE, PASSWORD)
        for number in range(count):
            client.sendmail(ALICE, BOB, bytes(encrypted_mail(armor, ALICE, f"{number}@localhost")))


async def add_recipient(place: Place) -> None:
    """Make the account that gets it all; nobody logs in to it."""
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(place.state / "mail")
        await store.start(stack)
        await store.add_account(BOB, "!", 1)


@pytest.mark.anyio
async def test_killed_nodes_lose_nothing_and_repeat_nothing(pair: tuple[Place, Place]) -> None:
    one, two = pair
    await add_recipient(two)
    with one.running() as node:
        submit(node, MESSAGES)
        assert one.count("outgoing") == MESSAGES  # the other is not there
        with two.running():
            wait_until(lambda: two.count("message") >= MESSAGES // 4, LONGEST_SECONDS)
        with two.running():
            wait_until(lambda: two.count("message") >= MESSAGES // 2, LONGEST_SECONDS)
            node.process.kill()
            node.process.wait()
            left = one.count("outgoing")
            with one.running():
                wait_until(lambda: not one.count("outgoing"), LONGEST_SECONDS)

    assert left > 0
    assert await two.count_message_ids() == Counter(b"%d@localhost" % number for number in range(MESSAGES))
