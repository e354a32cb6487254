"""Commands about nodes: list, invite, enrol, retire, and the fleet's state in one look.

Not for: rules (nodes/).
"""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.opening import open_session, write_author
from controlplane.cli.output import write_json, write_table
from controlplane.nodes import enrolment
from controlplane.nodes.administration import change_node
from controlplane.nodes.enrolment import NewNode
from controlplane.nodes.fleet import read_fleet
from controlplane.nodes.invitation import describe_enrolment, write_invitation
from controlplane.nodes.models import (
    DEFAULT_TOKEN_HOURS,
    MAX_TOKEN_HOURS,
    MAX_WEIGHT,
    Health,
    JoinTokenRequest,
    NodeChange,
    NodePublic,
)
from controlplane.nodes.reports import list_nodes
from controlplane.policy.quantities import format_size
from controlplane.policy.service import read_fleet_policy
from nodelink.channel.files import write_durably
from nodelink.contract.errors import ContractError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NODE_NAME_PATTERN, NodeKind

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
KindOption = Annotated[NodeKind, typer.Option("--kind", help="What the node does.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace-key", help="Let it take the place of the node of this name.")
]
HEADER = ("NAME", "KIND", "HEALTH", "APPLIED/WANTED", "LAST REPORT", "VERSION", "PUBLIC NAME")


def check_name(name: str) -> str:
    """Refuse what is no name of a node."""
    try:
        JoinTokenRequest.model_validate({"name": name, "kind": NodeKind.MAIL})
    except ValueError as error:
        raise typer.BadParameter(f"a node's name is a DNS label ({NODE_NAME_PATTERN})") from error
    return name


def check_key(text: str) -> str:
    """Refuse what is no public key."""
    try:
        return PublicKey(text).x
    except ContractError as error:
        raise typer.BadParameter(f"{error}; the node's own command `identity` prints it") from error


NameArgument = Annotated[str, typer.Argument(callback=check_name, help="Name of the node, a DNS label.")]
KeyOption = Annotated[
    str, typer.Option("--public-key", callback=check_key, help="What `identity` prints on the node.")
]


def add_node_commands(app: typer.Typer) -> None:
    """Add the commands about nodes to the command line."""
    app.command("nodes")(show_nodes)
    app.command("status")(show_status)
    app.command("join-token")(create_join_token)
    app.command("enrol")(enrol)
    app.command("retire")(retire)
    app.command("weight")(change_weight)


def show_nodes(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the nodes: health, revision applied and wanted, last report."""
    with open_session(context) as (_, session):
        nodes = list_nodes(session, int(time.time()))
    if as_json:
        typer.echo(write_json([node.model_dump(mode="json") for node in nodes]))
    elif nodes:
        typer.echo(write_table(HEADER, [_describe(node) for node in nodes]))
    else:
        typer.echo("No node has been enrolled yet. Invite one with `madfleet join-token`.")


def show_status(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show the fleet in one look: policy, and how many nodes are well."""
    with open_session(context) as (plane, session):
        policy = read_fleet_policy(session)
        fleet = read_fleet(session)
        healths = Counter(node.health for node in list_nodes(session, int(time.time())))
        turn = f"{fleet.turn_host}:{fleet.turn_port}" if fleet.turn_host else None
        status: dict[str, str | int | bool | None] = {
            "fleet": plane.settings.fleet_name,
            "url": plane.settings.public_url,
            "registration_open": policy.registration_open,
            "jit_enabled": policy.jit_enabled,
            "quota_bytes": policy.quota_bytes,
            "turn": turn,
        }
        quota = format_size(policy.quota_bytes)
    if as_json:
        typer.echo(write_json({**status, "nodes": {health.value: healths[health] for health in Health}}))
        return
    counts = ", ".join(f"{healths[health]} {health}" for health in Health if healths[health])
    rows = [
        ("Fleet", str(status["fleet"])),
        ("Address", str(status["url"])),
        ("Registration", "open" if status["registration_open"] else "closed"),
        ("JIT", "on" if status["jit_enabled"] else "off"),
        ("Quota", quota),
        ("TURN", turn or "none"),
        ("Nodes", counts or "none"),
    ]
    typer.echo("\n".join(f"{name + ':':<14}{value}" for name, value in rows))


def create_join_token(
    context: typer.Context,
    name: NameArgument,
    kind: KindOption,
    *,
    valid_for_hours: Annotated[
        int, typer.Option("--valid-for", min=1, max=MAX_TOKEN_HOURS, help="Hours until it expires.")
    ] = DEFAULT_TOKEN_HOURS,
    replace_key: ReplaceOption = False,
) -> None:
    """Invite a node: print a token with which it joins. It is good once, and shown now only."""
    request = JoinTokenRequest(name=name, kind=kind, valid_for_hours=valid_for_hours, replace_key=replace_key)
    with open_session(context) as (plane, session):
        _, secret = enrolment.create_ticket(session, plane.vault, request, write_author())
        token = write_invitation(plane, secret)
    typer.echo(token)
    typer.echo(
        f"Run `{kind}node join TOKEN` on the node within {valid_for_hours} h. It is not shown again.",
        err=True,
    )


def enrol(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    name: NameArgument,
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


def retire(context: typer.Context, name: NameArgument) -> None:
    """Make a node none of the fleet any more: its channel is closed, its key is no longer accepted."""
    with open_session(context) as (plane, session):
        enrolment.retire_node(session, plane.facts, name, write_author())
    typer.echo(f"Node {name} is retired.")


def change_weight(
    context: typer.Context,
    name: NameArgument,
    weight: Annotated[
        int, typer.Argument(min=0, max=MAX_WEIGHT, help="Share of new accounts; 100 at first, 0 = none.")
    ],
) -> None:
    """Say how many of the accounts made at the control plane a mail node gets, in relation to others."""
    with open_session(context) as (plane, session):
        change_node(session, plane.facts, write_author(), name, NodeChange(weight=weight))
    typer.echo(f"Node {name} has weight {weight}.")


def _describe(node: NodePublic) -> tuple[str, ...]:
    age = "-" if node.report_age_seconds is None else f"{node.report_age_seconds} s"
    version, public_name = (
        (node.report.software_version, node.report.public_name) if node.report else ("-", "-")
    )
    revisions = f"{node.applied_revision}/{node.revision}"
    return node.name, node.kind.value, node.health.value, revisions, age, version, public_name
