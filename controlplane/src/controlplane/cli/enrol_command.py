"""The command that enrols a node over SSH: its public key in, its enrolment out.

For: Ansible, and hosts whose control plane does not run yet.
Not for: rules (nodes/), nor for inviting a node, which the client does (client/node_commands.py).
"""

from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.opening import open_session, write_author
from controlplane.client.options import NodeArgument
from controlplane.nodes import enrolment
from controlplane.nodes.enrolment import NewNode
from controlplane.nodes.invitation import describe_enrolment
from nodelink.channel.files import write_durably
from nodelink.contract.errors import ContractError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NodeKind


def add_enrol_command(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("enrol")(enrol)


def check_key(text: str) -> str:
    """Refuse what is no public key."""
    try:
        return PublicKey(text).x
    except ContractError as error:
        raise typer.BadParameter(f"{error}; the node's own command `identity` prints it") from error


KeyOption = Annotated[
    str, typer.Option("--public-key", callback=check_key, help="What `identity` prints on the node.")
]
KindOption = Annotated[NodeKind, typer.Option("--kind", help="What the node does.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace-key", help="Let it take the place of the node of this name.")
]


def enrol(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    name: NodeArgument,
    kind: KindOption,
    public_key: KeyOption,
    *,
    replace_key: ReplaceOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="File for the enrolment, instead of standard output.")
    ] = None,
) -> None:
    """Make a node part of the fleet by its public key; print the enrolment that the node is given."""
    new = NewNode(name, kind, public_key, key_is_replaced=replace_key)
    with open_session(context) as (plane, session):
        node = enrolment.enrol_node(session, plane.facts, new, write_author())
        content = describe_enrolment(plane, node).model_dump_json(indent=1)
    if output is None:
        typer.echo(content)
        return
    try:
        write_durably(output, content.encode() + b"\n")
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}") from error
