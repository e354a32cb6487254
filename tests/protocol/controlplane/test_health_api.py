"""How the fleet is, over HTTP."""

from controlplane.health.samples import keep_samples
from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import keep_report
from controlplane.plane import Plane
from nodelink.contract.reports import ProbeReport
from nodelink.contract.states import NodeKind, TurnNodeState
from support.controlplane_site import NOW, add_node, add_node_token, make_report, open_client


def keep(plane: Plane, name: str) -> None:
    with plane.sessions.begin() as session:
        keep_report(session, read_node(session, name), make_report(), NOW)
        keep_samples(session, NOW)


def test_history_of_the_fleet_and_of_a_node(plane: Plane) -> None:
    add_node(plane, "mail1")
    keep(plane, "mail1")
    with open_client(plane) as client:
        fleet = client.get("/api/v1/history", params={"minutes": 2}).json()
        assert fleet["figures"]["accounts"] == [None, 3.0]
        node = client.get("/api/v1/nodes/mail1/history").json()
        assert len(node["times_seconds"]) == len(node["figures"]["accounts"]) == 1440
        assert client.get("/api/v1/nodes/nobody/history").status_code == 404
        for minutes, status in ((0, 422), (1, 200), (1440, 200), (1441, 422)):
            assert client.get("/api/v1/history", params={"minutes": minutes}).status_code == status


def test_a_node_token_sees_the_history_of_its_node_only(plane: Plane) -> None:
    add_node(plane, "mail1")
    add_node(plane, "mail2")
    headers = {"authorization": f"Bearer {add_node_token(plane, 'mail1')}"}
    with open_client(plane) as client:
        assert client.get("/api/v1/nodes/mail1/history", headers=headers).status_code == 200
        assert client.get("/api/v1/nodes/mail2/history", headers=headers).status_code == 403
        assert client.get("/api/v1/history", headers=headers).status_code == 403


def test_probes_are_listed_in_pages_and_by_scope(plane: Plane) -> None:
    add_node(plane, "mail1")
    add_node(plane, "mail2")
    fine = ProbeReport(peer="mail2", at_seconds=NOW, seconds=0.25, problem=None)
    dead = ProbeReport(peer="mail1", at_seconds=NOW, seconds=None, problem="Not reached: no route.")
    with plane.sessions.begin() as session:
        keep_report(session, read_node(session, "mail1"), make_report(probes=(fine,)), NOW)
        keep_report(session, read_node(session, "mail2"), make_report(probes=(dead,)), NOW)
    headers = {"authorization": f"Bearer {add_node_token(plane, 'mail1')}"}
    with open_client(plane) as client:
        first = client.get("/api/v1/probes", params={"limit": 1}).json()
        cursor = {"cursor": first["next_cursor"]}
        rest = client.get("/api/v1/probes", params=cursor).json()
        assert [(each["node"], each["peer"]) for each in first["items"] + rest["items"]] == [
            ("mail1", "mail2"),
            ("mail2", "mail1"),
        ]
        assert rest["next_cursor"] is None
        failing = client.get("/api/v1/probes", params={"failing": True}).json()["items"]
        assert [each["problem"] for each in failing] == ["Not reached: no route."]
        own = client.get("/api/v1/probes", headers=headers).json()["items"]
        assert [each["node"] for each in own] == ["mail1"]
        text = client.get("/api/v1/metrics").text
        assert 'madfleet_probe_success{group="",kind="mail",node="mail2",peer="mail1"} 0.0' in text


def test_turn_nodes_are_told_of_one_another(plane: Plane) -> None:
    for name in ("turn1", "turn2"):
        add_node(plane, name, NodeKind.TURN)
        place = make_report(NodeKind.TURN, public_name=f"{name}.example.org")
        Desk(plane, lambda: NOW).note_report(name, place)
    with plane.sessions() as session:
        state = read_wanted(session, plane.facts, read_node(session, "turn1")).state
    assert isinstance(state, TurnNodeState)
    assert [(peer.name, peer.host, peer.port) for peer in state.peers] == [
        ("turn2", "turn2.example.org", 3478)
    ]
