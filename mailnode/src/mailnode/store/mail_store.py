"""What a store of mail promises, whatever it is built on.

For: everything that reads or writes accounts and mail; it is handed a `MailStore` and knows no more.
Not for: SQL, files or locks (sqlite_store.py), policy such as who may register (accounts), or protocols.

Promises that every implementation keeps:

- A method that changes something returns only when the change is durable: it survives a power cut.
- A body is stored once, however many mailboxes hold it, and goes when the last of them lets it go.
- UIDs grow strictly within a mailbox and are never given twice, also not after everything was expunged.
- Watchers hear of a change after it is durable, in the order of the changes, on the event loop's thread.
  A reader may see a change shortly before its watcher hears of it; so an `Arrived` whose UID is known
  already, or an `Expunged` whose UID is not, is to be ignored.
- Nothing blocks the event loop for long.

    MailStoreError
    ├── AccountExistsError     somebody was quicker
    ├── UnknownAccountError    the account is gone (deleted meanwhile)
    ├── MailboxExistsError
    ├── UnknownMailboxError    the mailbox is gone
    ├── QuotaExceededError     nothing was stored
    └── StoreUnavailableError  disk full, read-only, closing: try again later; nothing was stored
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
BodyId = NewType("BodyId", int)
OutgoingId = NewType("OutgoingId", int)
Uid = NewType("Uid", int)

Flags = frozenset[str]
"""Flags as on the wire. System flags are spelled `\\Seen`, `\\Answered`, `\\Flagged`, `\\Deleted`, `\\Draft`;
every other one is a keyword. `\\Recent` is never stored."""

NO_FLAGS: Flags = frozenset()
INBOX = "INBOX"
HIERARCHY_DELIMITER = "/"


class MailStoreError(Exception):
    """Whatever a store refuses or cannot do."""


class AccountExistsError(MailStoreError):
    """There is an account of that address already."""


class UnknownAccountError(MailStoreError):
    """There is no such account, or not any more."""


class MailboxExistsError(MailStoreError):
    """The account has a mailbox of that name already."""


class UnknownMailboxError(MailStoreError):
    """There is no such mailbox, or not any more."""


class QuotaExceededError(MailStoreError):
    """The account would hold more than it may; nothing was stored."""


class StoreUnavailableError(MailStoreError):
    """The store cannot take the change now (full disk, closing); nothing was stored."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as stored. Times are Unix seconds.

    `quota_bytes` is this account's own limit; `None` means that the node's default holds.
    `last_login_at_seconds` is exact to a day only and may lag: it serves the clean-up of unused
    accounts and nothing else.
    """

    id: AccountId
    address: str
    password_hash: str
    quota_bytes: int | None
    is_banned: bool
    created_at_seconds: int
    last_login_at_seconds: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds at this moment, all mailboxes together."""

    size_bytes: int
    message_count: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox. `name` is decoded (no modified UTF-7), `/` separates levels, INBOX is in capitals."""

    id: MailboxId
    account_id: AccountId
    name: str
    uid_validity: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a mailbox, without its text. `received_at_seconds` is the INTERNALDATE (Unix seconds)."""

    uid: Uid
    flags: Flags
    size_bytes: int
    received_at_seconds: int
    body_id: BodyId

    def with_flags(self, flags: Flags) -> "Message":
        """Make the same message with other flags."""
        return Message(self.uid, flags, self.size_bytes, self.received_at_seconds, self.body_id)


@dataclass(frozen=True, slots=True)
class MailboxContents:
    """What a mailbox holds at one moment; `messages` in the order of their UIDs."""

    mailbox: Mailbox
    uid_next: Uid
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """Counts of a mailbox. Source: RFC 3501 section 6.3.10."""

    message_count: int
    unseen_count: int
    uid_next: Uid
    size_bytes: int


