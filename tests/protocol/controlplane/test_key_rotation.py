"""The signing key is replaced while daemons run, die and are away: real programs, real channels."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from controlplane.nodes.hub import TEND_SECONDS
from controlplane.signing.models import SigningKey
from nodelink.contract.keys import PublicKey
from support.clocks import until
from support.followed_site import FollowedSite, OpenedSite, make_followed_site
from support.log_lines import read_events
from support.turn_process import make_turn_process

pytestmark = pytest.mark.anyio

SOON_SECONDS = 12
REFUSALS = ("desired state refused", "key change refused", "operation refused", "kept state not usable")


@pytest.fixture
def site(tmp_path: Path) -> FollowedSite:
    return make_followed_site(tmp_path)


@pytest.fixture
def opened(site: FollowedSite) -> Iterator[OpenedSite]:
    with site.open() as opened:
        yield opened


async def test_key_is_replaced_once_the_connected_node_has_the_next_one(
    site: FollowedSite, opened: OpenedSite, show: Callable[[str], None]
) -> None:
    first = opened.read_keys().present
    async with opened.serve():
        async with site.follow():
            await until(opened.is_followed, SOON_SECONDS)
            announced = await asyncio.to_thread(site.run, "rotate-signing-key")
            await until(lambda: opened.read_keys().present.number == 2, TEND_SECONDS + SOON_SECONDS)
            await until(opened.is_followed, SOON_SECONDS)
        rows = opened.read_keys()
        async with site.follow() as agent:  # what it has kept is enough for the next start
            assert agent.applied_revision == 3
            assert agent.tell_trusted_keys() == (rows.present.public_key,)

    signs_at = rows.present.in_force_at_seconds or 0
    show(
        f"signing key, one node: {signs_at - rows.present.announced_at_seconds} s from announcement to switch"
    )
    assert "It signs as soon as these nodes have acknowledged it: turn1." in announced
    assert rows.next is None
    assert rows.present.public_key != first.public_key
    with opened.plane.sessions() as session:
        assert session.exec(select(SigningKey.number).where(col(SigningKey.sealed).is_(None))).all() == [1]


async def test_rotation_goes_on_after_both_sides_were_killed_in_the_middle(
    site: FollowedSite, opened: OpenedSite
) -> None:
    with site.installation.start(site.log) as process:
        async with site.follow():
            await until(opened.is_followed, SOON_SECONDS)
        announced = opened.announce()
        process.kill()
        process.wait()
    with site.installation.start(site.log):
        async with site.follow() as agent:
            await until(lambda: len(agent.tell_trusted_keys()) == 2)
        assert opened.read_keys() == announced
        async with site.follow():
            await until(lambda: opened.read_keys().present.number == 2, TEND_SECONDS + SOON_SECONDS)
            await until(opened.is_followed, SOON_SECONDS)

    assert len(read_events(site.log, "signing key switched")) == 1


async def test_connected_node_follows_a_switch_that_did_not_wait_for_it(
    site: FollowedSite, opened: OpenedSite
) -> None:
    async with opened.serve(), site.follow():
        await until(opened.is_followed, SOON_SECONDS)
        ended = await asyncio.to_thread(site.installation.run, "rotate-signing-key", "--now")
        await until(opened.is_followed, SOON_SECONDS)

    assert ended.stdout.startswith("The new key signs: ")
    assert ended.stderr == (
        "Not yet seen by turn1. They trust the former key until they connect; then they follow by "
        "themselves.\n"
    )
    assert opened.read_keys().present.number == 2


async def test_node_that_was_away_during_two_rotations_follows_the_chain(
    site: FollowedSite, opened: OpenedSite, tmp_path: Path
) -> None:
    node = make_turn_process(tmp_path / "turn1", site.files)
    opened.rotate()
    opened.rotate()
    async with opened.serve():
        with node.start():
            await until(opened.is_followed, SOON_SECONDS)

    present = opened.read_keys().present
    key_id = PublicKey(present.public_key).key_id
    assert present.number == 3
    assert [line["key_id"] for line in node.read_events("key change followed")] == [key_id]
    assert [line for event in REFUSALS for line in node.read_events(event)] == []
