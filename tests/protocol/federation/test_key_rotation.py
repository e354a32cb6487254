"""The signing keys of a node change while mail is under way, and all of it arrives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from mailnode.dkim.key_ring import SETTLED_SECONDS
from mailnode.dkim.upkeep import DkimKeys
from mailnode.peering.resolver import Resolver
from support.clocks import until
from support.openpgp_messages import encrypted_mail
from support.peering_site import FarSide, PeerStation, PeerWorld, Taken, open_world

pytestmark = pytest.mark.anyio

HOME, FAR = "home.example", "far.example"
CLOSED = "127.0.0.1:1"
ALICE, BOB = f"alice@{HOME}", f"bob@{FAR}"


@dataclass
class Site:
    """A node with keys of its own, one of others that verifies, and a relay that keeps mail between them."""

    world: PeerWorld
    home: PeerStation
    far: PeerStation
    relay: FarSide
    keys: DkimKeys

    def publish(self) -> None:
        """Publish what the node reports, and nothing else; the other node has to ask for it anew."""
        records = {key.selector: key.record for key in self.keys.read_report()}
        self.world.names.publish_records(HOME, records)
        self.far.reception.look_up = Resolver(servers=["127.0.0.1"], port=self.world.names.port).find_texts

    async def send(self, name: str) -> None:
        message = bytes(encrypted_mail(sender=ALICE, message_id=f"{name}@localhost"))
        assert await self.home.submit("alice", message, BOB) == 250

    def send_by(self, endpoint: str | None) -> None:
        """Have mail go to an endpoint, or straight to the other node."""
        overrides = {} if endpoint is None else {FAR: endpoint}
        self.home.holder.current = replace(self.home.holder.current, overrides=overrides)

    async def hand_on(self, taken: Taken) -> None:
        url = f"https://{self.far.address}:{self.world.ports.https}/mxdeliv"
        headers = [("x-mail-from", taken.mail_from), *(("x-mail-to", name) for name in taken.recipients)]
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - its trust is no matter
            answer = await client.post(url, content=taken.message, headers=headers)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def open_site(directory: Path) -> AsyncIterator[Site]:
    async with open_world(directory, [HOME, FAR]) as world:
        relay = await world.add_far_side("relay.example", smtp=False)
        home, far = await world.add_station(HOME), await world.add_station(FAR)
        keys = DkimKeys(
            domain=HOME,
            path=directory / "keys.json",
            look_up=home.resolver.find_texts,
            clock_seconds=home.clock,
        )
        await keys.start(world.stack)
        home.courier.read_keys = keys.read_keys
        await far.account("bob")
        yield Site(world, home, far, relay, keys)


async def test_all_mail_arrives_while_keys_are_rotated(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        site.publish()
        await site.send("before")
        await site.far.wait_for("bob", 1)

        await site.keys.rotate({})
        await site.send("announced")
        await site.far.wait_for("bob", 2)
        site.publish()
        await site.keys.take_step()
        site.send_by(f"https://{site.relay.host}:{site.world.ports.https}")
        await site.send("kept by a relay")
        await until(lambda: bool(site.relay.uploads))
        site.send_by(f"https://{CLOSED}")
        await site.send("queued")
        await until(lambda: site.home.traffic.list_peers(1).peers[0].last_problem is not None)

        site.home.now_offset += SETTLED_SECONDS
        await site.keys.take_step()
        assert [key.selector for key in site.keys.read_keys()] == ["rsa2", "ed2"]
        site.publish()
        site.send_by(None)
        await site.far.wait_for("bob", 3)
        (kept,) = site.relay.uploads
        assert b"s=rsa1;" in kept.message
        await site.hand_on(kept)
        await site.send("after")

        messages = await site.far.wait_for("bob", 5)
        names = [message.partition(b"Message-ID: <")[2].partition(b"@")[0].decode() for message in messages]
        assert names == ["before", "announced", "queued", "kept by a relay", "after"]
