"""The fleet's TURN service: where it is, whose addresses it has, its secrets and the replacing of them.

Not for: rules (nodes/turn_secrets.py), nor for limits, which stand with the fleet's policy.
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins.callers import PageFleetOperator, PageFleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.nodes.desired import rotate_turn_secret
from controlplane.nodes.reports import find_zone_candidates
from controlplane.nodes.turn_secrets import describe_turn
from controlplane.nodes.turn_usage import list_credential_uses
from controlplane.nodes.turn_zone import decide_zone
from controlplane.web.forms import OwnFormDep
from controlplane.web.links import write_page
from controlplane.web.pages import go_to, render
from controlplane.web.texts.notices import Notice

SHOWN_USES = 20

router = APIRouter(include_in_schema=False)


@router.get("/admin/turn")
def show_turn(
    request: Request, _: PageFleetViewer, session: SessionDep, plane: PlaneDep, now: Now
) -> Response:
    """Show what mail nodes hand out, how far a rotation is, and who uses it most."""
    uses = list_credential_uses(session)
    values = {
        "turn": describe_turn(session, now),
        "zone": decide_zone(plane.facts.turn_name, find_zone_candidates(session, now)),
        "uses": uses[:SHOWN_USES],
    }
    return render(request, "turn.html", values)


@router.post("/admin/turn/secrets")
def rotate_secret(
    caller: PageFleetOperator, session: SessionDep, plane: PlaneDep, now: Now, _: OwnFormDep
) -> Response:
    """Replace the secret; while two are live, that is refused on the page."""
    rotate_turn_secret(session, plane.facts, caller.at(now))
    return go_to(write_page("turn"), Notice.SECRET_ANNOUNCED)
