"""A session without a network: bytes go in as they are cut, and what is answered comes out.

The wire is a fake of asyncio's transport; everything else is the product. It counts as secure, so that
everything can be said on it.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.smtp.server import SmtpLimits, SmtpServer
from mailnode.store.mail_store import INBOX
from support.openpgp_messages import ALICE, BOB
from support.store_memory import MemoryMailStore

DOMAIN = "example.org"
SOON_SECONDS = 10


class Wire(asyncio.Transport):
    """What a session writes to; it takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.written = bytearray()
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        if not self.closed.is_set() and self.protocol is not None:
            self.closed.set()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        """Nothing to do: whoever feeds the session has its bytes in memory anyway."""

    def resume_reading(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a dialogue led to."""

    answers: bytes
    delivered: list[bytes]


def hold_dialogue(chunks: Sequence[bytes], policy: Policy | None = None) -> Outcome:
    """Say these bytes in these pieces, then close the client's side; ALICE and BOB have accounts."""
    return asyncio.run(_hold_dialogue(chunks, policy or Policy()))


async def _hold_dialogue(chunks: Sequence[bytes], policy: Policy) -> Outcome:
    async with AsyncExitStack() as stack:
        store = MemoryMailStore()
        hasher = PasswordHasher(memory_kib=8, time_cost=1, threads=1)
        accounts = Accounts(store=store, policy=PolicyHolder(policy), domain=DOMAIN, hasher=hasher)
        await accounts.start(stack)
        for address in (ALICE, BOB):
            await store.add_account(address, "no hash", 0)
        server = SmtpServer(
            accounts=accounts,
            store=store,
            hostname="mail.example.org",
            tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            limits=SmtpLimits(mail_rate=None),
        )
        await server.start(stack)
        wire = Wire()
        wire.protocol = server.build_protocol(is_secure=True)
        wire.protocol.connection_made(wire)
        for chunk in chunks:
            if wire.is_closing():
                break
            wire.protocol.data_received(chunk)
            await asyncio.sleep(0)
        if not wire.is_closing():
            wire.protocol.eof_received()
        async with asyncio.timeout(SOON_SECONDS):
            await wire.closed.wait()
        account = await store.find_account(BOB)
        assert account is not None
        inbox = await store.find_mailbox(account.id, INBOX)
        assert inbox is not None
        contents = await store.read_contents(inbox.id)
        bodies = [await store.read_body(message.body_id) for message in contents.messages]
        return Outcome(bytes(wire.written), [body for body in bodies if body is not None])
