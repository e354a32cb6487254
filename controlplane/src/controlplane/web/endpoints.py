"""The pages over HTTP.

    /  sign in ──▶ /admin  the fleet ──▶ POST /admin/policy ──▶ /admin

Not for: rules (policy/service.py), texts, or commits (dependencies.py).
"""

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from sqlmodel import Session

from controlplane.admins.access import WHOLE_FLEET, Role
from controlplane.admins.callers import PageOperator, PageViewer, identify_or_refuse
from controlplane.admins.web_sessions import COOKIE, VALID_FOR_SECONDS, write_form_key, write_session
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import NotSignedInError, StaleRevisionError, TooManyAttemptsError
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import NodePublic
from controlplane.nodes.reports import list_nodes
from controlplane.policy import service
from controlplane.policy.models import FleetPolicyChange, NodePolicyPublic, OverridesChange
from controlplane.policy.quantities import parse_size
from controlplane.web.forms import Form, FormDep, OwnFormDep
from controlplane.web.pages import render
from controlplane.web.texts import Notice
from nodelink.contract.states import NodeKind

ASSETS = {"style.css": "text/css", "sign-in.js": "text/javascript"}

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_front_page(request: Request) -> Response:
    """Say what this is, and let admins sign in."""
    return render(request, "sign_in.html", {}, notice=_read_notice(request))


@router.get("/assets/{name}")
def show_asset(name: str) -> Response:
    """Hand out what pages are made of."""
    if name not in ASSETS:
        return Response(status_code=404)
    content = (files("controlplane.web") / "static" / name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers={"cache-control": "max-age=3600"})


@router.post("/sign-in")
def sign_in(request: Request, plane: PlaneDep, now: Now, form: FormDep) -> Response:
    """Begin a session for whoever shows a token."""
    try:
        with plane.sessions() as session:
            caller = identify_or_refuse(request, session, form.get("token", ""))
    except NotSignedInError as refusal:
        return render(request, "sign_in.html", {}, status=refusal.status, notice=Notice.WRONG_TOKEN)
    except TooManyAttemptsError as refusal:
        return render(request, "sign_in.html", {}, status=refusal.status, notice=Notice.TOO_MANY_ATTEMPTS)
    if caller.scope != WHOLE_FLEET:
        return render(request, "sign_in.html", {}, status=403, notice=Notice.TOKEN_OF_A_PART)
    response = RedirectResponse("/admin", 303)
    cookie = write_session(plane.vault, caller.token_id, now)
    response.set_cookie(COOKIE, cookie, VALID_FOR_SECONDS, secure=True, httponly=True, samesite="strict")
    return response


@router.post("/sign-out")
def sign_out(_: PageViewer, __: OwnFormDep) -> Response:
    """End the session in this browser."""
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response


@router.get("/admin")
def show_fleet(
    request: Request, caller: PageViewer, session: SessionDep, plane: PlaneDep, now: Now
) -> Response:
    """Show the fleet: its policy, its nodes and how they are."""
    nodes = list_nodes(session, now)
    values = {
        "policy": service.read_fleet_policy(session),
        "nodes": [(node, _read_policy(session, node)) for node in nodes],
        "form_key": write_form_key(plane.vault, request.cookies.get(COOKIE, "")),
        "is_operator": caller.role is not Role.VIEWER,
    }
    return render(request, "admin.html", values, notice=_read_notice(request))


@router.post("/admin/policy")
def change_policy(
    caller: PageOperator, session: SessionDep, plane: PlaneDep, now: Now, form: OwnFormDep
) -> Response:
    """Put in force what was chosen, on the fleet or on one node."""
    values, author = _read_values(form), caller.at(now)
    begin_change(session)
    try:
        if node := form.get("node"):
            _check_revision(form, service.read_node_policy(session, node).revision)
            node_change = OverridesChange.model_validate(values)
            service.change_node_policy(session, plane.facts, author, node, node_change)
        else:
            _check_revision(form, service.read_fleet_policy(session).revision)
            fleet_change = FleetPolicyChange.model_validate(values)
            service.change_fleet_policy(session, plane.facts, author, fleet_change)
    except ValidationError:
        return _go_back(Notice.BAD_QUOTA)
    except StaleRevisionError:
        return _go_back(Notice.STALE)
    return _go_back(Notice.CHANGED)


def _check_revision(form: Form, revision: int) -> None:
    """See that a policy still is what the page has shown. Raises: StaleRevisionError."""
    if form.get("revision") != str(revision):
        raise StaleRevisionError(seen=form.get("revision"))


def _read_values(form: Form) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in ("registration_open", "jit_enabled"):
        if name in form:
            values[name] = {"yes": True, "no": False}.get(form[name])  # anything else: as the fleet
    if "quota" in form:
        values["quota_bytes"] = parse_size(form["quota"])
    return values


def _read_policy(session: Session, node: NodePublic) -> NodePolicyPublic | None:
    if node.kind is not NodeKind.MAIL:
        return None
    return service.describe_node_policy(session, service.read_node_policy(session, node.name))


def _read_notice(request: Request) -> Notice | None:
    notice = request.query_params.get("notice")
    return Notice(notice) if notice in set(Notice) else None


def _go_back(notice: Notice) -> Response:
    return RedirectResponse(f"/admin?notice={notice.value}", 303)
