"""Operations over HTTP.

Not for: rules (service.py), commits (dependencies.py).
"""

from fastapi import APIRouter, Response

from controlplane.admins.callers import Operator, Viewer
from controlplane.dependencies import Now, SessionDep
from controlplane.operations import service
from controlplane.operations.models import OperationPublic

router = APIRouter(prefix="/api/v1", tags=["operations"])


@router.delete("/nodes/{name}/accounts/{address}", status_code=202)
def remove_account(
    _: Operator, session: SessionDep, now: Now, name: str, address: str, response: Response
) -> OperationPublic:
    """Have an account removed, with all its messages. The node does it when it is connected."""
    row = service.remove_account(session, name, address, now)
    response.headers["location"] = f"/api/v1/operations/{row.id}"
    return service.describe_operation(row)


@router.get("/operations/{operation_id}")
def show_operation(_: Viewer, session: SessionDep, operation_id: str) -> OperationPublic:
    """Show how far an operation is."""
    return service.describe_operation(service.read_operation(session, operation_id))
