"""What every store promises about mail to and from other nodes."""

import pytest

from mailnode.store.mail_store import Envelope, MailStore, OutgoingId, Recipient, Usage
from support.store_mail import NOW, PLENTY, add_account, deliver, find_inbox, make_body

pytestmark = pytest.mark.anyio

DAY = 86_400
BODY = make_body(300)
LARGE = make_body(300_000)


def envelope(number: int = 1, destination: str = "two.example") -> Envelope:
    return Envelope(
        f"id{number}", destination, "alice@example.org", (f"bob@{destination}", f"c@{destination}")
    )


async def queue(store: MailStore, *envelopes: Envelope, body: bytes = BODY, at: int = NOW) -> None:
    assert await store.deliver([], body, at, envelopes) == frozenset()


async def count_messages(store: MailStore, inbox_id: object) -> int:
    return len((await store.read_contents(inbox_id)).messages)  # type: ignore[arg-type]  # any store's id


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
async def test_queued_message_is_read_back_whole(store: MailStore, body: bytes) -> None:
    await queue(store, envelope(), body=body)

    (row,) = await store.list_outgoing("two.example", 10)

    assert row.envelope == envelope()
    assert (row.size_bytes, row.queued_at_seconds, row.attempt_count) == (len(body), NOW, 0)
    assert row.next_attempt_at_seconds == NOW
    assert await store.read_body(row.body_id) == body


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
async def test_body_is_shared_and_goes_with_the_last_who_has_it(store: MailStore, body: bytes) -> None:
    account, inbox = await add_account(store)
    recipients = [Recipient(account.id, PLENTY)]
    await store.deliver(recipients, body, NOW, [envelope(1), envelope(2, "three.example")])
    (message,) = (await store.read_contents(inbox.id)).messages
    (first,) = await store.list_outgoing("two.example", 10)
    (second,) = await store.list_outgoing("three.example", 10)
    assert first.body_id == second.body_id == message.body_id

    await store.finish_outgoing(first.id)
    await store.expunge(inbox.id, [message.uid])
    assert await store.read_body(message.body_id) == body
    await store.finish_outgoing(second.id)

    assert await store.read_body(message.body_id) is None
    assert await store.count_outgoing() == {}


async def test_message_is_queued_also_if_nobody_here_gets_it(store: MailStore) -> None:
    account, inbox = await add_account(store)

    refused = await store.deliver([Recipient(account.id, 10)], BODY, NOW, [envelope()])

    assert refused == {account.id}
    assert await count_messages(store, inbox.id) == 0
    (row,) = await store.list_outgoing("two.example", 10)
    assert await store.read_body(row.body_id) == BODY


async def test_what_is_due_first_comes_first(store: MailStore) -> None:
    await queue(store, envelope(1), at=NOW + 5)
    await queue(store, envelope(2), at=NOW)
    await queue(store, envelope(3), at=NOW)
    first, second, third = await store.list_outgoing("two.example", 10)
    assert [row.envelope.delivery_id for row in (first, second, third)] == ["id2", "id3", "id1"]

    await store.postpone_outgoing(first.id, NOW + 9)

    rows = await store.list_outgoing("two.example", 10)
    assert [(row.envelope.delivery_id, row.attempt_count) for row in rows] == [
        ("id3", 0),
        ("id1", 0),
        ("id2", 1),
    ]
    assert [row.id for row in await store.list_outgoing("two.example", 1)] == [second.id]
    assert await store.list_outgoing("elsewhere.example", 10) == []


async def test_destinations_and_their_amount_are_known(store: MailStore) -> None:
    assert await store.read_outgoing_usage() == Usage(0, 0)
    await queue(store, envelope(1), envelope(2, "one.example"), envelope(3))

    assert [*(await store.count_outgoing()).items()] == [("one.example", 1), ("two.example", 2)]
    assert await store.read_outgoing_usage() == Usage(3 * len(BODY), 3)


async def test_what_is_gone_can_be_finished_and_postponed_again(store: MailStore) -> None:
    await queue(store, envelope())
    (row,) = await store.list_outgoing("two.example", 10)

    for _ in range(2):
        await store.finish_outgoing(row.id)
    await store.postpone_outgoing(OutgoingId(row.id), NOW)

    assert await store.read_outgoing_usage() == Usage(0, 0)


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
async def test_repeated_delivery_is_stored_once(store: MailStore, body: bytes) -> None:
    alice, inbox = await add_account(store)
    full, _ = await add_account(store, "full")
    recipients = [Recipient(alice.id, PLENTY), Recipient(full.id, 10)]

    results = [await store.deliver_once("mail2:x", recipients, body, NOW + second) for second in range(3)]

    assert results == [{full.id}] * 3
    assert await count_messages(store, inbox.id) == 1


async def test_another_delivery_of_the_same_message_is_stored_too(store: MailStore) -> None:
    alice, inbox = await add_account(store)

    for name in ("mail2:x", "mail3:x"):
        await store.deliver_once(name, [Recipient(alice.id, PLENTY)], BODY, NOW)

    assert await count_messages(store, inbox.id) == 2


async def test_delivery_that_nobody_got_may_come_again(store: MailStore) -> None:
    alice, inbox = await add_account(store)
    assert await store.deliver_once("mail2:x", [Recipient(alice.id, 10)], BODY, NOW) == {alice.id}

    assert await store.deliver_once("mail2:x", [Recipient(alice.id, PLENTY)], BODY, NOW) == frozenset()
    assert await count_messages(store, inbox.id) == 1


@pytest.mark.parametrize(("age_seconds", "count"), [(3 * DAY - 1, 1), (3 * DAY, 1), (3 * DAY + 1, 2)])
async def test_delivery_is_remembered_for_three_days(store: MailStore, age_seconds: int, count: int) -> None:
    alice, inbox = await add_account(store)
    recipients = [Recipient(alice.id, PLENTY)]
    await store.deliver_once("mail2:x", recipients, BODY, NOW)

    await store.deliver_once("mail2:x", recipients, BODY, NOW + age_seconds)

    assert await count_messages(store, inbox.id) == count


async def test_removed_account_leaves_what_it_has_sent_in_the_queue(store: MailStore) -> None:
    alice, _ = await add_account(store)
    await queue(store, envelope())
    await deliver(store, alice)

    await store.remove_account(alice.id)

    (row,) = await store.list_outgoing("two.example", 10)
    assert await store.read_body(row.body_id) == BODY
    bob, _ = await add_account(store, "bob")
    assert (await find_inbox(store, bob.id)).name == "INBOX"
