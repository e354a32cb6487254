"""Policy over HTTP.

Not for: rules (service.py), commits (dependencies.py).
"""

from fastapi import APIRouter

from controlplane.admins.callers import Operator, Viewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.policy import service
from controlplane.policy.models import (
    FleetPolicyChange,
    FleetPolicyPublic,
    NodePolicyChange,
    NodePolicyPublic,
)

router = APIRouter(prefix="/api/v1", tags=["policy"])


@router.get("/policy")
def show_fleet_policy(_: Viewer, session: SessionDep) -> FleetPolicyPublic:
    """Show what holds on every node that does not differ."""
    return FleetPolicyPublic.model_validate(service.read_fleet_policy(session))


@router.patch("/policy")
def change_fleet_policy(
    _: Operator, session: SessionDep, plane: PlaneDep, change: FleetPolicyChange
) -> FleetPolicyPublic:
    """Change it: registration, JIT, default quota, sizes. It is in force within two seconds."""
    return FleetPolicyPublic.model_validate(service.change_fleet_policy(session, plane.facts, change))


@router.get("/nodes/{name}/policy")
def show_node_policy(_: Viewer, session: SessionDep, name: str) -> NodePolicyPublic:
    """Show in what a mail node differs from the fleet, and what is in force on it."""
    return service.describe_node_policy(session, service.read_node_policy(session, name))


@router.patch("/nodes/{name}/policy")
def change_node_policy(
    _: Operator, session: SessionDep, plane: PlaneDep, name: str, change: NodePolicyChange
) -> NodePolicyPublic:
    """Make a mail node differ from the fleet; `null` makes it follow again."""
    policy = service.change_node_policy(session, plane.facts, name, change)
    return service.describe_node_policy(session, policy)
