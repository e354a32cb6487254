"""Accounts on the pages: listed live, made with a password that is shown once, changed, followed."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from html import unescape

import httpx
import pytest

from controlplane.admins.audit_models import Action
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from controlplane.signing.keyring import read_signing_keys
from mailnode.accounts.errors import LoginRefusedError
from support.account_nodes import AccountNode
from support.clocks import until
from support.controlplane_site import add_node, add_token, make_report, serve_plane
from support.web_admin import read_forms

pytestmark = pytest.mark.anyio

NODE = "/admin/nodes/mail1"
ANNA = f"{NODE}/accounts/anna@mail1.example"


@dataclass
class Admin:
    """Somebody who is signed in, by a browser without scripts."""

    client: httpx.AsyncClient
    plane: Plane
    node: AccountNode

    async def see(self, path: str) -> str:
        answer = await self.client.get(path, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def send(self, page: str, action: str, /, **changes: str | list[str]) -> httpx.Response:
        form = read_forms(await self.see(page))[action]
        return await self.client.post(action, data=form.fields | changes)

    async def order(self, page: str, action: str, /, **changes: str | list[str]) -> str:
        """Send a form that orders something; return the last event of its page when it is over."""
        answer = await self.send(page, action, **changes)
        assert answer.status_code == 303, answer.text
        place = answer.headers["location"].partition("?")[0]
        async with self.client.stream("GET", f"{place}/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            told = (await events.aread()).decode()
        assert told.endswith("event: over\ndata: over\n\n")
        return told.rsplit("event: progress\n", 1)[1]


@pytest.fixture
async def admin(plane: Plane) -> AsyncIterator[Admin]:
    node = AccountNode("mail1")
    key = add_node(plane, "mail1")
    add_node(plane, "mail2")
    with plane.sessions() as session:
        trusted = read_signing_keys(session, plane.vault).trusted
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_plane(plane))
        await stack.enter_async_context(node.connect(port, key, trusted))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
        await stack.enter_async_context(client)
        answer = await client.post("/sign-in", data={"token": add_token(plane)})
        client.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]  # it is for HTTPS only
        await node.add("anna", "bert", "carl")
        yield Admin(client, plane, node)


async def test_accounts_are_found_and_missing_nodes_are_named(admin: Admin) -> None:
    page = await admin.see("/admin/accounts?search=ER&sort=size")

    assert ">bert@mail1.example<" in page
    assert ">anna@mail1.example<" not in page
    assert re.search(r"These nodes did not answer[^<]*<a href=\"/admin/nodes/mail2\">", page)
    assert "No account matches" in await admin.see("/admin/accounts?search=zzz")


async def test_list_goes_on_where_a_page_ended(admin: Admin) -> None:
    seen, path = [], "/admin/accounts?limit=2"
    while True:
        page = await admin.see(path)
        seen += re.findall(r'">(?:<bdi dir="ltr">)(\w+)@mail1.example<', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following is None:
            break
        path = unescape(following[1])

    assert seen == ["anna", "bert", "carl"]


async def test_account_is_given_a_quota_blocked_unblocked_and_deleted(admin: Admin) -> None:
    assert 'data-state="done"' in await admin.order(ANNA, f"{ANNA}/quota", quota_bytes="5G")
    assert "of 5 GiB · its own" in await admin.see(ANNA)

    await admin.order(ANNA, f"{ANNA}/block", reason="Spam")
    assert "blocked" in await admin.see(ANNA)
    assert "Spam" in await admin.see("/admin/blocklist")
    await admin.order("/admin/blocklist", f"{ANNA}/unblock")
    assert "may be used" in await admin.see(ANNA)

    await admin.order(ANNA, f"{ANNA}/purge", what="older", older_than_days="3")
    await admin.order(ANNA, f"{ANNA}/remove")
    answer = await admin.client.get(ANNA)
    assert (answer.status_code, "It may have been removed" in answer.text) == (404, True)


async def test_chosen_accounts_are_changed_after_a_confirmation(admin: Admin) -> None:
    chosen = ["mail1 anna@mail1.example", "mail1 carl@mail1.example"]
    page, bulk = "/admin/accounts", "/admin/accounts/bulk"

    asked = await admin.send(page, bulk, action="remove", chosen=chosen)
    assert "Delete these accounts?" in asked.text
    assert admin.node.done == []
    form = read_forms(asked.text)[bulk].fields
    answer = await admin.client.post(bulk, data=form | {"chosen": chosen})

    place = answer.headers["location"].partition("?")[0]
    told = (await admin.client.get(f"{place}/events")).text
    assert 'data-state="done"' in told
    assert "Accounts 2 of 2" in told
    listed = await admin.see(page)
    assert "bert@mail1.example" in listed
    assert "anna@mail1.example" not in listed
    nothing = await admin.send(page, bulk)
    assert "nothing-chosen" in nothing.headers["location"]


async def test_account_is_made_with_a_password_that_is_shown_once(admin: Admin) -> None:
    place = "/admin/accounts/new"
    assert (
        "is not connected"
        in (await admin.client.get((await admin.send(place, place)).headers["location"])).text
    )
    Desk(admin.plane, lambda: 0).note_report("mail1", make_report(public_name="mail1.example"))

    made = await admin.send(place, place, node="mail1", address="dora")

    assert made.status_code == 200
    found = re.search(r'id="password"[^>]*>(\w{22})<', made.text)
    assert found is not None
    assert f'href="dclogin:dora@mail1.example?p={found[1]}&amp;' in made.text
    assert 'class="qr"' in made.text
    await until(lambda: admin.node.done == ["import_accounts"])
    await admin.node.accounts.log_in("dora@mail1.example", found[1], "192.0.2.1")
    with pytest.raises(LoginRefusedError):
        await admin.node.accounts.log_in("dora@mail1.example", "wrong", "192.0.2.1")


@pytest.mark.parametrize(
    ("address", "word"), [("a b", "This is no address"), ("a@b@c", "This is no address")]
)
async def test_bad_address_is_refused_in_words(admin: Admin, address: str, word: str) -> None:
    place = "/admin/accounts/new"
    Desk(admin.plane, lambda: 0).note_report("mail1", make_report())

    answer = await admin.send(place, place, node="mail1", address=address)

    assert word in await admin.see(answer.headers["location"])
    assert admin.node.done == []


async def test_accounts_are_imported_from_what_was_exported(admin: Admin) -> None:
    new = "/admin/accounts/new"
    lines = "\n".join(
        json.dumps({"address": f"{name}@mail1.example", "password": "x" * 12})
        for name in ("xenia", "yara", "zora")
    )
    told = await admin.order(new, "/admin/accounts/import", node="mail1", accounts=lines)
    assert "Accounts 3 of 3" in told
    assert 'data-state="done"' in told, told

    exported = await admin.send(NODE, f"{NODE}/account-export")

    assert 'filename="accounts-mail1.jsonl"' in exported.headers["content-disposition"]
    found = [json.loads(line) for line in exported.text.splitlines()]
    assert [each["address"][0] for each in found] == ["a", "b", "c", "x", "y", "z"]
    assert all(each["password_hash"].startswith("$argon2id$") for each in found)
    audit = await admin.see(f"/admin/audit?action={Action.ACCOUNT_EXPORT}")
    assert re.search(r">accounts: 6<", audit)


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"address": "a@b"}', "[" * 100_000])
async def test_what_is_no_list_of_accounts_is_refused(admin: Admin, text: str) -> None:
    answer = await admin.send("/admin/accounts/new", "/admin/accounts/import", accounts=text)

    assert "This is no list of accounts" in await admin.see(answer.headers["location"])


async def test_queue_is_shown_and_emptied(admin: Admin) -> None:
    assert "Nothing waits for other nodes." in await admin.see(f"{NODE}/queue")

    key = read_forms(await admin.see(NODE))[f"{NODE}/purge"].fields
    answer = await admin.client.post(f"{NODE}/queue/purge", data=key)
    assert answer.status_code == 303


async def test_operation_for_a_node_that_is_away_waits_and_is_listed(admin: Admin) -> None:
    away = "/admin/nodes/mail2"
    answer = await admin.send(away, f"{away}/purge", what="all")

    page = await admin.see(answer.headers["location"])
    assert 'data-state="waiting"' in page
    assert "does it when it is back" in page
    assert re.search(r'sse-connect="/admin/operations/[\w-]+/events"', page)
    assert "mail2" in await admin.see("/admin/operations?state=waiting&node=mail2")
