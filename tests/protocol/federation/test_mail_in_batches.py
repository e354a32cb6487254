"""Several messages in one request between two nodes: what waits goes together, each judged by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_urlsafe

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from mailnode.accounts.policy import Policy
from mailnode.federation import retry
from mailnode.federation.batch import (
    BATCH_PATH,
    MAX_BATCH_BYTES,
    digest_batch,
    read_answers,
    write_batch,
)
from mailnode.federation.delivery import DELIVERY_PATH, Delivery
from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.store.mail_store import Envelope
from mailnode.store.sqlite_store import SqliteMailStore
from support.federation_site import HOST, MailStation, open_stations, post_raw
from support.openpgp_messages import ALICE, armored, encrypted_mail, real_packets

pytestmark = pytest.mark.anyio

FROM = "alice@one.example"
BOB = "bob@two.example"
NOBODY = "nobody@two.example"
MESSAGES = [
    bytes(encrypted_mail(message_id=f"{number}@localhost")).replace(ALICE.encode(), FROM.encode())
    for number in range(12)
]
LARGE = bytes(encrypted_mail(armored(real_packets(250_000)))).replace(ALICE.encode(), FROM.encode())

Pair = tuple[MailStation, MailStation]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_stations(tmp_path) as stations:
        await stations[1].account("bob")
        yield stations


def name(number: int) -> str:
    return f"delivery-{number:010}"


async def queue(station: MailStation, messages: list[bytes], *recipients: str) -> None:
    """Queue messages while nothing can be sent: they are there together when it can."""
    await station.account("alice")
    envelopes = [Envelope(token_urlsafe(18), "two.example", FROM, recipients or (BOB,)) for _ in messages]
    for message, envelope in zip(messages, envelopes, strict=True):
        await station.store.deliver([], message, int(station.outbound.clock_seconds()), [envelope])
    for message, envelope in zip(messages, envelopes, strict=True):
        station.outbound.note_queued([envelope], len(message))


async def wait_until_empty(station: MailStation) -> None:
    async with asyncio.timeout(10):
        while (await station.store.read_outgoing_usage()).message_count:  # noqa: ASYNC110 - any store
            await asyncio.sleep(0.01)


async def learn(one: MailStation) -> None:
    """Have a first message taken, which goes alone."""
    await one.submit("alice", LARGE, BOB)
    await wait_until_empty(one)


async def post(
    one: MailStation, two: MailStation, batch: list[tuple[Delivery, bytes]]
) -> list[Outcome] | None:
    answer = await one.post_batch(two, write_batch(batch))
    assert answer.status_code == 200
    return read_answers(answer.content, len(batch))


def to_bob(numbers: range) -> list[tuple[Delivery, bytes]]:
    return [(Delivery(name(number), FROM, (BOB,)), MESSAGES[number]) for number in numbers]


async def test_what_waits_together_goes_in_one_request(pair: Pair) -> None:
    one, two = pair
    await learn(one)
    two.requests.clear()

    await queue(one, MESSAGES)

    assert sorted((await two.wait_for("bob", 13))[1:]) == sorted(MESSAGES)
    await wait_until_empty(one)
    assert two.requests.count(BATCH_PATH) <= 2  # one begins as soon as there is something
    assert two.requests.count(DELIVERY_PATH) <= 1


async def test_batch_is_committed_at_once_on_both_sides(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stores = {side: SqliteMailStore(tmp_path / side) for side in ("one", "two")}
        for store in stores.values():
            await store.start(stack)
        one, two = await stack.enter_async_context(open_stations(tmp_path, stores=dict(stores)))
        await two.account("bob")
        await learn(one)
        await two.close()
        await queue(one, MESSAGES)
        before = [store.commit_count for store in stores.values()]
        await two.open()
        await two.wait_for("bob", 13)
        await wait_until_empty(one)

        commits = [store.commit_count - count for store, count in zip(stores.values(), before, strict=True)]
        assert commits[1] <= 3
        assert commits[0] <= 3


async def test_large_messages_go_alone(pair: Pair) -> None:
    one, two = pair
    await learn(one)
    two.requests.clear()

    await queue(one, [LARGE, *MESSAGES[:3]])

    await two.wait_for("bob", 5)
    assert DELIVERY_PATH in two.requests


async def test_node_of_an_older_release_gets_them_one_by_one(pair: Pair) -> None:
    one, two = pair
    two.takes_batches = False
    await learn(one)
    two.requests.clear()

    await queue(one, MESSAGES)

    await two.wait_for("bob", 13)
    await wait_until_empty(one)
    assert two.requests == [DELIVERY_PATH] * 12


async def test_node_that_went_back_to_an_older_release_gets_all(pair: Pair) -> None:
    one, two = pair
    await learn(one)
    two.takes_batches = False
    two.requests.clear()

    await queue(one, MESSAGES)

    assert sorted((await two.wait_for("bob", 13))[1:]) == sorted(MESSAGES)
    await wait_until_empty(one)
    assert two.requests.count(BATCH_PATH) == 1
    assert two.requests.count(DELIVERY_PATH) == 12


async def test_sender_hears_of_each_that_was_refused(pair: Pair) -> None:
    one, two = pair
    await learn(one)

    await queue(one, [*MESSAGES[:3]], BOB, NOBODY)

    for report in await one.wait_for("alice", 3):
        assert b"5.1.1" in report
        assert NOBODY.encode() in report
    await two.wait_for("bob", 4)


async def test_lost_answer_repeats_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    one, two = pair
    await learn(one)
    serve = two.releases[True]
    lost: list[str] = []

    async def lose(scope: Scope, receive: Receive, send: Send) -> None:
        async def say_nothing(_: object) -> None:
            lost.append(scope["path"])

        await serve(scope, receive, say_nothing if not lost and scope["path"] == BATCH_PATH else send)

    two.releases[True] = lose
    await queue(one, MESSAGES)

    await wait_until_empty(one)
    assert lost
    assert sorted(await two.inbox("bob")) == sorted([LARGE, *MESSAGES])


# What another node, or somebody who would be one, may hand over.


async def test_each_delivery_has_its_own_answer(pair: Pair) -> None:
    one, two = pair
    await two.account("full")
    await two.accounts.change_quota("full@two.example", 10)
    plain = b"From: alice@one.example\r\n\r\nhello\r\n"
    message = MESSAGES[0]

    outcomes = await post(
        one,
        two,
        [
            (Delivery(name(0), FROM, (BOB, NOBODY)), message),
            (Delivery(name(1), FROM, (NOBODY,)), message),
            (Delivery(name(2), FROM, (BOB,)), plain),
            (Delivery(name(3), "eve@three.example", (BOB,)), message),
            (Delivery(name(4), FROM, ("full@two.example",)), message),
            (Delivery(name(5), FROM, (BOB,)), message),
        ],
    )

    assert outcomes == [
        Delivered({NOBODY: "No such user here"}),
        Refused("404 No such user here"),
        Refused("403 Encryption Needed: Invalid Unencrypted Mail"),
        Refused("403 The sender is not of the node that delivers"),
        Refused("507 Mailbox full"),
        Delivered(),
    ]
    assert await two.inbox("bob") == [message, message]


@pytest.mark.parametrize(("offset", "outcome"), [(-1, Refused), (0, Delivered), (1, Delivered)])
async def test_size_of_each_message_is_limited(tmp_path: Path, offset: int, outcome: type[Outcome]) -> None:
    policy = Policy(message_bytes=len(MESSAGES[0]) + offset)
    async with open_stations(tmp_path, policies={"two": policy}) as (one, two):
        await two.account("bob")

        outcomes = await post(one, two, to_bob(range(1))) or []

        assert [type(each) for each in outcomes] == [outcome]


async def test_each_delivery_is_taken_once_however_it_comes(pair: Pair) -> None:
    one, two = pair
    batch = to_bob(range(4))
    assert (await one.post(two, *batch[0])).status_code == 200

    assert await post(one, two, batch[:3]) == [Delivered()] * 3
    assert await post(one, two, batch) == [Delivered()] * 4
    assert await post(one, two, [batch[1], batch[1]]) == [Delivered()] * 2
    assert (await one.post(two, *batch[2])).status_code == 200

    assert sorted(await two.inbox("bob")) == sorted(MESSAGES[:4])


async def test_replayed_batch_is_refused(pair: Pair) -> None:
    one, two = pair
    body = write_batch(to_bob(range(2)))
    signed = one.sign(two, Delivery("", "", ()), b"", content_digest=digest_batch(body))
    assert (await post_raw(two, body, [("authorization", signed)], BATCH_PATH)).status_code == 200

    assert (await post_raw(two, body, [("authorization", signed)], BATCH_PATH)).status_code == 401
    assert (await post_raw(two, body, [], BATCH_PATH)).status_code == 401
    assert len(await two.inbox("bob")) == 2


async def test_batch_is_the_one_that_was_signed(pair: Pair) -> None:
    one, two = pair
    body = write_batch(to_bob(range(2)))

    answer = await one.post_batch(two, body.replace(b"bob@", b"eve@"), digest_batch(body))
    single = await one.post_batch(two, body, to_bob(range(1))[0][0].digest(MESSAGES[0]))

    assert (answer.status_code, single.status_code) == (400, 400)
    assert await two.inbox("bob") == []


@pytest.mark.parametrize(("offset", "status"), [(-1, 400), (0, 400), (1, 413)])
async def test_size_of_a_batch_is_limited_before_it_is_read(pair: Pair, offset: int, status: int) -> None:
    one, two = pair

    assert (await one.post_batch(two, b"x" * (MAX_BATCH_BYTES + offset))).status_code == status


async def test_batch_that_cannot_be_stored_comes_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    one, two = pair
    await learn(one)
    two.store.is_available = False  # type: ignore[attr-defined]  # it is the store in memory

    outcomes = await post(one, two, to_bob(range(2)))
    await queue(one, MESSAGES)
    await asyncio.sleep(0.1)
    two.store.is_available = True  # type: ignore[attr-defined]  # as above

    assert outcomes == [Failed("503 Try again later", is_of_node=False)] * 2
    assert sorted((await two.wait_for("bob", 13))[1:]) == sorted(MESSAGES)


async def test_only_posts_are_answered(pair: Pair) -> None:
    _, two = pair
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - as in post_raw
        for path in (DELIVERY_PATH, BATCH_PATH):
            assert (await client.get(f"https://{HOST}:{two.port}{path}")).status_code == 405
