"""Have something done with accounts on their nodes.

    order ──▶ one operation, or parts of at most 100 accounts with one bulk id ──▶ operations/

For: endpoints of both Admin APIs, the pages, the command line; whoever lends the session commits it.
Not for: asking nodes (live.py), nor who may call. The caller has seen that each node is in scope.
"""

from collections.abc import Iterable, Mapping, Sequence
from secrets import token_urlsafe
from typing import TypeVar

from pydantic import JsonValue
from sqlmodel import Session

from controlplane.accounts.models import AccountImport, BulkAction, PurgeRequest
from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.operations.models import NodeOperation, OperationName
from controlplane.operations.service import (
    Part,
    add_operation,
    begin_with_account,
    begin_with_node,
    check_address,
)
from nodelink.contract.accounts import MAX_BATCH, PurgeWhat

ItemT = TypeVar("ItemT")

BULK_OPERATIONS = {
    BulkAction.REMOVE: (OperationName.REMOVE_ACCOUNTS, Action.ACCOUNT_REMOVE),
    BulkAction.BLOCK: (OperationName.BLOCK_ADDRESSES, Action.ACCOUNT_BLOCK),
    BulkAction.UNBLOCK: (OperationName.UNBLOCK_ADDRESSES, Action.ACCOUNT_UNBLOCK),
}


def create_account(session: Session, author: Author, node: str, account: AccountImport) -> NodeOperation:
    """Have one account made, whatever the policy.

    Raises:
        BadAddressError: It is no address.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    address = begin_with_account(session, node, account.address)
    part = Part(node, {"accounts": [_write(account)]}, 1)
    row = add_operation(session, OperationName.IMPORT_ACCOUNTS, part, author.now_seconds)
    after: dict[str, JsonValue] = {"operation": row.id, "accounts": 1}
    record(session, author, Action.ACCOUNT_IMPORT, node, subject=address, after=after)
    return row


def import_accounts(session: Session, author: Author, node: str, accounts: Sequence[AccountImport]) -> str:
    """Have accounts made, whatever the policy; one that is there stays as it is. Returns the bulk id.

    Raises:
        BadAddressError: One of them is no address; nothing is done.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    begin_with_node(session, node)
    written = [_write(account) for account in accounts]
    bulk_id = token_urlsafe(16)
    for batch in _cut(written):
        part = Part(node, {"accounts": list(batch)}, len(batch))
        add_operation(session, OperationName.IMPORT_ACCOUNTS, part, author.now_seconds, bulk_id)
    record(
        session, author, Action.ACCOUNT_IMPORT, node, after={"operation": bulk_id, "accounts": len(accounts)}
    )
    return bulk_id


def change_many(
    session: Session,
    author: Author,
    action: BulkAction,
    accounts: Mapping[str, Iterable[str]],
    reason: str = "",
) -> str:
    """Have something done with many accounts, by node. Returns the bulk id.

    Raises:
        BadAddressError: One of them is no address; nothing is done.
        UnknownNodeError: There is no node of one of the names.
        WrongKindError: One of them is no mail node.
    """
    name, recorded = BULK_OPERATIONS[action]
    bulk_id = token_urlsafe(16)
    for node, addresses in sorted(accounts.items()):
        begin_with_node(session, node)
        chosen = sorted({check_address(address) for address in addresses})
        for batch in _cut(chosen):
            part = Part(node, _write_chosen(action, batch, reason), len(batch))
            add_operation(session, name, part, author.now_seconds, bulk_id)
        after: dict[str, JsonValue] = {"operation": bulk_id, "accounts": len(chosen)}
        record(session, author, recorded, node, after=after)
    return bulk_id


def block_address(session: Session, author: Author, node: str, address: str, reason: str) -> NodeOperation:
    """Have an address blocked; live sessions of its account end. Raises: as `create_account`."""
    return _change_block(session, author, node, address, BulkAction.BLOCK, reason)


def unblock_address(session: Session, author: Author, node: str, address: str) -> NodeOperation:
    """Have an address unblocked. Raises: as `create_account`."""
    return _change_block(session, author, node, address, BulkAction.UNBLOCK)


def purge_mail(
    session: Session, author: Author, node: str, address: str | None, request: PurgeRequest
) -> NodeOperation:
    """Have messages let go, of one account or, with `None`, of all. Raises: as `create_account`."""
    if address is None:
        begin_with_node(session, node)
    else:
        address = begin_with_account(session, node, address)
    before_seconds = None
    if request.what is PurgeWhat.OLDER:
        before_seconds = author.now_seconds - (request.age_seconds or 0)
    arguments: dict[str, JsonValue] = {
        "address": address,
        "what": request.what.value,
        "before_seconds": before_seconds,
    }
    part = Part(node, arguments, 0 if address is None else 1)
    row = add_operation(session, OperationName.PURGE_MAIL, part, author.now_seconds)
    after: dict[str, JsonValue] = {"operation": row.id, **request.model_dump(mode="json")}
    record(session, author, Action.MAIL_PURGE, node, subject=address, after=after)
    return row


def purge_queue(session: Session, author: Author, node: str, destination: str | None) -> NodeOperation:
    """Have let go what waits for other nodes. Raises: UnknownNodeError, WrongKindError."""
    begin_with_node(session, node)
    part = Part(node, {"destination": destination}, 0)
    row = add_operation(session, OperationName.PURGE_QUEUE, part, author.now_seconds)
    after: dict[str, JsonValue] = {"operation": row.id, "destination": destination}
    record(session, author, Action.QUEUE_PURGE, node, after=after)
    return row


def _change_block(  # noqa: PLR0913, PLR0917 - what is recorded
    session: Session, author: Author, node: str, address: str, action: BulkAction, reason: str = ""
) -> NodeOperation:
    address = begin_with_account(session, node, address)
    name, recorded = BULK_OPERATIONS[action]
    part = Part(node, _write_chosen(action, (address,), reason), 1)
    row = add_operation(session, name, part, author.now_seconds)
    record(session, author, recorded, node, subject=address, after={"operation": row.id})
    return row


def _write_chosen(action: BulkAction, addresses: Sequence[str], reason: str) -> dict[str, JsonValue]:
    chosen: dict[str, JsonValue] = {"addresses": list(addresses)}
    return chosen | {"reason": reason} if action is BulkAction.BLOCK else chosen


def _write(account: AccountImport) -> dict[str, JsonValue]:
    secret: dict[str, JsonValue] = account.model_dump(exclude={"address"}, exclude_none=True)
    return {"address": check_address(account.address)} | secret


def _cut(items: Sequence[ItemT]) -> Iterable[Sequence[ItemT]]:
    """Cut a list into parts that a node does in seconds."""
    return (items[start : start + MAX_BATCH] for start in range(0, len(items), MAX_BATCH))
