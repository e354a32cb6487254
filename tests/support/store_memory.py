"""A complete `AccountRegister` in memory: a fake for tests of what uses a store, a model for tests of stores.

It keeps every promise but durability. Extras for tests: `is_available = False` lets each call fail as a full
disk would, and `body_count` tells how many bodies are held.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mailnode.store.headers import measure_header
from mailnode.store.mail_store import (
    INBOX,
    NO_FLAGS,
    TRIM_AFTER_SECONDS,
    Account,
    AccountExistsError,
    AccountId,
    BodyId,
    Envelope,
    FlagMode,
    Flags,
    FlagsChanged,
    Mailbox,
    MailboxContents,
    MailboxExistsError,
    MailboxId,
    MailboxStatus,
    Message,
    Outgoing,
    OutgoingId,
    QuotaExceededError,
    Recipient,
    Uid,
    Unwatch,
    Usage,
    Watcher,
)
from mailnode.store.sqlite_queue import REMEMBERED_SECONDS
from support.store_memory_boxes import Holdings
from support.store_memory_register import MemoryRegister


class MemoryMailStore(MemoryRegister):
    """Everything that an `AccountRegister` promises; the fields are those of `MemoryBoxes`."""

    @property
    def body_count(self) -> int:
        return len(self._bodies)

    # Accounts

    async def add_account(self, address: str, password_hash: str, now_seconds: int) -> Account:
        self._check()
        if any(account.address == address for account in self._accounts.values()):
            raise AccountExistsError(address)
        account = Account(
            AccountId(self._next_id()),
            address,
            password_hash,
            None,
            address in self._blocks,
            now_seconds,
            None,
        )
        self._accounts[account.id] = account
        self._holdings[account.id] = Holdings()
        self._add_box(account.id, INBOX)
        await self._settle()
        return account

    async def find_account(self, address: str) -> Account | None:
        self._check()
        return next((account for account in self._accounts.values() if account.address == address), None)

    async def list_accounts(self, after_address: str, limit: int) -> Sequence[Account]:
        self._check()
        found = [account for account in self._accounts.values() if account.address > after_address]
        return sorted(found, key=lambda account: account.address)[:limit]

    async def count_accounts(self) -> int:
        self._check()
        return len(self._accounts)

    async def count_near_quota(self, quota_bytes: int) -> int:
        self._check()
        return sum(
            self._usage(account.id).size_bytes * 10 >= (account.quota_bytes or quota_bytes) * 9
            for account in self._accounts.values()
        )

    async def change_password(self, account_id: AccountId, password_hash: str) -> Account:
        return await self._replace(replace(self._account(account_id), password_hash=password_hash))

    async def change_quota(self, account_id: AccountId, quota_bytes: int | None) -> Account:
        return await self._replace(replace(self._account(account_id), quota_bytes=quota_bytes))

    async def change_ban(self, account_id: AccountId, *, is_banned: bool) -> Account:
        return await self._replace(replace(self._account(account_id), is_banned=is_banned))

    async def remove_account(self, account_id: AccountId) -> None:
        self._account(account_id)
        for box in self._boxes_of(account_id):
            self._drop_box(box)
        del self._accounts[account_id], self._holdings[account_id]
        await self._settle()

    def record_login(self, account_id: AccountId, now_seconds: int) -> None:
        if (account := self._accounts.get(account_id)) is not None:
            self._accounts[account_id] = replace(account, last_login_at_seconds=now_seconds)

    async def read_usage(self, account_id: AccountId) -> Usage:
        self._account(account_id)
        return self._usage(account_id)

    async def read_trimmable(self, account_id: AccountId, now_seconds: int) -> int:
        self._check()
        return sum(message.size_bytes for _, message in self._list_trimmable(account_id, now_seconds))

    # Mail

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        body: bytes,
        now_seconds: int,
        envelopes: Sequence[Envelope] = (),
    ) -> frozenset[AccountId]:
        refused = await self._deliver(recipients, body, now_seconds, envelopes)
        await self._settle()
        return refused

    async def deliver_once(
        self, delivery_id: str, recipients: Sequence[Recipient], body: bytes, now_seconds: int
    ) -> frozenset[AccountId]:
        self._check()
        known = self._received.get(delivery_id)
        if known is not None and known[0] >= now_seconds - REMEMBERED_SECONDS:
            return known[1]
        refused = await self._deliver(recipients, body, now_seconds, ())
        if refused != {recipient.account_id for recipient in recipients}:
            self._received[delivery_id] = now_seconds, refused
        await self._settle()
        return refused

    async def _deliver(
        self, recipients: Sequence[Recipient], body: bytes, now_seconds: int, envelopes: Sequence[Envelope]
    ) -> frozenset[AccountId]:
        self._check()
        refused: set[AccountId] = set()
        body_id: BodyId | None = None
        for recipient in {recipient.account_id: recipient for recipient in recipients}.values():
            account_id = recipient.account_id
            inbox = await self.find_mailbox(account_id, INBOX)
            if inbox is None or not self._find_room(recipient, len(body), now_seconds):
                refused.add(account_id)
                continue
            body_id = self._add_body(body) if body_id is None else body_id
            self._add_messages(inbox.id, [(NO_FLAGS, len(body), now_seconds, body_id)])
        for envelope in envelopes:
            body_id = self._add_body(body) if body_id is None else body_id
            self._bodies[body_id].references += 1
            id_ = OutgoingId(self._next_id())
            self._outgoing[id_] = Outgoing(id_, envelope, body_id, len(body), now_seconds, 0, now_seconds)
        return frozenset(refused)

    def _find_room(self, recipient: Recipient, more_bytes: int, now_seconds: int) -> bool:
        """Tell whether there is room, after old read messages were let go where that is enough."""
        needed_bytes = self._usage(recipient.account_id).size_bytes + more_bytes - recipient.quota_bytes
        if needed_bytes <= 0 or not recipient.is_trimmed or more_bytes > recipient.quota_bytes:
            return needed_bytes <= 0
        old = self._list_trimmable(recipient.account_id, now_seconds)
        if sum(message.size_bytes for _, message in old) < needed_bytes:
            return False
        left_bytes = needed_bytes + recipient.quota_bytes // 10
        for mailbox_id, message in sorted(
            old, key=lambda each: (each[1].received_at_seconds - now_seconds) * each[1].size_bytes
        ):
            if left_bytes > 0:
                self._drop_messages(mailbox_id, [message])
                left_bytes -= message.size_bytes
        return True

    def _list_trimmable(self, account_id: AccountId, now_seconds: int) -> list[tuple[MailboxId, Message]]:
        return [
            (box.mailbox.id, message)
            for box in self._boxes_of(account_id)
            for message in box.messages.values()
            if "\\Seen" in message.flags and message.received_at_seconds <= now_seconds - TRIM_AFTER_SECONDS
        ]

    async def append(
        self, mailbox_id: MailboxId, quota_bytes: int, body: bytes, flags: Flags, received_at_seconds: int
    ) -> Message:
        account_id = self._box(mailbox_id).mailbox.account_id
        if self._usage(account_id).size_bytes + len(body) > quota_bytes:
            raise QuotaExceededError
        row = (flags, len(body), received_at_seconds, self._add_body(body))
        (message,) = self._add_messages(mailbox_id, [row])
        await self._settle()
        return message

    async def copy_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId, quota_bytes: int
    ) -> Sequence[tuple[Uid, Uid]]:
        account_id = self._box(target).mailbox.account_id
        old = self._pick(source, uids)
        size_bytes = sum(message.size_bytes for message in old)
        if old and self._usage(account_id).size_bytes + size_bytes > quota_bytes:
            raise QuotaExceededError
        new = self._add_messages(target, [_row(message) for message in old])
        await self._settle()
        return [(before.uid, after.uid) for before, after in zip(old, new, strict=True)]

    async def move_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId
    ) -> Sequence[tuple[Uid, Uid]]:
        self._box(target)
        old = self._pick(source, uids)
        new = self._add_messages(target, [_row(message) for message in old])
        if old:
            self._drop_messages(source, old)
        await self._settle()
        return [(before.uid, after.uid) for before, after in zip(old, new, strict=True)]

    async def change_flags(
        self, mailbox_id: MailboxId, uids: Collection[Uid], mode: FlagMode, flags: Flags
    ) -> Mapping[Uid, Flags]:
        self._check()
        result: dict[Uid, Flags] = {}
        changed: dict[Uid, Flags] = {}
        for message in self._pick(mailbox_id, sorted(uids)):
            new = _combine(message.flags, mode, flags)
            result[message.uid] = new
            if new != message.flags:
                changed[message.uid] = new
                self._boxes[mailbox_id].messages[message.uid] = replace(message, flags=new)
        if changed:
            self._changes.append((mailbox_id, FlagsChanged(changed)))
        await self._settle()
        return result

    async def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> frozenset[Uid]:
        self._check()
        gone = self._pick(mailbox_id, sorted(uids))
        if gone:
            self._drop_messages(mailbox_id, gone)
        await self._settle()
        return frozenset(message.uid for message in gone)

    async def read_header(self, body_id: BodyId) -> bytes | None:
        body = await self.read_body(body_id)
        return None if body is None else body[: measure_header(body)]

    async def read_body(self, body_id: BodyId) -> bytes | None:
        self._check()
        body = self._bodies.get(body_id)
        return None if body is None else body.content

    # What waits for other nodes

    async def count_outgoing(self) -> Mapping[str, int]:
        self._check()
        destinations = Counter(outgoing.envelope.destination for outgoing in self._outgoing.values())
        return dict(sorted(destinations.items()))

    async def list_outgoing(self, destination: str, limit: int) -> Sequence[Outgoing]:
        self._check()
        found = [row for row in self._outgoing.values() if row.envelope.destination == destination]
        return sorted(found, key=lambda row: (row.next_attempt_at_seconds, row.id))[:limit]

    async def postpone_outgoing(
        self, outgoing_id: OutgoingId, next_attempt_at_seconds: int, recipients: Sequence[str] = ()
    ) -> None:
        self._check()
        if (row := self._outgoing.get(outgoing_id)) is not None:
            left = tuple(recipients) or row.envelope.recipients
            self._outgoing[outgoing_id] = replace(
                row,
                envelope=replace(row.envelope, recipients=left),
                attempt_count=row.attempt_count + 1,
                next_attempt_at_seconds=next_attempt_at_seconds,
            )
        await self._settle()

    async def finish_outgoing(self, *outgoing_ids: OutgoingId) -> None:
        self._check()
        for outgoing_id in outgoing_ids:
            if (row := self._outgoing.pop(outgoing_id, None)) is not None:
                self._release(row.body_id)
        await self._settle()

    async def read_outgoing_usage(self) -> Usage:
        self._check()
        sizes = [row.size_bytes for row in self._outgoing.values()]
        return Usage(sum(sizes), len(sizes))

    # Mailboxes

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        self._check()
        found = [box.mailbox for box in self._boxes_of(account_id)]
        return sorted(found, key=lambda mailbox: (mailbox.name != INBOX, mailbox.name))

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox | None:
        self._check()
        return next((box.mailbox for box in self._boxes_of(account_id) if box.mailbox.name == name), None)

    async def create_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        self._account(account_id)
        if await self.find_mailbox(account_id, name) is not None:
            raise MailboxExistsError(name)
        mailbox = self._add_box(account_id, name)
        await self._settle()
        return mailbox

    async def rename_mailbox(self, mailbox_id: MailboxId, name: str) -> None:
        box = self._box(mailbox_id)
        other = await self.find_mailbox(box.mailbox.account_id, name)
        if other is not None and other.id != mailbox_id:
            raise MailboxExistsError(name)
        box.mailbox = replace(box.mailbox, name=name)
        await self._settle()

    async def remove_mailbox(self, mailbox_id: MailboxId) -> None:
        self._drop_box(self._box(mailbox_id))
        await self._settle()

    async def read_contents(self, mailbox_id: MailboxId) -> MailboxContents:
        box = self._box(mailbox_id)
        return MailboxContents(box.mailbox, Uid(box.uid_next), tuple(box.messages.values()))

    async def read_status(self, mailbox_id: MailboxId) -> MailboxStatus:
        box = self._box(mailbox_id)
        unseen = [message for message in box.messages.values() if "\\Seen" not in message.flags]
        size_bytes = sum(message.size_bytes for message in box.messages.values())
        return MailboxStatus(len(box.messages), len(unseen), Uid(box.uid_next), size_bytes)

    async def list_subscriptions(self, account_id: AccountId) -> Sequence[str]:
        self._check()
        return sorted(self._holdings.get(account_id, Holdings()).subscriptions)

    async def change_subscription(self, account_id: AccountId, name: str, *, is_subscribed: bool) -> None:
        self._account(account_id)
        subscriptions = self._holdings[account_id].subscriptions
        (subscriptions.add if is_subscribed else subscriptions.discard)(name)
        await self._settle()

    def watch(self, mailbox_id: MailboxId, watcher: Watcher) -> Unwatch:
        watchers = self._watchers.setdefault(mailbox_id, [])
        watchers.append(watcher)

        def unwatch() -> None:
            if watcher in watchers:
                watchers.remove(watcher)

        return unwatch

    # Metadata

    async def read_metadata(self, account_id: AccountId, mailbox_name: str) -> Mapping[str, str]:
        self._check()
        metadata = self._holdings.get(account_id, Holdings()).metadata
        return {key: value for (name, key), value in sorted(metadata.items()) if name == mailbox_name}

    async def change_metadata(
        self, account_id: AccountId, mailbox_name: str, entries: Mapping[str, str | None]
    ) -> None:
        self._account(account_id)
        metadata = self._holdings[account_id].metadata
        for key, value in entries.items():
            metadata.pop((mailbox_name, key), None)
            if value is not None:
                metadata[mailbox_name, key] = value
        await self._settle()

    async def add_device_token(self, account_id: AccountId, token: str, now_seconds: int) -> None:
        self._account(account_id)
        self._holdings[account_id].tokens[token] = now_seconds
        await self._settle()

    async def list_device_tokens(self, account_id: AccountId, since_seconds: int) -> Sequence[str]:
        self._check()
        tokens = self._holdings.get(account_id, Holdings()).tokens
        return sorted(token for token, added_at in tokens.items() if added_at >= since_seconds)


def _row(message: Message) -> tuple[Flags, int, int, BodyId]:
    return message.flags, message.size_bytes, message.received_at_seconds, message.body_id


def _combine(old: Flags, mode: FlagMode, flags: Flags) -> Flags:
    return {FlagMode.REPLACE: flags, FlagMode.ADD: old | flags, FlagMode.REMOVE: old - flags}[mode]
