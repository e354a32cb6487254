"""Changes of accounts over HTTP. Each is answered at once with an operation, which the node carries out.

Not for: rules (orders.py), commits (dependencies.py), nor for removal and quota (operations/endpoints.py).
"""

from typing import NoReturn

from fastapi import APIRouter, Request, Response

from controlplane.accounts import orders
from controlplane.accounts.models import (
    AccountImport,
    BlockRequest,
    BulkRequest,
    ImportRequest,
    NoticeRequest,
    PurgeRequest,
    QueuePurgeRequest,
)
from controlplane.admins.callers import AnyOperator, NodeOperator
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import BadAddressError, NoticeHiddenError, UnknownNodeError, WrongKindError
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations.listing import describe_bulk
from controlplane.operations.models import BulkPublic, NodeOperation, OperationPublic
from controlplane.operations.service import describe_operation
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.refusals import refuses

router = APIRouter(tags=["accounts"], route_class=IdempotentRoute)


@router.post("/nodes/{name}/accounts", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def create_account(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    account: AccountImport,
) -> OperationPublic:
    """Have an account made, whether or not registration is open."""
    return _answer(request, response, orders.create_account(session, caller.at(now), name, account))


@router.post("/nodes/{name}/account-import", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def import_accounts(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    wanted: ImportRequest,
) -> BulkPublic:
    """Have many accounts made; those that are there stay as they are."""
    bulk_id = orders.import_accounts(session, caller.at(now), name, wanted.accounts)
    response.headers["location"] = request.app.url_path_for("show_bulk", bulk_id=bulk_id)
    return describe_bulk(session, caller.scope, bulk_id)


@router.post("/accounts/bulk", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def change_many_accounts(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    wanted: BulkRequest,
) -> BulkPublic:
    """Have many accounts removed, blocked or unblocked. A node out of scope is an unknown one."""
    chosen: dict[str, list[str]] = {}
    for each in wanted.accounts:
        chosen.setdefault(each.node, []).append(each.address)
    for node in chosen:
        if not is_node_reached(session, caller.scope, node):
            raise UnknownNodeError(node=node)
    bulk_id = orders.change_many(session, caller.at(now), wanted.action, chosen, wanted.reason)
    response.headers["location"] = request.app.url_path_for("show_bulk", bulk_id=bulk_id)
    return describe_bulk(session, caller.scope, bulk_id)


@router.put("/nodes/{name}/blocklist/{address}", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def block_address(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    address: str,
    wanted: BlockRequest,
) -> OperationPublic:
    """Have an address blocked: sessions end at once, nobody logs in, gets mail, or registers it again."""
    row = orders.block_address(session, caller.at(now), name, address, wanted.reason)
    return _answer(request, response, row)


@router.delete("/nodes/{name}/blocklist/{address}", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def unblock_address(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    address: str,
) -> OperationPublic:
    """Have an address unblocked; its account, if it is still there, works as before."""
    return _answer(request, response, orders.unblock_address(session, caller.at(now), name, address))


@router.post("/nodes/{name}/accounts/{address}/purge", status_code=202)
@refuses(BadAddressError, UnknownNodeError, WrongKindError)
def purge_account(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    address: str,
    wanted: PurgeRequest,
) -> OperationPublic:
    """Have messages of an account let go: all, those read, or old ones."""
    return _answer(request, response, orders.purge_mail(session, caller.at(now), name, address, wanted))


@router.post("/nodes/{name}/purge", status_code=202)
@refuses(UnknownNodeError, WrongKindError)
def purge_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    wanted: PurgeRequest,
) -> OperationPublic:
    """Have messages of all accounts of a node let go: all, those read, or old ones."""
    return _answer(request, response, orders.purge_mail(session, caller.at(now), name, None, wanted))


@router.post("/nodes/{name}/queue/purge", status_code=202)
@refuses(UnknownNodeError, WrongKindError)
def purge_queue(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    now: Now,
    name: str,
    wanted: QueuePurgeRequest,
) -> OperationPublic:
    """Have let go what waits on a node for other nodes; its senders are not told."""
    row = orders.purge_queue(session, caller.at(now), name, wanted.destination)
    return _answer(request, response, row)


@router.post("/notices", status_code=NoticeHiddenError.status, response_model=None)
@refuses(NoticeHiddenError)
def send_notice(_: AnyOperator, wanted: NoticeRequest) -> NoReturn:
    """Refuse: nobody would see a notice, because Delta Chat shows encrypted messages only."""
    raise NoticeHiddenError(characters=len(wanted.text))


def _answer(request: Request, response: Response, row: NodeOperation) -> OperationPublic:
    response.headers["location"] = request.app.url_path_for("show_operation", operation_id=row.id)
    return describe_operation(row)
