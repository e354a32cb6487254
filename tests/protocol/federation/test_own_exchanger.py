"""Two mail nodes that cannot reach each other, and the exchanger between them: pushed through, and pulled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailnode.exchange import daemon
from mailnode.peering.exchangers import Exchangers
from mailnode.peering.policy import NOT_ALLOWED, PeerPolicy
from nodelink.contract.federation import ExchangerAccess, FederationMode
from support.clocks import until
from support.dkim_mails import keys
from support.openpgp_messages import armored, encrypted_mail, real_packets
from support.own_exchanger import OwnExchanger
from support.peering_site import PeerStation, PeerWorld, open_world

pytestmark = pytest.mark.anyio

HOME, FAR = "home.example", "far.example"
EVE, BOB, NOBODY = f"eve@{FAR}", f"bob@{HOME}", f"nobody@{HOME}"


def mail_of(sender: str, message_id: str = "one@localhost", size_bytes: int = 500) -> bytes:
    return bytes(encrypted_mail(armored(real_packets(size_bytes)), sender, message_id))


MAIL, REPLY = mail_of(EVE), mail_of(BOB)
BODY = MAIL.partition(b"\r\n\r\n")[2]


@dataclass
class Between:
    """Two nodes. What one sends to the other goes where `send_by` says."""

    world: PeerWorld
    stack: AsyncExitStack
    home: PeerStation
    far: PeerStation

    async def open(self, exchanger: OwnExchanger) -> OwnExchanger:
        await exchanger.start(self.world, self.stack)
        return exchanger

    def url_of(self, node: PeerStation) -> str:
        return f"https://{node.address}:{self.world.ports.https}/mxdeliv"

    def send_by(self, node: PeerStation, exchanger: OwnExchanger) -> None:
        """Have a node send what is for the other one to an exchanger, as an endpoint override does."""
        other = FAR if node is self.home else HOME
        node.holder.current = replace(node.holder.current, overrides={other: exchanger.delivery_url})

    async def pull_from(
        self, node: PeerStation, exchanger: OwnExchanger, token: str = "", interval_seconds: int = 1
    ) -> Exchangers:
        """Have a node pull, as a desired state does."""
        access = ExchangerAccess(
            name="relay",
            url=exchanger.url,
            interval_seconds=interval_seconds,
            token=token or exchanger.tokens[node.domain],
        )
        node.holder.current = replace(node.holder.current, exchangers=(access,))
        exchangers = Exchangers(
            domain=node.domain,
            reception=node.reception,
            policy=node.holder,
            tls=node.courier.tls.verified,
            look_seconds=0.02,
        )
        await exchangers.start(self.stack)
        return exchangers


async def until_counted(exchanger: OwnExchanger, **figures: int) -> None:
    async with asyncio.timeout(15):
        while not figures.items() <= (await exchanger.read_figures()).items():  # noqa: ASYNC110 - it counts
            await asyncio.sleep(0.02)


@asynccontextmanager
async def open_between(directory: Path, *relays: OwnExchanger) -> AsyncIterator[Between]:
    """Start exchangers, and then the nodes, which trust their certificates."""
    async with open_world(directory, [HOME, FAR]) as world, AsyncExitStack() as stack:
        for relay in relays:
            await relay.start(world, stack)
        home, far = [await world.add_station(domain) for domain in (HOME, FAR)]
        await home.account("bob")
        await far.account("eve")
        yield Between(world, stack, home, far)


async def test_mail_is_pushed_through_both_ways(tmp_path: Path) -> None:
    async with open_between(tmp_path) as between:
        home, far = between.home, between.far
        relay = await between.open(
            OwnExchanger(forwarded={HOME: between.url_of(home), FAR: between.url_of(far)})
        )
        between.send_by(far, relay)
        between.send_by(home, relay)

        assert await far.submit("eve", MAIL, BOB) == 250
        assert BODY in (await home.wait_for("bob"))[0]
        assert await home.submit("bob", REPLY, EVE) == 250
        assert REPLY.partition(b"\r\n\r\n")[2] in (await far.wait_for("eve"))[0]

        await until_counted(relay, forwarded=2, waiting_messages=0, waiting_bytes=0, given_up=0)


async def test_mail_waits_until_its_node_pulls_it_and_so_does_the_report_to_its_author(
    tmp_path: Path,
) -> None:
    relay = OwnExchanger(kept=(HOME, FAR), has_one_token=True)
    async with open_between(tmp_path, relay) as between:
        home, far = between.home, between.far
        between.send_by(far, relay)
        between.send_by(home, relay)
        assert await far.submit("eve", MAIL, BOB) == 250
        assert await far.submit("eve", MAIL, NOBODY) == 250
        await until_counted(relay, waiting_messages=2)

        of_home = await between.pull_from(home, relay)
        of_far = await between.pull_from(far, relay)

        assert BODY in (await home.wait_for("bob"))[0]
        (report,) = await far.wait_for("eve")
        assert b"No such user here" in report
        await until_counted(relay, fetched=3, waiting_messages=0, waiting_bytes=0)
        assert of_home.list_problems() == of_far.list_problems() == []


async def test_author_hears_who_of_several_is_unknown_where_mail_is_pushed_through(tmp_path: Path) -> None:
    async with open_between(tmp_path) as between:
        home, far = between.home, between.far
        relay = await between.open(
            OwnExchanger(forwarded={HOME: between.url_of(home), FAR: between.url_of(far)})
        )
        between.send_by(far, relay)
        between.send_by(home, relay)

        assert await far.submit("eve", MAIL, BOB, NOBODY) == 250

        await home.wait_for("bob")
        (report,) = await far.wait_for("eve")
        assert NOBODY.encode() in report
        await until_counted(relay, given_up=0)


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_author_hears_why_nobody_gets_what_is_pushed_through(
    tmp_path: Path, *, is_allowed: bool
) -> None:
    async with open_between(tmp_path) as between:
        home, far = between.home, between.far
        home.holder.current = replace(
            home.holder.current, mode=FederationMode.ACCEPT if is_allowed else FederationMode.REJECT
        )
        relay = await between.open(OwnExchanger(forwarded={HOME: between.url_of(home)}))
        between.send_by(far, relay)

        with capture_logs() as logged:
            assert await far.submit("eve", MAIL, NOBODY if is_allowed else BOB) == 250
            (report,) = await far.wait_for("eve")

        words = "404 No such user here" if is_allowed else f"403 {NOT_ALLOWED}"
        assert words.encode() in report
        await until_counted(relay, refused=1, received=0, given_up=0, waiting_messages=0)
        reasons = [entry["reason"] for entry in logged if entry["event"] == "request refused"]
        assert reasons[-1] == "The next server has refused it"


async def test_two_exchangers_stand_between_two_nodes(tmp_path: Path) -> None:
    second = OwnExchanger(kept=(HOME,))
    first = OwnExchanger(forwarded={HOME: second.delivery_url})
    async with open_between(tmp_path, second, first) as between:
        between.send_by(between.far, first)
        await between.pull_from(between.home, second)

        assert await between.far.submit("eve", MAIL, BOB) == 250

        assert BODY in (await between.home.wait_for("bob"))[0]
        await until_counted(first, forwarded=1)
        await until_counted(second, fetched=1)


async def test_circle_of_exchangers_ends(tmp_path: Path) -> None:
    first, second = OwnExchanger(), OwnExchanger()
    first.forwarded, second.forwarded = {HOME: second.delivery_url}, {HOME: first.delivery_url}
    async with open_between(tmp_path, first, second) as between:
        between.send_by(between.far, first)

        assert await between.far.submit("eve", MAIL, BOB) == 250

        (report,) = await between.far.wait_for("eve")
        assert b"403 The message has passed too many exchangers" in report
        for relay in (first, second):
            await until_counted(relay, refused=2, received=0, waiting_messages=0)


async def test_rule_about_a_domain_holds_for_what_is_pulled_and_its_author_hears_so(tmp_path: Path) -> None:
    relay = OwnExchanger(kept=(HOME,))
    async with open_between(tmp_path, relay) as between:
        between.send_by(between.far, relay)
        between.home.holder.current = PeerPolicy(is_enabled=True, mode=FederationMode.REJECT)
        await between.far.submit("eve", MAIL, BOB)
        await until_counted(relay, waiting_messages=1)

        await between.pull_from(between.home, relay)

        await until_counted(relay, fetched=1)
        assert await between.home.inbox("bob") == []
        (report,) = await between.far.wait_for("eve")
        assert NOT_ALLOWED.encode() in report


async def test_mail_whose_key_cannot_be_looked_up_stays_until_it_can(tmp_path: Path) -> None:
    relay = OwnExchanger(kept=(HOME,))
    async with open_between(tmp_path, relay) as between:
        names = {f"{key.selector}._domainkey.{FAR}" for key in keys()}
        between.world.names.broken |= names
        between.send_by(between.far, relay)
        await between.far.submit("eve", MAIL, BOB)
        await until_counted(relay, waiting_messages=1)
        await between.pull_from(between.home, relay)
        await asyncio.sleep(1.5)
        assert (await relay.read_figures())["waiting_messages"] == 1

        between.world.names.broken -= names

        await between.home.wait_for("bob")
        await until_counted(relay, fetched=1, waiting_messages=0)


async def test_more_than_one_answer_holds_comes_without_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "ANSWER_MESSAGES", 2)
    relay = OwnExchanger(kept=(HOME,))
    async with open_between(tmp_path, relay) as between:
        between.send_by(between.far, relay)
        for number in range(7):
            await between.far.submit("eve", mail_of(EVE, f"{number}@localhost"), BOB)
        await until_counted(relay, waiting_messages=7)

        await between.pull_from(between.home, relay, interval_seconds=3600)

        await between.home.wait_for("bob", 7)
        await until_counted(relay, fetched=7, waiting_messages=0)


async def test_operator_is_told_of_a_wrong_token(tmp_path: Path) -> None:
    relay = OwnExchanger(kept=(HOME,))
    async with open_between(tmp_path, relay) as between:
        exchangers = await between.pull_from(between.home, relay, token="wrong")

        await until(lambda: exchangers.list_problems() == ["Exchanger relay: it refuses the token."])


async def test_sender_hears_of_a_domain_that_the_exchanger_does_not_list(tmp_path: Path) -> None:
    relay = OwnExchanger(kept=("elsewhere.example",))
    async with open_between(tmp_path, relay) as between:
        between.send_by(between.far, relay)

        assert await between.far.submit("eve", MAIL, BOB) == 250

        (report,) = await between.far.wait_for("eve")
        assert b"its operator has not listed it" in report


async def test_node_sends_again_when_the_exchanger_has_space_again(tmp_path: Path) -> None:
    relay = OwnExchanger(kept=(HOME,), changes={"message_bytes": 1 << 16, "domain_bytes": 1 << 16})
    large = mail_of(EVE, "large@localhost", size_bytes=30_000)
    async with open_between(tmp_path, relay) as between:
        between.send_by(between.far, relay)
        await between.far.submit("eve", large, BOB)
        await until_counted(relay, waiting_messages=1)
        await between.far.submit("eve", mail_of(EVE, "second@localhost", size_bytes=30_000), BOB)
        await until_counted(relay, refused=1)

        await between.pull_from(between.home, relay)

        await between.home.wait_for("bob", 2)
        assert await between.far.inbox("eve") == []
