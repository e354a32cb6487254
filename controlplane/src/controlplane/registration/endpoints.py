"""New accounts over HTTP, for everybody.

    /join   a page with a button and a QR code ──▶ POST /join ──▶ the account, as a page
    /inv    what Madmail calls that page:          GET /inv/TOKEN ──▶ /join
    /new    what the QR code leads an app to:      POST /new  ──▶ the account, as JSON
                                                   `node`: made there or not at all, as a backup address

Not for: rules (service.py), texts (web/texts.py).
"""

import asyncio
import json
import re
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import OperationalError

from controlplane.admins.callers import refuse_wrong_secret
from controlplane.client_address import name_client_of
from controlplane.dependencies import PlaneDep, lend_plane
from controlplane.errors import (
    ControlPlaneError,
    CrossSiteError,
    DatabaseBusyError,
    TokenRefusedError,
    TooManyAccountsError,
)
from controlplane.rate_limit import RateLimit
from controlplane.registration.backups import BackupAddress, find_backups
from controlplane.registration.login_url import build_account_url, build_login_url
from controlplane.registration.service import NewAccount, Registration
from controlplane.web.forms import read_form
from controlplane.web.pages import render
from controlplane.web.qr_codes import draw_qr_code
from controlplane.web.texts.notices import Notice

OWN_PAGES = frozenset({"same-origin", "none"})
"""`none`: the user did it, for example by reloading the page."""

# Not `no-referrer`: with it, browsers send `Origin: null` from our own form as from a foreign one.
HEADERS = {"referrer-policy": "same-origin"}
TOKEN = "token"  # noqa: S105 - the name of a field
NODE = "node"
NOTICES = {
    "token_needed": Notice.TOKEN_NEEDED,
    "token_refused": Notice.TOKEN_REFUSED,
    "token_elsewhere": Notice.TOKEN_ELSEWHERE,
    "too_many_attempts": Notice.TOO_MANY_ATTEMPTS,
    "registration_closed": Notice.CLOSED,
    "cross_site": Notice.CROSS_SITE,
    "too_many_accounts": Notice.TOO_MANY_ACCOUNTS,
}

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)

router = APIRouter(include_in_schema=False)


def refuse_cross_site(request: Request) -> None:
    """Refuse what the page of another site made a browser send; apps are no browsers and pass.

    Source: https://www.w3.org/TR/fetch-metadata/ section 2.3, RFC 6454 section 7.

    Raises:
        CrossSiteError: It came from there.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_own = origin in (None, lend_plane(request).settings.public_url) if site is None else site in OWN_PAGES
    if not is_own:
        raise CrossSiteError


async def read_token(request: Request) -> str | None:
    """Read the registration token from the query, or from a body that is a form or JSON; `None` for none."""
    token: object = request.query_params.get(TOKEN)
    body = await request.body()
    if token is None and body:
        if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
            try:
                content = json.loads(body)
            except (ValueError, RecursionError):
                content = None
            token = content.get(TOKEN) if isinstance(content, dict) else None
        else:
            token = (await read_form(request)).word(TOKEN)
    return token if isinstance(token, str) and token else None


async def make_account(request: Request) -> NewAccount | ControlPlaneError:
    """Make an account for a visitor, or say why there is none."""
    limit: RateLimit | None = request.app.state.new_accounts
    registration: Registration = request.app.state.registration
    try:
        refuse_cross_site(request)
        client = name_client_of(request, lend_plane(request).settings.trusted_proxies)
        if limit is not None and not limit.admit(client):
            raise TooManyAccountsError
        return await registration.register(await read_token(request), request.query_params.get(NODE))
    except TokenRefusedError as refusal:
        try:
            refuse_wrong_secret(request, refusal)
        except ControlPlaneError as slower:
            return slower
    except OperationalError as error:
        return DatabaseBusyError(cause=str(error.orig))
    except ControlPlaneError as refusal:
        return refusal


Made = Annotated[NewAccount | ControlPlaneError, Depends(make_account)]


async def list_backups(request: Request, made: Made) -> list[BackupAddress]:
    """List what is offered to whoever has got an account; that is there, so nothing is refused here."""
    if isinstance(made, ControlPlaneError):
        return []
    registration: Registration = request.app.state.registration
    token, connected = await read_token(request), registration.hub.list_connected()
    try:
        return await asyncio.to_thread(find_backups, registration, made, token, connected)
    except (ControlPlaneError, OperationalError) as error:
        log.warning("no backup address offered", problem=str(error))
        return []


Backups = Annotated[list[BackupAddress], Depends(list_backups)]


@router.get("/join")
def show_join_page(request: Request, plane: PlaneDep) -> Response:
    """Invite visitors to get an account."""
    return _show_join_page(request, plane.settings.public_url, None)


@router.get("/inv/{token}")
def follow_invitation(token: str) -> Response:
    """Lead to the page of a registration token, from where Madmail's admin web says that it is."""
    query = f"?token={token}" if _TOKEN.fullmatch(token) else ""
    return Response(status_code=303, headers={"location": f"/join{query}"})


@router.post("/join")
def show_account(request: Request, plane: PlaneDep, made: Made, backups: Backups) -> Response:
    """Make an account and show it; what the button does."""
    if isinstance(made, ControlPlaneError):
        return _show_join_page(request, plane.settings.public_url, made)
    url = build_login_url(made.places, made.address, made.password)
    values = {
        "login_url": url,
        "qr_code": draw_qr_code(url),
        "address": made.address,
        "password": made.password,
        "backups": [(backup, draw_qr_code(backup.link)) for backup in backups],
    }
    page = render(request, "joined.html", values)
    page.headers.update(HEADERS)
    return page


@router.post("/new")
def hand_account_out(made: Made) -> Response:
    """Make an account for an app that scanned a `dcaccount:` link."""
    if isinstance(made, ControlPlaneError):
        # `reason` is what Delta Chat shows; `error` is what other clients read.
        body = {"error": made.text, "reason": made.text}
        return JSONResponse(body, made.status, dict(made.headers))
    url = build_login_url(made.places, made.address, made.password)
    return JSONResponse({"email": made.address, "password": made.password, "dclogin_url": url})


@router.get("/new")
def open_app(request: Request, plane: PlaneDep) -> Response:
    """Send a browser on to the app, which then posts here."""
    url = build_account_url(plane.settings.public_url, _find_token(request))
    # RedirectResponse would quote what is in the link.
    return Response(status_code=302, headers={"location": url})


def _show_join_page(request: Request, public_url: str, refusal: ControlPlaneError | None) -> Response:
    token = _find_token(request)
    url = build_account_url(public_url, token)
    notice = None if refusal is None else NOTICES.get(refusal.code, Notice.NO_ROOM)
    status = 200 if refusal is None else refusal.status
    page = render(
        request,
        "join.html",
        {"account_url": url, "qr_code": draw_qr_code(url), "token": token},
        status=status,
        notice=notice,
    )
    page.headers.update(HEADERS)
    if refusal is not None:
        page.headers.update(refusal.headers)
    return page


def _find_token(request: Request) -> str | None:
    """Find a token in the address of a page; one that cannot be a token is as none."""
    token = request.query_params.get(TOKEN, "")
    return token if _TOKEN.fullmatch(token) else None
