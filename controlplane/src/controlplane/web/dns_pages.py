"""What the DNS must say of the fleet, by what its nodes report.

Not for: which records there are (zone/), nor for asking name servers: `madfleet dns --check` does.
"""

from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins.callers import PageFleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.web.pages import render
from controlplane.zone.service import describe_zone

router = APIRouter(include_in_schema=False)


@router.get("/admin/dns")
def show_dns(
    request: Request, _: PageFleetViewer, session: SessionDep, plane: PlaneDep, now: Now
) -> Response:
    """Show the records, by the domain that they are for, and all of them as a zone file."""
    zone = describe_zone(session, plane.facts.turn_name, now, None)
    domains = [
        (domain, list(records)) for domain, records in groupby(zone.records, key=lambda record: record.domain)
    ]
    return render(request, "dns.html", {"zone": zone, "domains": domains})
