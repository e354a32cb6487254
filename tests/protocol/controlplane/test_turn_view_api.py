"""What the Admin API tells of TURN nodes: their zone, their use, and that draining ones are told so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from controlplane.application import create_app
from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.models import Node
from controlplane.nodes.reports import CONNECTED_SECONDS
from controlplane.plane import Plane
from nodelink.contract.reports import MAX_CREDENTIALS, CredentialUse
from nodelink.contract.states import NodeKind, TurnNodeState
from support.controlplane_site import Clock, add_node, make_report, open_client, open_test_plane

TURN = "/api/v1/turn"
NAME = "turn.example.org"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path, turn_name=NAME) as plane:
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


def tell(desk: Desk, node: str, *credentials: CredentialUse) -> None:
    address = f"192.0.2.{node[-1]}"
    desk.note_report(node, make_report(NodeKind.TURN, addresses=(address,), credentials=credentials))


def drain(client: TestClient, node: str) -> None:
    url = f"/api/v1/nodes/{node}"
    answer = client.patch(
        url, json={"is_draining": True}, headers={"if-match": client.get(url).headers["etag"]}
    )
    assert answer.status_code == 200


def published(client: TestClient) -> list[str]:
    records = client.get(f"{TURN}/zone").json()["records"]
    assert all(record.startswith(f"{NAME}. 60 IN A ") for record in records)
    return [record.rpartition(" ")[2] for record in records]


def use(digit: str, size_bytes: int) -> CredentialUse:
    return CredentialUse(pseudonym=digit * 16, allocations=1, packets=2, bytes=size_bytes, dropped=3)


def test_node_that_drains_or_is_silent_leaves_the_zone(client: TestClient, desk: Desk, clock: Clock) -> None:
    tell(desk, "turn1")
    tell(desk, "turn2")
    assert published(client) == ["192.0.2.1", "192.0.2.2"]

    drain(client, "turn2")
    assert published(client) == ["192.0.2.1"]

    clock.now += CONNECTED_SECONDS + 1
    tell(desk, "turn2")
    absences = [node["absence"] for node in client.get(f"{TURN}/zone").json()["nodes"]]
    assert published(client) == ["192.0.2.2"]  # it drains, but it lives
    assert absences == ["not connected", None]


def test_draining_node_is_told_so(client: TestClient, plane: Plane, desk: Desk) -> None:
    tell(desk, "turn1")
    drain(client, "turn1")
    with plane.sessions() as session:
        draining = {}
        for name in ("turn1", "turn2"):
            node = session.get(Node, name)
            assert node is not None
            state = read_wanted(session, plane.facts, node).state
            assert isinstance(state, TurnNodeState)
            draining[name] = state.is_draining

    assert draining == {"turn1": True, "turn2": False}


def test_use_of_a_credential_is_summed_up_over_nodes(client: TestClient, desk: Desk) -> None:
    tell(desk, "turn1", use("a", 10), use("b", 9))
    tell(desk, "turn2", use("b", 2))

    assert client.get(f"{TURN}/usage").json() == [
        {
            "pseudonym": "b" * 16,
            "nodes": ["turn1", "turn2"],
            "allocations": 2,
            "packets": 4,
            "bytes": 11,
            "dropped": 6,
        },
        {
            "pseudonym": "a" * 16,
            "nodes": ["turn1"],
            "allocations": 1,
            "packets": 2,
            "bytes": 10,
            "dropped": 3,
        },
    ]


def test_use_is_shown_of_a_bounded_number_of_credentials(client: TestClient, desk: Desk) -> None:
    for node in ("turn1", "turn2"):
        names = [f"{node[-1]}{number:015x}" for number in range(MAX_CREDENTIALS)]
        uses = [
            CredentialUse(pseudonym=name, allocations=0, packets=1, bytes=number, dropped=0)
            for number, name in enumerate(names)
        ]
        tell(desk, node, *uses)

    assert len(client.get(f"{TURN}/usage").json()) == MAX_CREDENTIALS