class FlagMode(StrEnum):
    """What STORE does with the flags it names. Source: RFC 3501 section 6.4.6."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


TRIM_AFTER_SECONDS = 86_400
"""Nothing younger makes room: another device of the same person may not have it yet."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom to deliver to, and how much that account may hold in all.

    `is_sender` says that it is the sender's own copy, for which no app has to be woken. `is_trimmed` says
    that read messages older than `TRIM_AFTER_SECONDS` make room where there is none.
    """

    account_id: AccountId
    quota_bytes: int
    is_sender: bool = False
    is_trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message on its way to another node. `destination` is the recipients' domain.

    `delivery_id` stays the same however often it is tried, so that the other side can tell a repetition.
    """

    delivery_id: str
    destination: str
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that waits to be handed over to another node. Times are Unix seconds."""

    id: OutgoingId
    envelope: Envelope
    body_id: BodyId
    size_bytes: int
    queued_at_seconds: int
    attempt_count: int
    next_attempt_at_seconds: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Messages have been added to a mailbox."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Messages have other flags now."""

    flags: Mapping[Uid, Flags]


@dataclass(frozen=True, slots=True)
class Expunged:
    """Messages are gone."""

    uids: frozenset[Uid]


@dataclass(frozen=True, slots=True)
class MailboxGone:
    """The mailbox has been deleted, its account with it or not. Nothing more will be heard of it."""


MailboxChange = Arrived | FlagsChanged | Expunged | MailboxGone
Watcher = Callable[[MailboxChange], None]
Unwatch = Callable[[], None]


