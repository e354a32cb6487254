"""The ports of a node over HTTP.

Not for: rules (ports.py), nor for commits (dependencies.py).
"""

from fastapi import APIRouter, Response

from controlplane.admins.callers import NodeOperator, NodeViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import UnknownNodeError
from controlplane.nodes import ports
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.port_errors import (
    MailPortClosedError,
    PortsUnknownError,
    PortTakenError,
    TurnPortClosedError,
    WrongPortError,
)
from controlplane.nodes.port_models import NodePortsPublic, PortsChange
from controlplane.rest.documentation import TAGGED
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, write_tag

router = APIRouter(tags=["nodes"])


@router.get("/nodes/{name}/ports", responses=TAGGED)
@refuses(UnknownNodeError)
def show_ports(_: NodeViewer, response: Response, session: SessionDep, name: str) -> NodePortsPublic:
    """Show where the mail services, or TURN, of a node listen, and where they can be moved."""
    return _show(response, ports.describe_ports(session, name))


@router.patch("/nodes/{name}/ports", responses=TAGGED)
@refuses(
    UnknownNodeError,
    WrongPortError,
    PortsUnknownError,
    MailPortClosedError,
    TurnPortClosedError,
    PortTakenError,
)
def change_ports(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    change: PortsChange,
) -> NodePortsPublic:
    """Move ports of a node, or back with null. Sessions and calls that are open go on."""
    begin_change(session)
    seen.check(_write_tag(ports.describe_ports(session, name)))
    ports.change_ports(session, plane.facts, caller.at(now), name, change.named)
    return _show(response, ports.describe_ports(session, name))


def _write_tag(found: NodePortsPublic) -> str:
    return write_tag(ports.tell_seen(found))


def _show(response: Response, found: NodePortsPublic) -> NodePortsPublic:
    response.headers["etag"] = _write_tag(found)
    return found
