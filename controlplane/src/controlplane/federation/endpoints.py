"""Federation over HTTP: policy of fleet, group and node, what passes between nodes and peers, signing keys.

Not for: rules (service.py), commits (dependencies.py).
"""

from fastapi import APIRouter, Request, Response
from sqlmodel import Session

from controlplane.accounts.endpoints import AccountsDep, WhoseDep
from controlplane.accounts.live import Whose
from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.callers import (
    AnyViewer,
    FleetOperator,
    FleetViewer,
    GroupOperator,
    GroupViewer,
    NodeOperator,
    NodeViewer,
)
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import UnknownGroupError, UnknownNodeError, WrongKindError
from controlplane.federation import service
from controlplane.federation.models import FederationChange, FederationPublic, PeerList
from controlplane.federation.peers import list_peers
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.operations.models import OperationPublic
from controlplane.operations.service import describe_operation
from controlplane.rest.documentation import TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, write_tag

router = APIRouter(tags=["federation"], route_class=IdempotentRoute)


@router.get("/federation", responses=TAGGED)
def show_fleet_federation(
    _: FleetViewer, response: Response, session: SessionDep, now: Now
) -> FederationPublic:
    """Show with whom the fleet exchanges mail."""
    return _show(response, session, now, Scope(ScopeKind.FLEET, None))


@router.patch("/federation", responses=TAGGED)
def change_fleet_federation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    change: FederationChange,
) -> FederationPublic:
    """Change it: mode, rules, transports, dismissed domains, endpoints. It is in force within two seconds."""
    begin_change(session)
    seen.check(write_tag(service.describe_federation(session)))
    service.change_federation(session, plane.facts, caller.at(now), change)
    return _show(response, session, now, Scope(ScopeKind.FLEET, None))


@router.get("/groups/{group}/federation", responses=TAGGED)
@refuses(UnknownGroupError)
def show_group_federation(
    _: GroupViewer, response: Response, session: SessionDep, now: Now, group: str
) -> FederationPublic:
    """Show what a group says, and what holds on nodes of it that say nothing."""
    return _show(response, session, now, Scope(ScopeKind.GROUP, group))


@router.patch("/groups/{group}/federation", responses=TAGGED)
@refuses(UnknownGroupError)
def change_group_federation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: GroupOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    group: str,
    change: FederationChange,
) -> FederationPublic:
    """Change it for the nodes of a group; its lists add to those of the fleet."""
    begin_change(session)
    seen.check(write_tag(service.describe_federation(session, group=group)))
    service.change_federation(session, plane.facts, caller.at(now), change, group=group)
    return _show(response, session, now, Scope(ScopeKind.GROUP, group))


@router.get("/nodes/{name}/federation", responses=TAGGED)
@refuses(UnknownNodeError, WrongKindError)
def show_node_federation(
    _: NodeViewer, response: Response, session: SessionDep, now: Now, name: str
) -> FederationPublic:
    """Show what a mail node's own words are, and what holds there."""
    return _show(response, session, now, Scope(ScopeKind.NODE, name))


@router.patch("/nodes/{name}/federation", responses=TAGGED)
@refuses(UnknownNodeError, WrongKindError)
def change_node_federation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    change: FederationChange,
) -> FederationPublic:
    """Change it for one node; its lists add to those of its group and the fleet."""
    begin_change(session)
    seen.check(write_tag(service.describe_federation(session, node=name)))
    service.change_federation(session, plane.facts, caller.at(now), change, node=name)
    return _show(response, session, now, Scope(ScopeKind.NODE, name))


@router.get("/federation/servers")
@refuses(UnknownNodeError, WrongKindError)
async def list_servers(caller: AnyViewer, accounts: AccountsDep, whose: WhoseDep) -> PeerList:
    """List the servers of others that nodes have exchanged mail with, as the nodes say at this moment."""
    node, group = whose
    return await list_peers(accounts, Whose(caller.scope, node, group))


@router.post("/nodes/{name}/dkim-keys", status_code=202)
@refuses(UnknownNodeError, WrongKindError)
def rotate_dkim_keys(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
) -> OperationPublic:
    """Have a node announce its next signing keys; they sign an hour after the DNS has them."""
    row = service.rotate_dkim_keys(session, caller.at(now), name)
    response.headers["location"] = request.app.url_path_for("show_operation", operation_id=row.id)
    return describe_operation(row)


def _show(response: Response, session: Session, now_seconds: int, scope: Scope) -> FederationPublic:
    group = scope.name if scope.kind is ScopeKind.GROUP else None
    node = scope.name if scope.kind is ScopeKind.NODE else None
    resource = service.describe_federation(session, group=group, node=node)
    response.headers["etag"] = write_tag(resource)
    missing = list_missing(session, NodeFilter(scope), now_seconds)
    return resource.model_copy(update={"missing_nodes": missing})
