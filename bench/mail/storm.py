"""Everybody comes back at once, after a restart: as many as there are, each with a TLS session of before.

For: `--storm`. What counts is how long it takes until all are logged in, and what those hear who are not yet:
a client that is told its password is wrong would ask its user.
Not for: how cheap one login is, beside other servers (loads.py).

    each client   log in, keep the ticket, leave ──▶ the node is restarted ──▶ all connect, log in, stay
                                                                                └ not OK: again in a second
"""

import asyncio
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.closed_loop import Target, make_password, percentile_ms
from mail.resumed_wire import ResumedWire, connect_again
from mail.wire import BenchError

AT_ONCE_BEFORE = 32
CHOSEN_PASSWORD = "sunflower-1987"  # noqa: S105 - nobody has it
"""As people choose them: each takes a run of argon2id, of which only so many may wait."""

SESSIONS_PER_ADDRESS = 500
CLIENT_SECONDS = 60
RETRY_SECONDS = 1.0
STORM_SECONDS = 300
REFUSED_FOR_GOOD = "AUTHENTICATIONFAILED"


@dataclass(slots=True)
class Storm:
    """What came of it; `answers` counts each kind, of all attempts."""

    seconds: float = 0
    cpu_seconds: float = 0
    resumed_count: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    logged_in_after: list[float] = field(default_factory=list)

    def describe(self) -> str:
        """Write it for a reader."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.answers.most_common())
        half_seconds = percentile_ms(self.logged_in_after, 50) / 1000
        return (
            f"All back after {self.seconds:.1f} s (half after {half_seconds:.1f} s);"
            f" CPU of the node {self.cpu_seconds:.1f} s; TLS resumed {self.resumed_count}; answers: {kinds}"
        )


@dataclass(slots=True)
class Client:
    """One account on one device."""

    target: Target
    login: bytes
    local: str
    session: ssl.SSLSession | None = None
    wire: ResumedWire | None = None

    async def log_in(self) -> str:
        """Connect and log in; tell what the answer was, `OK` if it was that. Keeps the connection then."""
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                self.wire = await connect_again(
                    self.target.host, self.target.imap_port, self.local, self.session
                )
                answer = await self._speak(self.wire)
        except BenchError:
            answer = "closed"
        except TimeoutError:
            answer = "too late"
        except OSError as error:
            answer = type(error).__name__
        if answer != "OK":
            self.leave()
        return answer

    async def _speak(self, wire: ResumedWire) -> str:
        greeting = await wire.read_past(b"")
        if not greeting.startswith(b"* OK"):
            return greeting.decode().strip()
        wire.send(b"a LOGIN " + self.login + b"\r\n")
        answer = (await wire.read_past(b"")).decode().strip()
        return "OK" if answer.startswith("a OK") else answer

    def leave(self) -> None:
        """Close, and keep what the next connection may begin with."""
        if self.wire is not None:
            self.session = self.wire.session or self.session
            self.wire.close()
        self.wire = None


async def measure_storm(
    target: Target, count: int, restart: Callable[[], None], *, is_password_chosen: bool = False
) -> Storm:
    """Let so many clients come back after a restart. Raises: BenchError, TimeoutError."""
    run_id = secrets.token_hex(3)
    password = CHOSEN_PASSWORD if is_password_chosen else make_password()
    clients = [
        Client(
            target,
            f"t{number}-{run_id}@{target.domain} {password}".encode(),
            f"127.0.1.{1 + number // SESSIONS_PER_ADDRESS}",
        )
        for number in range(count)
    ]
    await _become_known(clients)
    restart()
    storm = Storm()
    before = sum(target.read_cpu_seconds())
    began = time.perf_counter()

    async def come_back(client: Client) -> None:
        while (answer := await client.log_in()) != "OK":
            storm.answers[answer] += 1
            await asyncio.sleep(RETRY_SECONDS)
        storm.answers[answer] += 1
        storm.logged_in_after.append(time.perf_counter() - began)

    async with asyncio.timeout(STORM_SECONDS), asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(come_back(client))
    storm.seconds = time.perf_counter() - began
    storm.cpu_seconds = sum(target.read_cpu_seconds()) - before
    storm.resumed_count = sum(client.wire is not None and client.wire.is_resumed for client in clients)
    for client in clients:
        client.leave()
    return storm


async def _become_known(clients: list[Client]) -> None:
    """Let every account come into being, and every client get a ticket."""
    places = asyncio.Semaphore(AT_ONCE_BEFORE)

    async def begin(client: Client) -> None:
        async with places:
            answer = await client.log_in()
            if answer != "OK":
                raise BenchError(f"an account could not be made: {answer}")
            client.leave()

    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(begin(client))
