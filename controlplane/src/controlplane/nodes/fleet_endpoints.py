"""The fleet itself over HTTP: what it is called, and where it is.

Not for: its policy (policy/endpoints.py).
"""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from controlplane.admins.callers import AnyViewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.nodes.turn_pools import read_choices

router = APIRouter(tags=["fleet"])


class FleetPublic(BaseModel):
    """What the fleet is called, and where it is."""

    name: str = Field(description="What people call it.")
    url: str = Field(description="Address of the control plane, as nodes and admins know it.")
    turn: str | None = Field(
        description="Host and port of the fleet's TURN pool, as mail nodes name them; null without one."
    )


@router.get("/fleet")
def show_fleet(_: AnyViewer, session: SessionDep, plane: PlaneDep) -> FleetPublic:
    """Show what the fleet is called, and where it is."""
    usual = read_choices(session)[None].usual
    turn = f"{usual.host}:{usual.port}" if usual else None
    return FleetPublic(name=plane.settings.fleet_name, url=plane.settings.public_url, turn=turn)
