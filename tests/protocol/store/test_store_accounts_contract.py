"""What every store promises about accounts and what belongs to them beside mail."""

import asyncio

import pytest

from mailnode.store.mail_store import (
    INBOX,
    AccountExistsError,
    AccountId,
    MailStore,
    UnknownAccountError,
    Usage,
)
from support.store_mail import NOW, add_account, deliver, find_inbox

pytestmark = pytest.mark.anyio
NOBODY = AccountId(4_711)


async def test_new_account_is_found_with_an_empty_inbox(store: MailStore) -> None:
    account, inbox = await add_account(store)

    assert await store.find_account("alice@example.org") == account
    assert (account.password_hash, account.quota_bytes, account.is_banned) == ("hash of alice", None, False)
    assert (account.created_at_seconds, account.last_login_at_seconds) == (NOW, None)
    assert [mailbox.name for mailbox in await store.list_mailboxes(account.id)] == [INBOX]
    assert (await store.read_contents(inbox.id)).messages == ()
    assert (await store.read_contents(inbox.id)).uid_next == 1


async def test_address_is_given_once(store: MailStore) -> None:
    first, _ = await add_account(store)

    with pytest.raises(AccountExistsError):
        await store.add_account(first.address, "another hash", NOW)

    assert await store.find_account(first.address) == first
    assert await store.count_accounts() == 1


async def test_parallel_creations_of_one_address_make_one_account(store: MailStore) -> None:
    results = await asyncio.gather(
        *(store.add_account("a@example.org", f"hash {n}", NOW) for n in range(8)), return_exceptions=True
    )

    assert sum(isinstance(result, AccountExistsError) for result in results) == 7
    assert await store.count_accounts() == 1


async def test_unknown_address_is_not_found_until_its_account_is_made(store: MailStore) -> None:
    assert await store.find_account("alice@example.org") is None
    account, _ = await add_account(store)
    assert await store.find_account("alice@example.org") == account


async def test_accounts_are_listed_page_by_page(store: MailStore) -> None:
    for name in ("dora", "alice", "carol", "bob"):
        await add_account(store, name)

    first = await store.list_accounts("", 3)
    second = await store.list_accounts(first[-1].address, 3)

    assert [account.address.partition("@")[0] for account in first] == ["alice", "bob", "carol"]
    assert [account.address.partition("@")[0] for account in second] == ["dora"]
    assert await store.list_accounts("", 0) == []


async def test_changes_are_seen_at_once_and_one_by_one(store: MailStore) -> None:
    account, _ = await add_account(store)
    await store.find_account(account.address)

    await store.change_password(account.id, "new hash")
    await store.change_quota(account.id, 77)
    changed = await store.change_ban(account.id, is_banned=True)

    assert (changed.password_hash, changed.quota_bytes, changed.is_banned) == ("new hash", 77, True)
    assert await store.find_account(account.address) == changed
    assert (await store.change_quota(account.id, None)).quota_bytes is None
    assert not (await store.change_ban(account.id, is_banned=False)).is_banned


async def test_unknown_account_cannot_be_changed(store: MailStore) -> None:
    for change in (
        store.change_password(NOBODY, "hash"),
        store.change_quota(NOBODY, 1),
        store.change_ban(NOBODY, is_banned=True),
        store.remove_account(NOBODY),
        store.read_usage(NOBODY),
        store.create_mailbox(NOBODY, "Sent"),
        store.change_subscription(NOBODY, "Sent", is_subscribed=True),
        store.change_metadata(NOBODY, "", {"/private/comment": "x"}),
        store.add_device_token(NOBODY, "token", NOW),
    ):
        with pytest.raises(UnknownAccountError):
            await change


async def test_removed_account_leaves_nothing(store: MailStore) -> None:
    account, inbox = await add_account(store)
    await deliver(store, account)
    (message,) = (await store.read_contents(inbox.id)).messages
    await store.change_metadata(account.id, "", {"/private/comment": "x"})
    await store.change_subscription(account.id, "Sent", is_subscribed=True)
    await store.add_device_token(account.id, "token", NOW)

    await store.remove_account(account.id)

    assert await store.find_account(account.address) is None
    assert await store.list_mailboxes(account.id) == []
    assert await store.read_metadata(account.id, "") == {}
    assert await store.list_subscriptions(account.id) == []
    assert await store.list_device_tokens(account.id, 0) == []
    assert await store.read_body(message.body_id) is None


async def test_recreated_account_has_another_uid_validity(store: MailStore) -> None:
    account, before = await add_account(store)
    await store.remove_account(account.id)
    again, after = await add_account(store)

    assert again.id != account.id
    assert after.uid_validity > before.uid_validity
    assert await store.read_usage(again.id) == Usage(0, 0)


async def test_login_is_recorded_with_a_later_change(store: MailStore) -> None:
    account, _ = await add_account(store)

    store.record_login(account.id, NOW + 5)
    store.record_login(NOBODY, NOW)
    await deliver(store, account)

    (listed,) = await store.list_accounts("", 1)
    found = await store.find_account(account.address)
    assert listed.last_login_at_seconds == NOW + 5
    assert found == listed


async def test_subscriptions_need_no_mailbox(store: MailStore) -> None:
    account, _ = await add_account(store)

    for name in ("b", "a", "b"):
        await store.change_subscription(account.id, name, is_subscribed=True)
    assert await store.list_subscriptions(account.id) == ["a", "b"]

    await store.change_subscription(account.id, "b", is_subscribed=False)
    await store.change_subscription(account.id, "never", is_subscribed=False)
    assert await store.list_subscriptions(account.id) == ["a"]


async def test_metadata_is_kept_by_account_and_mailbox_name(store: MailStore) -> None:
    account, _ = await add_account(store)
    other, _ = await add_account(store, "bob")

    await store.change_metadata(account.id, "", {"/private/a": "1", "/private/b": "2"})
    await store.change_metadata(account.id, INBOX, {"/private/a": "3"})
    await store.change_metadata(account.id, "", {"/private/a": "4", "/private/b": None, "/private/c": None})

    assert await store.read_metadata(account.id, "") == {"/private/a": "4"}
    assert await store.read_metadata(account.id, INBOX) == {"/private/a": "3"}
    assert await store.read_metadata(other.id, "") == {}


async def test_device_tokens_are_listed_by_their_last_use(store: MailStore) -> None:
    account, _ = await add_account(store)
    await store.add_device_token(account.id, "old", NOW)
    await store.add_device_token(account.id, "renewed", NOW)
    await store.add_device_token(account.id, "renewed", NOW + 10)

    assert await store.list_device_tokens(account.id, NOW) == ["old", "renewed"]
    assert await store.list_device_tokens(account.id, NOW + 10) == ["renewed"]
    assert await store.list_device_tokens(account.id, NOW + 11) == []


async def test_inbox_is_found_by_its_owner_only(store: MailStore) -> None:
    account, inbox = await add_account(store)
    other, other_inbox = await add_account(store, "bob")

    assert (await find_inbox(store, account.id)) == inbox
    assert inbox.account_id == account.id
    assert other_inbox.account_id == other.id
    assert inbox.uid_validity != other_inbox.uid_validity
