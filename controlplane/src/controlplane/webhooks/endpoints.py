"""Webhooks over HTTP, for operators of the fleet.

Not for: rules (service.py), nor for sending (sender.py).
"""

from fastapi import APIRouter, Request, Response

from controlplane.admins.callers import FleetOperator
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.nodes.fleet import begin_change
from controlplane.rest.documentation import CREATED, TAGGED
from controlplane.rest.idempotency import IdempotentRoute, Once
from controlplane.rest.paging import Page, PageDep
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag
from controlplane.webhooks import service
from controlplane.webhooks.deliveries import page_deliveries
from controlplane.webhooks.errors import BadWebhookUrlError, TooManyWebhooksError, UnknownWebhookError
from controlplane.webhooks.models import (
    DeliveryPublic,
    WebhookChange,
    WebhookMade,
    WebhookPublic,
    WebhookRequest,
)

LIST, DELIVERIES = "webhooks", "webhook deliveries"

router = APIRouter(prefix="/webhooks", tags=["health"], route_class=IdempotentRoute)


@router.get("")
def list_webhooks(_: FleetOperator, session: SessionDep, page: PageDep) -> Page[WebhookPublic]:
    """List who is told what happens to the fleet."""
    rows = service.page_webhooks(session, page.read_text(LIST), page.limit + 1)
    return page.cut(LIST, [service.describe_webhook(row) for row in rows], lambda hook: hook.id)


@router.post("", status_code=201, responses=CREATED)
@refuses(BadWebhookUrlError, TooManyWebhooksError)
def create_webhook(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    _: Once,
    request: Request,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    wanted: WebhookRequest,
) -> WebhookMade:
    """Have somebody told. The secret that messages are signed with is shown in this answer only."""
    made = service.create_webhook(session, plane, caller.at(now), wanted)
    response.headers["location"] = request.app.url_path_for("show_webhook", webhook_id=made.id)
    response.headers["etag"] = write_tag(made, WebhookPublic.model_fields)
    return made


@router.get("/{webhook_id}", responses=TAGGED)
@refuses(UnknownWebhookError)
def show_webhook(_: FleetOperator, response: Response, session: SessionDep, webhook_id: str) -> WebhookPublic:
    """Show who is told."""
    return _show(response, service.describe_webhook(service.read_webhook(session, webhook_id)))


@router.patch("/{webhook_id}", responses=TAGGED)
@refuses(UnknownWebhookError, BadWebhookUrlError)
def change_webhook(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    webhook_id: str,
    change: WebhookChange,
) -> WebhookPublic:
    """Change where messages go, and which."""
    begin_change(session)
    seen.check(write_tag(service.describe_webhook(service.read_webhook(session, webhook_id))))
    row = service.change_webhook(session, plane, caller.at(now), webhook_id, change)
    return _show(response, service.describe_webhook(row))


@router.delete("/{webhook_id}", status_code=204)
@refuses(UnknownWebhookError)
def remove_webhook(
    caller: FleetOperator, session: SessionDep, now: Now, seen: SeenIfSaid, webhook_id: str
) -> None:
    """Tell somebody nothing any more; what waits for him is dropped."""
    begin_change(session)
    seen.check(write_tag(service.describe_webhook(service.read_webhook(session, webhook_id))))
    service.remove_webhook(session, caller.at(now), webhook_id)


@router.post("/{webhook_id}/test", status_code=202)
@refuses(UnknownWebhookError)
def send_test(
    caller: FleetOperator, _: Once, session: SessionDep, now: Now, webhook_id: str
) -> DeliveryPublic:
    """Have a message sent that tells of nothing; the list of deliveries says what came of it."""
    return service.describe_delivery(service.send_test(session, caller.at(now), webhook_id))


@router.get("/{webhook_id}/deliveries")
@refuses(UnknownWebhookError)
def list_deliveries(
    _: FleetOperator, session: SessionDep, page: PageDep, webhook_id: str
) -> Page[DeliveryPublic]:
    """List the messages of the last week, and those that wait."""
    hook = service.read_webhook(session, webhook_id)
    rows = page_deliveries(session, hook.id, page.read_text(DELIVERIES), page.limit + 1)
    return page.cut(
        DELIVERIES, [service.describe_delivery(row) for row in rows], lambda delivery: delivery.id
    )


def _show(response: Response, hook: WebhookPublic) -> WebhookPublic:
    response.headers["etag"] = write_tag(hook)
    return hook
