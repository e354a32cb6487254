"""What every store promises about mailboxes and those who watch them."""

from collections.abc import Callable

import pytest

from mailnode.store.mail_store import (
    INBOX,
    Arrived,
    Expunged,
    FlagMode,
    FlagsChanged,
    MailboxChange,
    MailboxExistsError,
    MailboxGone,
    MailboxId,
    MailboxStatus,
    MailStore,
    Uid,
    Usage,
)
from support.store_mail import NOW, PLENTY, add_account, append, deliver, make_body

pytestmark = pytest.mark.anyio
SEEN = frozenset({"\\Seen"})


def listen(store: MailStore, mailbox_id: MailboxId) -> tuple[list[MailboxChange], Callable[[], None]]:
    heard: list[MailboxChange] = []
    return heard, store.watch(mailbox_id, heard.append)


async def test_mailboxes_are_listed_by_name_with_inbox_first(store: MailStore) -> None:
    account, _ = await add_account(store)
    for name in ("Zoë", "Archive", "a/b", "a"):
        await store.create_mailbox(account.id, name)

    names = [mailbox.name for mailbox in await store.list_mailboxes(account.id)]

    assert names == [INBOX, "Archive", "Zoë", "a", "a/b"]


async def test_name_is_taken_once_per_account(store: MailStore) -> None:
    account, _ = await add_account(store)
    other, _ = await add_account(store, "bob")
    sent = await store.create_mailbox(account.id, "Sent")

    for name in ("Sent", INBOX):
        with pytest.raises(MailboxExistsError):
            await store.create_mailbox(account.id, name)

    assert await store.find_mailbox(account.id, "Sent") == sent
    assert await store.find_mailbox(other.id, "Sent") is None
    assert await store.find_mailbox(account.id, "sent") is None


async def test_uid_validity_of_a_name_never_comes_back(store: MailStore) -> None:
    account, _ = await add_account(store)
    seen: set[int] = set()

    for _ in range(5):
        mailbox = await store.create_mailbox(account.id, "Sent")
        assert 0 < mailbox.uid_validity < 1 << 32
        seen.add(mailbox.uid_validity)
        await store.remove_mailbox(mailbox.id)

    assert len(seen) == 5


async def test_renamed_mailbox_keeps_its_messages(store: MailStore) -> None:
    account, _ = await add_account(store)
    sent = await store.create_mailbox(account.id, "Sent")
    await store.create_mailbox(account.id, "Other")
    await append(store, sent.id)

    await store.rename_mailbox(sent.id, "Sent/2024")
    with pytest.raises(MailboxExistsError):
        await store.rename_mailbox(sent.id, "Other")
    await store.rename_mailbox(sent.id, "Sent/2024")

    renamed = await store.find_mailbox(account.id, "Sent/2024")
    assert renamed is not None
    assert (renamed.id, renamed.uid_validity) == (sent.id, sent.uid_validity)
    assert await store.find_mailbox(account.id, "Sent") is None
    assert len((await store.read_contents(sent.id)).messages) == 1


async def test_removed_mailbox_frees_what_it_held(store: MailStore) -> None:
    account, inbox = await add_account(store)
    sent = await store.create_mailbox(account.id, "Sent")
    message = await append(store, sent.id)
    await append(store, inbox.id, make_body(70))

    await store.remove_mailbox(sent.id)

    assert await store.read_usage(account.id) == Usage(70, 1)
    assert await store.read_body(message.body_id) is None


async def test_status_counts(store: MailStore) -> None:
    account, inbox = await add_account(store)
    assert await store.read_status(inbox.id) == MailboxStatus(0, 0, Uid(1), 0)
    await deliver(store, account)
    await store.append(inbox.id, PLENTY, make_body(50), SEEN, NOW)
    await store.append(inbox.id, PLENTY, make_body(50), frozenset({"x\\Seen", "\\Seenx"}), NOW)
    await store.append(inbox.id, PLENTY, make_body(50), SEEN | {"\\Draft", "~"}, NOW)

    assert await store.read_status(inbox.id) == MailboxStatus(4, 2, Uid(5), 250)


async def test_watcher_hears_changes_in_order_before_their_author_goes_on(store: MailStore) -> None:
    account, inbox = await add_account(store)
    heard, _ = listen(store, inbox.id)

    await deliver(store, account)
    (message,) = (await store.read_contents(inbox.id)).messages
    assert heard == [Arrived((message,))]

    await store.change_flags(inbox.id, [message.uid], FlagMode.ADD, SEEN)
    assert heard[1:] == [FlagsChanged({message.uid: SEEN})]

    await store.expunge(inbox.id, [message.uid])
    assert heard[2:] == [Expunged(frozenset({message.uid}))]


async def test_watchers_of_both_mailboxes_hear_of_a_move(store: MailStore) -> None:
    account, inbox = await add_account(store)
    trash = await store.create_mailbox(account.id, "Trash")
    await deliver(store, account)
    of_inbox, _ = listen(store, inbox.id)
    of_trash, _ = listen(store, trash.id)

    await store.move_messages(inbox.id, [Uid(1)], trash.id)

    assert of_inbox == [Expunged(frozenset({Uid(1)}))]
    assert of_trash == [Arrived(tuple((await store.read_contents(trash.id)).messages))]


async def test_nothing_is_heard_of_changes_that_change_nothing(store: MailStore) -> None:
    _, inbox = await add_account(store)
    await store.append(inbox.id, PLENTY, make_body(), SEEN, NOW)
    heard, _ = listen(store, inbox.id)

    await store.change_flags(inbox.id, [Uid(1)], FlagMode.ADD, SEEN)
    await store.expunge(inbox.id, [Uid(9)])
    await store.copy_messages(inbox.id, [Uid(9)], inbox.id, PLENTY)
    await store.move_messages(inbox.id, [Uid(9)], inbox.id)

    assert heard == []


async def test_end_of_watching_is_at_once_and_may_be_said_twice(store: MailStore) -> None:
    account, inbox = await add_account(store)
    heard, unwatch = listen(store, inbox.id)
    others, _ = listen(store, inbox.id)

    unwatch()
    unwatch()
    await deliver(store, account)

    assert heard == []
    assert len(others) == 1


@pytest.mark.parametrize("whole_account", [True, False])
async def test_watcher_hears_that_its_mailbox_is_gone(store: MailStore, whole_account: bool) -> None:
    account, _ = await add_account(store)
    sent = await store.create_mailbox(account.id, "Sent")
    await append(store, sent.id)
    heard, unwatch = listen(store, sent.id)

    await (store.remove_account(account.id) if whole_account else store.remove_mailbox(sent.id))

    assert heard == [MailboxGone()]
    unwatch()
