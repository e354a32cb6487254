"""Messages that wait for their receivers, as rows: none is lost with a process, and none has two senders.

    alarm raised ──▶ alarm's row and delivery's row, by one commit
    due ──▶ claimed: its next attempt moves on ──▶ sent ──▶ delivered
                                    ▲                 └─▶ refused, or no answer: waits
                                    └───────────────────────────┘       after the last one: given up

For: the watch and the sender of every replica. A row is claimed by one statement that compares and sets, so
of several replicas one has it. One that dies after that leaves a row that is due again at its next attempt:
the receiver may have got it twice, by the same id.
Not for: what is worth a message (alarms.py), nor for sending (sender.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_urlsafe

import structlog
from sqlalchemy import ColumnElement, text
from sqlmodel import Session, col, delete, select, update

from controlplane.health.samples import read_fleet_history
from controlplane.nodes.reports import list_nodes
from controlplane.vault import Vault
from controlplane.webhooks.alarms import Alarm, Changes, Limits, Told, compare, find_alarms
from controlplane.webhooks.models import EventName, Webhook, WebhookAlarm, WebhookDelivery

PAUSES_SECONDS = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
"""After each attempt that failed; after the last one, nothing follows."""
KEPT_SECONDS = 7 * 86_400
MAX_AT_ONCE = 20
MAX_PROBLEM = 300
SECRET_NAME = "webhook"  # noqa: S105 - a name in the vault
RAISE = text(
    "INSERT INTO webhook_alarm (webhook_id, event, subject, raised_at_seconds)"
    " VALUES (:webhook_id, :event, :subject, :now) ON CONFLICT DO NOTHING"
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this replica is to send now."""

    id: str
    webhook_id: str
    url: str
    secret: str = field(repr=False)
    body: bytes
    attempts: int


def watch(session: Session, now_seconds: int) -> int:
    """Compare the fleet's state with what receivers were told; return how many messages that makes."""
    hooks = session.exec(select(Webhook).where(col(Webhook.is_enabled))).all()
    if not hooks:
        return 0
    nodes = list_nodes(session, now_seconds)
    history = read_fleet_history(session, 2, now_seconds)
    new_accounts = max((each for each in history.figures.get("accounts_made", []) if each), default=0.0)
    made = 0
    for hook in hooks:
        limits = Limits(read_events(hook), hook.burst_accounts, hook.disk_percent)
        rows = session.exec(select(WebhookAlarm).where(col(WebhookAlarm.webhook_id) == hook.id))
        told = {(EventName(row.event), row.subject): Told(row.clear_since_seconds) for row in rows}
        changes = compare(find_alarms(nodes, new_accounts, limits), told, now_seconds)
        made += _note(session, hook, changes, now_seconds)
    return made


def add_delivery(
    session: Session, hook: Webhook, event: EventName, data: dict[str, str], now_seconds: int
) -> WebhookDelivery:
    """Have a message sent."""
    at = datetime.fromtimestamp(now_seconds, UTC).isoformat().replace("+00:00", "Z")
    row = WebhookDelivery.model_validate(
        {
            "id": f"msg_{token_urlsafe(18)}",
            "webhook_id": hook.id,
            "event": event,
            "body": json.dumps({"type": event, "timestamp": at, "data": data}, ensure_ascii=False),
            "created_at_seconds": now_seconds,
            "attempts": 0,
            "next_at_seconds": now_seconds,
            "delivered_at_seconds": None,
            "problem": None,
        }
    )
    session.add(row)
    return row


