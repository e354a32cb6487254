"""Groups of nodes: which there are, and one of them with its policy and its nodes.

Not for: moving a node (node_changes.py), nor for the group's policy (policy_pages.py).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.callers import (
    PageAnyViewer,
    PageFleetOperator,
    PageGroupOperator,
    PageGroupViewer,
)
from controlplane.dependencies import Now, SessionDep
from controlplane.nodes import groups
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.group_endpoints import TAGGED_FIELDS
from controlplane.nodes.group_models import GroupChange, GroupRequest
from controlplane.nodes.reports import NodeFilter, list_missing, page_nodes
from controlplane.policy import service
from controlplane.rest.paging import PageDep
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.forms import OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.pages import go_back, go_to, render
from controlplane.web.policy_form import list_group_fields
from controlplane.web.texts.notices import Notice

LIST = "web groups"
MEMBERS = "web members"

router = APIRouter(include_in_schema=False)


@router.get("/admin/groups")
def show_groups(request: Request, caller: PageAnyViewer, session: SessionDep, page: PageDep) -> Response:
    """List the groups, as far as the token's scope reaches."""
    rows = groups.page_groups(session, caller.scope, page.read_text(LIST), page.limit + 1)
    shown = [groups.describe_group(session, row) for row in rows]
    return render(request, "groups.html", {"groups": page.cut(LIST, shown, lambda group: group.name)})


@router.post("/admin/groups")
def create_group(caller: PageFleetOperator, session: SessionDep, now: Now, form: OwnFormDep) -> Response:
    """Make a group."""
    wanted = read_model(
        GroupRequest, {"name": form.text("name").strip(), "label": form.text("label").strip()}
    )
    group = groups.create_group(session, caller.at(now), wanted)
    return go_to(write_page("groups", group.name), Notice.CHANGED)


@router.get("/admin/groups/{group}")
def show_group(
    request: Request, _: PageGroupViewer, session: SessionDep, now: Now, page: PageDep, group: str
) -> Response:
    """Show one group."""
    described = groups.describe_group(session, groups.read_group(session, group))
    policy = service.describe_group_policy(session, service.read_group_policy(session, group))
    scope = Scope(ScopeKind.GROUP, group)
    members = page_nodes(session, NodeFilter(scope), (page.read_text(MEMBERS), page.limit + 1), now)
    values = {
        "group": described,
        "tag": write_tag(described, TAGGED_FIELDS),
        "policy_tag": write_tag(policy),
        "fields": list_group_fields(session, policy),
        "members": page.cut(MEMBERS, members, lambda node: node.name),
        "missing": list_missing(session, NodeFilter(scope), now),
    }
    return render(request, "group.html", values)


@router.post("/admin/groups/{group}")
def change_group(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageGroupOperator,
    session: SessionDep,
    now: Now,
    form: OwnFormDep,
    group: str,
) -> Response:
    """Change what a group is called for people."""
    change = read_model(GroupChange, {"label": form.text("label").strip()})
    begin_change(session)
    described = groups.describe_group(session, groups.read_group(session, group))
    Precondition(form.text("tag")).check(write_tag(described, TAGGED_FIELDS))
    groups.change_group(session, caller.at(now), group, change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/groups/{group}/remove")
def remove_group(
    caller: PageFleetOperator, session: SessionDep, now: Now, _: OwnFormDep, group: str
) -> Response:
    """Remove a group that no node is in."""
    groups.remove_group(session, caller.at(now), group)
    return go_to(write_page("groups"), Notice.REMOVED)
