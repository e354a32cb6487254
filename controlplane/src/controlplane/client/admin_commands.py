"""Commands about admin tokens: list, make and revoke them.

Not for: the first token, which is made on the control plane's host (cli/admin_commands.py).
"""

from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.login_commands import describe_scope
from controlplane.client.options import (
    GroupOption,
    JsonOption,
    NodeOption,
    check_duration,
    has_command,
    parse_seconds,
)
from controlplane.client.output import Column, moment_of, print_done, print_item, print_json, print_list


class Role(StrEnum):
    """What an admin is trusted with."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"


LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ROLE", "role"),
    ("SCOPE", describe_scope),
    ("STATE", "state"),
    ("LAST USED", moment_of("last_used_at_seconds", never="never")),
    ("EXPIRES", moment_of("expires_at_seconds", never="never")),
]

TokenArgument = Annotated[str, typer.Argument(metavar="ID", help="What the list shows in the first column.")]

admin_tokens = typer.Typer(help="Look at admin tokens, make and revoke them.", invoke_without_command=True)


def add_admin_commands(app: typer.Typer) -> None:
    """Add the commands about admin tokens to the command line."""
    app.add_typer(admin_tokens, name="admin-tokens")


@admin_tokens.callback()
def list_tokens(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the admin tokens, revoked ones too; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.list_all("/admin-tokens")
    print_list(found, LIST_COLUMNS, as_json=as_json, empty="There is no admin token.")


@admin_tokens.command("show")
def show_token(context: typer.Context, token: TokenArgument, *, as_json: JsonOption = False) -> None:
    """Show an admin token, without its secret."""
    with open_api(context) as api:
        found = api.get(write_path("admin-tokens", token))
    print_item(found, [(head.capitalize(), cell) for head, cell in LIST_COLUMNS], as_json=as_json)


@admin_tokens.command("create")
def create_token(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use it; the audit log names him.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What he is trusted with.")] = Role.VIEWER,
    group: GroupOption = None,
    node: NodeOption = None,
    valid_for: Annotated[
        str | None,
        typer.Option("--valid-for", callback=check_duration, help="Such as 12h or 90d; otherwise for ever."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an admin token; it is printed now only, alone on standard output."""
    if group is not None and node is not None:
        raise MisuseError("A token is for one group or for one node. Leave out --group or --node.")
    seconds = None if valid_for is None else parse_seconds(valid_for)
    if seconds is not None and seconds % 3600:
        raise MisuseError("An admin token is good for whole hours. Write --valid-for 1h or longer.")
    wanted = {
        "name": name,
        "role": role,
        "scope_kind": "group" if group else "node" if node else "fleet",
        "scope_name": group or node,
        "valid_for_hours": None if seconds is None else seconds // 3600,
    }
    with open_api(context) as api:
        made = api.post("/admin-tokens", wanted)
    if as_json:
        print_json(made)
        return
    typer.echo(made["token"])
    typer.echo(f"{name} is {made['role']} of {describe_scope(made)}. The token is not shown again.", err=True)


@admin_tokens.command("revoke")
def revoke_token(context: typer.Context, token: TokenArgument, *, as_json: JsonOption = False) -> None:
    """Revoke an admin token at once; it stays in the list."""
    with open_api(context) as api:
        api.delete(write_path("admin-tokens", token))
    print_done({"id": token, "state": "revoked"}, f"Token {token} is revoked.", as_json=as_json)
