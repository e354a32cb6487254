"""Mail nodes of one fleet in this process: real TLS on loopback with pinned keys, a store each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.backup_addresses import endpoint as backup_endpoint
from mailnode.backup_addresses.finder import BackupFinder
from mailnode.backup_addresses.offer import BackupOffer, decide_offer
from mailnode.federation.batch import BATCH_PATH, digest_batch
from mailnode.federation.delivery import DELIVERY_PATH, Delivery
from mailnode.federation.door import Door
from mailnode.federation.endpoint import build_entries
from mailnode.federation.inbound import Inbound
from mailnode.federation.outbound import Outbound
from mailnode.federation.siblings import Siblings
from mailnode.federation.transport import Transport
from mailnode.http.app import create_app
from mailnode.http.express import Express
from mailnode.http.protocol import HttpServer
from mailnode.smtp.server import SmtpLimits, SmtpServer
from mailnode.smtp.submission import Submission
from mailnode.store.account_register import AccountRegister
from mailnode.store.mail_store import INBOX, Account
from nodelink.contract.assertions import make_assertion
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import SiblingNode
from nodelink.daemon.tls import ServerCertificate, read_spki_pin
from self_signed import make_certificate
from support.pages_site import SITE
from support.store_memory import MemoryMailStore

HOST = "127.0.0.1"
PASSWORD = "correct horse battery"


@dataclass
class MailStation:
    """A mail node, as far as other nodes have to do with it. Its listener can be closed and opened again."""

    name: str
    directory: Path
    store: AccountRegister = field(default_factory=MemoryMailStore)
    policy: Policy = field(default_factory=Policy)
    port: int = 0
    identity: PrivateKey = field(default_factory=PrivateKey.generate)
    siblings: Siblings = field(default_factory=Siblings)
    takes_batches: bool = True
    """Whether it is of this release, or of one that knew no batches."""
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        make_certificate(self.directory, HOST, label=self.name)
        self.certificate = ServerCertificate(
            self.directory / f"{self.name}.crt", self.directory / f"{self.name}.key"
        )
        self.tls = self.certificate.build_context()
        self.accounts = Accounts(
            store=self.store,
            policy=PolicyHolder(self.policy),
            domain=self.domain,
            hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
            creation_limit=None,
        )
        self.outbound = Outbound(
            store=self.store,
            accounts=self.accounts,
            siblings=self.siblings,
            transport=Transport(node=self.name, identity=self.identity),
        )
        self.smtp = SmtpServer(
            accounts=self.accounts,
            store=self.store,
            hostname=self.domain,
            tls=self.tls,
            outbound=self.outbound,
            limits=SmtpLimits(mail_rate=None),
        )
        self.inbound = Inbound(accounts=self.accounts, store=self.store)
        door = Door(self.domain, self.siblings)
        offers = backup_endpoint.build_router(door, self.read_offer)
        finder = BackupFinder(siblings=self.siblings, transport=self.outbound.transport)
        app = create_app(
            accounts=self.accounts, read_site=lambda: SITE, offers=offers, find_backups=finder.find
        )
        entries = build_entries(door, self.inbound)
        self.releases: dict[bool, ASGIApp] = {
            True: Express(app, entries),
            False: Express(app, {DELIVERY_PATH: before_batches(entries[DELIVERY_PATH])}),
        }
        self.http = HttpServer(self.serve)
        self.server: asyncio.Server | None = None

    @property
    def domain(self) -> str:
        return f"{self.name}.example"

    @property
    def submission(self) -> Submission:
        return self.smtp.submission

    def read_offer(self) -> BackupOffer | None:
        """Say what is offered to those who have registered elsewhere."""
        policy = self.accounts.policy.current
        return decide_offer(policy, weight=100, accounts=9, has_room=True, ports=(993, 465))

    def describe(self) -> SiblingNode:
        """Say what the control plane would tell others."""
        pin = read_spki_pin(self.certificate.certificate)
        return SiblingNode(
            name=self.name,
            mail_domain=self.domain,
            host=HOST,
            port=self.port,
            public_key=self.identity.public.x,
            tls_pin=pin,
        )

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as its release does."""
        self.requests.append(scope["path"])
        await self.releases[self.takes_batches](scope, receive, send)

    async def open(self) -> None:
        """Listen, on the port of before if there was one."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            self.http.build_protocol, HOST, self.port, ssl=self.tls, reuse_address=True
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end what is open."""
        if self.server is not None:
            self.server.close()
            self.server = None
        async with AsyncExitStack() as stack:
            await self.http.start(stack)

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

    async def wait_for(self, name: str, count: int = 1) -> list[bytes]:
        """Wait until an inbox holds so many messages, and return them."""
        async with asyncio.timeout(10):
            while len(messages := await self.inbox(name)) < count:  # noqa: ASYNC110 - any store
                await asyncio.sleep(0.02)
        assert len(messages) == count
        return messages

    def sign(self, to: "MailStation", delivery: Delivery, message: bytes, **changes: object) -> str:
        """Write the header by which this node proves that a delivery is its own."""
        claims: dict[str, object] = {
            "node": self.name,
            "audience": to.domain,
            "now_seconds": int(time.time()),
            "content_digest": delivery.digest(message),
        }
        return f"Bearer {make_assertion(self.identity, **(claims | changes))}"  # type: ignore[arg-type]  # a test may say anything

    async def post(
        self,
        to: "MailStation",
        delivery: Delivery,
        message: bytes,
        authorization: str | None = None,
    ) -> httpx.Response:
        """Hand a delivery over by hand."""
        headers = delivery.write_headers()
        headers.append(("authorization", authorization or self.sign(to, delivery, message)))
        return await post_raw(to, message, headers)

    async def post_batch(self, to: "MailStation", body: bytes, digest: str | None = None) -> httpx.Response:
        """Hand a batch over by hand; `digest` is what is signed, if not that of the body."""
        content_digest = digest_batch(body) if digest is None else digest
        authorization = self.sign(to, Delivery("", "", ()), b"", content_digest=content_digest)
        return await post_raw(to, body, [("authorization", authorization)], BATCH_PATH)


