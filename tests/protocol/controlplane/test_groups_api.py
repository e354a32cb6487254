"""Groups of nodes over HTTP, and what admins say of a node: label, weight, draining, group."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.group_models import MAX_LABEL
from controlplane.plane import Plane
from nodelink.contract.states import MailNodeState, NodeKind
from support.controlplane_site import Clock, add_group, add_node, make_report, open_client

GROUPS = "/api/v1/groups"
MAIL1 = "/api/v1/nodes/mail1"


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    for name in ("mail1", "mail2", "mail3"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu")
    with open_client(plane) as client:
        yield client


def change(client: TestClient, url: str, body: dict[str, object]) -> Response:
    return client.patch(url, json=body, headers={"if-match": client.get(url).headers["etag"]})


def move(client: TestClient, node: str, group: str | None) -> Response:
    url = f"/api/v1/nodes/{node}"
    tag = client.get(url).headers["etag"]
    return client.put(f"{url}/group", json={"group": group}, headers={"if-match": tag})


def mail_state(plane: Plane, name: str) -> tuple[int, MailNodeState]:
    with plane.sessions() as session:
        wanted = read_wanted(session, plane.facts, read_node(session, name))
    assert isinstance(wanted.state, MailNodeState)
    return wanted.revision, wanted.state


def test_group_is_made_shown_changed_and_removed(client: TestClient) -> None:
    made = client.post(GROUPS, json={"name": "asia", "label": "آسیا"})

    assert (made.status_code, made.headers["location"]) == (201, f"{GROUPS}/asia")
    assert made.json() == {"name": "asia", "label": "آسیا", "nodes": 0}
    assert client.get(f"{GROUPS}/asia").headers["etag"] == made.headers["etag"]
    assert change(client, f"{GROUPS}/asia", {"label": "Asia"}).json()["label"] == "Asia"
    assert [group["name"] for group in client.get(GROUPS).json()["items"]] == ["asia", "eu"]
    assert client.delete(f"{GROUPS}/asia", headers={"if-match": made.headers["etag"]}).status_code == 412
    assert client.delete(f"{GROUPS}/asia").status_code == 204
    assert client.get(f"{GROUPS}/asia").status_code == 404


def test_name_of_a_group_is_given_once(client: TestClient) -> None:
    assert client.post(GROUPS, json={"name": "eu"}).json()["type"] == "/problems/group_exists"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x" * 63}, 201),
        ({"name": "x" * 64}, 422),
        ({"name": "EU"}, 422),
        ({"name": ""}, 422),
        ({}, 422),
        ({"name": "us", "label": "x" * MAX_LABEL}, 201),
        ({"name": "us", "label": "x" * (MAX_LABEL + 1)}, 422),
        ({"name": "us", "label": "a\nb"}, 422),
        ({"name": "us", "label": None}, 422),
        ({"name": "us", "colour": "blue"}, 422),
    ],
)
def test_group_is_judged(client: TestClient, body: dict[str, object], status: int) -> None:
    assert client.post(GROUPS, json=body).status_code == status


def test_node_is_in_one_group_at_most(client: TestClient) -> None:
    client.post(GROUPS, json={"name": "us"})

    assert move(client, "mail1", "eu").json()["group"] == "eu"
    assert move(client, "mail1", "us").json()["group"] == "us"

    assert [group["nodes"] for group in client.get(GROUPS).json()["items"]] == [0, 1]
    assert move(client, "mail1", None).json()["group"] is None
    assert client.get(f"{GROUPS}/us").json()["nodes"] == 0
    assert move(client, "mail1", None).status_code == 200


def test_node_is_not_moved_to_nowhere(client: TestClient) -> None:
    assert move(client, "mail1", "nowhere").json()["type"] == "/problems/unknown_group"
    url = "/api/v1/nodes/mail9/group"
    assert client.put(url, json={"group": "eu"}, headers={"if-match": "*"}).status_code == 404
    assert client.put(f"{MAIL1}/group", json={"group": "eu"}).status_code == 428
    assert client.put(f"{MAIL1}/group", json={}, headers={"if-match": "*"}).status_code == 422


def test_group_with_nodes_is_not_removed(client: TestClient) -> None:
    move(client, "mail1", "eu")

    assert client.delete(f"{GROUPS}/eu").json()["type"] == "/problems/group_in_use"
    client.delete(MAIL1)
    assert client.delete(f"{GROUPS}/eu").status_code == 204


def test_what_a_group_says_holds_on_its_nodes_unless_they_differ(client: TestClient, plane: Plane) -> None:
    move(client, "mail1", "eu")
    move(client, "mail2", "eu")
    change(client, "/api/v1/nodes/mail2/policy", {"quota_bytes": 7 << 20})
    before = [mail_state(plane, name)[0] for name in ("mail1", "mail2", "mail3")]

    answer = change(client, f"{GROUPS}/eu/policy", {"quota_bytes": 5 << 20})

    assert answer.json()["overrides"]["quota_bytes"] == answer.json()["in_force"]["quota_bytes"] == 5 << 20
    assert answer.json()["revision"] == 2
    states = [mail_state(plane, name) for name in ("mail1", "mail2", "mail3")]
    assert [state.quota_bytes for _, state in states] == [5 << 20, 7 << 20, 1 << 30]
    assert [revision - old for (revision, _), old in zip(states, before, strict=True)] == [1, 0, 0]
    shown = client.get(f"{MAIL1}/policy").json()
    assert (shown["group_name"], shown["in_force"]["quota_bytes"]) == ("eu", 5 << 20)
    change(client, f"{GROUPS}/eu/policy", {"quota_bytes": None})
    assert mail_state(plane, "mail1")[1].quota_bytes == 1 << 30


def test_node_that_is_moved_follows_its_new_group_at_once(client: TestClient, plane: Plane) -> None:
    change(client, f"{GROUPS}/eu/policy", {"jit_enabled": False})
    revision, state = mail_state(plane, "mail1")
    assert state.jit_enabled

    move(client, "mail1", "eu")

    assert mail_state(plane, "mail1")[0] == revision + 1
    assert not mail_state(plane, "mail1")[1].jit_enabled


def test_policy_of_a_group_ends_with_it(client: TestClient) -> None:
    change(client, f"{GROUPS}/eu/policy", {"jit_enabled": False})

    client.delete(f"{GROUPS}/eu")
    client.post(GROUPS, json={"name": "eu"})

    shown = client.get(f"{GROUPS}/eu/policy").json()
    assert (shown["revision"], shown["overrides"]["jit_enabled"]) == (1, None)
    assert client.get(f"{GROUPS}/us/policy").status_code == 404


def test_draining_mail_node_makes_no_accounts(client: TestClient, plane: Plane) -> None:
    revision, _ = mail_state(plane, "mail1")

    answer = change(client, MAIL1, {"is_draining": True, "label": "Old one", "weight": 0})

    shown = {name: answer.json()[name] for name in ("is_draining", "label", "weight")}
    assert shown == {"is_draining": True, "label": "Old one", "weight": 0}
    assert mail_state(plane, "mail1")[0] == revision + 1
    assert not mail_state(plane, "mail1")[1].registration_open
    assert mail_state(plane, "mail2")[1].registration_open
    change(client, MAIL1, {"is_draining": False})
    assert mail_state(plane, "mail1")[1].registration_open


def test_draining_turn_node_is_handed_out_only_where_there_is_no_other(
    client: TestClient, plane: Plane
) -> None:
    desk = Desk(plane, Clock())
    desk.note_report("turn1", make_report(NodeKind.TURN))
    change(client, "/api/v1/nodes/turn1", {"is_draining": True})
    turn = mail_state(plane, "mail1")[1].turn
    assert turn is not None
    assert turn.host == "192.0.2.1"

    add_node(plane, "turn2", NodeKind.TURN)
    desk.note_report("turn2", make_report(NodeKind.TURN, public_name="192.0.2.2"))
    turn = mail_state(plane, "mail1")[1].turn
    assert turn is not None
    assert turn.host == "192.0.2.2"


@pytest.mark.parametrize(
    ("node", "body", "status"),
    [
        ("mail1", {}, 200),
        ("mail1", {"weight": 0}, 200),
        ("mail1", {"weight": 10_000}, 200),
        ("mail1", {"weight": 10_001}, 422),
        ("mail1", {"weight": -1}, 422),
        ("mail1", {"weight": "5"}, 422),
        ("mail1", {"weight": None}, 422),
        ("mail1", {"label": "x" * MAX_LABEL}, 200),
        ("mail1", {"label": "x" * (MAX_LABEL + 1)}, 422),
        ("mail1", {"label": "\0"}, 422),
        ("mail1", {"is_draining": "yes"}, 422),
        ("mail1", {"name": "mail9"}, 422),
        ("turn1", {"label": "Relay"}, 200),
        ("turn1", {"weight": 5}, 409),
        ("mail9", {"label": "x"}, 404),
    ],
)
def test_change_of_a_node_is_judged(
    client: TestClient, node: str, body: dict[str, object], status: int
) -> None:
    answer = client.patch(f"/api/v1/nodes/{node}", json=body, headers={"if-match": "*"})

    assert answer.status_code == status


def test_tag_of_a_node_does_not_differ_by_how_it_is(client: TestClient, plane: Plane) -> None:
    tag = client.get(MAIL1).headers["etag"]
    Desk(plane, Clock()).note_report("mail1", make_report(problems=("Full.",)))

    assert client.get(MAIL1).headers["etag"] == tag
    assert change(client, MAIL1, {"label": "x"}).headers["etag"] != tag
    assert client.patch(MAIL1, json={"label": "y"}, headers={"if-match": tag}).status_code == 412
    assert client.patch(MAIL1, json={"label": "y"}).status_code == 428
    assert client.delete(MAIL1, headers={"if-match": tag}).status_code == 412


def test_nodes_come_in_pages_and_by_kind_and_group(client: TestClient) -> None:
    move(client, "mail2", "eu")
    first = client.get("/api/v1/nodes", params={"limit": 3}).json()
    second = client.get("/api/v1/nodes", params={"limit": 3, "cursor": first["next_cursor"]}).json()

    def names(**params: str) -> list[str]:
        return [node["name"] for node in client.get("/api/v1/nodes", params=params).json()["items"]]

    assert [node["name"] for node in first["items"]] == ["mail1", "mail2", "mail3"]
    assert ([node["name"] for node in second["items"]], second["next_cursor"]) == (["turn1"], None)
    assert names(kind="turn") == ["turn1"]
    assert names(group="eu") == ["mail2"]
    assert names(group="eu", kind="turn") == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"limit": 1}, 200),
        ({"limit": 200}, 200),
        ({"limit": 0}, 422),
        ({"limit": 201}, 422),
        ({"cursor": "x"}, 400),
        ({"cursor": "x" * 1024}, 400),
        ({"cursor": "x" * 1025}, 422),
        ({"kind": "web"}, 422),
        ({"group": "\0"}, 422),
    ],
)
def test_page_is_judged(client: TestClient, params: dict[str, str | int], status: int) -> None:
    assert client.get("/api/v1/nodes", params=params).status_code == status
