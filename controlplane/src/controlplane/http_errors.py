"""The one place that answers with problem documents (RFC 9457), and logs what they leave out.

For: refusals of ours, malformed bodies, unknown paths and faults alike.
Not for: deciding what is refused.
"""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from controlplane.errors import ControlPlaneError
from controlplane.rest.replay import AnsweredBeforeError
from nodelink.daemon.complaints import Complaints

PROBLEM_TYPE = "application/problem+json"
MAX_FIELDS = 10


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of an application with a problem document; it has its `complaints` in its state."""
    app.add_exception_handler(ControlPlaneError, _answer_refusal)
    app.add_exception_handler(AnsweredBeforeError, _answer_again)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_fault)


def build_problem(error: ControlPlaneError) -> JSONResponse:
    """Build the answer to a refusal."""
    problem = {"type": f"/problems/{error.code}", "title": error.text, "status": error.status}
    return JSONResponse(problem, error.status, error.headers, media_type=PROBLEM_TYPE)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, ControlPlaneError):  # never; but the framework's signature promises no more
        raise error
    complaints: Complaints = request.app.state.complaints
    complain = complaints.warning if error.is_warning else complaints.info
    complain(error.event, code=error.code, **error.private)
    return build_problem(error)


async def _answer_again(_: Request, error: Exception) -> Response:
    if not isinstance(error, AnsweredBeforeError):
        raise error
    return error.answer


async def _answer_malformed(_: Request, error: Exception) -> Response:
    """Name the fields that are wrong. What stood in them is not repeated: it may be a secret."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [
        {"field": ".".join(str(part) for part in problem["loc"]), "problem": problem["msg"]}
        for problem in error.errors()[:MAX_FIELDS]
    ]
    problem = {"type": "/problems/malformed", "title": "The request is malformed.", "status": 422}
    return JSONResponse(problem | {"errors": fields}, 422, media_type=PROBLEM_TYPE)


async def _answer_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_list_methods(request)))
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
    }
    return JSONResponse(problem, error.status_code, headers, media_type=PROBLEM_TYPE)


def _list_methods(request: Request) -> set[str]:
    """List what can be done at a path; the framework only knows the first route that fits."""
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        match, _ = context.matches(request.scope)
        if match is not Match.NONE:
            methods |= context.methods or set()
    return methods


async def _answer_fault(_: Request, __: Exception) -> Response:
    """Answer without a detail; the framework logs the exception after this."""
    problem = {"type": "/problems/fault", "title": "The control plane has a fault; its log says more."}
    return JSONResponse(problem | {"status": 500}, 500, media_type=PROBLEM_TYPE)
