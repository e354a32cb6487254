"""Commands about accounts: look, make, change, let go. They live on their nodes, which answer at this moment.

Not for: many at once from a file (account_file_commands.py), nor for the blocklist (mail_commands.py).
"""

import secrets
import sys
from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import Api, Document, Values, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.operation_commands import wait_for
from controlplane.client.options import (
    GroupOption,
    JsonOption,
    NodeOption,
    YesOption,
    check_quota,
    confirm,
    has_command,
)
from controlplane.client.output import (
    Column,
    make_printable,
    moment_of,
    print_item,
    print_json,
    print_list,
    size_of,
)
from controlplane.policy.quantities import format_size, parse_size

PASSWORD_BYTES = 18
DEFAULT = "fleet"


class Sort(StrEnum):
    """In what order accounts are listed."""

    ADDRESS = "address"
    SIZE = "size"
    LAST_LOGIN = "last_login"


class Purge(StrEnum):
    """Which messages go."""

    ALL = "all"
    READ = "read"
    OLDER = "older"


AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="Address of the account.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; for admins.")]

accounts = typer.Typer(
    help="Look at accounts, make, ban and delete them, set their quota.", invoke_without_command=True
)


def add_account_commands(app: typer.Typer) -> None:
    """Add the commands about accounts to the command line."""
    app.add_typer(accounts, name="accounts")
    app.command("ban")(ban)
    app.command("unban")(unban)


