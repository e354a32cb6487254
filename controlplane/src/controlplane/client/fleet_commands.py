"""The command that shows the fleet as a whole: its state in one look.

Not for: single nodes (node_commands.py), its past (health_commands.py), nor policy (policy_commands.py).
"""

from collections import Counter

import typer

from controlplane.client.connection import open_api
from controlplane.client.options import JsonOption
from controlplane.client.output import Column, print_item
from controlplane.policy.quantities import format_size

HEALTHS = ("ok", "problem", "not connected", "never seen")


def add_fleet_commands(app: typer.Typer) -> None:
    """Add the commands about the fleet to the command line."""
    app.command("status")(show_status)


def show_status(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show the fleet in one look: policy, and how many nodes are well."""
    with open_api(context) as api:
        fleet = api.get("/fleet")
        policy = api.get("/policy")
        nodes = api.list_all("/nodes")
    healths = Counter(str(node["health"]) for node in nodes)
    status = {
        "fleet": fleet["name"],
        "url": fleet["url"],
        "registration_open": policy["registration_open"],
        "jit_enabled": policy["jit_enabled"],
        "registration_token_required": policy["registration_token_required"],
        "quota_bytes": policy["quota_bytes"],
        "turn": fleet["turn"],
        "nodes": {health: healths[health] for health in (*HEALTHS, *sorted(set(healths) - set(HEALTHS)))},
    }
    columns: list[Column] = [
        ("Fleet", "fleet"),
        ("Address", "url"),
        ("Registration", lambda _: describe_registration(policy)),
        ("JIT", lambda _: describe_jit(policy)),
        ("Quota", lambda _: format_size(policy["quota_bytes"])),
        ("TURN", lambda _: fleet["turn"] or "none"),
        ("Nodes", lambda _: ", ".join(f"{count} {name}" for name, count in healths.most_common()) or "none"),
    ]
    print_item(status, columns, as_json=as_json)


def describe_registration(policy: dict[str, object]) -> str:
    """Say in words who may register."""
    if not policy.get("registration_open"):
        return "closed"
    return "by token" if policy.get("registration_token_required") else "open"


def describe_jit(policy: dict[str, object]) -> str:
    """Say in words which unknown logins make their accounts."""
    if not policy.get("jit_enabled"):
        return "off"
    return "on" if policy.get("app_accounts_enabled") else "on, but apps add no accounts by themselves"
