"""Nodes that are nothing but a channel: real agents, with keys, files and TLS of their own, in one process.

For: the load of the bench (__main__.py).
Not for: measuring the control plane; it runs in another process.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from nodelink.channel.agent import NodeAgent
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.reports import MailPlaces, Report
from nodelink.contract.states import MailNodeState, NodeKind, NodeState

SOFTWARE_VERSION = "bench"
FIGURES = dict.fromkeys(("accounts", "sessions", "queue", "messages", "store_bytes", "load"), 12345.0)
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class SimulatedNode:
    """A node, what it was told last, and when."""

    name: str
    kind: NodeKind
    identity: PrivateKey
    agent: NodeAgent = field(init=False)
    message_bytes: int = field(init=False, default=0)
    applied_at: float = field(init=False, default=0.0)
    siblings: int = field(init=False, default=-1)

    def build(
        self, directory: Path, url: str, trusted_keys: Sequence[str], pin: str, tls: ssl.SSLContext
    ) -> None:
        """Build the agent of a node that was enrolled; all of them share the context of their handshakes."""
        enrolment = Enrolment(
            node=self.name, kind=self.kind, url=url, trusted_keys=tuple(trusted_keys), tls_pin=pin
        )
        files = NodeFiles(directory / self.name)
        self.agent = NodeAgent(
            files=files,
            identity=self.identity,
            enrolment=enrolment,
            software_version=SOFTWARE_VERSION,
            apply=self._apply,
            read_report=self.report,
            build_tls=lambda: tls,
        )
        self.agent.restore()

    def _apply(self, state: NodeState) -> None:
        self.applied_at = time.monotonic()
        if isinstance(state, MailNodeState):
            self.message_bytes = state.message_bytes
            self.siblings = len(state.siblings)

    def report(self, revision: int) -> Report:
        """Tell how the node is."""
        is_mail = self.kind is NodeKind.MAIL
        host = f"{self.name}.example.org"
        return Report(
            kind=self.kind,
            software_version=SOFTWARE_VERSION,
            applied_revision=revision,
            started_at_seconds=1,
            public_name=host,
            public_port=443 if is_mail else 3478,
            overrides=(),
            problems=(),
            figures=FIGURES,
            places=MailPlaces(host=host, imap_tls_port=993, smtp_tls_port=465, tls_pin=None)
            if is_mail
            else None,
        )


@dataclass(slots=True)
class SimulatedFleet:
    """All nodes of one run."""

    nodes: list[SimulatedNode]

    @property
    def mail_nodes(self) -> list[SimulatedNode]:
        """Those that a change of mail policy concerns."""
        return [node for node in self.nodes if node.kind is NodeKind.MAIL]

    async def start(self, stack: AsyncExitStack) -> None:
        """Connect all of them, as after a power cut: at once."""
        for node in self.nodes:
            await node.agent.start(stack)

    def count_connected(self) -> int:
        """Count the nodes that have a channel."""
        return sum(bool(node.agent.connected) for node in self.nodes)

    async def wait_until(self, is_true: Callable[[], bool], within_seconds: float) -> float:
        """Wait for something; return how many seconds it took. Raises: TimeoutError."""
        began_at = time.monotonic()
        async with asyncio.timeout(within_seconds):
            while not is_true():  # noqa: ASYNC110 - agents tell of nothing; the pause is short
                await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - began_at


def make_fleet(count: int, mail_nodes: int) -> SimulatedFleet:
    """Make the keys of a fleet, mail nodes first."""
    nodes = [
        SimulatedNode(
            f"node-{number:04d}",
            NodeKind.MAIL if number < mail_nodes else NodeKind.TURN,
            PrivateKey.generate(),
        )
        for number in range(count)
    ]
    return SimulatedFleet(nodes)
