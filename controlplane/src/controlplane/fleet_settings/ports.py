"""Where a port of the nodes is moved at run time.

For: `service.py`, which has seen that the port is a number and the setting one of ports.
Not for: what a port is called (catalogue.py), nor for the rules of moving one (nodes/ports.py).
"""

from sqlmodel import Session, col, select

from controlplane.admins.audit import Author
from controlplane.fleet_settings.catalogue import Setting
from controlplane.fleet_settings.errors import ClosedPortError
from controlplane.nodes import ports
from controlplane.nodes.models import Node
from controlplane.nodes.port_errors import MailPortClosedError, TurnPortClosedError
from controlplane.nodes.port_models import NodePort
from controlplane.nodes.states import FleetFacts
from nodelink.contract.ports import ALTERNATES_VARIABLES, PORTS, PortName
from nodelink.contract.states import NodeKind


def move_port(  # noqa: PLR0913, PLR0917 - what a change is made of
    session: Session,
    facts: FleetFacts,
    author: Author,
    node: str | None,
    setting: Setting,
    port: int | None,
) -> None:
    """Move a port of one node, or with `None` of every node that has it; all of them, or none.

    `port` is `None` for where Ansible has put it.

    Raises:
        ClosedPortError: It is not open on one of the nodes.
        PortsUnknownError: One of them has not said which are open.
        PortTakenError: Another service of one of them is there.
        UnknownNodeError: There is no node of this name.
        WrongPortError: It has no such port.
    """
    name = _port_of(setting)
    kind = _kind_of(name)
    try:
        if node is None:
            ports.change_fleet_port(session, facts, author, name, port)
            return
        ports.change_ports(session, facts, author, node, {name: port})
    except (MailPortClosedError, TurnPortClosedError) as error:
        raise ClosedPortError(port, ALTERNATES_VARIABLES[kind]) from error


def read_moved_port(session: Session, node: str | None, setting: Setting) -> int | None:
    """Read to which port something was moved; `None` where it is where Ansible has put it.

    Of the whole fleet it is the port at which all nodes of the kind are wanted.
    """
    name = _port_of(setting)
    if node is not None:
        return ports.read_wanted_ports(session, node).get(name)
    nodes = session.exec(select(Node.name).where(col(Node.kind) == _kind_of(name).value)).all()
    rows = session.exec(select(NodePort).where(col(NodePort.name) == name.value)).all()
    moved = {row.node_name: row.number for row in rows}
    numbers = {moved.get(each) for each in nodes}
    return numbers.pop() if len(numbers) == 1 else None


def _port_of(setting: Setting) -> PortName:
    return PortName(setting.name.removesuffix("_port"))


def _kind_of(name: PortName) -> NodeKind:
    return next(kind for kind, names in PORTS.items() if name in names)
