"""The rules of policy.

For: every caller alike: the REST endpoints, the pages, the command line.
Not for: HTTP, who may call, or commits; whoever lends the session commits it.
"""

import structlog
from sqlmodel import Session, col, select, update

from controlplane.errors import StaleRevisionError, WrongKindError
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import Node
from controlplane.nodes.states import FleetFacts
from controlplane.policy.inheritance import inherit
from controlplane.policy.models import (
    FleetPolicy,
    FleetPolicyChange,
    NodePolicy,
    NodePolicyChange,
    NodePolicyPublic,
    Overrides,
    OverridesPublic,
    PolicyValues,
)
from nodelink.contract.states import NodeKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def read_fleet_policy(session: Session) -> FleetPolicy:
    """Read what holds where a node does not differ."""
    return session.exec(select(FleetPolicy)).one()


def change_fleet_policy(session: Session, facts: FleetFacts, change: FleetPolicyChange) -> FleetPolicy:
    """Put a change in force on every node that does not differ.

    Values that are in force already keep their revision.

    Raises:
        StaleRevisionError: The policy has changed since the operator looked.
    """
    begin_change(session)
    values = _changed(change)
    # One statement compares and sets, so that two operators cannot both find the same revision.
    statement = (
        update(FleetPolicy)
        .where(col(FleetPolicy.revision) == change.revision)
        .values(**values, revision=change.revision + 1)
    )
    before = read_fleet_policy(session)
    is_same = before.revision == change.revision and all(
        getattr(before, name) == value for name, value in values.items()
    )
    if not is_same and session.exec(statement).rowcount != 1:
        raise StaleRevisionError(seen=change.revision)
    session.refresh(before)
    renew_revisions(session, facts)
    log.info("fleet policy changed", revision=before.revision, **values)
    return before


def read_node_policy(session: Session, name: str) -> NodePolicy:
    """Read in what a mail node differs from the fleet.

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
    session: Session, facts: FleetFacts, name: str, change: NodePolicyChange
) -> NodePolicy:
    """Put a change in force on one node.

    Raises:
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node.
        StaleRevisionError: The node's policy has changed since the operator looked.
    """
    begin_change(session)
    policy = read_node_policy(session, name)
    values = _changed(change)
    is_same = policy.revision == change.revision and all(
        getattr(policy, field) == value for field, value in values.items()
    )
    statement = (
        update(NodePolicy)
        .where(col(NodePolicy.node_name) == name, col(NodePolicy.revision) == change.revision)
        .values(**values, revision=change.revision + 1)
    )
    if not is_same and session.exec(statement).rowcount != 1:
        raise StaleRevisionError(node=name, seen=change.revision)
    session.refresh(policy)
    renew_revisions(session, facts)
    log.info("node policy changed", node=name, revision=policy.revision, **values)
    return policy


def describe_node_policy(session: Session, policy: NodePolicy) -> NodePolicyPublic:
    """Describe a node's policy together with what follows from it."""
    base = PolicyValues.model_validate(read_fleet_policy(session))
    return NodePolicyPublic(
        node_name=policy.node_name,
        revision=policy.revision,
        overrides=OverridesPublic.model_validate(policy),
        in_force=inherit(base, [policy]),
    )


def _changed(change: Overrides) -> dict[str, object]:
    """Find what a request changes: what it names, `None` included."""
    return change.model_dump(include=change.model_fields_set - {"revision"})
