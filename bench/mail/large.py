"""What others wait while somebody submits and somebody fetches messages of 100 MB, one after the other.

For: `--large`. The large ones have processes of their own, with less of the processor's favour, so that what
is measured is the node's delay and not that of the load. How late the load's own loop was is told beside it:
a message waits for that loop three times before its EXISTS is read.
Not for: how fast large messages are.
"""

import asyncio
import multiprocessing
import os
import re
import secrets
import socket
import ssl
import statistics
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event

from mail.closed_loop import Shape, Target, go_round, make_password, percentile_ms
from mail.messages import make_body, make_header
from mail.wire import NO_CHECKS, BenchError

ARMOR_GROWTH = 1.36
"""Base64 in lines of 64 characters."""

PAIRS = 4
PAUSE_SECONDS = 0.1
PIECE_BYTES = 1 << 17
TICK_SECONDS = 0.002
ANSWER_SECONDS = 120
NICENESS = 10
_REFUSED = re.compile(rb"^(?:[45]\d\d|[a-z] (?:NO|BAD)) ", re.MULTILINE)
READY_SECONDS = 60


@dataclass(slots=True)
class Beside:
    """The waits of others, without large messages and with them, by round."""

    without: list[float] = field(default_factory=list)
    with_large: list[float] = field(default_factory=list)
    worst_p50: list[float] = field(default_factory=list)
    own_late: list[float] = field(default_factory=list)
    submitted: int = 0
    fetched: int = 0

    @property
    def quiet_p99_ms(self) -> float:
        """The median of the rounds' 99th percentiles."""
        return statistics.median(self.without)

    @property
    def busy_p99_ms(self) -> float:
        """The same beside large messages."""
        return statistics.median(self.with_large)

    def describe(self) -> str:
        """Write it for a reader."""
        rounds = ", ".join(f"{value:.1f}" for value in self.with_large)
        return (
            f"EXISTS p99 beside {self.submitted} large messages submitted and {self.fetched} fetched: "
            f"{self.busy_p99_ms:.1f} ms (by round {rounds}; p50 {statistics.median(self.worst_p50):.1f}); "
            f"without them {self.quiet_p99_ms:.1f} ms; the load's own loop was late by "
            f"{percentile_ms(self.own_late, 99):.1f} ms at p99 (p50 {percentile_ms(self.own_late, 50):.1f})"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom: all that a process of its own needs."""

    host: str
    smtp_port: int
    imap_port: int
    sender: str
    recipient: str
    password: str


async def measure_large(target: Target, size_bytes: int, rounds: int, seconds: float) -> Beside:
    """Measure the waits of a few others. Raises: BenchError."""
    run_id = secrets.token_hex(3)
    place = Place(
        target.host,
        target.smtp_port,
        target.imap_port,
        f"big-s-{run_id}@{target.domain}",
        f"big-r-{run_id}@{target.domain}",
        make_password(),
    )
    body = make_body(int(size_bytes / ARMOR_GROWTH))
    shape = Shape(pairs=PAIRS, seconds=seconds, messages_per_session=10_000, pause_seconds=PAUSE_SECONDS)
    beside = Beside()
    await asyncio.to_thread(fetch_large, place, None)  # the recipient must be there before the first message
    await asyncio.to_thread(submit_large, place, body)
    for _ in range(rounds):
        beside.without.append((await go_round(target, shape)).exists_p99_ms)
        with _large_clients(place, body) as counts, _watch_own_loop(beside.own_late):
            result = await go_round(target, shape)
        beside.with_large.append(result.exists_p99_ms)
        beside.worst_p50.append(result.exists_p50_ms)
        submitted, fetched = (count.value for count in counts)
        if not (submitted and fetched):
            raise BenchError(
                f"only {submitted} large messages came in and {fetched} went out: take more seconds"
            )
        beside.submitted += submitted
        beside.fetched += fetched
    return beside


@contextmanager
def _large_clients(place: Place, body: bytes) -> Iterator[tuple["Synchronized[int]", "Synchronized[int]"]]:
    """Have large messages come and go while the block runs; counts how many."""
    spawn = multiprocessing.get_context("spawn")
    stop, counts = spawn.Event(), (spawn.Value("i", 0), spawn.Value("i", 0))
    clients = [
        spawn.Process(target=_keep_submitting, args=(place, body, stop, counts[0])),
        spawn.Process(target=_keep_fetching, args=(place, stop, counts[1])),
    ]
    for client in clients:
        client.start()
    try:
        yield counts
    finally:
        stop.set()
        for client in clients:
            client.join(ANSWER_SECONDS)
            client.kill()
            client.join()


@contextmanager
def _watch_own_loop(late: list[float]) -> Iterator[None]:
    """Note, in seconds, how late this process's loop is while the block runs."""

    async def watch() -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - due)

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()


