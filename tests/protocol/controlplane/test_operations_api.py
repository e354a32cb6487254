"""Operations: created over HTTP, kept until they are done, then emptied."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from controlplane.nodes.desk import Desk
from controlplane.operations.service import read_operation
from controlplane.plane import Plane
from nodelink.contract.states import NodeKind
from support.controlplane_site import NOW, Clock, add_node, open_client

ACCOUNTS = "/api/v1/nodes/mail1/accounts"


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "mail2")
    add_node(plane, "turn1", NodeKind.TURN)
    with open_client(plane) as client:
        yield client


def test_removal_waits_for_the_node(client: TestClient) -> None:
    answer = client.delete(f"{ACCOUNTS}/ALICE@example.org")

    assert answer.status_code == 202
    operation = answer.json()
    assert answer.headers["location"] == f"/api/v1/operations/{operation['id']}"
    assert client.get(answer.headers["location"]).json() == operation
    assert operation == {
        "id": operation["id"],
        "node_name": "mail1",
        "name": "remove_account",
        "state": "waiting",
        "created_at_seconds": NOW,
        "acknowledged_at_seconds": None,
        "problem": None,
        "bulk_id": None,
        "account_count": 1,
    }


def test_asking_twice_makes_one_operation(client: TestClient) -> None:
    first = client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"]

    assert client.delete(f"{ACCOUNTS}/Alice@Example.org").json()["id"] == first
    assert client.delete(f"{ACCOUNTS}/bob@example.org").json()["id"] != first


def test_bulk_that_ends_while_it_is_described_is_waiting_or_done(client: TestClient, plane: Plane) -> None:
    chosen = [{"node": "mail1", "address": "alice@example.org"}]
    bulk = client.post("/api/v1/accounts/bulk", json={"action": "remove", "accounts": chosen}).headers[
        "location"
    ]
    (part,) = client.get("/api/v1/operations").json()["items"]
    read: list[object] = []

    def acknowledge(*cursor_and_statement: object) -> None:
        if "count(" in str(cursor_and_statement[2]) and not read:
            read.append(cursor_and_statement)
            Desk(plane, Clock(NOW + 5)).note_done("mail1", part["id"], None)

    event.listen(plane.engine, "after_cursor_execute", acknowledge)
    described = client.get(bulk).json()

    assert read
    assert (described["state"] == "done") == (described["acknowledged_at_seconds"] is not None)
    assert client.get(bulk).json()["state"] == "done"


def test_address_is_forgotten_at_the_acknowledgement(client: TestClient, plane: Plane) -> None:
    id_ = client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"]

    Desk(plane, Clock(NOW + 5)).note_done("mail1", id_, None)

    operation = client.get(f"/api/v1/operations/{id_}").json()
    assert (operation["state"], operation["acknowledged_at_seconds"]) == ("done", NOW + 5)
    with plane.sessions() as session:
        assert read_operation(session, id_).arguments is None
    assert client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"] != id_


def test_operation_that_the_node_refuses_has_failed(client: TestClient, plane: Plane) -> None:
    id_ = client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"]
    desk = Desk(plane, Clock())

    desk.note_done("mail1", id_, "No such account.\0")
    desk.note_done("mail1", id_, None)

    operation = client.get(f"/api/v1/operations/{id_}").json()
    assert (operation["state"], operation["problem"]) == ("failed", "No such account.")


@pytest.mark.parametrize(("node", "id_"), [("mail2", None), ("mail1", "unknown"), ("mail1", "\0")])
def test_node_cannot_acknowledge_what_is_not_its_own(
    client: TestClient, plane: Plane, node: str, id_: str | None
) -> None:
    own = client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"]

    Desk(plane).note_done(node, id_ or own, None)

    assert client.get(f"/api/v1/operations/{own}").json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("user@[192.0.2.1]", 202),
        ("user@[IPv6:2001:db8::1]", 202),
        ("x" * 64 + "@" + "y" * 255, 202),
        ("x" * 65 + "@y", 400),
        ("x@" + "y" * 256, 400),
        ("alice", 400),
        ("@example.org", 400),
        ("a@b@c", 400),
        ("a%20b@c", 400),
        ("a%00b@c", 400),
        ("%D9%86@c", 400),
    ],
)
def test_only_what_can_be_an_address_is_passed_on(client: TestClient, address: str, status: int) -> None:
    assert client.delete(f"{ACCOUNTS}/{address}").status_code == status


def test_turn_node_has_no_accounts(client: TestClient) -> None:
    assert client.delete("/api/v1/nodes/turn1/accounts/a@b").status_code == 409
    assert client.delete("/api/v1/nodes/mail9/accounts/a@b").status_code == 404


@pytest.mark.parametrize("id_", ["unknown", "%00"])
def test_unknown_operation_is_not_found(client: TestClient, id_: str) -> None:
    assert client.get(f"/api/v1/operations/{id_}").status_code == 404


def test_operations_of_a_retired_node_are_dropped(client: TestClient) -> None:
    id_ = client.delete(f"{ACCOUNTS}/alice@example.org").json()["id"]

    client.delete("/api/v1/nodes/mail1")

    assert client.get(f"/api/v1/operations/{id_}").status_code == 404
