"""Decide who may call what: a role, and how far it reaches.

             fleet token    group token            node token
    FLEET    yes            no                     no
    GROUP    yes            of that group          no
    NODE     yes            if the node is in it   of that node
    ANY      yes            yes                    yes            the answer holds what is in the scope

For: pure functions; callers.py finds out who calls.
Not for: which endpoint asks for what. That stands in the signature of each, and in the OpenAPI document.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Role(StrEnum):
    """What somebody is trusted with."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"


class ScopeKind(StrEnum):
    """Of how much."""

    FLEET = "fleet"
    GROUP = "group"
    NODE = "node"


class Reach(StrEnum):
    """How far a scope must reach for a call."""

    FLEET = "fleet"
    GROUP = "group"
    NODE = "node"
    ANY = "any"


RANKS = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.OWNER: 2}


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the fleet. `name` is that of the group or node, and `None` for the whole fleet."""

    kind: ScopeKind
    name: str | None


WHOLE_FLEET = Scope(ScopeKind.FLEET, None)


@dataclass(frozen=True, slots=True)
class Place:
    """What a call is about: a node and the group that it is in, or a group; `None` where neither is named."""

    node: str | None = None
    group: str | None = None


def is_trusted(role: Role, needed: Role) -> bool:
    """Tell whether a role includes another one."""
    return RANKS[role] >= RANKS[needed]


def is_reached(scope: Scope, reach: Reach, place: Place) -> bool:
    """Tell whether a scope reaches a place."""
    if scope.kind is ScopeKind.FLEET:
        return True
    match reach:
        case Reach.FLEET:
            return False
        case Reach.GROUP:
            return scope.kind is ScopeKind.GROUP and place.group == scope.name
        case Reach.NODE:
            return (place.node if scope.kind is ScopeKind.NODE else place.group) == scope.name
        case Reach.ANY:
            return True
        case _:
            assert_never(reach)
