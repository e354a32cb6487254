"""Answer somebody with a browser who asked for what he cannot have: in his language, with what to do.

    not signed in           ──▶ the page where he can
    a form that is refused  ──▶ the page that it was on, which says why
    anything else           ──▶ a page of its own

For: http_errors.py, which answers programs with problem documents instead.
"""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from controlplane.admins.web_sessions import COOKIE
from controlplane.errors import ControlPlaneError, SessionOverError
from controlplane.web.errors import BadFormError
from controlplane.web.links import HOME, say_there
from controlplane.web.pages import read_language, render
from controlplane.web.texts.catalogue import TEXTS
from controlplane.web.texts.notices import Notice

CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not_found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
}


def is_page(request: Request) -> bool:
    """Tell whether somebody asks for a page of the web admin, and not a program for data."""
    path = request.url.path
    return path == HOME or path.startswith(f"{HOME}/")


def show_refusal(request: Request, error: ControlPlaneError) -> Response:
    """Answer a refusal of ours."""
    if isinstance(error, SessionOverError):
        return _lead_to_sign_in(request)
    back: str | None = getattr(request.state, "back", None)
    if back is not None:
        field = {"field": error.field} if isinstance(error, BadFormError) else {}
        return RedirectResponse(say_there(back, refusal=error.code, **field), 303)
    answer = show_error(request, error.code, error.status)
    answer.headers.update(error.headers)
    return answer


def show_error(request: Request, code: str, status: int) -> Response:
    """Show a page that says what is wrong; a code that no page is expected to meet is shown as it is."""
    text = TEXTS[read_language(request)]["refusals"].get(code, code)
    return render(request, "refused.html", {"text": text, "code": code}, status=status)


def show_status(request: Request, status: int) -> Response:
    """Show what the framework has refused: a path that is none, or too much at once."""
    return show_error(request, CODES.get(HTTPStatus(status), "malformed"), status)


def _lead_to_sign_in(request: Request) -> Response:
    address = say_there("/", notice=Notice.SESSION_OVER.value) if request.cookies.get(COOKIE) else "/"
    if "hx-request" in request.headers:  # a part of a page: the whole page is to go there
        return Response(status_code=401, headers={"hx-redirect": address})
    return RedirectResponse(address, 303)
