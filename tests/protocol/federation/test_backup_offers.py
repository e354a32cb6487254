"""A mail node asks another, over TLS and with its signature, what its own page may offer."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path

import httpx
import pytest

from mailnode.accounts.policy import Policy
from mailnode.backup_addresses.finder import FRESH_SECONDS
from mailnode.backup_addresses.offer import (
    MAX_OFFER_BYTES,
    OFFER_DIGEST,
    OFFER_PATH,
    BackupOffer,
    read_offer,
)
from mailnode.federation.delivery import Delivery
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import MAX_BACKUP_ADDRESSES
from support.federation_site import HOST, MailStation, open_stations
from support.openpgp_messages import encrypted_mail
from support.pages_login_link import read_login_link

pytestmark = pytest.mark.anyio

OFFERING = Policy(backup_addresses=1)
TRIES = 5


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[MailStation, MailStation]]:
    async with open_stations(tmp_path, policies={"one": OFFERING}) as stations:
        yield stations


async def press_button(station: MailStation, language: str = "en") -> tuple[str, list[str]]:
    """Register on a node's page; return the page, and the links to backup addresses on it."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - the client's trust is no matter here
        page = await client.post(f"https://{HOST}:{station.port}/register", params={"lang": language})
    assert page.status_code == 200, page.text
    _, _, offered = page.text.partition('class="backups"')
    return page.text, [unescape(link) for link in re.findall(r'href="(dc[^"]+)"', offered)]


async def find_offers(station: MailStation, language: str = "en") -> tuple[str, list[str]]:
    """Do so until there are any: the other node has a second to answer, and the host may be busy."""
    page, links = await press_button(station, language)
    for _ in range(TRIES):
        if links:
            break
        await asyncio.sleep(FRESH_SECONDS)
        page, links = await press_button(station, language)
    return page, links


async def get_raw(station: MailStation, authorization: str | None) -> int:
    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - as above
        return (await client.get(f"https://{HOST}:{station.port}{OFFER_PATH}", headers=headers)).status_code


async def ask(one: MailStation, two: MailStation) -> BackupOffer | None:
    sibling = one.siblings.find_node(two.name)
    assert sibling is not None
    content = await one.outbound.transport.fetch(sibling, OFFER_PATH, OFFER_DIGEST, MAX_OFFER_BYTES)
    return read_offer(content or b"")


async def test_page_offers_an_address_on_the_other_node_which_works(
    pair: tuple[MailStation, MailStation],
) -> None:
    one, two = pair

    page, (link,) = await find_offers(one)

    login = read_login_link(link)
    assert "A backup address" in page
    assert login.address.endswith(f"@{two.domain}")
    assert await two.store.count_accounts() == 0  # made when it is used, and not before
    account = await two.accounts.log_in(login.address, login.password, "192.0.2.7")
    assert account.address == login.address


async def test_node_that_a_ca_vouches_for_is_offered_by_its_own_registration(
    pair: tuple[MailStation, MailStation],
) -> None:
    one, two = pair
    one.outbound.transport.ca_file = two.certificate.certificate
    one.siblings.replace([two.describe().model_copy(update={"tls_pin": None})])

    _, links = await find_offers(one, "fa")

    assert links == [f"dcaccount:https://{HOST}:{two.port}/new"]


@pytest.mark.parametrize("count", [0, 1, MAX_BACKUP_ADDRESSES])
async def test_page_offers_as_many_as_the_policy_says(
    pair: tuple[MailStation, MailStation], count: int
) -> None:
    one, _ = pair
    one.accounts.policy.current = Policy(backup_addresses=count)

    page, links = await (find_offers(one) if count else press_button(one))

    assert len(links) == min(count, 1)
    assert ("A backup address" in page) is bool(count)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(registration_open=False),
        Policy(registration_token_required=True),
        Policy(jit_enabled=False),  # no app could get one there, because no CA vouches for it
    ],
)
async def test_node_that_takes_nobody_is_not_offered(
    pair: tuple[MailStation, MailStation], policy: Policy
) -> None:
    one, two = pair
    assert await ask(one, two) is not None
    two.accounts.policy.current = policy

    _, links = await press_button(one)

    assert links == []


async def test_page_shows_the_account_although_the_other_node_is_down(
    pair: tuple[MailStation, MailStation],
) -> None:
    one, two = pair
    await two.close()

    page, links = await press_button(one)

    assert 'id="address"' in page
    assert links == []


async def test_answer_that_is_too_long_is_none(pair: tuple[MailStation, MailStation]) -> None:
    one, two = pair
    sibling = one.siblings.find_node(two.name)
    assert sibling is not None
    offer = two.read_offer()
    assert offer is not None
    size = len(offer.model_dump_json())

    for limit, is_read in ((size - 1, False), (size, True), (size + 1, True)):
        content = await one.outbound.transport.fetch(sibling, OFFER_PATH, OFFER_DIGEST, limit)
        assert (content is not None) is is_read


async def test_only_nodes_of_the_fleet_are_answered(pair: tuple[MailStation, MailStation]) -> None:
    one, two = pair
    message = bytes(encrypted_mail())
    delivery = Delivery("a" * 24, f"alice@{one.domain}", (f"bob@{two.domain}",))

    def sign(digest: str = OFFER_DIGEST, **changes: object) -> str:
        return one.sign(two, delivery, message, content_digest=digest, **changes)

    good = sign()
    stranger = replace(one, identity=PrivateKey.generate())
    codes = [
        await get_raw(two, None),
        await get_raw(two, "Bearer x.y.z"),
        await get_raw(two, sign(audience=one.domain)),
        await get_raw(two, stranger.sign(two, delivery, message, content_digest=OFFER_DIGEST)),
        await get_raw(two, sign(sha256(b"something else").hexdigest())),
        await get_raw(two, good),
        await get_raw(two, good),
    ]

    assert codes == [401, 401, 401, 401, 401, 200, 401]
    # and what asks for an offer hands over no mail
    assert (await one.post(two, delivery, message, sign())).status_code == 400
