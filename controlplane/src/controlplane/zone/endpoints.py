"""The fleet's DNS records over HTTP.

Not for: rules (records.py), nor for asking name servers.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from controlplane.admins.callers import FleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.zone.models import ZonePublic
from controlplane.zone.service import describe_zone

router = APIRouter(prefix="/dns", tags=["dns"])

Authority = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        description="Who alone may issue certificates (CAA), such as letsencrypt.org, or `none` for no word; "
        "left out, it is for each mail node whoever has issued its certificate.",
    ),
]


@router.get("")
def show_zone(
    _: FleetViewer, session: SessionDep, plane: PlaneDep, now: Now, certificate_authority: Authority = None
) -> ZonePublic:
    """Show what the DNS must say of the fleet, by what its nodes report; as records and as a zone file."""
    return describe_zone(session, plane.facts.turn_name, now, certificate_authority)
