"""Exchangers by REST and command line: kept without their tokens in sight, and told to mail nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from controlplane.nodes.desired import read_wanted
from controlplane.nodes.enrolment import read_node
from controlplane.plane import Plane
from nodelink.contract.federation import MAX_EXCHANGERS, ExchangerAccess
from nodelink.contract.states import MailNodeState
from support.client_site import ClientSite, open_client_site
from support.controlplane_site import add_node, open_client

URL, ONE = "/api/v1/exchangers", "/api/v1/exchangers/relay"
RELAY = {"name": "relay", "url": "https://relay.example.org:8443", "token": "opensesame"}


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    with open_client(plane) as client:
        yield client


def told(plane: Plane) -> tuple[int, tuple[ExchangerAccess, ...]]:
    with plane.sessions() as session:
        wanted = read_wanted(session, plane.facts, read_node(session, "mail1"))
    assert isinstance(wanted.state, MailNodeState)
    assert wanted.state.federation is not None
    return wanted.revision, wanted.state.federation.exchangers


def test_mail_nodes_are_told_where_and_with_which_token(client: TestClient, plane: Plane) -> None:
    revision, nothing = told(plane)
    assert nothing == ()

    made = client.post(URL, json=RELAY)

    assert (made.status_code, made.headers["location"]) == (201, ONE)
    assert "opensesame" not in made.text + client.get(URL).text + client.get("/api/v1/audit").text
    (access,) = told(plane)[1]
    assert told(plane)[0] > revision
    assert (access.url, access.interval_seconds, access.token) == (RELAY["url"], 60, "opensesame")
    assert "opensesame" not in repr(access)


def test_change_is_in_force_and_a_token_can_be_taken_away(client: TestClient, plane: Plane) -> None:
    client.post(URL, json=RELAY)

    change = {"poll_interval_seconds": 5, "token": None, "url": "http://192.0.2.7"}
    answer = client.patch(ONE, json=change, headers={"if-match": client.get(ONE).headers["etag"]})

    assert answer.json()["has_token"] is False
    assert told(plane)[1] == (ExchangerAccess(name="relay", url="http://192.0.2.7", interval_seconds=5),)
    client.patch(ONE, json={"is_enabled": False}, headers={"if-match": "*"})
    assert told(plane)[1] == ()
    assert client.delete(ONE).status_code == 204
    assert client.get(URL).json() == {"items": []}


def test_new_token_stands_in_the_audit_log_without_itself(client: TestClient) -> None:
    client.post(URL, json=RELAY)

    client.patch(ONE, json={"token": "another"}, headers={"if-match": "*"})

    (entry, *_) = client.get("/api/v1/audit").json()["items"]
    assert (entry["action"], entry["target"]) == ("exchanger.change", "relay")
    assert "another" not in str(entry)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"url": "http://relay.example.org"}, 400, "exchanger_token_in_clear"),
        ({"url": "ftp://relay.example.org"}, 422, "malformed"),
        ({"url": "https://user@relay.example.org"}, 422, "malformed"),
        ({"url": f"https://a/{'x' * 491}"}, 422, "malformed"),
        ({"url": "https://[d7]"}, 422, "malformed"),
        ({"url": "https://relay.example.org:65536"}, 422, "malformed"),
        ({"url": "https://relay.example.org:0"}, 422, "malformed"),
        ({"name": "No Name"}, 422, "malformed"),
        ({"poll_interval_seconds": 0}, 422, "malformed"),
        ({"poll_interval_seconds": 86_401}, 422, "malformed"),
        ({"token": ""}, 422, "malformed"),
        ({"token": "two words"}, 422, "malformed"),
    ],
)
def test_what_cannot_be_is_refused(
    client: TestClient, changes: dict[str, object], status: int, code: str
) -> None:
    answer = client.post(URL, json=RELAY | changes)

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text
    assert client.get(URL).json() == {"items": []}


def test_limits_hold_at_and_beyond_them(client: TestClient) -> None:
    for number in range(MAX_EXCHANGERS):
        limits = {"poll_interval_seconds": 86_400 if number % 2 else 1}
        assert client.post(URL, json=RELAY | limits | {"name": f"r{number}"}).status_code == 201
    assert client.post(URL, json=RELAY).json()["type"] == "/problems/too_many_exchangers"
    assert client.post(URL, json=RELAY | {"name": "r0"}).json()["type"] == "/problems/exchanger_exists"
    assert client.get(ONE).json()["type"] == "/problems/unknown_exchanger"
    assert client.patch(f"{URL}/r0", json={"url": None}, headers={"if-match": "*"}).status_code == 422


def test_operator_types_all_of_it(tmp_path: Path) -> None:
    with open_client_site(tmp_path) as site:
        add_node(site.plane, "mail1")
        check_commands(site, tmp_path)


def check_commands(site: ClientSite, directory: Path) -> None:
    token = directory / "token"
    token.write_text("opensesame\n")
    assert "No exchanger is polled" in site.run("exchangers")

    added = site.run(
        "exchangers", "add", "relay", str(RELAY["url"]), "--every", "5m", "--token-file", str(token)
    )

    assert added == "Mail nodes poll relay every 300 s.\n"
    assert told(site.plane)[1][0].token == "opensesame"
    site.run("exchangers", "change", "relay", "--every", "7", "--disable")
    (found,) = site.read("exchangers")
    assert (found["poll_interval_seconds"], found["is_enabled"], found["has_token"]) == (7, False, True)
    for arguments, code in (
        (("change", "relay"), 2),
        (("change", "relay", "--every", "soon"), 2),
        (("change", "nothing", "--enable"), 1),
        (("add", "relay", "https://a.example", "--token-file", "/nowhere"), 2),
    ):
        assert site.call("exchangers", *arguments).code == code, arguments
    assert site.run("exchangers", "remove", "relay") == "relay is polled no more.\n"
    assert site.read("exchangers") == []
