"""What a node does not confirm comes again, and keys come before what they sign."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from controlplane.nodes import channel as channel_module
from controlplane.plane import Plane
from controlplane.signing.service import announce_next_key, switch_key
from nodelink.contract.frames import MAX_KEY_CHANGES, Desired, KeyChanges
from nodelink.contract.keys import PrivateKey
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import NOW, add_node, make_report, serve_plane

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Site:
    """A control plane that is served, with one mail node that is enrolled."""

    plane: Plane
    port: int
    key: PrivateKey

    def connect(self) -> AbstractAsyncContextManager[FakeNode]:
        return open_node(self.port, "mail1", self.key, self.plane.keys.trusted)

    def rotate(self, times: int) -> None:
        for _ in range(times):
            with self.plane.sessions.begin() as session:
                announce_next_key(session, self.plane.vault, self.plane.facts, NOW)
                switch_key(session, self.plane.facts, NOW)


@pytest.fixture
async def site(plane: Plane) -> AsyncIterator[Site]:
    key = add_node(plane, "mail1")
    async with serve_plane(plane) as port:
        yield Site(plane, port, key)


async def test_state_that_a_node_could_not_keep_is_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "REPEAT_SECONDS", 0.3)
    async with site.connect() as node:
        await node.greet()
        await node.hear_state()
        await node.report(make_report(applied_revision=0))
        assert (await node.hear_state()).revision == 2  # the list of mail nodes has it now
        await node.report(make_report(applied_revision=0))  # it may be on its way still
        with pytest.raises(TimeoutError):
            await node.hear(within_seconds=0.1)
        await asyncio.sleep(0.3)
        await node.report(make_report(applied_revision=0))

        assert (await node.hear_state()).revision == 2


async def test_chain_of_keys_comes_in_parts_before_the_state(site: Site) -> None:
    first = site.plane.keys.trusted
    site.rotate(MAX_KEY_CHANGES + 1)
    sizes = []
    async with site.connect() as node:
        await node.greet(trusted_keys=first)
        while not isinstance(frame := await node.hear(), Desired):
            assert isinstance(frame, KeyChanges)
            sizes.append(len(frame.documents))

    assert sizes == [MAX_KEY_CHANGES, 1]


async def test_key_changes_that_a_node_does_not_confirm_come_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "REPEAT_SECONDS", 0.3)
    first = site.plane.keys.trusted
    site.rotate(1)
    async with site.connect() as node:
        await node.greet(trusted_keys=first)
        frames = [await node.hear() for _ in range(3)]

    assert [frame.type for frame in frames] == ["key_changes", "desired", "key_changes"]


async def test_node_of_an_older_version_is_sent_no_key_changes(site: Site) -> None:
    site.rotate(1)
    async with site.connect() as node:
        await node.greet()

        assert isinstance(await node.hear(), Desired)
