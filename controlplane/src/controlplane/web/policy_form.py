"""What a form of a policy shows, and reads.

For: the fleet, a group and a node alike.
Not for: which word counts (policy/inheritance.py).
"""

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from controlplane.policy import service
from controlplane.policy.models import (
    SECONDS_PER_DAY,
    FleetPolicyPublic,
    GroupPolicyPublic,
    NodePolicyPublic,
    PolicyValues,
)
from controlplane.web.errors import BadFormError
from controlplane.web.forms import Form

Kind = Literal["switch", "size", "days", "lifetime", "count", "port"]

FIELDS: dict[str, Kind] = {
    "registration_open": "switch",
    "jit_enabled": "switch",
    "registration_token_required": "switch",
    "app_accounts_enabled": "switch",
    "backup_addresses": "count",
    "quota_bytes": "size",
    "message_bytes": "size",
    "message_retention_days": "days",
    "unused_account_days": "days",
    "large_message_retention_days": "days",
    "auto_trim": "switch",
    "turn_enabled": "switch",
    "push_enabled": "switch",
    "push_pauses": "switch",
    "turn_announced_port": "port",
}
FLEET_FIELDS: dict[str, Kind] = {
    "turn_lifetime_seconds": "lifetime",
    "turn_allocations_per_credential": "count",
    "turn_allocations": "count",
}


@dataclass(frozen=True, slots=True)
class PolicyField:
    """One line of a form.

    Attributes:
        name: Of the field in policy/models.py.
        kind: How it is shown and read.
        own: What is said here; `None` where nothing is.
        inherited: What holds if nothing is said here; `None` for the fleet, which says everything.
        source: Who says what is in force: `here`, `group` or `fleet`.
        is_ruled_by_node: Whether the node's own admin says otherwise.
    """

    name: str
    kind: Kind
    own: int | None
    inherited: int | None
    source: Literal["here", "group", "fleet"]
    is_ruled_by_node: bool = False

    @property
    def in_force(self) -> int:
        """What holds."""
        return self.own if self.own is not None else self.inherited or 0


def list_fleet_fields(policy: FleetPolicyPublic, names: dict[str, Kind]) -> list[PolicyField]:
    """List the lines of the fleet's form."""
    return [PolicyField(name, kind, getattr(policy, name), None, "here") for name, kind in names.items()]


def list_group_fields(session: Session, policy: GroupPolicyPublic) -> list[PolicyField]:
    """List the lines of a group's form."""
    fleet = service.read_fleet_policy(session)
    fields = []
    for name, kind in FIELDS.items():
        own = getattr(policy.overrides, name)
        fields.append(PolicyField(name, kind, own, getattr(fleet, name), "fleet" if own is None else "here"))
    return fields


def list_node_fields(
    session: Session, policy: NodePolicyPublic, ruled_by_node: tuple[str, ...]
) -> list[PolicyField]:
    """List the lines of a node's form."""
    fleet = service.read_fleet_policy(session)
    base: PolicyValues = PolicyValues.model_validate(fleet)
    group = None
    if policy.group_name is not None:
        group = service.describe_group_policy(session, service.read_group_policy(session, policy.group_name))
        base = group.in_force
    fields = []
    for name, kind in FIELDS.items():
        own = getattr(policy.overrides, name)
        is_of_group = group is not None and getattr(group.overrides, name) is not None
        source: Literal["here", "group", "fleet"] = "group" if is_of_group else "fleet"
        if own is not None:
            source = "here"
        fields.append(
            PolicyField(name, kind, own, getattr(base, name), source, is_ruled_by_node=name in ruled_by_node)
        )
    return fields


def read_policy(form: Form, *, follows: bool) -> dict[str, object]:
    """Read the fields that came. An empty one follows, where that can be.

    Raises:
        BadFormError: A field is empty and there is nothing to follow.
    """
    values: dict[str, object] = {}
    for name, kind in (FIELDS | ({} if follows else FLEET_FIELDS)).items():
        if name not in form:
            continue
        value = _read_field(form, name, kind)
        if value is None and not follows:
            raise BadFormError(name)
        values[name] = value
    return values


def _read_field(form: Form, name: str, kind: Kind) -> object:
    match kind:
        case "switch":
            return form.switch(name)
        case "size":
            return form.size(name)
        case "lifetime":
            days = form.number(name)
            return days * SECONDS_PER_DAY if isinstance(days, int) else days
        case _:
            return form.number(name)
