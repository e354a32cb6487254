"""A session at port 25: mail from servers of others.

For: smtp_server.py, one for each connection.
Not for: what a message must be (reception.py), or mail of our own users, who log in elsewhere.

    EHLO ─▶ (STARTTLS ─▶ EHLO) ─▶ MAIL ─▶ RCPT ... ─▶ DATA, or BDAT ... ─▶ 250
                                   ▲────────────────────────────────────────┘

TLS is offered and not demanded: what a message is believed for is its signature (RFC 3207 section 4).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.federation.delivery import LARGE_MESSAGE_BYTES
from mailnode.peering.errors import ReceptionError
from mailnode.peering.reception import Arrival, Reception
from mailnode.smtp import replies
from mailnode.smtp.connection import Surroundings
from mailnode.smtp.message_text import check_message, make_message
from mailnode.smtp.reader import MessageTooLargeError
from mailnode.smtp.replies import SmtpReply
from mailnode.smtp.session import STUFFING_BYTES, STUFFING_SHARE, SmtpSession
from mailnode.smtp.syntax import CommandError, read_command, read_mail_parameters, read_path
from nodelink.contract.federation import PeerTransport

NO_RELAY = SmtpReply(550, "5.7.1", "This server takes mail for its own users only")
NO_LOGIN = SmtpReply(502, "5.5.1", "Nobody logs in here")
AS_EVERYWHERE = frozenset((b"NOOP", b"QUIT", b"VRFY", b"HELP", b"EXPN"))
EXTENSIONS = ("PIPELINING", "8BITMIME", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class _Letter:
    mail_from: str
    asked_count: int = 0
    recipients: list[str] = field(default_factory=list)


class PeerSession(SmtpSession):
    """A connection of a peer: whoever he is, his mail speaks for him."""

    def __init__(
        self, accounts: Accounts, surroundings: Surroundings, reception: Reception, *, is_secure: bool
    ) -> None:
        super().__init__(accounts, surroundings, is_secure=is_secure)
        self._reception = reception
        self._letter: _Letter | None = None

    async def _answer(self, line: bytes) -> SmtpReply | None:
        command = read_command(line)
        if command.verb in AS_EVERYWHERE:
            return await self._HANDLERS[command.verb](self, command.argument)
        handler = self._PEER_HANDLERS.get(command.verb)
        if handler is None:
            return replies.UNKNOWN_COMMAND
        try:
            return await handler(self, command.argument)
        except ReceptionError as refusal:
            log.info("mail refused", code=refusal.code, detail=str(refusal))
            return SmtpReply(refusal.code, refusal.enhanced, refusal.public_text)

    async def _welcome(self, argument: str) -> SmtpReply | None:
        if not argument:
            return replies.BAD_ARGUMENT
        self._drop_letter()
        self._is_greeted = True
        lines = [self.surroundings.hostname, f"SIZE {self._reception.max_bytes}", *EXTENSIONS]
        if not self.is_secure:
            lines.append("STARTTLS")
        text = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self.say_lines(text.encode())
        return None

    async def _begin_letter(self, argument: str) -> SmtpReply:
        if not self._is_greeted or self._letter is not None:
            return replies.BAD_SEQUENCE
        path = read_path("FROM", argument, replies.BAD_ARGUMENT)
        size_bytes = read_mail_parameters(path.parameters)
        if size_bytes is not None and size_bytes > self._reception.max_bytes:
            return replies.MESSAGE_TOO_LARGE
        self._reception.admit_source(self.client_address)
        self._letter = _Letter(path.address)
        return replies.SENDER_OK

    async def _address_letter(self, argument: str) -> SmtpReply:
        letter = self._letter
        if letter is None or self._chunks is not None:
            return replies.BAD_SEQUENCE
        path = read_path("TO", argument, replies.BAD_RECIPIENT)
        if not path.address:
            return replies.BAD_RECIPIENT
        if path.parameters:
            return replies.UNKNOWN_PARAMETER
        if letter.asked_count >= self.surroundings.limits.recipients:
            return replies.TOO_MANY_RECIPIENTS
        letter.asked_count += 1
        if not self._reception.is_own_domain(path.address.rpartition("@")[2]):
            return NO_RELAY
        await self._reception.find_recipient(path.address)
        letter.recipients.append(path.address)
        return replies.RECIPIENT_OK

    async def _take_letter(self, argument: str) -> SmtpReply | None:
        letter = self._letter
        if argument:
            return replies.BAD_ARGUMENT
        if letter is None or not letter.recipients or self._chunks is not None:
            return replies.BAD_SEQUENCE
        self._letter = None
        self.say(replies.START_DATA)
        max_bytes = self._reception.max_bytes
        try:
            stuffed = await self.read_message(max_bytes + max_bytes // STUFFING_SHARE + STUFFING_BYTES)
            if self.is_ending:
                return None
            await self._hand_in(letter, await _make(partial(make_message, stuffed, max_bytes), len(stuffed)))
        except MessageTooLargeError:
            return replies.MESSAGE_TOO_LARGE
        finally:
            self.incoming.leave_room()
        self._errors = 0
        return replies.ACCEPTED

    async def _take_letter_chunk(self, argument: str) -> SmtpReply | None:
        letter = self._letter
        max_bytes = self._reception.max_bytes
        taken = await self.collect(
            argument, max_bytes, may_come=letter is not None and bool(letter.recipients)
        )
        if letter is None or self._chunks is None:
            self._letter = None
        if letter is None or not isinstance(taken, bytearray):
            return taken if isinstance(taken, SmtpReply) else None
        try:
            await self._hand_in(letter, await _make(partial(check_message, taken, max_bytes), len(taken)))
        finally:
            self._drop_letter()
        self._errors = 0
        return replies.ACCEPTED

    async def _hand_in(self, letter: _Letter, message: bytes) -> None:
        """Hand a letter in. Raises: ReceptionError."""
        recipients = tuple(dict.fromkeys(letter.recipients))
        arrival = Arrival(self.client_address, PeerTransport.SMTP, letter.mail_from, recipients)
        # In a task, which the dialogue is not: to ask name servers needs one.
        await self.loop.create_task(self._reception.take(arrival, message))

    def _drop_letter(self) -> None:
        self._letter = None
        self._drop_chunks()

    async def _start_over(self, argument: str) -> SmtpReply:
        if argument:
            return replies.BAD_ARGUMENT
        self._drop_letter()
        return replies.OK

    async def _secure(self, argument: str) -> SmtpReply | None:
        self._drop_letter()
        return await self._start_tls(argument)

    async def _greet_old(self, argument: str) -> SmtpReply:
        self._drop_letter()
        return await self._greet_briefly(argument)

    async def _refuse_login(self, _argument: str) -> SmtpReply:
        raise CommandError(NO_LOGIN)

    _PEER_HANDLERS: ClassVar[Mapping[bytes, Callable[["PeerSession", str], Awaitable[SmtpReply | None]]]] = {
        b"EHLO": _welcome,
        b"HELO": _greet_old,
        b"STARTTLS": _secure,
        b"AUTH": _refuse_login,
        b"MAIL": _begin_letter,
        b"RCPT": _address_letter,
        b"DATA": _take_letter,
        b"BDAT": _take_letter_chunk,
        b"RSET": _start_over,
    }


async def _make(make: Callable[[], bytes], size_bytes: int) -> bytes:
    """Make a message of what has come; of much, in a thread, so that nobody waits. Raises: CommandError."""
    return await asyncio.to_thread(make) if size_bytes > LARGE_MESSAGE_BYTES else make()
