"""Mail that waits at an exchanger of others, which may answer anything: it is judged as at every door.

What our own exchanger does stands in test_own_exchanger.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailnode.accounts.policy import Policy
from mailnode.dkim.signing import write_signatures
from mailnode.encryption.gate import check_incoming
from mailnode.peering import exchangers as polling
from mailnode.peering.exchangers import Exchangers
from mailnode.peering.policy import ALL_TRANSPORTS, NOT_ALLOWED, PeerPolicy
from mailnode.peering.reception import Arrival
from nodelink.contract.federation import ExchangerAccess, FederationMode, PeerTransport
from support.dkim_mails import keys, now
from support.exchanger_site import TOKEN, Exchanger
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import FarSide, PeerStation, open_world

pytestmark = pytest.mark.anyio

HOME, FAR = "home.example", "far.example"
EVE, BOB, NOBODY = f"eve@{FAR}", f"bob@{HOME}", f"nobody@{HOME}"


def sign(message: bytes, domain: str = FAR) -> bytes:
    return write_signatures(message, domain, keys(), now()) + message


def mail_of(sender: str = EVE) -> bytes:
    return sign(bytes(encrypted_mail(sender=sender)), sender.partition("@")[2])


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
        (sign(PLAIN), "mallory@far.example"),
        (sign(PLAIN), ""),
    ],
    ids=[
        "clear text",
        "changed",
        "unsigned",
        "of an address",
        "of this server",
        "bare line feeds",
        "of another sender",
        "of no sender",
    ],
)
async def test_what_is_not_proved_is_dropped_and_nobody_is_told(
    site: Site, message: bytes, mail_from: str
) -> None:
    site.exchanger.leave("bad", message, BOB, mail_from=mail_from)

    site.want()

    await site.until(lambda: site.exchanger.acknowledged == ["bad"])
    assert await site.home.inbox("bob") == []
    assert (await site.home.store.read_outgoing_usage()).message_count == 0
    assert (site.far.uploads, site.far.letters) == ([], [])
    assert site.home.traffic.read_figures()["peer_dropped"] == 1


async def expect_report(site: Site, text: str, status: str) -> None:
    await site.until(lambda: len(site.far.uploads) == 1)
    (report,) = site.far.uploads
    assert (report.mail_from, report.recipients) == ("", [EVE])
    check_incoming(report.message)
    for line in (f"Final-Recipient: rfc822; {BOB}", f"Status: {status}", f"X-Madfleet; {text}"):
        assert line in report.message.decode()
    await site.until(lambda: site.exchanger.acknowledged == ["bad"])
    assert await site.home.inbox("bob") == []
    assert site.home.traffic.read_figures()["peer_dropped"] == 0


async def test_author_of_what_is_not_encrypted_is_told_so(site: Site) -> None:
    site.exchanger.leave("bad", sign(PLAIN), BOB, mail_from=EVE)

    site.want()

    await expect_report(site, "Encryption Needed: Invalid Unencrypted Mail", "5.7.1")


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_author_of_what_is_too_large_is_told_so(site: Site, offset: int) -> None:
    site.home.accounts.policy.current = Policy(message_bytes=len(MAIL) + offset)
    site.exchanger.leave("bad", MAIL, BOB, mail_from=EVE)

    site.want()

    if offset < 0:
        await expect_report(site, "Message too large", "5.3.4")
    else:
        await site.home.wait_for("bob")


@pytest.mark.parametrize("mode", FederationMode)
async def test_author_hears_of_the_rule_that_stops_his_mail(site: Site, mode: FederationMode) -> None:
    rules = {FAR: ALL_TRANSPORTS} if mode is FederationMode.ACCEPT else {}
    site.home.holder.current = PeerPolicy(is_enabled=True, mode=mode, rules=rules)
    site.exchanger.leave("bad", MAIL, BOB, mail_from=EVE)

    site.want()

    await expect_report(site, NOT_ALLOWED, "5.7.1")


async def test_author_is_told_once_by_what_an_exchanger_tells_again(site: Site) -> None:
    site.exchanger.has_pull = False
    site.exchanger.leave("one", MAIL, NOBODY, mail_from=EVE)

    site.want()

    await site.until(lambda: site.exchanger.asked.count("full") >= 3)
    assert len(site.far.uploads) == 1
    site.exchanger.messages.clear()
    site.exchanger.leave("one", MAIL, BOB, mail_from=EVE)
    await site.home.wait_for("bob")


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
