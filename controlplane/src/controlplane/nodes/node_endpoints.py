"""What nodes themselves call: to be enrolled, and to open their channel.

For: addresses that are part of the contract with nodes, wherever the Admin API is.
Not for: rules (enrolment.py, door.py), nor for admins (endpoints.py).
"""

from fastapi import APIRouter, Request, WebSocket

from controlplane.admins.callers import refuse_wrong_secret
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import (
    ControlPlaneError,
    FleetFullError,
    JoinRefusedError,
    KeyInUseError,
    NodeExistsError,
    NotSignedInError,
    TooManyAttemptsError,
)
from controlplane.http_errors import build_problem
from controlplane.nodes import enrolment
from controlplane.nodes.door import Door
from controlplane.nodes.hub import ChannelHub
from controlplane.nodes.invitation import describe_enrolment
from controlplane.rest.refusals import refuses
from controlplane.settings import API_PATH
from nodelink.contract.enrolment import Enrolment, JoinRequest
from nodelink.daemon.complaints import Complaints

router = APIRouter(prefix=API_PATH, tags=["enrolment"])

MAX_NAME_CHARACTERS = 63
"""More of what somebody claims to be called is not logged."""


@router.post("/enrolments", status_code=201)
@refuses(JoinRefusedError, TooManyAttemptsError, NodeExistsError, KeyInUseError, FleetFullError)
def enrol(request: Request, session: SessionDep, plane: PlaneDep, now: Now, join: JoinRequest) -> Enrolment:
    """Take in a node that has a join token; whoever has one may call this."""
    try:
        node = enrolment.redeem_ticket(session, plane.vault, plane.facts, join, now)
    except JoinRefusedError as refusal:
        refuse_wrong_secret(request, refusal)
    return describe_enrolment(plane, node)


@router.websocket("/channel")
async def open_channel(websocket: WebSocket) -> None:
    """Speak with a node, which shows who it is by an assertion; no token of an admin opens a channel."""
    door: Door = websocket.app.state.door
    hub: ChannelHub = websocket.app.state.hub
    complaints: Complaints = websocket.app.state.complaints
    claim: dict[str, object] = {}
    try:
        assertion, node = door.read_claim(websocket.headers.get("authorization", ""))
        claim = {"node": node[:MAX_NAME_CHARACTERS]}
        public_key = await hub.work.keys.join(node)
        if public_key is None:
            raise NotSignedInError(problem="no node of this name is enrolled; it never was, or it is retired")
        door.admit(assertion, public_key)
    except ControlPlaneError as refusal:
        complaints.warning("channel refused", **claim | refusal.private)
        await websocket.send_denial_response(build_problem(refusal))
        return
    await websocket.accept()
    await hub.serve(websocket, node, public_key)
