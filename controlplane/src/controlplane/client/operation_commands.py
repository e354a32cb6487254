"""Commands about operations: what nodes have been told to do, and how far they are.

    an order ──▶ wait_for: a few seconds ──▶ done │ failed │ later, when the node is connected

Not for: giving orders (account_commands.py, mail_commands.py).
"""

import json
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import Api, Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError, RefusedError
from controlplane.client.options import JsonOption, NodeOption, has_command
from controlplane.client.output import (
    Column,
    Row,
    make_printable,
    moment_of,
    print_item,
    print_json,
    print_list,
)

WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.2
DEFAULT_ENTRIES = 50
NOT_FOUND = 404


class State(StrEnum):
    """How far an operation is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


OperationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="What the list, or the order itself, has shown.")
]

operations = typer.Typer(help="Look at what nodes were told to do.", invoke_without_command=True)


def add_operation_commands(app: typer.Typer) -> None:
    """Add the commands about operations to the command line."""
    app.add_typer(operations, name="operations")


@operations.callback()
def list_operations(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    *,
    node: NodeOption = None,
    state: Annotated[State | None, typer.Option("--state", help="Only those so far.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only these, such as purge_mail.")] = None,
    entries: Annotated[
        int, typer.Option("--entries", min=1, help="So many at most, the newest.")
    ] = DEFAULT_ENTRIES,
    as_json: JsonOption = False,
) -> None:
    """List operations of the last days, the newest first; or look at one."""
    if has_command(context):
        return
    found: list[Document] = []
    with open_api(context) as api:
        for page in api.read_pages("/operations", {"node": node, "state": state, "name": name}):
            found += page["items"]
            if len(found) >= entries:
                break
    print_list(found[:entries], LIST_COLUMNS, as_json=as_json, empty="There is no such operation.")


@operations.command("show")
def show_operation(
    context: typer.Context, operation: OperationArgument, *, as_json: JsonOption = False
) -> None:
    """Show how far an operation is, or a change of many accounts."""
    with open_api(context) as api:
        found = api.get(find_operation(api, operation))
    print_item(found, choose_columns(found), as_json=as_json)


@operations.command("watch")
def watch_operation(
    context: typer.Context, operation: OperationArgument, *, as_json: JsonOption = False
) -> None:
    """Follow an operation, or a change of many accounts, until it is over; as JSON a line for each step."""
    last: Document = {}
    with open_api(context) as api:
        path = find_operation(api, operation)
        while last.get("state", State.WAITING) == State.WAITING:
            for event in api.read_events(path + "/events"):
                last = event
                typer.echo(write_line(event) if as_json else make_printable(describe_progress(event)))
            if not last:
                raise MisuseError(f"Operation {operation} is forgotten, or its node was retired.")
    if last["state"] == State.FAILED:
        raise typer.Exit(code=1)


def find_operation(api: Api, operation: str) -> str:
    """Find the path of an operation, or of a change of many accounts."""
    path = write_path("operations", operation)
    try:
        api.get(path)
    except RefusedError as refusal:
        if refusal.status != NOT_FOUND:
            raise
        path = write_path("bulk-operations", operation)
        api.get(path)
    return path


def wait_for(api: Api, order: Document, done: str, *, as_json: bool, shown: Document | None = None) -> None:
    """Wait a few seconds for a node to do what it was told, and say what has come of it.

    `shown` is what stands in the JSON besides the order.
    """
    kind = "bulk-operations" if "operations" in order else "operations"
    path = write_path(kind, str(order["id"]))
    gives_up_at = time.monotonic() + WAIT_SECONDS
    while order["state"] == State.WAITING and time.monotonic() < gives_up_at:
        time.sleep(LOOK_SECONDS)
        order = api.get(path)
    if as_json:
        print_json({**order, **(shown or {})})
    match order["state"]:
        case State.DONE if not as_json:
            typer.echo(make_printable(done))
        case State.FAILED:
            sys.stderr.write(make_printable(f"The node could not: {describe_problem(order)}") + "\n")
            raise typer.Exit(code=1)
        case State.WAITING:
            where = ", ".join(order.get("waiting_nodes") or [str(order.get("node_name"))])
            sys.stderr.write(
                make_printable(
                    f"Not done yet by {where}; it will be, as soon as the node is connected. "
                    f"`madfleet operations watch {order['id']}` follows."
                )
                + "\n"
            )


def describe_progress(event: Row) -> str:
    """Say in a line how far something is."""
    if "operations" not in event:
        problem = describe_problem(event)
        return f"{event.get('name')} on {event.get('node_name')}: {event.get('state')}" + (
            f": {problem}" if problem else ""
        )
    line = f"{event.get('name')}: {event.get('done_accounts')} of {event.get('accounts')} accounts"
    waiting = event.get("waiting_nodes")
    if isinstance(waiting, list) and waiting:
        line += f", waiting for {', '.join(str(node) for node in waiting)}"
    problem = describe_problem(event)
    return f"{line}: {event.get('state')}" + (f": {problem}" if problem else "")


def describe_problem(item: Row) -> str:
    """Say what nodes said that could not do it; empty where nothing was."""
    problems = item.get("problems")
    if isinstance(problems, list):
        return "; ".join(str(problem) for problem in problems)
    return str(item.get("problem") or "")


def choose_columns(found: Row) -> list[Column]:
    """Choose what is shown of an operation, or of a change of many accounts."""
    return BULK_COLUMNS if "operations" in found else ITEM_COLUMNS


def write_line(event: Row) -> str:
    """Write an event as one line of JSON."""
    return json.dumps(dict(event))


LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("NODE", "node_name"),
    ("WHAT", "name"),
    ("ACCOUNTS", "account_count"),
    ("STATE", "state"),
    ("ORDERED (UTC)", moment_of("created_at_seconds")),
    ("PROBLEM", "problem"),
]
ITEM_COLUMNS: list[Column] = [
    ("Id", "id"),
    ("Node", "node_name"),
    ("What", "name"),
    ("State", "state"),
    ("Ordered", moment_of("created_at_seconds")),
    ("Done", moment_of("acknowledged_at_seconds")),
    ("Problem", describe_problem),
]
BULK_COLUMNS: list[Column] = [
    ("Id", "id"),
    ("What", "name"),
    ("State", "state"),
    ("Ordered", moment_of("created_at_seconds")),
    ("Accounts", lambda item: f"{item['done_accounts']} of {item['accounts']}"),
    ("Waiting for", lambda item: ", ".join(str(node) for node in _list(item, "waiting_nodes"))),
    ("Problems", describe_problem),
]


def _list(item: Row, field: str) -> list[object]:
    value = item.get(field)
    return value if isinstance(value, list) else []
