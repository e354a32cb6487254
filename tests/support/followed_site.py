"""A control plane, which a test starts and ends as it likes, and the agent of one node that follows it."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.admins.audit import Author
from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.invitation import describe_enrolment
from controlplane.nodes.reports import list_nodes
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from controlplane.signing.keyring import KeyRows, read_key_rows
from controlplane.signing.service import Standing, announce_next_key, list_acknowledgements, switch_key
from nodelink.channel.agent import NodeAgent
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.states import NodeKind, NodeState
from nodelink.daemon.settings import read_settings
from nodelink.daemon.tls import ServerCertificate
from support.controlplane_process import Installation, install
from support.controlplane_site import make_report, serve_plane

NODE = "turn1"


@dataclass
class FollowedSite:
    """Where both are installed."""

    directory: Path
    installation: Installation
    files: NodeFiles

    @property
    def log(self) -> Path:
        return self.directory / "control.log"

    @contextmanager
    def open(self) -> Iterator["OpenedSite"]:
        with open_plane(read_settings(ControlPlaneSettings, self.installation.settings)) as plane:
            yield OpenedSite(self, plane)

    def run(self, *arguments: str) -> str:
        """Run a command of `madfleet` that succeeds; return what it prints."""
        ended = self.installation.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

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


@dataclass
class OpenedSite:
    """The same, with the control plane open."""

    site: FollowedSite
    plane: Plane

    def enrol(self) -> Enrolment:
        """Record the node's key; return what the node is given."""
        key = self.site.files.load_identity().public.x
        with self.plane.sessions.begin() as session:
            new = NewNode(NODE, NodeKind.TURN, key, key_is_replaced=False)
            return describe_enrolment(
                self.plane, enrol_node(session, self.plane.facts, new, Author("alice", "p", int(time.time())))
            )

    def announce(self) -> KeyRows:
        with self.plane.sessions.begin() as session:
            return announce_next_key(session, self.plane.vault, self.plane.facts, int(time.time()))

    def switch(self) -> None:
        with self.plane.sessions.begin() as session:
            assert switch_key(session, self.plane.facts, int(time.time()))

    def rotate(self) -> None:
        self.announce()
        self.switch()

    def read_keys(self) -> KeyRows:
        with self.plane.sessions() as session:
            return read_key_rows(session)

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
        async with serve_plane(self.plane, self.site.installation.port, tls):
            yield


def make_followed_site(directory: Path) -> FollowedSite:
    """Install both, and enrol the node."""
    site = FollowedSite(directory, install(directory), NodeFiles(directory / "node"))
    with site.open() as opened:
        site.files.keep_enrolment(opened.enrol())
    return site
