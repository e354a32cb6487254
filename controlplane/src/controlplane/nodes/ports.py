"""Move the ports of nodes while they run, to any that Ansible has opened.

    set ──▶ row ──▶ desired state ──▶ the node listens there and says so ──▶ links and TURN credentials follow

For: every caller alike, the Admin API and the admin RPC.
Not for: HTTP and commits. Nor for listening; a node that cannot says why in its report.
"""

from collections.abc import Mapping

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, select

from controlplane.admins.audit import Author, record_difference
from controlplane.admins.audit_models import Action
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.port_errors import (
    MailPortClosedError,
    PortsUnknownError,
    PortTakenError,
    TurnPortClosedError,
    WrongPortError,
)
from controlplane.nodes.port_models import NodePort, NodePortsPublic, PortPublic, SeenPorts
from controlplane.nodes.reports import read_report
from controlplane.nodes.states import FleetFacts
from nodelink.contract.ports import ALTERNATES_VARIABLES, PORTS, PortName
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind

Wanted = Mapping[PortName, int | None]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def set_port(
    session: Session, facts: FleetFacts, author: Author, node: str, port: tuple[PortName, int]
) -> None:
    """Move one port of one node. Raises: what `change_ports` raises."""
    name, number = port
    change_ports(session, facts, author, node, {name: number})


def reset_port(session: Session, facts: FleetFacts, author: Author, node: str, name: PortName) -> None:
    """Move one port of one node back to where Ansible has put it. Raises: what `change_ports` raises."""
    change_ports(session, facts, author, node, {name: None})


def change_fleet_port(
    session: Session, facts: FleetFacts, author: Author, name: PortName, number: int | None
) -> list[str]:
    """Move a port on every node that has it, or back with `None`; return those nodes, by name.

    Raises:
        ControlPlaneError: A node cannot do it, for a reason that `change_ports` names; then none does.
    """
    begin_change(session)
    kind = next(kind for kind, names in PORTS.items() if name in names)
    statement = select(Node.name).where(col(Node.kind) == kind.value).order_by(col(Node.name))
    nodes = list(session.exec(statement).all())
    for node in nodes:
        _change(session, author, read_node(session, node), {name: number})
    renew_revisions(session, facts)
    return nodes


def change_ports(session: Session, facts: FleetFacts, author: Author, node: str, change: Wanted) -> None:
    """Move ports of one node; `None` moves one back. Sessions and calls that are open go on.

    Raises:
        UnknownNodeError: There is no node of this name.
        WrongPortError: Nodes of its kind have no such port.
        PortsUnknownError: It has not said which ports are open.
        MailPortClosedError, TurnPortClosedError: A port is not open there.
        PortTakenError: Two services would be at one port.
    """
    begin_change(session)
    _change(session, author, read_node(session, node), change)
    renew_revisions(session, facts)


def read_wanted_ports(session: Session, node: str) -> dict[PortName, int]:
    """Read which ports of a node were moved, and where."""
    rows = session.exec(select(NodePort).where(col(NodePort.node_name) == node)).all()
    return {PortName(row.name): row.number for row in rows}


def describe_ports(session: Session, name: str) -> NodePortsPublic:
    """Describe the ports of a node. Raises: UnknownNodeError."""
    node = read_node(session, name)
    kind, wanted = NodeKind(node.kind), read_wanted_ports(session, name)
    report = read_report(session.get(NodeReport, name))
    told = {port.name: port for port in report.ports} if report is not None else {}
    ports = [(each, told.get(each)) for each in PORTS[kind]]
    return NodePortsPublic(
        node_name=name,
        ports=[
            PortPublic(
                name=each,
                configured=None if port is None else port.configured,
                wanted=wanted.get(each),
                effective=None if port is None else port.effective,
                problem=None if port is None else port.problem,
            )
            for each, port in ports
        ],
        alternate_ports=[] if report is None else list(report.alternate_ports),
        variable=ALTERNATES_VARIABLES[kind],
    )


def tell_seen(ports: NodePortsPublic) -> SeenPorts:
    """Tell what admins decide about ports, for the tag."""
    wanted = {port.name.value: port.wanted for port in ports.ports if port.wanted is not None}
    return SeenPorts(node_name=ports.node_name, wanted=wanted)


def check_ports(kind: NodeKind, report: Report | None, wanted: Wanted, change: Wanted) -> None:
    """See that a node can have its ports where they will be wanted.

    Args:
        kind: What the node is.
        report: What it has said.
        wanted: Where its ports will be wanted after the change.
        change: What changes.

    Raises:
        ControlPlaneError: See `change_ports`.
    """
    if not set(change) <= set(PORTS[kind]):
        raise WrongPortError(ports=sorted(change))
    moved = {name: number for name, number in change.items() if number is not None}
    if not moved:
        return
    if report is None or not report.ports:
        raise PortsUnknownError
    configured = {port.name: port.configured for port in report.ports}
    for name, number in moved.items():
        if number != configured.get(name) and number not in report.alternate_ports:
            closed = MailPortClosedError if kind is NodeKind.MAIL else TurnPortClosedError
            raise closed(port=name.value, number=number)
    numbers = [wanted.get(name) or configured.get(name) for name in PORTS[kind]]
    for name, number in moved.items():
        # Where another service still is counts too: two that want one another's place would wait for ever.
        is_there = any(port.effective == number for port in report.ports if port.name != name)
        if is_there or numbers.count(number) > 1:
            raise PortTakenError(port=name.value, number=number)


def _change(session: Session, author: Author, node: Node, change: Wanted) -> None:
    """Write a change of one node; what changes nothing is not in the audit log."""
    former = read_wanted_ports(session, node.name)
    wanted = {**former, **change}
    report = read_report(session.get(NodeReport, node.name))
    check_ports(NodeKind(node.kind), report, wanted, change)
    before: dict[str, JsonValue] = {}
    after: dict[str, JsonValue] = {}
    for name, number in change.items():
        if former.get(name) == number:
            continue
        before[name.value], after[name.value] = former.get(name), number
        if number is not None:
            row = {"node_name": node.name, "name": name.value, "number": number}
            session.merge(NodePort.model_validate(row))
        elif (kept := session.get(NodePort, (node.name, name.value))) is not None:
            session.delete(kept)
    session.flush()
    if after:
        record_difference(session, author, Action.NODE_PORTS_CHANGE, node.name, (before, after))
        log.info("ports changed", node=node.name, **after)
