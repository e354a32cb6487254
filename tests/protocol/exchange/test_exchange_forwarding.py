"""What an exchanger hands on, when again, and when it gives up."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailnode.exchange import forwarding
from mailnode.exchange.domains import plan_stops
from mailnode.exchange.errors import RefusedBeyondError
from mailnode.exchange.figures import Counts
from mailnode.exchange.forwarding import Forwarding
from mailnode.exchange.hops import make_id
from mailnode.exchange.shelf import Shelf
from mailnode.exchange.waiting_store import WaitingStore
from mailnode.peering.resolver import Resolver
from mailnode.peering.upload import build_tls_contexts
from mailnode.store.mail_store import Envelope
from support.clocks import until
from support.peering_site import PeerWorld, open_world

pytestmark = pytest.mark.anyio

ALIVE, DEAD = "alive.example", "dead.example"
MESSAGE = b"From: <eve@far.example>\r\n\r\nmessage\r\n"


@dataclass
class Inside:
    """What forwards, with a store, and without a door."""

    world: PeerWorld
    store: WaitingStore
    allows_loopback: bool = True
    give_up_seconds: int = 3_600
    now_offset: float = 0.0
    forwarding: Forwarding | None = None
    counts: Counts = field(default_factory=Counts)

    shelf: Shelf = field(default_factory=lambda: Shelf(domain_bytes=1 << 30, total_bytes=1 << 30))

    async def start(self) -> None:
        """Begin; the certificates that are there now are trusted."""
        urls = {domain: f"https://{domain}:{self.world.ports.https}/mxdeliv" for domain in (ALIVE, DEAD)}
        self.forwarding = Forwarding(
            stops=plan_stops(urls),
            store=self.store,
            shelf=self.shelf,
            counts=self.counts,
            tls=build_tls_contexts(str(self.world.ca_file)),
            resolver=Resolver(servers=["127.0.0.1"], port=self.world.names.port),
            give_up_seconds=self.give_up_seconds,
            allows_loopback=self.allows_loopback,
            longest_pause_seconds=0.2,
            clock_seconds=lambda: time.time() + self.now_offset,
        )
        await self.forwarding.start(self.world.stack)

    async def add(self, domain: str, *recipients: str) -> None:
        to = recipients or (f"bob@{domain}",)
        self.shelf.reserve([domain], len(MESSAGE))
        await self.store.deliver([], MESSAGE, int(time.time()), [write_envelope(domain, *to)])
        if self.forwarding is not None:
            self.forwarding.wake(domain)

    async def pass_on(self, domain: str, hops: int = 1) -> bool:
        """Hand a message on while its sender waits."""
        assert self.forwarding is not None
        return await self.forwarding.pass_on(write_envelope(domain, f"bob@{domain}", hops=hops), MESSAGE)


def write_envelope(domain: str, *recipients: str, hops: int = 1) -> Envelope:
    return Envelope(make_id(hops), domain, "eve@far.example", recipients)


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    async with open_world(tmp_path) as world, AsyncExitStack() as stack:
        store = WaitingStore(tmp_path / "mail")
        await store.start(stack)
        yield Inside(world, store)


async def test_message_goes_on_as_it_came_and_says_how_many_it_has_passed(inside: Inside) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    await inside.start()

    await inside.add(ALIVE, "bob@alive.example", "carol@alive.example")

    await until(lambda: inside.counts.forwarded == 1)
    (taken,) = far.uploads
    assert (taken.mail_from, taken.message) == ("eve@far.example", MESSAGE)
    assert taken.recipients == ["bob@alive.example", "carol@alive.example"]
    assert [value for name, value in taken.headers if name.startswith("x-madfleet")] == ["1"]
    assert (inside.shelf.used_bytes, inside.shelf.message_count) == (0, 0)


async def test_dead_destination_slows_no_other_and_is_given_up_in_the_end(inside: Inside) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    inside.world.names.say(DEAD, "A", "127.9.9.9")
    for _ in range(50):
        await inside.add(DEAD)
    for _ in range(50):
        await inside.add(ALIVE)
    await inside.start()  # they were there before it

    await until(lambda: inside.counts.forwarded == 50)
    assert len(far.uploads) == 50
    assert (inside.counts.given_up, inside.shelf.message_count) == (0, 50)

    inside.now_offset = inside.give_up_seconds + 1
    await until(lambda: inside.counts.given_up == 50)
    assert inside.shelf.message_count == 0


async def test_destination_that_comes_back_gets_what_has_waited(inside: Inside) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    inside.world.names.say(ALIVE, "A", "127.9.9.9")  # nobody is there
    await inside.start()
    await inside.add(ALIVE)
    await asyncio.sleep(0.3)
    assert inside.counts.forwarded == 0

    inside.world.names.say(ALIVE, "A", far.address)

    await until(lambda: inside.counts.forwarded == 1)
    assert len(far.uploads) == 1


@pytest.mark.parametrize(
    ("answers", "given_up"),
    [
        ([(403, b"no <bob@alive.example> here")], 1),
        ([(413, b"")], 1),
        ([(404, b"No such user here")], 1),
        ([(429, b"")], 0),
        ([(404, b"nginx")], 0),
    ],
    ids=["refused", "too large", "nobody there", "later", "no exchanger"],
)
async def test_refusal_is_counted_and_anything_else_is_tried_again(
    inside: Inside, answers: list[tuple[int, bytes]], given_up: int
) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    far.http_answers = answers
    await inside.start()
    await inside.add(ALIVE)

    await until(lambda: inside.counts.forwarded + inside.counts.given_up == 1, 15)

    assert inside.counts.given_up == given_up
    assert inside.shelf.message_count == 0


async def test_message_is_handed_on_while_its_sender_waits(inside: Inside) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    await inside.start()

    assert await inside.pass_on(ALIVE)

    assert [taken.message for taken in far.uploads] == [MESSAGE]
    assert (inside.counts.forwarded, inside.shelf.message_count) == (1, 0)
    assert not await inside.pass_on("kept.example")


@pytest.mark.parametrize(("status", "text"), [(403, "no <bob@alive.example> here"), (413, ""), (507, "full")])
async def test_sender_who_waits_hears_what_the_next_server_refuses(
    inside: Inside, status: int, text: str
) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    far.http_answers = [(status, text.encode())]
    await inside.start()

    with pytest.raises(RefusedBeyondError) as caught:
        await inside.pass_on(ALIVE)

    assert (caught.value.status, caught.value.public_text) == (status, text)
    assert "bob" not in str(caught.value)


async def test_sender_does_not_wait_for_a_server_that_is_away_or_has_others_to_take(inside: Inside) -> None:
    far = await inside.world.add_far_side(ALIVE, smtp=False)
    far.http_answers = [(503, b"")]
    inside.world.names.say(DEAD, "A", "127.9.9.9")
    await inside.start()

    assert not await inside.pass_on(ALIVE)
    assert not await inside.pass_on(DEAD)
    inside.shelf.reserve([ALIVE], len(MESSAGE))
    assert not await inside.pass_on(ALIVE)
    assert far.requests == 1
    inside.shelf.release(ALIVE, [len(MESSAGE)])
    assert await inside.pass_on(ALIVE)


@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_sender_waits_for_an_answer_half_as_long_as_the_exchanger_before(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, hops: int
) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE_SECONDS", 4)
    await inside.world.add_far_side(ALIVE, smtp=False, https=False)
    host = inside.world.names.records[ALIVE, "A"][0]
    await inside.start()
    with socket.create_server((host, inside.world.ports.https)):  # nobody accepts
        began_at = time.monotonic()

        assert not await inside.pass_on(ALIVE, hops)

    assert 4 / 2**hops <= time.monotonic() - began_at < 8 / 2**hops


@pytest.mark.parametrize("allows_loopback", [True, False])
async def test_nothing_goes_to_a_foreign_certificate_or_back_into_the_host(
    inside: Inside, *, allows_loopback: bool
) -> None:
    """With loopback allowed, the certificate is the obstacle; without, the address is."""
    far = await inside.world.add_far_side(ALIVE, smtp=False, is_trusted=not allows_loopback)
    inside.allows_loopback = allows_loopback
    inside.world.certify("authority.example")
    await inside.start()

    await inside.add(ALIVE)

    await asyncio.sleep(0.5)
    assert far.uploads == []
    assert inside.shelf.message_count == 1
