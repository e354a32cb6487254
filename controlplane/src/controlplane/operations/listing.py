"""Look at operations: page by page, and at all parts of a change of many accounts together.

For: endpoints and streams, which show no more than is in a token's scope.
Not for: creating or acknowledging them (service.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, func, or_, select, true

from controlplane.admins.access import Scope, ScopeKind
from controlplane.errors import (
    UnknownOperationError,
)
from controlplane.nodes.group_models import GroupMember
from controlplane.operations.models import BulkPublic, NodeOperation, OperationName, OperationState
from controlplane.rest.errors import (
    BadCursorError,
)

SHOWN_PROBLEMS = 20

_KEY = re.compile(r"([0-9]{1,15}) ([\x21-\x7e]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations are looked for; `None` for any."""

    scope: Scope
    node: str | None = None
    name: OperationName | None = None
    state: OperationState | None = None
    bulk_id: str | None = None


def page_operations(
    session: Session, wanted: OperationFilter, before: str, limit: int
) -> Sequence[NodeOperation]:
    """List operations, the newest first, those before a key of `write_key`; "" for the first page.

    Raises:
        BadCursorError: It is no such key.
    """
    created, id_ = col(NodeOperation.created_at_seconds), col(NodeOperation.id)
    statement = select(NodeOperation).where(_is_wanted(wanted)).order_by(created.desc(), id_.desc())
    if before:
        key = _KEY.fullmatch(before)
        if key is None:
            raise BadCursorError
        statement = statement.where(or_(created < int(key[1]), and_(created == int(key[1]), id_ < key[2])))
    return session.exec(statement.limit(limit)).all()


def write_key(row: NodeOperation) -> str:
    """Write where an operation stands in the list."""
    return f"{row.created_at_seconds} {row.id}"


def describe_bulk(session: Session, scope: Scope, bulk_id: str) -> BulkPublic:
    """Describe a change of many accounts, as far as a scope reaches, and how far it is.

    Raises:
        UnknownOperationError: There is none of this id, or none of its parts is in scope.
    """
    if "\0" in bulk_id:
        raise UnknownOperationError(operation=bulk_id)
    is_wanted = _is_wanted(OperationFilter(scope, bulk_id=bulk_id))
    acknowledged, problem = col(NodeOperation.acknowledged_at_seconds), col(NodeOperation.problem)
    is_waiting = acknowledged.is_(None)
    # What decides the state is read at one moment: between two statements a part may be acknowledged.
    operations, done, last_seconds, failed = session.exec(
        select(func.count(), func.count(acknowledged), func.max(acknowledged), func.count(problem)).where(
            is_wanted
        )
    ).one()
    if not operations:
        raise UnknownOperationError(operation=bulk_id)
    accounts_of = func.sum(col(NodeOperation.account_count))
    created_at_seconds, accounts, done_accounts = session.exec(
        select(
            func.min(col(NodeOperation.created_at_seconds)),
            accounts_of,
            func.coalesce(accounts_of.filter(~is_waiting), 0),
        ).where(is_wanted)
    ).one()
    problems = session.exec(
        select(NodeOperation.node_name, NodeOperation.problem)
        .where(is_wanted, problem.is_not(None))
        .order_by(col(NodeOperation.id))
        .limit(SHOWN_PROBLEMS)
    ).all()
    waiting = session.exec(
        select(NodeOperation.node_name)
        .where(is_wanted, is_waiting)
        .distinct()
        .order_by(col(NodeOperation.node_name))
    ).all()
    name = session.exec(select(NodeOperation.name).where(is_wanted).limit(1)).one()
    is_over = done == operations
    ended = OperationState.FAILED if failed else OperationState.DONE
    return BulkPublic(
        id=bulk_id,
        name=OperationName(name),
        state=ended if is_over else OperationState.WAITING,
        created_at_seconds=created_at_seconds,
        acknowledged_at_seconds=last_seconds if is_over else None,
        operations=operations,
        done_operations=done,
        failed_operations=failed,
        accounts=accounts,
        done_accounts=done_accounts,
        waiting_nodes=list(waiting),
        problems=[f"{node}: {text}" for node, text in problems],
    )


def _is_wanted(wanted: OperationFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    node = col(NodeOperation.node_name)
    match wanted.scope.kind:
        case ScopeKind.NODE:
            conditions.append(node == wanted.scope.name)
        case ScopeKind.GROUP:
            members = select(GroupMember.node_name).where(col(GroupMember.group_name) == wanted.scope.name)
            conditions.append(node.in_(members))
        case ScopeKind.FLEET:
            pass
    if wanted.node is not None:
        conditions.append(node == wanted.node)
    if wanted.name is not None:
        conditions.append(col(NodeOperation.name) == wanted.name.value)
    if wanted.bulk_id is not None:
        conditions.append(col(NodeOperation.bulk_id) == wanted.bulk_id)
    if wanted.state is not None:
        conditions.append(_is_so_far(wanted.state))
    return and_(*conditions)


def _is_so_far(state: OperationState) -> ColumnElement[bool]:
    acknowledged, problem = col(NodeOperation.acknowledged_at_seconds), col(NodeOperation.problem)
    match state:
        case OperationState.WAITING:
            return acknowledged.is_(None)
        case OperationState.DONE:
            return and_(acknowledged.is_not(None), problem.is_(None))
        case OperationState.FAILED:
            return and_(acknowledged.is_not(None), problem.is_not(None))
        case _:
            assert_never(state)
