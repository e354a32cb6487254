"""Accounts over HTTP, as their nodes say at this moment.

Not for: asking (live.py), nor for changing anything (order_endpoints.py).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool

from controlplane.accounts.live import AccountFilter, LiveAccounts, Whose
from controlplane.accounts.models import (
    AccountList,
    AccountPublic,
    AccountTotalsPublic,
    Blocklist,
    Direction,
    ExportedPublic,
    QueuePublic,
)
from controlplane.admins.audit import record
from controlplane.admins.audit_models import Action
from controlplane.admins.callers import AnyViewer, NodeOperator, NodeViewer
from controlplane.dependencies import HubDep, Now, PlaneDep
from controlplane.errors import (
    NodeNotConnectedError,
    NodeRefusedError,
    NodeSilentError,
    UnknownAccountError,
    UnknownNodeError,
    WrongKindError,
)
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from nodelink.contract.accounts import AccountSort
from nodelink.contract.states import NodeName

ASKING_ONE = (
    UnknownNodeError,
    WrongKindError,
    NodeNotConnectedError,
    NodeRefusedError,
    NodeSilentError,
)

router = APIRouter(tags=["accounts"])


def lend_accounts(plane: PlaneDep, hub: HubDep) -> LiveAccounts:
    """Hand over what asks nodes."""
    return LiveAccounts(plane, hub)


def read_whose(
    node: Annotated[NodeName | None, Query(description="Of this node only.")] = None,
    group: Annotated[NodeName | None, Query(description="Of the nodes in this group only.")] = None,
) -> tuple[str | None, str | None]:
    """Read of which nodes something is asked."""
    return node, group


AccountsDep = Annotated[LiveAccounts, Depends(lend_accounts)]
WhoseDep = Annotated[tuple[str | None, str | None], Depends(read_whose)]


@router.get("/accounts")
@refuses(UnknownNodeError, WrongKindError)
async def list_accounts(  # noqa: PLR0913, PLR0917 - what can be asked for
    caller: AnyViewer,
    accounts: AccountsDep,
    page: PageDep,
    whose: WhoseDep,
    search: Annotated[str, Query(max_length=320, description="What the address contains.")] = "",
    sort: AccountSort = AccountSort.ADDRESS,
    order: Direction = Direction.ASCENDING,
) -> AccountList:
    """List accounts across nodes, as far as the token's scope reaches; nodes that do not answer are named."""
    wanted = AccountFilter(search, sort, order is Direction.DESCENDING)
    return await accounts.list_accounts(Whose(caller.scope, *whose), wanted, page)


@router.get("/account-totals")
@refuses(UnknownNodeError, WrongKindError)
async def add_up_accounts(caller: AnyViewer, accounts: AccountsDep, whose: WhoseDep) -> AccountTotalsPublic:
    """Say how many accounts there are and what they hold, in all and by node."""
    return await accounts.add_up(Whose(caller.scope, *whose))


@router.get("/blocklist")
@refuses(UnknownNodeError, WrongKindError)
async def list_blocked(caller: AnyViewer, accounts: AccountsDep, page: PageDep, whose: WhoseDep) -> Blocklist:
    """List blocked addresses across nodes; the list lives on the nodes."""
    return await accounts.list_blocked(Whose(caller.scope, *whose), page)


@router.get("/nodes/{name}/accounts/{address}")
@refuses(UnknownAccountError, *ASKING_ONE)
async def show_account(_: NodeViewer, accounts: AccountsDep, name: str, address: str) -> AccountPublic:
    """Show one account."""
    return await accounts.show_account(name, address)


@router.get("/nodes/{name}/queue")
@refuses(*ASKING_ONE)
async def show_queue(_: NodeViewer, accounts: AccountsDep, name: str) -> QueuePublic:
    """Show what waits on a node for other nodes, by domain."""
    return await accounts.show_queue(name)


@router.get("/nodes/{name}/account-export")
@refuses(*ASKING_ONE)
async def export_accounts(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator, accounts: AccountsDep, plane: PlaneDep, now: Now, page: PageDep, name: str
) -> Page[ExportedPublic]:
    """Hand out a node's accounts with the hashes of their passwords, as they can be imported elsewhere."""
    found = await accounts.export(name, page)

    def note() -> None:
        with plane.sessions.begin() as session:
            after = {"accounts": len(found.items)}
            record(session, caller.at(now), Action.ACCOUNT_EXPORT, name, after=after)

    await run_in_threadpool(note)
    return found