def claim_due(session: Session, vault: Vault, now_seconds: int) -> list[Claimed]:
    """Claim messages that are due, for this replica to send; should it die, they are due again later."""
    due = session.exec(
        select(WebhookDelivery, Webhook)
        .where(
            col(WebhookDelivery.webhook_id) == col(Webhook.id),
            col(WebhookDelivery.next_at_seconds) <= now_seconds,
            col(Webhook.is_enabled),
        )
        .order_by(col(WebhookDelivery.next_at_seconds), col(WebhookDelivery.id))
        .limit(MAX_AT_ONCE)
    ).all()
    claimed = []
    for row, hook in due:
        taken = session.exec(
            update(WebhookDelivery)
            .where(
                col(WebhookDelivery.id) == row.id,
                col(WebhookDelivery.attempts) == row.attempts,
                col(WebhookDelivery.next_at_seconds) <= now_seconds,
            )
            .values(attempts=row.attempts + 1, next_at_seconds=now_seconds + _pause(row.attempts))
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount == 1:
            secret = vault.open(f"{SECRET_NAME} {hook.id}", hook.sealed_secret)
            claimed.append(Claimed(row.id, hook.id, hook.url, secret, row.body.encode(), row.attempts + 1))
    return claimed


def note_result(session: Session, claimed: Claimed, problem: str | None, now_seconds: int) -> None:
    """Note what came of an attempt."""
    values: dict[str, object] = {"problem": None if problem is None else problem[:MAX_PROBLEM]}
    if problem is None:
        values |= {"delivered_at_seconds": now_seconds, "next_at_seconds": None}
    elif claimed.attempts > len(PAUSES_SECONDS):
        values["next_at_seconds"] = None
        log.error("webhook given up", webhook=claimed.webhook_id, message=claimed.id, problem=problem)
    session.exec(
        update(WebhookDelivery)
        .where(col(WebhookDelivery.id) == claimed.id, col(WebhookDelivery.attempts) == claimed.attempts)
        .values(**values)
    )


def forget_deliveries(session: Session, now_seconds: int) -> None:
    """Forget messages of which nothing more will come, after a week."""
    session.exec(
        delete(WebhookDelivery).where(
            col(WebhookDelivery.next_at_seconds).is_(None),
            col(WebhookDelivery.created_at_seconds) <= now_seconds - KEPT_SECONDS,
        )
    )


def page_deliveries(session: Session, hook_id: str, after: str, limit: int) -> Sequence[WebhookDelivery]:
    """List the messages to a receiver by their ids, those after one."""
    return session.exec(
        select(WebhookDelivery)
        .where(col(WebhookDelivery.webhook_id) == hook_id, col(WebhookDelivery.id) > after)
        .order_by(col(WebhookDelivery.id))
        .limit(limit)
    ).all()


def read_events(hook: Webhook) -> list[EventName]:
    """Read which events a receiver is told; empty for all."""
    return [EventName(name) for name in hook.events.split()]


def _note(session: Session, hook: Webhook, changes: Changes, now_seconds: int) -> int:
    """Note changes, each by one statement that compares and sets: of two replicas, one makes the message."""
    made = 0
    for alarm in changes.raised:
        values = {"webhook_id": hook.id, "event": alarm.event.value, "subject": alarm.subject}
        if session.connection().execute(RAISE, values | {"now": now_seconds}).rowcount == 1:
            add_delivery(session, hook, alarm.event, _describe(alarm), now_seconds)
            made += 1
    for event, subject in changes.resolved:
        gone = session.exec(
            delete(WebhookAlarm).where(
                *_is_alarm(hook, event, subject), col(WebhookAlarm.clear_since_seconds).is_not(None)
            )
        )
        if gone.rowcount == 1:
            over = {"state": "resolved", "subject": subject, "text": "It is over."}
            add_delivery(session, hook, event, over, now_seconds)
            made += 1
    for keys, since in ((changes.again, None), (changes.cleared, now_seconds)):
        for event, subject in keys:
            session.exec(
                update(WebhookAlarm).where(*_is_alarm(hook, event, subject)).values(clear_since_seconds=since)
            )
    return made


def _is_alarm(hook: Webhook, event: EventName, subject: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(WebhookAlarm.webhook_id) == hook.id,
        col(WebhookAlarm.event) == event.value,
        col(WebhookAlarm.subject) == subject,
    )


def _describe(alarm: Alarm) -> dict[str, str]:
    return {"state": "raised", "subject": alarm.subject, "text": alarm.text}


def _pause(attempts: int) -> int:
    return PAUSES_SECONDS[min(attempts, len(PAUSES_SECONDS) - 1)]
