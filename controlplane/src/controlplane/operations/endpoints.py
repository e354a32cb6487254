"""Operations over HTTP.

Not for: rules (service.py), commits (dependencies.py).
"""

from fastapi import APIRouter, Request, Response

from controlplane.admins.callers import AnyViewer, NodeOperator
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import BadAddressError, UnknownNodeError, UnknownOperationError, WrongKindError
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations import service
from controlplane.operations.models import AccountQuota, OperationPublic
from controlplane.rest.refusals import refuses

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


@router.get("/operations/{operation_id}")
@refuses(UnknownOperationError)
def show_operation(caller: AnyViewer, session: SessionDep, operation_id: str) -> OperationPublic:
    """Show how far an operation is; one outside of the token's scope is as unknown as one that is not."""
    row = service.read_operation(session, operation_id)
    if not is_node_reached(session, caller.scope, row.node_name):
        raise UnknownOperationError(operation=operation_id)
    return service.describe_operation(row)
