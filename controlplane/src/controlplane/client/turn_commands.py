"""Commands about the fleet's TURN service: where it is, its secrets, its addresses, and who uses it.

Not for: limits, which are policy (policy_commands.py), nor for the records of all names (dns_commands.py).
"""

import typer

from controlplane.client.api import Document
from controlplane.client.connection import open_api
from controlplane.client.options import JsonOption, YesOption, confirm, has_command
from controlplane.client.output import (
    Column,
    Row,
    make_printable,
    moment_of,
    print_done,
    print_item,
    print_json,
    print_list,
    size_of,
)

turn = typer.Typer(
    help="Look where TURN is to be had and who uses it, and replace its secret.", invoke_without_command=True
)


def add_turn_commands(app: typer.Typer) -> None:
    """Add the commands about TURN to the command line."""
    app.add_typer(turn, name="turn")


@turn.callback()
def show_turn(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show where TURN is to be had, and how far a replacement of its secret is; or do something about it."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.get("/turn")
    print_item(found, TURN_COLUMNS, as_json=as_json)
    if not as_json:
        typer.echo()
        print_list(found["secrets"], SECRET_COLUMNS, as_json=False, empty="There is no secret.")


@turn.command("rotate-secret")
def rotate_secret(context: typer.Context, *, is_sure: YesOption = False, as_json: JsonOption = False) -> None:
    """Replace the secret behind TURN credentials. Calls go on; what was handed out is taken until it ends."""
    question = "Replace the secret? The next replacement has to wait until the present secret has ended."
    confirm(question, is_sure=is_sure)
    with open_api(context) as api:
        found = api.post("/turn/secrets", {})
    print_done(found, f"{_describe_step(found)} `madfleet turn` shows how far it is.", as_json=as_json)


@turn.command("usage")
def list_uses(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the credentials that used TURN nodes most, the largest first; nobody can tell whose they are."""
    with open_api(context) as api:
        found = api.get("/turn/usage")["value"]
    print_list(found, USE_COLUMNS, as_json=as_json, empty="No credential is in use.")


@turn.command("zone")
def show_zone(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show which addresses the TURN name should have now, and which nodes are left out."""
    with open_api(context) as api:
        found = api.get("/turn/zone")
    if as_json:
        print_json(found)
        return
    print_list(found["nodes"], ZONE_COLUMNS, as_json=False, empty="The fleet has no TURN node.")
    if found["name"] is None:
        typer.echo("The fleet has no TURN name; set controlplane_turn_name in Ansible.")
    for record in found["records"]:
        typer.echo(make_printable(record))


def _describe_step(found: Document) -> str:
    awaited = _list(found, "awaited_nodes")
    if awaited:
        return f"The next secret is announced. Mail nodes use it once these have it: {awaited}."
    return "The next secret is announced. Mail nodes use it within seconds."


def _describe_place(found: Row) -> str:
    return f"{found['host']}:{found['port']}" if found["host"] is not None else ""


def _list(item: Row, field: str) -> str:
    value = item.get(field)
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


TURN_COLUMNS: list[Column] = [
    ("TURN", _describe_place),
    ("Open UDP ports", lambda item: _list(item, "udp_ports")),
    ("Next secret awaited by", lambda item: _list(item, "awaited_nodes")),
]
SECRET_COLUMNS: list[Column] = [
    ("SECRET", "number"),
    ("STATE", "state"),
    ("ANNOUNCED (UTC)", moment_of("announced_at_seconds")),
    ("IN USE SINCE", moment_of("in_force_at_seconds", never="not yet")),
    ("TAKEN UNTIL", moment_of("ends_at_seconds")),
]
USE_COLUMNS: list[Column] = [
    ("PSEUDONYM", "pseudonym"),
    ("NODES", lambda item: _list(item, "nodes")),
    ("ALLOCATIONS", "allocations"),
    ("RELAYED", size_of("bytes")),
    ("PACKETS", "packets"),
    ("DROPPED", "dropped"),
]
ZONE_COLUMNS: list[Column] = [
    ("NODE", "node"),
    ("ADDRESSES", lambda item: _list(item, "addresses")),
    ("LEFT OUT", "absence"),
]
