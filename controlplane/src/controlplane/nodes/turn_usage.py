"""Sum up what TURN credentials have used, over all nodes that have reported.

For: the Admin API. A credential has the same pseudonym at every node, and nobody can tell whose it is.
Not for: limits; nodes keep those.
"""

from sqlmodel import Field, Session, SQLModel, col, select

from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import read_report
from nodelink.contract.reports import MAX_CREDENTIALS
from nodelink.contract.states import NodeKind


class CredentialUsePublic(SQLModel):
    """What one credential has used, until it ends."""

    pseudonym: str = Field(description="Changes with the fleet's TURN secret.")
    nodes: list[str] = Field(description="Where it was used.")
    allocations: int = Field(description="Live at the last reports.")
    packets: int
    bytes: int
    dropped: int = Field(description="Packets beyond its limits.")


def list_credential_uses(session: Session) -> list[CredentialUsePublic]:
    """List the credentials that used the fleet most, the largest first."""
    statement = select(Node, NodeReport).where(
        col(Node.name) == col(NodeReport.node_name), col(Node.kind) == NodeKind.TURN.value
    )
    found: dict[str, CredentialUsePublic] = {}
    for node, row in session.exec(statement.order_by(col(Node.name))):
        report = read_report(row)
        for use in () if report is None else report.credentials:
            former = found.get(use.pseudonym)
            if former is None:
                found[use.pseudonym] = CredentialUsePublic(nodes=[node.name], **use.model_dump())
                continue
            former.nodes.append(node.name)
            former.allocations += use.allocations
            former.packets += use.packets
            former.bytes += use.bytes
            former.dropped += use.dropped
    return sorted(found.values(), key=lambda use: (-use.bytes, use.pseudonym))[:MAX_CREDENTIALS]