@accounts.callback()
def list_accounts(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    *,
    search: Annotated[str, typer.Option("--search", help="What the address contains.")] = "",
    sort: Annotated[Sort, typer.Option("--sort", help="By what.")] = Sort.ADDRESS,
    is_descending: Annotated[bool, typer.Option("--descending", help="The largest or latest first.")] = False,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the accounts of all nodes; or do something with one."""
    if has_command(context):
        return
    order = "desc" if is_descending else "asc"
    query = {"search": search, "sort": sort, "order": order, "group": group, "node": node}
    with open_api(context) as api:
        found, missing = list_live(api, "/accounts", query)
    print_live(found, missing, LIST_COLUMNS, as_json=as_json, empty="There is no such account.")


@accounts.command("totals")
def add_up(
    context: typer.Context, *, group: GroupOption = None, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Say how many accounts there are and what they hold, in all and by node."""
    with open_api(context) as api:
        totals = api.get("/account-totals", {"group": group, "node": node})
    if as_json:
        print_json(totals)
        return
    total = {**totals, "node_name": "all of these"}
    print_list([*totals["nodes"], total], TOTAL_COLUMNS, as_json=False, empty="")
    tell_missing(totals["missing_nodes"])


@accounts.command("show")
def show_account(
    context: typer.Context, address: AddressArgument, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Show one account."""
    with open_api(context) as api:
        found = api.get(find_account(api, address, node))
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@accounts.command("create")
def create_account(
    context: typer.Context,
    address: AddressArgument,
    *,
    node: NodeOption = None,
    is_password_given: Annotated[
        bool,
        typer.Option(
            "--password-stdin", help="Read the password from standard input; otherwise one is made."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an account, whether or not registration is open; print its password unless you gave one."""
    given = sys.stdin.readline().rstrip("\r\n") if is_password_given else ""
    if is_password_given and not given:
        raise MisuseError("There is no password on standard input.")
    password = given or secrets.token_urlsafe(PASSWORD_BYTES)
    with open_api(context) as api:
        where = node or find_node_of_domain(api, address)
        order = api.post(write_path("nodes", where, "accounts"), {"address": address, "password": password})
        shown = {} if given else {"password": password}
        wait_for(api, order, f"Account {address} is made on node {where}.", as_json=as_json, shown=shown)
    if not as_json and not given:
        typer.echo(f"Password: {password}")


@accounts.command("delete")
def delete_accounts(
    context: typer.Context,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Addresses.")],
    *,
    node: NodeOption = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete accounts with all their messages. This cannot be undone."""
    confirm(f"Delete {', '.join(addresses)} with all messages?", is_sure=is_sure)
    with open_api(context) as api:
        if len(addresses) == 1:
            order = api.delete(find_account(api, addresses[0], node))
        else:
            chosen = [{"node": node or find_node(api, address), "address": address} for address in addresses]
            order = api.post("/accounts/bulk", {"action": "remove", "accounts": chosen})
        wait_for(api, order, f"{', '.join(addresses)}: deleted.", as_json=as_json)


@accounts.command("ban")
def ban(
    context: typer.Context,
    address: AddressArgument,
    *,
    reason: ReasonOption = "",
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ban an account: its sessions end at once, nobody logs in, gets mail, or registers the address again."""
    with open_api(context) as api:
        where = node or find_node(api, address)
        order = api.put(write_path("nodes", where, "blocklist", address), {"reason": reason})
        wait_for(api, order, f"{address} is banned on node {where}.", as_json=as_json)


@accounts.command("unban")
def unban(
    context: typer.Context, address: AddressArgument, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """End a ban; the account, if it is still there, works as before."""
    with open_api(context) as api:
        where = node or find_node_of_block(api, address)
        order = api.delete(write_path("nodes", where, "blocklist", address))
        wait_for(api, order, f"{address} is banned no more on node {where}.", as_json=as_json)


@accounts.command("quota")
def change_quota(
    context: typer.Context,
    address: AddressArgument,
    quota: Annotated[
        str, typer.Argument(callback=check_quota, help="Such as 5G; `fleet`: as its node's accounts have.")
    ],
    *,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an account its own quota."""
    size_bytes = None if quota == DEFAULT else parse_size(quota)
    shown = "the quota of its node" if size_bytes is None else f"a quota of {format_size(size_bytes)}"
    with open_api(context) as api:
        order = api.put(find_account(api, address, node) + "/quota", {"quota_bytes": size_bytes})
        wait_for(api, order, f"{address} has {shown}.", as_json=as_json)


def find_account(api: Api, address: str, node: str | None) -> str:
    """Find the path of an account. Raises: MisuseError."""
    return write_path("nodes", node or find_node(api, address), "accounts", address)


def find_node(api: Api, address: str) -> str:
    """Find the node where an account lives. Raises: MisuseError."""
    found, missing = list_live(api, "/accounts", {"search": address.lower()})
    return _choose_node(found, missing, address, "account")


def find_node_of_block(api: Api, address: str) -> str:
    """Find the node where an address is blocked. Raises: MisuseError."""
    found, missing = list_live(api, "/blocklist", {})
    return _choose_node(found, missing, address, "blocked address")


def find_node_of_domain(api: Api, address: str) -> str:
    """Find the mail node whose domain an address has. Raises: MisuseError."""
    domain = address.rpartition("@")[2].lower()
    for node in api.list_all("/nodes", {"kind": "mail"}):
        report = node.get("report") or {}
        if str(report.get("public_name") or "").lower() == domain:
            return str(node["name"])
    raise MisuseError(f"No node is known to have the domain of {address}. Name it with --node.")


def list_live(api: Api, path: str, query: Values) -> tuple[list[Document], list[str]]:
    """List what nodes answer, and name the nodes that do not."""
    found: list[Document] = []
    missing: dict[str, None] = {}
    for page in api.read_pages(path, query):
        found += page["items"]
        missing |= dict.fromkeys(page.get("missing_nodes") or [])
    return found, list(missing)


def print_live(
    found: list[Document], missing: list[str], columns: list[Column], *, as_json: bool, empty: str
) -> None:
    """Print what nodes have answered, and who has not."""
    if as_json:
        print_json({"items": found, "missing_nodes": missing})
        return
    print_list(found, columns, as_json=False, empty=empty)
    tell_missing(missing)


def tell_missing(missing: list[str]) -> None:
    """Say on standard error which nodes have not answered."""
    if missing:
        names = make_printable(", ".join(missing))
        sys.stderr.write(f"Not answered: {names}. `madfleet nodes` shows how they are.\n")


def _choose_node(found: list[Document], missing: list[str], address: str, what: str) -> str:
    nodes = sorted({str(item["node_name"]) for item in found if item["address"] == address.lower()})
    if len(nodes) == 1:
        return nodes[0]
    if nodes:
        raise MisuseError(f"{address} is on {' and '.join(nodes)}. Name one with --node.")
    unknown = f" on nodes that answer; {', '.join(missing)} did not" if missing else ""
    raise MisuseError(f"There is no {what} {address}{unknown}. Correct it, or name the node with --node.")


LIST_COLUMNS: list[Column] = [
    ("ADDRESS", "address"),
    ("NODE", "node_name"),
    ("HOLDS", size_of("size_bytes")),
    ("QUOTA", size_of("quota_bytes")),
    ("MESSAGES", "message_count"),
    ("LAST LOGIN", moment_of("last_login_at_seconds", never="never")),
    ("BANNED", "is_blocked"),
]
ITEM_COLUMNS: list[Column] = [
    ("Address", "address"),
    ("Node", "node_name"),
    ("Holds", size_of("size_bytes")),
    ("Messages", "message_count"),
    ("Quota", size_of("quota_bytes")),
    ("Own quota", "has_own_quota"),
    ("Banned", "is_blocked"),
    ("Made", moment_of("created_at_seconds")),
    ("Last login", moment_of("last_login_at_seconds", never="never")),
]
TOTAL_COLUMNS: list[Column] = [
    ("NODE", "node_name"),
    ("ACCOUNTS", "accounts"),
    ("HOLD", size_of("size_bytes")),
    ("MESSAGES", "message_count"),
]
