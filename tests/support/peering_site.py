"""Mail servers that are not of one fleet, on loopback: a name server, our nodes, and far sides of others."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import h11
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.accounts.rate_limit import RateLimit, RateLimiter
from mailnode.dkim.key_ring import write_key_record
from mailnode.dkim.signing import SigningKey
from mailnode.federation.door import Door
from mailnode.federation.endpoint import build_entries
from mailnode.federation.inbound import Inbound
from mailnode.federation.outbound import Outbound
from mailnode.federation.siblings import Siblings
from mailnode.federation.transport import Transport
from mailnode.http.app import create_app
from mailnode.http.express import Express
from mailnode.http.protocol import HttpServer
from mailnode.peering.courier import Courier
from mailnode.peering.policy import PeerPolicy, PeerPolicyHolder, find_peer
from mailnode.peering.reception import Reception
from mailnode.peering.resolver import Resolver
from mailnode.peering.routes import Ports
from mailnode.peering.smtp_server import PEER_LIMITS, PeerSmtpServer
from mailnode.peering.traffic import Traffic
from mailnode.peering.upload import build_tls_contexts
from mailnode.smtp.server import SmtpLimits, SmtpServer
from mailnode.store.account_register import AccountRegister
from mailnode.store.mail_store import INBOX, Account
from mailnode.tls_listener import serve
from nodelink.contract.keys import PrivateKey
from nodelink.daemon.tls import ServerCertificate
from self_signed import make_certificate
from support.dkim_mails import keys
from support.pages_site import SITE
from support.store_memory import MemoryMailStore

PASSWORD = "correct horse battery"
_ADDRESSES = count(10)


def next_address() -> str:
    """Give an address of loopback that nothing else in this process uses."""
    number = next(_ADDRESSES)
    return f"127.{number >> 8 & 255}.{number & 255}.{1 + time.time_ns() // 1000 % 250}"


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Knows everything about its names; `silent` ones it does not answer, `broken` ones with SERVFAIL."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def say(self, name: str, kind: str, *values: str) -> None:
        if values:
            self.records[name, kind] = [*values]
        else:
            self.records.pop((name, kind), None)

    def publish(self, domain: str, published: Sequence[SigningKey]) -> None:
        self.publish_records(domain, {key.selector: write_key_record(key) for key in published})

    def publish_records(self, domain: str, records: Mapping[str, str]) -> None:
        """Publish what is to stand under selectors of a domain, and nothing else there."""
        for name, kind in [*self.records]:
            if name.endswith(f"._domainkey.{domain}"):
                self.say(name, kind)
        for selector, text in records.items():
            parts = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
            self.say(f"{selector}._domainkey.{domain}", "TXT", parts)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        values = self.records.get((name, kind))
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif values:
            answer.answer.append(dns.rrset.from_text(question.name, 1, "IN", kind, *values))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if values is None or name in self.broken:
            soa = "ns.example. hostmaster.example. 1 1 1 1 1"
            answer.authority.append(dns.rrset.from_text(question.name, 1, "IN", "SOA", soa))
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined] # a datagram transport

    async def start(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = transport.get_extra_info("sockname")[1]
        stack.callback(transport.close)


@dataclass
class Taken:
    """A message as the far side has it."""

    mail_from: str
    recipients: list[str]
    message: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


class FarSession(SMTP):
    """Ends with its client, also when that is gone before the greeting: aiosmtpd's own then stays open."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


