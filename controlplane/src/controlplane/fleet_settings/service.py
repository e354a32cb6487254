"""Read and change settings and services by name, on the fleet or on one node.

    name ──▶ catalogue: who decides? ──▶ policy   policy/service.py
                                    ├──▶ ports    ports.py
                                    └──▶ Ansible, nobody: refused, with the remedy

For: both Admin APIs. Whoever lends the session commits it.
Not for: rules of its own; what is changed is changed by the services above.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from sqlmodel import Session

from controlplane.admins.audit import Author
from controlplane.fleet_settings import ports
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS, Owner, Service, Setting
from controlplane.fleet_settings.errors import (
    FleetWideError,
    NotOfferedError,
    SetByAnsibleError,
    UnknownSettingError,
)
from controlplane.fleet_settings.push import PROXY_VARIABLE, PushMode, add_up_push, write_mode
from controlplane.fleet_settings.values import (
    read_message_bytes,
    read_port,
    read_retention_days,
    read_turn_lifetime,
    read_turn_secret,
)
from controlplane.nodes.desired import rotate_turn_secret
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import describe_node, list_nodes
from controlplane.nodes.states import FleetFacts
from controlplane.nodes.turn_secrets import open_secrets, read_secrets
from controlplane.policy import service as policy_service
from controlplane.policy.models import FleetPolicyChange, OverridesChange, PolicyValues
from controlplane.policy.quantities import format_exact_size
from nodelink.contract.states import NodeKind

FIRST_POLICY: Mapping[str, int] = {
    "message_bytes": 31_457_280,
    "turn_lifetime_seconds": 5 * 86_400,
    "retention_days_when_on": 30,
}
"""What a new fleet begins with, and what resetting goes back to."""


@dataclass(frozen=True, slots=True)
class Found:
    """A setting as it is: `said` is what is set here, `in_force` what holds; "" where that is nothing."""

    setting: Setting
    said: str
    in_force: str

    @property
    def is_set(self) -> bool:
        """Tell whether somebody has said something here."""
        return bool(self.said)


@dataclass(frozen=True, slots=True)
class Facts:
    """What settings and services are read from, of the fleet or of one node.

    `own` is what is said here by policy's names: on a node its overrides, on the fleet what is not as it
    began.
    """

    in_force: PolicyValues
    own: Mapping[str, int | bool | None]
    retention_days: int
    turn_lifetime_seconds: int
    turn_secret: str = field(repr=False)
    turn_secret_number: int
    host: str


def read_facts(session: Session, facts: FleetFacts, node: str | None) -> Facts:
    """Read what holds on the fleet, or on a node. Raises: UnknownNodeError."""
    fleet = policy_service.read_fleet_policy(session)
    in_force = PolicyValues.model_validate(fleet)
    own: dict[str, int | bool | None] = {
        name: value if (value := getattr(fleet, name)) != first else None
        for name, first in FIRST_POLICY.items()
    }
    retention_days, host = fleet.message_retention_days or fleet.retention_days_when_on, ""
    if retention_days != FIRST_POLICY["retention_days_when_on"]:
        own["retention_days_when_on"] = retention_days
    if node is not None:
        row = read_node(session, node)
        own, report = {}, describe_node(session, row, 0).report
        if row.kind == NodeKind.MAIL:
            policy = policy_service.read_node_policy(session, node)
            in_force = policy_service.describe_node_policy(session, policy).in_force
            own = {
                name: getattr(policy, name) for name in (*PolicyValues.model_fields, "retention_days_when_on")
            }
            retention_days = (
                in_force.message_retention_days or policy.retention_days_when_on or retention_days
            )
            host = report.places.host if report is not None and report.places is not None else ""
    return Facts(
        in_force=in_force,
        own=own,
        retention_days=retention_days,
        turn_lifetime_seconds=fleet.turn_lifetime_seconds,
        turn_secret=open_secrets(session, facts.vault).live[0],
        turn_secret_number=read_secrets(session).newest_first[0][1].number,
        host=host,
    )


def find_setting(name: str) -> Setting:
    """Find a setting by its name. Raises: UnknownSettingError."""
    if name not in SETTINGS:
        raise UnknownSettingError(name=name)
    return SETTINGS[name]


def find_service(name: str) -> Service:
    """Find a service by its name. Raises: UnknownSettingError."""
    if name not in SERVICES:
        raise UnknownSettingError(name=name)
    return SERVICES[name]


def show_setting(session: Session, facts: Facts, node: str | None, setting: Setting) -> Found:
    """Show what a setting is. The TURN secret is in it."""
    if setting.owner is Owner.PORTS:
        port = ports.read_moved_port(session, node, setting)
        return Found(setting, "" if port is None else str(port), "" if port is None else str(port))
    said, in_force = "", setting.unset
    match setting.name:
        case "appendlimit" | "max_message_size":
            in_force = format_exact_size(facts.in_force.message_bytes)
            said = in_force if facts.own.get("message_bytes") is not None else ""
        case "message_retention":
            in_force = f"{facts.retention_days}d"
            is_own = facts.own.get("message_retention_days") or facts.own.get("retention_days_when_on")
            said = in_force if is_own else ""
        case "turn_ttl":
            in_force = str(facts.turn_lifetime_seconds)
            said = in_force if facts.own.get("turn_lifetime_seconds") is not None else ""
        case "turn_secret":
            in_force = facts.turn_secret
            said = in_force if facts.turn_secret_number > 1 else ""
        case "smtp_hostname":
            in_force = facts.host
        case _:
            pass
    return Found(setting, said, in_force)


def change_setting(  # noqa: PLR0913, PLR0917 - what a change is made of
    session: Session, facts: FleetFacts, author: Author, node: str | None, setting: Setting, text: str | None
) -> None:
    """Set something, or with `None` let it be as it was in the beginning, or as the fleet's on a node.

    Raises:
        SetByAnsibleError: It belongs to the hosts.
        NotOfferedError: It is not there.
        FleetWideError: A node cannot differ in it.
        BadValueError: The text is no value of it.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
        WrongPortError: It has no such port.
        ClosedPortError, PortsUnknownError, PortTakenError: See ports.py.
        TurnSecretsInUseError: Two TURN secrets are live already.
    """
    match setting.owner:
        case Owner.ANSIBLE:
            raise SetByAnsibleError(setting.variable or setting.name)
        case Owner.NOBODY:
            raise NotOfferedError(setting.name)
        case Owner.PORTS:
            ports.move_port(session, facts, author, node, setting, None if text is None else read_port(text))
        case Owner.POLICY:
            _change_policy(session, facts, author, node, setting.name, text)
        case _:
            assert_never(setting.owner)


def is_enabled(facts: Facts, service: Service) -> bool:
    """Tell whether a service is on."""
    return service.field is not None and bool(getattr(facts.in_force, service.field))


def switch_service(  # noqa: PLR0913 - what a change is made of
    session: Session, facts: FleetFacts, author: Author, node: str | None, service: Service, *, is_on: bool
) -> None:
    """Switch a service on or off; what is not there can be switched off, which changes nothing.

    Raises:
        NotOfferedError: It is not there.
        SetByAnsibleError: The hosts lack what it needs.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    if service.field is None:
        if is_on:
            raise NotOfferedError(service.name)
    elif service.field == "push_enabled":
        policy = read_facts(session, facts, node).in_force
        mode_when_on = PushMode.AUTO if policy.push_pauses else PushMode.ON
        switch_push(session, facts, author, node, mode_when_on if is_on else PushMode.OFF)
    elif service.field != "message_retention_days":
        _put(session, facts, author, node, {service.field: is_on})
    else:
        now = read_facts(session, facts, node)
        is_already = bool(now.in_force.message_retention_days) is is_on
        if not is_already:
            if not is_on:
                policy_service.keep_retention_days(session, author, node, now.in_force.message_retention_days)
            _put(session, facts, author, node, {service.field: now.retention_days if is_on else 0})


