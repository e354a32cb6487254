"""Who may call the Madmail RPC, and what a caller who may not is told."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.plane import Plane
from support.controlplane_site import (
    PUBLIC_URL,
    Clock,
    add_group,
    add_group_token,
    add_node,
    add_node_token,
    add_token,
    open_test_plane,
)

FLEET = "/api/admin"
MAIL1 = "/api/nodes/mail1/admin"
MAIL2 = "/api/nodes/mail2/admin"


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "mail2")
    add_group(plane, "eu", "mail1")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as client:
        yield client


def call(
    client: TestClient,
    token: str | None,
    method: str = "GET",
    resource: str = "/admin/registration",
    path: str = FLEET,
    **body: object,
) -> dict[str, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    envelope = {"method": method, "resource": resource, "headers": headers, "body": body}
    answer = client.post(path, json=envelope)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_token_in_the_header_of_http_is_taken_as_well(client: TestClient, plane: Plane) -> None:
    bearer = {"authorization": f"Bearer {add_token(plane)}"}

    answer = client.post(FLEET, json={"resource": "/admin/registration"}, headers=bearer).json()
    small = client.post(FLEET, json={"resource": "/admin/registration", "headers": bearer}).json()

    assert (answer["status"], answer["body"]) == (200, {"status": "open"})
    assert small["status"] == 200


@pytest.mark.parametrize("token", [None, "", "x", "madfleet-admin-00000000-" + "x" * 43])
def test_stranger_is_told_nothing(client: TestClient, token: str | None) -> None:
    answer = call(client, token, resource="/admin/nothing")

    assert answer == {"status": 401, "error": "unauthorized", "version": answer["version"]}


def test_guesser_is_slowed_down_and_locks_nobody_out(client: TestClient, plane: Plane) -> None:
    wrong = "madfleet-admin-00000000-" + "x" * 43
    errors = [call(client, wrong)["error"] for _ in range(WRONG_TOKEN_BURST + 1)]

    assert errors[:-1] == ["unauthorized"] * WRONG_TOKEN_BURST
    assert errors[-1].startswith("unauthorized: too many wrong tokens")
    assert call(client, add_token(plane))["status"] == 200


def test_guesses_are_counted_with_those_at_the_other_api(client: TestClient) -> None:
    for _ in range(WRONG_TOKEN_BURST):
        call(client, "x")

    assert client.get("/api/v1/nodes", headers={"authorization": "Bearer x"}).status_code == 429


def test_viewer_may_look_and_not_touch(client: TestClient, plane: Plane) -> None:
    token = add_token(plane, Role.VIEWER)

    assert call(client, token)["status"] == 200
    assert call(client, token, resource="/admin/overview")["status"] == 200
    assert call(client, token, "POST", action="close")["status"] == 403
    assert call(client, token, "PATCH", "/admin/accounts", action="export")["status"] == 403
    assert call(client, token, resource="/admin/registration-token")["status"] == 403
    assert call(client, token)["body"] == {"status": "open"}


def test_token_of_a_node_or_group_reaches_no_further(client: TestClient, plane: Plane) -> None:
    for token in (add_node_token(plane, "mail1"), add_group_token(plane, "eu")):
        assert call(client, token, "POST", path=MAIL1, action="close")["body"] == {"status": "closed"}
        assert call(client, token, path=FLEET)["status"] == 403
        assert call(client, token, path=MAIL2)["status"] == 403
        assert call(client, token, path="/api/nodes/none/admin")["status"] == 403
    owner = add_token(plane)
    assert call(client, owner, path=MAIL2)["body"] == {"status": "open"}
    assert call(client, owner, path="/api/nodes/none/admin")["status"] == 404


def test_change_is_in_the_audit_log_under_the_name_of_its_admin(client: TestClient, plane: Plane) -> None:
    owner = add_token(plane, name="carol")
    call(client, owner, "POST", path=MAIL1, action="close")
    entries = client.get("/api/v1/audit", headers={"authorization": f"Bearer {owner}"}).json()["items"]

    (entry,) = [each for each in entries if each["action"] == "node-policy.change"]
    assert (entry["admin"], entry["target"], entry["after"]) == (
        "carol",
        "mail1",
        {"registration_open": False},
    )


def test_unknown_resources_and_methods_are_told_so(client: TestClient, plane: Plane) -> None:
    token = add_token(plane)
    unknown = call(client, token, resource="/admin/nothing")
    wrong = call(client, token, "TRACE", "/admin/status")

    assert (unknown["status"], unknown["error"]) == (404, "unknown resource: /admin/nothing")
    assert wrong["status"] == 405
    assert wrong["error"].startswith("method TRACE not allowed")


def test_answer_names_nodes_that_are_away_and_does_what_it_can(client: TestClient, plane: Plane) -> None:
    token = add_token(plane)

    assert call(client, token, resource="/admin/accounts")["body"] == {
        "accounts": [],
        "total": 0,
        "missing_nodes": ["mail1", "mail2"],
    }
    assert call(client, token, "POST", "/admin/accounts")["status"] == 503
    assert call(client, token, resource="/admin/overview")["body"]["users"] == {"registered": 0}


def test_path_and_sites_are_those_of_the_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory, site = tmp_path_factory.mktemp("own"), "https://admin.example.org"
    changes = {"admin_path": "/steer/here", "admin_origins": site}
    with (
        open_test_plane(directory, **changes) as plane,
        TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as client,
    ):
        assert call(client, add_token(plane), path="/steer/here")["status"] == 200
        assert client.post(FLEET, json={}).status_code == 404
        assert client.options("/steer/here", headers={"origin": site}).status_code == 204
        former = client.options("/steer/here", headers={"origin": "https://admin.madmail.chat"})
        assert former.status_code == 403


def test_address_that_madmail_gives_an_invitation_leads_to_its_page(client: TestClient) -> None:
    good = client.get("/inv/abcdefgh", follow_redirects=False)
    bad = client.get("/inv/a%22b", follow_redirects=False)

    assert (good.status_code, good.headers["location"]) == (303, "/join?token=abcdefgh")
    assert (bad.status_code, bad.headers["location"]) == (303, "/join")
