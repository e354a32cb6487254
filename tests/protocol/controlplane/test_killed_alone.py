"""A control plane with SQLite is killed in the middle of changes, and started again."""

import asyncio
from pathlib import Path

import pytest

from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import read_settings_or_exit
from support.clocks import until
from support.controlplane_process import install
from support.controlplane_site import add_token
from support.replicas import FIRST, check_changes, count_waiting, follow, make_changes, open_client

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CHANGES = 40
KILLED_AFTER = 12
SOON_SECONDS = 40


async def test_process_that_is_killed_loses_no_change_and_makes_none_twice(tmp_path: Path) -> None:
    installation = install(tmp_path)
    with open_plane(read_settings_or_exit(ControlPlaneSettings, installation.settings)) as plane:
        token = add_token(plane)
        async with (
            follow(installation, plane, "mail1", (FIRST,)) as node,
            open_client(installation, plane, FIRST, token) as client,
        ):
            with installation.start(tmp_path / "killed.log") as process:
                await until(lambda: node.agent.connected == {FIRST}, SOON_SECONDS)
                sending = asyncio.gather(*(make_changes([client], number) for number in range(CHANGES)))
                await until(lambda: len(node.done) >= KILLED_AFTER, SOON_SECONDS)
                process.kill()
                assert len(node.done) < CHANGES
            with installation.start(tmp_path / "again.log"):
                await sending
                await until(lambda: len(node.done) == CHANGES and not count_waiting(plane), SOON_SECONDS)
        check_changes(plane, CHANGES, node.done)
