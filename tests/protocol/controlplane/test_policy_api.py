"""Policy as operators meet it over HTTP, and what nodes get of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from controlplane.nodes.desired import Wanted, read_ingredients, read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.plane import Plane
from nodelink.contract.states import MailNodeState, NodeKind, TurnNodeState
from support.controlplane_site import (
    NOW,
    Clock,
    add_group,
    add_node,
    add_node_token,
    make_report,
    open_client,
    open_test_plane,
    read_turn_secrets,
)

FLEET = "/api/v1/policy"
MAIL1 = "/api/v1/nodes/mail1/policy"
CLOSE: dict[str, Any] = {"registration_open": False}


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    for name in ("mail1", "mail2"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    with open_client(plane) as client:
        yield client


def look(client: TestClient, url: str) -> str:
    return client.get(url).headers["etag"]


def change(
    client: TestClient, url: str, seen: str | None = None, **values: object
) -> tuple[int, dict[str, object]]:
    answer = client.patch(url, json=values, headers={"if-match": seen or look(client, url)})
    return answer.status_code, answer.json()


def wanted(plane: Plane, name: str) -> Wanted:
    with plane.sessions() as session:
        return read_wanted(session, plane.facts, read_node(session, name))


def mail_state(plane: Plane, name: str) -> MailNodeState:
    state = wanted(plane, name).state
    assert isinstance(state, MailNodeState)
    return state


def revisions(plane: Plane) -> list[int]:
    return [wanted(plane, name).revision for name in ("mail1", "mail2", "turn1")]


def test_fleet_begins_open(client: TestClient) -> None:
    assert client.get(FLEET).json() == {
        "revision": 1,
        "registration_open": True,
        "jit_enabled": True,
        "registration_token_required": False,
        "app_accounts_enabled": True,
        "backup_addresses": 1,
        "quota_bytes": 1 << 30,
        "message_bytes": 31_457_280,
        "message_retention_days": 0,
        "unused_account_days": 0,
        "large_message_retention_days": 0,
        "auto_trim": True,
        "turn_enabled": True,
        "push_enabled": True,
        "push_pauses": False,
        "turn_announced_port": 0,
        "turn_lifetime_seconds": 5 * 86_400,
        "turn_allocations_per_credential": 16,
        "turn_allocations": 4096,
        "missing_nodes": ["mail1", "mail2", "turn1"],
    }


def test_answer_names_the_nodes_that_are_not_there(client: TestClient, plane: Plane) -> None:
    tag = client.get(FLEET).headers["etag"]
    Desk(plane, Clock()).note_report("mail1", make_report())

    answer = client.patch(FLEET, json={"quota_bytes": 1 << 31}, headers={"if-match": tag})

    assert answer.json()["missing_nodes"] == ["mail2", "turn1"]
    assert client.get("/api/v1/nodes/mail1/policy").json()["missing_nodes"] == []
    assert client.get("/api/v1/nodes/mail2/policy").json()["missing_nodes"] == ["mail2"]
    of_mail1 = {"authorization": f"Bearer {add_node_token(plane, 'mail1')}"}
    assert client.get(FLEET, headers=of_mail1).json()["missing_nodes"] == []


def test_change_of_the_fleet_reaches_every_mail_node_and_no_other(client: TestClient, plane: Plane) -> None:
    before = revisions(plane)

    status, policy = change(client, FLEET, **CLOSE)

    assert (status, policy["revision"], policy["registration_open"]) == (200, 2, False)
    assert [after - old for after, old in zip(revisions(plane), before, strict=True)] == [1, 1, 0]
    assert not mail_state(plane, "mail2").registration_open


def test_change_of_turn_rules_reaches_turn_nodes(client: TestClient, plane: Plane) -> None:
    change(client, FLEET, turn_allocations=100)

    state = wanted(plane, "turn1").state
    assert isinstance(state, TurnNodeState)
    assert (state.allocations, wanted(plane, "turn1").revision) == (100, 2)


def test_change_of_one_node_reaches_that_node_only(client: TestClient, plane: Plane) -> None:
    before = revisions(plane)

    status, policy = change(client, MAIL1, quota_bytes=5 << 20)

    assert (status, policy["revision"], policy["group_name"]) == (200, 2, None)
    assert policy["overrides"] == {
        "registration_open": None,
        "jit_enabled": None,
        "registration_token_required": None,
        "app_accounts_enabled": None,
        "backup_addresses": None,
        "quota_bytes": 5 << 20,
        "message_bytes": None,
        "message_retention_days": None,
        "unused_account_days": None,
        "large_message_retention_days": None,
        "auto_trim": None,
        "turn_enabled": None,
        "push_enabled": None,
        "push_pauses": None,
        "turn_announced_port": None,
    }
    assert [after - old for after, old in zip(revisions(plane), before, strict=True)] == [1, 0, 0]
    assert (mail_state(plane, "mail1").quota_bytes, mail_state(plane, "mail2").quota_bytes) == (
        5 << 20,
        1 << 30,
    )


def test_node_that_differs_is_not_woken_by_the_fleet(client: TestClient, plane: Plane) -> None:
    change(client, MAIL1, registration_open=True)
    before = revisions(plane)

    change(client, FLEET, **CLOSE)

    assert [after - old for after, old in zip(revisions(plane), before, strict=True)] == [0, 1, 0]
    assert client.get(MAIL1).json()["in_force"]["registration_open"]


def test_node_follows_the_fleet_again(client: TestClient, plane: Plane) -> None:
    change(client, FLEET, **CLOSE)
    change(client, MAIL1, registration_open=True)

    change(client, MAIL1, registration_open=None)

    assert not mail_state(plane, "mail1").registration_open


def test_change_of_what_was_changed_meanwhile_is_refused(client: TestClient) -> None:
    seen, seen_of_node = look(client, FLEET), look(client, MAIL1)
    change(client, FLEET, **CLOSE)

    status, problem = change(client, FLEET, seen, jit_enabled=False)

    assert (status, problem["type"]) == (412, "/problems/changed_meanwhile")
    assert client.get(FLEET).json()["jit_enabled"]
    assert change(client, MAIL1, seen_of_node, **CLOSE)[0] == 412  # what is in force on it has changed


def test_change_that_changes_nothing_keeps_every_revision(client: TestClient, plane: Plane) -> None:
    before = revisions(plane)

    assert change(client, FLEET, registration_open=True)[1]["revision"] == 1
    assert change(client, MAIL1)[1]["revision"] == 1
    assert revisions(plane) == before


def test_of_many_operators_at_the_same_moment_one_wins(client: TestClient) -> None:
    seen = look(client, FLEET)

    def close(quota_bytes: int) -> int:
        return change(client, FLEET, seen, quota_bytes=quota_bytes)[0]

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(close, range(2 << 20, 10 << 20, 1 << 20)))

    assert statuses == [200] + [412] * 7


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("quota_bytes", (1 << 20) - 1, 422),
        ("quota_bytes", 1 << 20, 200),
        ("quota_bytes", 1 << 50, 200),
        ("quota_bytes", (1 << 50) + 1, 422),
        ("message_bytes", (1 << 16) - 1, 422),
        ("message_bytes", 1 << 16, 200),
        ("message_bytes", 1 << 30, 200),
        ("message_bytes", (1 << 30) + 1, 422),
        ("message_retention_days", -1, 422),
        ("message_retention_days", 0, 200),
        ("message_retention_days", 3650, 200),
        ("message_retention_days", 3651, 422),
        ("unused_account_days", 3650, 200),
        ("large_message_retention_days", 3650, 200),
        ("large_message_retention_days", 3651, 422),
        ("unused_account_days", 3651, 422),
        ("turn_lifetime_seconds", 86_399, 422),
        ("turn_lifetime_seconds", 86_400, 200),
        ("turn_lifetime_seconds", 30 * 86_400, 200),
        ("turn_lifetime_seconds", 30 * 86_400 + 1, 422),
        ("turn_allocations_per_credential", 0, 422),
        ("turn_allocations_per_credential", 10_000, 200),
        ("turn_allocations_per_credential", 10_001, 422),
        ("turn_allocations", 0, 422),
        ("turn_allocations", 1_000_000, 200),
        ("turn_allocations", 1_000_001, 422),
        ("registration_open", None, 422),
        ("registration_open", "perhaps", 422),
        ("colour", "blue", 422),
        ("registration_open", "true", 422),
        ("registration_open", 1, 422),
        ("quota_bytes", True, 422),
        ("quota_bytes", str(1 << 20), 422),
        ("quota_bytes", 10**30, 422),
        ("revision", 1, 422),
    ],
)
def test_values_have_limits(client: TestClient, field: str, value: object, status: int) -> None:
    assert client.patch(FLEET, json={field: value}, headers={"if-match": "*"}).status_code == status


def test_turn_node_has_no_policy_of_its_own(client: TestClient) -> None:
    assert client.get("/api/v1/nodes/turn1/policy").json()["type"] == "/problems/wrong_kind"


def test_commit_that_fails_is_never_answered_as_a_success(client: TestClient, plane: Plane) -> None:
    seen = look(client, FLEET)

    @event.listens_for(plane.sessions, "before_commit", once=True)
    def fill_the_disk(_: Session) -> None:
        raise OperationalError("COMMIT", None, OSError("disk full"))

    status, problem = change(client, FLEET, seen, **CLOSE)

    assert (status, problem["type"]) == (503, "/problems/database_busy")
    assert client.get(FLEET).json()["registration_open"]


def test_mail_nodes_hear_where_turn_is_when_a_turn_node_says_so(client: TestClient, plane: Plane) -> None:
    del client
    desk, before = Desk(plane, Clock()), revisions(plane)
    assert mail_state(plane, "mail1").turn is None

    assert desk.note_report("turn1", make_report(NodeKind.TURN))
    assert not desk.note_report("turn1", make_report(NodeKind.TURN, problems=("It is hot.",)))
    assert [after - old for after, old in zip(revisions(plane), before, strict=True)] == [1, 1, 0]
    first = mail_state(plane, "mail1").turn
    assert desk.note_report(
        "turn1", make_report(NodeKind.TURN, public_name="turn.example.org", public_port=3479)
    )

    second, other = mail_state(plane, "mail1").turn, mail_state(plane, "mail2").turn
    assert first is not None
    assert second is not None
    assert other is not None
    assert (first.host, first.port) == ("192.0.2.1", 3478)
    assert (second.host, second.port) == ("turn.example.org", 3479)
    assert (second.residue, other.residue, second.modulus) == (0, 1, 16)
    assert second.secret == other.secret == read_turn_secrets(plane)[0]


def test_turn_node_that_has_gone_is_replaced_by_one_that_is_there(client: TestClient, plane: Plane) -> None:
    del client
    add_node(plane, "turn2", NodeKind.TURN)
    clock = Clock(NOW)
    desk = Desk(plane, clock)
    desk.note_report("turn1", make_report(NodeKind.TURN))
    clock.now += 10
    assert desk.note_report(
        "turn2", make_report(NodeKind.TURN, public_name="192.0.2.2")
    )  # its peers hear of it
    assert not desk.tend_turn_service()

    clock.now += 6
    assert desk.tend_turn_service()

    turn = mail_state(plane, "mail1").turn
    assert turn is not None
    assert turn.host == "192.0.2.2"
    assert not desk.tend_turn_service()


def test_retired_turn_node_is_not_handed_out_any_more(client: TestClient, plane: Plane) -> None:
    desk = Desk(plane, Clock())
    desk.note_report("turn1", make_report(NodeKind.TURN))

    client.delete("/api/v1/nodes/turn1")

    assert mail_state(plane, "mail1").turn is None


def test_name_in_the_settings_goes_before_what_turn_nodes_say(plane: Plane) -> None:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    directory = plane.settings.state_directory.parent
    with open_test_plane(directory, turn_name="turn.example.org", turn_port=3480) as named:
        Desk(named, Clock()).adopt_settings()
        Desk(named, Clock()).note_report("turn1", make_report(NodeKind.TURN))
        turn = mail_state(named, "mail1").turn

    assert turn is not None
    assert (turn.host, turn.port) == ("turn.example.org", 3480)


def turn_place(plane: Plane, name: str = "mail1") -> tuple[str, int]:
    turn = mail_state(plane, name).turn
    assert turn is not None
    return turn.host, turn.port


def test_nearest_policy_names_the_port_at_which_apps_find_turn(client: TestClient, plane: Plane) -> None:
    add_group(plane, "eu", "mail1")
    Desk(plane, Clock()).note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478, 443, 53)))
    assert client.get("/api/v1/turn").json()["udp_ports"] == [53, 443, 3478]
    places = []

    for url, port in ((FLEET, 443), ("/api/v1/groups/eu/policy", 53), (MAIL1, 0), (MAIL1, None)):
        assert change(client, url, turn_announced_port=port)[0] == 200
        places.append([turn_place(plane, name)[1] for name in ("mail1", "mail2")])

    assert places == [[443, 443], [53, 443], [3478, 443], [53, 443]]


@pytest.mark.parametrize(
    ("port", "status"), [(-1, 422), (0, 200), (1, 200), (65535, 200), (65536, 422), (443, 400), ("443", 422)]
)
def test_only_a_port_at_which_a_turn_node_listens_can_be_named(
    client: TestClient, plane: Plane, port: object, status: int
) -> None:
    Desk(plane, Clock()).note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478, 1, 65535)))

    assert change(client, FLEET, turn_announced_port=port)[0] == status
    assert change(client, MAIL1, turn_announced_port=port)[0] == status


def test_fleet_without_a_turn_node_has_no_port_to_name(client: TestClient, plane: Plane) -> None:
    before = revisions(plane)

    status, problem = change(client, FLEET, turn_announced_port=3478)

    assert (status, problem["type"]) == (400, "/problems/turn_port_silent")
    assert "turnnode_other_udp_ports" in str(problem["title"])
    assert revisions(plane) == before
    assert client.get(FLEET).json()["turn_announced_port"] == 0


def test_usual_port_is_named_while_nobody_listens_at_the_other(client: TestClient, plane: Plane) -> None:
    desk = Desk(plane, Clock())
    wide = make_report(NodeKind.TURN, udp_ports=(3478, 443))
    desk.note_report("turn1", wide)
    change(client, FLEET, turn_announced_port=443)
    assert turn_place(plane) == ("192.0.2.1", 443)

    assert desk.note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478,)))
    assert turn_place(plane) == ("192.0.2.1", 3478)
    assert change(client, FLEET, quota_bytes=1 << 31)[0] == 200  # other words are not held up by it
    assert change(client, FLEET, quota_bytes=1 << 30, turn_announced_port=443)[0] == 200

    assert desk.note_report("turn1", wide)
    assert turn_place(plane) == ("192.0.2.1", 443)


def test_turn_node_of_an_older_version_is_found_at_its_only_port(client: TestClient, plane: Plane) -> None:
    Desk(plane, Clock()).note_report("turn1", make_report(NodeKind.TURN))

    assert change(client, FLEET, turn_announced_port=3478)[0] == 200
    assert change(client, FLEET, turn_announced_port=443)[0] == 400


def test_node_that_listens_at_the_port_is_named_in_place_of_the_usual_one(
    client: TestClient, plane: Plane
) -> None:
    add_node(plane, "turn2", NodeKind.TURN)
    desk = Desk(plane, Clock())
    desk.note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478,)))
    desk.note_report("turn2", make_report(NodeKind.TURN, public_name="192.0.2.2", udp_ports=(3478, 443)))

    change(client, MAIL1, turn_announced_port=443)

    assert turn_place(plane, "mail1") == ("192.0.2.2", 443)
    assert turn_place(plane, "mail2") == ("192.0.2.1", 3478)


def test_name_of_all_turn_nodes_is_handed_out_with_the_port_of_the_policy(plane: Plane) -> None:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    with open_test_plane(plane.settings.state_directory.parent, turn_name="turn.example.org") as named:
        Desk(named, Clock()).adopt_settings()
        Desk(named, Clock()).note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478, 443)))
        with open_client(named) as client:
            assert change(client, MAIL1, turn_announced_port=443)[0] == 200

        assert turn_place(named) == ("turn.example.org", 443)


@pytest.mark.parametrize("first", ["mail1", "mail2", "mail3", "mail4"])
def test_states_decided_together_are_those_of_each_alone(
    client: TestClient, plane: Plane, first: str
) -> None:
    """What is in force is remembered for a place; whoever comes first must not decide for the others."""
    for name in ("mail3", "mail4"):
        add_node(plane, name)
    add_group(plane, "eu", "mail1", "mail2", "mail3")
    change(client, FLEET, quota_bytes=4 << 30)
    change(client, "/api/v1/groups/eu/policy", quota_bytes=3 << 30)
    change(client, MAIL1, quota_bytes=2 << 30)
    words = {"is_enabled": False}
    client.patch("/api/v1/nodes/mail2/federation", json=words, headers={"if-match": "*"}).raise_for_status()
    names = sorted(("mail1", "mail2", "mail3", "mail4"), key=lambda name: name != first)

    with plane.sessions() as session:
        ingredients = read_ingredients(session, plane.facts, (), None)
        together = {name: ingredients.decide(read_node(session, name)).state for name in names}

    told = {}
    for name, state in together.items():
        assert isinstance(state, MailNodeState)
        assert state.federation is not None
        told[name] = (state.quota_bytes >> 30, state.federation.is_enabled)
        assert state.quota_bytes == mail_state(plane, name).quota_bytes
    assert told == {"mail1": (2, True), "mail2": (3, False), "mail3": (3, True), "mail4": (4, True)}
