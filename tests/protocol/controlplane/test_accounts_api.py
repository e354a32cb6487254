"""Accounts over HTTP: asked live of several nodes, changed by operations that they carry out."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from controlplane.plane import Plane
from controlplane.signing.keyring import read_signing_keys
from mailnode.accounts.errors import LoginRefusedError
from nodelink.contract.federation import PeerTransport
from nodelink.contract.states import NodeKind
from support.account_nodes import AccountNode
from support.clocks import until
from support.controlplane_site import (
    add_group,
    add_group_token,
    add_node,
    add_node_token,
    add_token,
    serve_plane,
)

pytestmark = pytest.mark.anyio

PASSWORD = "a password of some length"


@dataclass
class Fleet:
    """Two mail nodes that are connected, one that is not, and a TURN node."""

    client: httpx.AsyncClient
    plane: Plane
    one: AccountNode
    two: AccountNode

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        answer = await self.client.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def list_all(self, path: str, **query: object) -> list[str]:
        names: list[str] = []
        cursor = None
        while True:
            page = await self.get(path, **query, **({} if cursor is None else {"cursor": cursor}))
            items = page["items"]
            assert isinstance(items, list)
            names += [item["address"] for item in items]
            cursor = page["next_cursor"]
            if cursor is None:
                return names

    async def finish(self, answer: httpx.Response) -> dict[str, object]:
        """Wait until what was asked for is done, by its events; return how it ended."""
        assert answer.status_code == 202, answer.text
        last, path = "", locate(answer)
        async with self.client.stream("GET", f"{path}/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            async for line in events.aiter_lines():
                last = line if line.startswith("data: ") else last
        ended: dict[str, object] = json.loads(last.removeprefix("data: "))
        assert ended == await self.get(path)
        return ended

    def sign_in(self, token: str) -> None:
        self.client.headers["authorization"] = f"Bearer {token}"


@pytest.fixture
async def fleet(plane: Plane) -> AsyncIterator[Fleet]:
    nodes = [AccountNode("mail1"), AccountNode("mail2")]
    keys = {name: add_node(plane, name) for name in ("mail1", "mail2", "mail3")}
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu", "mail2")
    with plane.sessions() as session:
        trusted = read_signing_keys(session, plane.vault).trusted
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_plane(plane))
        for node in nodes:
            await stack.enter_async_context(node.connect(port, keys[node.name], trusted))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20)
        await stack.enter_async_context(client)
        fleet = Fleet(client, plane, *nodes)
        fleet.sign_in(add_token(plane))
        yield fleet


async def test_accounts_of_all_nodes_are_one_list_that_names_the_missing(fleet: Fleet) -> None:
    await fleet.one.add("anna", "carl")
    await fleet.two.add("bert")

    page = await fleet.get("/accounts", limit=2)

    assert [item["address"] for item in page["items"]] == ["anna@mail1.example", "bert@mail2.example"]
    assert page["missing_nodes"] == ["mail3"]
    assert await fleet.list_all("/accounts", limit=1) == [
        "anna@mail1.example",
        "bert@mail2.example",
        "carl@mail1.example",
    ]
    assert await fleet.list_all("/accounts", search="ER", order="desc") == ["bert@mail2.example"]
    assert await fleet.list_all("/accounts", group="eu", sort="size") == ["bert@mail2.example"]


async def test_node_that_does_not_answer_in_time_is_missing(fleet: Fleet) -> None:
    await fleet.one.add("anna")
    fleet.two.is_silent = True

    page = await fleet.get("/accounts")

    assert page["missing_nodes"] == ["mail2", "mail3"]
    assert len(page["items"]) == 1


async def test_totals_are_summed_over_nodes(fleet: Fleet) -> None:
    await fleet.one.add("anna", "carl")
    await fleet.two.add("bert")

    totals = await fleet.get("/account-totals")

    assert (totals["accounts"], totals["missing_nodes"]) == (3, ["mail3"])


CALLS = [
    ("/nodes/mail1/accounts/anna@mail1.example", 200),
    ("/nodes/mail1/accounts/ANNA@mail1.example", 200),
    ("/nodes/mail1/accounts/nobody@mail1.example", 404),
    ("/nodes/mail1/accounts/x", 404),
    ("/nodes/mail3/accounts/anna@mail3.example", 503),
    ("/nodes/mail9/accounts/anna@mail9.example", 404),
    ("/nodes/turn1/accounts/anna@mail1.example", 409),
    ("/nodes/mail1/queue", 200),
    ("/accounts?node=mail9", 404),
    ("/accounts?node=turn1", 409),
    ("/accounts?limit=0", 422),
    ("/accounts?limit=1", 200),
    ("/accounts?limit=200", 200),
    ("/accounts?limit=201", 422),
    (f"/accounts?search={'a' * 320}", 200),
    (f"/accounts?search={'a' * 321}", 422),
    ("/accounts?cursor=x", 400),
    ("/blocklist?cursor=WyJibG9ja2xpc3QgYXNjIiwgWzAsICIiXV0", 400),
]


async def test_account_calls_are_answered(fleet: Fleet) -> None:
    await fleet.one.add("anna")

    statuses = [(path, (await fleet.client.get(path)).status_code) for path, _ in CALLS]

    assert statuses == CALLS


async def test_cursor_of_another_order_is_refused(fleet: Fleet) -> None:
    await fleet.one.add("anna", "carl")
    cursor = (await fleet.get("/accounts", limit=1))["next_cursor"]

    for query in ({"sort": "size"}, {"order": "desc"}):
        answer = await fleet.client.get("/accounts", params={"cursor": str(cursor), **query})
        assert answer.status_code == 400


async def test_admin_makes_an_account_while_registration_is_closed(fleet: Fleet) -> None:
    wanted = {"address": "Dora.x@mail1.example", "password": PASSWORD}
    ended = await fleet.finish(await fleet.client.post("/nodes/mail1/accounts", json=wanted))

    assert ended["state"] == "done"
    account = await fleet.one.accounts.log_in("dora.x@mail1.example", PASSWORD, "192.0.2.1")
    assert account.address == "dora.x@mail1.example"


async def test_account_that_cannot_be_made_says_why(fleet: Fleet) -> None:
    wanted = {"address": "dora.x@mail1.example", "password": "short"}
    ended = await fleet.finish(await fleet.client.post("/nodes/mail1/accounts", json=wanted))

    assert (ended["state"], ended["problem"]) == ("failed", "A password has 9 to 1024 characters.")


async def test_blocked_address_loses_its_sessions_and_is_listed(fleet: Fleet) -> None:
    account = await fleet.one.accounts.create("dora.x@mail1.example", PASSWORD)
    ends: list[str] = []
    fleet.one.accounts.watch_sessions(account.id, lambda: ends.append("ended"))
    path = "/nodes/mail1/blocklist/dora.x@mail1.example"

    await fleet.finish(await fleet.client.put(path, json={"reason": "Spam"}))

    assert ends == ["ended"]
    with pytest.raises(LoginRefusedError):
        await fleet.one.accounts.log_in(account.address, PASSWORD, "192.0.2.1")
    await fleet.finish(await fleet.client.put("/nodes/mail2/blocklist/x@mail2.example", json={}))
    page = await fleet.get("/blocklist")
    assert [(item["node_name"], item["reason"]) for item in page["items"]] == [
        ("mail1", "Spam"),
        ("mail2", ""),
    ]
    assert await fleet.list_all("/blocklist", limit=1) == [account.address, "x@mail2.example"]

    await fleet.finish(await fleet.client.delete(path))
    assert (await fleet.one.accounts.log_in(account.address, PASSWORD, "192.0.2.1")).id == account.id


async def test_thousand_accounts_are_imported_in_parts_with_progress(fleet: Fleet) -> None:
    accounts = [
        {"address": f"user{number}@mail2.example", "password_hash": "sha256:c2FsdA==:" + "A" * 43 + "="}
        for number in range(1_001)
    ]
    answer = await fleet.client.post("/nodes/mail2/account-import", json={"accounts": accounts})
    begun = answer.json()

    ended = await fleet.finish(answer)

    assert (begun["operations"], begun["accounts"]) == (11, 1_001)
    assert (ended["state"], ended["done_accounts"], ended["failed_operations"]) == ("done", 1_001, 0)
    assert await fleet.two.store.count_accounts() == 1_001
    listed = await fleet.get("/operations", bulk=begun["id"], limit=5, state="done")
    assert (len(listed["items"]), listed["next_cursor"] is None) == (5, False)
    assert b"sha256:c2FsdA" not in _read_database(fleet.plane)


async def test_exported_accounts_can_be_imported(fleet: Fleet) -> None:
    await fleet.one.accounts.create("dora.x@mail1.example", PASSWORD)
    exported = (await fleet.client.get("/nodes/mail1/account-export")).json()["items"]

    await fleet.one.accounts.remove("dora.x@mail1.example")
    wanted = {"accounts": exported}
    await fleet.finish(await fleet.client.post("/nodes/mail1/account-import", json=wanted))

    account = await fleet.one.accounts.log_in("dora.x@mail1.example", PASSWORD, "192.0.2.1")
    assert account.address == "dora.x@mail1.example"


async def test_many_accounts_of_several_nodes_are_removed(fleet: Fleet) -> None:
    await fleet.one.add("anna", "carl")
    await fleet.two.add("bert")
    chosen = [
        {"node": "mail1", "address": "anna@mail1.example"},
        {"node": "mail2", "address": "bert@mail2.example"},
    ]
    answer = await fleet.client.post("/accounts/bulk", json={"action": "remove", "accounts": chosen})

    ended = await fleet.finish(answer)

    assert (ended["state"], ended["operations"], ended["accounts"]) == ("done", 2, 2)
    assert await fleet.list_all("/accounts") == ["carl@mail1.example"]


async def test_bulk_waits_for_a_node_that_is_away(fleet: Fleet) -> None:
    chosen = [{"node": name, "address": f"a@{name}.example"} for name in ("mail1", "mail3")]
    answer = await fleet.client.post("/accounts/bulk", json={"action": "block", "accounts": chosen})
    await until(lambda: fleet.one.done == ["block_addresses"])

    bulk = await fleet.get(locate(answer))
    assert (bulk["state"], bulk["waiting_nodes"]) == ("waiting", ["mail3"])


async def test_token_sees_and_changes_only_what_is_in_its_scope(fleet: Fleet) -> None:
    await fleet.one.add("anna")
    await fleet.two.add("bert")
    chosen = [{"node": "mail1", "address": "anna@mail1.example"}]
    bulk = await fleet.client.post("/accounts/bulk", json={"action": "block", "accounts": chosen})
    await until(lambda: bool(fleet.one.done))

    for token in (add_group_token(fleet.plane, "eu"), add_node_token(fleet.plane, "mail2")):
        fleet.sign_in(token)
        page = await fleet.get("/accounts")
        assert [item["node_name"] for item in page["items"]] == ["mail2"]
        assert page["missing_nodes"] == []
        for path in ("/accounts?node=mail1", "/accounts?node=mail3", locate(bulk)):
            assert (await fleet.client.get(path)).status_code == 404, path
        assert (await fleet.get("/operations"))["items"] == []
        for path in ("/nodes/mail1/accounts/anna@mail1.example", "/nodes/mail1/account-export"):
            assert (await fleet.client.get(path)).status_code == 403, path
        answer = await fleet.client.post("/accounts/bulk", json={"action": "remove", "accounts": chosen})
        assert answer.status_code == 404
    assert await fleet.one.store.count_accounts() == 1


CHANGES: list[tuple[str, dict[str, object], int]] = [
    ("/nodes/mail1/purge", {"what": "all"}, 202),
    ("/nodes/mail1/purge", {"what": "older"}, 422),
    ("/nodes/mail1/purge", {"what": "read", "older_than_days": 1}, 422),
    ("/nodes/mail1/purge", {"what": "older", "older_than_days": 0}, 202),
    ("/nodes/mail1/purge", {"what": "older", "older_than_days": 3650}, 202),
    ("/nodes/mail1/purge", {"what": "older", "older_than_days": 3651}, 422),
    ("/nodes/turn1/purge", {"what": "all"}, 409),
    ("/nodes/mail1/queue/purge", {}, 202),
    ("/nodes/mail1/queue/purge", {"destination": "two.example"}, 202),
    ("/nodes/mail1/account-import", {"accounts": []}, 422),
    ("/nodes/mail1/accounts", {"address": "a b@c", "password": PASSWORD}, 400),
    ("/nodes/mail1/accounts", {"address": "a@mail1.example"}, 422),
    ("/accounts/bulk", {"action": "remove", "accounts": [{"node": "mail9", "address": "a@b"}]}, 404),
    ("/notices", {"text": "Hello"}, 400),
]


async def test_requests_for_changes_are_judged(fleet: Fleet) -> None:
    answers = [
        (path, body, (await fleet.client.post(path, json=body)).status_code) for path, body, _ in CHANGES
    ]

    assert answers == CHANGES


async def test_repeated_request_with_a_key_is_done_once(fleet: Fleet) -> None:
    headers = {"idempotency-key": "purge-1"}
    answers = [
        await fleet.client.post("/nodes/mail1/purge", json={"what": "read"}, headers=headers)
        for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert len((await fleet.get("/operations"))["items"]) == 1


def locate(answer: httpx.Response) -> str:
    return answer.headers["location"].removeprefix("/api/v1")


def _read_database(plane: Plane) -> bytes:
    with plane.sessions() as session:
        rows = session.connection().exec_driver_sql("SELECT arguments FROM node_operation").all()
    return repr(rows).encode()


async def test_servers_of_others_are_listed_as_nodes_know_them_and_missing_nodes_named(fleet: Fleet) -> None:
    fleet.one.traffic.note_received("far.example")
    fleet.two.traffic.note_delivered("far.example", PeerTransport.SMTP, 1.5)
    fleet.two.traffic.note_queued("slow.example", 3)

    answer = await fleet.get("/federation/servers")

    assert answer["missing_nodes"] == ["mail3"]
    rows = {(row["node_name"], row["domain"]): row for row in answer["items"]}
    assert rows["mail1", "far.example"]["received"] == 1
    assert rows["mail2", "far.example"]["delivered_smtp"] == 1
    assert rows["mail2", "far.example"]["mean_latency_seconds"] == 1.5
    assert answer["items"][-1]["queued"] == 3
    assert [row["node_name"] for row in (await fleet.get("/federation/servers", node="mail1"))["items"]] == [
        "mail1"
    ]
