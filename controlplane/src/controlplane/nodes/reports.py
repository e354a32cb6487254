"""What nodes tell of themselves: kept, read back and judged.

For: the fleet view, and finding a TURN service and the mail nodes.
Not for: receiving reports (channel.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement, text
from sqlmodel import Session, col, func, select

from controlplane.admins.access import WHOLE_FLEET, Scope, ScopeKind
from controlplane.nodes.group_models import GroupMember
from controlplane.nodes.groups import find_group_name, read_group_names
from controlplane.nodes.models import Health, Node, NodePublic, NodeReport
from controlplane.nodes.siblings import MailCandidate
from controlplane.nodes.turn_access import TurnCandidate, divide_into_pools
from controlplane.nodes.turn_zone import ZoneCandidate
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind

CONNECTED_SECONDS = 15
"""A node reports every 5 s: after three reports that did not come, it counts as gone."""
KEEP_REPORT = text(
    "INSERT INTO node_report (node_name, received_at_seconds, body)"
    " VALUES (:node_name, :received_at_seconds, :body)"
    " ON CONFLICT (node_name) DO UPDATE"
    " SET received_at_seconds = excluded.received_at_seconds, body = excluded.body"
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Which nodes are looked for. `scope` is how far somebody sees, the others what he has asked for."""

    scope: Scope = WHOLE_FLEET
    kind: NodeKind | None = None
    group: str | None = None

    @property
    def groups(self) -> list[str]:
        """List the groups in all of which a node must be."""
        scope_name = self.scope.name if self.scope.kind is ScopeKind.GROUP else None
        return [name for name in (self.group, scope_name) if name is not None]

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """List what must hold of a row."""
        conditions: list[ColumnElement[bool]] = [
            col(Node.name).in_(select(GroupMember.node_name).where(col(GroupMember.group_name) == group))
            for group in self.groups
        ]
        if self.kind is not None:
            conditions.append(col(Node.kind) == self.kind.value)
        if self.scope.kind is ScopeKind.NODE:
            conditions.append(col(Node.name) == self.scope.name)
        return conditions


def select_reports(kinds: Mapping[str, NodeKind], reports: Mapping[str, Report]) -> dict[str, Report]:
    """Select the reports that are kept: those of nodes that there are, and of their kind."""
    kept = {}
    for node, report in reports.items():
        if kinds.get(node) is report.kind:
            kept[node] = report
        elif node in kinds:
            log.warning("report not kept", node=node, kind=report.kind)
    return kept


def keep_reports(session: Session, reports: Mapping[str, Report], now_seconds: int) -> None:
    """Keep reports of nodes, in place of their former ones."""
    rows = [
        {"node_name": node, "received_at_seconds": now_seconds, "body": _write(report)}
        for node, report in sorted(reports.items())  # replicas take their locks in one order
    ]
    if rows:
        # One statement for each: two replicas may hear the first report of a node at once.
        session.connection().execute(KEEP_REPORT, rows)


def keep_report(session: Session, node: Node, report: Report, now_seconds: int) -> bool:
    """Keep one report; tell whether it was kept: one that is of another kind of node is not."""
    kept = select_reports({node.name: NodeKind(node.kind)}, {node.name: report})
    keep_reports(session, kept, now_seconds)
    return bool(kept)


def read_report(row: NodeReport | None) -> Report | None:
    """Read a report back; `None` where there is none, or none that this version understands."""
    if row is None:
        return None
    try:
        return Report.model_validate_json(row.body)
    except ValidationError:
        log.warning("report not readable", node=row.node_name)
        return None


def list_nodes(session: Session, now_seconds: int) -> list[NodePublic]:
    """List all nodes by name, and how each is."""
    return _describe_all(session, session.exec(select(Node).order_by(col(Node.name))).all(), now_seconds)


def page_nodes(
    session: Session, wanted: NodeFilter, page: tuple[str, int], now_seconds: int
) -> list[NodePublic]:
    """List nodes by name as far as a scope reaches: at most so many, those after a name."""
    after, limit = page
    statement = select(Node).where(col(Node.name) > after, *wanted.conditions)
    found = session.exec(statement.order_by(col(Node.name)).limit(limit)).all()
    return _describe_all(session, found, now_seconds)


def count_nodes(session: Session, wanted: NodeFilter) -> int:
    """Count nodes, as far as a scope reaches."""
    return session.exec(select(func.count()).select_from(Node).where(*wanted.conditions)).one()


