"""Who may fetch what waits, how much at once, and when it is gone."""

import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.exchange import daemon
from mailnode.exchange.figures import Counts
from mailnode.exchange.pickup import MAX_ACKNOWLEDGEMENT_BYTES, SECONDS_PER_HOUR, Pickup
from mailnode.exchange.shelf import Shelf
from mailnode.exchange.tokens import make_token
from mailnode.exchange.waiting_store import EXPIRED_AT_ONCE, WaitingStore
from mailnode.peering.waiting_mail import MAX_MESSAGES, read_waiting
from mailnode.store.mail_store import Envelope
from support.openpgp_messages import armored, encrypted_mail, real_packets
from support.own_exchanger import OwnExchanger
from support.peering_site import open_world

pytestmark = pytest.mark.anyio

KEPT, OTHER, PASSED = "kept.example", "other.example", "passed.example"
BOB = f"bob@{KEPT}"
MAIL = bytes(encrypted_mail())


@pytest.fixture
async def exchanger(tmp_path: Path) -> AsyncIterator[OwnExchanger]:
    async with open_world(tmp_path) as world, AsyncExitStack() as stack:
        exchanger = OwnExchanger(kept=(KEPT, OTHER))
        await exchanger.start(world, stack)
        yield exchanger


async def list_ids(exchanger: OwnExchanger, domain: str = KEPT) -> list[str]:
    return [entry["id"] for entry in (await exchanger.pull(domain)).json()["messages"]]


async def test_message_is_told_as_it_came_until_it_is_acknowledged(exchanger: OwnExchanger) -> None:
    before = int(time.time())
    await exchanger.post(MAIL, BOB, f"carol@{KEPT}")

    for path in (f"/pull?domain={KEPT}", "/pull?domain=KEPT.Example", "/pull", "/me/full"):
        answer = (await exchanger.pull(KEPT, path)).json()
        (entry,) = answer["messages"]
        assert (answer["count"], answer["more"], len(answer["hash"])) == (1, False, 64)
        assert (entry["from"], entry["size"]) == ("eve@far.example", len(MAIL))
        assert entry["to"] == [BOB, f"carol@{KEPT}"]
        assert b64decode(entry["body"], validate=True) == MAIL
        assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before)) <= entry["date"]
    (id_,) = await list_ids(exchanger)
    answer = await exchanger.acknowledge(KEPT, [id_, id_, "unknown"])
    assert answer.json() == {"acknowledged": 1}

    assert await list_ids(exchanger) == []
    assert (await exchanger.acknowledge(KEPT, [id_])).json() == {"acknowledged": 0}


async def test_large_message_is_told_whole(exchanger: OwnExchanger) -> None:
    large = bytes(encrypted_mail(armored(real_packets(1_500_000))))
    assert (await exchanger.post(large, BOB)).status_code == 200

    (waiting,) = read_waiting((await exchanger.pull(KEPT)).content).messages

    assert waiting.body == large


async def test_token_opens_its_own_domain_alone(exchanger: OwnExchanger) -> None:
    await exchanger.post(MAIL, BOB)
    (id_,) = await list_ids(exchanger)
    right = exchanger.tokens[KEPT]

    for path, token in (
        (f"/pull?domain={KEPT}", exchanger.tokens[OTHER]),
        (f"/pull?domain={OTHER}", right),
        ("/pull?domain=foreign.example", right),
        ("/me/full", make_token()),
        ("/me/full", right[:-1]),
        ("/me/full", "wrong"),
    ):
        answer = await exchanger.pull(KEPT, path, token)
        assert answer.status_code == 401, path
        assert "example" not in answer.text
    assert (await exchanger.ask("GET", "/pull")).headers["www-authenticate"] == "Bearer"
    assert (await exchanger.ask("POST", "/pull/ack", json={"ids": [id_]})).status_code == 401
    assert (await exchanger.acknowledge(OTHER, [id_])).json() == {"acknowledged": 0}
    number, _, secret = id_.partition("-")
    for guessed in (f"{number}-x{secret}", f"{number}-", number, f"{int(number) + 1}-{secret}"):
        assert (await exchanger.acknowledge(KEPT, [guessed])).json() == {"acknowledged": 0}
    assert await list_ids(exchanger) == [id_]


