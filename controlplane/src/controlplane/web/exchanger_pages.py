"""Exchangers: relays where mail for the fleet's nodes may wait, and which they poll.

Not for: rules (exchangers/), nor for sending through one: an endpoint does (federation_pages.py).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins.callers import PageFleetOperator, PageFleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.exchangers import service
from controlplane.exchangers.models import DEFAULT_INTERVAL_SECONDS, ExchangerChange, ExchangerRequest
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.forms import Form, OwnFormDep, read_model
from controlplane.web.links import write_page
from controlplane.web.pages import go_back, go_to, render
from controlplane.web.texts.notices import Notice
from nodelink.contract.federation import MAX_EXCHANGERS

PLACE = "exchangers"

router = APIRouter(include_in_schema=False)


@router.get("/admin/exchangers")
def show_exchangers(request: Request, _: PageFleetViewer, session: SessionDep, now: Now) -> Response:
    """Show which relays are polled."""
    values = {
        "exchangers": [service.describe_exchanger(row) for row in service.list_exchangers(session)],
        "missing": list_missing(session, NodeFilter(), now),
        "first_interval_seconds": DEFAULT_INTERVAL_SECONDS,
        "max_exchangers": MAX_EXCHANGERS,
    }
    return render(request, "exchangers.html", values)


@router.post("/admin/exchangers")
def add_exchanger(
    caller: PageFleetOperator, session: SessionDep, plane: PlaneDep, now: Now, form: OwnFormDep
) -> Response:
    """Have nodes poll an exchanger."""
    values = {"name": form.text("name").strip(), "token": form.word("token"), **_read_place(form)}
    service.add_exchanger(session, plane.facts, caller.at(now), read_model(ExchangerRequest, values))
    return go_to(write_page(PLACE), Notice.CHANGED)


@router.get("/admin/exchangers/{exchanger}")
def show_exchanger(request: Request, _: PageFleetViewer, session: SessionDep, exchanger: str) -> Response:
    """Show one, with what changes it."""
    described = service.describe_exchanger(service.read_exchanger(session, exchanger))
    return render(request, "exchanger.html", {"exchanger": described, "tag": write_tag(described)})


@router.post("/admin/exchangers/{exchanger}")
def change_exchanger(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    exchanger: str,
) -> Response:
    """Change where it is, its token, how often it is polled, and whether."""
    values = {**_read_place(form), "is_enabled": form.switch("is_enabled")}
    if (token := form.word("token")) is not None or form.switch("keeps_token") is False:
        values["token"] = token
    change = read_model(ExchangerChange, values)
    begin_change(session)
    tag = write_tag(service.describe_exchanger(service.read_exchanger(session, exchanger)))
    Precondition(form.text("tag")).check(tag)
    service.change_exchanger(session, plane.facts, caller.at(now), exchanger, change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/exchangers/{exchanger}/remove")
def remove_exchanger(
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    _: OwnFormDep,
    exchanger: str,
) -> Response:
    """Have it polled no more."""
    service.remove_exchanger(session, plane.facts, caller.at(now), exchanger)
    return go_to(write_page(PLACE), Notice.REMOVED)


def _read_place(form: Form) -> dict[str, object]:
    """Read where an exchanger is, and how often it is polled."""
    return {
        "url": form.text("url").strip(),
        "poll_interval_seconds": form.number("poll_interval_seconds"),
    }
