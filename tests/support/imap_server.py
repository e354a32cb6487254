"""An IMAP server on loopback with a store in memory, and a client that speaks to it in raw lines."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.imap.errors import AppendRefusedError
from mailnode.imap.server import ImapServer, SessionLimits
from mailnode.store.mail_store import INBOX, Account, Mailbox, Recipient, Uid
from mailnode.tls_listener import serve
from support.store_memory import MemoryMailStore

HOST = "127.0.0.1"
DOMAIN = "example.org"
ALICE = "alice1234@example.org"
PASSWORD = "correct horse battery"
SOON_SECONDS = 10
NOW_SECONDS = 1_700_000_000
REFUSED_WORD = b"in plain sight"
SIMPLE = b"From: bob@example.org\r\nSubject: Hello\r\n\r\nText\r\n"

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class FixedMetadata:
    """What the node tells: a few entries that a test may change."""

    def __init__(self) -> None:
        self.entries = {
            "/shared/admin": "mailto:admin@example.org",
            "/shared/vendor/deltachat/turn": "t:1:2:3",
        }

    def read(self, account: Account) -> Mapping[str, str]:
        return {**self.entries, "/shared/vendor/account": account.address}


def refuse_plain_words(message: bytes) -> None:
    """A gate that can be told from every other refusal."""
    if REFUSED_WORD in message:
        raise AppendRefusedError("Encryption Needed: Invalid Unencrypted Mail")


class Client:
    """One connection to the server, in lines of bytes without their ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._tags = 0

    async def line(self) -> bytes:
        """Read a response with its literals; empty when the connection is closed."""
        async with asyncio.timeout(SOON_SECONDS):
            whole = b""
            while True:
                line = await self.reader.readline()
                whole += line
                found = _LITERAL.search(line)
                if found is None:
                    return whole.removesuffix(b"\r\n")
                whole += await self.reader.readexactly(int(found[1]))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, command: bytes) -> list[bytes]:
        """Send a command; return what comes up to its completion, which comes last and without its tag."""
        self._tags += 1
        tag = b"a%d" % self._tags
        self.send(tag + b" " + command + b"\r\n")
        return await self.answer(tag)

    async def answer(self, tag: bytes) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = await self.line()
            if not line:
                raise ConnectionError(b"closed after " + b"; ".join(lines))
            if line.startswith(tag + b" "):
                return [*lines, line.removeprefix(tag + b" ")]
            lines.append(line)

    async def ok(self, command: bytes) -> list[bytes]:
        """Send a command that must succeed; return what came before its completion."""
        *lines, completion = await self.ask(command)
        assert completion.startswith(b"OK"), completion
        return lines

    async def refused(self, command: bytes) -> bytes:
        """Send a command that must not succeed; return the completion."""
        completion = (await self.ask(command))[-1]
        assert not completion.startswith(b"OK"), completion
        return completion

    async def log_in(self, address: str = ALICE) -> None:
        await self.ok(f'LOGIN {address} "{PASSWORD}"'.encode())

    async def rest(self) -> bytes:
        """Read until the connection is closed, cleanly or not."""
        received = b""
        try:
            async with asyncio.timeout(SOON_SECONDS):
                while data := await self.reader.read(65_536):
                    received += data
        except ConnectionError:
            pass  # closing with unread data behind it resets the connection
        return received


class ImapSite:
    """The server with everything around it, and ways to get at each."""

    def __init__(
        self, server: ImapServer, accounts: Accounts, store: MemoryMailStore, stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.accounts = accounts
        self.store = store
        self.stack = stack
        self.server_stack = AsyncExitStack()
        self.metadata = FixedMetadata()
        self.tls_port = 0
        self.plain_port = 0
        self.client_tls: ssl.SSLContext | None = None

    async def connect(self, *, is_secure: bool = True, limit: int = 1 << 26) -> Client:
        """Connect and take the greeting."""
        client = await self.connect_silently(is_secure=is_secure, limit=limit)
        assert (await client.line()).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
        return client

    async def connect_silently(self, *, is_secure: bool = True, limit: int = 1 << 26) -> Client:
        port = self.tls_port if is_secure else self.plain_port
        context = self.client_tls if is_secure else None
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context, limit=limit)
        self.stack.callback(writer.transport.abort)  # close alone would wait for the server
        self.stack.callback(writer.close)
        return Client(reader, writer)

    async def user(self, address: str = ALICE) -> Client:
        """Connect and log in."""
        client = await self.connect()
        await client.log_in(address)
        return client

    async def reader(self, address: str = ALICE) -> Client:
        """Connect, log in and select INBOX."""
        client = await self.user(address)
        await client.ok(b"SELECT INBOX")
        return client

    async def account(self, address: str = ALICE) -> Account:
        account = await self.store.find_account(address)
        if account is None:
            account = await self.accounts.log_in(address, PASSWORD, HOST)
        return account

    async def deliver(self, *messages: bytes, address: str = ALICE) -> None:
        account = await self.account(address)
        recipient = Recipient(account.id, self.accounts.quota_of(account))
        for message in messages:
            assert not await self.store.deliver([recipient], message, NOW_SECONDS)

    async def inbox(self, address: str = ALICE) -> Mailbox:
        mailbox = await self.store.find_mailbox((await self.account(address)).id, INBOX)
        assert mailbox is not None
        return mailbox

    async def uids(self, address: str = ALICE) -> list[Uid]:
        contents = await self.store.read_contents((await self.inbox(address)).id)
        return [message.uid for message in contents.messages]


@asynccontextmanager
async def running_site(
    certificate: Path,
    *,
    policy: Policy | None = None,
    limits: SessionLimits | None = None,
    turn_seconds: float = 1,
    clock_seconds: Callable[[], float] = lambda: NOW_SECONDS,
) -> AsyncIterator[ImapSite]:
    """Run a server until the context ends; connections that are open then are cut off."""
    async with AsyncExitStack() as stack:
        store = MemoryMailStore()
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
        tls.load_cert_chain(certificate)
        metadata = FixedMetadata()
        server = ImapServer(
            accounts=accounts,
            store=store,
            metadata=metadata,
            hostname="mail.example.org",
            tls=tls,
            append_gate=refuse_plain_words,
            limits=limits,
            clock_seconds=clock_seconds,
            turn_seconds=turn_seconds,
        )
        site = ImapSite(server, accounts, store, stack)
        site.metadata = metadata
        site.client_tls = ssl.create_default_context(cafile=str(certificate))
        loop = asyncio.get_running_loop()
        await server.start(await stack.enter_async_context(site.server_stack))
        listener = socket.create_server((HOST, 0))
        site.tls_port = listener.getsockname()[1]
        secure = await serve(listener, lambda: server.build_protocol(is_secure=True), tls)
        plain = await loop.create_server(lambda: server.build_protocol(is_secure=False), HOST, 0)
        stack.callback(secure.close)
        stack.callback(plain.close)
        site.plain_port = plain.sockets[0].getsockname()[1]
        yield site


def write_certificate(path: Path) -> Path:
    """Write a certificate for loopback, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key_bytes + certificate.public_bytes(pem))
    return path
