"""The keys of a node: made once, kept, told, and rotated when the DNS has the next ones."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.dkim.key_ring import SETTLED_SECONDS
from mailnode.dkim.upkeep import DkimKeys
from nodelink.channel.connection import RefusedError
from nodelink.contract.federation import DkimStage

pytestmark = pytest.mark.anyio


class Site:
    """A node's keys, a clock, and what is published."""

    def __init__(self, directory: Path, domain: str = "example.org") -> None:
        self.now_seconds = 1_800_000_000
        self.published: dict[str, bytes] = {}
        self.keys = DkimKeys(
            domain=domain,
            path=directory / "keys.json",
            look_up=self.look_up,
            clock_seconds=lambda: self.now_seconds,
        )

    async def look_up(self, name: str) -> list[bytes]:
        record = self.published.get(name)
        return [] if record is None else [b"v=DKIM1; p=", record]

    def publish_all(self) -> None:
        for key in self.keys.read_report():
            self.published[f"{key.selector}._domainkey.example.org"] = key.record.encode()


async def test_keys_survive_a_restart_and_are_rotated_without_a_gap(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        site = Site(tmp_path)
        await site.keys.start(stack)
        first = site.keys.read_report()
        assert [(key.selector, key.stage) for key in first] == [
            ("rsa1", DkimStage.CURRENT),
            ("ed1", DkimStage.CURRENT),
        ]
        again = Site(tmp_path)
        await again.keys.start(stack)
        assert again.keys.read_report() == first

        await again.keys.rotate({})
        assert [key.stage for key in again.keys.read_report()] == [DkimStage.CURRENT] * 2 + [
            DkimStage.NEXT
        ] * 2
        again.now_seconds += 10 * SETTLED_SECONDS
        await again.keys.take_step()
        assert [key.selector for key in again.keys.read_keys()] == ["rsa1", "ed1"]

        again.publish_all()
        del again.published["ed2._domainkey.example.org"]
        for _ in range(3):
            await again.keys.take_step()
            again.now_seconds += SETTLED_SECONDS
        assert [key.selector for key in again.keys.read_keys()] == ["rsa1", "ed1"]

        again.publish_all()
        await again.keys.take_step()
        again.now_seconds += SETTLED_SECONDS
        await again.keys.take_step()
        assert [key.selector for key in again.keys.read_keys()] == ["rsa2", "ed2"]
        assert [key.stage for key in again.keys.read_report()] == [DkimStage.FORMER] * 2 + [
            DkimStage.CURRENT
        ] * 2


async def test_a_node_that_is_an_address_has_no_keys(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        site = Site(tmp_path, "[192.0.2.1]")
        await site.keys.start(stack)
        assert (site.keys.read_keys(), site.keys.read_report()) == ((), ())
        with pytest.raises(RefusedError):
            await site.keys.rotate({})
        assert not (tmp_path / "keys.json").exists()
