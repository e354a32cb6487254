"""The tables of webhooks, and the schemas around them.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field as PydanticField
from pydantic import StrictBool, StrictInt, model_validator
from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel

from controlplane.rest.schemas import forbid_null

MAX_URL = 1000
MAX_COMMENT = 200
DEFAULT_BURST = 100
DEFAULT_DISK_PERCENT = 90

Url = Annotated[str, PydanticField(max_length=MAX_URL, pattern=r"^https?://[\x21-\x7e]+$")]
Comment = Annotated[str, PydanticField(max_length=MAX_COMMENT, pattern=r"^[^\x00-\x1f\x7f]*$")]
Burst = Annotated[StrictInt, PydanticField(ge=1, le=1_000_000)]
Percent = Annotated[StrictInt, PydanticField(ge=1, le=99)]


class EventName(StrEnum):
    """What receivers can be told of."""

    NODE_DOWN = "node.down"
    QUOTA = "quota.reached"
    DISK_FULL = "disk.full"
    REGISTRATION_BURST = "registration.burst"
    CALL_PROBE_FAILING = "call_probe.failing"
    TEST = "test"


Told = Annotated[
    tuple[EventName, ...],
    PydanticField(max_length=len(EventName), description="Events that are told; empty for all."),
]


class Webhook(SQLModel, table=True):
    """Somebody who is told. `events` are names with blanks between, none for all."""

    __tablename__ = "webhook"

    id: str = Field(primary_key=True)
    url: str
    comment: str
    events: str
    is_enabled: bool
    burst_accounts: int
    disk_percent: int
    sealed_secret: str = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)


class WebhookAlarm(SQLModel, table=True):
    """What a receiver was told, and not yet that it is over; `clear_since_seconds` is `None` until then."""

    __tablename__ = "webhook_alarm"
    __table_args__ = (
        ForeignKeyConstraint(["webhook_id"], ["webhook.id"], name="webhook_alarm_hook", ondelete="CASCADE"),
    )

    webhook_id: str = Field(primary_key=True)
    event: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    raised_at_seconds: int = Field(sa_type=BigInteger)
    clear_since_seconds: int | None = Field(sa_type=BigInteger)


class WebhookDelivery(SQLModel, table=True):
    """A message to a receiver. `next_at_seconds` is `None` once it is delivered or given up."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name="webhook_delivery_hook", ondelete="CASCADE"
        ),
        Index("webhook_delivery_next", "next_at_seconds"),
        Index("webhook_delivery_of", "webhook_id"),
    )

    id: str = Field(primary_key=True)
    webhook_id: str
    event: str
    body: str = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)
    attempts: int
    next_at_seconds: int | None = Field(sa_type=BigInteger)
    delivered_at_seconds: int | None = Field(sa_type=BigInteger)
    problem: str | None


class WebhookRequest(SQLModel):
    """The request for a webhook."""

    model_config = {"extra": "forbid"}

    url: Url = Field(description="Where messages go, such as https://example.org/hook.")
    comment: Comment = Field(default="", description="For operators.")
    events: Told = ()
    is_enabled: StrictBool = Field(default=True, description="Whether anything is sent.")
    burst_accounts: Burst = Field(
        default=DEFAULT_BURST, description="From how many new accounts in a minute they are a burst."
    )
    disk_percent: Percent = Field(
        default=DEFAULT_DISK_PERCENT, description="From how full a disk of a mail node is worth a message."
    )


class WebhookChange(SQLModel):
    """The request to change a webhook; what is left out stays."""

    model_config = {"extra": "forbid", "json_schema_extra": forbid_null}

    url: Url | None = Field(default=None, description="Where messages go.")
    comment: Comment | None = Field(default=None, description="For operators.")
    events: Told | None = None
    is_enabled: StrictBool | None = Field(default=None, description="Whether anything is sent.")
    burst_accounts: Burst | None = Field(default=None, description="From how many accounts they are a burst.")
    disk_percent: Percent | None = Field(default=None, description="From how full a disk is told.")

    @model_validator(mode="after")
    def _nothing_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a webhook has each of these; leave out what shall stay")
        return self


class WebhookPublic(SQLModel):
    """A webhook, for operators."""

    id: str
    url: str
    comment: str
    events: list[EventName] = Field(description="Events that are told; empty for all.")
    is_enabled: bool
    burst_accounts: int
    disk_percent: int
    created_at_seconds: int


class WebhookMade(WebhookPublic):
    """A webhook with its secret, which is shown here and never again."""

    secret: str = Field(description="What messages are signed with, as Standard Webhooks write it.")


class DeliveryState(StrEnum):
    """How far a message is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


class DeliveryPublic(SQLModel):
    """A message, and how far it is."""

    id: str = Field(description="What the receiver sees as webhook-id.")
    event: EventName
    state: DeliveryState
    created_at_seconds: int
    attempts: int
    next_at_seconds: int | None = Field(description="When it is tried next.")
    delivered_at_seconds: int | None
    problem: str | None = Field(description="What was wrong the last time.")
