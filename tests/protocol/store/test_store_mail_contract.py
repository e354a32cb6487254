"""What every store promises about messages: delivery, quota, UIDs, bodies."""

import asyncio

import pytest

from mailnode.store.mail_store import (
    NO_FLAGS,
    TRIM_AFTER_SECONDS,
    AccountId,
    FlagMode,
    Mailbox,
    MailboxChange,
    MailboxId,
    MailStore,
    QuotaExceededError,
    Recipient,
    Uid,
    UnknownMailboxError,
    Usage,
)
from support.store_mail import HEADER, NOW, PLENTY, add_account, append, deliver, make_body

pytestmark = pytest.mark.anyio
NOWHERE = MailboxId(4_711)
SEEN = frozenset({"\\Seen"})
LARGE_BYTES = 400_000


async def uids_of(store: MailStore, mailbox_id: MailboxId) -> list[int]:
    return [message.uid for message in (await store.read_contents(mailbox_id)).messages]


@pytest.mark.parametrize("size_bytes", [100, LARGE_BYTES])
async def test_delivered_message_is_there_word_for_word(store: MailStore, size_bytes: int) -> None:
    account, inbox = await add_account(store)
    body = make_body(size_bytes, b"\x00\xff\r\n")[:size_bytes]

    assert await deliver(store, account, body=body) == frozenset()

    (message,) = (await store.read_contents(inbox.id)).messages
    assert (message.uid, message.flags, message.size_bytes) == (1, NO_FLAGS, size_bytes)
    assert message.received_at_seconds == NOW
    assert await store.read_body(message.body_id) == body
    assert await store.read_header(message.body_id) == HEADER


@pytest.mark.parametrize("size_bytes", [100, LARGE_BYTES])
@pytest.mark.parametrize("body", [b"Subject: no empty line", b"\r\nno header", b"", b"A: b\r\n\r\n"])
async def test_unusual_bodies_survive(store: MailStore, body: bytes, size_bytes: int) -> None:
    _, inbox = await add_account(store)
    body = body + b"." * (size_bytes - len(body)) if body else body

    message = await append(store, inbox.id, body)

    assert await store.read_body(message.body_id) == body
    header = await store.read_header(message.body_id)
    assert header is not None
    assert body.startswith(header)
    assert header == (
        body if b"\r\n" not in body else body[: body.index(b"\r\n") + (4 if body[:2] != b"\r\n" else 2)]
    )


async def test_one_body_serves_all_recipients(store: MailStore) -> None:
    pairs = [await add_account(store, name) for name in ("alice", "bob", "carol")]

    await deliver(store, *(account for account, _ in pairs))

    contents = [await store.read_contents(inbox.id) for _, inbox in pairs]
    assert len({content.messages[0].body_id for content in contents}) == 1
    assert [await store.read_usage(account.id) for account, _ in pairs] == [Usage(100, 1)] * 3


@pytest.mark.parametrize("size_bytes", [100, LARGE_BYTES])
async def test_body_goes_with_the_last_message_that_has_it(store: MailStore, size_bytes: int) -> None:
    alice, inbox = await add_account(store)
    bob, other = await add_account(store, "bob")
    body = make_body(size_bytes)
    await deliver(store, alice, bob, body=body)
    (message,) = (await store.read_contents(inbox.id)).messages
    (copied,) = await store.copy_messages(inbox.id, [message.uid], inbox.id, PLENTY)

    await store.expunge(inbox.id, [message.uid])
    assert await store.read_body(message.body_id) == body
    await store.expunge(other.id, [Uid(1)])
    assert await store.read_body(message.body_id) == body
    await store.expunge(inbox.id, [copied[1]])

    assert await store.read_body(message.body_id) is None
    assert await store.read_header(message.body_id) is None
    assert await store.read_usage(alice.id) == Usage(0, 0)


async def test_recipient_named_twice_gets_one_message(store: MailStore) -> None:
    account, inbox = await add_account(store)

    await deliver(store, account, account)

    assert await uids_of(store, inbox.id) == [1]


@pytest.mark.parametrize(("quota_bytes", "is_refused"), [(299, True), (300, False), (301, False)])
async def test_quota_is_exact_on_delivery(store: MailStore, quota_bytes: int, is_refused: bool) -> None:
    account, _ = await add_account(store)
    await deliver(store, account, body=make_body(200))

    refused = await store.deliver([Recipient(account.id, quota_bytes)], make_body(100), NOW)

    assert refused == (frozenset({account.id}) if is_refused else frozenset())
    assert (await store.read_usage(account.id)).size_bytes == (200 if is_refused else 300)


