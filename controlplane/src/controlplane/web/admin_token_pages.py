"""Admin tokens, for owners: which there are, making one that is shown once, revoking.

Not for: rules (admins/tokens.py).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins import tokens
from controlplane.admins.access import WHOLE_FLEET, Role, ScopeKind
from controlplane.admins.callers import PageFleetOwner
from controlplane.admins.endpoints import LIST
from controlplane.admins.models import MAX_VALID_HOURS, TokenRequest
from controlplane.dependencies import Now, PlaneDep, SessionDep, TokensDep
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.groups import page_groups
from controlplane.nodes.reports import list_nodes
from controlplane.nodes.scopes import check_scope
from controlplane.rest.paging import PageDep
from controlplane.web.forms import OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.overview import MAX_GROUPS
from controlplane.web.pages import go_to, render
from controlplane.web.qr_codes import draw_qr_code
from controlplane.web.texts.notices import Notice

router = APIRouter(include_in_schema=False)


@router.get("/admin/admin-tokens")
def show_tokens(
    request: Request, _: PageFleetOwner, session: SessionDep, book: TokensDep, now: Now, page: PageDep
) -> Response:
    """List admin tokens: the one in the settings, then the others in the order in which they were made."""
    after = page.read_number(LIST)
    rows = tokens.page_tokens(session, after or 0, page.limit + 1)
    static = book.describe_static() if after is None else None
    described = [(row.id or 0, book.describe(row, now)) for row in rows]
    shown = page.cut(LIST, ([(0, static)] if static else []) + described, lambda item: item[0])
    values = {
        "tokens": [public for _, public in shown.items],
        "next_cursor": shown.next_cursor,
        "roles": list(Role),
        "groups": [each.name for each in page_groups(session, WHOLE_FLEET, "", MAX_GROUPS)],
        "nodes": [node.name for node in list_nodes(session, now)],
        "max_hours": MAX_VALID_HOURS,
    }
    return render(request, "tokens.html", values)


@router.post("/admin/admin-tokens")
def create_token(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOwner,
    session: SessionDep,
    plane: PlaneDep,
    book: TokensDep,
    now: Now,
    form: OwnFormDep,
) -> Response:
    """Make a token; it is shown on this page only."""
    kind, _, scope_name = form.text("scope").partition(" ")
    wanted = read_model(
        TokenRequest,
        {
            "name": form.text("name").strip(),
            "role": form.text("role"),
            "scope_kind": kind or ScopeKind.FLEET,
            "scope_name": scope_name or None,
            "valid_for_hours": form.number("valid_for_hours"),
        },
    )
    begin_change(session)
    check_scope(session, wanted.scope)
    row, token = tokens.create_token(session, plane.vault, caller.at(now), wanted)
    link = f"{plane.settings.public_url}/#token={token}"
    values = {
        "public": book.describe(row, now),
        "token": token,
        "link": link,
        "qr_code": draw_qr_code(link),
    }
    return render(request, "token_created.html", values)


@router.post("/admin/admin-tokens/{token_id}/revoke")
def revoke_token(
    caller: PageFleetOwner, session: SessionDep, now: Now, _: OwnFormDep, token_id: str
) -> Response:
    """Revoke a token at once."""
    begin_change(session)
    tokens.revoke_token(session, caller.at(now), token_id)
    return go_to(write_page("admin-tokens"), Notice.REMOVED)
