"""Sign in by a token, or by a link that carries one behind the `#`; and sign out.

    /  sign in ──▶ /admin          POST /sign-out ──▶ /

Not for: tokens and sessions themselves (admins/).
"""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from controlplane.admins.callers import PageAnyViewer, identify_or_refuse
from controlplane.admins.web_sessions import COOKIE, VALID_FOR_SECONDS, write_session
from controlplane.dependencies import Now, PlaneDep
from controlplane.errors import NotSignedInError, TooManyAttemptsError
from controlplane.web.forms import FormDep, OwnFormDep
from controlplane.web.pages import go_to, render
from controlplane.web.texts.notices import Notice

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_front_page(request: Request) -> Response:
    """Say what this is, and let admins sign in."""
    return render(request, "sign_in.html", {})


@router.post("/sign-in")
def sign_in(request: Request, plane: PlaneDep, now: Now, form: FormDep) -> Response:
    """Begin a session for whoever shows a token."""
    try:
        with plane.sessions() as session:
            caller = identify_or_refuse(request, session, form.text("token"))
    except NotSignedInError as refusal:
        return render(request, "sign_in.html", {}, status=refusal.status, notice=Notice.WRONG_TOKEN)
    except TooManyAttemptsError as refusal:
        return render(request, "sign_in.html", {}, status=refusal.status, notice=Notice.TOO_MANY_ATTEMPTS)
    response = RedirectResponse("/admin", 303)
    cookie = write_session(plane.vault, caller.token_id, now)
    response.set_cookie(COOKIE, cookie, VALID_FOR_SECONDS, secure=True, httponly=True, samesite="strict")
    return response


@router.post("/sign-out")
def sign_out(_: PageAnyViewer, __: OwnFormDep) -> Response:
    """End the session in this browser."""
    response = go_to("/", Notice.SIGNED_OUT)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response
