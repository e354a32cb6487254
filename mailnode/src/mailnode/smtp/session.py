"""The commands of a session, and the order they come in.

For: the server, one for each connection.
Not for: what a message must be (submission.py), or bytes and time (connection.py).

    EHLO ─▶ (STARTTLS ─▶ EHLO) ─▶ AUTH ─▶ MAIL ─▶ RCPT ... ─▶ DATA, or BDAT ... ─▶ 250
                                           ▲────────────────────────────────────────┘

There is no login and no mail without TLS. Source: RFC 5321 section 4.1.4, RFC 3207, RFC 4954, RFC 6409.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import LoginRefusedError, LoginUnavailableError
from mailnode.smtp import replies
from mailnode.smtp.chunks import Chunks, read_chunk_command
from mailnode.smtp.connection import SmtpConnection, Surroundings
from mailnode.smtp.credentials import MECHANISMS, challenge, read_plain, read_word
from mailnode.smtp.limits import MAX_COMMAND_BYTES, MAX_LONG_COMMAND_BYTES
from mailnode.smtp.reader import (
    MAX_DRAINED_MESSAGES,
    LineTooLongError,
    MessageTooLargeError,
)
from mailnode.smtp.replies import SmtpReply
from mailnode.smtp.submission import Transaction
from mailnode.smtp.syntax import LONG_COMMANDS, CommandError, read_command, read_mail_parameters, read_path
from mailnode.store.mail_store import Account

# Dots are counted in what comes after DATA, and not in what a message may have.
STUFFING_SHARE = 16
STUFFING_BYTES = 4_096

# RFC 3207 section 4: whatever else comes before TLS is answered with 530.
BEFORE_TLS = frozenset((b"EHLO", b"HELO", b"STARTTLS", b"NOOP", b"RSET", b"QUIT"))
BEFORE_LOGIN = BEFORE_TLS | {b"AUTH", b"HELP"}

# Replies that a client gets for doing something wrong, in contrast to asking for something that cannot be.
# 503 is none: a client that pipelines gets it for every command behind the one that was refused.
FAULT_CODES = frozenset((500, 501, 502, 504, 530, 535, 555))


class SmtpSession(SmtpConnection):
    """A connection with what it has come to: greeted, logged in, within a transaction."""

    def __init__(self, accounts: Accounts, surroundings: Surroundings, *, is_secure: bool) -> None:
        super().__init__(surroundings, is_secure=is_secure)
        self._accounts = accounts
        self._submission = surroundings.submission
        self._account: Account | None = None
        self._wait_seconds = surroundings.limits.login_seconds
        self._unwatch: Callable[[], None] | None = None
        self._is_greeted = False
        self._transaction: Transaction | None = None
        self._chunks: Chunks | None = None
        self._errors = 0

    def connection_lost(self, error: Exception | None) -> None:
        """Stop watching the account, too, and hold no chunks any more."""
        self._drop_chunks()
        if self._unwatch is not None:
            self._unwatch()
        self._unwatch = None
        super().connection_lost(error)

    async def run_session(self) -> None:
        """Greet, then read and answer."""
        self.say(SmtpReply(220, "", f"{self.surroundings.hostname} ESMTP"))
        while self._farewell is None and not self._is_closing:
            try:
                reply = await self._answer(await self.read_line(MAX_LONG_COMMAND_BYTES, self._wait_seconds))
            except LineTooLongError:
                reply = replies.LINE_TOO_LONG
            except CommandError as refusal:
                reply = refusal.reply
            if reply is not None:
                self.say(reply)
                if reply.code in FAULT_CODES:
                    self._count_fault()

    async def _answer(self, line: bytes) -> SmtpReply | None:
        """Carry a command out; `None` when it has been answered already.

        Raises:
            CommandError: It is wrong, or refused.
        """
        command = read_command(line)
        verb = command.verb
        if len(line) + 2 > MAX_COMMAND_BYTES and verb not in LONG_COMMANDS:
            return replies.LINE_TOO_LONG
        handler = self._HANDLERS.get(verb)
        if handler is None:
            return replies.UNKNOWN_COMMAND
        if not self.is_secure and verb not in BEFORE_TLS:
            return self._refuse_early(verb, replies.TLS_NEEDED)
        if self._account is None and verb not in BEFORE_LOGIN:
            return self._refuse_early(verb, replies.LOGIN_NEEDED)
        return await handler(self, command.argument)

    def _refuse_early(self, verb: bytes, refusal: SmtpReply) -> SmtpReply | None:
        """Refuse what comes too early. A chunk would be read as commands, so nothing behind it is read."""
        if verb != b"BDAT":
            return refusal
        self.end_soon(refusal)
        return None

    def _count_fault(self) -> None:
        self._errors += 1
        if self._errors > self.surroundings.limits.errors:
            self.end_soon(replies.TOO_MANY_ERRORS)

    async def _greet(self, argument: str) -> SmtpReply | None:
        if not argument:
            return replies.BAD_ARGUMENT
        self._start_afresh()
        self._is_greeted = True
        lines = [
            self.surroundings.hostname,
            "PIPELINING",
            f"SIZE {self._submission.max_bytes}",
            "8BITMIME",
            "CHUNKING",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            f"AUTH {' '.join(MECHANISMS)}" if self.is_secure else "STARTTLS",
        ]
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self.say_lines(text.encode())
        return None

    async def _greet_briefly(self, argument: str) -> SmtpReply:
        if not argument:
            return replies.BAD_ARGUMENT
        self._start_afresh()
        self._is_greeted = True
        return SmtpReply(250, "", self.surroundings.hostname)

    async def _start_tls(self, argument: str) -> SmtpReply | None:
        if argument:
            return replies.BAD_ARGUMENT
        if self.is_secure:
            return replies.BAD_SEQUENCE
        await self.start_tls(replies.START_TLS)
        self._is_greeted = False
        return None

    async def _log_in(self, argument: str) -> SmtpReply:
        if self._account is not None or not self._is_greeted:
            return replies.BAD_SEQUENCE
        mechanism, _, initial = argument.partition(" ")
        match mechanism.upper():
            case "PLAIN":
                login, password = read_plain(initial or await self._ask(""))
            case "LOGIN":
                login = read_word(initial or await self._ask("Username:"))
                password = read_word(await self._ask("Password:"))
            case _:
                return replies.UNKNOWN_MECHANISM
        try:
            account = await self._accounts.log_in(login, password, self.client_address)
        except LoginRefusedError:
            return replies.LOGIN_REFUSED
        except LoginUnavailableError:
            return replies.LOGIN_UNAVAILABLE
        self._unwatch = self._accounts.watch_sessions(account.id, self._shut_out)
        self._account = account
        self._wait_seconds = self.surroundings.limits.idle_seconds
        return replies.LOGGED_IN

    async def _ask(self, text: str) -> str:
        """Ask for a part of the credentials. Raises: CommandError, when they are not given."""
        self.say(challenge(text))
        answer = await self.read_line(MAX_LONG_COMMAND_BYTES, self._wait_seconds)
        if answer == b"*":
            raise CommandError(replies.LOGIN_ABORTED)
        return answer.decode("ascii", "replace")

    def _shut_out(self) -> None:
        self.end_soon(replies.ACCOUNT_CHANGED)

    async def _begin_mail(self, argument: str) -> SmtpReply:
        if self._account is None or not self._is_greeted or self._transaction is not None:
            return replies.BAD_SEQUENCE
        path = read_path("FROM", argument, replies.BAD_ARGUMENT)
        size_bytes = read_mail_parameters(path.parameters)
        self._transaction = self._submission.begin(self._account, path.address, size_bytes)
        return replies.SENDER_OK

    async def _add_recipient(self, argument: str) -> SmtpReply:
        transaction = self._transaction
        if transaction is None or self._chunks is not None:
            return replies.BAD_SEQUENCE
        path = read_path("TO", argument, replies.BAD_RECIPIENT)
        if not path.address:
            return replies.BAD_RECIPIENT
        if path.parameters:
            return replies.UNKNOWN_PARAMETER
        if transaction.asked_count >= self.surroundings.limits.recipients:
            return replies.TOO_MANY_RECIPIENTS
        transaction.asked_count += 1
        await self._submission.add_recipient(transaction, path.address)
        return replies.RECIPIENT_OK

    async def _take_message(self, argument: str) -> SmtpReply | None:
        transaction = self._transaction
        if argument:
            return replies.BAD_ARGUMENT
        if transaction is None or not transaction.has_recipients or self._chunks is not None:
            return replies.BAD_SEQUENCE
        self._transaction = None
        self.say(replies.START_DATA)
        max_bytes = self._submission.max_bytes
        try:
            stuffed = await self.read_message(max_bytes + max_bytes // STUFFING_SHARE + STUFFING_BYTES)
            if self.is_ending:  # the client has been told to come back, and would send it twice
                return None
            reply = await self._submission.finish(transaction, stuffed)
        except MessageTooLargeError:
            return replies.MESSAGE_TOO_LARGE
        finally:
            self.incoming.leave_room()
        self._errors = 0
        return reply

    async def _take_chunk(self, argument: str) -> SmtpReply | None:
        transaction = self._transaction
        may_come = transaction is not None and transaction.has_recipients
        taken = await self.collect(argument, self._submission.max_bytes, may_come=may_come)
        if transaction is None or self._chunks is None:
            self._transaction = None  # refused: what still comes of the message is thrown away
        if transaction is None or not isinstance(taken, bytearray):
            return taken if isinstance(taken, SmtpReply) else None
        try:
            reply = await self._submission.finish(transaction, taken, is_stuffed=False)
        finally:
            self._start_afresh()
        self._errors = 0
        return reply

    async def collect(self, argument: str, max_bytes: int, *, may_come: bool) -> bytearray | SmtpReply | None:
        """Take a chunk, if one may come now, and put it to those before; otherwise throw it away.

        Returns:
            The message if it is whole, else what is to be said; `None` where the session ends. If the chunk
            was refused, there are no `_chunks` any more.

        Raises:
            NoRoomError: There are too many large messages at this moment.
            ClientLeftError: It has.
        """
        try:
            command = read_chunk_command(argument)
        except CommandError as refusal:  # nobody knows where the chunk ends, so nothing more can be read
            self._drop_chunks()
            self.end_soon(refusal.reply)
            return None
        chunks = (self._chunks or Chunks()) if may_come else None
        if chunks is None or len(chunks.content) + command.size_bytes > max_bytes:
            self._drop_chunks()
            if command.size_bytes > MAX_DRAINED_MESSAGES * max_bytes:
                self.end_soon(replies.MESSAGE_TOO_LARGE)
                return None
            await self.throw_away(command.size_bytes)
            return replies.BAD_SEQUENCE if chunks is None else replies.MESSAGE_TOO_LARGE
        self._chunks = chunks
        self.incoming.hold(command.size_bytes)
        chunks.add(await self.read_chunk(command.size_bytes))
        if self.is_ending:  # the client has been told to come back, and would send it twice
            self._drop_chunks()
            return None
        return chunks.finish() if command.is_last else replies.CHUNK_OK

    def _drop_chunks(self) -> None:
        self._chunks = None
        self.incoming.leave_room()

    def _start_afresh(self) -> None:
        self._transaction = None
        self._drop_chunks()

    async def _reset(self, argument: str) -> SmtpReply:
        if argument:
            return replies.BAD_ARGUMENT
        self._start_afresh()
        return replies.OK

    async def _do_nothing(self, _argument: str) -> SmtpReply:
        return replies.OK

    async def _quit(self, argument: str) -> SmtpReply | None:
        if argument:
            return replies.BAD_ARGUMENT
        self.end_soon(replies.BYE)
        return None

    async def _verify(self, argument: str) -> SmtpReply:
        return replies.NOT_VERIFIED if argument else replies.BAD_ARGUMENT

    async def _help(self, _argument: str) -> SmtpReply:
        return replies.HELP

    async def _refuse(self, _argument: str) -> SmtpReply:
        return replies.NOT_IMPLEMENTED

    _HANDLERS: ClassVar[Mapping[bytes, Callable[["SmtpSession", str], Awaitable[SmtpReply | None]]]] = {
        b"EHLO": _greet,
        b"HELO": _greet_briefly,
        b"STARTTLS": _start_tls,
        b"AUTH": _log_in,
        b"MAIL": _begin_mail,
        b"RCPT": _add_recipient,
        b"DATA": _take_message,
        b"BDAT": _take_chunk,
        b"RSET": _reset,
        b"NOOP": _do_nothing,
        b"QUIT": _quit,
        b"VRFY": _verify,
        b"HELP": _help,
        b"EXPN": _refuse,
    }
