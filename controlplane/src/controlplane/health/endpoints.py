"""How the fleet is, over HTTP.

Not for: rules (samples.py, metrics.py).
"""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from controlplane.admins.callers import AnyViewer, FleetViewer, NodeViewer
from controlplane.dependencies import HubDep, Now, SessionDep
from controlplane.errors import UnknownNodeError
from controlplane.health import samples
from controlplane.health.probes import ProbePublic, list_probes
from controlplane.health.sample_models import HistoryPublic
from controlplane.nodes.enrolment import read_node
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses

PROBES = "probes"

router = APIRouter(tags=["health"])

Minutes = Annotated[int, Query(ge=1, le=samples.KEPT_MINUTES, description="How many minutes back.")]


@router.get("/history")
def show_history(
    _: FleetViewer, session: SessionDep, now: Now, minutes: Minutes = samples.KEPT_MINUTES
) -> HistoryPublic:
    """Show the fleet's last hours, minute by minute."""
    return samples.read_fleet_history(session, minutes, now)


@router.get("/nodes/{name}/history")
@refuses(UnknownNodeError)
def show_node_history(
    _: NodeViewer, session: SessionDep, now: Now, name: str, minutes: Minutes = samples.KEPT_MINUTES
) -> HistoryPublic:
    """Show a node's last hours, minute by minute."""
    return samples.read_node_history(session, read_node(session, name), minutes, now)


@router.get("/metrics", response_class=PlainTextResponse)
def show_metrics(_: FleetViewer, hub: HubDep) -> PlainTextResponse:
    """Show the fleet's metrics as Prometheus reads them; the same as at the metrics port."""
    return PlainTextResponse(generate_latest(hub.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/probes")
def list_all_probes(
    caller: AnyViewer, session: SessionDep, now: Now, page: PageDep, *, failing: bool = False
) -> Page[ProbePublic]:
    """List what came of the last probes between nodes, as far as the token's scope reaches."""
    after, limit = page.read_text(PROBES), page.limit + 1
    probes = list_probes(session, caller.scope, now, after, limit, is_failing_only=failing)
    return page.cut(PROBES, probes, lambda probe: probe.key)
