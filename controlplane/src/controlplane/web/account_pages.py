"""Accounts as their nodes say at this moment: the list, one of them, and blocked addresses.

Not for: changing any (account_changes.py).
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from controlplane.accounts.endpoints import AccountsDep
from controlplane.accounts.live import AccountFilter, Whose, list_mail_nodes
from controlplane.admins.access import Scope
from controlplane.admins.callers import PageAnyViewer, PageNodeViewer
from controlplane.dependencies import PlaneDep
from controlplane.plane import Plane
from controlplane.rest.paging import PageDep
from controlplane.web.pages import render
from nodelink.contract.accounts import MAX_REASON_CHARACTERS, AccountSort, PurgeWhat
from nodelink.contract.states import MAX_DAYS


@dataclass(frozen=True, slots=True)
class Sorting:
    """One way to sort, as people choose it."""

    sort: AccountSort
    is_descending: bool


SORTINGS = {
    "address": Sorting(AccountSort.ADDRESS, is_descending=False),
    "size": Sorting(AccountSort.SIZE, is_descending=True),
    "last_login": Sorting(AccountSort.LAST_LOGIN, is_descending=True),
    "unused": Sorting(AccountSort.LAST_LOGIN, is_descending=False),
}
Text = Annotated[str, Query(max_length=320, pattern=r"^[^\x00]*$")]

router = APIRouter(include_in_schema=False)


@router.get("/admin/accounts")
async def show_accounts(  # noqa: PLR0913, PLR0917 - what can be asked for
    request: Request,
    caller: PageAnyViewer,
    accounts: AccountsDep,
    plane: PlaneDep,
    page: PageDep,
    search: Text = "",
    sort: Text = "address",
    node: Text = "",
) -> Response:
    """List accounts across nodes, as far as the token's scope reaches; nodes that do not answer are named."""
    sorting = SORTINGS.get(sort, SORTINGS["address"])
    wanted = AccountFilter(search.strip(), sorting.sort, sorting.is_descending)
    found = await accounts.list_accounts(Whose(caller.scope, node or None), wanted, page)
    values = {
        "found": found,
        "nodes": await list_nodes(plane, caller.scope),
        "search": search,
        "sort": sort if sort in SORTINGS else "address",
        "sortings": list(SORTINGS),
        "node": node,
    }
    return render(request, "accounts.html", values)


@router.get("/admin/blocklist")
async def show_blocklist(
    request: Request, caller: PageAnyViewer, accounts: AccountsDep, plane: PlaneDep, page: PageDep
) -> Response:
    """List blocked addresses across nodes."""
    values = {
        "found": await accounts.list_blocked(Whose(caller.scope), page),
        "nodes": await list_nodes(plane, caller.scope),
        "max_reason": MAX_REASON_CHARACTERS,
    }
    return render(request, "blocklist.html", values)


@router.get("/admin/nodes/{name}/accounts/{address}")
async def show_account(
    request: Request, _: PageNodeViewer, accounts: AccountsDep, name: str, address: str
) -> Response:
    """Show one account."""
    account = await accounts.show_account(name, address)
    values = {
        "account": account,
        "max_reason": MAX_REASON_CHARACTERS,
        "purges": list(PurgeWhat),
        "max_days": MAX_DAYS,
    }
    return render(request, "account.html", values)


async def list_nodes(plane: Plane, scope: Scope) -> list[str]:
    """List the mail nodes that a scope reaches."""

    def read() -> list[str]:
        with plane.sessions() as session:
            return list_mail_nodes(session, Whose(scope))

    return await run_in_threadpool(read)
