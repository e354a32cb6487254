"""Accounts and messages to fill a store with."""

from mailnode.store.mail_store import (
    INBOX,
    NO_FLAGS,
    Account,
    AccountId,
    Mailbox,
    MailboxId,
    MailStore,
    Message,
    Recipient,
)

NOW = 1_700_000_000
PLENTY = 1 << 40
HEADER = b"From: alice@example.org\r\nSubject: ...\r\n\r\n"


def make_body(size_bytes: int = 100, fill: bytes = b"x") -> bytes:
    """Make a message of exactly so many bytes."""
    return HEADER + fill * (size_bytes - len(HEADER))


async def add_account(store: MailStore, name: str = "alice") -> tuple[Account, Mailbox]:
    account = await store.add_account(f"{name}@example.org", f"hash of {name}", NOW)
    return account, await find_inbox(store, account.id)


async def find_inbox(store: MailStore, account_id: AccountId) -> Mailbox:
    inbox = await store.find_mailbox(account_id, INBOX)
    assert inbox is not None
    return inbox


async def deliver(store: MailStore, *accounts: Account, body: bytes = make_body()) -> frozenset[AccountId]:
    return await store.deliver([Recipient(account.id, PLENTY) for account in accounts], body, NOW)


async def append(store: MailStore, mailbox_id: MailboxId, body: bytes = make_body()) -> Message:
    return await store.append(mailbox_id, PLENTY, body, NO_FLAGS, NOW)
