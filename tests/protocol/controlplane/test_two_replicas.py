"""Two replicas of the control plane on one PostgreSQL database; one is killed in the middle of changes."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.clocks import until
from support.controlplane_site import add_token
from support.replicas import (
    FIRST,
    SECOND,
    Replicas,
    check_changes,
    count_waiting,
    follow,
    install_replicas,
    make_changes,
    open_client,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CHANGES = 40
KILLED_AFTER = 12
SOON_SECONDS = 40
NEWS_SECONDS = 3
"""Less than the poll takes: the change was told, not found."""


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def replicas(tmp_path: Path) -> Replicas:
    return install_replicas(tmp_path)


async def test_replica_that_is_killed_loses_no_change_and_none_is_made_twice(replicas: Replicas) -> None:
    with replicas.open() as plane:
        token = add_token(plane)
        with replicas.start() as (first, _):
            async with (
                follow(replicas.first, plane, "mail1") as node,
                open_client(replicas.first, plane, FIRST, token) as one,
                open_client(replicas.second, plane, SECOND, token) as other,
            ):
                await until(lambda: node.agent.connected == {FIRST, SECOND}, SOON_SECONDS)
                sending = asyncio.gather(*(make_changes([one, other], number) for number in range(CHANGES)))
                await until(lambda: len(node.done) >= KILLED_AFTER, SOON_SECONDS)
                first.kill()
                assert len(node.done) < CHANGES
                await sending
                await until(lambda: len(node.done) == CHANGES and not count_waiting(plane), SOON_SECONDS)
        check_changes(plane, CHANGES, node.done)


async def test_change_at_one_replica_is_told_by_the_other_at_once(replicas: Replicas) -> None:
    with replicas.open() as plane, replicas.start() as (first, _):
        async with (
            follow(replicas.first, plane, "mail1") as node,
            open_client(replicas.second, plane, SECOND, add_token(plane)) as other,
        ):
            await until(lambda: node.agent.connected == {FIRST, SECOND} and bool(node.states), SOON_SECONDS)
            for number in range(3):
                wanted = (1 << 25) + number
                shown = await other.get("/policy")
                seen = {"if-match": shown.headers["etag"]}
                changed = await other.patch("/policy", json={"message_bytes": wanted}, headers=seen)
                assert changed.status_code == 200, changed.text
                await until(lambda: node.states[-1].message_bytes == wanted, NEWS_SECONDS)  # noqa: B023 - awaited here
            first.kill()
            await until(lambda: node.agent.connected == {SECOND}, SOON_SECONDS)


def test_each_host_has_a_token_of_its_own_for_commands(replicas: Replicas) -> None:
    with replicas.start():
        shown = replicas.first.run("whoami", "--json")

    assert json.loads(shown.stdout)["name"] == f"host {socket.gethostname()}"


def test_replica_whose_database_is_away_is_started_again(replicas: Replicas, free_port: int) -> None:
    settings = replicas.second.settings
    lines = [line for line in settings.read_text().splitlines() if "DATABASE_URL" not in line]
    away = f"CONTROLPLANE_DATABASE_URL=postgresql://madfleet@127.0.0.1:{free_port}/madfleet"
    settings.write_text("\n".join([*lines, away]) + "\n")

    ended = subprocess.run(
        [sys.executable, "-m", "controlplane.main", "--settings", settings],
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
    )

    assert ended.returncode == 1  # systemd starts again after every code but 2
    assert ended.stderr.startswith("PostgreSQL cannot be used: ")
    assert "Look at CONTROLPLANE_DATABASE_URL and at the server." in ended.stderr


def test_replica_with_another_master_key_is_refused(replicas: Replicas) -> None:
    key = replicas.second.directory / "state" / "master-key"
    key.unlink()

    refused = replicas.second.run("signing-key")

    assert refused.returncode == 2
    assert "master" in refused.stderr
