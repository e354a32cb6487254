"""The fleet at a glance: figures, charts, every node; and inviting another node.

Not for: one node (node_pages.py).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from controlplane.admins.access import WHOLE_FLEET
from controlplane.admins.callers import PageAnyViewer, PageFleetOperator, PageFleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.health.sample_models import HistoryPublic
from controlplane.health.samples import KEPT_MINUTES, read_fleet_history
from controlplane.nodes.enrolment import create_ticket
from controlplane.nodes.groups import page_groups
from controlplane.nodes.invitation import write_invitation
from controlplane.nodes.models import DEFAULT_TOKEN_HOURS, MAX_TOKEN_HOURS, JoinTokenRequest
from controlplane.nodes.reports import NodeFilter, count_nodes, list_missing, page_nodes
from controlplane.rest.paging import PageDep
from controlplane.web.charts import FLEET_CHARTS, read_latest
from controlplane.web.forms import OwnFormDep, read_model
from controlplane.web.pages import render
from nodelink.contract.states import NodeKind

LIST = "web nodes"
MAX_GROUPS = 200
MAX_NAMED = 20

router = APIRouter(include_in_schema=False)


@router.get("/admin")
def show_overview(  # noqa: PLR0913, PLR0917 - what can be asked for
    request: Request,
    caller: PageAnyViewer,
    session: SessionDep,
    now: Now,
    page: PageDep,
    kind: Annotated[str, Query(max_length=10)] = "",
    group: Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """Show the fleet, as far as the token's scope reaches."""
    wanted = NodeFilter(caller.scope, NodeKind(kind) if kind in set(NodeKind) else None, group or None)
    nodes = page_nodes(session, wanted, (page.read_text(LIST), page.limit + 1), now)
    missing = list_missing(session, NodeFilter(caller.scope), now)
    count = count_nodes(session, NodeFilter(caller.scope))
    history = read_fleet_history(session, KEPT_MINUTES, now) if caller.scope == WHOLE_FLEET else None
    values = {
        "nodes": page.cut(LIST, nodes, lambda node: node.name),
        "count": count,
        "connected": count - len(missing),
        "missing": missing[:MAX_NAMED],
        "groups": [each.name for each in page_groups(session, caller.scope, "", MAX_GROUPS)],
        "kind": kind,
        "group": group,
        "history": history,
        "charts": FLEET_CHARTS,
        "latest": None if history is None else lambda *figures: read_latest(history, *figures),
        "default_hours": DEFAULT_TOKEN_HOURS,
        "max_hours": MAX_TOKEN_HOURS,
    }
    return render(request, "overview.html", values)


@router.get("/admin/history")
def show_history(_: PageFleetViewer, session: SessionDep, now: Now) -> HistoryPublic:
    """Hand out what the charts of the overview draw."""
    return read_fleet_history(session, KEPT_MINUTES, now)


@router.post("/admin/join-tokens")
def invite_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
) -> Response:
    """Invite a node; the token is shown on this page only."""
    wanted = read_model(
        JoinTokenRequest,
        {"name": form.text("name"), "kind": form.text("kind"), "valid_for_hours": form.number("hours")},
    )
    ticket, secret = create_ticket(session, plane.vault, wanted, caller.at(now))
    values = {"ticket": ticket, "token": write_invitation(plane, secret)}
    return render(request, "invited.html", values)
