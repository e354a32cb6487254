"""What admins say of a node: what it is called, how much it gets, whether it drains, in which group it is.

For: endpoints and commands.
Not for: becoming and ceasing to be a node (enrolment.py), nor for policy.
"""

import structlog
from pydantic import JsonValue
from sqlmodel import Session

from controlplane.admins.audit import Author, record_difference
from controlplane.admins.audit_models import Action
from controlplane.errors import WrongKindError
from controlplane.nodes.desired import renew_revisions, renew_turn_service
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.group_models import GroupMember
from controlplane.nodes.groups import find_group_name, read_group
from controlplane.nodes.models import Node, NodeChange, NodeMove
from controlplane.nodes.states import FleetFacts
from nodelink.contract.states import NodeKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def change_node(session: Session, facts: FleetFacts, author: Author, name: str, change: NodeChange) -> Node:
    """Change what admins say of a node.

    Raises:
        UnknownNodeError: There is no node of this name.
        WrongKindError: It is no mail node, and only those have a weight.
    """
    begin_change(session)
    node = read_node(session, name)
    if change.weight is not None and node.kind != NodeKind.MAIL:
        raise WrongKindError(node=name)
    before = _describe(node)
    for field in change.model_fields_set:
        setattr(node, field, getattr(change, field))
    session.add(node)
    session.flush()
    if not renew_turn_service(session, facts, author.now_seconds):
        renew_revisions(session, facts)
    session.refresh(node)
    record_difference(session, author, Action.NODE_CHANGE, name, (before, _describe(node)))
    log.info("node changed", node=name, fields=sorted(change.model_fields_set))
    return node


def move_node(session: Session, facts: FleetFacts, author: Author, name: str, move: NodeMove) -> Node:
    """Put a node into a group, or out of any; what holds in the group holds on it at once.

    Raises:
        UnknownNodeError: There is no node of this name.
        UnknownGroupError: There is no group of this name.
    """
    begin_change(session)
    node = read_node(session, name)
    before = find_group_name(session, name)
    member = session.get(GroupMember, name)
    if move.group is not None:
        read_group(session, move.group)
        session.merge(GroupMember.model_validate({"node_name": name, "group_name": move.group}))
    elif member is not None:
        session.delete(member)
    session.flush()
    if not renew_turn_service(session, facts, author.now_seconds):
        renew_revisions(session, facts)
    record_difference(session, author, Action.NODE_MOVE, name, ({"group": before}, {"group": move.group}))
    log.info("node moved", node=name, group=move.group)
    return node


def _describe(node: Node) -> dict[str, JsonValue]:
    return {"label": node.label, "weight": node.weight, "is_draining": node.is_draining}
