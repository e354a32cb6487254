"""Who may call what, over HTTP."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import Route

from controlplane.admins.access import Role
from controlplane.admins.callers import Gate
from controlplane.admins.tokens import revoke_tokens
from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.plane import Plane
from support.controlplane_site import AUTHOR, add_node, add_token, open_client, read_turn_secrets
from support.postgresql import reads_the_file

PUBLIC = {
    ("GET", "/"),  # says what this is
    ("GET", "/join"),  # invites everybody
    ("GET", "/inv/{token}"),  # leads there
    ("POST", "/api/admin"),  # takes the token itself
    ("OPTIONS", "/api/admin"),  # says which sites may call
    ("POST", "/api/nodes/{name}/admin"),  # takes the token itself
    ("OPTIONS", "/api/nodes/{name}/admin"),  # says which sites may call
    ("POST", "/join"),  # makes an account for anybody
    ("POST", "/new"),  # the same, for apps
    ("GET", "/new"),  # opens the app
    ("GET", "/assets/{name}"),  # what pages are made of
    ("POST", "/sign-in"),  # takes the token itself
    ("POST", "/api/v1/enrolments"),  # takes a join token
    ("POST", "/api/v1/redemptions"),  # takes a node's assertion
    ("WEBSOCKET", "/api/v1/channel"),  # takes a node's assertion
    ("GET", "/api/v1/openapi.json"),  # describes the API
    ("HEAD", "/api/v1/openapi.json"),
}


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    with open_client(plane) as client:
        yield client


def list_gates(dependant: Dependant) -> list[Gate]:
    return [needed.call for needed in dependant.dependencies if isinstance(needed.call, Gate)]


def test_every_endpoint_states_who_may_call_it_or_is_public(plane: Plane) -> None:
    seen: set[tuple[str, str]] = set()
    for context in iter_route_contexts(create_app(plane).routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            if list_gates(context.dependant):
                continue
            seen |= {(method, str(context.path)) for method in route.methods or ()}
        elif isinstance(route, APIWebSocketRoute):
            seen.add(("WEBSOCKET", str(context.path)))
        else:
            assert isinstance(route, Route)
            seen |= {(method, route.path) for method in route.methods or ()}

    assert seen == PUBLIC


def test_every_change_needs_an_operator(plane: Plane) -> None:
    changes = [
        (context.path, gate)
        for context in iter_route_contexts(create_app(plane).routes)
        if isinstance(route := context.original_route, APIRoute)
        and route.methods != {"GET"}
        and context.path != "/sign-out"
        for gate in list_gates(context.dependant)
    ]

    assert len(changes) >= 12
    for path, gate in changes:
        assert gate.role is (Role.OWNER if "admin-tokens" in str(path) else Role.OPERATOR), path


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic YTpi", "Bearer madfleet-admin-00000000-x"]
)
def test_caller_without_a_token_is_told_to_sign_in(client: TestClient, header: str | None) -> None:
    del client.headers["authorization"]
    answer = client.get("/api/v1/nodes", headers={} if header is None else {"authorization": header})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/not_signed_in"


def test_viewer_may_look_and_not_touch(client: TestClient, plane: Plane) -> None:
    client.headers["authorization"] = f"Bearer {add_token(plane, Role.VIEWER)}"

    assert client.get("/api/v1/policy").status_code == 200
    assert client.patch("/api/v1/policy", json={}).status_code == 403
    assert client.delete("/api/v1/nodes/mail1").status_code == 403


def test_operator_may_change(client: TestClient, plane: Plane) -> None:
    client.headers["authorization"] = f"bearer {add_token(plane, Role.OPERATOR)}"

    answer = client.patch("/api/v1/policy", json={"jit_enabled": False}, headers={"if-match": "*"})
    assert answer.status_code == 200


def test_token_with_another_secret_is_wrong(client: TestClient, plane: Plane) -> None:
    right, other = add_token(plane), add_token(plane)
    mixed = right[: -len(right.split("-", 3)[3])] + other.split("-", 3)[3]
    client.headers["authorization"] = f"Bearer {mixed}"

    assert client.get("/api/v1/nodes").status_code == 401


def test_revoked_token_is_wrong_at_once(client: TestClient, plane: Plane) -> None:
    with plane.sessions.begin() as session:
        assert revoke_tokens(session, AUTHOR, "alice") == 1

    assert client.get("/api/v1/nodes").status_code == 401


def test_guesser_is_slowed_down_and_locks_nobody_out(client: TestClient) -> None:
    wrong = {"authorization": "Bearer madfleet-admin-00000000-" + "x" * 43}
    statuses = [client.get("/api/v1/nodes", headers=wrong).status_code for _ in range(WRONG_TOKEN_BURST + 2)]

    assert statuses == [401] * WRONG_TOKEN_BURST + [429] * 2
    assert client.get("/api/v1/nodes").status_code == 200


@reads_the_file
def test_secrets_of_tokens_are_not_in_the_database(plane: Plane) -> None:
    token = add_token(plane)
    plane.engine.dispose()

    content = b"".join(path.read_bytes() for path in plane.settings.state_directory.glob("*.sqlite*"))
    assert token.split("-", 3)[2].encode() in content
    assert token.split("-", 3)[3].encode() not in content
    assert read_turn_secrets(plane)[0].encode() not in content
