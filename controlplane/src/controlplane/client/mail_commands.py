"""Commands about what nodes hold and refuse: messages to let go, the queue, the blocklist, notices.

Not for: accounts themselves (account_commands.py).
"""

from typing import Annotated

import typer

from controlplane.client.account_commands import (
    AddressArgument,
    Purge,
    ReasonOption,
    ban,
    find_account,
    list_live,
    print_live,
    unban,
)
from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.operation_commands import wait_for
from controlplane.client.options import (
    GroupOption,
    JsonOption,
    NodeArgument,
    NodeOption,
    YesOption,
    check_duration,
    confirm,
    has_command,
    parse_seconds,
)
from controlplane.client.output import Column, moment_of, print_done, print_list, size_of

SECONDS_PER_DAY = 86_400

blocklist = typer.Typer(help="Look at blocked addresses, block and unblock.", invoke_without_command=True)
queue = typer.Typer(help="Look at what waits for other nodes, and let go of it.")


def add_mail_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(blocklist, name="blocklist")
    app.add_typer(queue, name="queue")
    app.command("purge")(purge)
    app.command("notice")(send_notice)


@blocklist.callback()
def list_blocked(
    context: typer.Context, *, group: GroupOption = None, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """List blocked addresses of all nodes; or change the list."""
    if has_command(context):
        return
    with open_api(context) as api:
        found, missing = list_live(api, "/blocklist", {"group": group, "node": node})
    print_live(found, missing, BLOCK_COLUMNS, as_json=as_json, empty="No address is blocked.")


@blocklist.command("add")
def block(
    context: typer.Context,
    address: AddressArgument,
    *,
    reason: ReasonOption = "",
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Block an address; without --node it has to be that of an account."""
    ban(context, address, reason=reason, node=node, as_json=as_json)


@blocklist.command("remove")
def unblock(
    context: typer.Context, address: AddressArgument, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Unblock an address."""
    unban(context, address, node=node, as_json=as_json)


@queue.command("show")
def show_queue(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Show what waits on a node for other nodes, by domain."""
    with open_api(context) as api:
        found = api.get(write_path("nodes", node, "queue"))
    print_list(found["items"], QUEUE_COLUMNS, as_json=as_json, empty="Nothing waits.")


@queue.command("purge")
def purge_queue(
    context: typer.Context,
    node: NodeArgument,
    *,
    domain: Annotated[str | None, typer.Option("--domain", help="Only what waits for this domain.")] = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let go of what waits on a node for other nodes; its senders are not told."""
    confirm(f"Let go of what waits on {node} for {domain or 'all domains'}?", is_sure=is_sure)
    with open_api(context) as api:
        order = api.post(write_path("nodes", node, "queue", "purge"), {"destination": domain})
        wait_for(api, order, f"The queue of node {node} is let go.", as_json=as_json)


def purge(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    what: Annotated[Purge, typer.Argument(help="All messages, those read, or older ones.")],
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", callback=check_duration, help="Such as 30d; for `older`."),
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Of this account only.")] = None,
    node: NodeOption = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let go of messages of one account, or of all accounts of a node. This cannot be undone."""
    seconds = None if older_than is None else parse_seconds(older_than)
    if (what is Purge.OLDER) != (seconds is not None):
        raise MisuseError(
            "--older-than belongs to `older`, and is needed there: `purge older --older-than 30d`."
        )
    if seconds is not None and seconds % SECONDS_PER_DAY:
        raise MisuseError("Messages are as old as whole days. Write --older-than 1d or longer.")
    if account is None and node is None:
        raise MisuseError("Say whose messages: --account ADDRESS, or --node NODE for all accounts there.")
    confirm(f"Let go of {what} messages of {account or f'all accounts of {node}'}?", is_sure=is_sure)
    body = {"what": what, "older_than_days": None if seconds is None else seconds // SECONDS_PER_DAY}
    with open_api(context) as api:
        place = write_path("nodes", node or "") if account is None else find_account(api, account, node)
        order = api.post(place + "/purge", body)
        wait_for(api, order, f"The messages of {account or f'node {node}'} are let go.", as_json=as_json)


def send_notice(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What people shall read.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Send a notice to people, where apps show it; where they cannot, the control plane says why."""
    with open_api(context) as api:
        answer = api.post("/notices", {"text": text})
    print_done(answer, "The notice is sent.", as_json=as_json)


BLOCK_COLUMNS: list[Column] = [
    ("ADDRESS", "address"),
    ("NODE", "node_name"),
    ("SINCE (UTC)", moment_of("blocked_at_seconds")),
    ("REASON", "reason"),
]
QUEUE_COLUMNS: list[Column] = [
    ("DOMAIN", "destination"),
    ("MESSAGES", "messages"),
    ("HOLD", size_of("size_bytes")),
    ("OLDEST (UTC)", moment_of("oldest_at_seconds")),
    ("ATTEMPTS", "attempts"),
]
