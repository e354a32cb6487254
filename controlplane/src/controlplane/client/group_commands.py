"""Commands about groups of nodes.

Not for: putting nodes into them (node_commands.py), nor their policy (policy_commands.py).
"""

from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.options import GroupArgument, JsonOption, has_command
from controlplane.client.output import Column, print_done, print_item, print_list

LIST_COLUMNS: list[Column] = [("NAME", "name"), ("LABEL", "label"), ("NODES", "nodes")]
ITEM_COLUMNS: list[Column] = [("Name", "name"), ("Label", "label"), ("Nodes", "nodes")]

groups = typer.Typer(help="Look at groups of nodes, make and change them.", invoke_without_command=True)


def add_group_commands(app: typer.Typer) -> None:
    """Add the commands about groups to the command line."""
    app.add_typer(groups, name="groups")


@groups.callback()
def list_groups(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the groups; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.list_all("/groups")
    empty = "There is no group. Make one with `madfleet groups create`."
    print_list(found, LIST_COLUMNS, as_json=as_json, empty=empty)


@groups.command("show")
def show_group(context: typer.Context, group: GroupArgument, *, as_json: JsonOption = False) -> None:
    """Show a group."""
    with open_api(context) as api:
        found = api.get(write_path("groups", group))
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@groups.command("create")
def create_group(
    context: typer.Context,
    group: GroupArgument,
    *,
    label: Annotated[str, typer.Option("--label", help="What people call it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a group, with no node in it yet."""
    with open_api(context) as api:
        made = api.post("/groups", {"name": group, "label": label})
    sentence = f"Group {group} is made. Put nodes into it with `madfleet nodes group NODE {group}`."
    print_done(made, sentence, as_json=as_json)


@groups.command("label")
def change_label(
    context: typer.Context,
    group: GroupArgument,
    label: Annotated[str, typer.Argument(help="What people call it; empty for nothing.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say what people call a group."""
    with open_api(context) as api:
        found = api.patch(write_path("groups", group), {"label": label})
    print_done(found, f"Group {group} is called {label or 'nothing else'}.", as_json=as_json)


@groups.command("delete")
def remove_group(context: typer.Context, group: GroupArgument, *, as_json: JsonOption = False) -> None:
    """Remove a group that no node is in; its tokens are revoked."""
    with open_api(context) as api:
        api.delete(write_path("groups", group))
    print_done({"name": group, "is_removed": True}, f"Group {group} is removed.", as_json=as_json)
