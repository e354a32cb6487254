"""No token reaches further than it is for: every operation, asked with every kind of token."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role, ScopeKind
from controlplane.admins.audit import AuditFilter, page_audit
from controlplane.plane import Plane
from support.controlplane_site import (
    add_group,
    add_group_token,
    add_node,
    add_node_token,
    add_token,
    open_client,
)

BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("post", "/admin-tokens"): {"name": "mallory", "role": "viewer"},
    ("post", "/join-tokens"): {"name": "mail9", "kind": "mail"},
    ("post", "/groups"): {"name": "us"},
    ("post", "/registration-tokens"): {"node": "mail1"},
    ("patch", "/registration-tokens/{invitation_id}"): {"comment": "Mine"},
    ("put", "/nodes/{name}/accounts/{address}/quota"): {"quota_bytes": None},
    ("post", "/accounts/bulk"): {"action": "remove", "accounts": [{"node": "mail1", "address": "a@b"}]},
    ("post", "/nodes/{name}/accounts"): {"address": "a@b", "password": "a password"},
    ("post", "/nodes/{name}/account-import"): {"accounts": [{"address": "a@b", "password": "a password"}]},
    ("put", "/nodes/{name}/blocklist/{address}"): {"reason": "Spam"},
    ("post", "/nodes/{name}/accounts/{address}/purge"): {"what": "all"},
    ("post", "/nodes/{name}/purge"): {"what": "all"},
    ("post", "/nodes/{name}/queue/purge"): {},
    ("post", "/notices"): {"text": "Hello"},
    ("patch", "/groups/{group}"): {"label": "Mine"},
    ("patch", "/groups/{group}/policy"): {"jit_enabled": False},
    ("patch", "/policy"): {"jit_enabled": False},
    ("patch", "/nodes/{name}"): {"label": "Mine"},
    ("patch", "/nodes/{name}/policy"): {"jit_enabled": False},
    ("patch", "/nodes/{name}/ports"): {"imap": None},
    ("put", "/nodes/{name}/group"): {"group": "eu"},
    ("patch", "/federation"): {"is_enabled": False},
    ("patch", "/groups/{group}/federation"): {"is_enabled": False},
    ("patch", "/nodes/{name}/federation"): {"is_enabled": False},
    ("put", "/settings/{setting}"): {"value": "40M"},
    ("put", "/nodes/{name}/settings/{setting}"): {"value": "40M"},
    ("put", "/services/{service_name}"): {"is_enabled": False},
    ("put", "/nodes/{name}/services/{service_name}"): {"is_enabled": False},
    ("post", "/exchangers"): {"name": "relay", "url": "https://example.org"},
    ("patch", "/exchangers/{exchanger}"): {"is_enabled": False},
    ("post", "/webhooks"): {"url": "https://example.org/hook", "events": ["node.down"]},
    ("patch", "/webhooks/{webhook_id}"): {"is_enabled": False},
}


@dataclass(frozen=True)
class Operation:
    """An operation of the document."""

    method: str
    path: str
    role: Role
    reach: str


def list_operations(client: TestClient) -> list[Operation]:
    document = client.get("/api/v1/openapi.json").json()
    return [
        Operation(method, path.removeprefix("/api/v1"), Role(access["role"]), access["reach"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if (access := operation.get("x-access"))
    ]


def ask(client: TestClient, token: str, operation: Operation, node: str, group: str) -> tuple[int, str]:
    path = operation.path.format(
        name=node,
        group=group,
        address="a@b",
        token_id="00000000",
        operation_id="x",
        bulk_id="x",
        invitation_id="x",
        setting="max_message_size",
        service_name="turn",
        webhook_id="x",
        exchanger="x",
    )
    answer = client.request(
        operation.method,
        f"/api/v1{path}",
        json=BODIES.get((operation.method, operation.path)),
        headers={"authorization": f"Bearer {token}", "if-match": "*"},
    )
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["type"] if is_problem else ""


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    for name in ("mail1", "mail2", "mail3"):
        add_node(plane, name)
    add_group(plane, "eu", "mail1", "mail2")
    add_group(plane, "asia", "mail3")
    with open_client(plane) as client:
        yield client


def count_changes(plane: Plane) -> int:
    with plane.sessions() as session:
        return len(page_audit(session, plane.vault, AuditFilter(), None, 1000))


def test_every_change_has_a_body_in_this_test(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    with_body = {
        (method, path.removeprefix("/api/v1"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and "x-access" in operation
    }

    assert with_body == set(BODIES)


@pytest.mark.parametrize("token", ["", "wrong", "madfleet-admin-00000000-" + "x" * 43])
def test_stranger_is_let_in_nowhere(client: TestClient, plane: Plane, token: str) -> None:
    before = count_changes(plane)

    for operation in list_operations(client):
        assert ask(client, token, operation, "mail1", "eu")[0] in {401, 429}, operation
    assert count_changes(plane) == before


def test_viewer_writes_nothing(client: TestClient, plane: Plane) -> None:
    tokens = [
        add_token(plane, Role.VIEWER),
        add_node_token(plane, "mail1", Role.VIEWER),
        add_group_token(plane, "eu", Role.VIEWER),
    ]
    before = count_changes(plane)

    writes = [operation for operation in list_operations(client) if operation.method != "get"]
    answers = [ask(client, token, operation, "mail1", "eu") for token in tokens for operation in writes]

    assert len(writes) >= 12
    assert {status for status, _ in answers} == {403}
    assert count_changes(plane) == before


def test_operator_does_not_decide_who_may_steer(client: TestClient, plane: Plane) -> None:
    token = add_token(plane, Role.OPERATOR)

    for operation in list_operations(client):
        is_owners = operation.role is Role.OWNER
        status = ask(client, token, operation, "mail9", "nowhere")[0]
        assert (status == 403) is is_owners, operation


@pytest.mark.parametrize("scope", [ScopeKind.NODE, ScopeKind.GROUP])
@pytest.mark.parametrize(("node", "group"), [("mail3", "asia"), ("mail9", "nowhere"), ("%00", "%00")])
def test_part_of_the_fleet_is_all_that_its_token_reaches(
    client: TestClient, plane: Plane, scope: ScopeKind, node: str, group: str
) -> None:
    token = add_node_token(plane, "mail1") if scope is ScopeKind.NODE else add_group_token(plane, "eu")
    before = count_changes(plane)

    for operation in list_operations(client):
        if operation.role is Role.OWNER or operation.reach == "any":
            continue
        assert ask(client, token, operation, node, group) == (403, "/problems/out_of_scope"), operation
    assert count_changes(plane) == before


def test_token_of_a_node_reaches_its_node(client: TestClient, plane: Plane) -> None:
    token = add_node_token(plane, "mail1")

    for operation in list_operations(client):
        if operation.role is Role.OWNER:
            continue
        status = ask(client, token, operation, "mail1", "eu")[0]
        assert (status == 403) is (operation.reach in {"fleet", "group"}), operation


def test_token_of_a_group_reaches_its_nodes_and_itself(client: TestClient, plane: Plane) -> None:
    token = add_group_token(plane, "eu")

    for operation in list_operations(client):
        if operation.role is Role.OWNER:
            continue
        status = ask(client, token, operation, "mail2", "eu")[0]
        assert (status == 403) is (operation.reach == "fleet"), operation


def names(client: TestClient, token: str, path: str, **params: str) -> list[str]:
    answer = client.get(f"/api/v1/{path}", params=params, headers={"authorization": f"Bearer {token}"})
    return [item["name"] for item in answer.json()["items"]]


def test_lists_hold_what_is_in_the_scope_and_no_more(client: TestClient, plane: Plane) -> None:
    of_node, of_group = add_node_token(plane, "mail1"), add_group_token(plane, "eu")

    assert names(client, of_node, "nodes") == ["mail1"]
    assert names(client, of_group, "nodes") == ["mail1", "mail2"]
    assert names(client, of_group, "nodes", group="asia") == []
    assert names(client, of_node, "nodes", group="asia") == []
    assert names(client, of_node, "groups") == names(client, of_group, "groups") == ["eu"]


def test_operation_outside_of_the_scope_is_as_unknown_as_none(client: TestClient, plane: Plane) -> None:
    location = client.delete("/api/v1/nodes/mail3/accounts/a@b").headers["location"]
    own = client.delete("/api/v1/nodes/mail1/accounts/a@b").headers["location"]
    for token in (add_node_token(plane, "mail1"), add_group_token(plane, "eu")):
        headers = {"authorization": f"Bearer {token}"}
        assert client.get(location, headers=headers).json()["type"] == "/problems/unknown_operation"
        assert client.get(own, headers=headers).status_code == 200


def test_node_that_leaves_a_group_leaves_the_reach_of_its_tokens(client: TestClient, plane: Plane) -> None:
    headers = {"authorization": f"Bearer {add_group_token(plane, 'eu')}"}
    assert client.get("/api/v1/nodes/mail1", headers=headers).status_code == 200

    client.put("/api/v1/nodes/mail1/group", json={"group": None}, headers={"if-match": "*"})

    assert client.get("/api/v1/nodes/mail1", headers=headers).status_code == 403
