"""What the `MailStore` in memory holds, and how it changes; store_memory.py is the door to it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailnode.store.account_register import Block
from mailnode.store.mail_store import (
    Account,
    AccountId,
    Arrived,
    BodyId,
    Expunged,
    Flags,
    Mailbox,
    MailboxChange,
    MailboxGone,
    MailboxId,
    Message,
    Outgoing,
    OutgoingId,
    StoreUnavailableError,
    Uid,
    UnknownAccountError,
    UnknownMailboxError,
    Usage,
    Watcher,
)


@dataclass(slots=True)
class Box:
    mailbox: Mailbox
    uid_next: int = 1
    messages: dict[Uid, Message] = field(default_factory=dict)


@dataclass(slots=True)
class Body:
    content: bytes
    references: int = 0


@dataclass(slots=True)
class Holdings:
    """What an account has beside its mailboxes."""

    subscriptions: set[str] = field(default_factory=set)
    metadata: dict[tuple[str, str], str] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryBoxes:
    is_available: bool = True
    _accounts: dict[AccountId, Account] = field(default_factory=dict)
    _holdings: dict[AccountId, Holdings] = field(default_factory=dict)
    _boxes: dict[MailboxId, Box] = field(default_factory=dict)
    _bodies: dict[BodyId, Body] = field(default_factory=dict)
    _watchers: dict[MailboxId, list[Watcher]] = field(default_factory=dict)
    _changes: list[tuple[MailboxId, MailboxChange]] = field(default_factory=list)
    _outgoing: dict[OutgoingId, Outgoing] = field(default_factory=dict)
    _received: dict[str, tuple[int, frozenset[AccountId]]] = field(default_factory=dict)
    _blocks: dict[str, Block] = field(default_factory=dict)
    _last_id: int = 0
    _last_uid_validity: int = 1_000

    def _check(self) -> None:
        if not self.is_available:
            raise StoreUnavailableError("the test has switched the store off")

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _account(self, account_id: AccountId) -> Account:
        self._check()
        if account_id not in self._accounts:
            raise UnknownAccountError
        return self._accounts[account_id]

    def _box(self, mailbox_id: MailboxId) -> Box:
        self._check()
        if mailbox_id not in self._boxes:
            raise UnknownMailboxError
        return self._boxes[mailbox_id]

    def _boxes_of(self, account_id: AccountId) -> list[Box]:
        return [box for box in self._boxes.values() if box.mailbox.account_id == account_id]

    def _usage(self, account_id: AccountId) -> Usage:
        sizes = [
            message.size_bytes for box in self._boxes_of(account_id) for message in box.messages.values()
        ]
        return Usage(sum(sizes), len(sizes))

    async def _replace(self, account: Account) -> Account:
        self._accounts[account.id] = account
        await self._settle()
        return account

    def _add_box(self, account_id: AccountId, name: str) -> Mailbox:
        self._last_uid_validity += 1
        mailbox = Mailbox(MailboxId(self._next_id()), account_id, name, self._last_uid_validity)
        self._boxes[mailbox.id] = Box(mailbox)
        return mailbox

    def _drop_box(self, box: Box) -> None:
        for message in box.messages.values():
            self._release(message.body_id)
        del self._boxes[box.mailbox.id]
        self._changes.append((box.mailbox.id, MailboxGone()))

    def _add_body(self, content: bytes) -> BodyId:
        body_id = BodyId(self._next_id())
        self._bodies[body_id] = Body(content)
        return body_id

    def _release(self, body_id: BodyId) -> None:
        self._bodies[body_id].references -= 1
        if self._bodies[body_id].references == 0:
            del self._bodies[body_id]

    def _pick(self, mailbox_id: MailboxId, uids: Iterable[Uid]) -> list[Message]:
        box = self._boxes.get(mailbox_id)
        return (
            [] if box is None else [box.messages[uid] for uid in dict.fromkeys(uids) if uid in box.messages]
        )

    def _add_messages(
        self, mailbox_id: MailboxId, rows: Sequence[tuple[Flags, int, int, BodyId]]
    ) -> list[Message]:
        box = self._boxes[mailbox_id]
        added: list[Message] = []
        for flags, size_bytes, received_at_seconds, body_id in rows:
            message = Message(Uid(box.uid_next), flags, size_bytes, received_at_seconds, body_id)
            box.uid_next += 1
            box.messages[message.uid] = message
            self._bodies[body_id].references += 1
            added.append(message)
        if added:
            self._changes.append((mailbox_id, Arrived(tuple(added))))
        return added

    def _drop_messages(self, mailbox_id: MailboxId, messages: Sequence[Message]) -> None:
        for message in messages:
            del self._boxes[mailbox_id].messages[message.uid]
            self._release(message.body_id)
        self._changes.append((mailbox_id, Expunged(frozenset(message.uid for message in messages))))

    async def _settle(self) -> None:
        """Let watchers hear on the loop's next turn, before the caller goes on, as after a real commit."""
        loop = asyncio.get_running_loop()
        settled = loop.create_future()
        changes, self._changes = self._changes, []
        loop.call_soon(self._fire, changes, settled)
        await settled

    def _fire(
        self, changes: Sequence[tuple[MailboxId, MailboxChange]], settled: "asyncio.Future[None]"
    ) -> None:
        for mailbox_id, change in changes:
            for watcher in tuple(self._watchers.get(mailbox_id, ())):
                watcher(change)
            if isinstance(change, MailboxGone):
                self._watchers.pop(mailbox_id, None)
        if not settled.done():
            settled.set_result(None)
