"""What else clients do: groups, logins, and doing nothing.

For: __main__.py, for the node and for the pipeline alike.
Not for: the closed loop of Delta Chat (closed_loop.py).
"""

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from mail.closed_loop import Target, make_password, open_submission, submit
from mail.messages import make_body
from mail.wire import BenchError, check_tagged, connect

GROUP_SIZE = 20
REST_SECONDS = 0.5
REST_CPU_SECONDS = 0.01
SETTLE_SECONDS = 60
LOGIN_SECONDS = 30
IDLE_AT_ONCE = 50
SESSIONS_PER_ADDRESS = 500


@dataclass(frozen=True, slots=True)
class LoginCosts:
    """CPU milliseconds of the server for one login over a new TLS connection."""

    creating_ms: float
    again_ms: float
    resumed_ms: float
    is_resumed: bool


async def settle(target: Target) -> None:
    """Wait until the server has nothing more to do: a pipeline works on after it has answered.

    Raises:
        BenchError: It never rests.
    """
    ends_at = time.monotonic() + SETTLE_SECONDS
    before = sum(target.read_cpu_seconds())
    while time.monotonic() < ends_at:
        await asyncio.sleep(REST_SECONDS)
        now = sum(target.read_cpu_seconds())
        if now - before < REST_CPU_SECONDS:
            return
        before = now
    raise BenchError(f"{target.name} does not come to rest")


async def measure_group(target: Target, messages: int) -> float:
    """Send messages to a group of 20; return CPU milliseconds for each delivery."""
    run_id, password, body = secrets.token_hex(3), make_password(), make_body()
    members = [f"g{number}-{run_id}@{target.domain}" for number in range(GROUP_SIZE)]
    for member in members:
        imap = await connect(target.host, target.imap_port)
        await imap.read_past(b"* OK")
        imap.send(f"a LOGIN {member} {password}\r\n".encode())
        check_tagged(await imap.read_past(b"a "))
        imap.close()
    sender = f"h-{run_id}@{target.domain}"
    smtp = await open_submission(target, sender, password)
    await settle(target)
    before = sum(target.read_cpu_seconds())
    for _ in range(messages):
        await submit(smtp, sender, members, body)
    await settle(target)
    spent = sum(target.read_cpu_seconds()) - before
    smtp.close()
    return 1_000 * spent / (messages * GROUP_SIZE)


def measure_logins(target: Target, count: int) -> LoginCosts:
    """Log in to new accounts, again to the same ones, and again with the TLS session of before."""
    run_id, password = secrets.token_hex(3), make_password()
    users = [f"j{number}-{run_id}@{target.domain}" for number in range(count)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    resumed: list[bool] = []

    def log_in(user: str, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
        with socket.create_connection((target.host, target.imap_port), LOGIN_SECONDS) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(plain, session=session) as wire:
                _read_until(wire, b"* OK")
                wire.sendall(f"a LOGIN {user} {password}\r\n".encode())
                _read_until(wire, b"a OK")
                resumed.append(bool(wire.session_reused))
                return wire.session

    def spend(work: Callable[[str], object]) -> float:
        asyncio.run(settle(target))
        before = sum(target.read_cpu_seconds())
        for user in users:
            work(user)
        asyncio.run(settle(target))
        return 1_000 * (sum(target.read_cpu_seconds()) - before) / count

    creating_ms = spend(lambda user: log_in(user, None))
    again_ms = spend(lambda user: log_in(user, None))
    session = log_in(users[0], None)
    resumed.clear()
    resumed_ms = spend(lambda user: log_in(user, session))
    return LoginCosts(creating_ms, again_ms, resumed_ms, sum(resumed) > count / 2)


async def measure_idle(target: Target, sessions: int, read_memory_kib: Callable[[], int]) -> float:
    """Let sessions wait in IDLE over TLS; return KiB of the server's memory for each."""
    run_id, password = secrets.token_hex(3), make_password()
    places = asyncio.Semaphore(IDLE_AT_ONCE)
    async with AsyncExitStack() as stack:

        async def wait_in_idle(number: int) -> None:
            async with places:
                local = f"127.0.1.{1 + number // SESSIONS_PER_ADDRESS}"
                imap = await connect(target.host, target.imap_port, local)
                stack.callback(imap.close)
                await imap.read_past(b"* OK")
                imap.send(f"a LOGIN i{number}-{run_id}@{target.domain} {password}\r\n".encode())
                check_tagged(await imap.read_past(b"a "))
                imap.send(b"b SELECT INBOX\r\n")
                check_tagged(await imap.read_past(b"b "))
                imap.send(b"c IDLE\r\n")
                await imap.read_past(b"+")

        await settle(target)
        before = read_memory_kib()
        async with asyncio.TaskGroup() as tasks:
            for number in range(sessions):
                tasks.create_task(wait_in_idle(number))
        await settle(target)
        return (read_memory_kib() - before) / sessions


def _read_until(wire: ssl.SSLSocket, start: bytes) -> None:
    """Read up to the line that begins like this. Raises: BenchError, OSError."""
    received = b""
    while not any(line.startswith(start) for line in received.split(b"\r\n")[:-1]):
        data = wire.recv(4096)
        if not data:
            raise BenchError(f"the server closed the connection after {received!r}")
        received += data
