"""Accounts, asked live of their nodes and changed by operations.

    /admin/accounts   not paged: `total` is the length of the list
    /admin/quota      of one account, or what holds for all others

An answer names under `missing_nodes` the nodes that are not in it, and has that field only then.
Not for: rules (accounts/, operations/, policy/).
"""

from collections.abc import Sequence
from functools import partial

from pydantic import JsonValue, ValidationError
from sqlmodel import Session

from controlplane.accounts import orders
from controlplane.accounts.live import AccountFilter
from controlplane.accounts.models import AccountImport, AccountPublic, BulkAction
from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.errors import NodeNotConnectedError, NodeSilentError, NoRoomError
from controlplane.fleet_settings.service import read_facts
from controlplane.fleet_settings.values import read_quota_bytes
from controlplane.madmail_rpc.arguments import read_needed_text, read_number, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.usernames import place_account, read_domains
from controlplane.operations.service import change_account_quota, remove_account
from controlplane.policy import service as policy_service
from controlplane.policy.models import FleetPolicyChange, OverridesChange
from controlplane.registration.placement import order_by_room
from controlplane.registration.service import invent_account, list_candidates
from controlplane.rest.paging import MAX_LIMIT, PageQuery

NAME_LENGTH = 12
PASSWORD_LENGTH = 24
NEVER_LOGGED_IN = 1
"""What Madmail says of the first login of an account that had none."""
DELETED = "deleted by an admin"

Json = dict[str, JsonValue]


async def list_accounts(call: Call) -> RpcAnswer:
    """List all accounts."""
    accounts, missing = await read_all_accounts(call)
    found: Json = {"accounts": [_write_account(account) for account in accounts], "total": len(accounts)}
    return RpcAnswer(found | _name_missing(missing))


async def create_account(call: Call) -> RpcAnswer:
    """Make an account with a name and a password of our own, whatever the policy."""

    def choose(session: Session) -> tuple[str, AccountImport]:
        connected = call.site.hub.list_connected()
        found = [
            (candidate.for_admins(), report)
            for candidate, report in list_candidates(session, connected)
            if call.node in (None, candidate.node)
        ]
        reports = {candidate.node: report for candidate, report in found}
        for node in order_by_room(candidate for candidate, _ in found):
            account = invent_account(reports[node], NAME_LENGTH, PASSWORD_LENGTH)
            if account is not None:
                return node, AccountImport(address=account.address, password=account.password)
        raise NoRoomError(nodes_asked=len(found))

    node, account = await call.read(choose)
    status = await call.carry_out(
        lambda session: [orders.create_account(session, call.author, node, account).id]
    )
    if status != 200:
        raise RpcError(503, f"{node} has not made the account yet; list the accounts later")
    return RpcAnswer({"email": account.address, "password": account.password}, 201)


async def delete_account(call: Call) -> RpcAnswer:
    """Have an account removed, and its address blocked, so that nobody registers it again."""
    username = read_needed_text(call.body, "username")
    node, address = await call.read(lambda session: place_account(session, call, username))
    await _see_account(call, node, address)
    reason = read_text(call.body, "reason", longest=200) or DELETED

    def order(session: Session) -> Sequence[str]:
        return [
            remove_account(session, call.author, node, address).id,
            orders.block_address(session, call.author, node, address, reason).id,
        ]

    status = await call.carry_out(order)
    return RpcAnswer({"deleted": address, "blocked": True, "reason": reason}, status)


async def change_accounts(call: Call) -> RpcAnswer:
    """Hand out, take in, or remove many accounts."""
    match read_text(call.body, "action"):
        case "export":
            return await _export(call)
        case "import":
            return await _import(call)
        case "delete_all":
            return await _delete_all(call)
        case action:
            raise RpcError(400, f"unknown action: {action} (expected export|import|delete_all)")


async def show_quota(call: Call) -> RpcAnswer:
    """Show the quota of one account, or what all hold and what holds for those without their own."""
    username = read_text(call.body, "username")
    if username:
        node, address = await call.read(lambda session: place_account(session, call, username))
        account = await call.accounts.show_account(node, address)
        return RpcAnswer(
            {
                "username": account.address,
                "used_bytes": account.size_bytes,
                "max_bytes": account.quota_bytes,
                "is_default": not account.has_own_quota,
            }
        )
    totals = await call.accounts.add_up(call.whose)
    facts = await call.read(lambda session: read_facts(session, call.site.plane.facts, call.node))
    found: Json = {
        "total_storage_bytes": totals.size_bytes,
        "accounts_count": totals.accounts,
        "default_quota_bytes": facts.in_force.quota_bytes,
    }
    return RpcAnswer(found | _name_missing(totals.missing_nodes))


async def change_quota(call: Call) -> RpcAnswer:
    """Give one account its own quota, or change that of all others."""
    max_bytes = read_number(call.body, "max_bytes")
    if max_bytes is None:
        raise RpcError(400, "max_bytes is required")
    size_bytes = read_quota_bytes(max_bytes)
    username = read_text(call.body, "username")
    if username:
        address, status = await _put_quota(call, username, size_bytes)
        return RpcAnswer({"username": address, "max_bytes": size_bytes}, status)

    def change(session: Session) -> None:
        facts, values = call.site.plane.facts, {"quota_bytes": size_bytes}
        if call.node is None:
            fleet_change = FleetPolicyChange.model_validate(values)
            policy_service.change_fleet_policy(session, facts, call.author, fleet_change)
        else:
            node_change = OverridesChange.model_validate(values)
            policy_service.change_node_policy(session, facts, call.author, call.node, node_change)

    await call.change(change)
    return RpcAnswer({"username": "", "max_bytes": size_bytes})


