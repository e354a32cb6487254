"""Pools of TURN nodes: which one the mail nodes of a group are told, and what is shown of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from controlplane.application import create_app
from controlplane.nodes.desired import read_wanted
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import CONNECTED_SECONDS
from controlplane.plane import Plane
from nodelink.contract.states import MailNodeState, NodeKind
from support.controlplane_site import Clock, add_group, add_node, make_report, open_client, open_test_plane
from support.web_admin import PageReader, sign_in

NAME = "turn.example.org"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """One TURN node for the fleet and one for the group `eu`, as for `mail1`; `mail2` is in `us`."""
    with open_test_plane(tmp_path) as plane:
        for name in ("mail1", "mail2", "mail3"):
            add_node(plane, name)
        for name in ("turn1", "turn2"):
            add_node(plane, name, NodeKind.TURN)
        add_group(plane, "eu", "mail1", "turn2")
        add_group(plane, "us", "mail2")
        yield plane


@pytest.fixture
def desk(plane: Plane, clock: Clock) -> Desk:
    desk = Desk(plane, clock)
    tell(desk, "turn1")
    tell(desk, "turn2")
    return desk


@pytest.fixture
def client(plane: Plane, clock: Clock, desk: Desk) -> Iterator[TestClient]:
    del desk
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def tell(desk: Desk, node: str, *udp_ports: int) -> None:
    address = f"192.0.2.{node[-1]}"
    report = make_report(
        NodeKind.TURN, public_name=address, addresses=(address,), udp_ports=udp_ports or (3478,)
    )
    desk.note_report(node, report)


def move(client: TestClient, node: str, group: str | None) -> None:
    url = f"/api/v1/nodes/{node}/group"
    client.put(url, json={"group": group}, headers={"if-match": "*"}).raise_for_status()


def read_revision(plane: Plane, name: str) -> int:
    with plane.sessions() as session:
        return read_node(session, name).revision


def read_host(plane: Plane, name: str) -> str | None:
    with plane.sessions() as session:
        state = read_wanted(session, plane.facts, read_node(session, name)).state
    assert isinstance(state, MailNodeState)
    return state.turn.host if state.turn else None


def read_hosts(plane: Plane) -> list[str | None]:
    return [read_host(plane, name) for name in ("mail1", "mail2", "mail3")]


@pytest.mark.usefixtures("desk")
def test_mail_nodes_of_two_groups_are_told_different_turn_nodes(plane: Plane) -> None:
    assert read_hosts(plane) == ["192.0.2.2", "192.0.2.1", "192.0.2.1"]


def test_mail_node_that_is_moved_is_told_the_other_turn_node_at_once(
    client: TestClient, plane: Plane
) -> None:
    before = read_revision(plane, "mail2")

    move(client, "mail2", "eu")

    assert read_hosts(plane) == ["192.0.2.2", "192.0.2.2", "192.0.2.1"]
    assert read_revision(plane, "mail2") == before + 1


def test_turn_node_that_is_moved_serves_its_new_group_at_once(client: TestClient, plane: Plane) -> None:
    before = [read_revision(plane, name) for name in ("mail1", "mail2", "mail3")]

    move(client, "turn2", "us")

    assert read_hosts(plane) == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    after = [read_revision(plane, name) for name in ("mail1", "mail2", "mail3")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 0]

    move(client, "turn2", None)
    assert read_hosts(plane) == ["192.0.2.1"] * 3


def test_group_whose_turn_node_is_away_is_served_by_the_fleet_until_it_is_back(
    client: TestClient, plane: Plane, desk: Desk, clock: Clock
) -> None:
    clock.now += CONNECTED_SECONDS + 1
    tell(desk, "turn1")
    assert desk.tend_turn_service()
    assert read_hosts(plane) == ["192.0.2.1"] * 3
    pool = client.get("/api/v1/turn").json()["pools"][1]
    assert (pool["group"], pool["host"], pool["is_serving"]) == ("eu", "192.0.2.1", False)

    tell(desk, "turn2")
    assert desk.tend_turn_service()
    assert read_hosts(plane) == ["192.0.2.2", "192.0.2.1", "192.0.2.1"]


def test_pools_are_listed(client: TestClient) -> None:
    shown = client.get("/api/v1/turn").json()

    assert shown["pools"] == [
        {"group": None, "host": "192.0.2.1", "port": 3478, "nodes": ["turn1"], "is_serving": True},
        {"group": "eu", "host": "192.0.2.2", "port": 3478, "nodes": ["turn2"], "is_serving": True},
    ]
    assert shown["host"] == "192.0.2.1"


def test_port_of_a_pool_is_named_to_those_whom_it_serves(
    client: TestClient, plane: Plane, desk: Desk
) -> None:
    tell(desk, "turn2", 3478, 443)
    assert client.get("/api/v1/turn").json()["udp_ports"] == [443, 3478]

    body, tag = {"turn_announced_port": 443}, {"if-match": "*"}
    client.patch("/api/v1/policy", json=body, headers=tag).raise_for_status()

    with plane.sessions() as session:
        for name, port in (("mail1", 443), ("mail2", 3478)):
            state = read_wanted(session, plane.facts, read_node(session, name)).state
            assert isinstance(state, MailNodeState)
            assert state.turn is not None
            assert state.turn.port == port


def test_name_of_the_fleet_has_the_addresses_of_its_own_pool_alone(plane: Plane, clock: Clock) -> None:
    with open_test_plane(plane.settings.state_directory.parent, turn_name=NAME) as named:
        desk = Desk(named, clock)
        desk.adopt_settings()
        tell(desk, "turn1")
        tell(desk, "turn2")
        with open_client(named, create_app(named, clock=clock)) as client:
            assert client.get("/api/v1/turn/zone").json()["records"] == [f"{NAME}. 60 IN A 192.0.2.1"]
            assert read_hosts(named) == ["192.0.2.2", NAME, NAME]

            move(client, "turn1", "us")  # no TURN node is left in no group
            assert len(client.get("/api/v1/turn/zone").json()["records"]) == 2
            assert read_hosts(named) == ["192.0.2.2", "192.0.2.1", NAME]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("the fleet", "its own take no calls")),
        ("fa", ("ناوگان", "گره‌های خودش تماس نمی‌پذیرند")),
    ],
)
def test_page_shows_pools(
    client: TestClient, desk: Desk, clock: Clock, language: str, words: tuple[str, str]
) -> None:
    fleet, away = words
    del client.headers["authorization"]
    sign_in(client, desk.plane)

    def read_page() -> str:
        page = client.get("/admin/turn", params={"lang": language}).text
        return " ".join(PageReader(page).text.split())

    page = read_page()
    assert f"{fleet} 192.0.2.1 3478 turn1 eu 192.0.2.2 3478 turn2" in page
    clock.now += CONNECTED_SECONDS + 1
    tell(desk, "turn1")
    desk.tend_turn_service()
    assert f"eu 192.0.2.1 {away} 3478 turn2" in read_page()
