"""Who calls, and what they may do.

For: annotating endpoints. A parameter `_: NodeOperator` is the whole access check, and a test reads it back.
Not for: tokens themselves (tokens.py), nor for deciding who reaches what (access.py).

                 whole fleet     group in the path    node in the path     whatever is in the scope
    look         FleetViewer     GroupViewer          NodeViewer           AnyViewer
    change       FleetOperator   GroupOperator        NodeOperator         AnyOperator
    who may      FleetOwner

The pages have the same, with `Page` before each.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, NoReturn

import structlog
from fastapi import Depends, Request
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from controlplane.admins.access import Place, Reach, Role, is_reached, is_trusted
from controlplane.admins.tokens import Caller, is_use_due, note_use
from controlplane.admins.web_sessions import COOKIE, read_session
from controlplane.client_address import name_client_of
from controlplane.dependencies import lend_limit, lend_plane, lend_tokens, read_clock
from controlplane.errors import (
    ControlPlaneError,
    NotPermittedError,
    NotSignedInError,
    OutOfScopeError,
    SessionOverError,
    TooManyAttemptsError,
)
from controlplane.nodes.groups import find_group_name

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gate:
    """A dependency that lets callers pass who show a bearer token of a role and a scope.

    Attributes:
        role: What they must be trusted with at least.
        reach: How far their scope must reach, from the path parameters `name` (a node) and `group`.
    """

    refusals: ClassVar[tuple[type[ControlPlaneError], ...]] = (
        NotSignedInError,
        TooManyAttemptsError,
        NotPermittedError,
        OutOfScopeError,
    )

    role: Role
    reach: Reach

    def __call__(self, request: Request) -> Caller:
        """Identify the caller of a request.

        Raises:
            NotSignedInError: The request carries no valid token.
            TooManyAttemptsError: Neither this one, and too many before it from this address.
            NotPermittedError: The caller's role is not enough.
            OutOfScopeError: It is, but not here.
        """
        with lend_plane(request).sessions() as session:
            caller = self.identify(request, session)
            if not is_trusted(caller.role, self.role):
                raise NotPermittedError(caller=caller.name, role=caller.role)
            if not is_reached(caller.scope, self.reach, _find_place(request, session, self.reach)):
                raise OutOfScopeError(caller=caller.name, scope=caller.scope.name)
        request.state.caller = caller
        return caller

    def identify(self, request: Request, session: Session) -> Caller:
        """Find out who calls. Raises: NotSignedInError, TooManyAttemptsError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedInError
        return identify_or_refuse(request, session, token)


@dataclass(frozen=True, slots=True)
class PageGate(Gate):
    """A gate of pages, where a cookie says who calls."""

    def identify(self, request: Request, session: Session) -> Caller:
        """Find out who calls. Raises: SessionOverError."""
        now_seconds = read_clock(request)
        cookie = request.cookies.get(COOKIE, "")
        token_id = read_session(lend_plane(request).vault, cookie, now_seconds)
        caller = None
        if token_id is not None:
            caller = lend_tokens(request).find_caller(session, token_id, now_seconds)
        if caller is None:
            raise SessionOverError
        return caller


def identify_or_refuse(request: Request, session: Session, token: str) -> Caller:
    """Find the owner of a token. Wrong ones are counted for each address, right ones are not looked up there.

    Raises:
        NotSignedInError: The token is wrong.
        TooManyAttemptsError: It is, and so were too many before it from this address.
    """
    now_seconds = read_clock(request)
    caller = lend_tokens(request).identify(session, token, now_seconds)
    if caller is None:
        refuse_wrong_secret(request, NotSignedInError())
    if is_use_due(caller, now_seconds):
        _note_use(request, caller, now_seconds)
    return caller


def refuse_wrong_secret(request: Request, refusal: Exception) -> NoReturn:
    """Refuse a wrong token or secret, with another answer when too many came from this address."""
    client = name_client_of(request, lend_plane(request).settings.trusted_proxies)
    if not lend_limit(request).admit(client):
        raise TooManyAttemptsError
    raise refusal


def _note_use(request: Request, caller: Caller, now_seconds: int) -> None:
    try:
        with lend_plane(request).sessions.begin() as session:
            note_use(session, caller, now_seconds)
    except OperationalError as error:  # whoever only looks must not wait for the disk; the next use is noted
        log.warning("database busy", cause=str(error.orig))


def _find_place(request: Request, session: Session, reach: Reach) -> Place:
    match reach:
        case Reach.GROUP:
            return Place(group=request.path_params["group"])
        case Reach.NODE:
            node = request.path_params["name"]
            return Place(node=node, group=find_group_name(session, node))
        case _:
            return Place()


FleetViewer = Annotated[Caller, Depends(Gate(Role.VIEWER, Reach.FLEET))]
FleetOperator = Annotated[Caller, Depends(Gate(Role.OPERATOR, Reach.FLEET))]
FleetOwner = Annotated[Caller, Depends(Gate(Role.OWNER, Reach.FLEET))]
GroupViewer = Annotated[Caller, Depends(Gate(Role.VIEWER, Reach.GROUP))]
GroupOperator = Annotated[Caller, Depends(Gate(Role.OPERATOR, Reach.GROUP))]
NodeViewer = Annotated[Caller, Depends(Gate(Role.VIEWER, Reach.NODE))]
NodeOperator = Annotated[Caller, Depends(Gate(Role.OPERATOR, Reach.NODE))]
AnyViewer = Annotated[Caller, Depends(Gate(Role.VIEWER, Reach.ANY))]
AnyOperator = Annotated[Caller, Depends(Gate(Role.OPERATOR, Reach.ANY))]
PageFleetViewer = Annotated[Caller, Depends(PageGate(Role.VIEWER, Reach.FLEET))]
PageFleetOperator = Annotated[Caller, Depends(PageGate(Role.OPERATOR, Reach.FLEET))]
PageFleetOwner = Annotated[Caller, Depends(PageGate(Role.OWNER, Reach.FLEET))]
PageGroupViewer = Annotated[Caller, Depends(PageGate(Role.VIEWER, Reach.GROUP))]
PageGroupOperator = Annotated[Caller, Depends(PageGate(Role.OPERATOR, Reach.GROUP))]
PageNodeViewer = Annotated[Caller, Depends(PageGate(Role.VIEWER, Reach.NODE))]
PageNodeOperator = Annotated[Caller, Depends(PageGate(Role.OPERATOR, Reach.NODE))]
PageAnyViewer = Annotated[Caller, Depends(PageGate(Role.VIEWER, Reach.ANY))]
PageAnyOperator = Annotated[Caller, Depends(PageGate(Role.OPERATOR, Reach.ANY))]