async def test_token_of_a_fleet_opens_all_its_domains_each_by_its_name(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, AsyncExitStack() as stack:
        exchanger = OwnExchanger(kept=(KEPT, OTHER), has_one_token=True)
        await exchanger.start(world, stack)
        await exchanger.post(MAIL, BOB)
        await exchanger.post(MAIL, f"carol@{OTHER}")

        ids = [*await list_ids(exchanger, KEPT), *await list_ids(exchanger, OTHER)]
        unnamed = await exchanger.pull(KEPT, "/me/full")

        assert len(ids) == 2
        assert (unnamed.status_code, "several domains" in unnamed.text) == (400, True)
        assert (await exchanger.acknowledge(KEPT, ids)).json() == {"acknowledged": 2}
        assert (await exchanger.read_figures())["waiting_bytes"] == 0


async def test_token_may_stand_in_the_address(exchanger: OwnExchanger) -> None:
    await exchanger.post(MAIL, BOB)
    shown = b64encode(f"any:{exchanger.tokens[KEPT]}".encode()).decode()

    answer = await exchanger.ask("GET", "/me/full", headers={"authorization": f"Basic {shown}"})

    assert answer.json()["count"] == 1


async def test_wrong_tokens_are_slowed_down_and_the_right_one_never_is(exchanger: OwnExchanger) -> None:
    answers = [
        (await exchanger.pull(KEPT, token=make_token())).status_code
        for _ in range(daemon.WRONG_TOKENS.burst + 1)
    ]

    assert answers == [401] * daemon.WRONG_TOKENS.burst + [429]
    assert (await exchanger.pull(KEPT)).status_code == 200
    assert (await exchanger.pull(KEPT, f"/pull?domain={OTHER}")).status_code == 401
    assert (await exchanger.read_figures())["wrong_tokens"] == len(answers) + 1


async def test_acknowledgement_is_read_up_to_its_limits(exchanger: OwnExchanger) -> None:
    headers = {"authorization": f"Bearer {exchanger.tokens[KEPT]}"}
    for ids, status in (
        (["x"] * MAX_MESSAGES, 200),
        (["x"] * (MAX_MESSAGES + 1), 400),
        ("x", 400),
        ([1], 400),
    ):
        assert (await exchanger.acknowledge(KEPT, ids)).status_code == status
    for content, status in (
        (b"", 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (b'{"ids": []}'.ljust(MAX_ACKNOWLEDGEMENT_BYTES), 200),
        (b'{"ids": []}'.ljust(MAX_ACKNOWLEDGEMENT_BYTES + 1), 413),
    ):
        answer = await exchanger.ask("POST", "/pull/ack", content=content, headers=headers)
        assert answer.status_code == status, content[:20]


class Inside:
    """A store with messages, and what hands them out, without a door. Each message has 1,000 bytes."""

    def __init__(self, store: WaitingStore, **limits: int) -> None:
        self.now = 1_800_000_000.0
        self.store = store
        self.counts = Counts()
        self.shelf = Shelf(domain_bytes=1 << 30, total_bytes=1 << 30)
        self.pickup = Pickup(
            store=store,
            shelf=self.shelf,
            counts=self.counts,
            forwarded=[PASSED],
            keep_hours=1,
            clock_seconds=lambda: self.now,
            **limits,
        )

    async def add(self, number: int, domain: str = KEPT) -> None:
        envelopes = [Envelope(f"id-{each}", domain, "", (BOB,)) for each in range(number)]
        await self.store.deliver([], b"x" * 1_000, int(self.now), envelopes)
        self.shelf.reserve([domain] * number, 1_000)

    async def choose(self) -> tuple[int, bool]:
        rows, has_more = await self.pickup.choose(KEPT)
        self.now += 1
        return len(rows), has_more


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WaitingStore]:
    async with AsyncExitStack() as stack:
        store = WaitingStore(tmp_path)
        await store.start(stack)
        yield store


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"answer_messages": 2}, (2, True)),
        ({"answer_messages": 3}, (3, False)),
        ({"answer_messages": 4}, (3, False)),
        ({"answer_bytes": 2_999}, (2, True)),
        ({"answer_bytes": 3_000}, (3, False)),
        ({"answer_bytes": 1}, (1, True)),
    ],
)
async def test_answer_holds_as_much_as_it_may(
    store: WaitingStore, limits: dict[str, int], told: tuple[int, bool]
) -> None:
    inside = Inside(store, **limits)
    await inside.add(3)

    assert await inside.choose() == told


async def test_what_is_not_acknowledged_does_not_stand_in_the_way_of_others(store: WaitingStore) -> None:
    inside = Inside(store, answer_messages=2)
    await inside.add(3)

    told: list[int] = []
    for turn in range(1, 7):
        rows, _ = await inside.pickup.choose(KEPT)
        told += [row.id for row in rows]
        inside.now += 1
        assert turn == 1 or min(told.count(id_) for id_ in (1, 2, 3)) >= turn // 2


async def test_what_nobody_fetches_is_dropped_after_its_time(store: WaitingStore) -> None:
    inside = Inside(store)
    await inside.add(EXPIRED_AT_ONCE + 1)
    await inside.add(1, PASSED)
    await inside.add(1, "not-listed-any-more.example")
    inside.now += SECONDS_PER_HOUR
    await inside.add(1)

    await inside.pickup.sweep()
    assert (inside.counts.expired, inside.shelf.message_count) == (0, EXPIRED_AT_ONCE + 4)

    inside.now += 1
    await inside.pickup.sweep()
    assert (inside.counts.expired, inside.shelf.message_count) == (EXPIRED_AT_ONCE + 2, 2)
    assert await inside.choose() == (1, False)


async def test_answer_leaves_out_what_was_acknowledged_meanwhile(store: WaitingStore) -> None:
    inside = Inside(store)
    await inside.add(2)
    rows, _ = await inside.pickup.choose(KEPT)
    await store.finish_outgoing(rows[0].id)
    await store.finish_outgoing(rows[1].id)  # with the last one, the body goes

    content = b"".join([part async for part in inside.pickup.write_list(rows, has_more=False)])

    assert read_waiting(content).messages == []
