"""Registration tokens over HTTP, for operators.

Not for: redeeming them (endpoints.py), nor for rules (tokens.py).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from controlplane.admins.callers import AnyOperator
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import (
    InvitationExistsError,
    UnknownInvitationError,
    UnknownNodeError,
    WrongKindError,
)
from controlplane.nodes.fleet import begin_change
from controlplane.registration import tokens
from controlplane.registration.token_models import InvitationChange, InvitationPublic, InvitationRequest
from controlplane.rest.documentation import CREATED, TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag
from nodelink.contract.states import NodeName

LIST = "registration-tokens"
TAGGED_FIELDS = frozenset({"id", "node", "comment", "max_uses", "expires_at_seconds"})
"""Without what users change by registering."""

router = APIRouter(prefix="/registration-tokens", tags=["registration"], route_class=IdempotentRoute)


@router.get("")
def list_invitations(  # noqa: PLR0913, PLR0917 - what can be asked for
    caller: AnyOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    page: PageDep,
    node: Annotated[NodeName | None, Query()] = None,
) -> Page[InvitationPublic]:
    """List registration tokens with their text, as far as the admin token's scope reaches."""
    rows = tokens.page_invitations(session, caller.scope, page.read_text(LIST), page.limit + 1, node=node)
    shown = [tokens.describe_invitation(session, plane, row, now) for row in rows]
    return page.cut(LIST, shown, lambda invitation: invitation.id)


@router.post("", status_code=201, responses=CREATED)
@refuses(InvitationExistsError, UnknownNodeError, WrongKindError)
def create_invitation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    wanted: InvitationRequest,
) -> InvitationPublic:
    """Make a registration token: the fleet's, redeemed at `/new` and `/join`, or a node's, at its page."""
    tokens.check_place(session, caller.scope, wanted.node)
    row = tokens.create_invitation(session, plane.vault, caller.at(now), wanted)
    response.headers["location"] = request.app.url_path_for("show_invitation", invitation_id=row.id)
    return _show(response, tokens.describe_invitation(session, plane, row, now))


@router.get("/{invitation_id}", responses=TAGGED)
@refuses(UnknownInvitationError)
def show_invitation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    invitation_id: str,
) -> InvitationPublic:
    """Show a registration token."""
    row = tokens.read_invitation(session, invitation_id, caller.scope)
    return _show(response, tokens.describe_invitation(session, plane, row, now))


@router.patch("/{invitation_id}", responses=TAGGED)
@refuses(UnknownInvitationError)
def change_invitation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    invitation_id: str,
    change: InvitationChange,
) -> InvitationPublic:
    """Change how often or how long a token is taken."""
    begin_change(session)
    row = tokens.read_invitation(session, invitation_id, caller.scope)
    seen.check(_write_tag(tokens.describe_invitation(session, plane, row, now)))
    row = tokens.change_invitation(session, caller.at(now), invitation_id, change)
    return _show(response, tokens.describe_invitation(session, plane, row, now))


@router.delete("/{invitation_id}", status_code=204)
@refuses(UnknownInvitationError)
def remove_invitation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: SeenIfSaid,
    invitation_id: str,
) -> None:
    """Remove a registration token; accounts made by it stay."""
    begin_change(session)
    row = tokens.read_invitation(session, invitation_id, caller.scope)
    seen.check(_write_tag(tokens.describe_invitation(session, plane, row, now)))
    tokens.remove_invitation(session, caller.at(now), invitation_id)


def _write_tag(invitation: InvitationPublic) -> str:
    return write_tag(invitation, TAGGED_FIELDS)


def _show(response: Response, invitation: InvitationPublic) -> InvitationPublic:
    response.headers["etag"] = _write_tag(invitation)
    return invitation
