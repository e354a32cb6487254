"""The SMTP server: what all its connections share, from start to stop.

For: handing out a protocol for each connection, to whoever listens (465, 587, and 443 after its handshake).
Not for: listening sockets and certificates; the daemon makes them.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.rate_limit import find_prefix
from mailnode.smtp.connection import SmtpConnection
from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.reader import MessageRoom
from mailnode.smtp.recipients import Outbound
from mailnode.smtp.replies import SHUTTING_DOWN, TOO_MANY_CONNECTIONS, SmtpReply
from mailnode.smtp.session import SmtpSession
from mailnode.smtp.submission import Submission
from mailnode.store.mail_store import MailStore

__all__ = ["SmtpLimits", "SmtpServer"]


@dataclass(kw_only=True, eq=False)
class SmtpServer:
    """Takes mail from the connections whose protocols it builds.

    accounts: who may log in, and who gets mail.
    store: where mail is put.
    hostname: our name, for the greeting.
    tls: what STARTTLS turns on.
    outbound: the way to other nodes; `None` where there are none.
    limits: how many sessions, how much and how long.
    clock_seconds: Unix time.
    monotonic_ns: time for the rate limit.
    """

    accounts: Accounts
    store: MailStore
    hostname: str
    tls: ssl.SSLContext
    outbound: Outbound | None = None
    limits: SmtpLimits = field(default_factory=SmtpLimits)
    clock_seconds: Callable[[], float] = time.time
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    room: MessageRoom = field(init=False)
    submission: Submission = field(init=False)
    _connections: set[SmtpConnection] = field(init=False, default_factory=set)
    _per_prefix: Counter[str] = field(init=False, default_factory=Counter)
    _is_open: bool = field(init=False, default=False)
    _is_empty: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Make the rules that all sessions share."""
        self.room = MessageRoom(self.limits.unfinished_bytes)
        self.submission = Submission(
            accounts=self.accounts,
            store=self.store,
            mail_rate=self.limits.mail_rate,
            outbound=self.outbound,
            clock_seconds=self.clock_seconds,
            monotonic_ns=self.monotonic_ns,
        )

    @property
    def session_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until `stack` unwinds; then every client hears 421, and what still runs is ended."""
        self._is_open = True
        stack.push_async_callback(self._end_sessions)

    def build_protocol(self, *, is_secure: bool) -> asyncio.Protocol:
        """Build the protocol of a new connection; `is_secure` says whether TLS is on already."""
        return SmtpSession(self.accounts, self, is_secure=is_secure)

    def admit(self, connection: SmtpConnection) -> SmtpReply | None:
        """Take a new connection in, or tell why not."""
        if not self._is_open:
            return SHUTTING_DOWN
        prefix = find_prefix(connection.client_address)
        limits = self.limits
        if len(self._connections) >= limits.sessions:
            return TOO_MANY_CONNECTIONS
        if self._per_prefix[prefix] >= limits.sessions_per_prefix:
            return TOO_MANY_CONNECTIONS
        connection.prefix = prefix
        self._per_prefix[prefix] += 1
        self._is_empty.clear()
        self._connections.add(connection)
        return None

    def forget(self, connection: SmtpConnection) -> None:
        """Forget a connection that has ended."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._per_prefix[connection.prefix] -= 1
        if not self._per_prefix[connection.prefix]:
            del self._per_prefix[connection.prefix]
        if not self._connections:
            self._is_empty.set()

    async def _end_sessions(self) -> None:
        """Let every client hear that we go; one whose message is being stored hears about that first."""
        self._is_open = False
        for connection in list(self._connections):
            connection.end_soon(SHUTTING_DOWN)
        if self._connections:
            try:
                async with asyncio.timeout(self.limits.farewell_seconds):
                    await self._is_empty.wait()
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()
