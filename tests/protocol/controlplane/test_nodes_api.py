"""Nodes over HTTP: how they are enrolled, shown and retired."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.errors import FleetFullError
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.turn_access import LARGEST_MODULUS
from controlplane.plane import Plane
from nodelink.contract.enrolment import Enrolment, read_join_token
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import NodeKind
from support.controlplane_site import NOW, PUBLIC_URL, Clock, add_node, make_report, open_client

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def invite(client: TestClient, name: str = "mail1", kind: str = "mail", **fields: object) -> str:
    answer = client.post("/api/v1/join-tokens", json={"name": name, "kind": kind} | fields)
    assert answer.status_code == 201, answer.text
    return read_join_token(answer.json()["join_token"]).secret


def join(client: TestClient, secret: str, kind: str = "mail", key: str | None = None) -> tuple[int, str]:
    body = {"join_secret": secret, "kind": kind, "public_key": key or PrivateKey.generate().public.x}
    answer = client.post("/api/v1/enrolments", json=body, headers={"authorization": ""})
    return answer.status_code, answer.json().get("type", answer.text)


def test_join_token_makes_a_node(client: TestClient, plane: Plane) -> None:
    key = PrivateKey.generate().public.x

    status, text = join(client, invite(client), key=key)

    enrolment = Enrolment.model_validate_json(text)
    assert (status, enrolment.node, enrolment.kind) == (201, "mail1", NodeKind.MAIL)
    assert (enrolment.url, enrolment.trusted_keys) == (PUBLIC_URL, plane.keys.trusted)
    assert client.get("/api/v1/nodes/mail1").json()["public_key"] == key


def test_join_token_says_when_it_expires(client: TestClient) -> None:
    answer = client.post("/api/v1/join-tokens", json={"name": "turn1", "kind": "turn"}).json()

    assert (answer["name"], answer["kind"], answer["expires_at_seconds"]) == ("turn1", "turn", NOW + DAY)


def test_join_token_is_good_once(client: TestClient) -> None:
    secret = invite(client)
    assert join(client, secret)[0] == 201

    assert join(client, secret) == (403, "/problems/join_refused")


def test_of_many_who_use_a_join_token_at_once_one_gets_in(client: TestClient) -> None:
    secret = invite(client)

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(status for status, _ in threads.map(lambda _: join(client, secret), range(8)))

    assert statuses == [201] + [403] * 7
    assert len(client.get("/api/v1/nodes").json()["items"]) == 1


@pytest.mark.parametrize(("age", "status"), [(DAY - 1, 201), (DAY, 403)])
def test_join_token_expires_at_its_second(client: TestClient, clock: Clock, age: int, status: int) -> None:
    secret = invite(client)
    clock.now += age

    assert join(client, secret)[0] == status


def test_join_token_of_another_kind_is_refused_and_stays_good(client: TestClient) -> None:
    secret = invite(client, kind="mail")

    assert join(client, secret, kind="turn") == (403, "/problems/join_refused")
    assert join(client, secret, kind="mail")[0] == 201


def test_join_secrets_cannot_be_guessed_at_speed(client: TestClient) -> None:
    statuses = [join(client, f"a wrong secret {number}")[0] for number in range(WRONG_TOKEN_BURST + 1)]

    assert statuses == [403] * WRONG_TOKEN_BURST + [429]
    assert join(client, invite(client))[0] == 201


def test_node_that_exists_is_not_invited_again_but_on_demand(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")
    body = {"name": "mail1", "kind": "mail"}
    assert client.post("/api/v1/join-tokens", json=body).status_code == 409
    key = PrivateKey.generate().public.x

    assert join(client, invite(client, replace_key=True), key=key)[0] == 201
    assert client.get("/api/v1/nodes/mail1").json()["public_key"] == key


def test_node_enrolled_meanwhile_is_not_replaced_by_an_older_invitation(
    client: TestClient, plane: Plane
) -> None:
    secret = invite(client)
    key = add_node(plane, "mail1")

    assert join(client, secret) == (409, "/problems/node_exists")
    assert client.get("/api/v1/nodes/mail1").json()["public_key"] == key.public.x


def test_two_nodes_cannot_have_one_key(client: TestClient, plane: Plane) -> None:
    key = add_node(plane, "mail1")

    assert join(client, invite(client, "mail2"), key=key.public.x) == (409, "/problems/key_in_use")


def test_node_is_shown_with_its_health(client: TestClient, plane: Plane, clock: Clock) -> None:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    Desk(plane, clock).note_report(
        "mail1", make_report(problems=("The disk is full.",), overrides=("jit_enabled",))
    )
    clock.now += 3

    mail1, turn1 = client.get("/api/v1/nodes").json()["items"]

    assert (mail1["health"], mail1["is_connected"], mail1["report_age_seconds"]) == ("problem", True, 3)
    assert (mail1["applied_revision"], mail1["revision"]) == (1, 1)
    assert (mail1["report"]["problems"], mail1["report"]["overrides"]) == (
        ["The disk is full."],
        ["jit_enabled"],
    )
    assert (turn1["health"], turn1["is_connected"], turn1["report"]) == ("never seen", False, None)
    clock.now += 60
    assert client.get("/api/v1/nodes/mail1").json()["health"] == "not connected"


@pytest.mark.parametrize("path", ["mail9", "mail9/policy", "mail9/status", "%00", "%ED%A0%80", "..%2f"])
def test_unknown_node_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(f"/api/v1/nodes/{path}").status_code == 404


def test_retired_node_is_gone_and_may_come_back(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")
    secret = invite(client, replace_key=True)

    assert client.delete("/api/v1/nodes/mail1").status_code == 204

    assert client.get("/api/v1/nodes").json() == {"items": [], "next_cursor": None}
    assert client.delete("/api/v1/nodes/mail1").status_code == 404
    assert join(client, secret)[0] == 403
    assert join(client, invite(client))[0] == 201


def test_residue_is_never_given_out_twice(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")
    client.delete("/api/v1/nodes/mail1")
    add_node(plane, "mail1")
    add_node(plane, "mail2")

    with plane.sessions() as session:
        assert [read_node(session, name).residue for name in ("mail1", "mail2")] == [1, 2]


def test_seventeenth_mail_node_changes_the_modulus_of_all(plane: Plane) -> None:
    Desk(plane).note_report("turn1", make_report(NodeKind.TURN))  # not enrolled: must not count
    add_node(plane, "turn1", NodeKind.TURN)
    Desk(plane).note_report("turn1", make_report(NodeKind.TURN))
    for number in range(16):
        add_node(plane, f"mail{number}")
    with plane.sessions() as session:
        before = read_node(session, "mail0").revision

    add_node(plane, "mail16")

    with plane.sessions() as session:
        assert read_node(session, "mail0").revision == before + 1


def test_fleet_that_has_no_residue_left_takes_no_mail_node(client: TestClient, plane: Plane) -> None:
    with plane.sessions.begin() as session:
        begin_change(session).mail_nodes_ever = LARGEST_MODULUS
    secret = invite(client)

    assert join(client, secret) == (409, "/problems/fleet_full")
    assert join(client, invite(client, "turn1", "turn"), kind="turn")[0] == 201
    with pytest.raises(FleetFullError):
        add_node(plane, "mail2")
    assert len(client.get("/api/v1/nodes").json()["items"]) == 1


def test_status_of_a_node_that_is_not_connected_is_unavailable(client: TestClient, plane: Plane) -> None:
    add_node(plane, "mail1")

    answer = client.get("/api/v1/nodes/mail1/status")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/node_not_connected")


def test_api_is_described(client: TestClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]

    assert {
        "/api/v1/nodes",
        "/api/v1/policy",
        "/api/v1/enrolments",
        "/api/v1/operations/{operation_id}",
    } <= set(paths)