class MailStore(Protocol):
    """A store of accounts, mailboxes and messages. Any method may raise `StoreUnavailableError`."""

    # Accounts. Addresses are normal forms, as `accounts.address` makes them.

    async def add_account(self, address: str, password_hash: str, now_seconds: int) -> Account:
        """Create an account with an empty INBOX. Raises: AccountExistsError."""

    async def find_account(self, address: str) -> Account | None:
        """Look an account up; `None` where there is none."""

    async def list_accounts(self, after_address: str, limit: int) -> Sequence[Account]:
        """List accounts in the order of their addresses, from the one behind `after_address`."""

    async def count_accounts(self) -> int:
        """Count the accounts."""

    async def count_near_quota(self, quota_bytes: int) -> int:
        """Count the accounts that hold nine tenths of their quota or more; `quota_bytes` is the default."""

    async def change_password(self, account_id: AccountId, password_hash: str) -> Account:
        """Give an account another password hash. Raises: UnknownAccountError."""

    async def change_quota(self, account_id: AccountId, quota_bytes: int | None) -> Account:
        """Give an account its own quota, or the default one with `None`. Raises: UnknownAccountError."""

    async def change_ban(self, account_id: AccountId, *, is_banned: bool) -> Account:
        """Ban an account or allow it again. Raises: UnknownAccountError."""

    async def remove_account(self, account_id: AccountId) -> None:
        """Remove an account with its mail. Raises: UnknownAccountError."""

    def record_login(self, account_id: AccountId, now_seconds: int) -> None:
        """Note a login. Written together with a later change; the only method that is not durable at once."""

    async def read_usage(self, account_id: AccountId) -> Usage:
        """Tell what an account holds. Raises: UnknownAccountError."""

    async def read_trimmable(self, account_id: AccountId, now_seconds: int) -> int:
        """Tell how many bytes of an account may be let go to make room."""

    # Mail

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        body: bytes,
        now_seconds: int,
        envelopes: Sequence[Envelope] = (),
    ) -> frozenset[AccountId]:
        """Put one message into the INBOX of each recipient, and queue it for other nodes.

        All of it is one transaction, with one stored body.

        Returns:
            The recipients that did *not* get it: their quota would be exceeded, or their account is gone.
        """

    async def deliver_once(
        self, delivery_id: str, recipients: Sequence[Recipient], body: bytes, now_seconds: int
    ) -> frozenset[AccountId]:
        """Deliver as `deliver` does, unless this very delivery was stored within the last three days.

        Returns:
            As `deliver`; for a repetition, what was returned the first time. A delivery that nobody got is
            not remembered.
        """

    async def append(
        self, mailbox_id: MailboxId, quota_bytes: int, body: bytes, flags: Flags, received_at_seconds: int
    ) -> Message:
        """Add a message to a mailbox. Raises: UnknownMailboxError, QuotaExceededError."""

    async def copy_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId, quota_bytes: int
    ) -> Sequence[tuple[Uid, Uid]]:
        """Copy messages with flags and dates, all or none; bodies are shared.

        Returns:
            (old UID, new UID) in the order of `uids`; messages that are gone are left out.

        Raises:
            UnknownMailboxError: The target is gone.
            QuotaExceededError: Nothing was copied; a shared body counts for each message that has it.
        """

    async def move_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId
    ) -> Sequence[tuple[Uid, Uid]]:
        """Move messages, all or none. Returns as `copy_messages`. Raises: UnknownMailboxError."""

    async def change_flags(
        self, mailbox_id: MailboxId, uids: Collection[Uid], mode: FlagMode, flags: Flags
    ) -> Mapping[Uid, Flags]:
        """Change flags. Returns the flags that each message still there has now, changed or not."""

    async def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> frozenset[Uid]:
        """Remove messages for ever. Returns those that were there."""

    async def read_header(self, body_id: BodyId) -> bytes | None:
        """Read a message up to and with the empty line after its header; `None` when it is gone."""

    async def read_body(self, body_id: BodyId) -> bytes | None:
        """Read a whole message, header and all; `None` when it is gone."""

    # What waits for other nodes

    async def count_outgoing(self) -> Mapping[str, int]:
        """Count the messages that wait, by domain, in the order of the domains; none where nothing waits."""

    async def list_outgoing(self, destination: str, limit: int) -> Sequence[Outgoing]:
        """List what waits for a domain: what is to be tried first comes first, then what came first."""

    async def postpone_outgoing(
        self, outgoing_id: OutgoingId, next_attempt_at_seconds: int, recipients: Sequence[str] = ()
    ) -> None:
        """Count an attempt that failed, and say when the next one is due. What is gone stays so.

        `recipients` are those that are left; without any, all of them are.
        """

    async def finish_outgoing(self, *outgoing_ids: OutgoingId) -> None:
        """Let go what has been handed over or given up, all of it at once. What is gone stays so."""

    async def read_outgoing_usage(self) -> Usage:
        """Tell how much waits for other nodes; a body that waits for two of them counts twice."""

    # Mailboxes

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """List an account's mailboxes in the order of their names, INBOX first."""

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox | None:
        """Look a mailbox up by its exact name (INBOX in capitals)."""

    async def create_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        """Create a mailbox; its UIDVALIDITY is one that this name never had. Raises: MailboxExistsError."""

    async def rename_mailbox(self, mailbox_id: MailboxId, name: str) -> None:
        """Rename one mailbox, not those below it. Raises: UnknownMailboxError, MailboxExistsError."""

    async def remove_mailbox(self, mailbox_id: MailboxId) -> None:
        """Remove a mailbox with its messages. Raises: UnknownMailboxError."""

    async def read_contents(self, mailbox_id: MailboxId) -> MailboxContents:
        """Read what a mailbox holds. Raises: UnknownMailboxError."""

    async def read_status(self, mailbox_id: MailboxId) -> MailboxStatus:
        """Read a mailbox's counts. Raises: UnknownMailboxError."""

    async def list_subscriptions(self, account_id: AccountId) -> Sequence[str]:
        """List the names that are subscribed, whether or not they exist. Source: RFC 3501 section 6.3.6."""

    async def change_subscription(self, account_id: AccountId, name: str, *, is_subscribed: bool) -> None:
        """Subscribe to a name or end that."""

    def watch(self, mailbox_id: MailboxId, watcher: Watcher) -> Unwatch:
        """Call `watcher` with every later change of a mailbox, until the returned function is called."""

    # Metadata. Source: RFC 5464.

    async def read_metadata(self, account_id: AccountId, mailbox_name: str) -> Mapping[str, str]:
        """Read an account's own entries for a mailbox name ("" = the account), keys in lower case."""

    async def change_metadata(
        self, account_id: AccountId, mailbox_name: str, entries: Mapping[str, str | None]
    ) -> None:
        """Set entries; `None` removes one."""

    async def add_device_token(self, account_id: AccountId, token: str, now_seconds: int) -> None:
        """Remember a push token, or that it is still in use."""

    async def list_device_tokens(self, account_id: AccountId, since_seconds: int) -> Sequence[str]:
        """List the push tokens that were added since then."""
