"""The signing key is replaced while daemons run, die and are away: real programs, real channels."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import col, select

from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.hub import TEND_SECONDS
from controlplane.nodes.invitation import describe_enrolment
from controlplane.nodes.reports import list_nodes
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from controlplane.signing.keyring import KeyRows, read_key_rows
from controlplane.signing.models import SigningKey
from controlplane.signing.service import Standing, announce_next_key, list_acknowledgements, switch_key
from nodelink.channel.agent import NodeAgent
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NodeKind, NodeState
from nodelink.daemon.settings import read_settings
from nodelink.daemon.tls import ServerCertificate
from support.clocks import until
from support.controlplane_process import Installation, install
from support.controlplane_site import make_report, serve_plane
from support.log_lines import read_events
from support.turn_process import make_turn_process

pytestmark = pytest.mark.anyio

SOON_SECONDS = 12
REFUSALS = ("desired state refused", "key change refused", "operation refused", "kept state not usable")


@dataclass
class Site:
    """A control plane, which a test starts and ends, and what one TURN node keeps."""

    directory: Path
    installation: Installation
    files: NodeFiles
    plane: Plane

    @property
    def log(self) -> Path:
        return self.directory / "control.log"

    def run(self, *arguments: str) -> str:
        ended = self.installation.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def read_keys(self) -> KeyRows:
        with self.plane.sessions() as session:
            return read_key_rows(session)

    def announce(self) -> KeyRows:
        with self.plane.sessions.begin() as session:
            return announce_next_key(session, self.plane.vault, self.plane.facts, int(time.time()))

    def switch(self) -> None:
        with self.plane.sessions.begin() as session:
            assert switch_key(session, self.plane.facts, int(time.time()))

    def read_standing(self) -> Standing:
        with self.plane.sessions() as session:
            (acknowledgement,) = list_acknowledgements(session, int(time.time()))
        return acknowledgement.standing

    def is_followed(self) -> bool:
        """Tell whether the node has applied all that is wanted of it, and trusts the newest key."""
        with self.plane.sessions() as session:
            (node,) = list_nodes(session, int(time.time()))
        is_applied = node.is_connected and node.applied_revision == node.revision
        return is_applied and self.read_standing() is Standing.ACKNOWLEDGED

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve as the daemon does, within this process, which starts at once."""
        settings = self.plane.settings
        tls = ServerCertificate(settings.tls_certificate, settings.tls_key).build_context(["http/1.1"])
        async with serve_plane(self.plane, self.installation.port, tls):
            yield

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[NodeAgent]:
        """Run the node's agent, as if its host had just booted."""
        enrolment = self.files.read_enrolment()
        assert enrolment is not None
        states: list[NodeState] = []
        agent = NodeAgent(
            files=self.files,
            identity=self.files.load_identity(),
            enrolment=enrolment,
            software_version="0.1.0",
            apply=states.append,
            read_report=lambda revision: make_report(NodeKind.TURN, applied_revision=revision),
            build_tls=lambda: build_client_context(enrolment.tls_pin),
        )
        agent.restore()
        async with AsyncExitStack() as stack:
            await agent.start(stack)
            yield agent


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    installation, files = install(tmp_path), NodeFiles(tmp_path / "node")
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        with plane.sessions.begin() as session:
            new = NewNode("turn1", NodeKind.TURN, files.load_identity().public.x, key_is_replaced=False)
            files.keep_enrolment(
                describe_enrolment(plane, enrol_node(session, plane.facts, new, int(time.time())))
            )
        yield Site(tmp_path, installation, files, plane)


async def test_key_is_replaced_once_the_connected_node_has_the_next_one(
    site: Site, show: Callable[[str], None]
) -> None:
    first = site.read_keys().present
    async with site.serve():
        async with site.follow():
            await until(site.is_followed, SOON_SECONDS)
            announced = await asyncio.to_thread(site.run, "rotate-signing-key")
            began_at = time.monotonic()
            await until(lambda: site.read_keys().present.number == 2, TEND_SECONDS + SOON_SECONDS)
            show(f"signing key, one node: {time.monotonic() - began_at:.1f} s from announcement to switch")
            await until(site.is_followed, SOON_SECONDS)
        rows = site.read_keys()
        async with site.follow() as agent:  # what it has kept is enough for the next start
            assert agent.applied_revision == 3
            assert agent.tell_trusted_keys() == (rows.present.public_key,)

    assert "It signs as soon as these nodes have acknowledged it: turn1." in announced
    assert rows.next is None
    assert rows.present.public_key != first.public_key
    with site.plane.sessions() as session:
        assert session.exec(select(SigningKey.number).where(col(SigningKey.sealed).is_(None))).all() == [1]


async def test_rotation_goes_on_after_both_sides_were_killed_in_the_middle(site: Site) -> None:
    with site.installation.start(site.log) as process:
        async with site.follow():
            await until(site.is_followed, SOON_SECONDS)
        announced = site.announce()
        process.kill()
        process.wait()
    with site.installation.start(site.log):
        async with site.follow() as agent:
            await until(lambda: len(agent.tell_trusted_keys()) == 2)
        assert site.read_keys() == announced
        async with site.follow():
            await until(lambda: site.read_keys().present.number == 2, TEND_SECONDS + SOON_SECONDS)
            await until(site.is_followed, SOON_SECONDS)

    assert len(read_events(site.log, "signing key switched")) == 1


async def test_connected_node_follows_a_switch_that_did_not_wait_for_it(site: Site) -> None:
    async with site.serve(), site.follow():
        await until(site.is_followed, SOON_SECONDS)
        ended = await asyncio.to_thread(site.installation.run, "rotate-signing-key", "--now")
        await until(site.is_followed, SOON_SECONDS)

    assert ended.stdout.startswith("The new key signs: ")
    assert ended.stderr == (
        "Not yet seen by turn1. They trust the former key until they connect; then they follow by "
        "themselves.\n"
    )
    assert site.read_keys().present.number == 2


async def test_node_that_was_away_during_two_rotations_follows_the_chain(site: Site, tmp_path: Path) -> None:
    node = make_turn_process(tmp_path / "turn1", site.files)
    site.announce()
    site.switch()
    site.announce()
    site.switch()
    async with site.serve():
        with node.start():
            await until(site.is_followed, SOON_SECONDS)

    present = site.read_keys().present
    key_id = PublicKey(present.public_key).key_id
    assert present.number == 3
    assert [line["key_id"] for line in node.read_events("key change followed")] == [key_id]
    assert [line for event in REFUSALS for line in node.read_events(event)] == []
