"""Groups of nodes over HTTP.

Not for: rules (groups.py), nor for commits (dependencies.py).
"""

from fastapi import APIRouter, Request, Response

from controlplane.admins.callers import AnyViewer, FleetOperator, GroupOperator, GroupViewer
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import GroupExistsError, GroupInUseError, UnknownGroupError
from controlplane.nodes import groups
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.group_models import GroupChange, GroupPublic, GroupRequest
from controlplane.rest.documentation import CREATED, TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag

LIST = "groups"
TAGGED_FIELDS = frozenset({"name", "label"})

router = APIRouter(prefix="/groups", tags=["groups"], route_class=IdempotentRoute)


@router.get("")
def list_groups(caller: AnyViewer, session: SessionDep, page: PageDep) -> Page[GroupPublic]:
    """List the groups by name, as far as the token's scope reaches."""
    rows = groups.page_groups(session, caller.scope, page.read_text(LIST), page.limit + 1)
    shown = [groups.describe_group(session, row) for row in rows]
    return page.cut(LIST, shown, lambda group: group.name)


@router.post("", status_code=201, responses=CREATED)
@refuses(GroupExistsError)
def create_group(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    wanted: GroupRequest,
) -> GroupPublic:
    """Make a group, with no node in it yet."""
    group = groups.create_group(session, caller.at(now), wanted)
    response.headers["location"] = request.app.url_path_for("show_group", group=group.name)
    return _show(response, groups.describe_group(session, group))


@router.get("/{group}", responses=TAGGED)
@refuses(UnknownGroupError)
def show_group(_: GroupViewer, response: Response, session: SessionDep, group: str) -> GroupPublic:
    """Show a group."""
    return _show(response, groups.describe_group(session, groups.read_group(session, group)))


@router.patch("/{group}", responses=TAGGED)
@refuses(UnknownGroupError)
def change_group(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: GroupOperator,
    response: Response,
    session: SessionDep,
    now: Now,
    seen: Seen,
    group: str,
    change: GroupChange,
) -> GroupPublic:
    """Change what a group is called for people."""
    begin_change(session)
    seen.check(_write_tag(groups.describe_group(session, groups.read_group(session, group))))
    row = groups.change_group(session, caller.at(now), group, change)
    return _show(response, groups.describe_group(session, row))


@router.delete("/{group}", status_code=204)
@refuses(UnknownGroupError, GroupInUseError)
def remove_group(caller: FleetOperator, session: SessionDep, now: Now, seen: SeenIfSaid, group: str) -> None:
    """Remove a group that no node is in; its tokens are revoked."""
    begin_change(session)
    seen.check(_write_tag(groups.describe_group(session, groups.read_group(session, group))))
    groups.remove_group(session, caller.at(now), group)


def _write_tag(group: GroupPublic) -> str:
    return write_tag(group, TAGGED_FIELDS)


def _show(response: Response, group: GroupPublic) -> GroupPublic:
    response.headers["etag"] = _write_tag(group)
    return group
