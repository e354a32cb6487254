"""The fleet's TURN service over HTTP.

Not for: rules (turn_secrets.py), nor for commits (dependencies.py).
"""

from fastapi import APIRouter

from controlplane.admins.callers import FleetOperator, FleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import TurnSecretsInUseError
from controlplane.nodes.desired import rotate_turn_secret
from controlplane.nodes.turn_models import TurnPublic
from controlplane.nodes.turn_secrets import describe_turn
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.refusals import refuses

router = APIRouter(prefix="/turn", tags=["turn"], route_class=IdempotentRoute)


@router.get("")
def show_turn(_: FleetViewer, session: SessionDep, now: Now) -> TurnPublic:
    """Show where TURN is to be had, and how far a rotation of its secret is."""
    return describe_turn(session, now)


@router.post("/secrets", status_code=201)
@refuses(TurnSecretsInUseError)
def rotate_secret(
    caller: FleetOperator, _: Once, session: SessionDep, plane: PlaneDep, now: Now
) -> TurnPublic:
    """Replace the secret behind TURN credentials. Those handed out are taken until they end."""
    rotate_turn_secret(session, plane.facts, caller.at(now))
    return describe_turn(session, now)
