"""Decide what may come in from peers, and store it.

    source sends too much? ─▶ gate: encrypted ─▶ From: one author, none of ours ─▶ policy ─▶ author proved
        ─▶ sent on by somebody? ─▶ our recipients ─▶ store, once: durable ─▶ the others: report to the author

For: both doors (smtp_session.py, http_entry.py).
Not for: bytes on the wire, nor for mail of the fleet's own nodes (mailnode.federation.inbound).

An author whose domain is an IP address is proved by the address that his mail comes from; every other one by
DKIM. A report of a mailer daemon may be in clear text, and needs the same proof.
"""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.rate_limit import RateLimiter, find_prefix
from mailnode.dkim.errors import DkimError, KeyUnavailableError
from mailnode.dkim.verification import LookUp, verify
from mailnode.encryption.errors import GateError
from mailnode.encryption.from_header import is_same_address, read_address
from mailnode.encryption.gate import check_incoming
from mailnode.encryption.mime_framing import split_entity
from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, may_travel, plan_envelopes
from mailnode.federation.errors import MAILBOX_FULL, NO_SUCH_USER
from mailnode.federation.outbound import Outbound
from mailnode.peering.errors import (
    LaterError,
    NobodyKnownError,
    NoRoomError,
    NotEncryptedError,
    NotProvenError,
    OversizeError,
    PeerRefusedError,
    ReceptionError,
    TooMuchError,
)
from mailnode.peering.policy import NOT_ALLOWED, PeerPolicyHolder, find_peer
from mailnode.peering.replays import Replays
from mailnode.peering.traffic import Traffic
from mailnode.smtp.delivery_report import have_apps_read, write_report
from mailnode.store.mail_store import Account, AccountId, MailStore, Recipient, StoreUnavailableError
from nodelink.contract.federation import PeerTransport

WRONG_SOURCE = "The domain of the sender is another address than the one this comes from"
OWN_DOMAIN = "The sender is of this server, and nobody else may send as that"
NO_AUTHOR = "The From field must have exactly one address"
SENT_ON = "No valid DKIM signature found: this one came from another server to other recipients"
TOO_MUCH = "Too much mail from your server, try again later"
TOO_LARGE = "Message too large"
TRY_LATER = "Try again later"

