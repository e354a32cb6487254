"""The rules of webhooks: who is told, and with which secret messages are signed.

For: endpoints.
Not for: sending (sender.py).
"""

import secrets
from collections.abc import Sequence

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, func, select

from controlplane.admins.audit import Author, record, record_difference
from controlplane.admins.audit_models import Action
from controlplane.nodes.fleet import begin_change
from controlplane.plane import Plane
from controlplane.webhooks.deliveries import SECRET_NAME, add_delivery, read_events
from controlplane.webhooks.errors import TooManyWebhooksError, UnknownWebhookError
from controlplane.webhooks.models import (
    DeliveryPublic,
    DeliveryState,
    EventName,
    Webhook,
    WebhookChange,
    WebhookDelivery,
    WebhookMade,
    WebhookPublic,
    WebhookRequest,
)
from controlplane.webhooks.places import read_target
from controlplane.webhooks.signing import invent_secret

MAX_WEBHOOKS = 20
ID_BYTES = 6

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def create_webhook(session: Session, plane: Plane, author: Author, request: WebhookRequest) -> WebhookMade:
    """Add a receiver; its secret is shown in the answer only.

    Raises:
        BadWebhookUrlError: Messages cannot go there.
        TooManyWebhooksError: There are as many as there may be.
    """
    begin_change(session)
    read_target(request.url, plane.settings.webhook_private_networks)
    if session.exec(select(func.count()).select_from(Webhook)).one() >= MAX_WEBHOOKS:
        raise TooManyWebhooksError
    id_, secret = secrets.token_hex(ID_BYTES), invent_secret()
    fields: dict[str, JsonValue] = request.model_dump(mode="json", exclude={"events"})
    row = Webhook.model_validate(
        {
            "id": id_,
            "events": " ".join(request.events),
            "sealed_secret": plane.vault.seal(f"{SECRET_NAME} {id_}", secret),
            "created_at_seconds": author.now_seconds,
            **fields,
        }
    )
    session.add(row)
    record(session, author, Action.WEBHOOK_CREATE, id_, after=fields | {"events": [*request.events]})
    log.info("webhook created", webhook=id_)
    return WebhookMade.model_validate(describe_webhook(row), update={"secret": secret})


def change_webhook(
    session: Session, plane: Plane, author: Author, id_: str, change: WebhookChange
) -> Webhook:
    """Change a receiver. Raises: UnknownWebhookError, BadWebhookUrlError."""
    begin_change(session)
    row = read_webhook(session, id_)
    if change.url is not None:
        read_target(change.url, plane.settings.webhook_private_networks)
    before = describe_webhook(row).model_dump(mode="json", include=change.model_fields_set)
    after = change.model_dump(mode="json", include=change.model_fields_set)
    for name in change.model_fields_set - {"events"}:
        setattr(row, name, getattr(change, name))
    if change.events is not None:
        row.events = " ".join(change.events)
    session.add(row)
    record_difference(session, author, Action.WEBHOOK_CHANGE, id_, (before, after))
    return row


def remove_webhook(session: Session, author: Author, id_: str) -> None:
    """Remove a receiver, and what waits for it. Raises: UnknownWebhookError."""
    begin_change(session)
    row = read_webhook(session, id_)
    session.delete(row)
    record(session, author, Action.WEBHOOK_REMOVE, id_, before={"url": row.url, "comment": row.comment})
    log.info("webhook removed", webhook=id_)


def send_test(session: Session, author: Author, id_: str) -> WebhookDelivery:
    """Have a message sent that tells of nothing. Raises: UnknownWebhookError."""
    row = read_webhook(session, id_)
    data = {"state": "raised", "subject": "", "text": f"A test, asked for by {author.name}."}
    delivery = add_delivery(session, row, EventName.TEST, data, author.now_seconds)
    record(session, author, Action.WEBHOOK_TEST, id_, after={"message": delivery.id})
    return delivery


def read_webhook(session: Session, id_: str) -> Webhook:
    """Look a receiver up. Raises: UnknownWebhookError."""
    row = None if "\0" in id_ else session.get(Webhook, id_)
    if row is None:
        raise UnknownWebhookError(id=id_)
    return row


def page_webhooks(session: Session, after: str, limit: int) -> Sequence[Webhook]:
    """List receivers by their ids, those after one."""
    return session.exec(
        select(Webhook).where(col(Webhook.id) > after).order_by(col(Webhook.id)).limit(limit)
    ).all()


def describe_webhook(row: Webhook) -> WebhookPublic:
    """Describe a receiver, without its secret."""
    return WebhookPublic.model_validate(row, update={"events": read_events(row)})


def describe_delivery(row: WebhookDelivery) -> DeliveryPublic:
    """Describe a message, and how far it is."""
    if row.delivered_at_seconds is not None:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.GIVEN_UP if row.next_at_seconds is None else DeliveryState.WAITING
    return DeliveryPublic.model_validate(row, update={"state": state})
