"""Replacing the secret behind TURN credentials: what nodes are told at each step; nothing is lost between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.models import Node, Secret
from controlplane.nodes.states import CREDENTIAL_MARGIN_SECONDS
from controlplane.nodes.turn_models import TurnSecret
from controlplane.nodes.turn_secrets import AWAITED_SECONDS, FORMER_NAME
from controlplane.plane import Plane, open_plane
from nodelink.contract.states import MailNodeState, NodeKind, TurnNodeState
from support.controlplane_site import (
    Clock,
    add_node,
    add_node_token,
    add_token,
    make_report,
    make_settings,
    open_client,
    open_test_plane,
    read_turn_secrets,
)

TURN = "/api/v1/turn"
LIFETIME_SECONDS = 5 * 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path) as plane:
        add_node(plane, "mail1", NodeKind.MAIL)
        add_node(plane, "turn1", NodeKind.TURN)
        add_node(plane, "turn2", NodeKind.TURN)
        yield plane


@pytest.fixture
def desk(plane: Plane, clock: Clock) -> Desk:
    return Desk(plane, clock)


@pytest.fixture
def client(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def report(plane: Plane, desk: Desk, name: str, behind: int = 0) -> None:
    """Let a TURN node say that it has applied its newest state, or an older one."""
    with plane.sessions() as session:
        revision = session.exec(select(Node.revision).where(Node.name == name)).one()
    desk.note_report(name, make_report(NodeKind.TURN, applied_revision=revision - behind))


def taken_by(plane: Plane, name: str) -> tuple[str, ...]:
    """Read with which secrets a node is to work."""
    with plane.sessions() as session:
        state = read_state(plane, session, name)
    if isinstance(state, TurnNodeState):
        return state.secrets
    assert state.turn is not None
    return (state.turn.secret,)


def read_state(plane: Plane, session: Session, name: str) -> MailNodeState | TurnNodeState:
    node = session.get(Node, name)
    assert node is not None
    return read_wanted(session, plane.facts, node).state


def states(client: TestClient) -> list[str]:
    return [secret["state"] for secret in client.get(TURN).json()["secrets"]]


def test_rotation_from_the_first_step_to_the_last(
    client: TestClient, plane: Plane, desk: Desk, clock: Clock
) -> None:
    for name in ("turn1", "turn2"):
        report(plane, desk, name)
    (old,) = read_turn_secrets(plane)

    answer = client.post(f"{TURN}/secrets")
    assert answer.status_code == 201
    assert answer.json()["awaited_nodes"] == ["turn1", "turn2"]
    new, _ = taken_by(plane, "turn1")
    assert taken_by(plane, "turn1") == taken_by(plane, "turn2") == (new, old)
    assert taken_by(plane, "mail1") == (old,)

    report(plane, desk, "turn1")
    report(plane, desk, "turn2", behind=1)
    assert not desk.tend()
    assert client.get(TURN).json()["awaited_nodes"] == ["turn2"]
    assert taken_by(plane, "mail1") == (old,)

    report(plane, desk, "turn2")
    assert desk.tend()
    assert taken_by(plane, "mail1") == (new,)
    assert taken_by(plane, "turn1") == (new, old)
    assert states(client) == ["present", "former"]

    clock.now += LIFETIME_SECONDS + CREDENTIAL_MARGIN_SECONDS - 1
    desk.tend()
    assert taken_by(plane, "turn1") == (new, old)
    clock.now += 1
    assert desk.tend()
    assert taken_by(plane, "turn1") == taken_by(plane, "mail1") == (new,)
    assert states(client) == ["present"]


def test_no_third_secret_while_two_are_live(client: TestClient, plane: Plane, desk: Desk) -> None:
    report(plane, desk, "turn1")
    assert client.post(f"{TURN}/secrets").status_code == 201
    assert client.post(f"{TURN}/secrets").json()["type"] == "/problems/turn_secrets_in_use"
    report(plane, desk, "turn1")
    desk.tend()

    again = client.post(f"{TURN}/secrets")

    assert (again.status_code, states(client)) == (409, ["present", "former"])


@pytest.mark.parametrize(
    ("age_seconds", "is_awaited"), [(0, True), (AWAITED_SECONDS, True), (AWAITED_SECONDS + 1, False)]
)
def test_node_that_is_away_is_not_waited_for(
    client: TestClient, plane: Plane, desk: Desk, clock: Clock, age_seconds: int, *, is_awaited: bool
) -> None:
    report(plane, desk, "turn1")
    client.post(f"{TURN}/secrets")
    clock.now += age_seconds

    desk.tend()

    assert (states(client) == ["next", "present"]) is is_awaited


def test_fleet_without_turn_nodes_switches_at_once(client: TestClient, desk: Desk) -> None:
    client.post(f"{TURN}/secrets")
    desk.tend()

    assert states(client) == ["present", "former"]


def test_secrets_are_shown_to_nobody(client: TestClient, plane: Plane) -> None:
    client.post(f"{TURN}/secrets")

    shown = client.get(TURN).text + client.get("/api/v1/audit").text
    assert "turn-secret.rotate" in shown
    assert not [secret for secret in read_turn_secrets(plane) if secret in shown]


def test_who_may_rotate(client: TestClient, plane: Plane) -> None:
    tokens = {
        add_token(plane, Role.VIEWER, "bob"): 403,
        add_node_token(plane, "turn1"): 403,
        add_token(plane, Role.OPERATOR, "carol"): 201,
    }
    for token, status in tokens.items():
        answer = client.post(f"{TURN}/secrets", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status


def test_secret_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "older")
    with open_plane(settings) as plane, plane.sessions.begin() as session:
        session.delete(session.exec(select(TurnSecret)).one())
        session.add(Secret(name=FORMER_NAME, sealed=plane.vault.seal(FORMER_NAME, "a secret of the past")))

    for _ in range(2):
        with open_plane(settings) as plane, plane.sessions() as session:
            assert read_turn_secrets(plane) == ("a secret of the past",)
            assert session.get(Secret, FORMER_NAME) is None


def test_call_that_is_repeated_rotates_once(client: TestClient) -> None:
    answers = [client.post(f"{TURN}/secrets", headers={"idempotency-key": "rotate-1"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
