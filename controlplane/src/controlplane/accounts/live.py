"""Ask nodes about their accounts, all at once, and merge what they say.

For: endpoints of both Admin APIs and the pages. An answer names the nodes that are missing in it.
Not for: changing anything (orders.py). Nothing that nodes say here is kept.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from sqlmodel import Session, col, select

from controlplane.accounts.merging import Order, ask_behind, merge, read_place, value_of
from controlplane.accounts.models import (
    AccountList,
    AccountPublic,
    AccountTotalsPublic,
    BlockedPublic,
    Blocklist,
    ExportedPublic,
    NodeTotals,
    QueuePublic,
)
from controlplane.admins.access import Scope, ScopeKind
from controlplane.errors import (
    NodeNotConnectedError,
    NodeRefusedError,
    NodeSilentError,
    UnknownAccountError,
    UnknownNodeError,
    WrongKindError,
)
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.group_models import GroupMember
from controlplane.nodes.hub import ASK_SECONDS, ChannelHub
from controlplane.nodes.models import Node
from controlplane.plane import Plane
from controlplane.rest.paging import Page, PageQuery
from nodelink.contract.accounts import (
    AccountAnswer,
    AccountsAnswer,
    AccountSort,
    AccountsQuery,
    AccountTotals,
    AddressArgument,
    BlocklistAnswer,
    BlocklistQuery,
    ExportAnswer,
    ExportQuery,
    QueueAnswer,
)
from nodelink.contract.states import NodeKind

BLOCKLIST = Order("blocklist", is_descending=False)
EXPORT = "account export"

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Whose:
    """Of which nodes: those in a scope, and of them those of a group or one node where that is said."""

    scope: Scope
    node: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts, in what order."""

    search: str = ""
    sort: AccountSort = AccountSort.ADDRESS
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class LiveAccounts:
    """What asks. `ask_seconds` is how long a node may take."""

    plane: Plane
    hub: ChannelHub
    ask_seconds: float = ASK_SECONDS

    async def list_accounts(self, whose: Whose, wanted: AccountFilter, page: PageQuery) -> AccountList:
        """List one page of accounts, across nodes.

        Raises:
            BadCursorError: The cursor is of no such list.
            UnknownNodeError: The node that is named is none, or out of scope.
            WrongKindError: It is no mail node.
        """
        order = Order(f"accounts {wanted.sort}", wanted.is_descending)
        after = read_place(order, page.cursor)
        answers, missing = await self.ask_all(
            whose,
            "accounts",
            lambda node: AccountsQuery(
                search=wanted.search,
                sort=wanted.sort,
                is_descending=wanted.is_descending,
                after=ask_behind(order, after, node),
                limit=page.limit + 1,
            ),
            AccountsAnswer,
        )
        pages = {
            node: [AccountPublic(**dict(entry), node_name=node) for entry in answer.accounts]
            for node, answer in answers.items()
        }
        items, cursor = merge(
            pages,
            lambda node, entry: (value_of(entry, wanted.sort), entry.address, node),
            order,
            after,
            page.limit,
        )
        return AccountList(items=items, next_cursor=cursor, missing_nodes=missing)

    async def show_account(self, node: str, address: str) -> AccountPublic:
        """Show one account, as its node says at this moment.

        Raises:
            UnknownNodeError: There is no such node.
            WrongKindError: It is no mail node.
            UnknownAccountError: The node has no such account.
            NodeNotConnectedError: It has no channel to this replica.
            NodeSilentError: It did not answer in time.
            NodeRefusedError: It cannot answer.
        """
        await run_in_threadpool(self._check_mail_node, node)
        try:
            arguments = AddressArgument(address=address)
        except ValidationError as error:
            raise UnknownAccountError(node=node) from error
        answer = await self._ask(node, "account", arguments, AccountAnswer)
        if answer.account is None:
            raise UnknownAccountError(node=node)
        return AccountPublic(**dict(answer.account), node_name=node)

    async def add_up(self, whose: Whose) -> AccountTotalsPublic:
        """Add up what accounts come to. Raises: UnknownNodeError, WrongKindError."""
        answers, missing = await self.ask_all(whose, "account_totals", lambda _: _Nothing(), AccountTotals)
        nodes = [NodeTotals(node_name=node, **dict(answer)) for node, answer in sorted(answers.items())]
        return AccountTotalsPublic(
            accounts=sum(each.accounts for each in nodes),
            size_bytes=sum(each.size_bytes for each in nodes),
            message_count=sum(each.message_count for each in nodes),
            nodes=nodes,
            missing_nodes=missing,
        )

    async def list_blocked(self, whose: Whose, page: PageQuery) -> Blocklist:
        """List one page of blocked addresses, across nodes. Raises: as `list_accounts`."""
        after = read_place(BLOCKLIST, page.cursor)

        def ask(node: str) -> BlocklistQuery:
            behind = ask_behind(BLOCKLIST, after, node)
            if behind is None:
                return BlocklistQuery(limit=page.limit + 1)
            return BlocklistQuery(
                after=behind.address, is_after_included=behind.is_included, limit=page.limit + 1
            )

        answers, missing = await self.ask_all(whose, "blocklist", ask, BlocklistAnswer)
        pages = {
            node: [BlockedPublic(**dict(each), node_name=node) for each in answer.blocked]
            for node, answer in answers.items()
        }
        items, cursor = merge(pages, lambda node, each: (0, each.address, node), BLOCKLIST, after, page.limit)
        return Blocklist(items=items, next_cursor=cursor, missing_nodes=missing)

    async def show_queue(self, node: str) -> QueuePublic:
        """Show what waits on a node. Raises: as `show_account`."""
        await run_in_threadpool(self._check_mail_node, node)
        answer = await self._ask(node, "queue", _Nothing(), QueueAnswer)
        return QueuePublic(node_name=node, items=list(answer.queued))

    async def export(self, node: str, page: PageQuery) -> Page[ExportedPublic]:
        """Hand out one page of a node's accounts with hashes. Raises: as `show_queue`, BadCursorError."""
        after = page.read_text(EXPORT)
        await run_in_threadpool(self._check_mail_node, node)
        query = ExportQuery(after=after[:320], limit=page.limit + 1)
        answer = await self._ask(node, "export_accounts", query, ExportAnswer)
        items = [
            ExportedPublic(address=each.address, password_hash=each.password_hash) for each in answer.accounts
        ]
        return page.cut(EXPORT, items, lambda each: each.address)

    async def ask_all(
        self, whose: Whose, name: str, arguments_for: Callable[[str], BaseModel], answer_type: type[AnswerT]
    ) -> tuple[dict[str, AnswerT], list[str]]:
        """Ask nodes at once; return what they answer, and which of them did not."""
        nodes = await run_in_threadpool(self._list_nodes, whose)
        found = await asyncio.gather(
            *(self._try_ask(node, name, arguments_for(node), answer_type) for node in nodes)
        )
        answers = {node: answer for node, answer in zip(nodes, found, strict=True) if answer is not None}
        return answers, [node for node in nodes if node not in answers]

    async def _try_ask(
        self, node: str, name: str, arguments: BaseModel, answer_type: type[AnswerT]
    ) -> AnswerT | None:
        try:
            return await self._ask(node, name, arguments, answer_type)
        except (NodeNotConnectedError, NodeRefusedError, NodeSilentError):
            return None

    async def _ask(self, node: str, name: str, arguments: BaseModel, answer_type: type[AnswerT]) -> AnswerT:
        result = await self.hub.ask_node(node, name, arguments.model_dump(mode="json"), self.ask_seconds)
        try:
            return answer_type.model_validate(result)
        except ValidationError as error:
            problem = "the answer is none of the contract"
            raise NodeRefusedError(node=node, query=name, problem=problem) from error

    def _list_nodes(self, whose: Whose) -> Sequence[str]:
        with self.plane.sessions() as session:
            return list_mail_nodes(session, whose)

    def _check_mail_node(self, node: str) -> None:
        with self.plane.sessions() as session:
            if read_node(session, node).kind != NodeKind.MAIL:
                raise WrongKindError(node=node)


class _Nothing(BaseModel):
    """No arguments."""


def list_mail_nodes(session: Session, whose: Whose) -> list[str]:
    """List mail nodes by name, as far as a scope reaches.

    Raises:
        UnknownNodeError: The node that is named is none, or out of scope.
        WrongKindError: It is no mail node.
    """
    statement = select(Node.name, Node.kind).order_by(col(Node.name))
    groups = [whose.group] if whose.group is not None else []
    if whose.scope.kind is ScopeKind.NODE:
        statement = statement.where(col(Node.name) == whose.scope.name)
    elif whose.scope.kind is ScopeKind.GROUP:
        groups.append(whose.scope.name or "")
    for group in groups:
        members = select(GroupMember.node_name).where(col(GroupMember.group_name) == group)
        statement = statement.where(col(Node.name).in_(members))
    if whose.node is not None:
        statement = statement.where(col(Node.name) == whose.node)
    found = session.exec(statement).all()
    if whose.node is not None and not found:
        raise UnknownNodeError(node=whose.node)
    mail = [name for name, kind in found if kind == NodeKind.MAIL]
    if whose.node is not None and not mail:
        raise WrongKindError(node=whose.node)
    return mail
