"""Nodes over HTTP: enrolment, the fleet view, the channel.

Not for: rules (enrolment.py, reports.py), nor for commits (dependencies.py).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import JsonValue
from starlette.requests import Request

from controlplane.admins.callers import Operator, Viewer, refuse_wrong_secret
from controlplane.dependencies import HubDep, Now, PlaneDep, SessionDep, lend_plane
from controlplane.errors import ControlPlaneError, JoinRefusedError, NotSignedInError
from controlplane.http_errors import build_problem
from controlplane.nodes import enrolment, reports
from controlplane.nodes.door import Door
from controlplane.nodes.hub import ChannelHub
from controlplane.nodes.invitation import describe_enrolment, write_invitation
from controlplane.nodes.models import JoinTokenPublic, JoinTokenRequest, NodeList, NodePublic, NodeReport
from nodelink.contract.enrolment import Enrolment, JoinRequest
from nodelink.daemon.complaints import Complaints

router = APIRouter(prefix="/api/v1", tags=["nodes"])

MAX_NAME_CHARACTERS = 63
"""More of what somebody claims to be called is not logged."""


@router.get("/nodes")
def list_nodes(_: Viewer, session: SessionDep, now: Now) -> NodeList:
    """List all nodes, and how each is."""
    return NodeList(nodes=reports.list_nodes(session, now))


@router.get("/nodes/{name}")
def show_node(_: Viewer, session: SessionDep, now: Now, name: str) -> NodePublic:
    """Show one node, and how it is."""
    node = enrolment.read_node(session, name)
    return reports.describe_node(node, session.get(NodeReport, name), now)


@router.delete("/nodes/{name}", status_code=204)
def retire_node(_: Operator, session: SessionDep, plane: PlaneDep, now: Now, name: str) -> None:
    """Make a node none of the fleet any more: its channel is closed, its key is no longer accepted."""
    enrolment.retire_node(session, plane.facts, name, now)


def check_node_exists(request: Request, name: str) -> str:
    """See that a node is enrolled; no session is kept while it is asked. Raises: UnknownNodeError."""
    with lend_plane(request).sessions() as session:
        return enrolment.read_node(session, name).name


@router.get("/nodes/{name}/status")
async def ask_status(_: Viewer, hub: HubDep, node: Annotated[str, Depends(check_node_exists)]) -> JsonValue:
    """Ask a node at this moment how it is."""
    return await hub.ask_node(node, "status")


@router.post("/join-tokens", status_code=201)
def create_join_token(
    _: Operator, session: SessionDep, plane: PlaneDep, now: Now, request: JoinTokenRequest
) -> JoinTokenPublic:
    """Invite a node. The token is shown in this answer only, and is good for one node."""
    ticket, secret = enrolment.create_ticket(session, plane.vault, request, now)
    return JoinTokenPublic(
        join_token=write_invitation(plane, secret),
        name=ticket.node_name,
        kind=request.kind,
        expires_at_seconds=ticket.expires_at_seconds,
    )


@router.post("/enrolments", status_code=201)
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
        public_key = await run_in_threadpool(hub.desk.find_key, node)
        if public_key is None:
            raise NotSignedInError(problem="no node of this name is enrolled; it never was, or it is retired")
        door.admit(assertion, public_key)
    except ControlPlaneError as refusal:
        complaints.warning("channel refused", **claim | refusal.private)
        await websocket.send_denial_response(build_problem(refusal))
        return
    await websocket.accept()
    await hub.serve(websocket, node, public_key)
