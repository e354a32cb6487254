"""What happens to a message: who may send it, who gets it, and what the sender hears.

For: session.py, which knows the commands and their order.
Not for: bytes on the wire.

    DATA, BDAT ─▶ lines and dots ─▶ encryption gate ─▶ header hygiene ─▶ store: durable ─▶ 250
                                                                      ├─▶ full mailboxes: report to the sender
                                                                      └─▶ other nodes: their queue
"""

import time
from collections.abc import Callable, Collection
from dataclasses import InitVar, dataclass, field
from functools import partial

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import normalise_address
from mailnode.accounts.errors import BadAddressError
from mailnode.accounts.rate_limit import RateLimit, RateLimiter
from mailnode.encryption.errors import UnencryptedError, WrongFromError
from mailnode.encryption.gate import check_outgoing
from mailnode.federation.delivery import plan_envelopes
from mailnode.smtp.background_work import BackgroundWork
from mailnode.smtp.failure_report import report_failure
from mailnode.smtp.message_text import check_message, clean_header, make_message
from mailnode.smtp.recipients import Foreign, Outbound, find_recipient
from mailnode.smtp.replies import (
    ACCEPTED,
    FOREIGN_SENDER,
    MAILBOX_FULL,
    MESSAGE_TOO_LARGE,
    TOO_MUCH_MAIL,
    TRY_LATER,
    SmtpReply,
)
from mailnode.smtp.syntax import CommandError
from mailnode.store.mail_store import (
    Account,
    AccountId,
    MailStore,
    Recipient,
    StoreUnavailableError,
    UnknownAccountError,
)

# From here on, a message is looked at in a thread: 256 KiB take about a millisecond.
LARGE_MESSAGE_BYTES = 262_144
# Each of these takes several times the message in memory, and the threads take turns anyway.
LARGE_MESSAGES_AT_ONCE = 2
FULL_OR_GONE = "Mailbox full, or gone"

