"""How the fleet is, over HTTP."""

from controlplane.health.samples import keep_samples
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import keep_report
from controlplane.plane import Plane
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
