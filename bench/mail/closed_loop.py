r"""Measure a mail node in the closed loop of Delta Chat: one message, one wake-up, one deletion, and again.

For: `make bench-mail`, which starts a node and calls `run`; or by hand against a node that runs already, on
this machine, for its CPU time is read from /proc.
Not for: starting nodes, or for how many messages a node can take at once (they never queue up here).

Each of n pairs goes round, as Delta Chat's core does:

    sender     MAIL RCPT DATA at once ─▶ message ─▶ 250        k messages for each TLS session and login
    recipient  IDLE ─▶ EXISTS ─▶ DONE ─▶ UID FETCH headers ─▶ UID FETCH body ─▶ UID STORE \Deleted
               ─▶ CLOSE ─▶ SELECT ─▶ IDLE

Accounts come into being by their first login, before the measuring begins. The node must not limit the rate.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop
from pysequoia import Tsk, encrypt

ENCRYPTED_BYTES = 4_700  # becomes a message of 7 KB
WARM_UP_MESSAGES = 3
GRACE_SECONDS = 60
HEADER_FIELDS = b"MESSAGE-ID DATE FROM CHAT-VERSION AUTO-SUBMITTED CONTENT-TYPE SECURE-JOIN IN-REPLY-TO"
BOUNDARY = "18a2f0c3d4e5f607"

_EXISTS = re.compile(rb"\* \d+ EXISTS\r\n")
_UID = re.compile(rb"\bUID (\d+)")
_UID_NEXT = re.compile(rb"\[UIDNEXT (\d+)\]")


class BenchError(Exception):
    """The node did not answer as it must for the measurement to mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which node to measure, and how. `pid` is the process whose CPU time counts."""

    host: str
    pid: int
    domain: str
    smtp_port: int = 465
    imap_port: int = 993
    pairs: int = 16
    messages_per_session: int = 10
    seconds: float = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured. Times are in milliseconds; CPU is that of the node alone."""

    cpu_ms_per_message: float
    user_ms_per_message: float
    system_ms_per_message: float
    messages: int
    messages_per_second: float
    accept_p50_ms: float
    exists_p50_ms: float
    exists_p99_ms: float
    deleted_p50_ms: float
    pairs: int
    messages_per_session: int

    def as_json(self) -> str:
        """Write the result as one line for programs."""
        return json.dumps({"bench": "mail", **{k: round(v, 3) for k, v in asdict(self).items()}})

    def as_table(self) -> str:
        """Write the result for people."""
        rows = [
            ("CPU ms per message", f"{self.cpu_ms_per_message:.2f}"),
            ("  user / system", f"{self.user_ms_per_message:.2f} / {self.system_ms_per_message:.2f}"),
            ("messages per second", f"{self.messages_per_second:.0f}"),
            ("accepted, p50", f"{self.accept_p50_ms:.1f} ms"),
            ("EXISTS, p50 / p99", f"{self.exists_p50_ms:.1f} / {self.exists_p99_ms:.1f} ms"),
            ("fetched and deleted, p50", f"{self.deleted_p50_ms:.1f} ms"),
        ]
        shape = f"{self.pairs} pairs, {self.messages_per_session} messages a session, {self.messages} in all"
        return "\n".join([shape, *(f"  {name:<26}{value:>16}" for name, value in rows)])


class Wire(asyncio.Protocol):
    """A connection read line by line with as little work as can be."""

    def __init__(self) -> None:
        self._buffer = bytearray(b"\r\n")  # so that each line, the first too, begins behind a line end
        self._waiter: asyncio.Future[None] | None = None
        self._is_lost = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = transport  # type: ignore[assignment] # a stream, as asked for

    def data_received(self, data: bytes) -> None:
        """Wake whoever waits."""
        self._buffer += data
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """Wake whoever waits: nothing more will come."""
        self._is_lost = True
        self._wake()

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.close()

    async def read_past(self, start: bytes) -> bytes:
        """Read up to and with the line that begins like this. Raises: BenchError."""
        marker = b"\r\n" + start
        searched = 0
        while True:
            place = self._buffer.find(marker, searched)
            end = self._buffer.find(b"\r\n", place + len(marker)) if place >= 0 else -1
            if end >= 0:
                data = bytes(self._buffer[2 : end + 2])
                del self._buffer[:end]
                return data
            if self._is_lost:
                raise BenchError(f"the node closed the connection after {bytes(self._buffer)!r}")
            searched = max(0, len(self._buffer) - len(marker)) if place < 0 else place
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(slots=True)
class Pair:
    """A sender and a recipient; the latencies are seconds since a message was begun."""

    target: Target
    tls: ssl.SSLContext
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
        self.imap = await self._connect(self.target.imap_port)
        await self.imap.read_past(b"* OK")
        await self._command(f"LOGIN {self.recipient} {self.password}".encode())
        await self._select_and_idle()
        for _ in range(WARM_UP_MESSAGES):
            await self._go_round()
        self._leave_session()
        self.accepted, self.announced, self.deleted = [], [], []

    async def go_round_until(self, end: float) -> None:
        """Go round until the moment has come."""
        while time.perf_counter() < end:
            await self._go_round()

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
            self.smtp = await self._open_session()
        smtp = self.smtp
        envelope = (
            f"MAIL FROM:<{self.sender}> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<{self.recipient}>\r\nDATA\r\n"
        )
        smtp.send(envelope.encode())
        for code in (b"250", b"250", b"354"):
            _check(await smtp.read_past(b""), code)
        smtp.send(_header(self.sender) + self.body + b".\r\n")
        _check(await smtp.read_past(b""), b"250")
        self.sent_in_session += 1
        if self.sent_in_session == self.target.messages_per_session:
            self._leave_session()

    async def _open_session(self) -> Wire:
        smtp = await self._connect(self.target.smtp_port)
        _check(await smtp.read_past(b""), b"220")
        smtp.send(b"EHLO [127.0.0.1]\r\n")
        await smtp.read_past(b"250 ")
        credentials = b64encode(f"\0{self.sender}\0{self.password}".encode())
        smtp.send(b"AUTH PLAIN " + credentials + b"\r\n")
        _check(await smtp.read_past(b""), b"235")
        return smtp

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
        _check_tagged(await imap.read_past(b"a%d " % self.tag))
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
        return _check_tagged(await self.imap.read_past(b"a%d " % self.tag))

    async def _connect(self, port: int) -> Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, self.target.host, port, ssl=self.tls)
        return wire


