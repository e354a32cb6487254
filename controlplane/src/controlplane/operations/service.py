"""The rules of operations.

    created ──▶ waiting, signed and handed over again and again ──▶ done │ failed

For: endpoints, which create them, and the channel, which hands them over.
Not for: signing or sending (nodes/channel.py).
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, delete, func, select, update

from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.errors import BadAddressError, UnknownOperationError, WrongKindError
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.operations.models import NodeOperation, OperationName, OperationPublic, OperationState
from controlplane.registration.tokens import give_use_back, take_use
from nodelink.contract.operations import VALID_FOR_SECONDS, Operation
from nodelink.contract.states import NodeKind

DONE_KEPT_SECONDS = 7 * 86_400

_ADDRESS = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[\x21-\x3f\x41-\x7e]{1,255}", re.ASCII)
"""Only what can be no address at all is refused here; the node knows its own accounts."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def begin_with_account(session: Session, node_name: str, address: str) -> str:
    """Begin a change about an account; return its address as the node knows it.

    Raises:
        BadAddressError: It is no address.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    address = check_address(address)
    begin_with_node(session, node_name)
    return address


def begin_with_node(session: Session, node_name: str) -> None:
    """Begin a change about a mail node. Raises: UnknownNodeError, WrongKindError."""
    begin_change(session)
    if read_node(session, node_name).kind != NodeKind.MAIL:
        raise WrongKindError(node=node_name)


def check_address(address: str) -> str:
    """Return an address as nodes know it. Raises: BadAddressError."""
    if not _ADDRESS.fullmatch(address):
        raise BadAddressError
    return address.lower()


def remove_account(session: Session, author: Author, node_name: str, address: str) -> NodeOperation:
    """Have an account removed from its node; asking again while that is waiting changes nothing.

    Raises:
        BadAddressError: It is no address.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    address = begin_with_account(session, node_name, address)
    row, is_new = _remove(session, node_name, address, author.now_seconds)
    if is_new:
        record(
            session, author, Action.ACCOUNT_REMOVE, node_name, subject=address, after={"operation": row.id}
        )
    return row


