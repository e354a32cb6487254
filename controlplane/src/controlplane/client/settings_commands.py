"""Commands about settings and services by name, of the fleet or of one node.

Not for: rules; each value is judged by the control plane. Nor for what policy calls its values
(policy_commands.py).
"""

from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.options import JsonOption, NodeOption, has_command
from controlplane.client.output import Column, print_done, print_list

SETTING_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("IN FORCE", "in_force"),
    ("SET HERE", "value"),
    ("DECIDED BY", lambda item: str(item.get("variable") or item.get("owner"))),
    ("MEANING", "meaning"),
]
SERVICE_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("STATE", lambda item: _write_state(item.get("is_enabled"), item.get("is_offered"))),
    ("MEANING", "meaning"),
]

Name = Annotated[str, typer.Argument(metavar="NAME", help="As the list shows it.")]

settings = typer.Typer(
    help="List all settings by name and who decides them; set and reset them.", invoke_without_command=True
)
services = typer.Typer(help="List what is on or off, and switch it.", invoke_without_command=True)


def add_settings_commands(app: typer.Typer) -> None:
    """Add the commands about settings and services to the command line."""
    app.add_typer(settings, name="settings")
    app.add_typer(services, name="services")


@settings.callback()
def list_settings(context: typer.Context, *, node: NodeOption = None, as_json: JsonOption = False) -> None:
    """List all settings by name and who decides them; set and reset them."""
    if not has_command(context):
        with open_api(context) as api:
            items = api.get(_find_path(node, "settings"))["items"]
        print_list(items, SETTING_COLUMNS, as_json=as_json, empty="There are no settings.")


@settings.command("set")
def change_setting(
    context: typer.Context,
    name: Name,
    value: Annotated[str, typer.Argument(help="Such as 30M, 14d or 86400.")],
    *,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set something. Connected nodes follow within two seconds."""
    with open_api(context) as api:
        answer = api.put(_find_path(node, "settings", name), {"value": value})
    print_done(answer, f"{name} is set {_name_place(node)}.", as_json=as_json)


@settings.command("reset")
def reset_setting(
    context: typer.Context, name: Name, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Let a setting be as in a new fleet, or a node follow the fleet again."""
    with open_api(context) as api:
        api.delete(_find_path(node, "settings", name))
        answer = api.get(_find_path(node, "settings", name))
    print_done(answer, f"{name} is reset {_name_place(node)}.", as_json=as_json)


@services.callback()
def list_services(context: typer.Context, *, node: NodeOption = None, as_json: JsonOption = False) -> None:
    """List what is on or off, and switch it."""
    if not has_command(context):
        with open_api(context) as api:
            items = api.get(_find_path(node, "services"))["items"]
        print_list(items, SERVICE_COLUMNS, as_json=as_json, empty="There are no services.")


@services.command("enable")
def enable_service(
    context: typer.Context, name: Name, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Switch something on. Connected nodes follow within two seconds."""
    _switch(context, name, node, is_on=True, as_json=as_json)


@services.command("disable")
def disable_service(
    context: typer.Context, name: Name, *, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Switch something off. Connected nodes follow within two seconds."""
    _switch(context, name, node, is_on=False, as_json=as_json)


def _switch(context: typer.Context, name: str, node: str | None, *, is_on: bool, as_json: bool) -> None:
    with open_api(context) as api:
        answer = api.put(_find_path(node, "services", name), {"is_enabled": is_on})
    print_done(answer, f"{name} is {'on' if is_on else 'off'} {_name_place(node)}.", as_json=as_json)


def _find_path(node: str | None, *parts: str) -> str:
    return write_path(*parts) if node is None else write_path("nodes", node, *parts)


def _name_place(node: str | None) -> str:
    return "on every node that does not differ" if node is None else f"on node {node}"


def _write_state(is_enabled: object, is_offered: object) -> str:
    if not is_offered:
        return "not offered"
    return "on" if is_enabled else "off"
