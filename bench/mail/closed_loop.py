r"""Go round as Delta Chat does: one message, one wake-up, one deletion, and again.

For: the bench's headline, and its latencies.
Not for: starting servers (node.py, pipeline.py), or for how many messages a server can take at once: they
never queue up here.

Each of n pairs goes round, as Delta Chat's core does:

    sender     MAIL RCPT DATA at once ─▶ message ─▶ 250        k messages for each TLS session and login
    recipient  IDLE ─▶ EXISTS ─▶ DONE ─▶ UID FETCH headers ─▶ UID FETCH body ─▶ UID STORE \Deleted
               ─▶ CLOSE ─▶ SELECT ─▶ IDLE

Accounts come into being by their first login, before the measuring begins. The server must not limit rates.
"""

import asyncio
import re
import secrets
import string
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from mail.messages import make_body, make_header
from mail.wire import BenchError, Wire, check, check_tagged, connect

WARM_UP_MESSAGES = 3
GRACE_SECONDS = 60
HEADER_FIELDS = b"MESSAGE-ID DATE FROM CHAT-VERSION AUTO-SUBMITTED CONTENT-TYPE SECURE-JOIN IN-REPLY-TO"

_EXISTS = re.compile(rb"\* \d+ EXISTS\r\n")
_UID = re.compile(rb"\bUID (\d+)")
_UID_NEXT = re.compile(rb"\[UIDNEXT (\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which server to load. `read_cpu_seconds` tells the user and system time of all its processes.

    `far_host` and `far_domain` are set where recipients are on another server, which is counted, too.
    """

    name: str
    host: str
    domain: str
    smtp_port: int
    imap_port: int
    read_cpu_seconds: Callable[[], tuple[float, float]]
    far_host: str | None = None
    far_domain: str | None = None

    def counted_by(self, read: Callable[[], tuple[float, float]]) -> "Target":
        """Describe the same server, with something else that is read before and after a load."""
        return replace(self, read_cpu_seconds=read)

    def to(self, host: str, domain: str, read: Callable[[], tuple[float, float]]) -> "Target":
        """Describe the way from this server to another one, whose time counts as well."""

        def read_both() -> tuple[float, float]:
            (user, system), (far_user, far_system) = self.read_cpu_seconds(), read()
            return user + far_user, system + far_system

        return replace(self, far_host=host, far_domain=domain, read_cpu_seconds=read_both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How to go round. `pause_seconds` is from the beginning of one round to that of the next."""

    pairs: int = 16
    messages_per_session: int = 10
    seconds: float = 10
    pause_seconds: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured. Times are in milliseconds; CPU is that of the server alone."""

    cpu_ms_per_message: float
    system_ms_per_message: float
    messages: int
    messages_per_second: float
    accept_p50_ms: float
    exists_p50_ms: float
    exists_p99_ms: float
    deleted_p50_ms: float


@dataclass(slots=True)
class Pair:
    """A sender and a recipient; the latencies are seconds since a message was begun."""

    target: Target
    shape: Shape
    sender: str
    recipient: str
    password: str
    body: bytes
    accepted: list[float] = field(default_factory=list)
    announced: list[float] = field(default_factory=list)
    deleted: list[float] = field(default_factory=list)
    smtp: Wire | None = None
    imap: Wire = field(default_factory=Wire)
    sent_in_session: int = 0
    uid_next: int = 1
    tag: int = 0

    async def prepare(self, stack: AsyncExitStack) -> None:
        """Bring both accounts into being, let the recipient wait, and warm everything up."""
        stack.callback(self.close)
        self.imap = await connect(self.target.far_host or self.target.host, self.target.imap_port)
        await self.imap.read_past(b"* OK")
        await self._command(f"LOGIN {self.recipient} {self.password}".encode())
        await self._select_and_idle()
        for _ in range(WARM_UP_MESSAGES):
            await self._go_round()
        self._leave_session()
        self.accepted, self.announced, self.deleted = [], [], []

    async def go_round_until(self, end: float) -> None:
        """Go round until the moment has come."""
        while (begun := time.perf_counter()) < end:
            await self._go_round()
            if self.shape.pause_seconds:
                await asyncio.sleep(begun + self.shape.pause_seconds - time.perf_counter())

    def close(self) -> None:
        """Close both connections."""
        self.imap.close()
        self._leave_session()

    async def _go_round(self) -> None:
        begun = time.perf_counter()
        receiving = asyncio.ensure_future(self._receive(begun))
        try:
            await self._submit()
            self.accepted.append(time.perf_counter() - begun)
            await receiving
        finally:
            receiving.cancel()
        self.deleted.append(time.perf_counter() - begun)
        await self._select_and_idle()

    async def _submit(self) -> None:
        if self.smtp is None:
            self.smtp = await open_submission(self.target, self.sender, self.password)
        await submit(self.smtp, self.sender, [self.recipient], self.body)
        self.sent_in_session += 1
        if self.sent_in_session == self.shape.messages_per_session:
            self._leave_session()

    def _leave_session(self) -> None:
        if self.smtp is not None:
            self.smtp.send(b"QUIT\r\n")
            self.smtp.close()
        self.smtp = None
        self.sent_in_session = 0

    async def _receive(self, begun: float) -> None:
        """Wait for one message in IDLE, then fetch and delete it."""
        imap = self.imap
        while not _EXISTS.fullmatch(await imap.read_past(b"")):
            pass
        self.announced.append(time.perf_counter() - begun)
        imap.send(b"DONE\r\n")
        check_tagged(await imap.read_past(b"a%d " % self.tag))
        fields = b"UID FETCH %d:%d (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (%b)])"
        prefetch = fields % (self.uid_next, self.uid_next + 499, HEADER_FIELDS)
        found = _UID.findall(await self._command(prefetch))
        if len(found) != 1:
            raise BenchError(f"one message was to be fetched, and there were {len(found)}")
        uid = int(found[0])
        body = await self._command(b"UID FETCH %d (FLAGS BODY.PEEK[])" % uid)
        if len(body) < len(self.body):
            raise BenchError("the message that was fetched is not the one that was sent")
        await self._command(b"UID STORE %d +FLAGS (\\Deleted)" % uid)
        await self._command(b"CLOSE")

    async def _select_and_idle(self) -> None:
        uid_next = _UID_NEXT.search(await self._command(b'SELECT "INBOX"'))
        if uid_next is None:
            raise BenchError("SELECT told no UIDNEXT")
        self.uid_next = int(uid_next[1])
        self.tag += 1
        self.imap.send(b"a%d IDLE\r\n" % self.tag)
        await self.imap.read_past(b"+")

    async def _command(self, command: bytes) -> bytes:
        self.tag += 1
        self.imap.send(b"a%d %b\r\n" % (self.tag, command))
        return check_tagged(await self.imap.read_past(b"a%d " % self.tag))


async def open_submission(target: Target, sender: str, password: str) -> Wire:
    """Open a TLS session and log in."""
    smtp = await connect(target.host, target.smtp_port)
    check(await smtp.read_past(b""), b"220")
    smtp.send(b"EHLO [127.0.0.1]\r\n")
    await smtp.read_past(b"250 ")
    credentials = b64encode(f"\0{sender}\0{password}".encode())
    smtp.send(b"AUTH PLAIN " + credentials + b"\r\n")
    check(await smtp.read_past(b""), b"235")
    return smtp


async def submit(smtp: Wire, sender: str, recipients: Sequence[str], body: bytes) -> None:
    """Send one message; when this returns, the server has taken it."""
    envelope = f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8\r\n"
    envelope += "".join(f"RCPT TO:<{recipient}>\r\n" for recipient in recipients) + "DATA\r\n"
    smtp.send(envelope.encode())
    for _ in range(1 + len(recipients)):
        check(await smtp.read_past(b""), b"250")
    check(await smtp.read_past(b""), b"354")
    smtp.send(make_header(sender) + body + b".\r\n")
    check(await smtp.read_past(b""), b"250")


def make_password() -> str:
    """Make a password as Delta Chat makes them for new accounts: 22 letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(22))


