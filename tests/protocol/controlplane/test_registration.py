"""Registration at the control plane: nodes on loopback that make accounts, or do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlsplit

import pytest

from controlplane.application import NEW_ACCOUNTS_BURST
from controlplane.nodes.administration import change_node
from controlplane.nodes.enrolment import retire_node
from controlplane.nodes.models import NodeChange
from controlplane.operations.service import list_waiting
from controlplane.plane import Plane
from controlplane.registration import service
from nodelink.contract.frames import Desired
from nodelink.contract.reports import MailPlaces
from support.clocks import until
from support.controlplane_node import open_node
from support.controlplane_site import AUTHOR, PUBLIC_URL, add_node, add_token, make_report, serve_plane
from support.registration_site import RegistrationSite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(plane: Plane) -> AsyncIterator[RegistrationSite]:
    async with serve_plane(plane) as port, AsyncExitStack() as stack:
        site = RegistrationSite(plane, port, stack)
        stack.push_async_callback(site.client.aclose)
        yield site


async def test_account_is_made_on_a_node_before_it_is_handed_out(site: RegistrationSite) -> None:
    await site.add("mail1")

    answer = await site.client.post("/new")

    account = answer.json()
    (operation,) = site.made["mail1"]
    assert answer.status_code == 200
    assert operation.name == "create_account"
    assert operation.arguments == {"address": account["email"], "password": account["password"]}
    assert account["email"].endswith("@mail1.example.org")
    query = parse_qs(urlsplit(account["dclogin_url"]).query)
    assert account["dclogin_url"].startswith(f"dclogin:{account['email']}?")
    assert (query["p"], query["ih"], query["ip"]) == ([account["password"]], ["mail1.example.org"], ["993"])
    assert "ic" not in query


async def test_login_link_lets_apps_accept_a_pinned_certificate(site: RegistrationSite) -> None:
    await site.add(
        "mail1", places=MailPlaces(host="192.0.2.1", imap_tls_port=1993, smtp_tls_port=1465, tls_pin="0" * 64)
    )

    query = parse_qs(urlsplit((await site.client.post("/new")).json()["dclogin_url"]).query)

    assert (query["ic"], query["ip"], query["sp"]) == (["3"], ["1993"], ["1465"])


async def test_password_is_forgotten_at_the_acknowledgement(site: RegistrationSite) -> None:
    await site.add("mail1")

    await site.client.post("/new")

    assert [row.arguments for row in site.operations()] == [None]


async def test_new_accounts_are_spread_by_weight(site: RegistrationSite) -> None:
    await site.add("mail1")
    await site.add("mail2")
    with site.plane.sessions.begin() as session:
        change_node(session, site.plane.facts, AUTHOR, "mail2", NodeChange(weight=50))

    for _ in range(12):
        assert (await site.client.post("/new")).status_code == 200

    assert len(site.made["mail1"]) > len(site.made["mail2"]) > 0


async def test_node_of_weight_zero_gets_none(site: RegistrationSite) -> None:
    await site.add("mail1")
    with site.plane.sessions.begin() as session:
        change_node(session, site.plane.facts, AUTHOR, "mail1", NodeChange(weight=0))

    assert (await site.client.post("/new")).status_code == 503
    assert site.made["mail1"] == []


async def test_node_that_refuses_is_passed_over(site: RegistrationSite) -> None:
    await site.add("mail1", problem="The address is taken.")
    await site.add("mail2", figures={"accounts": 1000.0})

    account = (await site.client.post("/new")).json()

    assert account["email"].endswith("@mail2.example.org")
    assert len(site.made["mail1"]) == 1


async def test_account_that_is_late_is_taken_back(
    site: RegistrationSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAKE_SECONDS", 0.2)
    await site.add("mail1", problem="silent")

    answer = await site.client.post("/new")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    await until(lambda: [made.name for made in site.made["mail1"]] == ["create_account", "remove_account"])
    created, removed = site.made["mail1"]
    assert removed.arguments == {"address": created.arguments["address"]}
    with site.plane.sessions() as session:
        assert [row.name for row in list_waiting(session, "mail1")] == ["remove_account"]


async def test_closed_registration_is_told_as_on_the_node(site: RegistrationSite) -> None:
    await site.add("mail1")
    token = add_token(site.plane)
    await site.client.patch(
        "/api/v1/policy",
        json={"registration_open": False},
        headers={"authorization": f"Bearer {token}", "if-match": "*"},
    )

    answer = await site.client.post("/new")

    assert answer.status_code == 403
    assert answer.json()["reason"] == answer.json()["error"] != ""
    assert site.made["mail1"] == []


async def test_node_whose_own_admin_has_closed_it_is_not_asked(site: RegistrationSite) -> None:
    await site.add("mail1", overrides=("registration_open",), figures={"registration_open": 0.0})

    assert (await site.client.post("/new")).status_code == 403


async def test_node_that_is_not_connected_is_not_asked(site: RegistrationSite) -> None:
    node = await site.add("mail1")
    await node.channel.close()

    answers: list[int] = []
    while 503 not in answers and len(answers) < 100:  # until the channel's end is noticed
        answers.append((await site.client.post("/new")).status_code)

    assert answers[-1] == 503


async def test_requests_of_one_client_are_limited(site: RegistrationSite) -> None:
    limit = site.plane.settings.new_accounts_per_minute * NEW_ACCOUNTS_BURST
    codes = [(await site.client.post("/new")).status_code for _ in range(limit + 20)]

    assert codes[-1] == 429
    assert set(codes[:limit]) == {403}  # nobody takes accounts, and each attempt counts


async def test_page_of_another_site_cannot_make_accounts(site: RegistrationSite) -> None:
    await site.add("mail1")

    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await site.client.post("/new", headers=headers)).status_code == 403
        assert (await site.client.post("/join", headers=headers)).status_code == 403
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": PUBLIC_URL}):
        assert (await site.client.post("/join", headers=headers)).status_code == 200


@pytest.mark.parametrize(("language", "word"), [("en", "Create account"), ("fa", "ساخت حساب")])
async def test_page_invites_in_both_languages(site: RegistrationSite, language: str, word: str) -> None:
    page = await site.client.get("/join", params={"lang": language})

    assert word in page.text
    assert f"dcaccount:{PUBLIC_URL}/new" in page.text
    assert "<svg" in page.text


async def test_button_shows_the_account(site: RegistrationSite) -> None:
    await site.add("mail1")

    page = await site.client.post("/join")

    (operation,) = site.made["mail1"]
    assert str(operation.arguments["address"]) in page.text
    assert str(operation.arguments["password"]) in page.text
    assert 'href="dclogin:' in page.text


async def test_browser_is_led_to_the_app(site: RegistrationSite) -> None:
    def read_redirect() -> tuple[int, str | None]:
        connection = HTTPConnection("127.0.0.1", site.port)  # httpx takes no location of this scheme
        connection.request("GET", "/new")
        answer = connection.getresponse()
        connection.close()
        return answer.status, answer.getheader("location")

    assert await asyncio.to_thread(read_redirect) == (302, f"dcaccount:{PUBLIC_URL}/new")


async def test_mail_nodes_hear_of_one_another(site: RegistrationSite) -> None:
    key = add_node(site.plane, "mail1")
    async with open_node(site.port, "mail1", key, site.plane.keys.trusted) as node:
        await node.greet()
        assert (await node.hear_mail_state()).siblings == ()

        await site.add("mail2")

        (sibling,) = (await node.hear_mail_state()).siblings
        assert (sibling.name, sibling.mail_domain, sibling.port) == ("mail2", "mail2.example.org", 443)
        with site.plane.sessions.begin() as session:
            retire_node(session, site.plane.facts, "mail2", AUTHOR)
        assert (await node.hear_mail_state()).siblings == ()


async def test_report_that_says_nothing_new_wakes_nobody(site: RegistrationSite) -> None:
    key = add_node(site.plane, "mail1")
    async with open_node(site.port, "mail1", key, site.plane.keys.trusted) as node:
        await node.greet()
        await node.hear_mail_state()
        other = await site.add("mail2")
        await node.hear_mail_state()

        await other.report(make_report(public_name="mail2.example.org", figures={"accounts": 9.0}))

        with pytest.raises(TimeoutError):
            assert not isinstance(await node.hear(0.4), Desired)
