"""Commands about ports: look where a node listens, move a port, move it back.

Not for: rules; the control plane knows which ports are open.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.options import JsonOption, NodeArgument
from controlplane.client.output import (
    NOTHING,
    make_printable,
    print_done,
    print_json,
    write_cell,
    write_table,
)

HEADS = ("NAME", "LISTENS AT", "MOVED TO", "SET BY ANSIBLE", "PROBLEM")
CELLS = ("name", "effective", "wanted", "configured", "problem")


class Port(StrEnum):
    """What can be moved."""

    SUBMISSION = "submission"
    SUBMISSION_TLS = "submission_tls"
    IMAP = "imap"
    IMAP_TLS = "imap_tls"
    TURN = "turn"


PortArgument = Annotated[Port, typer.Argument(help="Which port.")]

ports = typer.Typer(help="Look where nodes listen, and move ports.", no_args_is_help=True)


def add_port_commands(app: typer.Typer) -> None:
    """Add the commands about ports to the command line."""
    app.add_typer(ports, name="ports")


@ports.command("show")
def show_ports(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Show where a node listens, and where its ports can be moved."""
    with open_api(context) as api:
        found = api.get(_find_path(node))
    if as_json:
        print_json(found)
        return
    rows = [tuple(write_cell(port, cell) for cell in CELLS) for port in _list_ports(found)]
    typer.echo(write_table(HEADS, rows))
    alternates = found.get("alternate_ports")
    listed = ", ".join(map(str, alternates)) if isinstance(alternates, list) else ""
    typer.echo(make_printable(f"Open besides, by {found.get('variable')}: {listed or NOTHING}"))


@ports.command("set")
def set_port(
    context: typer.Context,
    node: NodeArgument,
    port: PortArgument,
    number: Annotated[int, typer.Argument(min=1, max=65535, help="Where to; it must be open there.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Move a port. What is open goes on, QR codes follow; apps that are set up know the former port."""
    sentence = f"Port {port} of node {node} moves to {number}. See it with `madfleet ports show {node}`."
    _change(context, node, {port.value: number}, sentence, as_json=as_json)


@ports.command("reset")
def reset_port(
    context: typer.Context, node: NodeArgument, port: PortArgument, *, as_json: JsonOption = False
) -> None:
    """Move a port back to where Ansible has put it."""
    sentence = f"Port {port} of node {node} is moved back."
    _change(context, node, {port.value: None}, sentence, as_json=as_json)


def _change(
    context: typer.Context, node: str, change: dict[str, object], sentence: str, *, as_json: bool
) -> None:
    with open_api(context) as api:
        found = api.patch(_find_path(node), change)
    print_done(found, sentence, as_json=as_json)


def _find_path(node: str) -> str:
    return write_path("nodes", node, "ports")


def _list_ports(found: Document) -> list[Mapping[str, object]]:
    listed = found.get("ports")
    return [port for port in listed if isinstance(port, dict)] if isinstance(listed, list) else []
