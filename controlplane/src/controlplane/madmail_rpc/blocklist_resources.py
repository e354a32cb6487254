"""Blocked addresses, which live on their nodes.

Not for: rules (accounts/orders.py).
"""

from pydantic import JsonValue

from controlplane.accounts import orders
from controlplane.accounts.models import BlockedPublic, BulkAction
from controlplane.madmail_rpc.arguments import read_needed_text, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.moments import write_moment
from controlplane.madmail_rpc.usernames import place_account
from controlplane.rest.paging import MAX_LIMIT, PageQuery
from nodelink.contract.accounts import MAX_REASON_CHARACTERS


async def list_blocked(call: Call) -> RpcAnswer:
    """List all blocked addresses."""
    blocked, missing = await _read_all(call)
    entries: list[JsonValue] = [
        {
            "username": each.address,
            "reason": each.reason,
            "blocked_at": write_moment(each.blocked_at_seconds),
        }
        for each in blocked
    ]
    found: dict[str, JsonValue] = {"blocked": entries, "total": len(entries)}
    return RpcAnswer(found | ({"missing_nodes": [*missing]} if missing else {}))


async def block(call: Call) -> RpcAnswer:
    """Have an address blocked; sessions of its account end."""
    username = read_needed_text(call.body, "username")
    reason = read_text(call.body, "reason", longest=MAX_REASON_CHARACTERS)
    node, address = await call.read(lambda session: place_account(session, call, username))
    status = await call.carry_out(
        lambda session: [orders.block_address(session, call.author, node, address, reason).id]
    )
    return RpcAnswer({"blocked": address}, status)


async def unblock(call: Call) -> RpcAnswer:
    """Have an address unblocked."""
    username = read_needed_text(call.body, "username")
    node, address = await call.read(lambda session: place_account(session, call, username))
    status = await call.carry_out(
        lambda session: [orders.unblock_address(session, call.author, node, address).id]
    )
    return RpcAnswer({"unblocked": address}, status)


async def change_blocklist(call: Call) -> RpcAnswer:
    """Have all addresses unblocked."""
    action = read_text(call.body, "action")
    if action != "delete_all":
        raise RpcError(400, f"unknown action: {action} (expected delete_all)")
    blocked, _ = await _read_all(call)
    chosen: dict[str, list[str]] = {}
    for each in blocked:
        chosen.setdefault(each.node_name, []).append(each.address)
    status = 200
    if chosen:
        status = await call.carry_out(
            lambda session: [orders.change_many(session, call.author, BulkAction.UNBLOCK, chosen)]
        )
    return RpcAnswer({"unblocked": len(blocked)}, status)


async def _read_all(call: Call) -> tuple[list[BlockedPublic], list[str]]:
    blocked: list[BlockedPublic] = []
    missing: set[str] = set()
    cursor: str | None = None
    while True:
        page = await call.accounts.list_blocked(call.whose, PageQuery(MAX_LIMIT, cursor))
        blocked += page.items
        missing |= set(page.missing_nodes)
        cursor = page.next_cursor
        if cursor is None:
            return blocked, sorted(missing)
