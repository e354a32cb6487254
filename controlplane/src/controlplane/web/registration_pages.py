"""Who may register and how much an account may hold, on the whole fleet; and registration tokens.

Not for: rules (policy/, registration/).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.accounts.live import Whose, list_mail_nodes
from controlplane.admins.callers import PageFleetOperator, PageFleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.policy import service
from controlplane.policy.models import SECONDS_PER_DAY
from controlplane.registration import tokens
from controlplane.registration.token_endpoints import TAGGED_FIELDS
from controlplane.registration.token_models import MAX_COMMENT, MAX_USES, InvitationChange, InvitationRequest
from controlplane.rest.paging import PageDep
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.forms import Form, OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.navigation import Offer
from controlplane.web.pages import go_back, go_to, render
from controlplane.web.policy_form import FIELDS, FLEET_FIELDS, list_fleet_fields
from controlplane.web.qr_codes import draw_qr_code
from controlplane.web.texts.notices import Notice

LIST = "web registration tokens"

router = APIRouter(include_in_schema=False)


@router.get("/admin/registration")
def show_registration(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request, caller: PageFleetViewer, session: SessionDep, plane: PlaneDep, now: Now, page: PageDep
) -> Response:
    """Show the fleet's policy and, to operators, registration tokens."""
    policy = service.describe_fleet_policy(session)
    invitations = None
    if Offer(caller).changes:
        rows = tokens.page_invitations(session, caller.scope, page.read_text(LIST), page.limit + 1)
        shown = [tokens.describe_invitation(session, plane, row, now) for row in rows]
        invitations = page.cut(LIST, shown, lambda invitation: invitation.id)
    values = {
        "tag": write_tag(policy),
        "fields": list_fleet_fields(policy, FIELDS),
        "call_fields": list_fleet_fields(policy, FLEET_FIELDS),
        "missing": list_missing(session, NodeFilter(), now),
        "join_url": f"{plane.settings.public_url}/join",
        "invitations": invitations,
        "mail_nodes": list_mail_nodes(session, Whose(caller.scope)),
        "max_uses": MAX_USES,
        "max_comment": MAX_COMMENT,
    }
    return render(request, "registration.html", values)


@router.post("/admin/registration-tokens")
def create_invitation(
    caller: PageFleetOperator, session: SessionDep, plane: PlaneDep, now: Now, form: OwnFormDep
) -> Response:
    """Make a registration token."""
    values: dict[str, object] = {
        "token": form.word("token"),
        "node": form.word("node"),
        "max_uses": form.number("max_uses"),
        "comment": form.text("comment").strip(),
        "expires_at_seconds": _read_end(form, now),
    }
    row = tokens.create_invitation(
        session, plane.vault, caller.at(now), read_model(InvitationRequest, values)
    )
    return go_to(write_page("registration-tokens", row.id), Notice.CHANGED)


@router.get("/admin/registration-tokens/{invitation_id}")
def show_invitation(
    request: Request,
    _: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    invitation_id: str,
) -> Response:
    """Show a registration token with its QR code."""
    row = tokens.read_invitation(session, invitation_id)
    invitation = tokens.describe_invitation(session, plane, row, now)
    values = {
        "invitation": invitation,
        "qr_code": invitation.register_url and draw_qr_code(invitation.register_url),
        "tag": write_tag(invitation, TAGGED_FIELDS),
        "max_uses": MAX_USES,
        "max_comment": MAX_COMMENT,
    }
    return render(request, "registration_token.html", values)


@router.post("/admin/registration-tokens/{invitation_id}")
def change_invitation(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    invitation_id: str,
) -> Response:
    """Change how often or how long a token is taken."""
    values: dict[str, object] = {
        "max_uses": form.number("max_uses"),
        "comment": form.text("comment").strip(),
    }
    if (end := _read_end(form, now)) is not None:
        values["expires_at_seconds"] = end
    change = read_model(InvitationChange, values)
    begin_change(session)
    row = tokens.read_invitation(session, invitation_id)
    tag = write_tag(tokens.describe_invitation(session, plane, row, now), TAGGED_FIELDS)
    Precondition(form.text("tag")).check(tag)
    tokens.change_invitation(session, caller.at(now), invitation_id, change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/registration-tokens/{invitation_id}/remove")
def remove_invitation(
    caller: PageFleetOperator, session: SessionDep, now: Now, _: OwnFormDep, invitation_id: str
) -> Response:
    """Remove a registration token."""
    tokens.remove_invitation(session, caller.at(now), invitation_id)
    return go_to(write_page("registration"), Notice.REMOVED)


def _read_end(form: Form, now_seconds: int) -> object:
    """Read in how many days something ends; `None` for an empty field."""
    days = form.number("valid_days")
    return now_seconds + days * SECONDS_PER_DAY if isinstance(days, int) and days > 0 else days
