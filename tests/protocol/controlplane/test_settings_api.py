"""Settings and services by name, over HTTP."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS, Owner
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from nodelink.contract.figures import PUSH_FAILURES
from nodelink.contract.states import NodeKind
from support.controlplane_site import (
    Clock,
    add_node,
    add_node_token,
    add_token,
    make_report,
    open_client,
    read_turn_secrets,
)

API = "/api/v1"
ANY = {"if-match": "*"}


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    with open_client(plane) as client:
        yield client


def put(client: TestClient, path: str, value: str, status: int = 200) -> dict[str, object]:
    answer = client.put(f"{API}{path}", json={"value": value}, headers=ANY)
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_all_settings_and_services_are_listed_with_who_decides_them(client: TestClient) -> None:
    settings = client.get(f"{API}/settings").json()["items"]
    services = client.get(f"{API}/services").json()["items"]

    assert [each["name"] for each in settings] == list(SETTINGS)
    assert [each["name"] for each in services] == list(SERVICES)
    assert {each["owner"] for each in settings} == {owner.value for owner in Owner}
    for node in ("mail1", "turn1"):
        of_node = client.get(f"{API}/nodes/{node}/settings").json()["items"]
        assert [each["is_set"] for each in of_node] == [False] * len(SETTINGS)
        assert client.get(f"{API}/nodes/{node}/services").status_code == 200


def test_setting_is_changed_by_who_has_seen_it(client: TestClient) -> None:
    path = f"{API}/settings/max_message_size"
    tag = client.get(path).headers["etag"]
    changed = client.put(path, json={"value": "40M"}, headers={"if-match": tag})

    assert (changed.status_code, changed.json()["value"], changed.json()["in_force"]) == (200, "40M", "40M")
    assert changed.json()["missing_nodes"] == ["mail1", "turn1"]
    assert client.put(path, json={"value": "41M"}, headers={"if-match": tag}).status_code == 412
    assert client.put(path, json={"value": "41M"}).status_code == 428
    assert client.get(f"{API}/policy").json()["message_bytes"] == 40 << 20
    assert client.delete(path, headers={"if-match": tag}).status_code == 412
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["is_set"] is False


def test_node_differs_until_it_is_reset(client: TestClient) -> None:
    put(client, "/nodes/mail1/settings/appendlimit", "50M")
    put(client, "/settings/appendlimit", "40M")
    path = f"{API}/nodes/mail1/settings/appendlimit"
    assert client.get(path).json()["in_force"] == "50M"

    assert client.delete(path).status_code == 204

    assert (client.get(path).json()["in_force"], client.get(path).json()["value"]) == ("40M", None)


@pytest.mark.parametrize(
    ("path", "value", "status", "code"),
    [
        ("/settings/smtp_hostname", "x", 400, "set_by_ansible"),
        ("/nodes/mail1/settings/turn_port", "443", 409, "wrong_port"),
        ("/nodes/mail1/settings/imap_tls_port", "8993", 409, "ports_unknown"),
        ("/settings/imap_tls_port", "65536", 400, "bad_value"),
        ("/settings/ss_port", "8388", 400, "not_offered"),
        ("/settings/max_message_size", "63K", 400, "bad_value"),
        ("/settings/nothing", "1", 404, "unknown_setting"),
        ("/nodes/mail1/settings/turn_ttl", "86400", 400, "fleet_wide"),
        ("/nodes/turn1/settings/appendlimit", "40M", 409, "wrong_kind"),
        ("/nodes/none/settings/appendlimit", "40M", 404, "unknown_node"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_reason(
    client: TestClient, path: str, value: str, status: int, code: str
) -> None:
    assert put(client, path, value, status)["type"] == f"/problems/{code}"


def test_refusal_names_the_variable_of_ansible(client: TestClient) -> None:
    assert put(client, "/settings/language", "fa", 400)["title"] == "set by Ansible: mailnode_language"


def test_secret_is_set_and_not_read_back(client: TestClient, plane: Plane) -> None:
    shown = put(client, "/settings/turn_secret", "a secret of 16 x".replace(" ", "-"))

    assert (shown["is_set"], shown["value"], shown["in_force"]) == (True, None, None)
    assert read_turn_secrets(plane)[0] == "a-secret-of-16-x"
    assert "a-secret-of-16-x" not in client.get(f"{API}/audit").text
    assert put(client, "/settings/turn_secret", "b" * 16, 409)["type"] == "/problems/turn_secrets_in_use"


def test_service_is_switched_on_the_fleet_and_on_a_node(client: TestClient) -> None:
    answer = client.put(f"{API}/services/turn", json={"is_enabled": False})
    assert (answer.status_code, answer.json()["is_enabled"]) == (200, False)
    answer = client.put(f"{API}/nodes/mail1/services/turn", json={"is_enabled": True})
    assert (answer.status_code, answer.json()["is_enabled"]) == (200, True)

    assert client.get(f"{API}/policy").json()["turn_enabled"] is False
    assert client.get(f"{API}/nodes/mail1/policy").json()["in_force"]["turn_enabled"] is True


def test_push_that_is_off_remembers_whether_it_pauses(client: TestClient) -> None:
    client.patch(f"{API}/policy", json={"push_pauses": True}, headers=ANY)
    for is_enabled in (False, True):
        answer = client.put(f"{API}/services/push", json={"is_enabled": is_enabled})
        assert (answer.status_code, answer.json()["is_enabled"]) == (200, is_enabled)
        policy = client.get(f"{API}/policy").json()
        assert (policy["push_enabled"], policy["push_pauses"]) == (is_enabled, True)


def test_push_without_a_proxy_is_for_ansible(client: TestClient, plane: Plane) -> None:
    desk = Desk(plane, Clock())
    desk.note_report("mail1", make_report())
    for path in ("/services/push", "/nodes/mail1/services/push"):
        answer = client.put(f"{API}{path}", json={"is_enabled": True})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/set_by_ansible")
        assert "mailnode_notification_proxy" in answer.json()["title"]
        assert client.put(f"{API}{path}", json={"is_enabled": False}).status_code == 200
    desk.note_report("mail1", make_report(figures={PUSH_FAILURES: 0.0}))
    assert client.put(f"{API}/services/push", json={"is_enabled": True}).status_code == 200


def test_retention_that_is_off_remembers_its_days(client: TestClient) -> None:
    put(client, "/settings/message_retention", "7d")
    assert client.get(f"{API}/policy").json()["message_retention_days"] == 0
    for is_enabled, days in ((True, 7), (False, 0), (True, 7)):
        client.put(f"{API}/services/message_retention", json={"is_enabled": is_enabled})
        assert client.get(f"{API}/policy").json()["message_retention_days"] == days
    put(client, "/settings/message_retention", "9d")
    assert client.get(f"{API}/policy").json()["message_retention_days"] == 9
    client.delete(f"{API}/settings/message_retention")
    assert client.get(f"{API}/policy").json()["message_retention_days"] == 30


def test_node_remembers_days_of_its_own(client: TestClient) -> None:
    path = f"{API}/nodes/mail1"
    put(client, "/nodes/mail1/settings/message_retention", "5d")
    client.put(f"{path}/services/message_retention", json={"is_enabled": True})
    assert client.get(f"{path}/policy").json()["in_force"]["message_retention_days"] == 5
    assert client.get(f"{API}/policy").json()["message_retention_days"] == 0
    client.put(f"{path}/services/message_retention", json={"is_enabled": False})
    client.delete(f"{path}/settings/message_retention")
    client.put(f"{path}/services/message_retention", json={"is_enabled": True})
    assert client.get(f"{path}/policy").json()["in_force"]["message_retention_days"] == 30


def test_what_is_not_there_can_only_be_off(client: TestClient) -> None:
    assert (
        client.put(f"{API}/services/iroh", json={"is_enabled": True}).json()["type"]
        == "/problems/not_offered"
    )
    assert client.put(f"{API}/services/iroh", json={"is_enabled": False}).json()["is_enabled"] is False
    assert client.put(f"{API}/services/nothing", json={"is_enabled": False}).status_code == 404


def test_changes_are_for_operators_and_within_their_scope(client: TestClient, plane: Plane) -> None:
    client.headers["authorization"] = f"Bearer {add_token(plane, Role.VIEWER)}"
    put(client, "/settings/appendlimit", "40M", 403)
    client.headers["authorization"] = f"Bearer {add_node_token(plane, 'mail1')}"
    put(client, "/settings/appendlimit", "40M", 403)
    assert client.put(f"{API}/services/turn", json={"is_enabled": False}).status_code == 403
    put(client, "/nodes/mail1/settings/appendlimit", "40M")
    assert client.get(f"{API}/nodes/turn1/settings").status_code == 403
