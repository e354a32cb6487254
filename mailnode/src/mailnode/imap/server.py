"""The IMAP server: what all its connections share, from start to stop.

For: handing out a protocol for each connection, to whoever listens (993, 143, and 443 after its handshake).
Not for: listening sockets and certificates; the daemon makes them.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.rate_limit import find_prefix
from mailnode.imap.connection import ImapConnection
from mailnode.imap.context import AppendGate, ImapContext, SharedMetadata
from mailnode.imap.limits import SessionLimits
from mailnode.imap.wheel import DeadlineWheel
from mailnode.store.mail_store import MailStore

__all__ = ["AppendGate", "ImapServer", "SessionLimits", "SharedMetadata"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TURN_SECONDS = 1.0


class ImapServer:
    """Serves IMAP to the connections whose protocols it builds.

    Args:
        accounts: Who may log in.
        store: Where the mail is.
        metadata: What METADATA tells below `/shared`.
        hostname: Our name, for the greeting.
        tls: What STARTTLS turns on.
        append_gate: Raises `AppendRefusedError` for a message that may not be appended; must be a pure
            function, for large messages are judged in a thread.
        limits: How many sessions, and how long.
        clock_seconds: Unix time.
        turn_seconds: How often deadlines are looked at.
    """

    def __init__(  # noqa: PLR0913 - the parts that it works with
        self,
        *,
        accounts: Accounts,
        store: MailStore,
        metadata: SharedMetadata,
        hostname: str,
        tls: ssl.SSLContext,
        append_gate: AppendGate,
        limits: SessionLimits | None = None,
        clock_seconds: Callable[[], float] = time.time,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self.limits = limits or SessionLimits()
        self.tls = tls
        self.context = ImapContext(
            accounts=accounts,
            store=store,
            metadata=metadata,
            append_gate=append_gate,
            hostname=hostname,
            clock_seconds=clock_seconds,
            sessions_per_account=self.limits.sessions_per_account,
        )
        self._turn_seconds = turn_seconds
        self._connections: set[ImapConnection] = set()
        self._per_prefix: Counter[str] = Counter()
        self._wheel: DeadlineWheel[ImapConnection] = DeadlineWheel()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_empty = asyncio.Event()

    @property
    def session_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def address_count(self) -> int:
        """From how many addresses they come; a /64 of IPv6 counts as one."""
        return len(self._per_prefix)

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until `stack` unwinds; then every client hears BYE, and what still runs is ended."""
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(lambda: [task.cancel() for task in self._tasks])
        self._group = group
        stack.push_async_callback(self._end_sessions)
        self.spawn(self._turn_wheel())

    def build_protocol(self, *, is_secure: bool) -> asyncio.Protocol:
        """Build the protocol of a new connection; `is_secure` says whether TLS is on already."""
        return ImapConnection(self, is_secure=is_secure)

    # Connections call these.

    def admit(self, connection: ImapConnection) -> str | None:
        """Take a new connection in, or tell why not."""
        if self._group is None:
            return "Not now"
        connection.prefix = find_prefix(connection.client_address)
        self._connections.add(connection)
        self._per_prefix[connection.prefix] += 1
        self._is_empty.clear()
        self._wheel.put(connection, asyncio.get_running_loop().time() + self.limits.farewell_seconds)
        if len(self._connections) > self.limits.sessions:
            return "Too many connections, try again later"
        if self._per_prefix[connection.prefix] > self.limits.sessions_per_prefix:
            return "Too many connections from your network"
        return None

    def forget(self, connection: ImapConnection) -> None:
        """Forget a connection that has ended."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._wheel.remove(connection)
        self._per_prefix[connection.prefix] -= 1
        if not self._per_prefix[connection.prefix]:
            del self._per_prefix[connection.prefix]
        if not self._connections:
            self._is_empty.set()

    def message_bytes(self) -> int:
        """How large a message may be now."""
        return self.context.accounts.policy.current.message_bytes

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on in a task."""
        if self._group is None:
            work.close()
            return
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turn_wheel(self) -> None:
        """Look after deadlines, for all sessions in one task."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._turn_seconds)
            now = loop.time()
            for connection in self._wheel.take_due(now):
                try:
                    self._wheel.put(connection, connection.visit(now))
                except Exception:  # one session's trouble must not end the care for all others
                    log.exception("imap deadline failed")
                    connection.abort()
                if connection not in self._connections:
                    self._wheel.remove(connection)

    async def _end_sessions(self) -> None:
        for connection in list(self._connections):
            connection.end("The server is going down, come back soon")
        try:
            async with asyncio.timeout(self.limits.farewell_seconds):
                if self._connections:
                    await self._is_empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        self._group = None
