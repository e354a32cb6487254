"""What the control plane's page of a new account offers besides: an address on another node."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from html import unescape

import pytest

from controlplane.plane import Plane
from nodelink.contract.reports import MailPlaces
from support.controlplane_site import PUBLIC_URL, add_token, serve_plane
from support.pages_login_link import read_login_link
from support.registration_site import RegistrationSite

pytestmark = pytest.mark.anyio

ANY = {"if-match": "*"}
PIN = "0" * 64


class Fleet(RegistrationSite):
    """A fleet whose first account is made on mail1, which has the most room."""

    async def add_mail(
        self, name: str, accounts: float, port: int = 443, *, imap_port: int = 993, pin: str | None = None
    ) -> None:
        places = MailPlaces(
            host=f"{name}.example.org", imap_tls_port=imap_port, smtp_tls_port=465, tls_pin=pin
        )
        await self.add(name, places=places, public_port=port, figures={"accounts": accounts})

    async def change(self, path: str = "policy", **change: object) -> None:
        token = add_token(self.plane, name=f"owner of {len(change)} {path}".replace("/", " "))
        headers = {"authorization": f"Bearer {token}", **ANY}
        answer = await self.client.patch(f"/api/v1/{path}", json=change, headers=headers)
        assert answer.status_code == 200, answer.text

    async def make_token(self, uses: int) -> str:
        headers = {"authorization": f"Bearer {add_token(self.plane, name='inviter')}"}
        answer = await self.client.post(
            "/api/v1/registration-tokens", json={"max_uses": uses}, headers=headers
        )
        return str(answer.json()["token"])

    async def join(self, token: str | None = None) -> list[str]:
        """Press the button; return the links to backup addresses that the page shows."""
        page = await self.client.post("/join", params={} if token is None else {"token": token})
        assert page.status_code == 200, page.text
        _, _, offered = page.text.partition('id="backups"')
        links = re.findall(r'href="(dc[^"]+)"', offered)
        assert offered.count("<svg") == len(links)
        return [unescape(link) for link in links]


@pytest.fixture
async def fleet(plane: Plane) -> AsyncIterator[Fleet]:
    async with serve_plane(plane) as port, AsyncExitStack() as stack:
        fleet = Fleet(plane, port, stack)
        stack.push_async_callback(fleet.client.aclose)
        await fleet.add_mail("mail1", 0)
        yield fleet


async def test_node_with_the_most_room_but_the_first_is_offered(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 50)
    await fleet.add_mail("mail3", 20, port=8443)

    assert await fleet.join() == ["dcaccount:https://mail3.example.org:8443/new"]
    assert len(fleet.made["mail1"]) == 1
    assert fleet.made["mail2"] == fleet.made["mail3"] == []  # made when it is scanned, and not before

    await fleet.change("nodes/mail3", weight=1)
    assert await fleet.join() == ["dcaccount:https://mail2.example.org/new"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
async def test_as_many_are_offered_as_the_policy_says(fleet: Fleet, count: int) -> None:
    for number in (2, 3, 4):
        await fleet.add_mail(f"mail{number}", number)
    await fleet.change("policy", backup_addresses=4 - count)
    await fleet.change("nodes/mail1/policy", backup_addresses=count)

    assert len(await fleet.join()) == min(count, 3)


async def test_nothing_is_offered_where_there_is_no_other_node(fleet: Fleet) -> None:
    assert await fleet.join() == []


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("nodes/mail2/policy", {"registration_open": False}),
        ("nodes/mail2/policy", {"registration_token_required": True}),
        ("nodes/mail2", {"weight": 0}),
        ("nodes/mail2", {"is_draining": True}),
    ],
)
async def test_node_that_takes_nobody_is_not_offered(
    fleet: Fleet, path: str, change: dict[str, object]
) -> None:
    await fleet.add_mail("mail2", 20)
    assert len(await fleet.join()) == 1

    await fleet.change(path, **change)

    assert await fleet.join() == []


async def test_node_that_no_ca_vouches_for_is_offered_by_a_login_that_it_makes(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 20, imap_port=8993, pin=PIN)

    first, second = [read_login_link(link) for _ in range(2) for link in await fleet.join()]
    await fleet.change("nodes/mail2/policy", jit_enabled=False)

    assert first.address.endswith("@mail2.example.org")
    assert first.imap == ("mail2.example.org", 8993, "ssl")
    assert first.certificate_checks == "3"
    assert first.address != second.address
    assert len(first.password) == 24
    assert await fleet.join() == []


async def test_token_with_a_use_left_is_good_for_a_backup_address(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 20)
    await fleet.change("policy", registration_token_required=True)
    token = await fleet.make_token(uses=2)

    (link,) = await fleet.join(token)

    assert link == f"dcaccount:{PUBLIC_URL}/new?token={token}&node=mail2"
    posted = await fleet.client.post(link.removeprefix(f"dcaccount:{PUBLIC_URL}"))
    assert posted.json()["email"].endswith("@mail2.example.org")
    assert (await fleet.client.post(link.removeprefix(f"dcaccount:{PUBLIC_URL}"))).status_code == 403


async def test_token_without_a_use_left_gets_no_backup_address(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 20)
    await fleet.change("policy", registration_token_required=True)

    assert await fleet.join(await fleet.make_token(uses=1)) == []


async def test_account_of_one_node_is_made_there_or_not_at_all(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 20)

    made = await fleet.client.post("/new", params={"node": "mail2"})
    unknown = await fleet.client.post("/new", params={"node": "mail9"})
    await fleet.change("nodes/mail2/policy", registration_open=False)
    closed = await fleet.client.post("/new", params={"node": "mail2"})

    assert made.json()["email"].endswith("@mail2.example.org")
    assert (unknown.status_code, closed.status_code) == (403, 403)
    assert fleet.made["mail1"] == []


async def test_page_offers_it_in_persian_too(fleet: Fleet) -> None:
    await fleet.add_mail("mail2", 20)

    page = await fleet.client.post("/join", params={"lang": "fa"})

    assert "یک نشانی پشتیبان" in page.text
