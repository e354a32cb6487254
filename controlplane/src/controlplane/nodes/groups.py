"""Groups of nodes: what they are called, and which node is in which. A node is in at most one.

For: services and endpoints.
Not for: what holds in a group (policy/), nor who may call.
"""

from collections.abc import Sequence

import structlog
from sqlmodel import Session, col, delete, func, select

from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.audit import Author, record, record_difference
from controlplane.admins.audit_models import Action
from controlplane.admins.tokens import revoke_scope
from controlplane.errors import GroupExistsError, GroupInUseError, UnknownGroupError
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.group_models import GroupChange, GroupMember, GroupPublic, GroupRequest, NodeGroup
from controlplane.policy.models import GroupPolicy

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def create_group(session: Session, author: Author, request: GroupRequest) -> NodeGroup:
    """Make a group, with no node in it yet.

    Raises:
        GroupExistsError: There is a group of this name.
    """
    begin_change(session)
    if session.get(NodeGroup, request.name) is not None:
        raise GroupExistsError(group=request.name)
    group = NodeGroup.model_validate(request)
    session.add(group)
    session.flush()
    record(session, author, Action.GROUP_CREATE, group.name, after={"label": group.label})
    log.info("group created", group=group.name)
    return group


def read_group(session: Session, name: str) -> NodeGroup:
    """Look a group up.

    Raises:
        UnknownGroupError: There is no group of this name.
    """
    group = None if "\0" in name else session.get(NodeGroup, name)
    if group is None:
        raise UnknownGroupError(group=name)
    return group


def change_group(session: Session, author: Author, name: str, change: GroupChange) -> NodeGroup:
    """Change what a group is called for people.

    Raises:
        UnknownGroupError: There is no group of this name.
    """
    begin_change(session)
    group = read_group(session, name)
    before = {"label": group.label}
    group.label = change.label
    session.add(group)
    record_difference(session, author, Action.GROUP_CHANGE, name, (before, {"label": group.label}))
    return group


def remove_group(session: Session, author: Author, name: str) -> None:
    """Remove a group that no node is in; tokens of it are revoked.

    Raises:
        UnknownGroupError: There is no group of this name.
        GroupInUseError: Nodes are in it.
    """
    begin_change(session)
    group = read_group(session, name)
    if count_members(session, name):
        raise GroupInUseError(group=name)
    revoke_scope(session, author, Scope(ScopeKind.GROUP, name))
    session.exec(delete(GroupPolicy).where(col(GroupPolicy.group_name) == name))
    session.delete(group)
    record(session, author, Action.GROUP_REMOVE, name, before={"label": group.label})
    log.info("group removed", group=name)


def page_groups(session: Session, scope: Scope, after: str, limit: int) -> Sequence[NodeGroup]:
    """List groups by name, as far as a scope reaches."""
    statement = (
        select(NodeGroup).where(col(NodeGroup.name) > after).order_by(col(NodeGroup.name)).limit(limit)
    )
    match scope.kind:
        case ScopeKind.GROUP:
            statement = statement.where(col(NodeGroup.name) == scope.name)
        case ScopeKind.NODE:
            statement = statement.where(
                col(NodeGroup.name).in_(
                    select(GroupMember.group_name).where(col(GroupMember.node_name) == scope.name)
                )
            )
        case ScopeKind.FLEET:
            pass
    return session.exec(statement).all()


def describe_group(session: Session, group: NodeGroup) -> GroupPublic:
    """Describe a group and how many nodes are in it."""
    return GroupPublic(name=group.name, label=group.label, nodes=count_members(session, group.name))


def count_members(session: Session, name: str) -> int:
    """Count the nodes in a group."""
    statement = select(func.count()).select_from(GroupMember).where(col(GroupMember.group_name) == name)
    return session.exec(statement).one()


def find_group_name(session: Session, node: str) -> str | None:
    """Find the group that a node is in; `None` for none, or for no node."""
    member = None if "\0" in node else session.get(GroupMember, node)
    return None if member is None else member.group_name


def read_group_names(session: Session) -> dict[str, str]:
    """Read which node is in which group."""
    return {member.node_name: member.group_name for member in session.exec(select(GroupMember))}
