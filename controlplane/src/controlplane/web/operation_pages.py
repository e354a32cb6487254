"""Operations: which there are, and how far one is, told as it goes on.

Not for: ordering any; the pages do that on which they are about.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from sqlmodel import Session

from controlplane.admins.access import Scope
from controlplane.admins.callers import PageAnyViewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.errors import UnknownOperationError
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations import service
from controlplane.operations.events import LOOK_SECONDS, MEDIA_TYPE, Progress, tell_progress
from controlplane.operations.listing import OperationFilter, describe_bulk, page_operations, write_key
from controlplane.operations.models import OperationName, OperationPublic, OperationState
from controlplane.plane import Plane
from controlplane.rest.paging import PageDep
from controlplane.web.pages import render, render_part

LIST = "web operations"
Text = Annotated[str, Query(max_length=64, pattern=r"^[\x20-\x7e]*$")]

router = APIRouter(include_in_schema=False)


@router.get("/admin/operations")
def show_operations(  # noqa: PLR0913, PLR0917 - what can be asked for
    request: Request,
    caller: PageAnyViewer,
    session: SessionDep,
    page: PageDep,
    node: Text = "",
    name: Text = "",
    state: Text = "",
    bulk: Text = "",
) -> Response:
    """List operations, the newest first, as far as the token's scope reaches."""
    wanted = OperationFilter(
        caller.scope,
        node or None,
        OperationName(name) if name in set(OperationName) else None,
        OperationState(state) if state in set(OperationState) else None,
        bulk or None,
    )
    rows = page_operations(session, wanted, page.read_text(LIST), page.limit + 1)
    cut = page.cut(LIST, rows, write_key)
    values = {
        "operations": [service.describe_operation(row) for row in cut.items],
        "next_cursor": cut.next_cursor,
        "names": list(OperationName),
        "states": list(OperationState),
        "asked": {"node": node, "name": name, "state": state, "bulk": bulk},
    }
    return render(request, "operations.html", values)


@router.get("/admin/operations/{operation_id}")
def show_operation(
    request: Request, caller: PageAnyViewer, session: SessionDep, operation_id: str
) -> Response:
    """Show how far an operation is."""
    return render(request, "operation.html", {"operation": _describe(session, caller.scope, operation_id)})


@router.get("/admin/operations/{operation_id}/events")
def follow_operation(
    request: Request, caller: PageAnyViewer, session: SessionDep, plane: PlaneDep, operation_id: str
) -> StreamingResponse:
    """Tell how an operation goes on, as a part of its page."""
    _describe(session, caller.scope, operation_id)
    return _follow(request, plane, lambda later: _describe(later, caller.scope, operation_id))


@router.get("/admin/bulk-operations/{bulk_id}")
def show_bulk(request: Request, caller: PageAnyViewer, session: SessionDep, bulk_id: str) -> Response:
    """Show how far a change of many accounts is."""
    return render(
        request, "bulk_operation.html", {"operation": describe_bulk(session, caller.scope, bulk_id)}
    )


@router.get("/admin/bulk-operations/{bulk_id}/events")
def follow_bulk(
    request: Request, caller: PageAnyViewer, session: SessionDep, plane: PlaneDep, bulk_id: str
) -> StreamingResponse:
    """Tell how a change of many accounts goes on, as a part of its page."""
    describe_bulk(session, caller.scope, bulk_id)
    return _follow(request, plane, lambda later: describe_bulk(later, caller.scope, bulk_id))


def _describe(session: Session, scope: Scope, operation_id: str) -> OperationPublic:
    row = service.read_operation(session, operation_id)
    if not is_node_reached(session, scope, row.node_name):
        raise UnknownOperationError(operation=operation_id)
    return service.describe_operation(row)


def _follow(request: Request, plane: Plane, describe: Callable[[Session], Progress]) -> StreamingResponse:
    def look() -> Progress:
        with plane.sessions() as session:
            return describe(session)

    def write(progress: Progress) -> str:
        template = (
            "parts/progress.html" if isinstance(progress, OperationPublic) else "parts/bulk_progress.html"
        )
        part = render_part(request, template, {"operation": progress})
        event = write_event("progress", part)
        return event if progress.state is OperationState.WAITING else event + write_event("over", "over")

    return StreamingResponse(tell_progress(look, LOOK_SECONDS, write), media_type=MEDIA_TYPE)


def write_event(name: str, content: str) -> str:
    """Write one named event; each line of its content is one of `data`."""
    lines = "".join(f"data: {line}\n" for line in content.splitlines())
    return f"event: {name}\n{lines}\n"
