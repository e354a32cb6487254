"""Commands about registration tokens, by which people make accounts.

Not for: whether one is needed (policy_commands.py).
"""

import time
from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.options import (
    JsonOption,
    NodeOption,
    check_duration,
    check_name,
    has_command,
    parse_seconds,
)
from controlplane.client.output import Column, moment_of, print_done, print_item, print_list

MAX_USES = 1_000_000

LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("TOKEN", "token"),
    ("FOR", lambda item: str(item["node"] or "fleet")),
    ("USED", lambda item: f"{item['used_count']}/{item['max_uses']}"),
    ("STATE", "state"),
    ("EXPIRES", moment_of("expires_at_seconds", never="never")),
    ("COMMENT", "comment"),
]
ITEM_COLUMNS: list[Column] = [
    ("Id", "id"),
    ("Token", "token"),
    ("Address", "register_url"),
    *((head.capitalize(), cell) for head, cell in LIST_COLUMNS[2:]),
]

TokenArgument = Annotated[str, typer.Argument(metavar="ID", help="What the list shows in the first column.")]
ExpiryOption = Annotated[
    str | None,
    typer.Option("--valid-for", callback=check_duration, help="Such as 12h or 30d, from now on."),
]

registration_tokens = typer.Typer(
    help="Look at registration tokens, make, change and remove them.", invoke_without_command=True
)


def add_invitation_commands(app: typer.Typer) -> None:
    """Add the commands about registration tokens to the command line."""
    app.add_typer(registration_tokens, name="registration-tokens")


@registration_tokens.callback()
def list_invitations(context: typer.Context, *, node: NodeOption = None, as_json: JsonOption = False) -> None:
    """List the registration tokens; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.list_all("/registration-tokens", {"node": node})
    empty = "There is no registration token. Make one with `madfleet registration-tokens create`."
    print_list(found, LIST_COLUMNS, as_json=as_json, empty=empty)


@registration_tokens.command("show")
def show_invitation(context: typer.Context, token: TokenArgument, *, as_json: JsonOption = False) -> None:
    """Show a registration token, and the address to hand out."""
    with open_api(context) as api:
        found = api.get(write_path("registration-tokens", token))
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@registration_tokens.command("create")
def create_invitation(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    *,
    uses: Annotated[int, typer.Option("--uses", min=1, max=MAX_USES, help="How many accounts it makes.")] = 1,
    comment: Annotated[str, typer.Option("--comment", help="For operators.")] = "",
    valid_for: ExpiryOption = None,
    node: Annotated[
        str | None,
        typer.Option("--node", callback=check_name, help="For this node's own page; else the fleet's."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="A token of your own: 8 to 64 letters, digits, _ and -.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a registration token; print the address to hand out, with its QR code there."""
    wanted = {
        "token": text,
        "node": node,
        "max_uses": uses,
        "comment": comment,
        "expires_at_seconds": _find_expiry(valid_for),
    }
    with open_api(context) as api:
        made = api.post("/registration-tokens", wanted)
    print_item(made, ITEM_COLUMNS, as_json=as_json)


@registration_tokens.command("change")
def change_invitation(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    token: TokenArgument,
    *,
    uses: Annotated[
        int | None, typer.Option("--uses", min=1, max=MAX_USES, help="How many accounts it makes.")
    ] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="For operators.")] = None,
    valid_for: ExpiryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change how often or how long a registration token is taken."""
    wanted = {"max_uses": uses, "comment": comment, "expires_at_seconds": _find_expiry(valid_for)}
    change = {name: value for name, value in wanted.items() if value is not None}
    if not change:
        raise MisuseError("Say what to change: --uses, --comment or --valid-for.")
    with open_api(context) as api:
        found = api.patch(write_path("registration-tokens", token), change)
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@registration_tokens.command("delete")
def remove_invitation(context: typer.Context, token: TokenArgument, *, as_json: JsonOption = False) -> None:
    """Remove a registration token; accounts made by it stay."""
    with open_api(context) as api:
        api.delete(write_path("registration-tokens", token))
    print_done({"id": token, "is_removed": True}, f"Registration token {token} is removed.", as_json=as_json)


def _find_expiry(valid_for: str | None) -> int | None:
    seconds = None if valid_for is None else parse_seconds(valid_for)
    return None if seconds is None else int(time.time()) + seconds