def run(target: Target) -> Result:
    """Measure a node. Raises: BenchError, OSError, TimeoutError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(target))


async def measure(target: Target) -> Result:
    """Measure a node on the running loop. Raises: as `run`."""
    pairs = [_make_pair(target, number) for number in range(target.pairs)]
    async with AsyncExitStack() as stack, asyncio.timeout(target.seconds + 2 * GRACE_SECONDS):
        await asyncio.gather(*(pair.prepare(stack) for pair in pairs))
        cpu_before = _read_cpu_seconds(target.pid)
        begun = time.perf_counter()
        await asyncio.gather(*(pair.go_round_until(begun + target.seconds) for pair in pairs))
        elapsed = time.perf_counter() - begun
        cpu_after = _read_cpu_seconds(target.pid)
        user, system = cpu_after[0] - cpu_before[0], cpu_after[1] - cpu_before[1]
    accepted = sorted(latency for pair in pairs for latency in pair.accepted)
    announced = sorted(latency for pair in pairs for latency in pair.announced)
    deleted = sorted(latency for pair in pairs for latency in pair.deleted)
    count = len(deleted)
    if count == 0:
        raise BenchError("not one message came through")
    return Result(
        cpu_ms_per_message=1_000 * (user + system) / count,
        user_ms_per_message=1_000 * user / count,
        system_ms_per_message=1_000 * system / count,
        messages=count,
        messages_per_second=count / elapsed,
        accept_p50_ms=_percentile_ms(accepted, 50),
        exists_p50_ms=_percentile_ms(announced, 50),
        exists_p99_ms=_percentile_ms(announced, 99),
        deleted_p50_ms=_percentile_ms(deleted, 50),
        pairs=target.pairs,
        messages_per_session=target.messages_per_session,
    )


def _make_pair(target: Target, number: int) -> Pair:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    run_id = secrets.token_hex(4)
    return Pair(
        target=target,
        tls=tls,
        sender=f"s{number}-{run_id}@{target.domain}",
        recipient=f"r{number}-{run_id}@{target.domain}",
        password=secrets.token_hex(16),
        body=_make_body(),
    )


def _make_body() -> bytes:
    """Encrypt for two keys, as for a contact and oneself, and write PGP/MIME as Delta Chat does."""
    certificates = [Tsk.generate(name).extract_certificate() for name in ("recipient", "sender")]
    armor = bytes(encrypt(os.urandom(ENCRYPTED_BYTES), certificates)).replace(b"\n", b"\r\n").decode()
    return (
        f"--{BOUNDARY}\r\n"
        'Content-Type: application/pgp-encrypted; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: 7bit\r\n\r\nVersion: 1\r\n\r\n--{BOUNDARY}\r\n"
        'Content-Type: application/octet-stream; name="encrypted.asc"; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: 7bit\r\n\r\n{armor}\r\n--{BOUNDARY}--\r\n"
    ).encode()


def _header(sender: str) -> bytes:
    return (
        f"From: <{sender}>\r\n"
        "Date: Sun, 22 Nov 2026 21:14:07 +0000\r\n"
        f"Message-ID: <{secrets.token_hex(16)}@localhost>\r\n"
        'To: "hidden-recipients": ;\r\n'
        "Subject: [...]\r\n"
        "Chat-Version: 1.0\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
        f'\tboundary="{BOUNDARY}"\r\n\r\n'
    ).encode()


def _check(line: bytes, code: bytes) -> None:
    if not line.startswith(code):
        raise BenchError(f"{code.decode()} was expected, and the node said {line.decode().strip()!r}")


def _check_tagged(response: bytes) -> bytes:
    completion = response[response.rfind(b"\r\n", 0, -2) + 2 :] if b"\r\n" in response[:-2] else response
    if completion.split(b" ", 2)[1:2] != [b"OK"]:
        raise BenchError(f"OK was expected, and the node said {completion.decode().strip()!r}")
    return response


def _read_cpu_seconds(pid: int) -> tuple[float, float]:
    """Read user and system time of a process, all its threads together. Source: proc(5), /proc/pid/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


def _percentile_ms(ordered: Sequence[float], percent: int) -> float:
    return 1_000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main() -> None:
    """Measure the node that the command line names."""
    parser = argparse.ArgumentParser(description="Measure a mail node in the closed loop of Delta Chat.")
    parser.add_argument("--host", required=True, help="address of the node, on this machine")
    parser.add_argument("--pid", required=True, type=int, help="process whose CPU time counts")
    parser.add_argument("--domain", required=True, help="mail domain, such as example.org or [192.0.2.1]")
    parser.add_argument("--smtp-port", type=int, default=465)
    parser.add_argument("--imap-port", type=int, default=993)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--messages-per-session", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    try:
        result = run(Target(**vars(parser.parse_args())))
    except (BenchError, OSError) as error:
        sys.exit(f"Not measured: {error}")
    print(result.as_table())
    print(result.as_json())


if __name__ == "__main__":
    main()
