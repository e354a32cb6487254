"""Make accounts: one with a password that is shown once, or many from a list.

Not for: rules (accounts/orders.py), nor for people who register (registration/).
"""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from controlplane.accounts import orders
from controlplane.accounts.models import AccountImport, ImportRequest
from controlplane.admins.callers import PageAnyOperator
from controlplane.admins.tokens import Caller
from controlplane.client.account_files import read_accounts
from controlplane.client.errors import MisuseError
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import NodeNotConnectedError, UnknownNodeError
from controlplane.nodes.models import NodeReport
from controlplane.nodes.reports import read_report
from controlplane.nodes.scopes import is_node_reached
from controlplane.operations.service import describe_operation
from controlplane.registration.login_url import build_login_url
from controlplane.registration.service import NewAccount, invent_account
from controlplane.web.account_pages import list_nodes
from controlplane.web.errors import BadFileError
from controlplane.web.forms import Form, OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.pages import go_to, render
from controlplane.web.qr_codes import draw_qr_code
from controlplane.web.texts.notices import Notice

router = APIRouter(include_in_schema=False)


@router.get("/admin/accounts/new")
async def show_form(request: Request, caller: PageAnyOperator, plane: PlaneDep) -> Response:
    """Show the forms that make one account, or many."""
    nodes = await list_nodes(plane, caller.scope)
    return render(request, "account_new.html", {"nodes": nodes})


@router.post("/admin/accounts/new")
def create_account(
    request: Request, caller: PageAnyOperator, session: SessionDep, now: Now, form: OwnFormDep
) -> Response:
    """Have an account made, and show its password and QR code, which are nowhere else."""
    node = _read_node(session, caller, form)
    account = _complete(session, node, form)
    wanted = read_model(AccountImport, {"address": account.address, "password": account.password})
    row = orders.create_account(session, caller.at(now), node, wanted)
    url = build_login_url(account.places, account.address, account.password)
    values = {
        "account": account,
        "login_url": url,
        "qr_code": draw_qr_code(url),
        "operation": describe_operation(row),
    }
    return render(request, "account_created.html", values)


@router.post("/admin/accounts/import")
def import_accounts(caller: PageAnyOperator, session: SessionDep, now: Now, form: OwnFormDep) -> Response:
    """Have many accounts made from a list."""
    node = _read_node(session, caller, form)
    try:
        accounts = read_accounts(form.text("accounts"))
    except MisuseError as error:
        raise BadFileError(problem=str(error)) from error
    wanted = read_model(ImportRequest, {"accounts": accounts})
    bulk_id = orders.import_accounts(session, caller.at(now), node, wanted.accounts)
    return go_to(write_page("bulk-operations", bulk_id), Notice.ORDERED)


def _read_node(session: Session, caller: Caller, form: Form) -> str:
    """Read on which node. Raises: UnknownNodeError, also for one out of scope."""
    node = form.text("node")
    if not is_node_reached(session, caller.scope, node):
        raise UnknownNodeError(node=node)
    return node


def _complete(session: Session, node: str, form: Form) -> NewAccount:
    """Make up what was left out. Raises: NodeNotConnectedError, if the node never said where it is."""
    report = read_report(session.get(NodeReport, node))
    account = None if report is None else invent_account(report)
    if account is None:
        raise NodeNotConnectedError(node=node)
    address = form.word("address") or account.address
    domain = account.address.partition("@")[2]
    return replace(
        account,
        address=address if "@" in address else f"{address}@{domain}",
        password=form.text("password") or account.password,
    )
