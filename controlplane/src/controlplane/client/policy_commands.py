"""Commands about policy of the fleet, a group or a node: who may register, quotas, sizes, retention.

Not for: rules; each value is judged by the control plane.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.api import Api, Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.fleet_commands import describe_jit, describe_registration
from controlplane.client.options import (
    FLEET,
    GroupOption,
    JsonOption,
    NodeOption,
    check_quota,
    has_command,
    parse_seconds,
)
from controlplane.client.output import NOTHING, make_printable, print_done, print_json, write_table
from controlplane.policy.quantities import format_exact_size, format_size, parse_size

SECONDS_PER_DAY = 86_400
MAX_BACKUP_ADDRESSES = 4
WORDS: Mapping[str, bool | None] = {
    "on": True,
    "yes": True,
    "true": True,
    "off": False,
    "no": False,
    "false": False,
    FLEET: None,
}
NOT_POLICY = frozenset({"revision", "node_name", "group_name"})


class RegistrationWord(StrEnum):
    """Whether new accounts may be made; `fleet` follows again, `status` only looks."""

    OPEN = "open"
    CLOSE = "close"
    FLEET = FLEET
    STATUS = "status"


class SwitchWord(StrEnum):
    """Whether something happens; `fleet` follows again, `status` only looks."""

    ON = "on"
    OFF = "off"
    FLEET = FLEET
    STATUS = "status"


policy = typer.Typer(
    help="Look at all that holds for the fleet, a group or a node, and change it.",
    invoke_without_command=True,
)


def add_policy_commands(app: typer.Typer) -> None:
    """Add the commands about policy to the command line."""
    app.command("registration")(change_registration)
    app.command("jit")(change_jit)
    app.command("quota")(change_quota)
    app.add_typer(policy, name="policy")


def change_registration(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    state: RegistrationWord,
    *,
    by_token: Annotated[
        bool | None,
        typer.Option("--by-token/--by-anyone", help="Whether whoever registers must have a token."),
    ] = None,
    backup_addresses: Annotated[
        int | None,
        typer.Option(
            "--backup-addresses",
            min=0,
            max=MAX_BACKUP_ADDRESSES,
            help="How many addresses on other nodes whoever has registered is offered; 0 for none.",
        ),
    ] = None,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open or close registration, and say whether it needs a token and what is offered after it."""
    change: dict[str, object] = {}
    match state:
        case RegistrationWord.FLEET:
            change = dict.fromkeys(("registration_open", "registration_token_required", "backup_addresses"))
        case RegistrationWord.OPEN | RegistrationWord.CLOSE:
            change = {"registration_open": state is RegistrationWord.OPEN}
        case RegistrationWord.STATUS:
            pass
    if by_token is not None:
        change["registration_token_required"] = by_token
    if backup_addresses is not None:
        change["backup_addresses"] = backup_addresses
    answer = _change_or_show(context, group, node, change)
    _tell(answer, "Registration is " + describe_registration(_in_force(answer)), change, as_json=as_json)