async def reset_quota(call: Call) -> RpcAnswer:
    """Let an account have the quota of its node again."""
    address, status = await _put_quota(call, read_needed_text(call.body, "username"), None)
    return RpcAnswer({"reset": address}, status)


async def read_all_accounts(call: Call) -> tuple[list[AccountPublic], list[str]]:
    """Read all accounts, and which nodes are missing in that."""
    accounts: list[AccountPublic] = []
    missing: set[str] = set()
    cursor: str | None = None
    while True:
        page = await call.accounts.list_accounts(call.whose, AccountFilter(), PageQuery(MAX_LIMIT, cursor))
        accounts += page.items
        missing |= set(page.missing_nodes)
        cursor = page.next_cursor
        if cursor is None:
            return accounts, sorted(missing)


async def _export(call: Call) -> RpcAnswer:
    domains = await call.read(lambda session: read_domains(session, call))
    users: list[JsonValue] = []
    missing: list[str] = []
    for node in sorted(set(domains.values())):
        cursor: str | None = None
        count = 0
        try:
            while True:
                page = await call.accounts.export(node, PageQuery(MAX_LIMIT, cursor))
                users += [{"username": each.address, "hash": each.password_hash} for each in page.items]
                count += len(page.items)
                cursor = page.next_cursor
                if cursor is None:
                    break
        except (NodeNotConnectedError, NodeSilentError):
            missing.append(node)
        await call.change(partial(_note_export, call.author, node, count))
    found: Json = {"users": users, "total": len(users)}
    return RpcAnswer(found | _name_missing(missing))


async def _import(call: Call) -> RpcAnswer:
    users = call.body.get("users")
    if not isinstance(users, list) or not users:
        raise RpcError(400, "users array is empty")

    def sort_out(session: Session) -> tuple[dict[str, list[AccountImport]], list[str]]:
        chosen: dict[str, list[AccountImport]] = {}
        errors: list[str] = []
        for user in users:
            try:
                node, account = _read_user(session, call, user)
            except RpcError as error:
                errors.append(error.text)
            else:
                chosen.setdefault(node, []).append(account)
        return chosen, errors

    chosen, errors = await call.read(sort_out)
    before, _ = await read_all_accounts(call)
    there = {account.address for account in before}
    new = {
        node: list({each.address: each for each in accounts if each.address not in there}.values())
        for node, accounts in chosen.items()
    }

    def order(session: Session) -> Sequence[str]:
        return [
            orders.import_accounts(session, call.author, node, accounts)
            for node, accounts in new.items()
            if accounts
        ]

    status = await call.carry_out(order) if any(new.values()) else 200
    imported = sum(len(accounts) for accounts in new.values())
    found: Json = {"imported": imported, "skipped": len(users) - imported}
    return RpcAnswer(found | ({"errors": list(errors[:20])} if errors else {}), status)


def _note_export(author: Author, node: str, count: int, session: Session) -> None:
    record(session, author, Action.ACCOUNT_EXPORT, node, after={"accounts": count})


def _read_user(session: Session, call: Call, user: JsonValue) -> tuple[str, AccountImport]:
    if not isinstance(user, dict):
        raise RpcError(400, "a user is an object with username and password or hash")
    node, address = place_account(session, call, read_needed_text(user, "username"))
    password = read_text(user, "password") or None
    secret = {"password": password} if password else {"password_hash": read_text(user, "hash") or None}
    try:
        return node, AccountImport.model_validate({"address": address, **secret})
    except ValidationError as error:
        raise RpcError(400, f"{address} needs a password or a hash of one") from error


async def _delete_all(call: Call) -> RpcAnswer:
    accounts, missing = await read_all_accounts(call)
    chosen: dict[str, list[str]] = {}
    for account in accounts:
        chosen.setdefault(account.node_name, []).append(account.address)
    status = 200
    if chosen:
        status = await call.carry_out(
            lambda session: [orders.change_many(session, call.author, BulkAction.REMOVE, chosen)]
        )
    return RpcAnswer({"deleted": len(accounts)} | _name_missing(missing), status)


async def _put_quota(call: Call, username: str, quota_bytes: int | None) -> tuple[str, int]:
    node, address = await call.read(lambda session: place_account(session, call, username))
    await _see_account(call, node, address)
    status = await call.carry_out(
        lambda session: [change_account_quota(session, call.author, node, address, quota_bytes).id]
    )
    return address, status


async def _see_account(call: Call, node: str, address: str) -> None:
    """See that an account is there; one of a node that is away may be. Raises: UnknownAccountError."""
    try:
        await call.accounts.show_account(node, address)
    except (NodeNotConnectedError, NodeSilentError):
        return


def _write_account(account: AccountPublic) -> JsonValue:
    last = account.last_login_at_seconds
    return {
        "username": account.address,
        "used_bytes": account.size_bytes,
        "max_bytes": account.quota_bytes,
        "is_default_quota": not account.has_own_quota,
        "created_at": account.created_at_seconds,
        "first_login_at": NEVER_LOGGED_IN if last is None else account.created_at_seconds,
        "last_login_at": last or 0,
    }


def _name_missing(missing: Sequence[str]) -> Json:
    return {"missing_nodes": list(missing)} if missing else {}
