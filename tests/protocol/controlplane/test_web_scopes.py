"""Tokens of a part of the fleet on the pages: they see that part, and change nothing else."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.application import create_app
from controlplane.plane import Plane
from nodelink.contract.states import NodeKind
from support.controlplane_site import (
    PUBLIC_URL,
    Clock,
    add_group,
    add_group_token,
    add_node,
    add_node_token,
)
from support.web_admin import read_forms, sign_in_with

OUTSIDE = [
    "/admin/nodes/mail3",
    "/admin/nodes/mail3/history",
    "/admin/nodes/mail3/queue",
    "/admin/nodes/mail3/accounts/a@mail3.example",
    "/admin/groups/asia",
    "/admin/federation",
    "/admin/groups/asia/federation",
    "/admin/nodes/mail3/federation",
    "/admin/registration",
    "/admin/registration-tokens/0123",
    "/admin/turn",
    "/admin/dns",
    "/admin/exchangers",
    "/admin/exchangers/relay",
    "/admin/history",
    "/admin/admin-tokens",
    "/admin/audit",
    "/admin/audit/export",
]
CHANGES_OUTSIDE = [
    ("/admin/nodes/mail3", {"label": "x"}),
    ("/admin/nodes/mail3/policy", {"quota_bytes": "2G"}),
    ("/admin/nodes/mail3/purge", {"what": "all"}),
    ("/admin/nodes/mail3/queue/purge", {}),
    ("/admin/nodes/mail3/dkim-keys", {}),
    ("/admin/nodes/mail3/account-export", {}),
    ("/admin/nodes/mail3/accounts/a@mail3.example/remove", {}),
    ("/admin/nodes/mail3/accounts/a@mail3.example/quota", {"quota_bytes": "2G"}),
    ("/admin/nodes/mail1/group", {"group": "asia"}),
    ("/admin/nodes/mail1/retire", {"name": "mail1"}),
    ("/admin/groups", {"name": "x"}),
    ("/admin/groups/asia", {"label": "x"}),
    ("/admin/groups/asia/policy", {"quota_bytes": "2G"}),
    ("/admin/groups/eu/remove", {}),
    ("/admin/federation/policy", {"is_enabled": "no"}),
    ("/admin/groups/asia/federation/add-rule", {"domain": "a.example", "transport": "any"}),
    ("/admin/nodes/mail3/federation/add-rule", {"domain": "a.example", "transport": "any"}),
    ("/admin/policy", {"quota_bytes": "2G"}),
    ("/admin/join-tokens", {"name": "x", "kind": "mail", "hours": "1"}),
    ("/admin/registration-tokens", {"max_uses": "1"}),
    ("/admin/turn/secrets", {}),
    ("/admin/exchangers", {"name": "x", "url": "https://x.example", "poll_interval_seconds": "60"}),
    ("/admin/exchangers/relay/remove", {}),
    ("/admin/admin-tokens", {"name": "x", "role": "viewer", "scope": "fleet"}),
]
UNKNOWN_TO_A_NODE = [
    ("/admin/accounts/new", {"node": "mail3"}),
    ("/admin/accounts/import", {"node": "mail3", "accounts": '{"address": "a@b", "password": "x"}'}),
    ("/admin/blocklist", {"node": "mail3", "address": "a@mail3.example"}),
    ("/admin/accounts/bulk", {"action": "block", "chosen": "mail3 a@mail3.example", "confirmed": "yes"}),
]


@pytest.fixture
def browser(plane: Plane) -> Iterator[TestClient]:
    for name in ("mail1", "mail2", "mail3"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu", "mail1", "mail2")
    add_group(plane, "asia", "mail3")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser:
        yield browser


def open_scope(browser: TestClient, plane: Plane, kind: str) -> str:
    """Sign in for node mail1 or group eu; return the key of forms."""
    token = add_node_token(plane, "mail1") if kind == "node" else add_group_token(plane, "eu")
    return read_forms(sign_in_with(browser, token))["/sign-out"].fields["key"]


@pytest.mark.parametrize(("kind", "seen"), [("node", {"mail1"}), ("group", {"mail1", "mail2"})])
def test_scope_sees_its_own_nodes_and_no_others(
    browser: TestClient, plane: Plane, kind: str, seen: set[str]
) -> None:
    open_scope(browser, plane, kind)

    for path in ("/admin", "/admin/accounts", "/admin/accounts/new", "/admin/operations", "/admin/groups"):
        page = browser.get(path).text
        names = {name for name in ("mail1", "mail2", "mail3", "turn1") if f">{name}<" in page}
        assert names <= seen, path
        assert "asia" not in page
        assert "/admin/admin-tokens" not in page
        assert "/admin/audit" not in page
    assert {name for name in ("mail1", "mail2", "mail3") if f">{name}<" in browser.get("/admin").text} == seen
    assert browser.get("/admin/nodes/mail1").status_code == 200


@pytest.mark.parametrize("kind", ["node", "group"])
def test_page_outside_of_the_scope_is_refused_in_words(browser: TestClient, plane: Plane, kind: str) -> None:
    open_scope(browser, plane, kind)

    for path in OUTSIDE:
        answer = browser.get(path)
        assert (answer.status_code, "Ask an owner." in answer.text) == (403, True), path


@pytest.mark.parametrize("kind", ["node", "group"])
def test_form_outside_of_the_scope_is_refused(browser: TestClient, plane: Plane, kind: str) -> None:
    key = open_scope(browser, plane, kind)

    for action, fields in CHANGES_OUTSIDE:
        assert browser.post(action, data=fields | {"key": key}).status_code == 403, action


def test_node_outside_of_the_scope_is_unknown_to_forms(browser: TestClient, plane: Plane) -> None:
    key = open_scope(browser, plane, "node")

    for action, fields in UNKNOWN_TO_A_NODE:
        answer = browser.post(action, data=fields | {"key": key})
        assert (answer.status_code, "There is no node of this name" in answer.text) == (404, True), action


def test_operation_outside_of_the_scope_is_unknown(browser: TestClient, plane: Plane) -> None:
    key = open_scope(browser, plane, "group")
    answer = browser.post("/admin/nodes/mail2/purge", data={"key": key, "what": "all"})
    place = answer.url.path
    assert place.startswith("/admin/operations/")
    assert answer.status_code == 200

    browser.cookies.clear()
    open_scope(browser, plane, "node")
    assert browser.get(place).status_code == 404
    assert browser.get(f"{place}/events").status_code == 404
