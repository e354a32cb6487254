"""An SMTP server on loopback with a store in memory, and a client that speaks to it in raw bytes."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.smtp.server import SmtpLimits, SmtpServer
from mailnode.store.mail_store import INBOX, Account
from mailnode.tls_listener import serve
from self_signed import make_certificate
from support.openpgp_messages import ALICE, BOB
from support.store_memory import MemoryMailStore

HOST = "127.0.0.1"
DOMAIN = "example.org"
PASSWORD = "correct horse battery"
SOON_SECONDS = 10
NOW_SECONDS = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its code, and its lines without code."""

    code: int
    lines: list[str]

    @property
    def text(self) -> str:
        return self.lines[-1]

    @property
    def status(self) -> str:
        """The enhanced status code."""
        return self.text.partition(" ")[0]


class Client:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> Reply:
        """Read one reply, checking its form. Raises: ConnectionError when the connection is closed."""
        lines: list[str] = []
        while True:
            async with asyncio.timeout(SOON_SECONDS):
                line = await self.reader.readline()
            if not line:
                raise ConnectionError(f"closed after {lines}")
            assert line.endswith(b"\r\n"), line
            assert line[:3].isdigit(), line
            assert line[3:4] in (b" ", b"-"), line
            assert len(line) <= 512, line
            lines.append(line[4:-2].decode("ascii"))
            if line[3:4] == b" ":
                return Reply(int(line[:3]), lines)

    async def ask(self, command: bytes | str) -> Reply:
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return await self.reply()

    async def codes(self, *commands: str) -> list[int]:
        return [(await self.ask(command)).code for command in commands]

    async def log_in(self, address: str = ALICE, password: str = PASSWORD) -> Reply:
        plain = b64encode(f"\0{address}\0{password}".encode()).decode()
        return await self.ask(f"AUTH PLAIN {plain}")

    async def open_mail(self, *recipients: str, sender: str = ALICE, parameters: str = "") -> None:
        """Go as far as DATA's 354."""
        assert (await self.ask(f"MAIL FROM:<{sender}>{parameters}")).code == 250
        for recipient in recipients or (BOB,):
            reply = await self.ask(f"RCPT TO:<{recipient}>")
            assert reply.code == 250, reply
        assert (await self.ask("DATA")).code == 354

    async def submit(self, message: bytes, *recipients: str, sender: str = ALICE) -> Reply:
        """Send a message as it should be sent: dots stuffed."""
        await self.open_mail(*recipients, sender=sender)
        self.send((b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        return await self.reply()

    async def rest(self) -> bytes:
        """Read until the connection is closed, cleanly or not."""
        received = b""
        try:
            async with asyncio.timeout(SOON_SECONDS):
                while data := await self.reader.read(65_536):
                    received += data
        except (ConnectionError, ssl.SSLError):
            pass  # closing with unread data behind it resets the connection
        return received


class SmtpSite:
    """The server with everything around it."""

    def __init__(
        self,
        server: SmtpServer,
        accounts: Accounts,
        store: MemoryMailStore,
        stack: AsyncExitStack,
        tls: ssl.SSLContext,
    ) -> None:
        self.server = server
        self.accounts = accounts
        self.store = store
        self.stack = stack
        self.client_tls = tls
        self.tls_port = 0
        self.plain_port = 0

    async def connect(self, *, is_secure: bool = True) -> Client:
        """Connect, without waiting for the greeting."""
        port, context = (self.tls_port, self.client_tls) if is_secure else (self.plain_port, None)
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        self.stack.callback(writer.close)  # uvloop's TLS transport does not count as closed by abort()
        self.stack.callback(writer.transport.abort)
        return Client(reader, writer)

    async def greeted(self, *, is_secure: bool = True) -> Client:
        client = await self.connect(is_secure=is_secure)
        assert (await client.reply()).code == 220
        assert (await client.ask("EHLO [127.0.0.1]")).code == 250
        return client

    async def user(self, address: str = ALICE) -> Client:
        """Connect and log in; the account and BOB's exist."""
        await self.account(BOB)
        client = await self.greeted()
        reply = await client.log_in(address)
        assert reply.code == 235, reply
        return client

    async def account(self, address: str) -> Account:
        account = await self.store.find_account(address)
        if account is None:
            account = await self.accounts.log_in(address, PASSWORD, HOST)
        return account

    async def inbox(self, address: str = BOB) -> list[bytes]:
        """Read all messages in an account's INBOX."""
        account = await self.account(address)
        mailbox = await self.store.find_mailbox(account.id, INBOX)
        assert mailbox is not None
        contents = await self.store.read_contents(mailbox.id)
        bodies = [await self.store.read_body(message.body_id) for message in contents.messages]
        return [body for body in bodies if body is not None]


@asynccontextmanager
async def running_site(
    directory: Path,
    *,
    policy: Policy | None = None,
    limits: SmtpLimits | None = None,
    store: MemoryMailStore | None = None,
    monotonic_ns: Callable[[], int] = lambda: 0,
) -> AsyncIterator[SmtpSite]:
    """Run a server until the context ends; connections that are open then are cut off."""
    certificate, key = directory / "smtp.crt", directory / "smtp.key"
    if not certificate.exists():
        make_certificate(directory, HOST, label="smtp")
    async with AsyncExitStack() as stack:
        store = MemoryMailStore() if store is None else store
        accounts = Accounts(
            store=store,
            policy=PolicyHolder(policy or Policy()),
            domain=DOMAIN,
            hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
            creation_limit=None,
            failure_limit=None,
        )
        await accounts.start(stack)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        server = SmtpServer(
            accounts=accounts,
            store=store,
            hostname="mail.example.org",
            tls=tls,
            limits=limits or SmtpLimits(mail_rate=None),
            clock_seconds=lambda: NOW_SECONDS,
            monotonic_ns=monotonic_ns,
        )
        site = SmtpSite(server, accounts, store, stack, ssl.create_default_context(cafile=str(certificate)))
        loop = asyncio.get_running_loop()
        await server.start(stack)
        listener = socket.create_server((HOST, 0))
        site.tls_port = listener.getsockname()[1]
        secure = await serve(listener, lambda: server.build_protocol(is_secure=True), tls)
        plain = await loop.create_server(lambda: server.build_protocol(is_secure=False), HOST, 0)
        stack.callback(secure.close)
        stack.callback(plain.close)
        site.plain_port = plain.sockets[0].getsockname()[1]
        yield site
