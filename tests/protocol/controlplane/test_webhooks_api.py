"""Webhooks, from the Admin API to a real receiver."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from controlplane.webhooks.alarms import CLEAR_SECONDS, DOWN_SECONDS
from controlplane.webhooks.deliveries import KEPT_SECONDS, PAUSES_SECONDS
from controlplane.webhooks.models import Webhook
from controlplane.webhooks.sender import WebhookSender
from controlplane.webhooks.service import MAX_WEBHOOKS
from self_signed import make_certificate
from support.clocks import until
from support.controlplane_site import (
    NOW,
    PUBLIC_URL,
    Clock,
    add_node,
    add_token,
    make_report,
    open_test_plane,
)
from support.webhook_receiver import Receiver, open_receiver

pytestmark = pytest.mark.anyio

HOOKS = "/api/v1/webhooks"
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path, webhook_private_networks=LOOPBACK) as plane:
        yield plane


@pytest.fixture
def client(plane: Plane) -> TestClient:
    """Without the lifespan: a test looks and sends itself."""
    headers = {"authorization": f"Bearer {add_token(plane, Role.OPERATOR)}"}
    return TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL, headers=headers)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


def add_hook(client: TestClient, receiver: Receiver, **fields: object) -> dict[str, str]:
    made = client.post(HOOKS, json={"url": f"http://127.0.0.1:{receiver.port}/hook?a=b", **fields})
    assert made.status_code == 201, made.text
    answer: dict[str, str] = made.json()
    return answer


def read_deliveries(client: TestClient, hook: dict[str, str]) -> list[dict[str, object]]:
    items: list[dict[str, object]] = client.get(f"{HOOKS}/{hook['id']}/deliveries").json()["items"]
    return items


def test_webhook_is_made_read_changed_and_removed(client: TestClient, receiver: Receiver) -> None:
    made = add_hook(client, receiver, events=["node.down"], comment="mine")
    path = f"{HOOKS}/{made['id']}"

    shown = client.get(path)
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    assert client.get(HOOKS).json()["items"] == [shown.json()]
    assert client.patch(path, json={"comment": "x"}).status_code == 428
    changed = client.patch(
        path, json={"events": [], "is_enabled": False}, headers={"if-match": shown.headers["etag"]}
    )
    assert (changed.json()["events"], changed.json()["is_enabled"]) == ([], False)
    stale = client.patch(path, json={"comment": "x"}, headers={"if-match": shown.headers["etag"]})
    assert stale.status_code == 412
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["type"].endswith("unknown_webhook")
    entries = client.get("/api/v1/audit").json()["items"]
    assert [entry["action"] for entry in entries if "webhook" in entry["action"]] == [
        "webhook.remove",
        "webhook.change",
        "webhook.create",
    ]
    assert made["secret"] not in str(entries)


def test_secret_is_not_in_the_database_as_it_is(client: TestClient, plane: Plane, receiver: Receiver) -> None:
    made = add_hook(client, receiver)

    with plane.sessions() as session:
        row = session.exec(select(Webhook)).one()
    assert made["secret"].removeprefix("whsec_") not in str(row.model_dump())


@pytest.mark.parametrize("url", ["https://a:b@example.org/", "https://example.org:0x/", "http:///"])
def test_address_that_is_none_is_refused(client: TestClient, url: str) -> None:
    assert client.post(HOOKS, json={"url": url}).json()["type"].endswith("bad_webhook_url")


def test_there_is_an_end_to_webhooks(client: TestClient, receiver: Receiver) -> None:
    for _ in range(MAX_WEBHOOKS):
        add_hook(client, receiver)

    assert client.post(HOOKS, json={"url": "https://example.org/"}).status_code == 409


async def test_test_message_arrives_signed(client: TestClient, plane: Plane, receiver: Receiver) -> None:
    hook = add_hook(client, receiver)
    asked = client.post(f"{HOOKS}/{hook['id']}/test")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")

    assert await WebhookSender(plane, Clock()).send_due() == 1

    (message,) = receiver.received
    assert message.is_signed(hook["secret"])
    assert not message.is_signed("whsec_" + "A" * 44)
    assert (message.content["type"], message.id) == ("test", asked.json()["id"])
    assert message.headers["webhook-timestamp"] == str(NOW)
    (delivery,) = read_deliveries(client, hook)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


@pytest.mark.parametrize("status", [500, 302])
async def test_message_that_is_not_taken_is_sent_again_with_its_id(
    client: TestClient, plane: Plane, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status, 200]
    hook = add_hook(client, receiver)
    client.post(f"{HOOKS}/{hook['id']}/test")
    clock = Clock()
    sender = WebhookSender(plane, clock)

    assert await sender.send_due() == 1
    assert await sender.send_due() == 0  # not before its time
    assert read_deliveries(client, hook)[0]["problem"] == f"The receiver answered with status {status}."
    clock.now += PAUSES_SECONDS[0]
    assert await sender.send_due() == 1

    first, second = receiver.received
    assert first.id == second.id
    assert second.headers["webhook-timestamp"] == str(NOW + PAUSES_SECONDS[0])
    assert second.is_signed(hook["secret"])


async def test_message_that_nobody_takes_is_given_up_and_forgotten(
    client: TestClient, plane: Plane, receiver: Receiver
) -> None:
    receiver.statuses = [503]
    hook = add_hook(client, receiver)
    client.post(f"{HOOKS}/{hook['id']}/test")
    clock = Clock()
    sender = WebhookSender(plane, clock)

    for pause in (*PAUSES_SECONDS, 0):
        assert await sender.send_due() == 1
        clock.now += pause
    clock.now += 10 * PAUSES_SECONDS[-1]

    assert await sender.send_due() == 0
    assert len(receiver.received) == len(PAUSES_SECONDS) + 1
    assert read_deliveries(client, hook)[0]["state"] == "given up"
    clock.now += KEPT_SECONDS
    sender.look()
    assert read_deliveries(client, hook) == []


async def test_message_of_a_replica_that_died_is_sent_by_another_one(
    client: TestClient, plane: Plane, receiver: Receiver
) -> None:
    hook = add_hook(client, receiver)
    client.post(f"{HOOKS}/{hook['id']}/test")
    receiver.go_on.clear()
    dying = asyncio.create_task(WebhookSender(plane, Clock()).send_due())
    await until(lambda: len(receiver.received) == 1)
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying
    receiver.go_on.set()

    assert await WebhookSender(plane, Clock()).send_due() == 0  # it may still be at work
    assert await WebhookSender(plane, Clock(NOW + PAUSES_SECONDS[0])).send_due() == 1

    assert len({message.id for message in receiver.received}) == 1
    assert read_deliveries(client, hook)[0]["state"] == "delivered"


async def test_of_many_replicas_one_sends(client: TestClient, plane: Plane, receiver: Receiver) -> None:
    hook = add_hook(client, receiver)
    for _ in range(5):
        client.post(f"{HOOKS}/{hook['id']}/test")

    sent = await asyncio.gather(*(WebhookSender(plane, Clock()).send_due() for _ in range(4)))

    assert sum(sent) == 5
    assert len({message.id for message in receiver.received}) == len(receiver.received) == 5


async def test_node_that_is_down_is_told_once_and_when_it_is_back(
    client: TestClient, plane: Plane, receiver: Receiver
) -> None:
    hook = add_hook(client, receiver, events=["node.down"])
    add_node(plane, "mail1")
    clock = Clock()
    desk, replicas = Desk(plane, clock), [WebhookSender(plane, clock) for _ in range(3)]
    desk.note_report("mail1", make_report())

    async def look() -> int:
        made = await asyncio.gather(*(asyncio.to_thread(replica.look) for replica in replicas))
        await asyncio.gather(*(replica.send_due() for replica in replicas))
        return sum(made)

    assert await look() == 0
    clock.now += DOWN_SECONDS
    assert [await look(), await look()] == [1, 0]
    for _ in range(3):  # it comes and goes
        desk.note_report("mail1", make_report())
        assert await look() == 0
        clock.now += DOWN_SECONDS
        assert await look() == 0
    for _ in range(CLEAR_SECONDS // 50 + 1):
        desk.note_report("mail1", make_report())
        await look()
        clock.now += 50

    assert [(m.content["type"], m.content["data"]["state"]) for m in receiver.received] == [
        ("node.down", "raised"),
        ("node.down", "resolved"),
    ]
    assert all(message.content["data"]["subject"] == "mail1" for message in receiver.received)
    assert all(message.is_signed(hook["secret"]) for message in receiver.received)


async def test_disabled_webhook_is_sent_nothing(client: TestClient, plane: Plane, receiver: Receiver) -> None:
    hook = add_hook(client, receiver, is_enabled=False)
    client.post(f"{HOOKS}/{hook['id']}/test")

    assert await WebhookSender(plane, Clock()).send_due() == 0


async def test_private_address_is_not_reached_unless_it_is_named(tmp_path: Path, receiver: Receiver) -> None:
    with open_test_plane(tmp_path) as plane:
        headers = {"authorization": f"Bearer {add_token(plane, Role.OPERATOR)}"}
        client = TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL, headers=headers)
        assert (
            client.post(HOOKS, json={"url": "http://127.0.0.1/"}).json()["type"].endswith("bad_webhook_url")
        )
        hook = client.post(HOOKS, json={"url": f"https://localhost:{receiver.port}/"}).json()
        client.post(f"{HOOKS}/{hook['id']}/test")

        assert await WebhookSender(plane, Clock()).send_due() == 1

        assert "leads to no public address" in str(read_deliveries(client, hook)[0]["problem"])
        assert receiver.received == []


async def test_receiver_is_verified_by_its_name(
    client: TestClient, plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    with open_receiver(certificate) as receiver:
        hook = client.post(HOOKS, json={"url": f"https://localhost:{receiver.port}/"}).json()
        client.post(f"{HOOKS}/{hook['id']}/test")
        clock = Clock()

        assert await WebhookSender(plane, clock).send_due() == 1
        assert "CERTIFICATE_VERIFY_FAILED" in str(read_deliveries(client, hook)[0]["problem"])
        assert receiver.received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        clock.now += PAUSES_SECONDS[0]
        assert await WebhookSender(plane, clock).send_due() == 1
        assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"