async def test_full_account_does_not_keep_others_from_their_mail(store: MailStore) -> None:
    full, full_inbox = await add_account(store)
    empty, empty_inbox = await add_account(store, "bob")
    recipients = [Recipient(full.id, 99), Recipient(AccountId(4_711), PLENTY), Recipient(empty.id, 100)]

    refused = await store.deliver(recipients, make_body(100), NOW)

    assert refused == {full.id, 4_711}
    assert await uids_of(store, full_inbox.id) == []
    assert await uids_of(store, empty_inbox.id) == [1]


@pytest.mark.parametrize("quota_bytes", [299, 300, 301])
async def test_quota_is_exact_for_each_of_many_alike(store: MailStore, quota_bytes: int) -> None:
    pairs = [await add_account(store, f"member{number}") for number in range(6)]
    full = {account.id for account, _ in pairs[::2]} if quota_bytes < 300 else set()
    await deliver(store, *(account for account, _ in pairs[::2]), body=make_body(200))
    recipients = [Recipient(account.id, quota_bytes) for account, _ in pairs]

    heard: list[MailboxChange] = []
    for _, inbox in pairs:
        store.watch(inbox.id, heard.append)
    refused = await store.deliver(
        [*recipients, Recipient(AccountId(4_711), quota_bytes)], make_body(100), NOW
    )

    assert refused == {*full, 4_711}
    for number, (account, inbox) in enumerate(pairs):
        before, more = 200 * (number % 2 == 0), 100 * (account.id not in full)
        assert (await store.read_usage(account.id)).size_bytes == before + more
        assert await uids_of(store, inbox.id) == list(range(1, 1 + (before > 0) + (more > 0)))
    assert len(heard) == 6 - len(full)


async def test_room_is_made_for_those_of_many_who_need_it(store: MailStore) -> None:
    pairs = [await add_account(store, f"member{number}") for number in range(3)]
    await keep(store, pairs[1][1], 1_000, 2 * 86_400, "\\Seen")
    recipients = [Recipient(account.id, 1_000, is_trimmed=True) for account, _ in pairs]

    assert await store.deliver(recipients, make_body(100), NOW) == frozenset()

    assert [await uids_of(store, inbox.id) for _, inbox in pairs] == [[1], [2], [1]]


async def keep(store: MailStore, mailbox: Mailbox, size_bytes: int, age_seconds: int, flag: str) -> Uid:
    flags = frozenset({flag})
    message = await store.append(mailbox.id, PLENTY, make_body(size_bytes), flags, NOW - age_seconds)
    return message.uid


@pytest.mark.parametrize(
    ("age_seconds", "flag", "more_bytes", "is_refused"),
    [
        (TRIM_AFTER_SECONDS, "\\Seen", 100, False),
        (TRIM_AFTER_SECONDS - 1, "\\Seen", 100, True),
        (TRIM_AFTER_SECONDS, "\\Flagged", 100, True),
        (TRIM_AFTER_SECONDS, "\\Seen", 900, False),
        (TRIM_AFTER_SECONDS, "\\Seen", 901, True),
    ],
)
async def test_full_mailbox_makes_room_by_what_was_read_long_ago(
    store: MailStore, age_seconds: int, flag: str, more_bytes: int, *, is_refused: bool
) -> None:
    account, inbox = await add_account(store)
    old = await keep(store, inbox, 900, age_seconds, flag)
    new = await keep(store, inbox, 100, 0, "\\Seen")
    recipient = Recipient(account.id, 1_000, is_trimmed=True)
    is_old = age_seconds == TRIM_AFTER_SECONDS and flag == "\\Seen"
    assert await store.read_trimmable(account.id, NOW) == (900 if is_old else 0)

    refused = await store.deliver([recipient], make_body(more_bytes), NOW)

    assert bool(refused) is is_refused
    assert await uids_of(store, inbox.id) == ([old, new] if is_refused else [new, new + 1])
    usage = await store.read_usage(account.id)
    assert usage.size_bytes == (1_000 if is_refused else 100 + more_bytes)


async def test_room_is_made_by_the_oldest_and_largest_first_and_a_tenth_beside(store: MailStore) -> None:
    account, inbox = await add_account(store)
    box = await store.create_mailbox(account.id, "DeltaChat")
    days = TRIM_AFTER_SECONDS
    small = await keep(store, inbox, 100, 10 * days, "\\Seen")
    await keep(store, box, 600, 5 * days, "\\Seen")
    medium = await keep(store, inbox, 300, 2 * days, "\\Seen")

    assert not await store.deliver([Recipient(account.id, 1_000, is_trimmed=True)], make_body(100), NOW)
    assert await uids_of(store, box.id) == []
    assert await uids_of(store, inbox.id) == [small, medium, medium + 1]

    assert not await store.deliver([Recipient(account.id, 600, is_trimmed=True)], make_body(200), NOW)
    assert await uids_of(store, inbox.id) == [medium + 1, medium + 2]


