"""Servers of others: with whom mail is exchanged, of the fleet, a group or a node; and what has passed.

Not for: what forms mean (federation_form.py), nor for queues, which stand on the nodes' own pages.
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from controlplane.accounts.endpoints import AccountsDep
from controlplane.accounts.live import Whose
from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.callers import (
    PageAnyViewer,
    PageFleetOperator,
    PageFleetViewer,
    PageGroupOperator,
    PageGroupViewer,
    PageNodeOperator,
    PageNodeViewer,
)
from controlplane.admins.tokens import Caller
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.federation import service
from controlplane.federation.peers import list_peers
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.plane import Plane
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.federation_form import (
    ALL_TRANSPORTS,
    FederationForm,
    list_transport_choices,
    read_change,
)
from controlplane.web.forms import Form, OwnFormDep
from controlplane.web.links import write_page
from controlplane.web.pages import go_back, render
from controlplane.web.texts.notices import Notice
from nodelink.contract.federation import FederationMode, PeerTransport

WHOLE = Scope(ScopeKind.FLEET, None)

router = APIRouter(include_in_schema=False)


@router.get("/admin/federation")
def show_fleet(request: Request, _: PageFleetViewer, session: SessionDep, now: Now) -> Response:
    """Show with whom the fleet exchanges mail."""
    return _show(request, session, now, WHOLE)


@router.get("/admin/federation/servers")
async def show_servers(request: Request, caller: PageAnyViewer, accounts: AccountsDep) -> Response:
    """Show what passes between nodes and servers of others, as the nodes say at this moment."""
    found = await list_peers(accounts, Whose(caller.scope))
    return render(request, "federation_servers.html", {"peers": found.items, "missing": found.missing_nodes})


@router.get("/admin/groups/{group}/federation")
def show_group(request: Request, _: PageGroupViewer, session: SessionDep, now: Now, group: str) -> Response:
    """Show what a group says, and what holds in it."""
    return _show(request, session, now, Scope(ScopeKind.GROUP, group))


@router.get("/admin/nodes/{name}/federation")
def show_node(request: Request, _: PageNodeViewer, session: SessionDep, now: Now, name: str) -> Response:
    """Show what a node's own words are, and what holds there."""
    return _show(request, session, now, Scope(ScopeKind.NODE, name))


@router.post("/admin/federation/{kind}")
def change_fleet(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    kind: FederationForm,
) -> Response:
    """Put in force what a form says of the fleet."""
    return _change(request, (session, plane, now), caller, WHOLE, kind, form)


@router.post("/admin/groups/{group}/federation/{kind}")
def change_group(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageGroupOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    group: str,
    kind: FederationForm,
) -> Response:
    """Put in force what a form says of a group."""
    return _change(request, (session, plane, now), caller, Scope(ScopeKind.GROUP, group), kind, form)


@router.post("/admin/nodes/{name}/federation/{kind}")
def change_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageNodeOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    name: str,
    kind: FederationForm,
) -> Response:
    """Put in force what a form says of a node."""
    return _change(request, (session, plane, now), caller, Scope(ScopeKind.NODE, name), kind, form)


def _show(request: Request, session: Session, now_seconds: int, scope: Scope) -> Response:
    group, node = _split(scope)
    described = service.describe_federation(session, group=group, node=node)
    own_rules = {(rule.domain, rule.transport) for rule in described.own.rules}
    transports = [described.in_force.transports, *filter(None, [described.own.transports])]
    words = ["nodes", node] if node is not None else ["groups", group] if group is not None else []
    values = {
        "scope": scope,
        "action": write_page(*filter(None, words), "federation"),
        "tag": write_tag(described),
        "own": described.own,
        "own_rules": own_rules,
        "own_endpoints": {each.domain for each in described.own.endpoints},
        "in_force": described.in_force,
        "modes": list(FederationMode),
        "transports": list(PeerTransport),
        "transport_choices": list_transport_choices(*transports),
        "all_transports": ALL_TRANSPORTS,
        "missing": list_missing(session, NodeFilter(scope), now_seconds),
    }
    return render(request, "federation.html", values)


def _change(  # noqa: PLR0913, PLR0917 - who, where, what
    request: Request,
    at: tuple[Session, Plane, int],
    caller: Caller,
    scope: Scope,
    kind: FederationForm,
    form: Form,
) -> Response:
    session, plane, now_seconds = at
    group, node = _split(scope)
    begin_change(session)
    described = service.describe_federation(session, group=group, node=node)
    Precondition(form.text("tag")).check(write_tag(described))
    change = read_change(kind, form, described.own)
    service.change_federation(session, plane.facts, caller.at(now_seconds), change, group=group, node=node)
    return go_back(request, Notice.CHANGED)


def _split(scope: Scope) -> tuple[str | None, str | None]:
    """Tell which group, or which node, a scope is."""
    is_group = scope.kind is ScopeKind.GROUP
    return (scope.name, None) if is_group else (None, scope.name)
