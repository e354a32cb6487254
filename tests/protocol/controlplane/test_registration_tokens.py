"""Registration tokens: made by operators, redeemed at the control plane, counted exactly."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from httpx2 import AsyncClient, Response
from websockets.exceptions import ConnectionClosed

from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import retire_node
from controlplane.operations.service import AccountOrder, create_account
from controlplane.plane import Plane
from controlplane.registration import service
from controlplane.registration.token_models import MAX_COMMENT, MAX_USES
from nodelink.contract.frames import Done, OperationFrame, read_frame_from_control_plane
from nodelink.contract.operations import open_operation
from support.clocks import until
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import AUTHOR, NOW, Clock, add_node, add_token, make_report, serve_plane

pytestmark = pytest.mark.anyio

TOKENS = "/api/v1/registration-tokens"
ANY = {"if-match": "*"}


class Site:
    """A control plane that is served, with one mail node that makes accounts, or refuses to."""

    def __init__(self, plane: Plane, client: AsyncClient) -> None:
        self.plane, self.client = plane, client
        self.problem: str | None = None
        self.is_silent = False
        self.made: list[str] = []

    async def follow(self, node: FakeNode) -> None:
        with suppress(ConnectionClosed):
            async for text in node.channel:
                frame = read_frame_from_control_plane(text)
                if isinstance(frame, OperationFrame):
                    operation = open_operation(frame.document, node.trusted, "mail1", int(time.time()))
                    self.made.append(operation.name)
                    if not self.is_silent:
                        await node.say(Done(operation=operation.id, problem=self.problem))

    async def make(self, **fields: object) -> dict[str, object]:
        answer = await self.client.post(TOKENS, json=fields)
        assert answer.status_code == 201, answer.text
        made: dict[str, object] = answer.json()
        return made

    async def require(self) -> None:
        change = {"registration_token_required": True}
        assert (await self.client.patch("/api/v1/policy", json=change, headers=ANY)).status_code == 200

    async def register(self, token: object = None) -> Response:
        return await self.client.post("/new", params={} if token is None else {"token": str(token)})

    async def count(self, made: dict[str, object]) -> int:
        used: int = (await self.client.get(f"{TOKENS}/{made['id']}")).json()["used_count"]
        return used


@pytest.fixture
async def site(plane: Plane) -> AsyncIterator[Site]:
    key = add_node(plane, "mail1")
    async with serve_plane(plane) as port, AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"authorization": f"Bearer {add_token(plane)}"},
            )
        )
        node = await stack.enter_async_context(open_node(port, "mail1", key, plane.keys.trusted))
        await node.greet(applied_revision=1)
        await node.report(make_report())
        site = Site(plane, client)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        following = group.create_task(site.follow(node))
        stack.callback(following.cancel)
        while (await client.get("/api/v1/nodes/mail1")).json()["report"] is None:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.01)
        yield site


async def test_token_is_made_and_shown_again(site: Site) -> None:
    made = await site.make(comment="For the choir", max_uses=3)

    assert (made["comment"], made["max_uses"], made["used_count"], made["state"]) == (
        "For the choir",
        3,
        0,
        "active",
    )
    assert len(str(made["token"])) == 24
    assert str(made["register_url"]).endswith(f"/join?token={made['token']}")
    assert (await site.client.get(TOKENS)).json()["items"] == [made]
    content = b"".join(path.read_bytes() for path in site.plane.settings.state_directory.glob("*.sqlite*"))
    assert str(made["token"]).encode() not in content


async def test_without_a_token_nobody_registers_where_one_is_needed(site: Site) -> None:
    await site.require()

    answer = await site.register()

    assert answer.status_code == 403
    assert "token is required" in answer.json()["error"]
    assert site.made == []
    page = await site.client.post("/join")
    assert (page.status_code, "invitation" in page.text) == (403, True)


async def test_token_makes_as_many_accounts_as_it_says(site: Site) -> None:
    await site.require()
    made = await site.make(max_uses=2)

    statuses = [(await site.register(made["token"])).status_code for _ in range(3)]

    assert statuses == [200, 200, 403]
    assert await site.count(made) == 2
    assert (await site.client.get(f"{TOKENS}/{made['id']}")).json()["state"] == "exhausted"


async def test_of_many_at_once_no_more_get_in_than_the_token_says(site: Site) -> None:
    await site.require()
    made = await site.make(max_uses=3)

    answers = await asyncio.gather(*(site.register(made["token"]) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [403] * 5
    assert await site.count(made) == 3


async def test_token_is_read_from_json_and_from_a_form(site: Site) -> None:
    await site.require()
    made = await site.make(max_uses=2)

    assert (await site.client.post("/new", json={"token": made["token"]})).status_code == 200
    assert (await site.client.post("/join", data={"token": made["token"]})).status_code == 200
    assert await site.count(made) == 2


async def test_page_of_a_token_leads_to_an_account(site: Site) -> None:
    await site.require()
    made = await site.make()

    page = await site.client.get("/join", params={"token": str(made["token"])})
    opened = await site.client.get("/new", params={"token": str(made["token"])})

    assert f'action="/join?token={made["token"]}"' in page.text
    assert opened.headers["location"].endswith(f"/new?token={made['token']}")
    hostile = (await site.client.get("/join", params={"token": '"><hostile'})).text
    assert hostile.count("hostile") == hostile.count("%22%3E%3Chostile")  # in links alone, and encoded


async def test_account_that_is_not_made_costs_no_use(site: Site) -> None:
    made = await site.make()
    site.problem = "The disk is full."

    assert (await site.register(made["token"])).status_code == 503

    assert await site.count(made) == 0
    site.problem = None
    assert (await site.register(made["token"])).status_code == 200
    assert await site.count(made) == 1


async def test_account_that_is_given_up_costs_no_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAKE_SECONDS", 0.2)
    made = await site.make()
    site.is_silent = True

    assert (await site.register(made["token"])).status_code == 503

    assert await site.count(made) == 0


async def test_use_is_given_back_when_the_node_is_retired(site: Site) -> None:
    made = await site.make()
    site.is_silent = True
    order = AccountOrder("operation1", "a@mail1.example.org", "secret", str(made["id"]))
    with site.plane.sessions.begin() as session:
        create_account(session, "mail1", order, NOW)
    assert await site.count(made) == 1

    with site.plane.sessions.begin() as session:
        retire_node(session, site.plane.facts, "mail1", AUTHOR)

    assert await site.count(made) == 0


async def test_use_is_counted_across_a_crash(site: Site) -> None:
    """Whoever asked is gone; the operation is not, and makes the account whenever the node hears of it."""
    made = await site.make()
    site.is_silent = True
    order = AccountOrder("operation1", "a@mail1.example.org", "secret", str(made["id"]))
    with site.plane.sessions.begin() as session:
        create_account(session, "mail1", order, NOW)

    Desk(site.plane, Clock()).note_done("mail1", "operation1", None)

    assert await site.count(made) == 1


@pytest.mark.parametrize("token", ["wrong-token", "x", "\0"])
async def test_wrong_token_is_refused_even_where_none_is_needed(site: Site, token: str) -> None:
    answer = await site.register(token)

    assert (answer.status_code, "Invalid registration token" in answer.json()["reason"]) == (403, True)


async def test_tokens_cannot_be_guessed_at_speed(site: Site) -> None:
    statuses = [(await site.register("wrong-token")).status_code for _ in range(21)]

    assert statuses == [403] * 20 + [429]


async def test_expired_and_removed_tokens_are_refused(site: Site) -> None:
    made = await site.make(expires_at_seconds=NOW - 1_000_000_000)
    assert made["state"] == "expired"
    assert (await site.register(made["token"])).status_code == 403

    url = f"{TOKENS}/{made['id']}"
    assert (
        await site.client.patch(url, json={"expires_at_seconds": 1 << 40}, headers=ANY)
    ).status_code == 200
    assert (await site.register(made["token"])).status_code == 200
    assert (await site.client.delete(url)).status_code == 204
    assert (await site.register(made["token"])).status_code == 403
    assert (await site.client.get(url)).status_code == 404


async def test_registration_that_is_closed_is_closed_with_a_token_too(site: Site) -> None:
    made = await site.make()
    await site.client.patch("/api/v1/policy", json={"registration_open": False}, headers=ANY)

    answer = await site.register(made["token"])

    assert (answer.status_code, "No new accounts" in answer.json()["error"]) == (403, True)
    assert await site.count(made) == 0


async def test_token_that_is_there_is_not_made_again(site: Site) -> None:
    await site.make(token="summer-2026")

    answer = await site.client.post(TOKENS, json={"token": "summer-2026"})

    assert answer.json()["type"] == "/problems/registration_token_exists"


async def test_change_of_a_token_says_what_was_seen(site: Site) -> None:
    made = await site.make()
    url = f"{TOKENS}/{made['id']}"
    tag = (await site.client.get(url)).headers["etag"]
    await site.register(made["token"])
    assert (await site.client.get(url)).headers["etag"] == tag  # a registration is no change of an operator

    changed = await site.client.patch(url, json={"max_uses": 5}, headers={"if-match": tag})

    assert (changed.json()["max_uses"], changed.json()["state"]) == (5, "active")
    assert (await site.client.delete(url, headers={"if-match": tag})).status_code == 412


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"token": "x" * 7}, 422),
        ({"token": "x" * 8}, 201),
        ({"token": "x" * 64}, 201),
        ({"token": "x" * 65}, 422),
        ({"token": "a b c d e"}, 422),
        ({"max_uses": 0}, 422),
        ({"max_uses": 1}, 201),
        ({"max_uses": MAX_USES}, 201),
        ({"max_uses": MAX_USES + 1}, 422),
        ({"max_uses": "3"}, 422),
        ({"comment": "x" * MAX_COMMENT}, 201),
        ({"comment": "x" * (MAX_COMMENT + 1)}, 422),
        ({"comment": None}, 422),
        ({"expires_at_seconds": -1}, 422),
        ({"expires_at_seconds": (1 << 40) + 1}, 422),
        ({"colour": "blue"}, 422),
    ],
)
async def test_token_is_judged(site: Site, fields: dict[str, object], status: int) -> None:
    assert (await site.client.post(TOKENS, json=fields)).status_code == status


async def test_quota_of_an_account_is_an_operation(site: Site) -> None:
    url = "/api/v1/nodes/mail1/accounts/Alice@mail1.example.org/quota"

    answer = await site.client.put(url, json={"quota_bytes": 5 << 20})

    assert (answer.status_code, answer.json()["name"]) == (202, "change_quota")
    await until(lambda: site.made == ["change_quota"])
    assert (await site.client.put(url, json={"quota_bytes": None})).status_code == 202
    for body in ({}, {"quota_bytes": (1 << 20) - 1}, {"quota_bytes": (1 << 50) + 1}, {"quota_bytes": "5"}):
        assert (await site.client.put(url, json=body)).status_code == 422
    assert (await site.client.put(url.replace("@", ""), json={"quota_bytes": None})).status_code == 400