async def go_round(target: Target, shape: Shape, same: tuple[str, str] | None = None) -> Result:
    """Measure a server, with new accounts, or the `same` by a word in their names and their password.

    Raises:
        BenchError, OSError, TimeoutError: It did not do its part.
    """
    run_id, password = same or (secrets.token_hex(3), "")
    pairs = [
        Pair(
            target=target,
            shape=shape,
            sender=f"s{number}-{run_id}@{target.domain}",
            recipient=f"r{number}-{run_id}@{target.far_domain or target.domain}",
            password=password or make_password(),
            body=make_body(),
        )
        for number in range(shape.pairs)
    ]
    async with AsyncExitStack() as stack, asyncio.timeout(shape.seconds + 2 * GRACE_SECONDS):
        await asyncio.gather(*(pair.prepare(stack) for pair in pairs))
        before = target.read_cpu_seconds()
        begun = time.perf_counter()
        end = begun + shape.seconds
        await asyncio.gather(*(pair.go_round_until(end) for pair in pairs))
        elapsed = time.perf_counter() - begun
        after = target.read_cpu_seconds()
    return _sum_up(pairs, elapsed, after[0] - before[0], after[1] - before[1])


def percentile_ms(latencies: Sequence[float], percent: int) -> float:
    """Tell a percentile of seconds, in milliseconds."""
    ordered = sorted(latencies)
    return 1_000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _sum_up(pairs: Sequence[Pair], elapsed: float, user: float, system: float) -> Result:
    accepted, announced, deleted = (
        [latency for pair in pairs for latency in getattr(pair, name)]
        for name in ("accepted", "announced", "deleted")
    )
    count = len(deleted)
    if count == 0:
        raise BenchError("not one message came through")
    return Result(
        cpu_ms_per_message=1_000 * (user + system) / count,
        system_ms_per_message=1_000 * system / count,
        messages=count,
        messages_per_second=count / elapsed,
        accept_p50_ms=percentile_ms(accepted, 50),
        exists_p50_ms=percentile_ms(announced, 50),
        exists_p99_ms=percentile_ms(announced, 99),
        deleted_p50_ms=percentile_ms(deleted, 50),
    )