@dataclass
class FarSide:
    """A server of others: HTTPS and SMTP with STARTTLS, which answer as a test wants."""

    host: str
    tls: ssl.SSLContext
    ports: Ports
    address: str = field(default_factory=next_address)
    http_answers: list[tuple[int, bytes]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    uploads: list[Taken] = field(default_factory=list)
    letters: list[Taken] = field(default_factory=list)
    fetched: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    connections: int = 0
    offers_tls: bool = True

    async def open_https(self, stack: AsyncExitStack) -> None:
        server = await asyncio.start_server(self._serve_http, self.address, self.ports.https, ssl=self.tls)
        stack.callback(server.close)

    async def open_smtp(self, stack: AsyncExitStack) -> None:
        def build() -> SMTP:
            self.connections += 1
            tls = self.tls if self.offers_tls else None
            return FarSession(self, hostname=self.host, tls_context=tls, loop=asyncio.get_running_loop())

        server = await asyncio.get_running_loop().create_server(build, self.address, self.ports.smtp)
        stack.callback(server.close)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        del server
        assert session.ssl is not None
        content = envelope.content
        assert isinstance(content, bytes)
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("2"):
            self.letters.append(Taken(envelope.mail_from or "", [*envelope.rcpt_tos], content))
        return reply

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        try:
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(65_536))
                elif isinstance(event, h11.Request):
                    head, body = event, b""
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    status, content = self._answer(head, body)
                    answer = h11.Response(status_code=status, headers=[("content-length", str(len(content)))])
                    for part in (answer, h11.Data(content), h11.EndOfMessage()):
                        writer.write(connection.send(part) or b"")
                    await writer.drain()
                    connection.start_next_cycle()
                else:
                    break
        except (OSError, h11.RemoteProtocolError):
            pass
        finally:
            writer.close()

    def _answer(self, head: h11.Request, body: bytes) -> tuple[int, bytes]:
        target = head.target.decode()
        if head.method == b"GET":
            content = self.fetched.get(target)
            return (404, b"") if content is None else (200, content)
        self.requests += 1
        status, content = self.http_answers.pop(0) if self.http_answers else (200, b"OK")
        if 200 <= status < 300:
            headers = [(name.decode(), value.decode()) for name, value in head.headers]
            by_name = [value for name, value in headers if name == "x-mail-to"]
            sender = next((value for name, value in headers if name == "x-mail-from"), "")
            self.uploads.append(Taken(sender, by_name, body, headers))
        return status, content


@dataclass
class PeerStation:
    """A mail node of ours as servers of others see it. A literal's name is its address."""

    domain: str
    resolver: Resolver
    ports: Ports
    ca_file: Path
    tls_files: tuple[Path, Path]
    address: str = field(default_factory=next_address)
    store: AccountRegister = field(default_factory=MemoryMailStore)
    policy: PeerPolicy = field(default_factory=lambda: PeerPolicy(is_enabled=True))
    signing_keys: Sequence[SigningKey] = field(default_factory=keys)
    mail_policy: Policy = field(default_factory=Policy)
    source_limit: RateLimit | None = None
    give_up_seconds: int = 2 * 86_400

    def __post_init__(self) -> None:
        self.now_offset = 0.0
        self.accounts = Accounts(
            store=self.store,
            policy=PolicyHolder(self.mail_policy),
            domain=self.domain,
            hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
            creation_limit=None,
        )
        self.holder = PeerPolicyHolder(self.policy)
        self.traffic = Traffic()
        is_literal = self.domain.startswith("[")
        self.courier = Courier(
            domain=self.domain,
            helo_name=self.domain,
            policy=self.holder,
            resolver=self.resolver,
            traffic=self.traffic,
            tls=build_tls_contexts(str(self.ca_file)),
            read_keys=lambda: () if is_literal else self.signing_keys,
            ports=self.ports,
            source_address=self.address,
            allows_loopback=True,
            clock_seconds=self.clock,
        )
        self.outbound = Outbound(
            store=self.store,
            accounts=self.accounts,
            siblings=Siblings(),
            transport=Transport(node="none", identity=PrivateKey.generate()),
            courier=self.courier,
            clock_seconds=self.clock,
            give_up_seconds=self.give_up_seconds,
        )
        self.reception = Reception(
            accounts=self.accounts,
            store=self.store,
            policy=self.holder,
            look_up=self.resolver.find_texts,
            traffic=self.traffic,
            limiter=RateLimiter(self.source_limit),
            outbound=self.outbound,
            is_own_domain=lambda domain: find_peer(domain) == self.domain,
        )
        self.tls = ServerCertificate(*self.tls_files).build_context()
        limits = SmtpLimits(mail_rate=None)
        self.submission = SmtpServer(
            accounts=self.accounts,
            store=self.store,
            hostname=self.domain,
            tls=self.tls,
            outbound=self.outbound,
            limits=limits,
        ).submission
        self.smtp = PeerSmtpServer(
            accounts=self.accounts,
            store=self.store,
            hostname=self.domain,
            tls=self.tls,
            limits=PEER_LIMITS,
            reception=self.reception,
        )
        door = Door(self.domain, Siblings())
        inbound = Inbound(accounts=self.accounts, store=self.store)
        app = create_app(accounts=self.accounts, read_site=lambda: SITE)
        self.http = HttpServer(Express(app, build_entries(door, inbound, self.reception)))

    def clock(self) -> float:
        return time.time() + self.now_offset

    async def start(self, stack: AsyncExitStack) -> None:
        await self.accounts.start(stack)
        await self.smtp.start(stack)
        for build, port, tls in (
            (self.http.build_protocol, self.ports.https, self.tls),
            (lambda: self.smtp.build_protocol(is_secure=False), self.ports.smtp, None),
        ):
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            listener = socket.create_server((self.address, port), family=family)
            stack.callback((await serve(listener, build, tls)).close)
        await self.http.start(stack)
        await self.outbound.start(stack)

    async def account(self, name: str) -> Account:
        address = f"{name}@{self.domain}"
        account = await self.store.find_account(address)
        return account or await self.accounts.create(address, PASSWORD)

    async def submit(self, sender: str, message: bytes, *recipients: str) -> int:
        """Send as SMTP does after its commands; return the code of the reply."""
        account = await self.account(sender)
        transaction = self.submission.begin(account, account.address, len(message))
        for recipient in recipients:
            await self.submission.add_recipient(transaction, recipient)
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")
        return (await self.submission.finish(transaction, stuffed)).code

    async def inbox(self, name: str) -> list[bytes]:
        account = await self.account(name)
        mailbox = await self.store.find_mailbox(account.id, INBOX)
        assert mailbox is not None
        contents = await self.store.read_contents(mailbox.id)
        return [await self.store.read_body(message.body_id) or b"" for message in contents.messages]

    async def wait_for(self, name: str, number: int = 1) -> list[bytes]:
        """Wait until an inbox holds so many messages, and return them."""
        async with asyncio.timeout(15):
            while len(messages := await self.inbox(name)) < number:  # noqa: ASYNC110 - any store
                await asyncio.sleep(0.02)
        assert len(messages) == number
        return messages

    async def wait_until_empty(self) -> None:
        """Wait until nothing is queued."""
        async with asyncio.timeout(15):
            while (await self.store.read_outgoing_usage()).message_count:  # noqa: ASYNC110 - any store
                await asyncio.sleep(0.02)


