"""The fleet's TURN service over HTTP.

Not for: rules (turn_secrets.py), nor for commits (dependencies.py).
"""

from fastapi import APIRouter

from controlplane.admins.callers import FleetOperator, FleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import TurnSecretsInUseError
from controlplane.nodes.desired import rotate_turn_secret
from controlplane.nodes.reports import find_zone_candidates
from controlplane.nodes.turn_models import TurnPublic
from controlplane.nodes.turn_secrets import describe_turn
from controlplane.nodes.turn_usage import CredentialUsePublic, list_credential_uses
from controlplane.nodes.turn_zone import TurnZonePublic, decide_zone
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.refusals import refuses

router = APIRouter(prefix="/turn", tags=["turn"], route_class=IdempotentRoute)


@router.get("")
def show_turn(_: FleetViewer, session: SessionDep, now: Now) -> TurnPublic:
    """Show where TURN is to be had, and how far a rotation of its secret is."""
    return describe_turn(session, now)


@router.get("/zone")
def show_zone(_: FleetViewer, session: SessionDep, plane: PlaneDep, now: Now) -> TurnZonePublic:
    """Show which addresses the fleet's TURN name should have now: of the nodes that live and do not drain."""
    return decide_zone(plane.facts.turn_name, find_zone_candidates(session, now))


@router.get("/usage")
def show_usage(_: FleetViewer, session: SessionDep) -> list[CredentialUsePublic]:
    """Show which credentials used the fleet's TURN nodes most, by pseudonym, the largest first."""
    return list_credential_uses(session)


@router.post("/secrets", status_code=201)
@refuses(TurnSecretsInUseError)
def rotate_secret(
    caller: FleetOperator, _: Once, session: SessionDep, plane: PlaneDep, now: Now
) -> TurnPublic:
    """Replace the secret behind TURN credentials. Those handed out are taken until they end."""
    rotate_turn_secret(session, plane.facts, caller.at(now))
    return describe_turn(session, now)
