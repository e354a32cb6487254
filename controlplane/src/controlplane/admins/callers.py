"""Who calls, and what they may do.

For: annotating endpoints. A parameter `_: Operator` is the whole access check, and a test reads it back.
Not for: tokens themselves (tokens.py).
"""

from dataclasses import dataclass
from typing import Annotated, NoReturn

from fastapi import Depends, Request

from controlplane.admins.models import Role
from controlplane.admins.tokens import Caller, find_caller, identify
from controlplane.admins.web_sessions import COOKIE, read_session
from controlplane.dependencies import lend_limit, lend_plane, read_clock
from controlplane.errors import NotPermittedError, NotSignedInError, SessionOverError, TooManyAttemptsError
from controlplane.rate_limit import name_client

OPERATORS = frozenset({Role.OPERATOR, Role.OWNER})


@dataclass(frozen=True, slots=True)
class Gate:
    """A dependency that lets callers with one of `roles` pass who show a bearer token."""

    roles: frozenset[Role]

    def __call__(self, request: Request) -> Caller:
        """Identify the caller of a request.

        Raises:
            NotSignedInError: The request carries no valid token.
            TooManyAttemptsError: Neither this one, and too many before it from this address.
            NotPermittedError: The caller has none of the roles.
        """
        caller = self.identify(request)
        if caller.role not in self.roles:
            raise NotPermittedError(caller=caller.name, role=caller.role)
        return caller

    def identify(self, request: Request) -> Caller:
        """Find out who calls. Raises: NotSignedInError, TooManyAttemptsError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedInError
        return identify_or_refuse(request, token)


@dataclass(frozen=True, slots=True)
class PageGate(Gate):
    """A gate of pages, where a cookie says who calls."""

    def identify(self, request: Request) -> Caller:
        """Find out who calls. Raises: SessionOverError."""
        plane = lend_plane(request)
        token_id = read_session(plane.vault, request.cookies.get(COOKIE, ""), read_clock(request))
        if token_id is not None:
            with plane.sessions() as session:
                caller = find_caller(session, token_id)
            if caller is not None:
                return caller
        raise SessionOverError


def identify_or_refuse(request: Request, token: str) -> Caller:
    """Find the owner of a token. Wrong ones are counted for each address, right ones are not looked up there.

    Raises:
        NotSignedInError: The token is wrong.
        TooManyAttemptsError: It is, and so were too many before it from this address.
    """
    plane = lend_plane(request)
    with plane.sessions() as session:
        caller = identify(session, plane.vault, token)
    if caller is None:
        refuse_wrong_secret(request, NotSignedInError())
    return caller


def refuse_wrong_secret(request: Request, refusal: Exception) -> NoReturn:
    """Refuse a wrong token or secret, with another answer when too many came from this address."""
    client = name_client(request.client.host if request.client else "")
    if not lend_limit(request).admit(client):
        raise TooManyAttemptsError
    raise refusal


Viewer = Annotated[Caller, Depends(Gate(frozenset(Role)))]
Operator = Annotated[Caller, Depends(Gate(OPERATORS))]
PageViewer = Annotated[Caller, Depends(PageGate(frozenset(Role)))]
PageOperator = Annotated[Caller, Depends(PageGate(OPERATORS))]
