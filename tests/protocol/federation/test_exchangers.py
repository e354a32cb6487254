"""Mail that waits at an exchanger of others, which may answer anything: it is judged as at every door.

What our own exchanger does stands in test_own_exchanger.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailnode.dkim.signing import write_signatures
from mailnode.peering import exchangers as polling
from mailnode.peering.exchangers import Exchangers
from mailnode.peering.reception import Arrival
from nodelink.contract.federation import ExchangerAccess, PeerTransport
from support.dkim_mails import keys, now
from support.exchanger_site import TOKEN, Exchanger
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import FarSide, PeerStation, open_world

pytestmark = pytest.mark.anyio

HOME, FAR = "home.example", "far.example"
EVE, BOB, NOBODY = f"eve@{FAR}", f"bob@{HOME}", f"nobody@{HOME}"


def mail_of(sender: str = EVE) -> bytes:
    message = bytes(encrypted_mail()).replace(ALICE.encode(), sender.encode())
    return write_signatures(message, sender.partition("@")[2], keys(), now()) + message


MAIL = mail_of()
PLAIN = b"From: <eve@far.example>\r\nTo: x\r\nSubject: hi\r\n\r\nin clear text\r\n"


@dataclass
class Site:
    """A node of ours, an exchanger, and the server of those who have left mail there."""

    home: PeerStation
    exchanger: Exchanger
    exchangers: Exchangers
    far: FarSide

    def want(self, token: str | None = TOKEN, interval_seconds: int = 1) -> None:
        """Have the exchanger polled, as a desired state does."""
        access = ExchangerAccess(
            name="relay", url=self.exchanger.url, interval_seconds=interval_seconds, token=token
        )
        self.home.holder.current = replace(self.home.holder.current, exchangers=(access,))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not is_so():  # noqa: ASYNC110 - any of the parts
                await asyncio.sleep(0.02)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_world(tmp_path, [HOME]) as world, AsyncExitStack() as stack:
        exchanger = Exchanger()
        world.names.publish(FAR, keys())
        far = await world.add_far_side(FAR)
        await exchanger.start(world, stack)
        home = await world.add_station(HOME)
        await home.account("bob")
        exchangers = Exchangers(
            domain=HOME,
            reception=home.reception,
            policy=home.holder,
            tls=home.courier.tls.verified,
            look_seconds=0.02,
        )
        await exchangers.start(stack)
        yield Site(home, exchanger, exchangers, far)


async def test_exchanger_of_the_older_kind_is_pulled_without_a_second_copy(site: Site) -> None:
    site.exchanger.has_pull = False
    site.exchanger.leave("one", MAIL, BOB, mail_from=EVE)

    site.want()

    await site.until(lambda: site.exchanger.asked.count("full") >= 3)
    assert len(await site.home.inbox("bob")) == 1
    assert site.exchanger.acknowledged == []


async def test_mail_comes_by_ipv6_for_one_and_by_an_exchanger_for_another(site: Site) -> None:
    await site.home.account("carol")
    by_ipv6 = Arrival("2001:db8::1", PeerTransport.SMTP, EVE, (BOB,))
    assert await site.home.reception.take(by_ipv6, MAIL) == {}

    site.exchanger.leave("one", MAIL, f"carol@{HOME}", mail_from=EVE)
    site.want()

    await site.home.wait_for("carol")


@pytest.mark.parametrize(
    ("message", "mail_from"),
    [
        (PLAIN, EVE),
        (MAIL.replace(b"BEGIN PGP", b"BEGIN PGQ"), EVE),
        (bytes(encrypted_mail()).replace(ALICE.encode(), EVE.encode()), EVE),
        (mail_of("eve@[192.0.2.1]"), "eve@[192.0.2.1]"),
        (mail_of(f"carol@{HOME}"), f"carol@{HOME}"),
        (MAIL.replace(b"\r\n", b"\n", 3), EVE),
    ],
    ids=["clear text", "changed", "unsigned", "of an address", "of this server", "bare line feeds"],
)
async def test_what_is_not_encrypted_or_proved_is_dropped_and_nobody_is_told(
    site: Site, message: bytes, mail_from: str
) -> None:
    site.exchanger.leave("bad", message, BOB, mail_from=mail_from)

    site.want()

    await site.until(lambda: site.exchanger.acknowledged == ["bad"])
    assert await site.home.inbox("bob") == []
    assert (site.far.uploads, site.far.letters) == ([], [])


async def test_operator_is_told_what_is_wrong_until_it_is_right(site: Site) -> None:
    site.want(token="wrong")
    await site.until(lambda: site.exchangers.list_problems() == ["Exchanger relay: it refuses the token."])

    for status, content, problem in (
        (500, None, "it answers 500"),
        (200, b"<html>", "the answer is no JSON"),
        (200, b'{"count": 1}', "the answer has no list of messages"),
    ):
        site.exchanger.status, site.exchanger.content = status, content
        site.want()
        await site.until(lambda: site.exchangers.list_problems() == [f"Exchanger relay: {problem}."])  # noqa: B023 - awaited here

    site.exchanger.status, site.exchanger.content = 200, None
    await site.until(lambda: site.exchangers.list_problems() == [])


async def test_answer_without_end_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "MAX_ANSWER_BYTES", 1 << 20)
    site.exchanger.content = b"[" + b" " * (1 << 20)

    site.want()

    await site.until(lambda: any("more than 1 MiB" in each for each in site.exchangers.list_problems()))


async def test_exchanger_that_is_not_wanted_any_more_is_left_alone(site: Site) -> None:
    site.want()
    await site.until(lambda: bool(site.exchanger.asked))
    site.home.holder.current = replace(site.home.holder.current, exchangers=())
    await asyncio.sleep(0.1)
    asked = len(site.exchanger.asked)
    site.exchanger.leave("one", MAIL, BOB, mail_from=EVE)

    await asyncio.sleep(1.2)

    assert len(site.exchanger.asked) == asked
