"""Change accounts by the forms of their pages: one of them, or those that were chosen in the list.

    form ──▶ order ──▶ the page of its operation, where its progress is seen

Not for: rules (accounts/orders.py), making accounts (import_pages.py).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.accounts import orders
from controlplane.accounts.models import BlockRequest, BulkAction, BulkRequest
from controlplane.admins.callers import PageAnyOperator, PageNodeOperator
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import UnknownNodeError
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations import service
from controlplane.operations.models import AccountQuota, NodeOperation
from controlplane.web.forms import OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.node_changes import read_purge
from controlplane.web.pages import go_back, go_to, render
from controlplane.web.texts.notices import Notice
from nodelink.contract.accounts import MAX_REASON_CHARACTERS

router = APIRouter(include_in_schema=False)


@router.post("/admin/nodes/{name}/accounts/{address}/quota")
def change_quota(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: PageNodeOperator, session: SessionDep, now: Now, form: OwnFormDep, name: str, address: str
) -> Response:
    """Have an account given its own quota, or that of its node again."""
    wanted = read_model(AccountQuota, {"quota_bytes": form.size("quota_bytes")})
    return _show(service.change_account_quota(session, caller.at(now), name, address, wanted.quota_bytes))


@router.post("/admin/nodes/{name}/accounts/{address}/block")
def block_account(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: PageNodeOperator, session: SessionDep, now: Now, form: OwnFormDep, name: str, address: str
) -> Response:
    """Have an address blocked."""
    wanted = read_model(BlockRequest, {"reason": form.text("reason").strip()})
    return _show(orders.block_address(session, caller.at(now), name, address, wanted.reason))


@router.post("/admin/nodes/{name}/accounts/{address}/unblock")
def unblock_account(
    caller: PageNodeOperator, session: SessionDep, now: Now, _: OwnFormDep, name: str, address: str
) -> Response:
    """Have an address unblocked."""
    return _show(orders.unblock_address(session, caller.at(now), name, address))


@router.post("/admin/nodes/{name}/accounts/{address}/purge")
def purge_account(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: PageNodeOperator, session: SessionDep, now: Now, form: OwnFormDep, name: str, address: str
) -> Response:
    """Have messages of an account let go."""
    return _show(orders.purge_mail(session, caller.at(now), name, address, read_purge(form)))


@router.post("/admin/nodes/{name}/accounts/{address}/remove")
def remove_account(
    caller: PageNodeOperator, session: SessionDep, now: Now, _: OwnFormDep, name: str, address: str
) -> Response:
    """Have an account removed, with all its messages."""
    return _show(service.remove_account(session, caller.at(now), name, address))


@router.post("/admin/blocklist")
def block_address(caller: PageAnyOperator, session: SessionDep, now: Now, form: OwnFormDep) -> Response:
    """Have an address blocked whether or not there is an account; a node out of scope is an unknown one."""
    node = form.text("node")
    if not is_node_reached(session, caller.scope, node):
        raise UnknownNodeError(node=node)
    wanted = read_model(BlockRequest, {"reason": form.text("reason").strip()})
    address = form.text("address").strip()
    return _show(orders.block_address(session, caller.at(now), node, address, wanted.reason))


@router.post("/admin/accounts/bulk")
def change_chosen(
    request: Request, caller: PageAnyOperator, session: SessionDep, now: Now, form: OwnFormDep
) -> Response:
    """Have something done with those chosen, once confirmed. A node out of scope is an unknown one."""
    pairs = [each.partition(" ") for each in form.texts("chosen")]
    if not pairs:
        return go_back(request, Notice.NOTHING_CHOSEN)
    wanted = read_model(
        BulkRequest,
        {
            "action": form.text("action"),
            "accounts": [{"node": node, "address": address} for node, _, address in pairs],
            "reason": form.text("reason").strip(),
        },
    )
    chosen: dict[str, list[str]] = {}
    for each in wanted.accounts:
        chosen.setdefault(each.node, []).append(each.address)
    for node in chosen:
        if not is_node_reached(session, caller.scope, node):
            raise UnknownNodeError(node=node)
    if form.text("confirmed") != "yes":
        values = {
            "wanted": wanted,
            "blocks": wanted.action is BulkAction.BLOCK,
            "max_reason": MAX_REASON_CHARACTERS,
        }
        return render(request, "bulk.html", values)
    bulk_id = orders.change_many(session, caller.at(now), wanted.action, chosen, wanted.reason)
    return go_to(write_page("bulk-operations", bulk_id), Notice.ORDERED)


def _show(row: NodeOperation) -> Response:
    return go_to(write_page("operations", row.id), Notice.ORDERED)
