"""The store of a mail node: one SQLite database, and files for large bodies.

For: the daemon, which builds one and hands it on as a `MailStore`.
Not for: statements (sqlite_accounts, _mailboxes, _mail, _bodies), or committing (sqlite_writer).

    what                              where it happens
    writes                            one transaction for all that wait; committed in the writer's thread
    accounts and other small rows     the loop, by a connection of its own that only reads
    bodies stored a moment ago        memory
    mailboxes in use                  memory
    other bodies, long lists, files   a few threads
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from mailnode.store import sqlite_accounts, sqlite_mail, sqlite_mailboxes, sqlite_queue
from mailnode.store.body_files import BodyFiles
from mailnode.store.body_keeper import BodyKeeper
from mailnode.store.contents_cache import ContentsCache
from mailnode.store.directory_lock import hold_directory
from mailnode.store.mail_store import (
    Account,
    AccountId,
    BodyId,
    Envelope,
    FlagMode,
    Flags,
    Mailbox,
    MailboxContents,
    MailboxId,
    MailboxStatus,
    Message,
    Outgoing,
    OutgoingId,
    Recipient,
    StoreUnavailableError,
    Uid,
    Unwatch,
    Usage,
    Watcher,
)
from mailnode.store.sqlite_bodies import StoredBody
from mailnode.store.sqlite_notifications import (
    SqliteNotifications,
    find_token_holders,
    queue_notifications,
)
from mailnode.store.sqlite_readers import Readers
from mailnode.store.sqlite_register import SqliteRegister
from mailnode.store.sqlite_schema import open_writer
from mailnode.store.sqlite_writer import MAX_PENDING_BYTES, Operation, Transaction, Writer
from mailnode.store.watchers import Watchers

DATABASE_NAME = "mail.sqlite3"
FILE_THREADS = 4
MAX_CACHED_ACCOUNTS = 20_000
MAX_MESSAGES_ON_LOOP = 500
"""A longer mailbox is read in a thread: so many messages take the loop about a millisecond."""

SECONDS_PER_DAY = 86_400

T = TypeVar("T")


class SqliteMailStore(SqliteRegister, SqliteNotifications):
    """An `AccountRegister` in a directory that no other process may use meanwhile."""

    def __init__(
        self,
        state_directory: Path,
        *,
        clock_seconds: Callable[[], float] = time.time,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._directory = state_directory
        self._clock_seconds = clock_seconds
        self._max_pending_bytes = max_pending_bytes
        self._watchers = Watchers()
        self._contents = ContentsCache()
        self._accounts: dict[str, Account] = {}
        self._login_day = 0
        self._logged_in_today: set[AccountId] = set()
        self._new_logins: dict[AccountId, int] = {}
        self._token_holders: set[AccountId] = set()
        self._readers: Readers
        self._writer: Writer
        self._bodies: BodyKeeper

    async def start(self, stack: AsyncExitStack) -> None:
        """Open the store until `stack` unwinds; what is queued then is still written.

        Raises:
            StoreStartError: The directory is in use, cannot be used, or holds something newer or broken.
        """
        stack.enter_context(hold_directory(self._directory))
        path = self._directory / DATABASE_NAME
        connection = await asyncio.to_thread(open_writer, path)
        stack.callback(connection.close)
        self._readers = Readers(path)
        stack.callback(self._readers.close)
        files = BodyFiles(self._directory)
        threads = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="store-files")
        stack.callback(threads.shutdown)
        self._writer = Writer(
            connection,
            on_commit=self._on_commit,
            # Not in the writer's thread: to remove 100 MB takes 20 ms, and every commit would wait for it.
            on_files_gone=lambda body_ids: threads.submit(files.remove_all, body_ids),
            max_pending_bytes=self._max_pending_bytes,
        )
        stack.push_async_callback(self._close)
        self._bodies = BodyKeeper(files, threads, self._writer, self._readers)
        await self._bodies.prepare()
        self._token_holders = self._readers.read(find_token_holders)

    @property
    def commit_count(self) -> int:
        """How many transactions have been committed since the start."""
        return self._writer.commit_count

    # Accounts

    async def add_account(self, address: str, password_hash: str, now_seconds: int) -> Account:
        """Create an account. Raises: as `MailStore`, here and below."""
        uid_validity = int(self._clock_seconds())
        return await self._write(
            lambda transaction: sqlite_accounts.add_account(
                transaction, address, password_hash, now_seconds, uid_validity
            ),
        )

    async def find_account(self, address: str) -> Account | None:
        """Look an account up, in memory when it was looked up before."""
        account = self._accounts.get(address)
        if account is None:
            account = self._readers.read(lambda reader: sqlite_accounts.find_account(reader, address))
            if account is not None:
                self._remember(account)
        return account

    async def list_accounts(self, after_address: str, limit: int) -> Sequence[Account]:
        """List accounts."""
        return await self._readers.read_in_thread(
            lambda reader: sqlite_accounts.list_accounts(reader, after_address, limit)
        )

    async def count_accounts(self) -> int:
        """Count the accounts."""
        return await self._readers.read_in_thread(sqlite_accounts.count_accounts)

    async def count_near_quota(self, quota_bytes: int) -> int:
        """Count the accounts that hold nine tenths of their quota or more."""
        return await self._readers.read_in_thread(
            lambda reader: sqlite_accounts.count_near_quota(reader, quota_bytes)
        )

    async def change_password(self, account_id: AccountId, password_hash: str) -> Account:
        """Give an account another password hash."""
        return await self._write(
            lambda transaction: sqlite_accounts.change_password(transaction, account_id, password_hash)
        )

    async def change_quota(self, account_id: AccountId, quota_bytes: int | None) -> Account:
        """Give an account its own quota, or the default one."""
        return await self._write(
            lambda transaction: sqlite_accounts.change_quota(transaction, account_id, quota_bytes)
        )

    async def change_ban(self, account_id: AccountId, *, is_banned: bool) -> Account:
        """Ban an account or allow it again."""
        return await self._write(
            lambda transaction: sqlite_accounts.change_ban(transaction, account_id, is_banned=is_banned)
        )

    async def remove_account(self, account_id: AccountId) -> None:
        """Remove an account with its mail."""
        await self._write(lambda transaction: sqlite_accounts.remove_account(transaction, account_id))

    def record_login(self, account_id: AccountId, now_seconds: int) -> None:
        """Note a login, once a day for each account; it is written with the next change."""
        day = now_seconds // SECONDS_PER_DAY
        if day != self._login_day:
            self._login_day = day
            self._logged_in_today.clear()
        if account_id not in self._logged_in_today:
            self._logged_in_today.add(account_id)
            self._new_logins[account_id] = now_seconds

    async def read_usage(self, account_id: AccountId) -> Usage:
        """Tell what an account holds."""
        return self._readers.read(lambda reader: sqlite_accounts.read_usage(reader, account_id))

    async def read_trimmable(self, account_id: AccountId, now_seconds: int) -> int:
        """Tell how many bytes of an account may be let go to make room."""
        return await self._readers.read_in_thread(
            lambda reader: sum(
                size_bytes for *_, size_bytes in sqlite_mail.list_trimmable(reader, account_id, now_seconds)
            )
        )

    # Mail

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        body: bytes,
        now_seconds: int,
        envelopes: Sequence[Envelope] = (),
    ) -> frozenset[AccountId]:
        """Put one message into each INBOX and queue it for other nodes; returns who did not get it."""
        once = {recipient.account_id: recipient for recipient in recipients}.values()
        sleepers = self._find_sleepers(once)

        def operation(transaction: Transaction, stored: StoredBody) -> frozenset[AccountId]:
            if envelopes:
                refused = sqlite_queue.deliver_and_queue(transaction, once, envelopes, stored, now_seconds)
            else:
                refused = sqlite_mail.deliver(transaction, once, stored, now_seconds)
            queue_notifications(transaction, sleepers, refused, now_seconds)
            return refused

        self._write_logins()
        return await self._bodies.store(body, operation)

    async def deliver_once(
        self, delivery_id: str, recipients: Sequence[Recipient], body: bytes, now_seconds: int
    ) -> frozenset[AccountId]:
        """Deliver unless that was done before; returns who did not get it."""
        once = {recipient.account_id: recipient for recipient in recipients}.values()
        sleepers = self._find_sleepers(once)

        def operation(transaction: Transaction, stored: StoredBody) -> frozenset[AccountId]:
            refused = sqlite_queue.deliver_once(transaction, delivery_id, once, stored, now_seconds)
            queue_notifications(transaction, sleepers, refused, now_seconds)
            return refused

        self._write_logins()
        return await self._bodies.store(body, operation)

    async def append(
        self, mailbox_id: MailboxId, quota_bytes: int, body: bytes, flags: Flags, received_at_seconds: int
    ) -> Message:
        """Add a message to a mailbox."""

        def operation(transaction: Transaction, stored: StoredBody) -> Message:
            message = Message(Uid(0), flags, len(body), received_at_seconds, stored.id)
            return sqlite_mail.append(transaction, mailbox_id, quota_bytes, message, stored)

        self._write_logins()
        return await self._bodies.store(body, operation)

    async def copy_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId, quota_bytes: int
    ) -> Sequence[tuple[Uid, Uid]]:
        """Copy messages, all or none."""
        return await self._write(
            lambda transaction: sqlite_mail.copy_messages(transaction, source, uids, target, quota_bytes)
        )

    async def move_messages(
        self, source: MailboxId, uids: Sequence[Uid], target: MailboxId
    ) -> Sequence[tuple[Uid, Uid]]:
        """Move messages, all or none."""
        return await self._write(
            lambda transaction: sqlite_mail.move_messages(transaction, source, uids, target)
        )

    async def change_flags(
        self, mailbox_id: MailboxId, uids: Collection[Uid], mode: FlagMode, flags: Flags
    ) -> Mapping[Uid, Flags]:
        """Change flags."""
        return await self._write(
            lambda transaction: sqlite_mail.change_flags(transaction, mailbox_id, uids, mode, flags)
        )

    async def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> frozenset[Uid]:
        """Remove messages for ever."""
        return await self._write(lambda transaction: sqlite_mail.expunge(transaction, mailbox_id, uids))

    async def read_header(self, body_id: BodyId) -> bytes | None:
        """Read a message's header."""
        return await self._bodies.read_header(body_id)

    async def read_body(self, body_id: BodyId) -> bytes | None:
        """Read a whole message."""
        return await self._bodies.read(body_id)

    # What waits for other nodes

    async def count_outgoing(self) -> Mapping[str, int]:
        """Count the messages that wait, by domain."""
        return await self._readers.read_in_thread(sqlite_queue.count_outgoing)

    async def list_outgoing(self, destination: str, limit: int) -> Sequence[Outgoing]:
        """List what waits for a domain."""
        return self._readers.read(lambda reader: sqlite_queue.list_outgoing(reader, destination, limit))

    async def postpone_outgoing(
        self, outgoing_id: OutgoingId, next_attempt_at_seconds: int, recipients: Sequence[str] = ()
    ) -> None:
        """Count an attempt that failed."""
        await self._write(
            lambda transaction: sqlite_queue.postpone(
                transaction, outgoing_id, next_attempt_at_seconds, recipients
            )
        )

    async def finish_outgoing(self, *outgoing_ids: OutgoingId) -> None:
        """Let go what has been handed over or given up."""

        def operation(transaction: Transaction) -> None:
            for outgoing_id in outgoing_ids:
                sqlite_queue.finish(transaction, outgoing_id)

        await self._write(operation)

    async def read_outgoing_usage(self) -> Usage:
        """Tell how much waits for other nodes."""
        return await self._readers.read_in_thread(sqlite_queue.read_usage)

    # Mailboxes

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """List an account's mailboxes."""
        return self._readers.read(lambda reader: sqlite_mailboxes.list_mailboxes(reader, account_id))

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox | None:
        """Look a mailbox up."""
        mailbox = self._contents.find(account_id, name)
        if mailbox is not None:
            return mailbox
        return self._readers.read(lambda reader: sqlite_mailboxes.find_mailbox(reader, account_id, name))

    async def create_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        """Create a mailbox."""
        uid_validity = int(self._clock_seconds())
        return await self._write(
            lambda transaction: sqlite_mailboxes.create_mailbox(transaction, account_id, name, uid_validity)
        )

    async def rename_mailbox(self, mailbox_id: MailboxId, name: str) -> None:
        """Rename one mailbox."""
        await self._write(lambda transaction: sqlite_mailboxes.rename_mailbox(transaction, mailbox_id, name))

    async def remove_mailbox(self, mailbox_id: MailboxId) -> None:
        """Remove a mailbox with its messages."""
        await self._write(lambda transaction: sqlite_mailboxes.remove_mailbox(transaction, mailbox_id))

    async def read_contents(self, mailbox_id: MailboxId) -> MailboxContents:
        """Read what a mailbox holds."""
        contents = self._contents.get(mailbox_id)
        if contents is not None:
            return contents
        contents = self._readers.read(
            lambda reader: sqlite_mail.read_contents(reader, mailbox_id, MAX_MESSAGES_ON_LOOP)
        )
        if contents is not None:
            self._contents.put(contents)
            return contents
        return await self._readers.read_in_thread(
            lambda reader: sqlite_mail.read_all_contents(reader, mailbox_id)
        )

    async def read_status(self, mailbox_id: MailboxId) -> MailboxStatus:
        """Read a mailbox's counts."""
        return await self._readers.read_in_thread(lambda reader: sqlite_mail.read_status(reader, mailbox_id))

    async def list_subscriptions(self, account_id: AccountId) -> Sequence[str]:
        """List the names that are subscribed."""
        return self._readers.read(lambda reader: sqlite_mailboxes.list_subscriptions(reader, account_id))

    async def change_subscription(self, account_id: AccountId, name: str, *, is_subscribed: bool) -> None:
        """Subscribe to a name or end that."""
        await self._write(
            lambda transaction: sqlite_mailboxes.change_subscription(
                transaction, account_id, name, is_subscribed=is_subscribed
            )
        )

    def watch(self, mailbox_id: MailboxId, watcher: Watcher) -> Unwatch:
        """Call `watcher` with every later change of a mailbox."""
        return self._watchers.add(mailbox_id, watcher)

    # Metadata

    async def read_metadata(self, account_id: AccountId, mailbox_name: str) -> Mapping[str, str]:
        """Read an account's own entries for a mailbox name."""
        return self._readers.read(
            lambda reader: sqlite_mailboxes.read_metadata(reader, account_id, mailbox_name)
        )

    async def change_metadata(
        self, account_id: AccountId, mailbox_name: str, entries: Mapping[str, str | None]
    ) -> None:
        """Set or remove entries."""
        await self._write(
            lambda transaction: sqlite_mailboxes.change_metadata(
                transaction, account_id, mailbox_name, entries
            )
        )

    async def add_device_token(self, account_id: AccountId, token: str, now_seconds: int) -> None:
        """Remember a push token, or that it is still in use."""
        await self._write(
            lambda transaction: sqlite_mailboxes.add_device_token(transaction, account_id, token, now_seconds)
        )
        self._token_holders.add(account_id)

    async def list_device_tokens(self, account_id: AccountId, since_seconds: int) -> Sequence[str]:
        """List the push tokens that were added since then."""
        return self._readers.read(
            lambda reader: sqlite_mailboxes.list_device_tokens(reader, account_id, since_seconds)
        )

    # How it works

    def _find_sleepers(self, recipients: Collection[Recipient]) -> Sequence[Recipient]:
        """Find those who may have apps to be woken."""
        if self._wake is None:
            return ()
        return [recipient for recipient in recipients if recipient.account_id in self._token_holders]

    def _write(self, operation: Operation[T]) -> asyncio.Future[T]:
        if self._new_logins:
            self._write_logins()
        return self._writer.submit(operation)

    def _write_logins(self) -> None:
        """Let the logins since the last change go with the one that follows."""
        logins = self._new_logins
        if not logins:
            return
        try:
            written = self._writer.submit(
                lambda transaction: sqlite_accounts.write_logins(transaction, logins)
            )
        except StoreUnavailableError:
            return  # they go with a later change, if there is one
        self._new_logins = {}
        written.add_done_callback(lambda future: future.exception())  # its loss is no trouble of anybody

    def _remember(self, account: Account) -> None:
        if len(self._accounts) >= MAX_CACHED_ACCOUNTS:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[account.address] = account

    def _on_commit(self, transaction: Transaction) -> None:
        for account in transaction.new_accounts:
            self._remember(account)
        for address in transaction.stale_addresses:
            self._accounts.pop(address, None)
        self._bodies.forget(transaction.gone_bodies)
        for mailbox_id in transaction.stale_mailboxes:
            self._contents.drop(mailbox_id)
        self._contents.follow(transaction.changes)
        self._watchers.tell(transaction.changes)
        if transaction.has_notifications and self._wake is not None:
            self._wake()

    async def _close(self) -> None:
        self._write_logins()
        await self._writer.close()