_TRACE = re.compile(
    rb"\r\n(?:received|dkim-signature|authentication-results|arc-[a-z-]+|return-path|delivered-to|x-original-to)"
    rb"[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on its way in. `knows_reports`: the sender hears of each recipient by our answer."""

    source: str
    transport: PeerTransport
    mail_from: str
    recipients: tuple[str, ...]
    knows_reports: bool = False


@dataclass(slots=True, kw_only=True)
class Reception:
    """The rules for all arrivals, and how many were taken."""

    accounts: Accounts
    store: MailStore
    policy: PeerPolicyHolder
    look_up: LookUp
    traffic: Traffic
    limiter: RateLimiter
    outbound: Outbound
    is_own_domain: Callable[[str], bool]
    clock_seconds: Callable[[], float] = time.time
    replays: Replays = field(default_factory=Replays)

    @property
    def max_bytes(self) -> int:
        """How large a message may be at this moment."""
        return self.accounts.policy.current.message_bytes

    def admit_source(self, source: str) -> None:
        """Count a message of a source. Raises: TooMuchError."""
        if not self.limiter.try_spend(find_prefix(source)):
            raise TooMuchError(TOO_MUCH)

    async def find_recipient(self, address: str) -> Account | None:
        """Find the account of a recipient; `None` for one that is taken and dropped.

        Raises:
            NobodyKnownError: There is none, and such mail is not taken.
            LaterError: It cannot be looked up now.
        """
        try:
            account = await self.accounts.find_recipient(address)
        except StoreUnavailableError as error:
            raise LaterError(TRY_LATER) from error
        if account is None and not (self.policy.current.drops_unknown_recipients and self._is_ours(address)):
            raise NobodyKnownError(NO_SUCH_USER)
        return account

    async def take(self, arrival: Arrival, message: bytes) -> dict[str, str]:
        """Take a message; when this returns, it is durable.

        Returns:
            Who did not get it, each with the reason. The author has been told, unless he `knows_reports`.

        Raises:
            ReceptionError: Nobody got it.
        """
        author, proof = await self._check(arrival, message)
        if not self.replays.admit(proof, find_prefix(arrival.source), arrival.recipients):
            raise NotProvenError(SENT_ON)
        refused = await self._store(arrival, have_apps_read(clean_trace(message)))
        if refused and not arrival.knows_reports and is_same_address(arrival.mail_from, author):
            await self._report(author, refused, message)
        self.traffic.note_received(author.rpartition("@")[2].lower())
        return refused

    async def take_left(self, arrival: Arrival, message: bytes) -> None:
        """Take a message that was left with somebody: nobody hears an answer, so its author gets a report.

        Raises:
            LaterError: Not now.
            ReceptionError: It is not taken, and nobody is told: its author is not proved, or not the sender.
        """
        try:
            if len(message) > self.max_bytes:
                raise OversizeError(TOO_LARGE)
            await self.take(arrival, message)
        except (LaterError, NotProvenError):
            raise
        except ReceptionError as refusal:
            author, domain = self._read_author(message)
            await self._prove(domain, arrival, message)
            if not is_same_address(arrival.mail_from, author):
                raise
            await self._report(author, dict.fromkeys(arrival.recipients, refusal.public_text), message)

    async def _check(self, arrival: Arrival, message: bytes) -> tuple[str, bytes]:
        """Judge a message; return its author, and what proves him. Raises: ReceptionError."""
        try:
            if len(message) > LARGE_MESSAGE_BYTES:
                await asyncio.to_thread(check_incoming, message)
            else:
                check_incoming(message)
        except GateError as refusal:
            raise NotEncryptedError(refusal.public_text, refusal.detail) from refusal
        author, domain = self._read_author(message)
        if arrival.transport not in self.policy.current.find_transports(domain):
            raise PeerRefusedError(NOT_ALLOWED, domain)
        return author, await self._prove(domain, arrival, message)

    def _read_author(self, message: bytes) -> tuple[str, str]:
        """Read who says that he wrote a message, and his domain. Raises: NotProvenError."""
        try:
            author = read_address(split_entity(message).fields.get(b"from", b""))
        except GateError as error:
            raise NotProvenError(NO_AUTHOR, error.detail) from error
        domain = None if author is None else find_peer(author.rpartition("@")[2])
        if author is None or domain is None or not may_travel(author):
            raise NotProvenError(NO_AUTHOR)
        if self.is_own_domain(domain):
            raise NotProvenError(OWN_DOMAIN)
        return author, domain

    async def _prove(self, domain: str, arrival: Arrival, message: bytes) -> bytes:
        """Find what proves that a message is of a domain. Raises: NotProvenError, LaterError."""
        if domain.startswith("["):
            _check_source(domain, arrival.source)
            return sha256(message).digest()
        try:
            signature = await verify(message, domain, self.look_up, self.clock_seconds())
        except KeyUnavailableError as error:
            raise LaterError(error.public_text, str(error)) from error
        except DkimError as error:
            raise NotProvenError(error.public_text, str(error)) from error
        return signature.value

    async def _store(self, arrival: Arrival, message: bytes) -> dict[str, str]:
        refused: dict[str, str] = {}
        recipients: dict[AccountId, Recipient] = {}
        names: dict[AccountId, str] = {}
        for address in arrival.recipients:
            try:
                account = await self.find_recipient(address)
            except NobodyKnownError:
                refused[address] = NO_SUCH_USER
                continue
            if account is not None:
                recipients[account.id] = self.accounts.as_recipient(account)
                names[account.id] = address
        if not recipients:
            if len(refused) < len(arrival.recipients):
                return refused  # all others are dropped, as the policy wants it
            raise NobodyKnownError(NO_SUCH_USER)
        digest = sha256(message)
        digest.update("\n".join(sorted(names.values())).encode())
        try:
            full = await self.store.deliver_once(
                f"peer:{digest.hexdigest()}", [*recipients.values()], message, int(self.clock_seconds())
            )
        except StoreUnavailableError as error:
            raise LaterError(TRY_LATER, str(error)) from error
        if full >= recipients.keys():
            raise NoRoomError(MAILBOX_FULL)
        return refused | {names[id_]: MAILBOX_FULL for id_ in full if id_ in names}

    async def _report(self, author: str, refused: dict[str, str], message: bytes) -> None:
        """Tell an author, who is proved, who did not get his message; when this returns, that is durable.

        Raises:
            LaterError: Not now. When the message comes again, it is stored for nobody twice.
        """
        destination = self.outbound.find_destination(author.rpartition("@")[2], is_report=True)
        if destination is None:
            return  # mail goes nowhere any more
        if not self.outbound.has_room():
            raise LaterError(TRY_LATER, "no room in the queue for a delivery report")
        now_seconds = self.clock_seconds()
        report = write_report(
            domain=self.accounts.domain,
            sender=author,
            refused=refused,
            message=message,
            now_seconds=now_seconds,
        )
        envelopes = plan_envelopes("", {author: destination})
        try:
            await self.store.deliver([], report, int(now_seconds), envelopes)
        except StoreUnavailableError as error:
            raise LaterError(TRY_LATER, str(error)) from error
        self.outbound.note_queued(envelopes, len(report))

    def _is_ours(self, address: str) -> bool:
        return find_peer(address.rpartition("@")[2]) == self.accounts.domain


def clean_trace(message: bytes) -> bytes:
    """Drop what tells the way of a message: nobody here needs it, and it names servers and addresses."""
    end = message.find(b"\r\n\r\n")
    header = b"\r\n" + (message if end < 0 else message[:end])
    cleaned = _TRACE.sub(b"", header)
    return cleaned[2:] + (b"" if end < 0 else message[end:])


def split_recipients(recipients: Sequence[str]) -> tuple[str, ...]:
    """Leave repetitions out."""
    return tuple(dict.fromkeys(recipients))


def _check_source(domain: str, source: str) -> None:
    """Check that mail of an address comes from that address. Raises: NotProvenError."""
    literal = ipaddress.ip_address(domain[1:-1].removeprefix("IPv6:"))
    try:
        actual = ipaddress.ip_address(source.partition("%")[0])
    except ValueError as error:
        raise NotProvenError(WRONG_SOURCE) from error
    mapped = actual.ipv4_mapped if isinstance(actual, ipaddress.IPv6Address) else None
    if (mapped or actual) != literal:
        raise NotProvenError(WRONG_SOURCE)
