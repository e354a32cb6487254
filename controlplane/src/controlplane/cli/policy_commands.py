"""Commands about policy: registration, JIT and quota, of the fleet or of one node.

Not for: rules (policy/).
"""

from enum import StrEnum
from typing import Annotated

import typer

from controlplane.cli.node_commands import check_name
from controlplane.cli.opening import open_session, write_author
from controlplane.policy.models import (
    LARGEST_QUOTA_BYTES,
    SMALLEST_QUOTA_BYTES,
    FleetPolicyChange,
    OverridesChange,
)
from controlplane.policy.quantities import format_size, parse_size
from controlplane.policy.service import change_fleet_policy, change_node_policy

FLEET = "fleet"


class Registration(StrEnum):
    """Whether new accounts may be made."""

    OPEN = "open"
    CLOSE = "close"
    FLEET = FLEET


class Switch(StrEnum):
    """Whether something happens."""

    ON = "on"
    OFF = "off"
    FLEET = FLEET


def check_node(name: str | None) -> str | None:
    """Refuse what is no name of a node."""
    return None if name is None else check_name(name)


def check_quota(text: str) -> str:
    """Refuse what is no quota."""
    size_bytes = parse_size(text)
    is_quota = size_bytes is not None and SMALLEST_QUOTA_BYTES <= size_bytes <= LARGEST_QUOTA_BYTES
    if text != FLEET and not is_quota:
        raise typer.BadParameter("a quota is an amount such as 500M or 2G, from 1M to 1024T")
    return text


NodeOption = Annotated[
    str | None,
    typer.Option(
        "--node", callback=check_node, help="This node only; `fleet` makes it follow the fleet again."
    ),
]


def add_policy_commands(app: typer.Typer) -> None:
    """Add the commands about policy to the command line."""
    app.command("registration")(change_registration)
    app.command("jit")(change_jit)
    app.command("quota")(change_quota)


def change_registration(context: typer.Context, state: Registration, node: NodeOption = None) -> None:
    """Open or close registration."""
    value = None if state is Registration.FLEET else state is Registration.OPEN
    _change(context, node, "registration_open", value)
    _confirm("Registration", {True: "open", False: "closed", None: "as the fleet's"}[value], node)


def change_jit(context: typer.Context, state: Switch, node: NodeOption = None) -> None:
    """Turn on or off whether an unknown login makes its account, while registration is open."""
    value = None if state is Switch.FLEET else state is Switch.ON
    _change(context, node, "jit_enabled", value)
    _confirm("JIT", {True: "on", False: "off", None: "as the fleet's"}[value], node)


def change_quota(
    context: typer.Context,
    quota: Annotated[
        str, typer.Argument(callback=check_quota, help="Such as 500M or 2G; K, M, G, T are powers of 1024.")
    ],
    node: NodeOption = None,
) -> None:
    """Set how much an account may hold that has no quota of its own."""
    value = None if quota == FLEET else parse_size(quota)
    _change(context, node, "quota_bytes", value)
    _confirm("Quota", "as the fleet's" if value is None else format_size(value), node)


def _change(context: typer.Context, node: str | None, field: str, value: object) -> None:
    if node is None and value is None:
        raise typer.BadParameter(f"`{FLEET}` makes one node follow the fleet; name it with --node")
    with open_session(context) as (plane, session):
        values = {field: value}
        if node is None:
            change_fleet_policy(
                session, plane.facts, write_author(), FleetPolicyChange.model_validate(values)
            )
        else:
            change = OverridesChange.model_validate(values)
            change_node_policy(session, plane.facts, write_author(), node, change)


def _confirm(what: str, state: str, node: str | None) -> None:
    where = f"on node {node}" if node else "on every node that does not differ"
    typer.echo(f"{what} is {state} {where}. Connected nodes follow within two seconds.")