async def post_raw(
    to: MailStation, message: bytes, headers: list[tuple[str, str]], path: str = DELIVERY_PATH
) -> httpx.Response:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - the client's trust is no matter here
        return await client.post(f"https://{HOST}:{to.port}{path}", content=message, headers=headers)


def before_batches(entry: ASGIApp) -> ASGIApp:
    """Have a delivery answered as nodes did that knew no batches: nothing is said of those."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        said: list[Message] = []

        async def hear(message: Message) -> None:
            said.append(message)

        await entry(scope, receive, hear)
        start, body = said
        if start["status"] == 200:
            body["body"] = json.dumps({"refused": json.loads(body["body"])["refused"]}).encode()
        start["headers"] = [(b"content-length", b"%d" % len(body["body"]))]
        for message in said:
            await send(message)

    return answer


def introduce(stations: Iterable[MailStation]) -> None:
    """Tell each of the others."""
    known = list(stations)
    for station in known:
        station.siblings.replace(other.describe() for other in known if other is not station)


@asynccontextmanager
async def open_stations(
    directory: Path,
    *,
    stores: dict[str, AccountRegister] | None = None,
    policies: dict[str, Policy] | None = None,
) -> AsyncIterator[tuple[MailStation, MailStation]]:
    """Run two mail nodes that know one another."""
    async with AsyncExitStack() as stack:
        stations = []
        for name in ("one", "two"):
            station = MailStation(
                name,
                directory,
                (stores or {}).get(name) or MemoryMailStore(),
                (policies or {}).get(name) or Policy(),
            )
            await station.accounts.start(stack)
            await station.open()
            stack.push_async_callback(station.close)
            stations.append(station)
        introduce(stations)
        for station in stations:
            await station.outbound.start(stack)
        yield stations[0], stations[1]
