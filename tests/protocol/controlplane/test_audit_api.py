"""The audit log: each change stands in it, names of accounts do not stay in it, and it can be taken away."""

import csv
import json
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from controlplane.admins.audit import BATCH, NAMES_KEPT_SECONDS, Author, hash_subject, record
from controlplane.admins.audit_export import ExportFormat, write_entry
from controlplane.admins.audit_models import Action, AuditPublic
from controlplane.application import create_app
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from controlplane.rest.upkeep import Upkeep
from support.controlplane_site import AUTHOR, NOW, Clock, add_group, add_node, open_client
from support.postgresql import reads_the_file

AUDIT = "/api/v1/audit"
ANY = {"if-match": "*"}
Entries = list[dict[str, object]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_group(plane, "eu")
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def read(client: TestClient, **params: str | int) -> Entries:
    entries: Entries = client.get(AUDIT, params=params).json()["items"]
    return entries


CHANGES: dict[str, Callable[[TestClient], Response]] = {
    "admin-token.create": lambda c: c.post("/api/v1/admin-tokens", json={"name": "x", "role": "viewer"}),
    "join-token.create": lambda c: c.post("/api/v1/join-tokens", json={"name": "m", "kind": "mail"}),
    "node.change": lambda c: c.patch("/api/v1/nodes/mail1", json={"weight": 5}, headers=ANY),
    "node.move": lambda c: c.put("/api/v1/nodes/mail1/group", json={"group": "eu"}, headers=ANY),
    "node.retire": lambda c: c.delete("/api/v1/nodes/mail1"),
    "group.create": lambda c: c.post("/api/v1/groups", json={"name": "us"}),
    "group.change": lambda c: c.patch("/api/v1/groups/eu", json={"label": "E"}, headers=ANY),
    "group.remove": lambda c: c.delete("/api/v1/groups/eu"),
    "fleet-policy.change": lambda c: c.patch("/api/v1/policy", json={"jit_enabled": False}, headers=ANY),
    "group-policy.change": lambda c: c.patch(
        "/api/v1/groups/eu/policy", json={"jit_enabled": False}, headers=ANY
    ),
    "node-policy.change": lambda c: c.patch(
        "/api/v1/nodes/mail1/policy", json={"jit_enabled": False}, headers=ANY
    ),
    "registration-token.create": lambda c: c.post("/api/v1/registration-tokens", json={}),
    "account.quota": lambda c: c.put(
        "/api/v1/nodes/mail1/accounts/alice@example.org/quota", json={"quota_bytes": 5 << 20}
    ),
    "account.remove": lambda c: c.delete("/api/v1/nodes/mail1/accounts/alice@example.org"),
    "account.import": lambda c: c.post(
        "/api/v1/nodes/mail1/accounts", json={"address": "alice@example.org", "password": "p" * 20}
    ),
    "account.block": lambda c: c.put(
        "/api/v1/nodes/mail1/blocklist/alice@example.org", json={"reason": "spam"}
    ),
    "account.unblock": lambda c: c.delete("/api/v1/nodes/mail1/blocklist/alice@example.org"),
    "mail.purge": lambda c: c.post("/api/v1/nodes/mail1/purge", json={"what": "read"}),
    "queue.purge": lambda c: c.post("/api/v1/nodes/mail1/queue/purge", json={}),
    "federation.change": lambda c: c.patch("/api/v1/federation", json={"is_enabled": False}, headers=ANY),
    "dkim-keys.rotate": lambda c: c.post("/api/v1/nodes/mail1/dkim-keys"),
    "webhook.create": lambda c: c.post("/api/v1/webhooks", json={"url": "https://example.org/hook"}),
    "exchanger.create": lambda c: c.post(
        "/api/v1/exchangers", json={"name": "relay", "url": "https://relay.example.org"}
    ),
    "turn-secret.rotate": lambda c: c.post("/api/v1/turn/secrets"),
}
FROM_ELSEWHERE = {
    "account.export",
    "node.enrol",
    "node.key-replace",
    "admin-token.revoke",
    "registration-token.change",
    "registration-token.remove",
    "node-ports.change",
    "exchanger.change",
    "exchanger.remove",
    "webhook.change",
    "webhook.remove",
    "webhook.test",
}


def test_every_action_is_tried_here() -> None:
    assert set(CHANGES) | FROM_ELSEWHERE == set(Action)


@pytest.mark.parametrize("action", CHANGES)
def test_change_is_recorded_once_with_its_author(client: TestClient, action: str) -> None:
    before = len(read(client))

    CHANGES[action](client)

    newest, *others = read(client)
    assert len(others) == before
    assert (newest["action"], newest["admin"], newest["at_seconds"]) == (action, "alice", NOW)
    assert newest["token"] == client.get("/api/v1/admin-tokens").json()["items"][0]["id"]


def test_before_and_after_are_what_has_changed(client: TestClient) -> None:
    client.patch("/api/v1/policy", json={"quota_bytes": 5 << 20, "jit_enabled": True}, headers=ANY)
    client.patch("/api/v1/nodes/mail1", json={"label": "One"}, headers=ANY)
    client.put("/api/v1/nodes/mail1/group", json={"group": "eu"}, headers=ANY)

    changes = [(entry["target"], entry["before"], entry["after"]) for entry in read(client, limit=3)]
    assert changes == [
        ("mail1", {"group": None}, {"group": "eu"}),
        ("mail1", {"label": ""}, {"label": "One"}),
        ("", {"quota_bytes": 1 << 30}, {"quota_bytes": 5 << 20}),
    ]


def test_what_changes_nothing_is_not_recorded(client: TestClient) -> None:
    before = read(client)

    client.patch("/api/v1/policy", json={"jit_enabled": True}, headers=ANY)
    client.patch("/api/v1/nodes/mail1", json={"weight": 100}, headers=ANY)
    client.put("/api/v1/nodes/mail1/group", json={"group": None}, headers=ANY)
    client.patch("/api/v1/policy", json={"jit_enabled": False}, headers={"if-match": '"old"'})

    assert read(client) == before


def test_change_and_its_record_are_saved_together(client: TestClient, plane: Plane) -> None:
    before = read(client)

    @event.listens_for(plane.sessions, "before_commit", once=True)
    def fill_the_disk(_: Session) -> None:
        raise OperationalError("COMMIT", None, OSError("disk full"))

    assert CHANGES["group.create"](client).status_code == 503
    assert read(client) == before
    assert client.get("/api/v1/groups/us").status_code == 404


def test_secrets_are_not_recorded(client: TestClient) -> None:
    token = client.post("/api/v1/admin-tokens", json={"name": "x", "role": "viewer"}).json()["token"]
    join_token = client.post("/api/v1/join-tokens", json={"name": "m", "kind": "mail"}).json()["join_token"]

    text = client.get(f"{AUDIT}/export").text
    assert token.split("-", 3)[3] not in text
    assert join_token not in text


@reads_the_file
def test_name_of_an_account_becomes_a_hash_after_30_days(
    client: TestClient, plane: Plane, clock: Clock
) -> None:
    operation = client.delete("/api/v1/nodes/mail1/accounts/Alice@example.org").json()["id"]
    Desk(plane, clock).note_done("mail1", operation, None)  # until then the operation itself holds the name
    upkeep = Upkeep(plane, clock)
    clock.now += NAMES_KEPT_SECONDS - 1
    assert upkeep.tidy() == 0
    assert read(client, subject="Alice@example.org") == []  # recorded as the node knows it
    assert read(client, subject="alice@example.org")[0]["subject"] == "alice@example.org"

    clock.now += 1
    assert upkeep.tidy() == 1
    assert upkeep.tidy() == 0

    (entry,) = read(client, subject="alice@example.org")
    assert entry["subject"] == hash_subject(plane.vault, "alice@example.org")
    assert read(client, subject="bob@example.org") == []
    assert "alice@" not in client.get(f"{AUDIT}/export").text
    plane.engine.dispose()
    database = plane.settings.state_directory / "controlplane.sqlite"
    assert b"alice@example.org" not in database.read_bytes()


def test_many_old_names_are_hashed_in_batches(plane: Plane, clock: Clock) -> None:
    with plane.sessions.begin() as session:
        for number in range(BATCH + 1):
            record(session, AUTHOR, Action.ACCOUNT_REMOVE, "mail1", subject=f"u{number}@example.org")
    clock.now += NAMES_KEPT_SECONDS

    assert Upkeep(plane, clock).tidy() == BATCH + 1


def test_log_comes_in_pages_the_newest_first(client: TestClient) -> None:
    for number in range(7):
        client.post("/api/v1/groups", json={"name": f"g{number}"})
    seen: list[object] = []
    params: dict[str, str | int] = {"limit": 3, "action": "group.create"}
    while True:
        page = client.get(AUDIT, params=params).json()
        seen += [entry["target"] for entry in page["items"]]
        client.post("/api/v1/groups", json={"name": f"later{len(seen)}"})  # comes before the first page
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert seen == [f"g{number}" for number in range(6, -1, -1)] + ["eu"]


def test_entries_are_found_by_what_is_asked(client: TestClient, plane: Plane) -> None:
    with plane.sessions.begin() as session:
        record(session, Author("bob", "p", NOW - 100), Action.NODE_RETIRE, "mail7")

    assert [entry["target"] for entry in read(client, admin="bob")] == ["mail7"]
    assert [entry["admin"] for entry in read(client, target="mail7")] == ["bob"]
    assert [entry["target"] for entry in read(client, action="node.retire")] == ["mail7"]
    assert [entry["target"] for entry in read(client, until_seconds=NOW)] == ["mail7"]
    assert "mail7" not in {entry["target"] for entry in read(client, since_seconds=NOW)}
    assert len(read(client, since_seconds=NOW - 100)) == len(read(client))


@pytest.mark.parametrize(
    "params", [{"action": "x"}, {"admin": "\0"}, {"since_seconds": -1}, {"target": "x" * 331}]
)
def test_question_is_judged(client: TestClient, params: dict[str, str | int]) -> None:
    assert client.get(AUDIT, params=params).status_code == 422


def test_log_is_exported_as_json_lines(client: TestClient) -> None:
    CHANGES["node.change"](client)

    answer = client.get(f"{AUDIT}/export")

    assert answer.headers["content-type"] == "application/jsonl"
    assert "audit.jsonl" in answer.headers["content-disposition"]
    assert [json.loads(line) for line in answer.text.splitlines()] == read(client)


def test_log_is_exported_as_csv(client: TestClient) -> None:
    CHANGES["node.change"](client)

    answer = client.get(f"{AUDIT}/export", params={"format": "csv", "action": "node.change"})

    (row,) = csv.DictReader(answer.text.splitlines())
    assert answer.headers["content-type"].startswith("text/csv")
    assert (row["target"], json.loads(row["after"]), row["subject"]) == ("mail1", {"weight": 5}, "")


def test_export_is_as_long_as_the_log(client: TestClient, plane: Plane) -> None:
    with plane.sessions.begin() as session:
        for _ in range(1200):
            record(session, AUTHOR, Action.NODE_RETIRE, "many")

    answer = client.get(f"{AUDIT}/export", params={"target": "many"})

    assert len({json.loads(line)["id"] for line in answer.text.splitlines()}) == 1200


@pytest.mark.parametrize("subject", ["=cmd|x@example.org", "+1@example.org", "-1@a", "@a"])
def test_spreadsheet_takes_no_name_for_a_formula(subject: str) -> None:
    fields = {"id": 1, "at_seconds": 2, "admin": "a", "token": "t", "action": "account.remove", "target": "n"}
    entry = AuditPublic.model_validate(fields | {"subject": subject, "before": None, "after": None})

    (row,) = csv.reader([write_entry(entry, ExportFormat.CSV)])
    assert row[6] == f"'{subject}"
