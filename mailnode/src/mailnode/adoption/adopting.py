"""Put what was found into the store: an account with all its mail, or nothing of it.

    found accounts ──▶ admissible, not here yet? ──▶ one transaction each ──▶ what was taken, what not, why

For: `mailnode adopt`. The daemon must not run. Whatever was cut off is done by running it again, because
accounts that are here already are left alone.
Not for: reading other servers' files (relay.py, madmail.py).
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mailnode.accounts.address import normalise_address
from mailnode.accounts.errors import BadAddressError
from mailnode.accounts.password import check_hash
from mailnode.adoption.sources import AdoptionError, FoundAccount, FoundMailbox, FoundMessage
from mailnode.store.body_files import BodyFiles
from mailnode.store.directory_lock import hold_directory
from mailnode.store.mail_store import INBOX, AccountExistsError, AccountId, BodyId, MailboxId
from mailnode.store.sqlite_accounts import add_account, find_account, write_logins
from mailnode.store.sqlite_bodies import StoredBody, add_body, find_last_body, has_body
from mailnode.store.sqlite_mailboxes import add_mailbox, change_subscription
from mailnode.store.sqlite_schema import open_writer
from mailnode.store.sqlite_store import DATABASE_NAME
from mailnode.store.sqlite_writer import Transaction

HERE_ALREADY = "it is here already"
_FLAG = re.compile(r"\\?[A-Za-z0-9$_.+-]{1,100}", re.ASCII)


@dataclass(slots=True)
class Adopted:
    """What was taken over, or would be; `left` are addresses with the reason."""

    accounts: int = 0
    mailboxes: int = 0
    messages: int = 0
    size_bytes: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Bodies:
    """Where bodies go; files are written before the commit that needs them."""

    files: BodyFiles
    last: BodyId

    def keep(self, transaction: Transaction, body: bytes) -> BodyId:
        self.last = BodyId(self.last + 1)
        stored = StoredBody.split(self.last, body)
        if stored.is_in_file:
            self.files.write(stored.id, body)
        add_body(transaction, stored, 1)
        return stored.id


def adopt(
    found: Iterable[FoundAccount],
    directory: Path,
    domain: str,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Adopted:
    """Take accounts over into the store in a directory; `say` hears how far it is.

    Raises:
        StoreStartError: The daemon runs, or the store cannot be opened.
        AdoptionError: The disk is full.
    """
    adopted = Adopted()
    with hold_directory(directory), closing(open_writer(directory / DATABASE_NAME)) as connection:
        files = BodyFiles(directory)
        files.prepare()
        files.sweep(partial(has_body, connection))  # of a run that was cut off
        bodies = _Bodies(files, find_last_body(connection))
        for account in found:
            try:
                with _transaction(connection) as transaction:
                    counted = _take(transaction, bodies, account, domain)
            except (AdoptionError, BadAddressError, AccountExistsError) as refusal:
                adopted.left.append((account.address, str(refusal) or HERE_ALREADY))
                continue
            except sqlite3.IntegrityError:
                adopted.left.append(
                    (account.address, "two of its messages have one UID, or two mailboxes one name")
                )
                continue
            except (OSError, sqlite3.OperationalError) as error:
                raise AdoptionError(
                    f"{account.address} cannot be stored: {error}. Mend that, and run it again."
                ) from error
            _add(adopted, counted)
            if adopted.accounts % 100 == 0:
                say(f"{adopted.accounts} accounts, {adopted.messages} messages ...")
    return adopted


def rehearse(found: Iterable[FoundAccount], directory: Path, domain: str) -> Adopted:
    """Tell what `adopt` would do: every message is read, and nothing is written."""
    adopted = Adopted()
    path = directory / DATABASE_NAME
    uri = f"{path.absolute().as_uri()}?mode=ro" if path.exists() else ":memory:"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        for account in found:
            try:
                address = _check(account, domain)
                is_here = path.exists() and find_account(connection, address) is not None
                counted = Adopted(accounts=1)
                for mailbox in () if is_here else account.open_mailboxes():
                    counted.mailboxes += 1
                    counted.messages += len(mailbox.messages)
                    counted.size_bytes += sum(len(message.read()) for message in mailbox.messages)
            except (AdoptionError, BadAddressError, OSError) as refusal:
                adopted.left.append((account.address, str(refusal)))
                continue
            if is_here:
                adopted.left.append((account.address, HERE_ALREADY))
            else:
                _add(adopted, counted)
    return adopted


def _check(account: FoundAccount, domain: str) -> str:
    """Judge an account; return its address as the store knows it. Raises: AdoptionError, BadAddressError."""
    if account.problem is not None:
        raise AdoptionError(account.problem)
    address = normalise_address(account.address, domain)
    check_hash(account.password_hash)
    return address


def _take(transaction: Transaction, bodies: _Bodies, account: FoundAccount, domain: str) -> Adopted:
    now_seconds = int(time.time())
    address = _check(account, domain)
    taken = add_account(transaction, address, account.password_hash, now_seconds, now_seconds)
    if account.last_login_at_seconds is not None:
        write_logins(transaction, {taken.id: account.last_login_at_seconds})
    counted = Adopted(accounts=1)
    for mailbox in account.open_mailboxes():
        mailbox_id = _open_mailbox(transaction, taken.id, mailbox, now_seconds)
        size_bytes = sum(_add_messages(transaction, bodies, mailbox_id, mailbox))
        transaction.execute(
            "UPDATE usage SET size_bytes = size_bytes + ?, message_count = message_count + ?"
            " WHERE account_id = ?",
            (size_bytes, len(mailbox.messages), taken.id),
        )
        if mailbox.is_subscribed:
            change_subscription(transaction, taken.id, mailbox.name, is_subscribed=True)
        counted.mailboxes += 1
        counted.messages += len(mailbox.messages)
        counted.size_bytes += size_bytes
    transaction.execute(
        "UPDATE last_uid_validity SET value = max(value, (SELECT max(uid_validity) FROM mailbox))"
    )
    return counted


def _open_mailbox(
    transaction: Transaction, account_id: AccountId, mailbox: FoundMailbox, now_seconds: int
) -> MailboxId:
    if mailbox.name != INBOX:
        add_mailbox(transaction, account_id, mailbox.name, now_seconds)
    uid_next = _find_uid_next(mailbox) + sum(message.uid is None for message in mailbox.messages)
    (mailbox_id,) = transaction.execute(
        "UPDATE mailbox SET uid_validity = ?, uid_next = ? WHERE account_id = ? AND name = ? RETURNING id",
        (mailbox.uid_validity, uid_next, account_id, mailbox.name),
    ).fetchone()
    return MailboxId(mailbox_id)


def _add_messages(
    transaction: Transaction, bodies: _Bodies, mailbox_id: MailboxId, mailbox: FoundMailbox
) -> Iterator[int]:
    """Add messages under their UIDs, those without one under the next; yield the size of each."""
    for uid, message in _give_uids(mailbox):
        body = message.read()
        flags = " ".join(sorted(filter(_FLAG.fullmatch, message.flags)))
        row = (mailbox_id, uid, flags, len(body), message.received_at_seconds)
        transaction.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", (*row, bodies.keep(transaction, body))
        )
        yield len(body)


def _give_uids(mailbox: FoundMailbox) -> Iterator[tuple[int, FoundMessage]]:
    uid_next = _find_uid_next(mailbox)
    for message in mailbox.messages:
        if message.uid is not None:
            yield message.uid, message
        else:
            yield uid_next, message
            uid_next += 1


def _find_uid_next(mailbox: FoundMailbox) -> int:
    return max(
        (mailbox.uid_next, *(message.uid + 1 for message in mailbox.messages if message.uid is not None))
    )


def _add(total: Adopted, more: Adopted) -> None:
    total.accounts += more.accounts
    total.mailboxes += more.mailboxes
    total.messages += more.messages
    total.size_bytes += more.size_bytes


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[Transaction]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield Transaction(connection.execute)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
