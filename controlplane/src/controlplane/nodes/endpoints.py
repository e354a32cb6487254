"""The Admin API's view of nodes, and what it changes about them.

Not for: rules (administration.py, enrolment.py, reports.py), commits (dependencies.py), nor for what nodes
themselves call (node_endpoints.py).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import JsonValue
from sqlmodel import Session

from controlplane.admins.callers import AnyViewer, FleetOperator, NodeOperator, NodeViewer
from controlplane.dependencies import HubDep, Now, PlaneDep, SessionDep, lend_plane
from controlplane.errors import (
    NodeExistsError,
    NodeNotConnectedError,
    NodeRefusedError,
    NodeSilentError,
    UnknownGroupError,
    UnknownNodeError,
    WrongKindError,
)
from controlplane.nodes import administration, enrolment, reports
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.invitation import write_invitation
from controlplane.nodes.models import (
    JoinTokenPublic,
    JoinTokenRequest,
    NodeChange,
    NodeMove,
    NodePublic,
)
from controlplane.rest.documentation import TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag
from nodelink.contract.states import NodeKind, NodeName

LIST = "nodes"
TAGGED_FIELDS = frozenset({"name", "kind", "public_key", "label", "weight", "is_draining", "group"})
"""What admins say of a node. How it is differs each second, and nobody decides by that."""

router = APIRouter(tags=["nodes"], route_class=IdempotentRoute)


@router.get("/nodes")
def list_nodes(  # noqa: PLR0913, PLR0917 - what can be asked for
    caller: AnyViewer,
    session: SessionDep,
    now: Now,
    page: PageDep,
    kind: NodeKind | None = None,
    group: Annotated[NodeName | None, Query()] = None,
) -> Page[NodePublic]:
    """List the nodes by name, as far as the token's scope reaches, and how each is."""
    wanted = reports.NodeFilter(caller.scope, kind, group)
    nodes = reports.page_nodes(session, wanted, (page.read_text(LIST), page.limit + 1), now)
    return page.cut(LIST, nodes, lambda node: node.name)


@router.get("/nodes/{name}", responses=TAGGED)
@refuses(UnknownNodeError)
def show_node(_: NodeViewer, response: Response, session: SessionDep, now: Now, name: str) -> NodePublic:
    """Show one node, and how it is."""
    return _show(response, _read(session, name, now))


@router.patch("/nodes/{name}", responses=TAGGED)
@refuses(UnknownNodeError, WrongKindError)
def change_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    change: NodeChange,
) -> NodePublic:
    """Change what a node is called, how much it gets, and whether it drains."""
    begin_change(session)
    seen.check(_write_tag(_read(session, name, now)))
    administration.change_node(session, plane.facts, caller.at(now), name, change)
    return _show(response, _read(session, name, now))


@router.put("/nodes/{name}/group", responses=TAGGED)
@refuses(UnknownNodeError, UnknownGroupError)
def move_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    move: NodeMove,
) -> NodePublic:
    """Put a node into a group, or out of any. If-Match takes the ETag of the node."""
    begin_change(session)
    seen.check(_write_tag(_read(session, name, now)))
    administration.move_node(session, plane.facts, caller.at(now), name, move)
    return _show(response, _read(session, name, now))


@router.delete("/nodes/{name}", status_code=204)
@refuses(UnknownNodeError)
def retire_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator, session: SessionDep, plane: PlaneDep, now: Now, seen: SeenIfSaid, name: str
) -> None:
    """Make a node none of the fleet any more: its channel is closed, its key is no longer accepted."""
    begin_change(session)
    seen.check(_write_tag(_read(session, name, now)))
    enrolment.retire_node(session, plane.facts, name, caller.at(now))


@refuses(UnknownNodeError)
def check_node_exists(request: Request, name: str) -> str:
    """See that a node is enrolled; no session is kept while it is asked. Raises: UnknownNodeError."""
    with lend_plane(request).sessions() as session:
        return enrolment.read_node(session, name).name


@router.get("/nodes/{name}/status")
@refuses(NodeNotConnectedError, NodeRefusedError, NodeSilentError)
async def ask_status(
    _: NodeViewer, hub: HubDep, node: Annotated[str, Depends(check_node_exists)]
) -> JsonValue:
    """Ask a node at this moment how it is."""
    return await hub.ask_node(node, "status")


@router.post("/join-tokens", status_code=201)
@refuses(NodeExistsError)
def create_join_token(
    caller: FleetOperator,
    _: Once,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    wanted: JoinTokenRequest,
) -> JoinTokenPublic:
    """Invite a node. The token is shown in this answer only, and is good for one node."""
    ticket, secret = enrolment.create_ticket(session, plane.vault, wanted, caller.at(now))
    return JoinTokenPublic(
        join_token=write_invitation(plane, secret),
        name=ticket.node_name,
        kind=wanted.kind,
        expires_at_seconds=ticket.expires_at_seconds,
    )


def _read(session: Session, name: str, now_seconds: int) -> NodePublic:
    return reports.describe_node(session, enrolment.read_node(session, name), now_seconds)


def _write_tag(node: NodePublic) -> str:
    return write_tag(node, TAGGED_FIELDS)


def _show(response: Response, node: NodePublic) -> NodePublic:
    response.headers["etag"] = _write_tag(node)
    return node
