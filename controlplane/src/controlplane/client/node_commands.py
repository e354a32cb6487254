"""Commands about nodes: look, invite, change, retire.

Not for: enrolling over SSH, which is done on the control plane's host (cli/node_commands.py).
"""

from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.options import GroupOption, JsonOption, NodeArgument, check_name, has_command
from controlplane.client.output import (
    NOTHING,
    Column,
    Row,
    moment_of,
    print_done,
    print_item,
    print_json,
    print_list,
    write_cell,
)

MAX_WEIGHT = 10_000
DEFAULT_TOKEN_HOURS = 24
MAX_TOKEN_HOURS = 30 * 24


class Kind(StrEnum):
    """What a node does."""

    MAIL = "mail"
    TURN = "turn"


KindOption = Annotated[Kind, typer.Option("--kind", help="What the node does.")]
WeightArgument = Annotated[
    int, typer.Argument(min=0, max=MAX_WEIGHT, help="Share of new accounts; 100 at first, 0 = none.")
]

nodes = typer.Typer(help="Look at nodes, change and retire them.", invoke_without_command=True)


def add_node_commands(app: typer.Typer) -> None:
    """Add the commands about nodes to the command line."""
    app.add_typer(nodes, name="nodes")
    app.command("join-token")(create_join_token)
    app.command("retire")(retire)
    app.command("weight")(change_weight)
    app.command("drain")(drain)


@nodes.callback()
def list_nodes(
    context: typer.Context,
    *,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only such nodes.")] = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the nodes and how they are; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.list_all("/nodes", {"kind": kind, "group": group})
    empty = "No node has been enrolled yet. Invite one with `madfleet join-token`."
    print_list(found, LIST_COLUMNS, as_json=as_json, empty="No such node." if kind or group else empty)


@nodes.command("show")
def show_node(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Show one node, and what it has reported."""
    with open_api(context) as api:
        found = api.get(write_path("nodes", node))
    print_item(found, ITEM_COLUMNS, as_json=as_json)
    figures = (found.get("report") or {}).get("figures") or {}
    if figures and not as_json:
        typer.echo("\nFigures:")
        width = max(len(name) for name in figures) + 2
        for name, value in figures.items():
            typer.echo(f"  {write_cell({'name': name}, 'name'):<{width}}{value:g}")


@nodes.command("ask")
def ask_node(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Ask a node itself, at this moment, how it is."""
    with open_api(context) as api:
        status = api.get(write_path("nodes", node, "status"))
    print_item(status, [(name, name) for name in status], as_json=as_json)


@nodes.command("label")
def change_label(
    context: typer.Context,
    node: NodeArgument,
    label: Annotated[str, typer.Argument(help="What people call it; empty for nothing.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say what people call a node."""
    _change(
        context, node, {"label": label}, f"Node {node} is called {label or 'nothing else'}.", as_json=as_json
    )


@nodes.command("weight")
def change_weight(
    context: typer.Context, node: NodeArgument, weight: WeightArgument, *, as_json: JsonOption = False
) -> None:
    """Say how many of the accounts made at the control plane a mail node gets, in relation to others."""
    _change(context, node, {"weight": weight}, f"Node {node} has weight {weight}.", as_json=as_json)


@nodes.command("drain")
def drain(
    context: typer.Context,
    node: NodeArgument,
    *,
    is_ended: Annotated[bool, typer.Option("--end", help="Let it have new ones again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a node nothing new: no accounts to a mail node, no calls to a TURN node. What is there goes on."""
    state = "gets new ones again" if is_ended else "gets nothing new"
    _change(context, node, {"is_draining": not is_ended}, f"Node {node} {state}.", as_json=as_json)


@nodes.command("group")
def move_node(
    context: typer.Context,
    node: NodeArgument,
    group: Annotated[
        str | None, typer.Argument(callback=check_name, help="Name of the group; none: out of any.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Put a node into a group, or out of any."""
    with open_api(context) as api:
        found = api.put(write_path("nodes", node, "group"), {"group": group})
    print_done(found, f"Node {node} is in {f'group {group}' if group else 'no group'}.", as_json=as_json)


@nodes.command("retire")
def retire(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Make a node none of the fleet any more: its channel is closed, its key is no longer accepted."""
    with open_api(context) as api:
        api.delete(write_path("nodes", node))
    print_done({"name": node, "is_retired": True}, f"Node {node} is retired.", as_json=as_json)


def create_join_token(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    node: NodeArgument,
    kind: KindOption,
    *,
    valid_for_hours: Annotated[
        int, typer.Option("--valid-for", min=1, max=MAX_TOKEN_HOURS, help="Hours until it expires.")
    ] = DEFAULT_TOKEN_HOURS,
    replace_key: Annotated[
        bool, typer.Option("--replace-key", help="Let it take the place of the node of this name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Invite a node: print a token with which it joins. It is good once, and shown now only."""
    wanted = {"name": node, "kind": kind, "valid_for_hours": valid_for_hours, "replace_key": replace_key}
    with open_api(context) as api:
        made = api.post("/join-tokens", wanted)
    if as_json:
        print_json(made)
        return
    typer.echo(made["join_token"])
    typer.echo(
        f"Run `{kind}node join TOKEN` on the node within {valid_for_hours} h. It is not shown again.",
        err=True,
    )


def _change(
    context: typer.Context, node: str, change: dict[str, object], sentence: str, *, as_json: bool
) -> None:
    with open_api(context) as api:
        found = api.patch(write_path("nodes", node), change)
    print_done(found, sentence, as_json=as_json)


def _report(item: Row, field: str) -> str:
    report = item.get("report")
    return str(report.get(field) or NOTHING) if isinstance(report, dict) else NOTHING


def _describe_age(item: Row) -> str:
    age = item.get("report_age_seconds")
    return NOTHING if age is None else f"{age} s"


def _describe_problems(item: Row) -> str:
    report = item.get("report")
    problems = report.get("problems") if isinstance(report, dict) else None
    return " ".join(str(problem) for problem in problems or []) or NOTHING


LIST_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("KIND", "kind"),
    (
        "HEALTH",
        lambda item: f"{item['health']}, draining" if item.get("is_draining") else str(item["health"]),
    ),
    ("APPLIED/WANTED", lambda item: f"{item['applied_revision']}/{item['revision']}"),
    ("LAST REPORT", _describe_age),
    ("VERSION", lambda item: _report(item, "software_version")),
    ("GROUP", "group"),
    ("PUBLIC NAME", lambda item: _report(item, "public_name")),
]
ITEM_COLUMNS: list[Column] = [
    ("Name", "name"),
    ("Label", "label"),
    ("Kind", "kind"),
    ("Group", "group"),
    ("Health", "health"),
    ("Problems", _describe_problems),
    ("Draining", "is_draining"),
    ("Weight", "weight"),
    ("Applied/wanted", lambda item: f"{item['applied_revision']}/{item['revision']}"),
    ("Last report", _describe_age),
    ("Version", lambda item: _report(item, "software_version")),
    ("Public name", lambda item: _report(item, "public_name")),
    ("Enrolled", moment_of("enrolled_at_seconds")),
    ("Public key", "public_key"),
]
