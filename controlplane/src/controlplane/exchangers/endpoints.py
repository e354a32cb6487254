"""Exchangers over HTTP.

Not for: rules (service.py).
"""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from controlplane.admins.callers import FleetOperator, FleetViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.exchangers import service
from controlplane.exchangers.errors import (
    ExchangerExistsError,
    TokenInClearError,
    TooManyExchangersError,
    UnknownExchangerError,
)
from controlplane.exchangers.models import Exchanger, ExchangerChange, ExchangerPublic, ExchangerRequest
from controlplane.nodes.fleet import begin_change
from controlplane.rest.documentation import CREATED, TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag

router = APIRouter(prefix="/exchangers", tags=["federation"], route_class=IdempotentRoute)


class ExchangerList(BaseModel):
    """All exchangers."""

    items: list[ExchangerPublic]


@router.get("")
def list_exchangers(_: FleetViewer, session: SessionDep) -> ExchangerList:
    """List the relays where mail for the fleet's nodes may wait, and which they poll."""
    return ExchangerList(items=[service.describe_exchanger(row) for row in service.list_exchangers(session)])


@router.post("", status_code=201, responses=CREATED)
@refuses(ExchangerExistsError, TooManyExchangersError, TokenInClearError)
def add_exchanger(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    wanted: ExchangerRequest,
) -> ExchangerPublic:
    """Have nodes poll an exchanger; it is in force within two seconds."""
    row = service.add_exchanger(session, plane.facts, caller.at(now), wanted)
    response.headers["location"] = request.app.url_path_for("show_exchanger", exchanger=row.name)
    return _show(response, row)


@router.get("/{exchanger}", responses=TAGGED)
@refuses(UnknownExchangerError)
def show_exchanger(
    _: FleetViewer, response: Response, session: SessionDep, exchanger: str
) -> ExchangerPublic:
    """Show one."""
    return _show(response, service.read_exchanger(session, exchanger))


@router.patch("/{exchanger}", responses=TAGGED)
@refuses(UnknownExchangerError, TokenInClearError)
def change_exchanger(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    exchanger: str,
    change: ExchangerChange,
) -> ExchangerPublic:
    """Change where it is, its token, how often it is polled, and whether."""
    begin_change(session)
    seen.check(write_tag(service.describe_exchanger(service.read_exchanger(session, exchanger))))
    return _show(response, service.change_exchanger(session, plane.facts, caller.at(now), exchanger, change))


@router.delete("/{exchanger}", status_code=204)
@refuses(UnknownExchangerError)
def remove_exchanger(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: SeenIfSaid,
    exchanger: str,
) -> None:
    """Have it polled no more."""
    begin_change(session)
    seen.check(write_tag(service.describe_exchanger(service.read_exchanger(session, exchanger))))
    service.remove_exchanger(session, plane.facts, caller.at(now), exchanger)


def _show(response: Response, row: Exchanger) -> ExchangerPublic:
    described = service.describe_exchanger(row)
    response.headers["etag"] = write_tag(described)
    return described
