"""Settings and services in the shapes of Madmail's admin RPC.

    SettingValue   {key, value, is_set, restart_required}
    AllSettings    every toggle, SettingValue and scalar in one object

For: resources of settings, and the overview.
Not for: what is decided where (fleet_settings/).

`restart_required` is false everywhere: what can be set is in force at once. `is_set` is false for the host
name, HTTP ports and paths, because the admin web would take the address of the API from them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from sqlmodel import Session

from controlplane.federation.models import FederationInForce
from controlplane.federation.service import describe_federation
from controlplane.fleet_settings import service
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS
from controlplane.fleet_settings.push import PushMode, add_up_push, read_mode
from controlplane.madmail_rpc.call import Call
from controlplane.nodes.models import NodePublic
from controlplane.policy.quantities import format_exact_size
from nodelink.contract.states import PUSH_FAILURES_BEFORE_PAUSE, NodeKind

TOGGLES: Final[Mapping[str, str]] = {
    "jit_registration": "jit",
    "turn_enabled": "turn",
    "iroh_enabled": "iroh",
    "push_enabled": "push",
    "ss_enabled": "shadowsocks",
    "ss_ws_enabled": "ss_ws",
    "ss_grpc_enabled": "ss_grpc",
    "http_proxy_enabled": "http_proxy",
    "auto_purge_seen_enabled": "auto_purge_seen",
    "message_retention_enabled": "message_retention",
    "admin_web_enabled": "admin_web",
    "webimap_enabled": "webimap",
    "websmtp_enabled": "websmtp",
    "registration_token_required": "registration_token_required",
    "allow_inbound_remote_rcpt": "allow_inbound_remote_rcpt",
}
"""What AllSettings calls a service."""

ACCESS_OF: Final = (
    "smtp",
    "submission",
    "submission_tls",
    "imap",
    "imap_tls",
    "turn",
    "sasl",
    "iroh",
    "http",
    "https",
)


def write_word(*, is_on: bool) -> str:
    """Write the state of a service."""
    return "enabled" if is_on else "disabled"


def write_setting(name: str, value: str, *, is_set: bool) -> dict[str, JsonValue]:
    """Write a SettingValue."""
    return {"key": f"__{name.upper()}__", "value": value, "is_set": is_set, "restart_required": False}


def show_setting(session: Session, call: Call, facts: service.Facts, name: str) -> dict[str, JsonValue]:
    """Show a setting as it is asked for alone: empty where nobody has said anything."""
    found = service.show_setting(session, facts, call.node, SETTINGS[name])
    if name == "turn_secret" and not call.may_see_secrets:
        return write_setting(name, "", is_set=found.is_set)
    return write_setting(name, found.said, is_set=found.is_set)


def write_all_settings(session: Session, call: Call, facts: service.Facts) -> dict[str, JsonValue]:
    """Write AllSettings."""
    settings: dict[str, JsonValue] = {
        "registration": "open" if facts.in_force.registration_open else "closed",
        "push_mode": read_mode(facts.in_force),
        "shadowsocks_url": "",
    }
    policy = write_federation_policy(read_federation(session, call))
    settings |= {f"federation_{name}": value for name, value in policy.items()}
    for name, of in TOGGLES.items():
        settings[name] = write_word(is_on=service.is_enabled(facts, SERVICES[of]))
    settings |= {f"{name}_access": "public" for name in ACCESS_OF}
    for name, setting in SETTINGS.items():
        if name.endswith("_local_only"):
            continue
        shown = show_setting(session, call, facts, name)
        if not shown["is_set"]:
            shown["value"] = facts.host if name == "smtp_hostname" else setting.unset
        settings[name] = shown
    if not facts.in_force.message_retention_days and isinstance(settings["message_retention"], dict):
        settings["message_retention"]["value"] = f"{facts.retention_days}d"
    return settings | write_effective_sizes(facts)


def read_federation(session: Session, call: Call) -> FederationInForce:
    """Read with whom mail is exchanged; at a TURN node, what holds for the fleet."""
    node = None if call.kind is NodeKind.TURN else call.node
    return describe_federation(session, node=node).in_force


def write_federation_policy(in_force: FederationInForce) -> dict[str, JsonValue]:
    """Write whether mail is exchanged, and what holds for a domain without a rule."""
    return {"enabled": in_force.is_enabled, "policy": in_force.mode.upper()}


def write_effective_sizes(facts: service.Facts) -> dict[str, JsonValue]:
    """Write how large a message may be, of own users and of others alike."""
    size_bytes = facts.in_force.message_bytes
    size = format_exact_size(size_bytes)
    return {
        "message_size_effective": size,
        "message_size_effective_bytes": size_bytes,
        "federation_size_effective": size,
        "federation_size_effective_bytes": size_bytes,
    }


def write_retention(facts: service.Facts) -> dict[str, JsonValue]:
    """Write for how long messages stay, as the dashboard shows it."""
    return {
        "enabled": bool(facts.in_force.message_retention_days),
        "days": facts.retention_days,
        "retention": f"{facts.retention_days}d",
    }


def write_push(facts: service.Facts, nodes: Sequence[NodePublic]) -> dict[str, JsonValue]:
    """Write how notifications go, by the policy and the last reports of these nodes."""
    mode = read_mode(facts.in_force)
    found = add_up_push(mode, [node.report for node in nodes if node.report is not None])
    return {
        "enabled": mode is not PushMode.OFF and found.has_proxy and not found.is_pausing,
        "mode": mode,
        "successful_notifications": found.successes,
        "consecutive_failures": found.failures_in_a_row,
        "auto_disable_after": PUSH_FAILURES_BEFORE_PAUSE,
    }