def list_missing(session: Session, wanted: NodeFilter, now_seconds: int) -> list[str]:
    """List the nodes that are not connected, by name: what is changed for them, they follow later."""
    fresh = select(NodeReport.node_name).where(
        col(NodeReport.received_at_seconds) >= now_seconds - CONNECTED_SECONDS
    )
    statement = select(Node.name).where(col(Node.name).not_in(fresh), *wanted.conditions)
    return list(session.exec(statement.order_by(col(Node.name))).all())


def describe_node(session: Session, node: Node, now_seconds: int) -> NodePublic:
    """Describe a node and how it is, by its last report."""
    row = session.get(NodeReport, node.name)
    return _describe(node, row, find_group_name(session, node.name), now_seconds)


def judge_health(report: Report | None, age_seconds: int | None) -> Health:
    """Say in one word how a node is."""
    if report is None:
        return Health.NEVER_SEEN
    if not is_fresh(age_seconds):
        return Health.NOT_CONNECTED
    return Health.PROBLEM if report.problems else Health.OK


def is_fresh(age_seconds: int | None) -> bool:
    """Tell whether a node whose report has this age is connected."""
    return age_seconds is not None and age_seconds <= CONNECTED_SECONDS


def find_turn_candidates(session: Session, now_seconds: int) -> list[TurnCandidate]:
    """Find the TURN nodes that have said where they are."""
    statement = (
        select(Node, NodeReport, col(GroupMember.group_name))
        .join(NodeReport, col(NodeReport.node_name) == col(Node.name))
        .join(GroupMember, col(GroupMember.node_name) == col(Node.name), isouter=True)
        .where(col(Node.kind) == NodeKind.TURN.value)
    )
    candidates = []
    for node, row, group in session.exec(statement):
        report = read_report(row)
        if report is not None:
            is_connected = is_fresh(now_seconds - row.received_at_seconds)
            candidates.append(
                TurnCandidate(
                    node.name,
                    report.public_name,
                    report.public_port,
                    is_connected=is_connected,
                    is_draining=node.is_draining,
                    is_moved=any(port.effective != port.configured for port in report.ports),
                    udp_ports=frozenset(report.udp_ports or (report.public_port,)),
                    group=group,
                )
            )
    return candidates


def find_zone_candidates(session: Session, now_seconds: int) -> list[ZoneCandidate]:
    """Find the TURN nodes of the fleet's pool that have said by which addresses they are reached."""
    pool = [each.node for each in divide_into_pools(find_turn_candidates(session, now_seconds))[None]]
    statement = select(Node, NodeReport).where(
        col(Node.name) == col(NodeReport.node_name), col(Node.name).in_(pool)
    )
    candidates = []
    for node, row in session.exec(statement):
        report = read_report(row)
        if report is not None and report.addresses:
            is_connected = is_fresh(now_seconds - row.received_at_seconds)
            candidates.append(ZoneCandidate(node.name, report.addresses, is_connected, node.is_draining))
    return candidates


def find_mail_candidates(session: Session) -> list[MailCandidate]:
    """Find the mail nodes that have said where they are; mail waits for those that are not connected."""
    statement = select(Node, NodeReport).where(
        col(Node.name) == col(NodeReport.node_name), col(Node.kind) == NodeKind.MAIL.value
    )
    candidates = []
    for node, row in session.exec(statement):
        report = read_report(row)
        if report is not None and node.residue is not None:
            candidates.append(MailCandidate(node.name, node.residue, node.public_key, report))
    return candidates


def _write(report: Report) -> str:
    # JSON has no word for what is no number, so such a figure could not be read back.
    figures = {name: value for name, value in report.figures.items() if math.isfinite(value)}
    return report.model_copy(update={"figures": figures}).model_dump_json()


def _describe_all(session: Session, nodes: Sequence[Node], now_seconds: int) -> list[NodePublic]:
    names = [node.name for node in nodes]
    statement = select(NodeReport).where(col(NodeReport.node_name).in_(names))
    reports = {row.node_name: row for row in session.exec(statement)}
    groups = read_group_names(session)
    return [_describe(node, reports.get(node.name), groups.get(node.name), now_seconds) for node in nodes]


def _describe(node: Node, row: NodeReport | None, group: str | None, now_seconds: int) -> NodePublic:
    report = read_report(row)
    age_seconds = None if row is None else max(0, now_seconds - row.received_at_seconds)
    return NodePublic.model_validate(
        node,
        update={
            "group": group,
            "health": judge_health(report, age_seconds),
            "is_connected": is_fresh(age_seconds),
            "applied_revision": 0 if report is None else report.applied_revision,
            "report_age_seconds": age_seconds,
            "report": report,
        },
    )
