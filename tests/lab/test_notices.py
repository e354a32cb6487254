"""Why notices are not offered: what real core does with every form of message that a server can write itself.

Services on loopback that judge nothing deliver each form; no gate stands between it and core.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.imap.server import ImapServer
from mailnode.smtp.delivery_report import write_report
from mailnode.smtp.server import SmtpServer
from mailnode.store.mail_store import Account, Recipient
from self_signed import make_certificate
from support.deltachat import Client, open_core
from support.lab import NEWEST_CORE
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.lab

HOST = "127.0.0.1"
DOMAIN = f"[{HOST}]"
MARK = "Maintenance tonight"
LOGIN = (
    "dclogin:{name}@{domain}?p=correct+horse&v=1&ih={host}&ip={imap}&is=ssl&sh={host}&sp={smtp}&ss=ssl&ic=3"
)

Services = tuple[Accounts, MemoryMailStore, list[int]]
Deliver = Callable[[bytes], None]


class Metadata:
    """METADATA with a notice in the comment."""

    def read(self, account: Account) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's signature
        return {"/shared/comment": MARK, "/shared/admin": "mailto:admin@example.org"}


@asynccontextmanager
async def open_services(certificate: tuple[Path, Path]) -> AsyncIterator[Services]:
    """Serve IMAP and SMTP; tell at which ports."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    store = MemoryMailStore()
    accounts = Accounts(store=store, policy=PolicyHolder(Policy()), domain=DOMAIN, creation_limit=None)
    imap = ImapServer(
        accounts=accounts,
        store=store,
        metadata=Metadata(),
        hostname=HOST,
        tls=tls,
        append_gate=lambda _: None,
    )
    smtp = SmtpServer(accounts=accounts, store=store, hostname=HOST, tls=tls)
    ports = []
    async with AsyncExitStack() as stack:
        await accounts.start(stack)
        for part in (imap, smtp):
            await part.start(stack)
            build = partial(part.build_protocol, is_secure=True)
            server = await asyncio.get_running_loop().create_server(build, HOST, 0, ssl=tls)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        yield accounts, store, ports


@pytest.fixture
def people(tmp_path: Path) -> Iterator[tuple[Client, Client, Deliver]]:
    """Two clients that know one another, and what puts a message into the inbox of the first."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_services(make_certificate(tmp_path, HOST))) as services,
        open_core([NEWEST_CORE], tmp_path / "core") as core,
    ):
        accounts, store, (imap, smtp) = services
        clients = []
        for name in ("alice1234", "bobby1234"):
            client = core.add_client()
            client.configure_by_qr(LOGIN.format(name=name, domain=DOMAIN, host=HOST, imap=imap, smtp=smtp))
            clients.append(client)
        alice, bob = clients
        bob.join(alice.invite())

        async def deliver(message: bytes) -> None:
            account = await accounts.find_recipient(alice.address)
            assert account is not None
            recipient = Recipient(account.id, accounts.quota_of(account))
            assert not await store.deliver([recipient], message, int(time.time()))

        yield alice, bob, lambda message: portal.call(deliver, message)


def write(number: int, sender: str, recipient: str, *fields: str) -> bytes:
    header = (
        f"From: Admin <{sender}>",
        f"To: <{recipient}>",
        f"Subject: {MARK}",
        "Date: Sun, 29 Nov 2026 20:00:00 +0000",
        f"Message-ID: <notice-{number}@example.org>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        *fields,
    )
    return "\r\n".join((*header, "", f"{MARK}.", "")).encode()


def test_core_shows_no_message_that_a_server_can_write(people: tuple[Client, Client, Deliver]) -> None:
    alice, bob, deliver = people
    admin = f"admin@{DOMAIN}"
    forms = [
        (admin,),
        (admin, "Auto-Submitted: auto-generated"),
        (admin, "Chat-Version: 1.0"),
        (admin, "List-Id: News <news.example.org>", "Precedence: list"),
        (alice.address,),
        (bob.address, "Chat-Version: 1.0"),
        (f"mailer-daemon@{DOMAIN}", "Auto-Submitted: auto-replied"),
    ]
    for number, (sender, *fields) in enumerate(forms):
        deliver(write(number, sender, alice.address, *fields))
    refused = {bob.address: "Mailbox full"}
    lost = write(99, alice.address, bob.address)
    deliver(
        write_report(
            domain=DOMAIN, sender=alice.address, refused=refused, message=lost, now_seconds=time.time()
        )
    )
    # The same words as people may send them: core has looked at all that came before, and shows this one.
    bob.send(bob.chat_with(alice.address), f"{MARK}, says Bob")
    alice.wait_for_message(f"{MARK}, says Bob")

    found = alice.rpc.search_messages(alice.account, MARK, None)
    texts = [alice.rpc.get_message(alice.account, message)["text"] for message in found]
    assert texts == [f"{MARK}, says Bob"]
    assert MARK in str(alice.rpc.get_info(alice.account)["imap_server_comment"])  # it was read,
    assert MARK not in alice.rpc.get_connectivity_html(alice.account)  # and is shown to developers only