@dataclass
class PeerWorld:
    """All of it: who is asked to be there, is."""

    directory: Path
    stack: AsyncExitStack
    names: NameServer
    ports: Ports
    certificates: dict[str, tuple[Path, Path]] = field(default_factory=dict)

    @property
    def ca_file(self) -> Path:
        return self.directory / "authorities.pem"

    def certify(self, host: str, *, is_trusted: bool = True) -> tuple[Path, Path]:
        name = MailDomain.parse(host).host
        files = make_certificate(self.directory, name, label=f"{'good' if is_trusted else 'bad'}-{name}")
        if is_trusted:
            with self.ca_file.open("ab") as file:
                file.write(files[0].read_bytes())
        return files

    async def add_far_side(
        self, host: str, *, https: bool = True, smtp: bool = True, is_trusted: bool = True
    ) -> FarSide:
        """Add a server of others, with its addresses and no MX."""
        files = self.certify(host, is_trusted=is_trusted)
        far = FarSide(host, ServerCertificate(*files).build_context(), self.ports)
        self.names.say(host, "A", far.address)
        if https:
            await far.open_https(self.stack)
        if smtp:
            await far.open_smtp(self.stack)
        return far

    async def add_station(
        self, domain: str | None, address: str | None = None, **changes: object
    ) -> PeerStation:
        """Add a node of ours, with DNS as `madfleet dns` prints it; without a domain, it is its address.

        Certificates must be there before.
        """
        address = address or next_address()
        domain = domain or MailDomain.parse(address).name
        files = self.certificates.get(domain) or self.certify(domain)
        station = PeerStation(
            domain,
            Resolver(servers=["127.0.0.1"], port=self.names.port),
            self.ports,
            self.ca_file,
            files,
            address=address,
            **changes,  # type: ignore[arg-type] # a test may say anything
        )
        if not domain.startswith("["):
            self.names.say(domain, "A", address)
            self.names.say(domain, "MX", f"10 {domain}.")
            self.names.publish(domain, station.signing_keys)
        await station.start(self.stack)
        return station


@asynccontextmanager
async def open_world(directory: Path, hosts: Sequence[str] = ()) -> AsyncIterator[PeerWorld]:
    """Open a name server; make the certificates of hosts that trust one another."""
    async with AsyncExitStack() as stack:
        names = NameServer()
        await names.start(stack)
        world = PeerWorld(
            directory, stack, names, Ports(find_free_port(), find_free_port(), find_free_port())
        )
        world.ca_file.touch()
        world.certificates = {host: world.certify(host) for host in (*hosts, "authority.example")}
        yield world
