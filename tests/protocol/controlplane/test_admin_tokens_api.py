"""Admin tokens over HTTP: made, shown once, listed, expired, revoked; and the one in the settings."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.admins.models import MAX_VALID_HOURS
from controlplane.admins.tokens import USE_NOTED_SECONDS
from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.plane import Plane
from support.controlplane_site import (
    NOW,
    PUBLIC_URL,
    Clock,
    add_group,
    add_node,
    add_token,
    open_client,
    open_test_plane,
)

TOKENS = "/api/v1/admin-tokens"
STATIC = "a-static-token-of-an-operator-0123456789"
HOUR = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def make(client: TestClient, **fields: object) -> dict[str, object]:
    answer = client.post(TOKENS, json={"name": "bob", "role": "operator"} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def call(client: TestClient, token: object, path: str = "/api/v1/caller") -> int:
    return client.get(path, headers={"authorization": f"Bearer {token}"}).status_code


def test_token_is_shown_once(client: TestClient) -> None:
    answer = client.post(TOKENS, json={"name": "bob", "role": "viewer", "valid_for_hours": 2})

    made = answer.json()
    token = made.pop("token")
    assert re.fullmatch(rf"madfleet-admin-{made['id']}-[\w-]{{43}}", token)
    assert made == {
        "id": made["id"],
        "name": "bob",
        "role": "viewer",
        "scope_kind": "fleet",
        "scope_name": None,
        "state": "active",
        "created_at_seconds": NOW,
        "expires_at_seconds": NOW + 2 * HOUR,
        "last_used_at_seconds": None,
        "revoked_at_seconds": None,
    }
    shown = client.get(answer.headers["location"])
    assert (shown.json(), shown.headers["etag"]) == (made, answer.headers["etag"])
    assert token.split("-", 3)[3] not in client.get(TOKENS).text


def test_caller_is_told_who_he_is(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")
    made = make(client, scope_kind="node", scope_name="mail1")

    shown = client.get("/api/v1/caller", headers={"authorization": f"Bearer {made['token']}"}).json()

    assert shown == {"name": "bob", "role": "operator", "scope_kind": "node", "scope_name": "mail1"}


@pytest.mark.parametrize(("age", "status"), [(HOUR - 1, 200), (HOUR, 401)])
def test_token_expires_at_its_second(client: TestClient, clock: Clock, age: int, status: int) -> None:
    made = make(client, valid_for_hours=1)
    clock.now += age

    assert call(client, made["token"]) == status
    state = client.get(f"{TOKENS}/{made['id']}").json()["state"]
    assert state == ("active" if status == 200 else "expired")


def test_use_is_noted_from_time_to_time_only(client: TestClient, clock: Clock) -> None:
    made = make(client)

    def use_and_look() -> int:
        assert call(client, made["token"]) == 200
        last_used: int = client.get(f"{TOKENS}/{made['id']}").json()["last_used_at_seconds"]
        return last_used - NOW

    assert use_and_look() == 0
    clock.now += USE_NOTED_SECONDS - 1
    assert use_and_look() == 0
    clock.now += 1
    assert use_and_look() == USE_NOTED_SECONDS


def test_revoked_token_is_wrong_at_once_and_stays_in_the_list(client: TestClient) -> None:
    made = make(client)

    assert client.delete(f"{TOKENS}/{made['id']}").status_code == 204
    assert client.delete(f"{TOKENS}/{made['id']}").status_code == 204

    assert call(client, made["token"]) == 401
    listed = client.get(TOKENS).json()["items"][-1]
    assert (listed["id"], listed["state"], listed["revoked_at_seconds"]) == (made["id"], "revoked", NOW)


def test_revocation_may_say_what_was_seen(client: TestClient) -> None:
    made = make(client)
    url = f"{TOKENS}/{made['id']}"
    tag = client.get(url).headers["etag"]

    assert client.delete(url, headers={"if-match": '"other"'}).status_code == 412
    assert client.delete(url, headers={"if-match": tag}).status_code == 204


@pytest.mark.parametrize("id_", ["00000000", "settings", "%00"])
def test_unknown_token_is_not_found(client: TestClient, id_: str) -> None:
    assert client.get(f"{TOKENS}/{id_}").status_code == 404


def test_tokens_come_in_pages(client: TestClient) -> None:
    made = [make(client, name=f"n{number}")["id"] for number in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get(TOKENS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen[1:] == made


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "x" * 64}, 201),
        ({"name": "x" * 65}, 422),
        ({"name": "\x1b"}, 422),
        ({"role": "king"}, 422),
        ({"valid_for_hours": 0}, 422),
        ({"valid_for_hours": 1}, 201),
        ({"valid_for_hours": MAX_VALID_HOURS}, 201),
        ({"valid_for_hours": MAX_VALID_HOURS + 1}, 422),
        ({"valid_for_hours": "2"}, 422),
        ({"valid_for_hours": True}, 422),
        ({"colour": "blue"}, 422),
        ({"scope_kind": "node"}, 422),
        ({"scope_name": "mail1"}, 422),
        ({"scope_kind": "node", "scope_name": "mail1"}, 201),
        ({"scope_kind": "node", "scope_name": "mail9"}, 404),
        ({"scope_kind": "group", "scope_name": "eu"}, 201),
        ({"scope_kind": "group", "scope_name": "mail1"}, 404),
        ({"scope_kind": "group", "scope_name": "\0"}, 422),
        ({"scope_kind": "node", "scope_name": "mail1", "role": "owner"}, 422),
    ],
)
def test_what_a_token_is_for_is_judged(
    client: TestClient, plane: Plane, fields: dict[str, object], status: int
) -> None:
    add_node(plane, "mail1")
    add_group(plane, "eu")

    assert client.post(TOKENS, json={"name": "bob", "role": "operator"} | fields).status_code == status


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_owner_sees_and_makes_tokens(client: TestClient, plane: Plane, role: Role) -> None:
    client.headers["authorization"] = f"Bearer {add_token(plane, role)}"

    assert client.get(TOKENS).status_code == 403
    assert client.post(TOKENS, json={"name": "bob", "role": "viewer"}).status_code == 403


def test_tokens_end_with_their_node_and_group(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")
    add_group(plane, "eu")
    of_node = make(client, scope_kind="node", scope_name="mail1")["token"]
    of_group = make(client, scope_kind="group", scope_name="eu")["token"]

    client.delete("/api/v1/nodes/mail1")
    client.delete("/api/v1/groups/eu")
    add_node(plane, "mail1")
    add_group(plane, "eu")

    assert call(client, of_node) == call(client, of_group) == 401


def test_token_in_the_settings_is_an_owner_and_is_listed(tmp_path: Path) -> None:
    with open_test_plane(tmp_path, admin_token=STATIC) as plane, open_client(plane) as client:
        client.headers["authorization"] = f"Bearer {STATIC}"
        listed = client.get(TOKENS).json()["items"][0]
        shown = client.get(f"{TOKENS}/settings").json()
        refused = client.delete(f"{TOKENS}/settings")

        assert client.get("/api/v1/caller").json()["name"] == "settings"
        assert client.patch("/api/v1/policy", json={}, headers={"if-match": "*"}).status_code == 200

    assert listed == shown
    assert (listed["id"], listed["role"], listed["state"]) == ("settings", "owner", "active")
    assert (refused.status_code, "CONTROLPLANE_ADMIN_TOKEN" in refused.json()["title"]) == (409, True)
    content = b"".join(path.read_bytes() for path in (tmp_path / "state").glob("*.sqlite*"))
    assert STATIC.encode() not in content


def test_token_in_the_settings_goes_before_others_of_its_name(tmp_path: Path) -> None:
    with (
        open_test_plane(tmp_path, admin_token=STATIC, admin_token_name="bob") as plane,
        open_client(plane) as client,
    ):
        made = make(client, name="bob")
        assert made["state"] == "shadowed"
        assert call(client, made["token"]) == 401
        assert call(client, STATIC) == 200
    with open_test_plane(tmp_path) as plane, open_client(plane) as client:
        assert call(client, made["token"]) == 200
        assert call(client, STATIC) == 401


def test_session_of_the_pages_ends_when_the_token_in_the_settings_changes(tmp_path: Path) -> None:
    with (
        open_test_plane(tmp_path, admin_token=STATIC) as plane,
        TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser,
    ):
        assert browser.post("/sign-in", data={"token": STATIC}).url.path == "/admin"
        cookies = dict(browser.cookies)
    for token, path in ((STATIC, "/admin"), (STATIC[::-1], "/")):
        with (
            open_test_plane(tmp_path, admin_token=token) as plane,
            TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL, cookies=cookies) as browser,
        ):
            assert browser.get("/admin").url.path == path


def test_guesser_behind_a_proxy_locks_nobody_else_out_of_a_second_try(tmp_path: Path) -> None:
    with open_test_plane(tmp_path, trusted_proxies="192.0.2.0/28") as plane, open_client(plane) as client:
        proxied = TestClient(client.app, base_url=PUBLIC_URL, client=("192.0.2.1", 4711))

        def guess(address: str) -> int:
            headers = {"authorization": "Bearer wrong", "x-forwarded-for": f"198.51.100.7, {address}"}
            return proxied.get("/api/v1/caller", headers=headers).status_code

        assert [guess("203.0.113.9") for _ in range(WRONG_TOKEN_BURST + 1)][-2:] == [401, 429]
        assert guess("203.0.113.10") == 401
        right = {"authorization": client.headers["authorization"], "x-forwarded-for": "203.0.113.9"}
        assert proxied.get("/api/v1/caller", headers=right).status_code == 200


def test_header_of_a_client_that_is_no_proxy_is_not_believed(client: TestClient) -> None:
    statuses = [
        client.get(
            "/api/v1/caller",
            headers={"authorization": "Bearer wrong", "x-forwarded-for": f"203.0.113.{number}"},
        ).status_code
        for number in range(WRONG_TOKEN_BURST + 1)
    ]

    assert statuses == [401] * WRONG_TOKEN_BURST + [429]


def test_admin_api_is_found_where_the_settings_say(tmp_path: Path) -> None:
    with open_test_plane(tmp_path, api_path="/hidden/api") as plane, open_client(plane) as client:
        add_node(plane, "mail1")

        assert client.get("/hidden/api/nodes").status_code == 200
        assert client.get("/hidden/api/openapi.json").status_code == 200
        answer = client.post("/hidden/api/groups", json={"name": "eu"})
        assert answer.headers["location"] == "/hidden/api/groups/eu"
        for path in ("nodes", "openapi.json", "policy", "admin-tokens"):
            assert client.get(f"/api/v1/{path}").status_code == 404
        assert client.post("/api/v1/enrolments", json={}).status_code == 422
