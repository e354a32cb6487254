"""Admin tokens over HTTP.

Not for: rules (tokens.py), nor for commits (dependencies.py).
"""

from fastapi import APIRouter, Request, Response

from controlplane.admins import tokens
from controlplane.admins.callers import AnyViewer, FleetOwner
from controlplane.admins.models import CallerPublic, NewTokenPublic, TokenPublic, TokenRequest
from controlplane.dependencies import Now, PlaneDep, SessionDep, TokensDep
from controlplane.errors import (
    TokenInSettingsError,
    UnknownGroupError,
    UnknownNodeError,
    UnknownTokenError,
)
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.scopes import check_scope
from controlplane.rest.documentation import CREATED, TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import SeenIfSaid, write_tag

LIST = "admin-tokens"
TAGGED_FIELDS = frozenset(TokenPublic.model_fields) - {"last_used_at_seconds"}

router = APIRouter(tags=["admins"], route_class=IdempotentRoute)


@router.get("/caller")
def show_caller(caller: AnyViewer) -> CallerPublic:
    """Show whose token this is, and what it is for."""
    return CallerPublic(
        name=caller.name, role=caller.role, scope_kind=caller.scope.kind, scope_name=caller.scope.name
    )


@router.get("/admin-tokens")
def list_tokens(
    _: FleetOwner, session: SessionDep, book: TokensDep, now: Now, page: PageDep
) -> Page[TokenPublic]:
    """List all tokens: the one in the settings, then the others in the order in which they were made."""
    after = page.read_number(LIST)
    rows = tokens.page_tokens(session, after or 0, page.limit + 1)
    described = [(row.id or 0, book.describe(row, now)) for row in rows]
    static = book.describe_static() if after is None else None
    shown = page.cut(LIST, ([(0, static)] if static else []) + described, lambda item: item[0])
    return Page(items=[public for _, public in shown.items], next_cursor=shown.next_cursor)


@router.post("/admin-tokens", status_code=201, responses=CREATED)
@refuses(UnknownGroupError, UnknownNodeError)
def create_token(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOwner,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    book: TokensDep,
    now: Now,
    wanted: TokenRequest,
) -> NewTokenPublic:
    """Make a token. It is shown in this answer only."""
    begin_change(session)
    check_scope(session, wanted.scope)
    row, token = tokens.create_token(session, plane.vault, caller.at(now), wanted)
    public = book.describe(row, now)
    response.headers["location"] = request.app.url_path_for("show_token", token_id=public.id)
    response.headers["etag"] = write_tag(public, TAGGED_FIELDS)
    return tokens.show_new_token(public, token)


@router.get("/admin-tokens/{token_id}", responses=TAGGED)
@refuses(UnknownTokenError)
def show_token(
    _: FleetOwner, response: Response, session: SessionDep, book: TokensDep, now: Now, token_id: str
) -> TokenPublic:
    """Show a token, without its secret."""
    public = book.read_token(session, token_id, now)
    response.headers["etag"] = write_tag(public, TAGGED_FIELDS)
    return public


@router.delete("/admin-tokens/{token_id}", status_code=204)
@refuses(UnknownTokenError, TokenInSettingsError)
def revoke_token(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOwner, session: SessionDep, book: TokensDep, now: Now, seen: SeenIfSaid, token_id: str
) -> None:
    """Revoke a token at once; it stays in the list."""
    begin_change(session)
    seen.check(write_tag(book.read_token(session, token_id, now), TAGGED_FIELDS))
    tokens.revoke_token(session, caller.at(now), token_id)