Make = Callable[[], bytes]
"""Make a message of what came. Raises: CommandError."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Transaction:
    """A message on its way in: MAIL has been said, DATA not yet finished.

    `recipients` holds each account once, with its address as the client wrote it first; `foreign` holds the
    addresses that belong to other nodes, with their domains.
    """

    sender: Account
    mail_from: str
    declared_bytes: int | None
    asked_count: int = 0
    recipients: dict[AccountId, tuple[Recipient, str]] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)

    @property
    def has_recipients(self) -> bool:
        """Whether anybody is to get the message."""
        return bool(self.recipients or self.foreign)


@dataclass(kw_only=True)
class Submission:
    """The rules for all sessions."""

    accounts: Accounts
    store: MailStore
    mail_rate: InitVar[RateLimit | None]
    outbound: Outbound | None = None
    clock_seconds: Callable[[], float] = time.time
    monotonic_ns: InitVar[Callable[[], int]] = time.monotonic_ns

    def __post_init__(self, mail_rate: RateLimit | None, monotonic_ns: Callable[[], int]) -> None:
        """Begin with nothing counted."""
        self._sent = RateLimiter(mail_rate, monotonic_ns)
        self.accepted_count = self.refused_count = 0
        self._examining = BackgroundWork(LARGE_MESSAGES_AT_ONCE)

    @property
    def max_bytes(self) -> int:
        """How large a message may be at this moment."""
        return self.accounts.policy.current.message_bytes

    def begin(self, sender: Account, mail_from: str, declared_bytes: int | None) -> Transaction:
        """Judge MAIL.

        Raises:
            CommandError: Another address than the login's, too large, or too often.
        """
        if mail_from != sender.address and not self._is_address_of(sender, mail_from):
            raise CommandError(FOREIGN_SENDER)
        if declared_bytes is not None and declared_bytes > self.max_bytes:
            raise CommandError(MESSAGE_TOO_LARGE)
        if not self._sent.try_spend(sender.address):
            raise CommandError(TOO_MUCH_MAIL)
        return Transaction(sender, mail_from, declared_bytes)

    async def add_recipient(self, transaction: Transaction, address: str) -> None:
        """Judge RCPT. Whether the message fits is known now only if its size was declared.

        Raises:
            CommandError: Nobody of this fleet, or a mailbox that is too full.
        """
        try:
            account = await find_recipient(self.accounts, address, self.outbound)
            if isinstance(account, Foreign):
                transaction.foreign[account.address] = account.destination
                return
            declared_bytes = transaction.declared_bytes
            if declared_bytes is not None and not await self.accounts.has_room(account, declared_bytes):
                raise CommandError(MAILBOX_FULL)
        except (StoreUnavailableError, UnknownAccountError) as trouble:
            raise CommandError(TRY_LATER) from trouble
        recipient = self.accounts.as_recipient(account, is_sender=account.id == transaction.sender.id)
        transaction.recipients.setdefault(account.id, (recipient, address))

    async def finish(
        self, transaction: Transaction, came: bytes | bytearray, *, is_stuffed: bool = True
    ) -> SmtpReply:
        """Judge a message and deliver it; when this returns `ACCEPTED`, it is durable.

        It came by DATA, behind a CRLF and with dots stuffed, or else by BDAT.

        Raises:
            CommandError: It was refused, and nobody got it.
        """
        make = (
            partial(make_message, came, self.max_bytes)
            if is_stuffed
            else partial(check_message, came, self.max_bytes)
        )
        try:
            reply = await self._deliver(transaction, make, len(came))
        except CommandError:
            self.refused_count += 1
            raise
        self.accepted_count += 1
        return reply

    async def _deliver(self, transaction: Transaction, make: Make, size_bytes: int) -> SmtpReply:
        addresses = [address for _, address in transaction.recipients.values()]
        addresses += transaction.foreign
        work = partial(_examine, make, transaction.mail_from, addresses)
        message = await self._examining.run(work) if size_bytes > LARGE_MESSAGE_BYTES else work()
        recipients = [recipient for recipient, _ in transaction.recipients.values()]
        envelopes = (
            plan_envelopes(transaction.sender.address, transaction.foreign) if transaction.foreign else ()
        )
        try:
            refused = await self.store.deliver(recipients, message, int(self.clock_seconds()), envelopes)
        except StoreUnavailableError as trouble:
            raise CommandError(TRY_LATER) from trouble
        if envelopes and self.outbound is not None:
            self.outbound.note_queued(envelopes, len(message))
        elif len(refused) == len(recipients):
            raise CommandError(MAILBOX_FULL)
        if refused:
            await self._report(transaction, refused, message)
        return ACCEPTED

    async def _report(self, transaction: Transaction, refused: Collection[AccountId], message: bytes) -> None:
        """Tell the sender who did not get his message; if that cannot be, he is to send it again.

        Those who have it may get it twice then, which their apps see; that it is lost nobody would see.
        """
        try:
            await report_failure(
                self.accounts,
                self.store,
                sender=transaction.sender.address,
                refused={transaction.recipients[account_id][1]: FULL_OR_GONE for account_id in refused},
                message=message,
                now_seconds=self.clock_seconds(),
            )
        except StoreUnavailableError as trouble:
            raise CommandError(TRY_LATER) from trouble

    def _is_address_of(self, account: Account, address: str) -> bool:
        try:
            return normalise_address(address, self.accounts.domain) == account.address
        except BadAddressError:
            return False


def _examine(make: Make, mail_from: str, recipients: list[str]) -> bytes:
    """Make the message that is stored, if it may be."""
    message = make()
    try:
        check_outgoing(message, mail_from, recipients)
    except UnencryptedError as refusal:
        log.info("message refused", code=refusal.code, detail=refusal.detail)
        raise CommandError(SmtpReply(523, "5.7.1", refusal.public_text)) from refusal
    except WrongFromError as refusal:
        log.info("message refused", code=refusal.code, detail=refusal.detail)
        raise CommandError(SmtpReply(500, "5.6.0", refusal.public_text)) from refusal
    return clean_header(message)
