"""The state of one session, and how commands answer.

For: who is logged in, what is selected, and the responses of the command at work.
Not for: the network (connection.py), or what commands do (commands_*.py).

    NOT LOGGED IN ──LOGIN, AUTHENTICATE──▶ LOGGED IN ──SELECT, EXAMINE──▶ SELECTED
                                              ▲                              │
                                              └── CLOSE, UNSELECT, failed SELECT

Source: RFC 3501 section 3.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from mailnode.imap.context import ImapContext
from mailnode.imap.errors import (
    BadCommandError,
    ConnectionClosedError,
    RefusedError,
    ResponseCode,
    SessionEndedError,
)
from mailnode.imap.view import MailboxView
from mailnode.store.mail_store import Account, MailboxChange

FLUSH_BYTES = 65_536


class Wire(Protocol):
    """The connection, as a session sees it."""

    @property
    def is_secure(self) -> bool:
        """Whether TLS is on."""

    @property
    def is_congested(self) -> bool:
        """Whether the client does not keep up with reading."""

    @property
    def client_address(self) -> str:
        """Where the client is, for rate limits."""

    def send(self, data: bytes) -> None:
        """Send bytes, or drop them if the client has gone."""

    def end(self, text: str, completion: bytes = b"") -> None:
        """Say `* BYE` and whatever is to stand behind it, and close."""

    def begin_login_state(self) -> None:
        """Allow what only users may do: longer commands, and to stay."""

    async def drain(self) -> None:
        """Wait until the client has read what was sent. Raises: ConnectionClosedError."""

    async def start_tls(self) -> None:
        """Forget what was read, and turn TLS on. Raises: ConnectionClosedError."""


class NoWire:
    """Stands for a connection that has ended, to a command that is still at work: it has nobody to answer.

    The connection itself would keep the session, and the session the connection, until the collector comes.
    """

    is_secure = False
    is_congested = False
    client_address = ""

    def send(self, data: bytes) -> None:
        """Drop it."""

    def end(self, text: str, completion: bytes = b"") -> None:
        """Do nothing: it has ended."""

    def begin_login_state(self) -> None:
        """Do nothing: nobody can stay."""

    async def drain(self) -> None:
        """Say so. Raises: ConnectionClosedError."""
        raise ConnectionClosedError

    async def start_tls(self) -> None:
        """Say so. Raises: ConnectionClosedError."""
        raise ConnectionClosedError


NO_WIRE = NoWire()


class Session:
    """One session. `idle_tag` and `sasl_tag` are tags of an IDLE or AUTHENTICATE that waits for a line."""

    __slots__ = (
        "_account",
        "_is_closed",
        "_out",
        "_out_bytes",
        "_unwatch_account",
        "_unwatch_mailbox",
        "bad_commands",
        "context",
        "failed_logins",
        "idle_tag",
        "sasl_tag",
        "view",
        "wire",
    )

    def __init__(self, context: ImapContext, wire: Wire) -> None:
        self.context = context
        self.wire: Wire = wire
        self.view: MailboxView | None = None
        self.idle_tag: bytes | None = None
        self.sasl_tag: bytes | None = None
        self.failed_logins = 0
        self.bad_commands = 0
        self._account: Account | None = None
        self._is_closed = False
        self._unwatch_account: Callable[[], None] | None = None
        self._unwatch_mailbox: Callable[[], None] | None = None
        self._out: list[bytes] | None = None
        self._out_bytes = 0

    @property
    def is_logged_in(self) -> bool:
        """Whether somebody is logged in."""
        return self._account is not None

    def require_account(self) -> Account:
        """Tell whose session it is, as of the login. Raises: BadCommandError."""
        if self._account is None:
            raise BadCommandError("Log in first")
        return self._account

    async def read_quota(self) -> int:
        """Tell how many bytes the account may hold by now.

        Raises:
            SessionEndedError: The account is gone.
        """
        account = await self.context.store.find_account(self.require_account().address)
        if account is None:
            raise SessionEndedError("The account is gone")
        return self.context.accounts.quota_of(account)

    def require_view(self) -> MailboxView:
        """Tell what is selected. Raises: BadCommandError."""
        if self.view is None:
            raise BadCommandError("Select a mailbox first")
        return self.view

    def log_in(self, account: Account) -> None:
        """Begin to act for an account, until something happens to it.

        Raises:
            ConnectionClosedError: There is no client any more.
            RefusedError: The account has too many sessions.
        """
        self._check_open()
        if self.context.sessions[account.id] >= self.context.sessions_per_account:
            raise RefusedError(ResponseCode.LIMIT, "There are too many sessions of this account")
        self.context.sessions[account.id] += 1
        self._account = account
        self._unwatch_account = self.context.accounts.watch_sessions(account.id, self._shut_out)
        self.wire.begin_login_state()

    async def enter_mailbox(self, view: MailboxView) -> None:
        """Select a mailbox: from before it is read on, no change of it is missed.

        Raises:
            ConnectionClosedError: There is no client any more.
            UnknownMailboxError: The mailbox is gone.
        """
        self._check_open()
        self.leave_mailbox()
        self._unwatch_mailbox = self.context.store.watch(view.mailbox.id, self._hear)
        self.view = view
        try:
            view.fill(await self.context.store.read_contents(view.mailbox.id))
        except BaseException:
            self.leave_mailbox()
            raise

    def leave_mailbox(self) -> None:
        """Have nothing selected."""
        if self._unwatch_mailbox is not None:
            self._unwatch_mailbox()
        self._unwatch_mailbox = None
        self.view = None

    def close(self) -> None:
        """Let go of everything outside; the connection has ended, but a command may still be at work."""
        self._is_closed = True
        self.leave_mailbox()
        if self._unwatch_account is not None and self._account is not None:
            self._unwatch_account()
            self.context.sessions[self._account.id] -= 1
            if not self.context.sessions[self._account.id]:
                del self.context.sessions[self._account.id]
        self._unwatch_account = None
        self.idle_tag = None

    def say(self, response: bytes) -> None:
        """Answer with a whole response; it goes out with what else the command says."""
        if self._out is None:
            self._out = []
        self._out.append(response)
        self._out_bytes += len(response)

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone, or is being sent away."""
        return self._is_closed

    @property
    def says_much(self) -> bool:
        """Whether so much was said that `relieve` would send it."""
        return self._out_bytes >= FLUSH_BYTES

    async def relieve(self) -> None:
        """Send early what a long answer has become so far, and wait for a client that reads slowly.

        One that reads fast would keep the loop busy with 100 MB for 300 ms: others have their turn each time.

        Raises:
            ConnectionClosedError: There is nobody to read it.
        """
        if self._out_bytes >= FLUSH_BYTES:
            self.flush()
            if self.wire.is_congested:
                await self.wire.drain()
            else:
                await asyncio.sleep(0)
            self._check_open()

    def flush(self, last: bytes = b"") -> None:
        """Send what was said, with `last` behind it."""
        out, self._out, self._out_bytes = self._out, None, 0
        if out is not None:
            out.append(last)
            last = b"".join(out)
        if last:
            self.wire.send(last)

    def push_updates(self) -> None:
        """Tell a client in IDLE at once; one that does not read is told when it does."""
        if self.idle_tag is not None and self.view is not None and not self.wire.is_congested:
            self.flush(self.view.take_updates(with_expunges=True))

    def _check_open(self) -> None:
        """Refuse to take hold of anything that nobody would let go of."""
        if self._is_closed:
            raise ConnectionClosedError

    def _shut_out(self) -> None:
        self.wire.end("The account has changed, log in again")

    def _hear(self, change: MailboxChange) -> None:
        if self.view is None:
            return
        self.view.note(change)
        if self.view.is_gone:
            self.wire.end("The mailbox is gone")
        else:
            self.push_updates()