async def test_nothing_goes_where_the_policy_does_not_want_it(store: MailStore) -> None:
    account, inbox = await add_account(store)
    await keep(store, inbox, 900, 2 * TRIM_AFTER_SECONDS, "\\Seen")

    assert await store.deliver([Recipient(account.id, 900)], make_body(100), NOW) == {account.id}
    assert len(await uids_of(store, inbox.id)) == 1


@pytest.mark.parametrize(("quota_bytes", "is_refused"), [(299, True), (300, False), (301, False)])
async def test_quota_is_exact_on_append(store: MailStore, quota_bytes: int, is_refused: bool) -> None:
    account, inbox = await add_account(store)
    await append(store, inbox.id, make_body(200))

    if is_refused:
        with pytest.raises(QuotaExceededError):
            await store.append(inbox.id, quota_bytes, make_body(100), NO_FLAGS, NOW)
    else:
        await store.append(inbox.id, quota_bytes, make_body(100), NO_FLAGS, NOW)

    assert (await store.read_usage(account.id)).size_bytes == (200 if is_refused else 300)


@pytest.mark.parametrize(("quota_bytes", "is_refused"), [(399, True), (400, False), (401, False)])
async def test_copies_count_as_if_they_had_bodies_of_their_own(
    store: MailStore,
    quota_bytes: int,
    is_refused: bool,
) -> None:
    account, inbox = await add_account(store)
    for _ in range(2):
        await deliver(store, account)

    if is_refused:
        with pytest.raises(QuotaExceededError):
            await store.copy_messages(inbox.id, [Uid(1), Uid(2)], inbox.id, quota_bytes)
    else:
        await store.copy_messages(inbox.id, [Uid(1), Uid(2)], inbox.id, quota_bytes)

    assert await store.read_usage(account.id) == (Usage(200, 2) if is_refused else Usage(400, 4))


@pytest.mark.parametrize(("quota_bytes", "count"), [(110, 1), (111, 1), (112, 0)])
async def test_accounts_near_their_quota_are_counted(store: MailStore, quota_bytes: int, count: int) -> None:
    account, _ = await add_account(store)
    await store.deliver([Recipient(account.id, 1000)], make_body(100), NOW)

    assert await store.count_near_quota(quota_bytes) == count
    await store.change_quota(account.id, 100)
    assert await store.count_near_quota(quota_bytes) == 1
    await store.change_quota(account.id, 1000)
    assert await store.count_near_quota(quota_bytes) == 0


async def test_quota_falls_when_mail_goes(store: MailStore) -> None:
    account, inbox = await add_account(store)
    await deliver(store, account, body=make_body(200))
    assert await store.deliver([Recipient(account.id, 250)], make_body(100), NOW) == {account.id}

    await store.expunge(inbox.id, [Uid(1)])

    assert await store.deliver([Recipient(account.id, 250)], make_body(100), NOW) == frozenset()


async def test_parallel_deliveries_never_exceed_the_quota(store: MailStore) -> None:
    account, inbox = await add_account(store)

    refusals = await asyncio.gather(
        *(store.deliver([Recipient(account.id, 1_000)], make_body(100), NOW) for _ in range(30))
    )

    assert sum(not refused for refused in refusals) == 10
    assert await store.read_usage(account.id) == Usage(1_000, 10)
    assert await uids_of(store, inbox.id) == list(range(1, 11))


async def test_uids_are_never_given_twice(store: MailStore) -> None:
    account, inbox = await add_account(store)
    for _ in range(3):
        await deliver(store, account)
    await store.expunge(inbox.id, [Uid(1), Uid(2), Uid(3)])

    contents = await store.read_contents(inbox.id)
    assert (contents.messages, contents.uid_next) == ((), 4)
    await deliver(store, account)

    assert await uids_of(store, inbox.id) == [4]


async def test_appended_message_keeps_flags_and_date(store: MailStore) -> None:
    _, inbox = await add_account(store)
    flags = frozenset({"\\Seen", "$Forwarded", "\\Draft"})

    message = await store.append(inbox.id, PLENTY, make_body(), flags, 12_345)

    assert (message.flags, message.received_at_seconds) == (flags, 12_345)
    assert (await store.read_contents(inbox.id)).messages == (message,)


async def test_mailbox_that_is_gone_takes_nothing(store: MailStore) -> None:
    _, inbox = await add_account(store)
    message = await append(store, inbox.id)

    for change in (
        append(store, NOWHERE),
        append(store, NOWHERE, make_body(LARGE_BYTES)),
        store.copy_messages(inbox.id, [message.uid], NOWHERE, PLENTY),
        store.move_messages(inbox.id, [message.uid], NOWHERE),
        store.read_contents(NOWHERE),
        store.read_status(NOWHERE),
        store.rename_mailbox(NOWHERE, "x"),
        store.remove_mailbox(NOWHERE),
    ):
        with pytest.raises(UnknownMailboxError):
            await change
    assert await uids_of(store, inbox.id) == [1]


