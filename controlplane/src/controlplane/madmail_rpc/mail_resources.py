"""Messages and what waits for other servers; notices, which nobody would see.

    /admin/queue   {action, username?, retention?} ──▶ {action, message, deleted}

Bodies go with their messages here, so an action on blobs is the one on messages.
Not for: rules (accounts/orders.py).
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from sqlmodel import Session

from controlplane.accounts import orders
from controlplane.accounts.live import list_mail_nodes
from controlplane.accounts.models import PurgeRequest
from controlplane.errors import ControlPlaneError, NoticeHiddenError
from controlplane.fleet_settings.values import read_period_seconds
from controlplane.madmail_rpc.arguments import read_needed_text, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.dashboard import count_users
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.usernames import place_account, read_domains
from controlplane.nodes.reports import list_nodes
from nodelink.contract.accounts import PurgeWhat

ACTIONS: Final[Mapping[str, PurgeWhat | None]] = {
    "purge_user": PurgeWhat.ALL,
    "purge_all": PurgeWhat.ALL,
    "purge_blobs": PurgeWhat.ALL,
    "purge_read": PurgeWhat.READ,
    "purge_read_blobs": PurgeWhat.READ,
    "purge_older": PurgeWhat.OLDER,
    "purge_blobs_older": PurgeWhat.OLDER,
    "purge_queue": None,
}
SECONDS_PER_HOUR = 3600


async def purge(call: Call) -> RpcAnswer:
    """Let messages go, or what waits for other servers."""
    action = read_text(call.body, "action")
    if action not in ACTIONS:
        raise RpcError(400, f"unknown action: {action} (expected {'|'.join(ACTIONS)})")
    what = ACTIONS[action]
    if what is None:
        return await _purge_queue(call, action)
    address, nodes = None, await call.read(lambda session: list_mail_nodes(session, call.whose))
    if action == "purge_user":
        username = read_needed_text(call.body, "username")
        node, address = await call.read(lambda session: place_account(session, call, username))
        nodes = [node]
    request = PurgeRequest(what=what, older_than_hours=_read_hours(call) if what is PurgeWhat.OLDER else None)

    def order(session: Session) -> list[str]:
        return [orders.purge_mail(session, call.author, node, address, request).id for node in nodes]

    before = await _count_messages(call, nodes, address)
    status = await call.carry_out(order)
    deleted = before - await _count_messages(call, nodes, address)
    return _answer(action, deleted, "messages", status)


async def count_recipients(call: Call) -> RpcAnswer:
    """Show whom a notice would reach, could anybody see it."""

    def look(session: Session) -> str:
        domains = read_domains(session, call)
        if len(domains) == 1:
            return next(iter(domains))
        return urlsplit(call.site.plane.settings.public_url).hostname or ""

    nodes = await call.read(lambda session: list_nodes(session, call.now_seconds))
    return RpcAnswer({"total_users": await count_users(call, nodes), "domain": await call.read(look)})


async def refuse_notice(call: Call) -> RpcAnswer:
    """Refuse: nobody would see a notice, because Delta Chat shows encrypted messages only."""
    read_needed_text(call.body, "subject")
    text = read_needed_text(call.body, "body", longest=1 << 20)
    raise NoticeHiddenError(characters=len(text))


async def _purge_queue(call: Call, action: str) -> RpcAnswer:
    nodes = await call.read(lambda session: list_mail_nodes(session, call.whose))

    def order(session: Session) -> list[str]:
        return [orders.purge_queue(session, call.author, node, None).id for node in nodes]

    before = await _count_queued(call, nodes)
    status = await call.carry_out(order)
    return _answer(action, before - await _count_queued(call, nodes), "queued messages", status)


def _answer(action: str, deleted: int, what: str, status: int) -> RpcAnswer:
    deleted = max(0, deleted)
    message = f"{deleted} {what} are gone" if status == 200 else "nodes that are away follow later"
    return RpcAnswer({"action": action, "message": message, "deleted": deleted}, status)


def _read_hours(call: Call) -> int:
    seconds = read_period_seconds(read_needed_text(call.body, "retention"))
    if seconds % SECONDS_PER_HOUR:
        raise RpcError(400, "retention must be whole hours, such as 24h")
    return seconds // SECONDS_PER_HOUR


async def _count_messages(call: Call, nodes: list[str], address: str | None) -> int:
    if address is None:
        return (await call.accounts.add_up(call.whose)).message_count
    try:
        return (await call.accounts.show_account(nodes[0], address)).message_count
    except ControlPlaneError as error:
        if error.status == 404:
            raise
        return 0  # its node is away, so nothing can be counted


async def _count_queued(call: Call, nodes: list[str]) -> int:
    count = 0
    for node in nodes:
        try:
            count += sum(each.messages for each in (await call.accounts.show_queue(node)).items)
        except ControlPlaneError:  # it is away; what it has is not counted
            continue
    return count