def change_account_quota(
    session: Session, author: Author, node_name: str, address: str, quota_bytes: int | None
) -> NodeOperation:
    """Have an account given its own quota, which goes before those of node, group and fleet; or none.

    Raises:
        BadAddressError: It is no address.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    address = begin_with_account(session, node_name, address)
    arguments = json.dumps({"address": address, "quota_bytes": quota_bytes})
    row = _add(session, node_name, OperationName.CHANGE_QUOTA, arguments, author.now_seconds)
    after: dict[str, JsonValue] = {"operation": row.id, "quota_bytes": quota_bytes}
    record(session, author, Action.ACCOUNT_QUOTA, node_name, subject=address, after=after)
    return row


@dataclass(frozen=True, slots=True)
class Part:
    """What there is to do on one node. `account_count` is 0 where that is not about certain accounts."""

    node_name: str
    arguments: Mapping[str, JsonValue] = field(repr=False)
    account_count: int


def add_operation(
    session: Session, name: OperationName, part: Part, now_seconds: int, bulk_id: str | None = None
) -> NodeOperation:
    """Have something done on a node that is known to be a mail node; the caller has begun a change."""
    return _add(
        session,
        part.node_name,
        name,
        json.dumps(part.arguments),
        now_seconds,
        bulk_id=bulk_id,
        account_count=part.account_count,
    )


@dataclass(frozen=True, slots=True)
class AccountOrder:
    """An account that is to be made. `registration_token_id` is of the token whose use it is."""

    operation_id: str
    address: str
    password: str = field(repr=False)
    registration_token_id: str | None


def create_account(session: Session, node_name: str, order: AccountOrder, now_seconds: int) -> NodeOperation:
    """Have an account made on a node that is known to be a mail node.

    Raises:
        TokenRefusedError: Meanwhile the registration token was used up, removed or has expired.
    """
    begin_change(session)
    if order.registration_token_id is not None:
        take_use(session, order.registration_token_id, now_seconds)
    arguments = json.dumps({"address": order.address, "password": order.password})
    row = _add(session, node_name, OperationName.CREATE_ACCOUNT, arguments, now_seconds, order.operation_id)
    row.registration_token_id = order.registration_token_id
    return row


def give_up_account(session: Session, operation_id: str, address: str, now_seconds: int) -> None:
    """Give up an account whose node has not said that it is made; should it be made after all, it is removed.

    A node does its operations in their order, so the removal cannot come first.
    """
    begin_change(session)
    row = session.get(NodeOperation, operation_id)
    if row is None or row.acknowledged_at_seconds is not None:
        return
    acknowledge(session, row.node_name, operation_id, "The node did not answer in time.", now_seconds)
    _remove(session, row.node_name, address, now_seconds)


def count_created_since(session: Session, node_name: str, since_seconds: int) -> int:
    """Count the accounts that a node was to make since then, and has not refused."""
    return session.exec(
        select(func.count())
        .select_from(NodeOperation)
        .where(
            col(NodeOperation.node_name) == node_name,
            col(NodeOperation.name) == OperationName.CREATE_ACCOUNT.value,
            col(NodeOperation.created_at_seconds) >= since_seconds,
            col(NodeOperation.problem).is_(None),
        )
    ).one()


def forget_created_before(session: Session, before_seconds: int) -> None:
    """Forget the accounts that were made long ago: there is a row for each, and nobody asks for them."""
    session.exec(
        delete(NodeOperation).where(
            col(NodeOperation.name) == OperationName.CREATE_ACCOUNT.value,
            col(NodeOperation.acknowledged_at_seconds) < before_seconds,
        )
    )


def forget_done(session: Session, now_seconds: int) -> None:
    """Forget what was done a week ago."""
    session.exec(
        delete(NodeOperation).where(
            col(NodeOperation.acknowledged_at_seconds) <= now_seconds - DONE_KEPT_SECONDS
        )
    )


def read_operation(session: Session, operation_id: str) -> NodeOperation:
    """Look an operation up.

    Raises:
        UnknownOperationError: There is none with this id, or its node has been retired.
    """
    row = None if "\0" in operation_id else session.get(NodeOperation, operation_id)
    if row is None:
        raise UnknownOperationError(operation=operation_id)
    return row


def list_waiting(session: Session, node_name: str) -> Sequence[NodeOperation]:
    """List what still needs doing on a node, the oldest first."""
    return session.exec(
        select(NodeOperation)
        .where(
            col(NodeOperation.node_name) == node_name, col(NodeOperation.acknowledged_at_seconds).is_(None)
        )
        .order_by(col(NodeOperation.created_at_seconds), col(NodeOperation.id))
    ).all()


def group_waiting(session: Session, node_names: Collection[str]) -> dict[str, list[NodeOperation]]:
    """List what still needs doing on each of these nodes, the oldest first."""
    rows = session.exec(
        select(NodeOperation)
        .where(
            col(NodeOperation.node_name).in_(node_names), col(NodeOperation.acknowledged_at_seconds).is_(None)
        )
        .order_by(col(NodeOperation.created_at_seconds), col(NodeOperation.id))
    )
    grouped: dict[str, list[NodeOperation]] = {}
    for row in rows:
        grouped.setdefault(row.node_name, []).append(row)
    return grouped


def acknowledge(
    session: Session, node_name: str, operation_id: str, problem: str | None, now_seconds: int
) -> None:
    """Note that a node has done an operation of its own, or never will; the first word counts."""
    # One statement compares and sets: a node tells every replica, and each at once.
    noted = session.exec(
        update(NodeOperation)
        .where(
            col(NodeOperation.id) == operation_id.replace("\0", ""),
            col(NodeOperation.node_name) == node_name,
            col(NodeOperation.acknowledged_at_seconds).is_(None),
        )
        .values(acknowledged_at_seconds=now_seconds)
    )
    if noted.rowcount != 1:
        return
    row = session.get_one(NodeOperation, operation_id, populate_existing=True)
    row.arguments = None
    # A NUL would be refused by PostgreSQL, and the operation would come again for ever.
    row.problem = None if problem is None else problem.replace("\0", "")
    session.add(row)
    if problem is not None and row.registration_token_id is not None:
        give_use_back(session, row.registration_token_id)
    log.info("operation acknowledged", node=node_name, operation=operation_id, problem=row.problem)


def describe_operation(row: NodeOperation) -> OperationPublic:
    """Describe an operation and how far it is."""
    if row.acknowledged_at_seconds is None:
        state = OperationState.WAITING
    else:
        state = OperationState.DONE if row.problem is None else OperationState.FAILED
    return OperationPublic.model_validate(row, update={"state": state})


def write_contract(row: NodeOperation, now_seconds: int) -> Operation:
    """Put an operation that is waiting into the contract's form, for handing it over now."""
    return Operation(
        id=row.id,
        node=row.node_name,
        name=row.name,
        arguments=json.loads(row.arguments or "{}"),
        issued_at_seconds=now_seconds,
        expires_at_seconds=now_seconds + VALID_FOR_SECONDS,
    )


def _remove(session: Session, node_name: str, address: str, now_seconds: int) -> tuple[NodeOperation, bool]:
    """Have an account removed; tell whether that was not waiting already."""
    arguments = json.dumps({"address": address})
    waiting = list_waiting(session, node_name)
    for row in waiting:
        if (OperationName(row.name), row.arguments) == (OperationName.REMOVE_ACCOUNT, arguments):
            return row, False
    return _add(session, node_name, OperationName.REMOVE_ACCOUNT, arguments, now_seconds), True


def _add(  # noqa: PLR0913, PLR0917 - the columns of a row
    session: Session,
    node_name: str,
    name: OperationName,
    arguments: str,
    now_seconds: int,
    operation_id: str | None = None,
    bulk_id: str | None = None,
    account_count: int = 1,
) -> NodeOperation:
    row = NodeOperation.model_validate(
        {
            "id": operation_id or token_urlsafe(16),
            "node_name": node_name,
            "name": name,
            "arguments": arguments,
            "created_at_seconds": now_seconds,
            "acknowledged_at_seconds": None,
            "problem": None,
            "registration_token_id": None,
            "bulk_id": bulk_id,
            "account_count": account_count,
        }
    )
    session.add(row)
    log.info("operation created", node=node_name, operation=row.id, name=row.name)
    return row
