"""How the fleet is, over HTTP.

Not for: rules (samples.py, metrics.py).
"""

from typing import Annotated

from fastapi import APIRouter, Query

from controlplane.admins.callers import FleetViewer, NodeViewer
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import UnknownNodeError
from controlplane.health import samples
from controlplane.health.sample_models import HistoryPublic
from controlplane.nodes.enrolment import read_node
from controlplane.rest.refusals import refuses

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