def switch_push(
    session: Session, facts: FleetFacts, author: Author, node: str | None, mode: PushMode
) -> None:
    """Change whether sleeping apps are woken.

    Raises:
        SetByAnsibleError: The nodes know no proxy that could.
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    nodes = [each for each in list_nodes(session, author.now_seconds) if node in {None, each.name}]
    reports = [each.report for each in nodes if each.report is not None]
    if mode is not PushMode.OFF and not add_up_push(mode, reports).has_proxy:
        raise SetByAnsibleError(PROXY_VARIABLE)
    _put(session, facts, author, node, write_mode(mode))


def _change_policy(  # noqa: PLR0913, PLR0917 - what a change is made of
    session: Session, facts: FleetFacts, author: Author, node: str | None, name: str, text: str | None
) -> None:
    match name:
        case "appendlimit" | "max_message_size":
            first_bytes = FIRST_POLICY["message_bytes"] if node is None else None
            size_bytes = first_bytes if text is None else read_message_bytes(text)
            _put(session, facts, author, node, {"message_bytes": size_bytes})
        case "message_retention":
            _change_retention(session, facts, author, node, text)
        case "turn_ttl":
            if node is not None:
                raise FleetWideError
            seconds = FIRST_POLICY["turn_lifetime_seconds"] if text is None else read_turn_lifetime(text)
            _put(session, facts, author, None, {"turn_lifetime_seconds": seconds})
        case "turn_secret":
            if node is not None:
                raise FleetWideError
            rotate_turn_secret(session, facts, author, None if text is None else read_turn_secret(text))
        case _:
            raise UnknownSettingError(name=name)


def _change_retention(
    session: Session, facts: FleetFacts, author: Author, node: str | None, text: str | None
) -> None:
    """Change how long messages stay. While that is off, the days are kept for when it is switched on."""
    is_on = bool(read_facts(session, facts, node).in_force.message_retention_days)
    days = None if text is None else read_retention_days(text)
    if days is None and node is None:
        days = FIRST_POLICY["retention_days_when_on"]
    policy_service.keep_retention_days(session, author, node, days)
    if is_on:
        _put(session, facts, author, node, {"message_retention_days": days})


def _put(
    session: Session,
    facts: FleetFacts,
    author: Author,
    node: str | None,
    values: Mapping[str, int | bool | None],
) -> None:
    if node is None:
        fleet_change = FleetPolicyChange.model_validate(values)
        policy_service.change_fleet_policy(session, facts, author, fleet_change)
    else:
        node_change = OverridesChange.model_validate(values)
        policy_service.change_node_policy(session, facts, author, node, node_change)
