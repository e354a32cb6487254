"""Moving ports over HTTP: what nodes are told, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import retire_node
from controlplane.nodes.models import Node
from controlplane.nodes.port_errors import MailPortClosedError
from controlplane.nodes.port_models import NodePort
from controlplane.nodes.ports import change_fleet_port, read_wanted_ports, reset_port, set_port
from controlplane.plane import Plane
from nodelink.contract.ports import PortName, PortReport
from nodelink.contract.states import MailNodeState, MailPorts, NodeKind, TurnNodeState
from support.controlplane_site import (
    AUTHOR,
    Clock,
    add_node,
    add_node_token,
    make_report,
    open_client,
    open_test_plane,
)

PORTS = "/api/v1/nodes/mail1/ports"
MAIL_PORTS = {"submission": 587, "submission_tls": 465, "imap": 143, "imap_tls": 993}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path) as plane:
        add_node(plane, "mail1", NodeKind.MAIL)
        add_node(plane, "turn1", NodeKind.TURN)
        yield plane


@pytest.fixture
def desk(plane: Plane) -> Desk:
    return Desk(plane, Clock())


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    with open_client(plane, create_app(plane, clock=Clock())) as client:
        yield client


def report_mail(desk: Desk, *alternates: int, name: str = "mail1", **moved: int) -> None:
    ports = [
        PortReport(name=each, configured=port, effective=moved.get(each, port), problem=None)
        for each, port in MAIL_PORTS.items()
    ]
    desk.note_report(name, make_report(ports=ports, alternate_ports=alternates))


def report_turn(desk: Desk, number: int = 3478) -> None:
    port = PortReport(name="turn", configured=3478, effective=number, problem=None)
    desk.note_report(
        "turn1", make_report(NodeKind.TURN, ports=[port], alternate_ports=[443], public_port=number)
    )


def move(client: TestClient, path: str = PORTS, /, **change: int | None) -> Any:  # noqa: ANN401 - the client's answer
    tag = client.get(path).headers["etag"]
    return client.patch(path, json=change, headers={"if-match": tag})


def read_state(plane: Plane, name: str) -> tuple[int, MailNodeState | TurnNodeState]:
    with plane.sessions() as session:
        node = session.get(Node, name)
        assert node is not None
        wanted = read_wanted(session, plane.facts, node)
        return wanted.revision, wanted.state


def test_ports_are_shown_before_and_after_the_first_report(client: TestClient, desk: Desk) -> None:
    before = client.get(PORTS).json()
    report_mail(desk, 8993, 8465, imap_tls=8993)
    after = client.get(PORTS).json()

    assert before["alternate_ports"] == []
    assert [port["configured"] for port in before["ports"]] == [None] * 4
    assert after["node_name"] == "mail1"
    assert (after["alternate_ports"], after["variable"]) == ([8993, 8465], "mailnode_alternate_ports")
    assert after["ports"][3] == {
        "name": "imap_tls",
        "configured": 993,
        "wanted": None,
        "effective": 8993,
        "problem": None,
    }


def test_node_is_told_at_the_next_revision_and_told_back(
    client: TestClient, desk: Desk, plane: Plane
) -> None:
    report_mail(desk, 8993, 8465)
    revision, _ = read_state(plane, "mail1")

    answer = move(client, imap_tls=8993, submission_tls=8465)
    assert answer.status_code == 200, answer.text
    assert [port["wanted"] for port in answer.json()["ports"]] == [None, 8465, None, 8993]
    moved = read_state(plane, "mail1")
    assert moved[0] == revision + 1
    assert isinstance(moved[1], MailNodeState)
    assert moved[1].ports == MailPorts(imap_tls=8993, submission_tls=8465)

    assert move(client, imap_tls=None).status_code == 200
    assert read_state(plane, "mail1")[0] == revision + 2
    with plane.sessions() as session:
        assert read_wanted_ports(session, "mail1") == {PortName.SUBMISSION_TLS: 8465}


def test_change_that_changes_nothing_is_none(client: TestClient, desk: Desk, plane: Plane) -> None:
    report_mail(desk, 8993)
    move(client, imap_tls=8993)
    revision, _ = read_state(plane, "mail1")
    entries = len(client.get("/api/v1/audit").json()["items"])

    assert move(client, imap_tls=8993).status_code == 200
    assert move(client).status_code == 200
    assert read_state(plane, "mail1")[0] == revision
    assert len(client.get("/api/v1/audit").json()["items"]) == entries


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"imap_tls": 8994}, 400, "Add it to mailnode_alternate_ports and run the playbook."),
        ({"turn": 443}, 409, "Nodes of this kind have no such port."),
        ({"imap": 8993, "imap_tls": 8993}, 409, "Another service of the node has this port."),
        ({"imap_tls": 0}, 422, "malformed"),
        ({"imap_tls": 65536}, 422, "malformed"),
        ({"imap_tls": "8993"}, 422, "malformed"),
        ({"https": 8443}, 422, "malformed"),
    ],
)
def test_refusal_says_what_to_do(
    client: TestClient, desk: Desk, change: dict[str, int], status: int, text: str
) -> None:
    report_mail(desk, 8993)

    answer = move(client, **change)

    assert answer.status_code == status
    assert text in answer.json()["title"]
    assert {port["wanted"] for port in client.get(PORTS).json()["ports"]} == {None}


def test_turn_port_of_a_turn_node_names_its_own_variable(client: TestClient, desk: Desk) -> None:
    report_turn(desk)

    answer = move(client, "/api/v1/nodes/turn1/ports", turn=53)

    assert answer.status_code == 400
    assert "turnnode_alternate_ports" in answer.json()["title"]


def test_mail_nodes_hand_out_the_turn_port_as_soon_as_it_is_there(
    client: TestClient, desk: Desk, plane: Plane
) -> None:
    report_turn(desk)
    assert move(client, "/api/v1/nodes/turn1/ports", turn=443).status_code == 200
    told = read_state(plane, "turn1")[1]
    assert isinstance(told, TurnNodeState)
    assert told.port == 443
    report_turn(desk, 443)

    state = read_state(plane, "mail1")[1]
    assert isinstance(state, MailNodeState)
    assert state.turn is not None
    assert state.turn.port == 443


def test_name_of_all_turn_nodes_is_handed_out_with_the_port_to_which_they_moved(tmp_path: Path) -> None:
    with open_test_plane(tmp_path, turn_name="turn.example.org") as plane:
        add_node(plane, "mail1", NodeKind.MAIL)
        add_node(plane, "turn1", NodeKind.TURN)
        desk = Desk(plane, Clock())
        for number in (3478, 443, 3478):
            report_turn(desk, number)
            state = read_state(plane, "mail1")[1]
            assert isinstance(state, MailNodeState)
            assert state.turn is not None
            assert (state.turn.host, state.turn.port) == ("turn.example.org", number)


def test_change_needs_the_tag_of_what_was_seen(client: TestClient, desk: Desk) -> None:
    report_mail(desk, 8993)
    tag = client.get(PORTS).headers["etag"]
    report_mail(desk, 8993, 8143)

    assert client.patch(PORTS, json={"imap_tls": 8993}).status_code == 428
    assert client.patch(PORTS, json={"imap_tls": 8993}, headers={"if-match": tag}).status_code == 200
    assert client.patch(PORTS, json={"imap_tls": None}, headers={"if-match": tag}).status_code == 412


def test_only_who_may_change_the_node_moves_its_ports(client: TestClient, desk: Desk, plane: Plane) -> None:
    report_mail(desk, 8993)

    def try_as(token: str) -> tuple[int, int]:
        headers = {"authorization": f"Bearer {token}"}
        shown = client.get(PORTS, headers=headers)
        tagged = headers | {"if-match": "*"}
        return shown.status_code, client.patch(PORTS, json={"imap_tls": 8993}, headers=tagged).status_code

    assert try_as(add_node_token(plane, "mail1", Role.OPERATOR)) == (200, 200)
    assert try_as(add_node_token(plane, "turn1", Role.OPERATOR)) == (403, 403)
    client.patch(PORTS, json={"imap_tls": None}, headers={"if-match": "*"})
    viewer = client.post("/api/v1/admin-tokens", json={"name": "eve", "role": "viewer"}).json()["token"]
    assert try_as(viewer) == (200, 403)
    assert client.get(PORTS.replace("mail1", "mail9")).status_code == 404


def test_audit_log_says_where_a_port_was_and_is(client: TestClient, desk: Desk) -> None:
    report_mail(desk, 8993)
    move(client, imap_tls=8993)

    entry = next(
        entry
        for entry in client.get("/api/v1/audit").json()["items"]
        if entry["action"] == "node-ports.change"
    )

    assert (entry["target"], entry["before"], entry["after"]) == (
        "mail1",
        {"imap_tls": None},
        {"imap_tls": 8993},
    )


def test_port_of_the_fleet_moves_on_every_node_or_on_none(desk: Desk, plane: Plane) -> None:
    add_node(plane, "mail2", NodeKind.MAIL)
    report_mail(desk, 8993)
    report_mail(desk, name="mail2")

    with pytest.raises(MailPortClosedError), plane.sessions.begin() as session:
        change_fleet_port(session, plane.facts, AUTHOR, PortName.IMAP_TLS, 8993)
    with plane.sessions() as session:
        assert session.exec(select(NodePort)).all() == []
    report_mail(desk, 8993, name="mail2")
    with plane.sessions.begin() as session:
        nodes = change_fleet_port(session, plane.facts, AUTHOR, PortName.IMAP_TLS, 8993)
    assert nodes == ["mail1", "mail2"]
    with plane.sessions.begin() as session:
        reset_port(session, plane.facts, AUTHOR, "mail1", PortName.IMAP_TLS)
        set_port(session, plane.facts, AUTHOR, "mail1", (PortName.IMAP, 8993))
    with plane.sessions() as session:
        assert read_wanted_ports(session, "mail1") == {PortName.IMAP: 8993}
        assert read_wanted_ports(session, "mail2") == {PortName.IMAP_TLS: 8993}


def test_ports_of_a_retired_node_are_forgotten(client: TestClient, desk: Desk, plane: Plane) -> None:
    report_mail(desk, 8993)
    move(client, imap_tls=8993)
    with plane.sessions.begin() as session:
        retire_node(session, plane.facts, "mail1", AUTHOR)

    with plane.sessions() as session:
        assert session.exec(select(NodePort)).all() == []
