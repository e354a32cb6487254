"""The rules of policy.

For: every caller alike: the REST endpoints, the pages, the command line.
Not for: HTTP, who may call, or commits; whoever lends the session commits it. Nor for what an operator has
seen before he decided: whoever lends the session has compared that, after `begin_change`.
"""

import structlog
from pydantic import JsonValue
from sqlmodel import Session, select

from controlplane.admins.audit import Author, record_difference
from controlplane.admins.audit_models import Action
from controlplane.errors import WrongKindError
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.groups import find_group_name, read_group
from controlplane.nodes.models import Node
from controlplane.nodes.port_errors import TurnPortSilentError
from controlplane.nodes.reports import find_turn_candidates
from controlplane.nodes.states import FleetFacts
from controlplane.nodes.turn_access import choose_for_pools
from controlplane.policy.inheritance import inherit
from controlplane.policy.models import (
    FleetPolicy,
    FleetPolicyChange,
    FleetPolicyPublic,
    GroupPolicy,
    GroupPolicyPublic,
    NodePolicy,
    NodePolicyPublic,
    OverridesChange,
    OverridesPublic,
    PolicyValues,
)
from nodelink.contract.states import NodeKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def read_fleet_policy(session: Session) -> FleetPolicy:
    """Read what holds where a node does not differ."""
    return session.exec(select(FleetPolicy)).one()


def change_fleet_policy(
    session: Session, facts: FleetFacts, author: Author, change: FleetPolicyChange
) -> FleetPolicy:
    """Put a change in force on every node that does not differ; what changes nothing keeps the revision.

    Raises:
        TurnPortSilentError: It names a port at which no TURN node takes clients.
    """
    begin_change(session)
    policy = read_fleet_policy(session)
    if values := _apply(session, facts, policy, change):
        record_difference(session, author, Action.FLEET_POLICY_CHANGE, "", values)
        renew_revisions(session, facts)
        log.info("fleet policy changed", revision=policy.revision, **values[1])
    return policy


def read_node_policy(session: Session, name: str) -> NodePolicy:
    """Read in what a mail node differs.

    Raises:
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
    """
    node: Node = read_node(session, name)
    policy = session.get(NodePolicy, name)
    if node.kind != NodeKind.MAIL or policy is None:
        raise WrongKindError(node=name)
    return policy


def change_node_policy(
    session: Session, facts: FleetFacts, author: Author, name: str, change: OverridesChange
) -> NodePolicy:
    """Put a change in force on one node.

    Raises:
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
        TurnPortSilentError: It names a port at which no TURN node takes clients.
    """
    begin_change(session)
    policy = read_node_policy(session, name)
    if values := _apply(session, facts, policy, change):
        record_difference(session, author, Action.NODE_POLICY_CHANGE, name, values)
        renew_revisions(session, facts)
        log.info("node policy changed", node=name, revision=policy.revision, **values[1])
    return policy


def describe_node_policy(session: Session, policy: NodePolicy) -> NodePolicyPublic:
    """Describe a node's policy together with what follows from it."""
    group_name = find_group_name(session, policy.node_name)
    group = None if group_name is None else session.get(GroupPolicy, group_name)
    base = PolicyValues.model_validate(read_fleet_policy(session))
    return NodePolicyPublic(
        node_name=policy.node_name,
        group_name=group_name,
        revision=policy.revision,
        overrides=OverridesPublic.model_validate(policy),
        in_force=inherit(base, [*([group] if group else []), policy]),
    )


def describe_fleet_policy(session: Session) -> FleetPolicyPublic:
    """Describe what holds where a node does not differ."""
    return FleetPolicyPublic.model_validate(read_fleet_policy(session))


def read_group_policy(session: Session, name: str) -> GroupPolicy:
    """Read in what a group differs. It differs in nothing until somebody says so.

    Raises:
        UnknownGroupError: There is no group of this name.
    """
    read_group(session, name)
    policy = session.get(GroupPolicy, name)
    return policy or GroupPolicy.model_validate({"group_name": name, "revision": 1})


def change_group_policy(
    session: Session, facts: FleetFacts, author: Author, name: str, change: OverridesChange
) -> GroupPolicy:
    """Put a change in force on every node of a group that does not differ.

    Raises:
        UnknownGroupError: There is no group of this name.
        TurnPortSilentError: It names a port at which no TURN node takes clients.
    """
    begin_change(session)
    policy = read_group_policy(session, name)
    if values := _apply(session, facts, policy, change):
        session.add(policy)
        record_difference(session, author, Action.GROUP_POLICY_CHANGE, name, values)
        renew_revisions(session, facts)
        log.info("group policy changed", group=name, revision=policy.revision, **values[1])
    return policy


def describe_group_policy(session: Session, policy: GroupPolicy) -> GroupPolicyPublic:
    """Describe a group's policy together with what follows from it."""
    base = PolicyValues.model_validate(read_fleet_policy(session))
    return GroupPolicyPublic(
        group_name=policy.group_name,
        revision=policy.revision,
        overrides=OverridesPublic.model_validate(policy),
        in_force=inherit(base, [policy]),
    )


def keep_retention_days(session: Session, author: Author, node: str | None, days: int | None) -> None:
    """Keep for how long messages stay when retention is switched on again; of a node, or of the fleet.

    `None` makes a node take the fleet's days then. Raises: UnknownNodeError, WrongKindError.
    """
    begin_change(session)
    policy = read_fleet_policy(session) if node is None else read_node_policy(session, node)
    name = "retention_days_when_on"
    before, after = {name: getattr(policy, name)}, {name: days}
    setattr(policy, name, days)
    session.add(policy)
    action = Action.FLEET_POLICY_CHANGE if node is None else Action.NODE_POLICY_CHANGE
    record_difference(session, author, action, node or "", (before, after))


Values = dict[str, JsonValue]


def _apply(
    session: Session,
    facts: FleetFacts,
    policy: FleetPolicy | NodePolicy | GroupPolicy,
    change: OverridesChange,
) -> tuple[Values, Values] | None:
    """Write into a policy what a request names, `None` included; return what was and is, `None` if the same.

    The caller has begun a change, so nobody else writes. Raises: TurnPortSilentError.
    """
    after: Values = change.model_dump(include=change.model_fields_set)
    before: Values = {name: getattr(policy, name) for name in after}
    if before == after:
        return None
    if after.get("turn_announced_port") != before.get("turn_announced_port"):
        _check_announced_port(session, facts, change.turn_announced_port)
    for name, value in after.items():
        setattr(policy, name, value)
    policy.revision += 1
    return before, after


def _check_announced_port(session: Session, facts: FleetFacts, port: int | None) -> None:
    """See that TURN is to be had where apps are to be sent; a node that is away counts, for it comes back."""
    candidates = find_turn_candidates(session, now_seconds=0)
    choices = choose_for_pools(candidates, facts.named_turn, {})
    if port and not any(port in choice.offers for choice in choices.values()):
        raise TurnPortSilentError(port=port)
