"""The fleet itself over HTTP: what it is called, and where it is.

Not for: its policy (policy/endpoints.py).
"""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from controlplane.admins.callers import AnyViewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.nodes.fleet import read_fleet

router = APIRouter(tags=["fleet"])


class FleetPublic(BaseModel):
    """What the fleet is called, and where it is."""

    name: str = Field(description="What people call it.")
    url: str = Field(description="Address of the control plane, as nodes and admins know it.")
    turn: str | None = Field(
        description="Host and port that mail nodes name to apps; null without TURN nodes."
    )


@router.get("/fleet")
def show_fleet(_: AnyViewer, session: SessionDep, plane: PlaneDep) -> FleetPublic:
    """Show what the fleet is called, and where it is."""
    fleet = read_fleet(session)
    turn = f"{fleet.turn_host}:{fleet.turn_port}" if fleet.turn_host else None
    return FleetPublic(name=plane.settings.fleet_name, url=plane.settings.public_url, turn=turn)
