"""Mail between two mail nodes on loopback: TLS, pins, signatures, the queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mailnode.accounts.policy import Policy
from mailnode.encryption.gate import check_incoming
from mailnode.federation import retry
from mailnode.federation.delivery import Delivery
from mailnode.federation.door import Door
from mailnode.federation.errors import NotAdmittedError
from mailnode.federation.siblings import Siblings
from mailnode.smtp.syntax import CommandError
from mailnode.store.mail_store import Envelope, MailStore, StoreUnavailableError
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.keys import PrivateKey
from support.federation_site import HOST, MailStation, open_stations, post_raw
from support.openpgp_messages import ALICE, armored, encrypted_mail, real_packets

pytestmark = pytest.mark.anyio

FROM = "alice@one.example"
BOB = "bob@two.example"
MESSAGE = bytes(encrypted_mail()).replace(ALICE.encode(), FROM.encode())
LARGE = bytes(encrypted_mail(armored(real_packets(1_000_000)))).replace(ALICE.encode(), FROM.encode())
ID = "delivery-0123456789"
DELIVERY = Delivery(ID, FROM, (BOB,))

Pair = tuple[MailStation, MailStation]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_stations(tmp_path) as stations:
        await stations[1].account("bob")
        yield stations


async def test_message_reaches_the_other_node_unchanged(pair: Pair) -> None:
    one, two = pair

    assert await one.submit("alice", MESSAGE, BOB) == 250

    assert await two.wait_for("bob") == [MESSAGE]
    assert await one.inbox("alice") == []


async def test_large_message_reaches_the_other_node(pair: Pair) -> None:
    one, two = pair

    await one.submit("alice", LARGE, BOB)

    assert await two.wait_for("bob") == [LARGE]


async def test_message_for_both_nodes_is_stored_once_here(pair: Pair) -> None:
    one, two = pair
    await one.account("carol")
    await two.account("dave")

    await one.submit("alice", MESSAGE, "carol@one.example", BOB, "dave@TWO.example")

    assert await two.wait_for("bob") == [MESSAGE]
    assert await two.wait_for("dave") == [MESSAGE]
    assert await one.inbox("carol") == [MESSAGE]


async def test_queue_is_empty_when_all_is_delivered(pair: Pair) -> None:
    one, two = pair
    for _ in range(20):
        await one.submit("alice", MESSAGE, BOB)

    await two.wait_for("bob", 20)

    async with asyncio.timeout(5):
        while one.outbound.queued_count:  # noqa: ASYNC110 - it says nothing when it changes
            await asyncio.sleep(0.01)
    assert (await one.store.read_outgoing_usage()).message_count == 0


async def test_message_waits_for_a_node_that_is_down(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    one, two = pair
    await two.close()

    assert await one.submit("alice", MESSAGE, BOB) == 250
    await asyncio.sleep(0.3)
    assert (await one.store.read_outgoing_usage()).message_count == 1
    await two.open()

    assert await two.wait_for("bob") == [MESSAGE]


async def test_queued_message_survives_a_restart(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path / "store")
        await store.start(stack)
        envelope = Envelope(ID, "two.example", FROM, (BOB,))
        await store.deliver([], MESSAGE, 1, [envelope])
    async with AsyncExitStack() as stack:
        again: MailStore = SqliteMailStore(tmp_path / "store")
        assert isinstance(again, SqliteMailStore)
        await again.start(stack)
        async with open_stations(tmp_path, stores={"one": again}) as (_, two):
            await two.account("bob")

            assert await two.wait_for("bob") == [MESSAGE]


async def test_sender_hears_of_an_unknown_recipient(pair: Pair) -> None:
    one, two = pair

    await one.submit("alice", MESSAGE, BOB, "nobody@two.example")

    (report,) = await one.wait_for("alice")
    check_incoming(report)
    assert b"nobody@two.example" in report
    assert b"5.1.1" in report
    assert b"rfc822; bob@" not in report
    assert await two.wait_for("bob") == [MESSAGE]


async def test_sender_hears_if_nobody_is_there(pair: Pair) -> None:
    one, _ = pair

    await one.submit("alice", MESSAGE, "nobody@two.example")

    (report,) = await one.wait_for("alice")
    assert b"No such user here" in report


async def test_sender_hears_of_full_mailboxes(pair: Pair) -> None:
    one, two = pair
    await two.accounts.change_quota(BOB, 10)
    await two.account("dave")

    await one.submit("alice", MESSAGE, BOB, "dave@two.example")
    (report,) = await one.wait_for("alice")
    await one.submit("alice", MESSAGE, BOB)

    _, second = await one.wait_for("alice", 2)
    assert b"5.2.2" in report
    assert b"507" in second


async def test_sender_hears_after_two_days(pair: Pair) -> None:
    one, two = pair
    await two.close()
    envelope = Envelope(ID, "two.example", FROM, (BOB,))
    await one.account("alice")
    queued_at = int(one.outbound.clock_seconds()) - retry.GIVE_UP_SECONDS

    await one.store.deliver([], MESSAGE, queued_at, [envelope])
    one.outbound.note_queued([envelope], len(MESSAGE))

    (report,) = await one.wait_for("alice")
    assert b"5.4.7" in report


async def test_node_with_another_certificate_gets_nothing(pair: Pair) -> None:
    one, two = pair
    one.siblings.replace([two.describe().model_copy(update={"tls_pin": "00" * 32})])

    await one.submit("alice", MESSAGE, BOB)
    await asyncio.sleep(0.3)

    assert await two.inbox("bob") == []
    assert (await one.store.read_outgoing_usage()).message_count == 1


async def test_node_is_asked_at_each_address_of_its_name(pair: Pair) -> None:
    one, two = pair
    asked: list[str] = []

    async def find(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.9", HOST]  # nobody is at the first

    one.outbound.transport.find_addresses = find
    one.siblings.replace([two.describe().model_copy(update={"host": "two.example"})])

    for _ in range(3):
        await one.submit("alice", MESSAGE, BOB)

    await two.wait_for("bob", 3)
    assert asked == ["two.example"]  # the connection is kept


async def test_recipients_elsewhere_are_refused_as_before(pair: Pair) -> None:
    one, _ = pair
    for address in ("x@three.example", "nobody@one.example", "bob@two.example.org"):
        with pytest.raises(CommandError) as refusal:
            await one.submit("alice", MESSAGE, address)
        assert refusal.value.reply.code == 550


async def test_full_queue_takes_no_more(pair: Pair) -> None:
    one, two = pair
    await two.close()
    one.outbound.max_queued_bytes = 2 * len(MESSAGE)
    for _ in range(2):
        await one.submit("alice", MESSAGE, BOB)

    with pytest.raises(CommandError) as refusal:
        await one.submit("alice", MESSAGE, BOB)

    assert refusal.value.reply.code == 452


# What another node, or somebody who would be one, may hand over.


async def test_delivery_by_hand_is_taken_once(pair: Pair) -> None:
    one, two = pair

    answers = [await one.post(two, DELIVERY, MESSAGE) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.text for answer in answers} == {'{"batch": 1, "refused": {}}'}
    assert await two.inbox("bob") == [MESSAGE]


async def test_unsigned_delivery_is_refused_before_it_is_read(pair: Pair) -> None:
    _, two = pair

    answer = await post_raw(two, MESSAGE, DELIVERY.write_headers())

    assert answer.status_code == 401
    assert await two.inbox("bob") == []


async def test_replayed_delivery_is_refused(pair: Pair) -> None:
    one, two = pair
    authorization = one.sign(two, DELIVERY, MESSAGE)
    assert (await one.post(two, DELIVERY, MESSAGE, authorization)).status_code == 200

    assert (await one.post(two, DELIVERY, MESSAGE, authorization)).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"node": "three"}, 401),
        ({"audience": "three.example"}, 401),
        ({"now_seconds": 1}, 401),
        ({"content_digest": None}, 401),
        ({"content_digest": "0" * 64}, 400),
    ],
)
async def test_assertion_about_something_else_is_refused(
    pair: Pair, changes: dict[str, object], status: int
) -> None:
    one, two = pair

    answer = await one.post(two, DELIVERY, MESSAGE, one.sign(two, DELIVERY, MESSAGE, **changes))

    assert answer.status_code == status
    assert await two.inbox("bob") == []


async def test_key_of_nobody_is_refused(pair: Pair) -> None:
    one, two = pair
    one.identity = PrivateKey.generate()

    assert (await one.post(two, DELIVERY, MESSAGE)).status_code == 401


async def test_retired_node_is_refused(pair: Pair) -> None:
    one, two = pair
    two.siblings.replace([])

    assert (await one.post(two, DELIVERY, MESSAGE)).status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        replace(DELIVERY, recipients=(BOB, "dave@two.example")),
        replace(DELIVERY, mail_from="eve@one.example"),
        replace(DELIVERY, id=ID + "x"),
    ],
)
async def test_envelope_is_signed_with_the_message(pair: Pair, changed: Delivery) -> None:
    one, two = pair

    answer = await one.post(two, changed, MESSAGE, one.sign(two, DELIVERY, MESSAGE))

    assert answer.status_code == 400


async def test_message_is_the_one_that_was_signed(pair: Pair) -> None:
    one, two = pair

    assert (await one.post(two, DELIVERY, LARGE, one.sign(two, DELIVERY, MESSAGE))).status_code == 400


async def test_sender_must_be_of_the_node_that_delivers(pair: Pair) -> None:
    one, two = pair

    for sender in ("alice@two.example", "alice@three.example"):
        assert (await one.post(two, replace(DELIVERY, mail_from=sender), MESSAGE)).status_code == 403


async def test_unencrypted_message_is_refused(pair: Pair) -> None:
    one, two = pair

    answer = await one.post(two, DELIVERY, b"From: alice@one.example\r\n\r\nhello\r\n")

    assert (answer.status_code, answer.text) == (403, "Encryption Needed: Invalid Unencrypted Mail")


@pytest.mark.parametrize(("offset", "status"), [(-1, 413), (0, 200), (1, 200)])
async def test_size_is_limited_exactly(tmp_path: Path, offset: int, status: int) -> None:
    policy = Policy(message_bytes=len(MESSAGE) + offset)
    async with open_stations(tmp_path, policies={"two": policy}) as (one, two):
        await two.account("bob")

        assert (await one.post(two, DELIVERY, MESSAGE)).status_code == status


async def test_delivery_that_cannot_be_stored_is_tried_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    one, two = pair
    two.store.is_available = False  # type: ignore[attr-defined]  # it is the store in memory

    await one.submit("alice", MESSAGE, BOB)
    assert (await one.post(two, DELIVERY, MESSAGE)).status_code == 503
    two.store.is_available = True  # type: ignore[attr-defined]  # as above

    assert await two.wait_for("bob") == [MESSAGE]


async def test_queue_goes_on_after_trouble_with_our_own_store(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    one, two = pair
    await two.close()
    await one.submit("alice", MESSAGE, BOB)
    (row,) = await one.store.list_outgoing("two.example", 9)
    envelope = row.envelope
    delivery = Delivery(envelope.delivery_id, envelope.sender, envelope.recipients)

    async def fail_once(*_: object) -> None:
        monkeypatch.undo()
        raise StoreUnavailableError

    monkeypatch.setattr(one.store, "finish_outgoing", fail_once)
    await two.open()
    assert (await one.post(two, delivery, MESSAGE)).status_code == 200

    async with asyncio.timeout(10):
        while one.outbound.queued_count:  # noqa: ASYNC110 - it says nothing when it changes
            await asyncio.sleep(0.01)
    assert await two.inbox("bob") == [MESSAGE]


async def test_pages_still_take_no_large_bodies(pair: Pair) -> None:
    one, two = pair
    assert one.port != two.port

    headers = [("content-length", "70000"), ("authorization", "Bearer x")]
    assert (await post_raw(two, b"x" * 70_000, headers)).status_code == 401


async def test_door_remembers_an_assertion_as_long_as_it_holds(pair: Pair) -> None:
    one, two = pair
    now = 1_700_000_000.0
    door = Door("two.example", two.siblings, lambda: now)
    authorization = one.sign(two, DELIVERY, MESSAGE, now_seconds=int(now))
    sibling, digest = door.admit(authorization)
    assert (sibling.node, digest) == ("one", DELIVERY.digest(MESSAGE))

    for seconds in (0, 60, 119, 121, 1000):
        now = 1_700_000_000.0 + seconds
        with pytest.raises(NotAdmittedError):
            door.admit(authorization)
    assert Siblings().find_node("one") is None