async def test_copy_keeps_flags_dates_and_the_order_that_was_asked_for(store: MailStore) -> None:
    account, inbox = await add_account(store)
    sent = await store.create_mailbox(account.id, "Sent")
    for received_at in (10, 20, 30):
        await store.append(inbox.id, PLENTY, make_body(), SEEN, received_at)

    pairs = await store.copy_messages(inbox.id, [Uid(3), Uid(9), Uid(1), Uid(3)], sent.id, PLENTY)

    assert pairs == [(3, 1), (1, 2)]
    copies = (await store.read_contents(sent.id)).messages
    assert [(copy.received_at_seconds, copy.flags) for copy in copies] == [(30, SEEN), (10, SEEN)]
    assert await uids_of(store, inbox.id) == [1, 2, 3]


async def test_copy_of_nothing_is_nothing(store: MailStore) -> None:
    _, inbox = await add_account(store)

    assert await store.copy_messages(inbox.id, [Uid(1)], inbox.id, 0) == []
    assert await store.copy_messages(NOWHERE, [Uid(1)], inbox.id, 0) == []
    assert (await store.read_contents(inbox.id)).uid_next == 1


async def test_move_takes_messages_along_whatever_the_quota(store: MailStore) -> None:
    account, inbox = await add_account(store)
    trash = await store.create_mailbox(account.id, "Trash")
    await append(store, trash.id)
    for _ in range(3):
        await deliver(store, account)

    pairs = await store.move_messages(inbox.id, [Uid(3), Uid(1)], trash.id)

    assert pairs == [(3, 2), (1, 3)]
    assert await uids_of(store, inbox.id) == [2]
    assert await uids_of(store, trash.id) == [1, 2, 3]
    assert await store.read_usage(account.id) == Usage(400, 4)


async def test_move_within_a_mailbox_gives_new_uids_and_keeps_the_body(store: MailStore) -> None:
    account, inbox = await add_account(store)
    await deliver(store, account)

    assert await store.move_messages(inbox.id, [Uid(1)], inbox.id) == [(1, 2)]
    (message,) = (await store.read_contents(inbox.id)).messages
    assert await store.read_body(message.body_id) == make_body()

    await store.expunge(inbox.id, [Uid(2)])
    assert await store.read_body(message.body_id) is None


@pytest.mark.parametrize(
    ("mode", "flags", "expected"),
    [
        (FlagMode.ADD, {"\\Flagged", "key"}, {"\\Seen", "\\Flagged", "key"}),
        (FlagMode.REMOVE, {"\\Seen", "key"}, set()),
        (FlagMode.REPLACE, {"key"}, {"key"}),
        (FlagMode.REPLACE, set(), set()),
    ],
)
async def test_flags_change_as_the_mode_says(
    store: MailStore, mode: FlagMode, flags: set[str], expected: set[str]
) -> None:
    _, inbox = await add_account(store)
    for _ in range(2):
        await store.append(inbox.id, PLENTY, make_body(), SEEN, NOW)

    result = await store.change_flags(inbox.id, [Uid(2), Uid(9)], mode, frozenset(flags))

    assert result == {2: expected}
    assert [message.flags for message in (await store.read_contents(inbox.id)).messages] == [SEEN, expected]


async def test_flags_that_stay_are_returned_too(store: MailStore) -> None:
    _, inbox = await add_account(store)
    await store.append(inbox.id, PLENTY, make_body(), SEEN, NOW)

    assert await store.change_flags(inbox.id, {Uid(1)}, FlagMode.ADD, SEEN) == {1: SEEN}
    assert await store.change_flags(NOWHERE, {Uid(1)}, FlagMode.ADD, SEEN) == {}


async def test_expunge_tells_what_was_there(store: MailStore) -> None:
    account, inbox = await add_account(store)
    for _ in range(6):
        await deliver(store, account)

    assert await store.expunge(inbox.id, [Uid(9), Uid(2), Uid(3), Uid(6)]) == {2, 3, 6}
    assert await store.expunge(inbox.id, [Uid(2)]) == frozenset()
    assert await store.expunge(inbox.id, []) == frozenset()
    assert await store.expunge(NOWHERE, [Uid(1)]) == frozenset()
    assert await uids_of(store, inbox.id) == [1, 4, 5]
    assert await store.read_usage(account.id) == Usage(300, 3)


async def test_long_mailbox_is_read_whole_and_in_order(store: MailStore) -> None:
    account, inbox = await add_account(store)
    await asyncio.gather(*(deliver(store, account) for _ in range(501)))

    assert await uids_of(store, inbox.id) == list(range(1, 502))
    assert (await store.read_status(inbox.id)).message_count == 501
