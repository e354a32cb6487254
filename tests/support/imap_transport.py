"""A session without a network: bytes in, bytes out, and a server behind it that never sleeps."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.imap.limits import SessionLimits
from mailnode.imap.server import ImapServer
from mailnode.store.mail_store import AccountId, BodyId, Mailbox, MailboxContents, MailboxId
from support.imap_server import ALICE, DOMAIN, HOST, NOW_SECONDS, PASSWORD, FixedMetadata, refuse_plain_words
from support.store_memory import MemoryMailStore


class SlowStore(MemoryMailStore):
    """A store whose readers leave the loop, as those of large messages do; it tells who watches."""

    @property
    def watcher_count(self) -> int:
        return sum(map(len, self._watchers.values()))

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox | None:
        await asyncio.sleep(0)
        return await super().find_mailbox(account_id, name)

    async def read_contents(self, mailbox_id: MailboxId) -> MailboxContents:
        await asyncio.sleep(0)
        return await super().read_contents(mailbox_id)

    async def read_body(self, body_id: BodyId) -> bytes | None:
        await asyncio.sleep(0)
        return await super().read_body(body_id)


class RecordingTransport(asyncio.Transport):
    """Keeps what is written; a test may say how much of it is unsent."""

    def __init__(self) -> None:
        super().__init__({"peername": (HOST, 1)})
        self.written = b""
        self.unsent_bytes = 0
        self.is_paused = False
        self.is_closed = False
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def pause_reading(self) -> None:
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self) -> None:
        assert self.is_paused
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class Line:
    """A connection of the server's, and its transport."""

    def __init__(self, server: ImapServer) -> None:
        self.transport = RecordingTransport()
        self.protocol = server.build_protocol(is_secure=True)
        self.protocol.connection_made(self.transport)

    def hang_up(self) -> None:
        self.protocol.connection_lost(None)

    async def say(self, data: bytes, expected: bytes) -> bytes:
        """Feed bytes; return what is written up to and with what is expected."""
        self.protocol.data_received(data)
        async with asyncio.timeout(10):
            while expected not in self.transport.written and not self.transport.is_closed:  # noqa: ASYNC110 - there is nothing to wait on but the bytes
                await asyncio.sleep(0)
        written, self.transport.written = self.transport.written, b""
        return written

    async def log_in(self) -> None:
        assert b"log OK" in await self.say(f'log LOGIN {ALICE} "{PASSWORD}"\r\n'.encode(), b"log ")


@asynccontextmanager
async def running_server(
    limits: SessionLimits | None = None,
) -> AsyncIterator[tuple[ImapServer, SlowStore]]:
    async with AsyncExitStack() as stack:
        store = SlowStore()
        accounts = Accounts(
            store=store,
            policy=PolicyHolder(Policy(message_bytes=5_000)),
            domain=DOMAIN,
            hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
            creation_limit=None,
            failure_limit=None,
        )
        await accounts.start(stack)
        server = ImapServer(
            accounts=accounts,
            store=store,
            metadata=FixedMetadata(),
            hostname="mail.example.org",
            tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            append_gate=refuse_plain_words,
            limits=limits,
            clock_seconds=lambda: NOW_SECONDS,
        )
        await server.start(stack)
        yield server, store
