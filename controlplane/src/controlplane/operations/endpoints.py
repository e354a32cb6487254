"""Operations over HTTP.

Not for: rules (service.py), commits (dependencies.py).
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from controlplane.admins.access import Scope
from controlplane.admins.callers import AnyViewer, NodeOperator
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import BadAddressError, UnknownNodeError, UnknownOperationError, WrongKindError
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations import service
from controlplane.operations.events import EVENTS, MEDIA_TYPE, Progress, tell_progress
from controlplane.operations.listing import OperationFilter, describe_bulk, page_operations, write_key
from controlplane.operations.models import (
    AccountQuota,
    BulkPublic,
    OperationName,
    OperationPublic,
    OperationState,
)
from controlplane.plane import Plane
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from nodelink.contract.states import NodeName

LIST = "operations"

router = APIRouter(tags=["operations"])


@router.delete("/nodes/{name}/accounts/{address}", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def remove_account(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    address: str,
) -> OperationPublic:
    """Have an account removed, with all its messages. The node does it when it is connected."""
    row = service.remove_account(session, caller.at(now), name, address)
    response.headers["location"] = request.app.url_path_for("show_operation", operation_id=row.id)
    return service.describe_operation(row)


@router.put("/nodes/{name}/accounts/{address}/quota", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def change_account_quota(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    address: str,
    wanted: AccountQuota,
) -> OperationPublic:
    """Have an account given its own quota, or null to follow its node again."""
    row = service.change_account_quota(session, caller.at(now), name, address, wanted.quota_bytes)
    response.headers["location"] = request.app.url_path_for("show_operation", operation_id=row.id)
    return service.describe_operation(row)


@router.get("/operations")
def list_operations(  # noqa: PLR0913, PLR0917 - what can be asked for
    caller: AnyViewer,
    session: SessionDep,
    page: PageDep,
    node: Annotated[NodeName | None, Query()] = None,
    name: OperationName | None = None,
    state: OperationState | None = None,
    bulk: Annotated[str | None, Query(max_length=64, pattern=r"^[\x21-\x7e]*$")] = None,
) -> Page[OperationPublic]:
    """List operations, the newest first, as far as the token's scope reaches."""
    wanted = OperationFilter(caller.scope, node, name, state, bulk)
    rows = page_operations(session, wanted, page.read_text(LIST), page.limit + 1)
    cut = page.cut(LIST, rows, write_key)
    items = [service.describe_operation(row) for row in cut.items]
    return Page(items=items, next_cursor=cut.next_cursor)


@router.get("/operations/{operation_id}")
@refuses(UnknownOperationError)
def show_operation(caller: AnyViewer, session: SessionDep, operation_id: str) -> OperationPublic:
    """Show how far an operation is; one outside of the token's scope is as unknown as one that is not."""
    return _describe(session, caller.scope, operation_id)


@router.get("/operations/{operation_id}/events", response_class=StreamingResponse, responses=EVENTS)
@refuses(UnknownOperationError)
def follow_operation(
    caller: AnyViewer, session: SessionDep, plane: PlaneDep, operation_id: str
) -> StreamingResponse:
    """Tell how an operation goes on, until it is over."""
    _describe(session, caller.scope, operation_id)
    return _follow(plane, lambda later: _describe(later, caller.scope, operation_id))


@router.get("/bulk-operations/{bulk_id}")
@refuses(UnknownOperationError)
def show_bulk(caller: AnyViewer, session: SessionDep, bulk_id: str) -> BulkPublic:
    """Show how far a change of many accounts is, as far as the token's scope reaches."""
    return describe_bulk(session, caller.scope, bulk_id)


@router.get("/bulk-operations/{bulk_id}/events", response_class=StreamingResponse, responses=EVENTS)
@refuses(UnknownOperationError)
def follow_bulk(caller: AnyViewer, session: SessionDep, plane: PlaneDep, bulk_id: str) -> StreamingResponse:
    """Tell how a change of many accounts goes on, until it is over."""
    describe_bulk(session, caller.scope, bulk_id)
    return _follow(plane, lambda later: describe_bulk(later, caller.scope, bulk_id))


def _describe(session: Session, scope: Scope, operation_id: str) -> OperationPublic:
    row = service.read_operation(session, operation_id)
    if not is_node_reached(session, scope, row.node_name):
        raise UnknownOperationError(operation=operation_id)
    return service.describe_operation(row)


def _follow(plane: Plane, describe: Callable[[Session], Progress]) -> StreamingResponse:
    def look() -> Progress:
        with plane.sessions() as session:
            return describe(session)

    return StreamingResponse(tell_progress(look), media_type=MEDIA_TYPE)
