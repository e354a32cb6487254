"""With whom mail is exchanged, over HTTP: said for the fleet, a group and a node, and told to nodes."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from controlplane.nodes.desired import read_wanted
from controlplane.nodes.enrolment import read_node
from controlplane.plane import Plane
from nodelink.contract.federation import FederationMode, FederationState
from nodelink.contract.states import MailNodeState, NodeKind
from support.controlplane_site import add_group, add_node, open_client

FLEET, GROUP, NODE = "/api/v1/federation", "/api/v1/groups/eu/federation", "/api/v1/nodes/mail1/federation"


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    for name in ("mail1", "mail2"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu", "mail1")
    with open_client(plane) as client:
        yield client


def change(client: TestClient, url: str, body: dict[str, object]) -> Response:
    return client.patch(url, json=body, headers={"if-match": client.get(url).headers["etag"]})


def told(plane: Plane, name: str) -> tuple[int, FederationState]:
    with plane.sessions() as session:
        wanted = read_wanted(session, plane.facts, read_node(session, name))
    assert isinstance(wanted.state, MailNodeState)
    assert wanted.state.federation is not None
    return wanted.revision, wanted.state.federation


def test_a_change_reaches_the_nodes_of_its_scope_and_no_others(client: TestClient, plane: Plane) -> None:
    first = {name: told(plane, name)[0] for name in ("mail1", "mail2")}

    answer = change(client, GROUP, {"mode": "reject", "rules": [{"domain": "Good.Example"}]})

    assert answer.status_code == 200, answer.text
    revision, state = told(plane, "mail1")
    assert revision == first["mail1"] + 1
    assert (state.mode, [rule.domain for rule in state.rules]) == (FederationMode.REJECT, ["good.example"])
    assert told(plane, "mail2")[0] == first["mail2"]
    change(client, FLEET, {"rules": [{"domain": "bad.example", "transport": "smtp"}]})
    assert [rule.domain for rule in told(plane, "mail1")[1].rules] == ["bad.example", "good.example"]
    assert [rule.domain for rule in told(plane, "mail2")[1].rules] == ["bad.example"]


def test_a_node_follows_again_and_a_rule_keeps_its_moment(client: TestClient, plane: Plane) -> None:
    made = change(client, NODE, {"is_enabled": False, "rules": [{"domain": "a.example"}]}).json()
    at_seconds = made["own"]["rules"][0]["created_at_seconds"]
    assert at_seconds > 0
    assert not told(plane, "mail1")[1].is_enabled

    rules = [{"domain": "a.example", "created_at_seconds": 1}, {"domain": "b.example"}]
    answer = change(client, NODE, {"is_enabled": None, "rules": rules}).json()

    assert answer["own"]["rules"][0]["created_at_seconds"] == at_seconds
    assert told(plane, "mail1")[1].is_enabled
    assert answer["revision"] == made["revision"] + 1


def test_what_changes_nothing_keeps_the_revision_and_is_not_recorded(client: TestClient) -> None:
    before = client.get(FLEET).json()
    assert change(client, FLEET, {"mode": None, "rules": []}).json() == before
    change(client, FLEET, {"mode": "reject"})
    entries = client.get("/api/v1/audit", params={"action": "federation.change"}).json()["items"]
    assert [entry["after"] for entry in entries] == [{"mode": "reject"}]


def test_a_change_needs_what_was_seen(client: TestClient) -> None:
    tag = client.get(FLEET).headers["etag"]
    assert client.patch(FLEET, json={"mode": "reject"}).status_code == 428
    assert client.patch(FLEET, json={"mode": "reject"}, headers={"if-match": tag}).status_code == 200
    assert client.patch(FLEET, json={"mode": "accept"}, headers={"if-match": tag}).status_code == 412


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/api/v1/nodes/turn1/federation", 409),
        ("/api/v1/nodes/none/federation", 404),
        ("/api/v1/groups/none/federation", 404),
    ],
)
def test_only_mail_nodes_and_groups_have_words(client: TestClient, url: str, status: int) -> None:
    assert client.get(url).status_code == status
    assert client.patch(url, json={}, headers={"if-match": "*"}).status_code == status


def test_words_go_with_their_node_and_group(client: TestClient) -> None:
    change(client, NODE, {"mode": "reject"})
    change(client, GROUP, {"mode": "reject"})
    assert client.delete("/api/v1/nodes/mail1").status_code == 204
    assert client.delete("/api/v1/groups/eu").status_code == 204
    client.post("/api/v1/groups", json={"name": "eu"})
    assert client.get(GROUP).json()["own"]["mode"] is None


def test_signing_keys_are_rotated_by_an_operation(client: TestClient) -> None:
    answer = client.post("/api/v1/nodes/mail1/dkim-keys")
    assert answer.status_code == 202
    assert answer.json()["name"] == "rotate_dkim_keys"
    assert client.post("/api/v1/nodes/turn1/dkim-keys").status_code == 409


def test_nodes_that_are_not_connected_are_named_as_missing(client: TestClient) -> None:
    answer = client.get("/api/v1/federation/servers")
    assert answer.json() == {"items": [], "missing_nodes": ["mail1", "mail2"]}