def change_jit(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    state: SwitchWord,
    *,
    apps: Annotated[
        bool | None,
        typer.Option("--apps/--no-apps", help="Whether also the accounts that apps add by themselves."),
    ] = None,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn on or off whether an unknown login makes its account, while registration is open."""
    change: dict[str, object] = {}
    if state is SwitchWord.FLEET:
        change = {"jit_enabled": None, "app_accounts_enabled": None}
    elif state is not SwitchWord.STATUS:
        change = {"jit_enabled": WORDS[state]}
    if apps is not None:
        change["app_accounts_enabled"] = apps
    answer = _change_or_show(context, group, node, change)
    _tell(answer, f"JIT is {describe_jit(_in_force(answer))}", change, as_json=as_json)


def change_quota(
    context: typer.Context,
    quota: Annotated[
        str, typer.Argument(callback=check_quota, help="Such as 500M or 2G; K, M, G, T are powers of 1024.")
    ],
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set how much an account may hold that has no quota of its own."""
    change: dict[str, object] = {"quota_bytes": None if quota == FLEET else parse_size(quota)}
    answer = _change_or_show(context, group, node, change)
    size = format_size(int(_in_force(answer)["quota_bytes"]))
    _tell(answer, f"Quota is {size}", change, as_json=as_json)


@policy.callback()
def show_policy(
    context: typer.Context, *, group: GroupOption = None, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Show all that holds; of a group or node also in what it differs."""
    if has_command(context):
        return
    with open_api(context) as api:
        answer = api.get(find_policy_path(group, node))
    _print_policy(answer, as_json=as_json)


@policy.command("set")
def set_policy(
    context: typer.Context,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE...", help="Such as quota_bytes=2G or jit_enabled=off."),
    ],
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what `madfleet policy` shows. The value `fleet` makes a group or node follow again."""
    change = dict(read_assignment(text) for text in changes)
    answer = _change_or_show(context, group, node, change)
    _print_policy(answer, as_json=as_json)


def find_policy_path(group: str | None, node: str | None) -> str:
    """Find where the policy of a group, of a node or of the fleet is. Raises: MisuseError."""
    if group is not None and node is not None:
        raise MisuseError("A policy is that of one group or of one node. Leave out --group or --node.")
    if group is not None:
        return write_path("groups", group, "policy")
    return "/policy" if node is None else write_path("nodes", node, "policy")


def read_assignment(text: str) -> tuple[str, int | bool | None]:
    """Read `NAME=VALUE`, the value as the name's unit demands.

    Raises:
        MisuseError: It is none.
    """
    name, separator, value = text.partition("=")
    name, value = name.strip(), value.strip().lower()
    if not separator or not name:
        raise MisuseError(f"{text!r} is no change; write NAME=VALUE, such as quota_bytes=2G.")
    if value in WORDS:
        return name, WORDS[value]
    seconds = parse_seconds(value)
    number: int | None
    if name.endswith("_bytes"):
        number = parse_size(value)
    elif seconds is not None and name.endswith("_seconds"):
        number = seconds
    elif seconds is not None and name.endswith("_days") and seconds % SECONDS_PER_DAY == 0:
        number = seconds // SECONDS_PER_DAY
    else:
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    if number is None:
        raise MisuseError(
            f"{value!r} is no value of {name}; write a number, an amount such as 2G, a time such as 30d, "
            f"on, off, or {FLEET}."
        )
    return name, number


def _change_or_show(
    context: typer.Context, group: str | None, node: str | None, change: dict[str, object] | Document
) -> Document:
    path = find_policy_path(group, node)
    if path == "/policy" and None in change.values():
        raise MisuseError(f"`{FLEET}` makes one node or group follow; name it with --node or --group.")
    with open_api(context) as api:
        return _patch_or_get(api, path, change)


def _patch_or_get(api: Api, path: str, change: dict[str, object] | Document) -> Document:
    return api.patch(path, change) if change else api.get(path)


def _in_force(answer: Document) -> Document:
    found = answer.get("in_force", answer)
    return found if isinstance(found, dict) else {}


def _name_place(answer: Document) -> str:
    if "node_name" in answer:
        return f"on node {answer['node_name']}"
    if "group_name" in answer:
        return f"on nodes of group {answer['group_name']} that do not differ"
    return "on every node that does not differ"


def _tell(answer: Document, state: str, change: dict[str, object], *, as_json: bool) -> None:
    sentence = f"{state} {_name_place(answer)}."
    print_done(
        answer,
        f"{sentence} Connected nodes follow within two seconds." if change else sentence,
        as_json=as_json,
    )


def _print_policy(answer: Document, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    in_force = {name: value for name, value in _in_force(answer).items() if name not in NOT_POLICY}
    overrides = answer.get("overrides")
    if not isinstance(overrides, dict):
        rows = [(name, write_value(name, value)) for name, value in in_force.items()]
        typer.echo(write_table(("NAME", "VALUE"), rows))
        return
    typer.echo(make_printable(f"What holds {_name_place(answer)}:"))
    table = [
        (name, write_value(name, value), write_value(name, overrides.get(name)))
        for name, value in in_force.items()
    ]
    typer.echo(write_table(("NAME", "VALUE", "OF ITS OWN"), table))


def write_value(name: str, value: object) -> str:
    """Write a value as `set` reads it."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "on" if value else "off"
        case int() if name.endswith("_bytes"):
            return format_exact_size(value)
        case int() if name.endswith("_seconds") and value and value % SECONDS_PER_DAY == 0:
            return f"{value // SECONDS_PER_DAY}d"
        case _:
            return str(value)