def _keep_submitting(place: Place, body: bytes, stop: Event, count: "Synchronized[int]") -> None:
    os.nice(NICENESS)
    while not stop.is_set():
        submit_large(place, body)
        count.value += 1


def _keep_fetching(place: Place, stop: Event, count: "Synchronized[int]") -> None:
    os.nice(NICENESS)
    while not stop.is_set():
        count.value += fetch_large(place, stop)


def submit_large(place: Place, body: bytes) -> None:
    """Submit a message, piece by piece. Raises: BenchError, OSError."""
    with _connect(place.host, place.smtp_port) as wire:
        _expect(wire, b"220")
        wire.sendall(b"EHLO [127.0.0.1]\r\n")
        _expect(wire, b"250 ")
        wire.sendall(b"AUTH PLAIN " + b64encode(f"\0{place.sender}\0{place.password}".encode()) + b"\r\n")
        _expect(wire, b"235")
        wire.sendall(f"MAIL FROM:<{place.sender}>\r\nRCPT TO:<{place.recipient}>\r\nDATA\r\n".encode())
        _expect(wire, b"354")
        wire.sendall(make_header(place.sender))
        view = memoryview(body)
        for start in range(0, len(view), PIECE_BYTES):
            wire.sendall(view[start : start + PIECE_BYTES])
        wire.sendall(b".\r\n")
        _expect(wire, b"250 ")


def fetch_large(place: Place, stop: Event | None) -> int:
    """Fetch the last message until it is time, and delete those before it; tell how often.

    Without `stop`, only log in and see that there is a mailbox.
    """
    fetched = 0
    with _connect(place.host, place.imap_port) as wire:
        _expect(wire, b"* OK")
        wire.sendall(f"a LOGIN {place.recipient} {place.password}\r\nb SELECT INBOX\r\n".encode())
        _expect(wire, b"b OK")
        while stop is not None and not stop.is_set():
            wire.sendall(b"c UID FETCH * (BODY.PEEK[])\r\n")
            _skip_literal(wire)
            _expect(wire, b"c OK")
            fetched += 1
            wire.sendall(b"d STORE 1:* +FLAGS.SILENT (\\Deleted)\r\nd STORE * -FLAGS.SILENT (\\Deleted)\r\n")
            wire.sendall(b"e EXPUNGE\r\n")
            _expect(wire, b"e OK")
    return fetched


def _connect(host: str, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), ANSWER_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return NO_CHECKS.wrap_socket(plain)


def _expect(wire: ssl.SSLSocket, start: bytes) -> None:
    """Read lines up to the one that begins like this. Raises: BenchError, also where something is refused."""
    received = b""
    while not any(line.startswith(start) for line in received.split(b"\r\n")[:-1]):
        data = wire.recv(4096)
        if not data or _REFUSED.search(received):
            raise BenchError(f"{start!r} was expected, and the node said {received!r}")
        received += data


def _skip_literal(wire: ssl.SSLSocket) -> None:
    """Read a response up to the end of its literal, keeping nothing of it. Raises: BenchError."""
    received = b""
    while b"}\r\n" not in received:
        data = wire.recv(4096)
        if not data:
            raise BenchError(f"a literal was expected, and the node said {received!r}")
        received += data
    head, _, rest = received.partition(b"}\r\n")
    missing = int(head.rpartition(b"{")[2]) - len(rest)
    buffer = bytearray(PIECE_BYTES)
    while missing > 0:
        count = wire.recv_into(buffer, min(missing, PIECE_BYTES))
        if not count:
            raise BenchError("the node closed the connection within a message")
        missing -= count
