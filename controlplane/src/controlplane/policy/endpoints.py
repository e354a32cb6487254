"""Policy over HTTP: of the fleet, of a group, of a node. The nearest word counts.

Not for: rules (service.py), commits (dependencies.py).
"""

from typing import TypeVar

from fastapi import APIRouter, Response
from sqlmodel import Session

from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.callers import (
    AnyViewer,
    FleetOperator,
    GroupOperator,
    GroupViewer,
    NodeOperator,
    NodeViewer,
)
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import UnknownGroupError, UnknownNodeError, WrongKindError
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.port_errors import TurnPortSilentError
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.policy import service
from controlplane.policy.models import (
    FleetPolicyChange,
    FleetPolicyPublic,
    Followed,
    GroupPolicyPublic,
    NodePolicyPublic,
    OverridesChange,
)
from controlplane.rest.documentation import TAGGED
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, write_tag

PublicT = TypeVar("PublicT", bound=Followed)

router = APIRouter(tags=["policy"])


@router.get("/policy", responses=TAGGED)
def show_fleet_policy(
    caller: AnyViewer, response: Response, session: SessionDep, now: Now
) -> FleetPolicyPublic:
    """Show what holds on every node that does not differ."""
    missing = list_missing(session, NodeFilter(caller.scope), now)
    return _show(response, service.describe_fleet_policy(session), missing)


@router.patch("/policy", responses=TAGGED)
@refuses(TurnPortSilentError)
def change_fleet_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    change: FleetPolicyChange,
) -> FleetPolicyPublic:
    """Change it: registration, JIT, default quota, sizes. It is in force within two seconds."""
    begin_change(session)
    seen.check(write_tag(service.describe_fleet_policy(session)))
    service.change_fleet_policy(session, plane.facts, caller.at(now), change)
    missing = list_missing(session, NodeFilter(caller.scope), now)
    return _show(response, service.describe_fleet_policy(session), missing)


@router.get("/groups/{group}/policy", responses=TAGGED)
@refuses(UnknownGroupError)
def show_group_policy(
    _: GroupViewer, response: Response, session: SessionDep, now: Now, group: str
) -> GroupPolicyPublic:
    """Show in what a group differs from the fleet, and what is in force on nodes of it."""
    return _show_group(response, session, now, group)


@router.patch("/groups/{group}/policy", responses=TAGGED)
@refuses(UnknownGroupError, TurnPortSilentError)
def change_group_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: GroupOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    group: str,
    change: OverridesChange,
) -> GroupPolicyPublic:
    """Make a group differ from the fleet; `null` makes it follow again."""
    begin_change(session)
    seen.check(write_tag(_read_group(session, group)))
    service.change_group_policy(session, plane.facts, caller.at(now), group, change)
    return _show_group(response, session, now, group)


@router.get("/nodes/{name}/policy", responses=TAGGED)
@refuses(UnknownNodeError, WrongKindError)
def show_node_policy(
    _: NodeViewer, response: Response, session: SessionDep, now: Now, name: str
) -> NodePolicyPublic:
    """Show in what a mail node differs from its group and the fleet, and what is in force on it."""
    return _show_node(response, session, now, name)


@router.patch("/nodes/{name}/policy", responses=TAGGED)
@refuses(UnknownNodeError, WrongKindError, TurnPortSilentError)
def change_node_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    change: OverridesChange,
) -> NodePolicyPublic:
    """Make a mail node differ; `null` makes it follow its group, or the fleet, again."""
    begin_change(session)
    seen.check(write_tag(_read_node(session, name)))
    service.change_node_policy(session, plane.facts, caller.at(now), name, change)
    return _show_node(response, session, now, name)


def _read_group(session: Session, group: str) -> GroupPolicyPublic:
    return service.describe_group_policy(session, service.read_group_policy(session, group))


def _read_node(session: Session, name: str) -> NodePolicyPublic:
    return service.describe_node_policy(session, service.read_node_policy(session, name))


def _show_group(response: Response, session: Session, now_seconds: int, group: str) -> GroupPolicyPublic:
    missing = list_missing(session, NodeFilter(Scope(ScopeKind.GROUP, group)), now_seconds)
    return _show(response, _read_group(session, group), missing)


def _show_node(response: Response, session: Session, now_seconds: int, name: str) -> NodePolicyPublic:
    missing = list_missing(session, NodeFilter(Scope(ScopeKind.NODE, name)), now_seconds)
    return _show(response, _read_node(session, name), missing)


def _show(response: Response, resource: PublicT, missing: list[str]) -> PublicT:
    """Show a resource under the tag of what admins can change of it."""
    response.headers["etag"] = write_tag(resource)
    return resource.model_copy(update={"missing_nodes": missing})
