"""See that what a token is to be for is there.

Not for: deciding what a scope reaches (admins/access.py).
"""

from typing import assert_never

from sqlmodel import Session

from controlplane.admins.access import Place, Reach, Scope, ScopeKind, is_reached
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.groups import find_group_name, read_group


def check_scope(session: Session, scope: Scope) -> None:
    """See that the group or node of a scope is there. Raises: UnknownGroupError, UnknownNodeError."""
    match scope.kind:
        case ScopeKind.FLEET:
            return
        case ScopeKind.GROUP:
            read_group(session, scope.name or "")
        case ScopeKind.NODE:
            read_node(session, scope.name or "")
        case _:
            assert_never(scope.kind)


def is_node_reached(session: Session, scope: Scope, node: str) -> bool:
    """Tell whether a scope reaches a node."""
    return is_reached(scope, Reach.NODE, Place(node, find_group_name(session, node)))
