"""A control plane comes back from a backup, and its nodes with it: real programs, real channels."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.backup.restoring import REVISION_LEAP, restore_backup
from controlplane.backup.taking import take_backup
from controlplane.signing.service import Standing
from support.clocks import until
from support.controlplane_site import NOW
from support.followed_site import FollowedSite, OpenedSite, make_followed_site

pytestmark = pytest.mark.anyio

SOON_SECONDS = 12


@pytest.fixture
def site(tmp_path: Path) -> FollowedSite:
    return make_followed_site(tmp_path)


def take(opened: OpenedSite) -> Path:
    path = opened.site.directory / "backup"
    take_backup(opened.plane, path, NOW)
    return path


def restore(site: FollowedSite, backup: Path) -> None:
    restore_backup(site.directory / "state", backup, NOW, replacing=True)


async def test_control_plane_goes_on_from_a_backup_and_overtakes_its_node(site: FollowedSite) -> None:
    """By the commands: online backup, refusal while it runs, restore, start."""
    backup = site.directory / "backups"
    backup.mkdir()
    with site.open() as opened:
        async with opened.serve(), site.follow() as agent:
            await until(lambda: agent.applied_revision == 1, SOON_SECONDS)
            said = await asyncio.to_thread(site.run, "backup", str(backup), "--keep", "3")
        (file,) = backup.iterdir()
        running = await asyncio.to_thread(site.installation.run, "restore", str(file), "--force")
    assert "(nodes: 1, signing key: number 1, " in said
    assert running.returncode == 1
    assert running.stderr == "The control plane is running. Stop it first: systemctl stop controlplane.\n"

    restored = site.installation.run("restore", str(file), "--force")
    assert restored.stdout.startswith("Restored the fleet madfleet as of ")
    assert restored.stderr == ""
    with site.open() as opened:
        async with opened.serve(), site.follow() as agent:
            await until(opened.is_followed, SOON_SECONDS)
            assert agent.applied_revision == 1 + REVISION_LEAP
    assert not (site.directory / "state" / "restored-tls").exists()


async def test_backup_goes_through_pipes_as_an_encryption_needs(site: FollowedSite) -> None:
    command = [sys.executable, "-m", "controlplane.cli.main", "--settings", str(site.installation.settings)]
    taken = await asyncio.to_thread(
        subprocess.run, [*command, "backup", "-"], capture_output=True, check=True
    )
    assert taken.stdout.startswith(b"madfleet-backup 1 ")
    assert taken.stderr.startswith(b"Backup written to standard output (nodes: 1, ")

    (site.directory / "tls.crt").write_text("another one")
    restored = await asyncio.to_thread(
        subprocess.run,
        [*command, "restore", "--force", "-"],
        input=taken.stdout,
        capture_output=True,
        check=True,
    )
    assert b"Nodes trust the TLS key in " in restored.stderr
    key = site.directory / "state" / "restored-tls" / "tls-key.pem"
    assert key.read_bytes() == (site.directory / "tls.key").read_bytes()


async def test_key_that_signs_since_the_backup_is_caught_up_with_if_it_was_announced_in_it(
    site: FollowedSite,
) -> None:
    with site.open() as opened:
        opened.announce()
        backup = take(opened)
        opened.switch()
        async with opened.serve(), site.follow():
            await until(opened.is_followed, SOON_SECONDS)
        newest = opened.read_keys().present.public_key
    restore(site, backup)

    with site.open() as opened:
        assert opened.read_keys().present.public_key != newest
        async with opened.serve(), site.follow():
            await until(opened.is_followed, SOON_SECONDS)
        assert opened.read_keys().present.public_key == newest


async def test_node_that_follows_a_newer_key_than_the_backup_knows_is_lost_until_it_is_enrolled(
    site: FollowedSite,
) -> None:
    with site.open() as opened:
        backup = take(opened)
        opened.rotate()
        async with opened.serve(), site.follow():
            await until(opened.is_followed, SOON_SECONDS)
    restore(site, backup)

    with site.open() as opened:
        async with opened.serve(), site.follow() as agent:
            await until(lambda: opened.read_standing() is Standing.LOST, SOON_SECONDS)
            assert agent.applied_revision == 3  # it serves on as it was told last
        offer = opened.enrol()
        assert not site.files.is_following(offer)
        site.files.keep_enrolment(offer)  # as the node's command `enrol` does, which the playbook runs
        async with opened.serve(), site.follow():
            await until(opened.is_followed, SOON_SECONDS)


async def test_next_key_that_was_announced_since_the_backup_is_forgotten(site: FollowedSite) -> None:
    with site.open() as opened:
        backup = take(opened)
        opened.announce()
        async with opened.serve(), site.follow() as agent:
            await until(lambda: len(agent.tell_trusted_keys()) == 2, SOON_SECONDS)
    restore(site, backup)

    with site.open() as opened:
        async with opened.serve(), site.follow() as agent:
            await until(lambda: len(agent.tell_trusted_keys()) == 1, SOON_SECONDS)
            await until(opened.is_followed, SOON_SECONDS)


async def test_node_that_was_enrolled_since_the_backup_is_refused_until_it_is_enrolled_again(
    tmp_path: Path,
) -> None:
    site = make_followed_site(tmp_path)
    with site.open() as opened:
        with opened.plane.sessions.begin() as session:
            session.connection().exec_driver_sql("DELETE FROM node")
        backup = take(opened)
    restore(site, backup)

    with site.open() as opened:
        async with opened.serve(), site.follow() as agent:
            await asyncio.sleep(0.3)
            assert not agent.connected
            assert site.files.is_following(opened.enrol())  # the node need not be touched
            await until(opened.is_followed, SOON_SECONDS)
