"""What nodes have found when they probed one another: an encrypted message, or a call through TURN.

For: the Admin API and pages.
Not for: probing, which nodes do by themselves, in turn.
"""

from pydantic import BaseModel, Field
from sqlmodel import Session

from controlplane.admins.access import Scope
from controlplane.nodes.models import NodePublic
from controlplane.nodes.reports import NodeFilter, page_nodes
from nodelink.contract.states import NodeKind

ALL_NODES = 1 << 30


class ProbePublic(BaseModel):
    """The last probe of one node by another."""

    node: str = Field(description="Who has probed.")
    peer: str = Field(description="Whom.")
    kind: NodeKind
    at_seconds: int = Field(description="When it ended.")
    seconds: float | None = Field(
        description="How long it took: to another mail node and back, or until a call was connected. "
        "Null for one that failed."
    )
    problem: str | None = Field(description="Why it failed.")

    @property
    def key(self) -> str:
        """Its place in the list."""
        return f"{self.node} {self.peer}"


def list_probes(  # noqa: PLR0913 - what can be asked for
    session: Session, scope: Scope, now_seconds: int, after: str, limit: int, *, is_failing_only: bool
) -> list[ProbePublic]:
    """List the last probes of nodes that are connected, by node and peer, those after a key."""
    nodes = page_nodes(session, NodeFilter(scope), ("", ALL_NODES), now_seconds)
    probes = [probe for node in nodes for probe in read_probes(node)]
    wanted = [probe for probe in probes if probe.problem is not None or not is_failing_only]
    return sorted((probe for probe in wanted if probe.key > after), key=lambda probe: probe.key)[:limit]


def read_probes(node: NodePublic) -> list[ProbePublic]:
    """Read the probes of a node's last report."""
    if node.report is None or not node.is_connected:
        return []
    return [ProbePublic(node=node.name, kind=node.kind, **probe.model_dump()) for probe in node.report.probes]
