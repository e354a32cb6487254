"""The RPC over HTTP: one address for the fleet, and one for each node.

    POST <admin path>               the whole fleet; a token of the whole fleet is needed
    POST /api/nodes/{name}/admin    one node
    OPTIONS                         a browser asks whether a page of another site may call: 204 or 403

Not for: what is done (dispatch.py).
"""

from collections.abc import Mapping
from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from controlplane.admins.access import Place, Reach, is_reached, is_trusted
from controlplane.admins.callers import identify_or_refuse
from controlplane.admins.tokens import Caller
from controlplane.dependencies import lend_plane, read_clock
from controlplane.errors import (
    ControlPlaneError,
    DatabaseBusyError,
    NotPermittedError,
    NotSignedInError,
    OutOfScopeError,
    TooManyAttemptsError,
)
from controlplane.madmail_rpc.call import Call, Site
from controlplane.madmail_rpc.dispatch import Verb, find_verb
from controlplane.madmail_rpc.envelope import (
    RpcError,
    RpcRequest,
    read_bearer,
    read_envelope,
    write_answer,
    write_error,
)
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.groups import find_group_name
from controlplane.settings import NODE_ADMIN_PATH, ControlPlaneSettings
from nodelink.contract.states import NodeKind
from nodelink.daemon.complaints import Complaints

PREFLIGHT: Final[Mapping[str, str]] = {
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type",
    "access-control-max-age": "86400",
}

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def build_router(settings: ControlPlaneSettings) -> APIRouter:
    """Build the endpoints; where the fleet's is, the settings say."""
    router = APIRouter(include_in_schema=False)
    for path in (settings.admin_path, NODE_ADMIN_PATH):
        router.add_api_route(path, answer_call, methods=["POST"])
        router.add_api_route(path, answer_browser, methods=["OPTIONS"])
    return router


async def answer_browser(request: Request) -> Response:
    """Tell a browser whether a page of another site may call."""
    allowed = _allow_origin(request)
    if "access-control-allow-origin" not in allowed:
        return Response(status_code=403, headers=allowed)
    return Response(status_code=204, headers={**allowed, **PREFLIGHT})


async def answer_call(request: Request) -> Response:
    """Answer one call; HTTP says 200 whatever becomes of it."""
    site: Site = request.app.state.madmail_site
    resource: str | None = None
    try:
        envelope = read_envelope(await _read_body(request))
        caller = await run_in_threadpool(_identify, request, envelope)
        resource = envelope.resource
        verb = find_verb(envelope)
        call = await run_in_threadpool(_admit, request, site, envelope, caller, verb)
        content = write_answer(resource, await verb.handler(call), site.version)
    except RpcError as error:
        content = write_error(resource, error, site.version)
    except ControlPlaneError as refusal:
        complaints: Complaints = request.app.state.complaints
        complain = complaints.warning if refusal.is_warning else complaints.info
        complain(refusal.event, code=refusal.code, **refusal.private)
        content = write_error(resource, RpcError(refusal.status, refusal.text), site.version)
    except Exception:
        log.exception("call of the Madmail RPC failed", resource=resource)
        fault = RpcError(500, "the control plane has a fault; its log says more")
        content = write_error(resource, fault, site.version)
    return Response(content, media_type="application/json", headers=_allow_origin(request))


async def _read_body(request: Request) -> bytes:
    try:
        return await request.body()
    except HTTPException as error:  # of the limit around the application
        raise RpcError(413, "request body too large") from error
    except ClientDisconnect as error:  # nobody reads the answer
        raise RpcError(400, "the request has broken off") from error


def _identify(request: Request, envelope: RpcRequest) -> Caller:
    """Find out who calls, by the inner header or that of HTTP.

    Raises:
        RpcError: He shows no token that is right (401). The envelope's answer then names no resource.
    """
    token = envelope.token or read_bearer(request.headers.get("authorization", "")) or ""
    try:
        with lend_plane(request).sessions() as session:
            return identify_or_refuse(request, session, token)
    except NotSignedInError as error:
        raise RpcError(401, "unauthorized") from error
    except TooManyAttemptsError as error:
        raise RpcError(401, "unauthorized: too many wrong tokens; wait a minute") from error
    except OperationalError as error:
        raise DatabaseBusyError(cause=str(error.orig)) from error


def _admit(request: Request, site: Site, envelope: RpcRequest, caller: Caller, verb: Verb) -> Call:
    """See that the caller may do this here.

    Raises:
        NotPermittedError: His role is not enough.
        OutOfScopeError: It is, but not here.
        UnknownNodeError: There is no node of this name.
    """
    if not is_trusted(caller.role, verb.role):
        raise NotPermittedError(caller=caller.name, role=caller.role)
    node: str | None = request.path_params.get("name")
    kind = None
    try:
        with site.plane.sessions() as session:
            reach, place = Reach.FLEET, Place()
            if node is not None:
                reach, place = Reach.NODE, Place(node, find_group_name(session, node))
            if not is_reached(caller.scope, reach, place):
                raise OutOfScopeError(caller=caller.name, scope=caller.scope.name)
            if node is not None:
                kind = NodeKind(read_node(session, node).kind)
    except OperationalError as error:
        raise DatabaseBusyError(cause=str(error.orig)) from error
    return Call(
        site, caller, read_clock(request), node, kind, envelope.method, envelope.resource, envelope.body
    )


def _allow_origin(request: Request) -> dict[str, str]:
    """Write the headers that let a page of an allowed site read the answer."""
    origin = request.headers.get("origin", "")
    headers = {"vary": "Origin"}
    if origin in lend_plane(request).settings.admin_origins:
        headers["access-control-allow-origin"] = origin
    return headers
