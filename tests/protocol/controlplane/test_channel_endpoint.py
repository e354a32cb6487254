"""The channel as nodes meet it: a WebSocket on loopback, served as the daemon serves it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from controlplane.nodes import channel as channel_module
from controlplane.nodes.channel import REPORT_BURST, Ending
from controlplane.nodes.enrolment import NewNode, enrol_node, read_node, retire_node
from controlplane.nodes.models import NodeReport
from controlplane.nodes.reports import read_report
from controlplane.operations.service import read_operation
from controlplane.plane import Plane
from nodelink.contract.frames import Answer, Desired, Done, Hello, Query
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import MAX_REVISION, NodeKind
from support.clocks import until
from support.controlplane_node import FakeNode, assert_identity, open_node
from support.controlplane_site import (
    AUTHOR,
    add_node,
    add_token,
    make_report,
    make_settings,
    serve_plane,
)

pytestmark = pytest.mark.anyio

IN_FORCE_SECONDS = 2
"""What the product promises: a toggle is in force on every node within this time."""


class Site:
    """A control plane that is served, with one mail node that is enrolled."""

    def __init__(self, plane: Plane, port: int, stack: AsyncExitStack) -> None:
        self.plane = plane
        self.port = port
        self.stack = stack
        self.key = add_node(plane, "mail1")
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"authorization": f"Bearer {add_token(plane)}"},
            trust_env=False,
        )

    async def connect(self, name: str = "mail1", key: PrivateKey | None = None) -> FakeNode:
        """Connect a node; its channel is closed at the end of the test."""
        opened = open_node(self.port, name, key or self.key, self.plane.keys.trusted)
        return await self.stack.enter_async_context(opened)

    async def follow(self, name: str = "mail1", key: PrivateKey | None = None) -> FakeNode:
        """Connect a node that takes its first state."""
        node = await self.connect(name, key)
        await node.greet()
        await node.hear_state()
        return node

    async def change_policy(self, **values: object) -> None:
        answer = await self.client.patch("/policy", json=values, headers={"if-match": "*"})
        assert answer.status_code == 200

    async def close_registration(self) -> None:
        await self.change_policy(registration_open=False)

    def kept_report(self, name: str = "mail1") -> object:
        with self.plane.sessions() as session:
            return read_report(session.get(NodeReport, name))

    def is_done(self, operation_id: str) -> bool:
        with self.plane.sessions() as session:
            return read_operation(session, operation_id).acknowledged_at_seconds is not None

    def revision(self, name: str = "mail1") -> int:
        with self.plane.sessions() as session:
            return read_node(session, name).revision


@pytest.fixture
async def site(plane: Plane) -> AsyncIterator[Site]:
    async with serve_plane(plane) as port, AsyncExitStack() as stack:
        site = Site(plane, port, stack)
        stack.push_async_callback(site.client.aclose)
        yield site


async def test_new_node_is_sent_its_state_signed(site: Site) -> None:
    node = await site.connect()
    await node.greet()

    desired = await node.hear_state()

    assert (desired.node, desired.revision, desired.state.kind) == ("mail1", 1, NodeKind.MAIL)
    assert desired.trusted_keys == site.plane.keys.trusted


async def test_node_that_is_up_to_date_is_sent_nothing_until_something_changes(site: Site) -> None:
    node = await site.connect()
    await node.greet(applied_revision=1)
    with pytest.raises(TimeoutError):
        await node.hear(within_seconds=0.3)

    await site.close_registration()

    assert not (await node.hear_mail_state(IN_FORCE_SECONDS)).registration_open


async def test_change_over_http_reaches_every_connected_node_in_time(site: Site) -> None:
    other = await site.follow("mail2", add_node(site.plane, "mail2"))
    node = await site.follow()

    await site.close_registration()

    async with asyncio.timeout(IN_FORCE_SECONDS):
        assert not (await node.hear_mail_state()).registration_open
        assert not (await other.hear_mail_state()).registration_open


async def test_key_that_a_command_replaces_in_another_process_ends_the_channel_in_time(
    site: Site, tmp_path: Path
) -> None:
    node = await site.follow()
    settings = make_settings(tmp_path)
    file = tmp_path / "settings.env"
    file.write_text(
        "".join(
            f"CONTROLPLANE_{name.upper()}={getattr(settings, name)}\n"
            for name in ("state_directory", "public_url", "tls_certificate", "tls_key")
        )
    )
    if settings.database_url is not None:
        with file.open("a") as lines:
            lines.write(f"CONTROLPLANE_DATABASE_URL={settings.database_url.get_secret_value()}\n")
    other = PrivateKey.generate().public.x
    command = [sys.executable, "-m", "controlplane.cli.main", "--settings", str(file), "enrol", "mail1"]
    options = ["--kind", "mail", "--public-key", other, "--replace-key"]
    await asyncio.to_thread(subprocess.run, [*command, *options], check=True, capture_output=True, timeout=15)

    async with asyncio.timeout(IN_FORCE_SECONDS):
        assert await node.hear_end() == Ending.RETIRED


async def test_node_that_was_away_gets_only_the_latest_state(site: Site) -> None:
    await site.close_registration()
    await site.change_policy(jit_enabled=False)

    node = await site.connect()
    await node.greet(applied_revision=1)
    desired = await node.hear_state()

    assert desired.revision == 3
    with pytest.raises(TimeoutError):
        await node.hear(within_seconds=0.7)


async def test_node_ahead_of_a_restored_database_is_sent_a_higher_revision(site: Site) -> None:
    node = await site.connect()
    await node.greet(applied_revision=41)

    assert (await node.hear_state()).revision == 42


async def test_revision_that_cannot_be_true_is_not_followed(site: Site) -> None:
    node = await site.connect()
    await node.greet(applied_revision=MAX_REVISION)

    assert (await node.hear_state()).revision == 1


async def test_report_is_kept_and_shown(site: Site) -> None:
    node = await site.follow()
    report = make_report()

    await node.report(report)

    await until(lambda: site.kept_report() == report)
    shown = (await site.client.get("/nodes/mail1")).json()
    assert (shown["health"], shown["report"]["public_name"]) == ("ok", "mail1.example.org")


async def test_mail_node_hears_at_once_where_a_turn_node_is(site: Site) -> None:
    mail = await site.follow()
    turn = await site.connect("turn1", add_node(site.plane, "turn1", NodeKind.TURN))
    await turn.greet()
    secrets = (await turn.hear_turn_state()).secrets

    await turn.report(make_report(NodeKind.TURN))

    access = (await mail.hear_mail_state(IN_FORCE_SECONDS)).turn
    assert access is not None
    assert (access.host, access.port, access.secret) == ("192.0.2.1", 3478, secrets[0])


async def test_node_that_reports_too_often_is_not_listened_to(site: Site) -> None:
    node = await site.follow()
    for number in range(REPORT_BURST + 20):
        await node.report(make_report(figures={"accounts": float(number)}))
    await node.say(Done(operation="a marker after it", problem=None))
    await until(lambda: site.kept_report() is not None)
    await asyncio.sleep(0.2)

    kept = site.kept_report()
    assert isinstance(kept, type(make_report()))
    assert kept.figures["accounts"] < REPORT_BURST + 5


async def test_query_is_answered_live(site: Site) -> None:
    node = await site.follow()

    async def answer() -> None:
        query = await node.hear_query()
        assert (query.name, query.arguments) == ("status", {})
        await node.say(Answer(id="of nobody", result=1))
        await node.say(Answer(id=query.id, result={"accounts": 3}))

    async with asyncio.TaskGroup() as group:
        group.create_task(answer())
        shown = await site.client.get("/nodes/mail1/status")

    assert (shown.status_code, shown.json()) == (200, {"accounts": 3})


async def test_query_that_the_node_cannot_answer_is_a_problem(site: Site) -> None:
    node = await site.follow()

    async def refuse() -> None:
        query = await node.hear_query()
        await node.say(Answer(id=query.id, problem="private detail"))

    async with asyncio.TaskGroup() as group:
        group.create_task(refuse())
        shown = await site.client.get("/nodes/mail1/status")

    assert (shown.status_code, shown.json()["type"]) == (502, "/problems/node_refused")
    assert "private" not in shown.text


async def test_query_of_a_node_that_leaves_ends_at_once(site: Site) -> None:
    node = await site.follow()

    async def leave() -> None:
        await node.hear_query()
        await node.channel.close()

    async with asyncio.timeout(3), asyncio.TaskGroup() as group:
        group.create_task(leave())
        shown = await site.client.get("/nodes/mail1/status")

    assert (shown.status_code, shown.json()["type"]) == (503, "/problems/node_not_connected")


async def test_silent_node_is_given_up(site: Site) -> None:
    node = await site.follow()

    shown = await site.client.get("/nodes/mail1/status", timeout=10)

    assert isinstance(await node.hear(), Query)
    assert (shown.status_code, shown.json()["type"]) == (504, "/problems/node_silent")


async def test_operation_is_handed_over_at_its_creation(site: Site) -> None:
    node = await site.follow()

    created = (await site.client.delete("/nodes/mail1/accounts/alice@example.org")).json()
    operation = await node.hear_operation()

    assert (operation.id, operation.name) == (created["id"], "remove_account")
    assert operation.arguments == {"address": "alice@example.org"}
    await node.say(Done(operation=operation.id))
    await until(lambda: site.is_done(operation.id))


async def test_operation_waits_for_the_node_and_comes_again_until_it_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "REPEAT_SECONDS", 0.2)
    await site.client.delete("/nodes/mail1/accounts/alice@example.org")
    node = await site.follow()

    first, second = await node.hear_operation(), await node.hear_operation()
    await node.say(Done(operation=first.id, problem="No such account."))

    assert first.id == second.id
    await until(lambda: site.is_done(first.id))
    await site.close_registration()  # whatever was sent before the acknowledgement came stands before this
    frame = await node.hear()
    while not isinstance(frame, Desired):
        frame = await node.hear()
    with pytest.raises(TimeoutError):
        await node.hear(within_seconds=0.5)


async def test_newer_channel_of_a_node_replaces_the_older(site: Site) -> None:
    older = await site.follow()
    newer = await site.follow()

    assert await older.hear_end() == Ending.REPLACED
    await site.close_registration()
    assert not (await newer.hear_mail_state()).registration_open


async def test_retired_node_is_sent_away_and_not_let_in_again(site: Site) -> None:
    node = await site.follow()
    with site.plane.sessions.begin() as session:
        retire_node(session, site.plane.facts, "mail1", AUTHOR)

    assert await node.hear_end() == Ending.RETIRED
    with pytest.raises(InvalidStatus):
        await site.connect()


async def test_channel_of_a_key_that_was_replaced_is_closed(site: Site) -> None:
    node = await site.follow()
    key = PrivateKey.generate()
    with site.plane.sessions.begin() as session:
        new = NewNode("mail1", NodeKind.MAIL, key.public.x, key_is_replaced=True)
        enrol_node(session, site.plane.facts, new, AUTHOR)

    await site.change_policy(jit_enabled=False)

    assert await node.hear_end() == Ending.RETIRED
    await site.follow("mail1", key)


async def refused(site: Site, assertion: str, name: str = "mail1") -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with open_node(site.port, name, site.key, site.plane.keys.trusted, assertion):
            pass
    return refusal.value.response.status_code


async def test_replayed_assertion_is_refused(site: Site) -> None:
    assertion = assert_identity(site.key, "mail1")
    async with open_node(site.port, "mail1", site.key, site.plane.keys.trusted, assertion) as node:
        await node.greet()
        await node.hear_state()

    assert await refused(site, assertion) == 401


async def test_assertion_of_another_node_audience_or_key_is_refused(site: Site) -> None:
    other = add_node(site.plane, "mail2")

    assert await refused(site, assert_identity(other, "mail1")) == 401
    assert await refused(site, assert_identity(site.key, "mail1", "https://other.example.org")) == 401
    assert await refused(site, assert_identity(site.key, "mail9")) == 401
    assert await refused(site, assert_identity(site.key, "mail\0")) == 401
    assert await refused(site, add_token(site.plane)) == 401
    assert await refused(site, "garbage") == 401


async def test_node_that_says_nothing_is_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "DEADLINE_SECONDS", 0.2)
    node = await site.connect()

    assert await node.hear_end() == Ending.NO_HELLO


async def test_node_that_begins_with_something_else_is_sent_away(site: Site) -> None:
    node = await site.connect()
    await node.report(make_report())

    assert await node.hear_end() == Ending.NO_HELLO


async def test_node_that_floods_is_sent_away(site: Site) -> None:
    node = await site.follow()
    began_at = time.monotonic()
    for _ in range(channel_module.FRAME_BURST + 2 * channel_module.FRAMES_PER_SECOND):
        await node.say(Hello(applied_revision=1, software_version="x"))

    assert await node.hear_end() == Ending.TOO_MANY_FRAMES
    assert time.monotonic() - began_at < 10
    await site.follow()
