"""Tables of the policy domain, and the schemas around them.

One family: `PolicyValues` are what an operator decides and a node may differ in, `FleetRules` what is the
same everywhere. `retention_days_when_on` is how long messages stay once retention is switched on
again. There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from typing import Annotated, Self

from pydantic import Field as PydanticField
from pydantic import StrictBool, StrictInt, model_validator
from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from controlplane.rest.schemas import forbid_null
from nodelink.contract.states import MAX_BACKUP_ADDRESSES, MAX_DAYS

SMALLEST_QUOTA_BYTES = 1 << 20
LARGEST_QUOTA_BYTES = 1 << 50
SMALLEST_MESSAGE_BYTES = 1 << 16
LARGEST_MESSAGE_BYTES = 1 << 30
"""The largest number that every JSON parser keeps exactly."""
SECONDS_PER_DAY = 86_400

QuotaBytes = Annotated[StrictInt, PydanticField(ge=SMALLEST_QUOTA_BYTES, le=LARGEST_QUOTA_BYTES)]
MessageBytes = Annotated[StrictInt, PydanticField(ge=SMALLEST_MESSAGE_BYTES, le=LARGEST_MESSAGE_BYTES)]
Days = Annotated[StrictInt, PydanticField(ge=0, le=MAX_DAYS)]
TurnLifetime = Annotated[StrictInt, PydanticField(ge=SECONDS_PER_DAY, le=30 * SECONDS_PER_DAY)]
CredentialAllocations = Annotated[StrictInt, PydanticField(ge=1, le=10_000)]
Allocations = Annotated[StrictInt, PydanticField(ge=1, le=1_000_000)]
BackupAddresses = Annotated[StrictInt, PydanticField(ge=0, le=MAX_BACKUP_ADDRESSES)]
AnnouncedPort = Annotated[StrictInt, PydanticField(ge=0, le=65535)]


class PolicyValues(SQLModel):
    """What holds on a mail node; the fleet says it, and a node may differ."""

    registration_open: bool = Field(description="Whether new accounts may be made at all.")
    jit_enabled: bool = Field(description="Whether an unknown login makes its account, while that is open.")
    registration_token_required: bool = Field(
        description="Whether whoever registers must have a token; JIT alone rules logins."
    )
    app_accounts_enabled: bool = Field(
        description="Whether JIT also makes the accounts that apps add by themselves."
    )
    backup_addresses: int = Field(
        ge=0,
        le=MAX_BACKUP_ADDRESSES,
        description="How many addresses on other nodes whoever has registered is offered; 0 for none.",
    )
    quota_bytes: int = Field(
        ge=SMALLEST_QUOTA_BYTES,
        le=LARGEST_QUOTA_BYTES,
        sa_type=BigInteger,
        description="How much an account may hold.",
    )
    message_bytes: int = Field(
        ge=SMALLEST_MESSAGE_BYTES,
        le=LARGEST_MESSAGE_BYTES,
        sa_type=BigInteger,
        description="The largest message that is taken.",
    )
    message_retention_days: int = Field(
        ge=0, le=MAX_DAYS, description="After how many days messages go; 0 for never."
    )
    unused_account_days: int = Field(
        ge=0, le=MAX_DAYS, description="After how many days without a login an account goes; 0 for never."
    )
    large_message_retention_days: int = Field(
        ge=0,
        le=MAX_DAYS,
        description="After how many days messages over 200 kB that were read go; 0 for never.",
    )
    auto_trim: bool = Field(description="Whether read messages older than a day make room in a full mailbox.")
    turn_enabled: bool = Field(description="Whether apps are told of the TURN nodes when they call.")
    push_enabled: bool = Field(description="Whether sleeping apps are woken by the notification proxy.")
    push_pauses: bool = Field(description="Whether that pauses for an hour after five failures in a row.")
    turn_announced_port: int = Field(
        ge=0,
        le=65535,
        description="At which UDP port apps are told to find TURN; 0 for the one that TURN nodes name.",
    )


class FleetRules(SQLModel):
    """What is the same everywhere, because mail nodes and TURN nodes must agree on it."""

    turn_lifetime_seconds: int = Field(
        ge=SECONDS_PER_DAY,
        le=30 * SECONDS_PER_DAY,
        description="Longest validity of a TURN credential.",
    )
    turn_allocations_per_credential: int = Field(
        ge=1, le=10_000, description="Relay addresses that one account may hold on one TURN node."
    )
    turn_allocations: int = Field(
        ge=1, le=1_000_000, description="Relay addresses that one TURN node gives out in total."
    )


class FleetPolicy(FleetRules, PolicyValues, table=True):
    """What holds where a node does not differ."""

    __tablename__ = "fleet_policy"
    __table_args__ = (
        CheckConstraint("id = 1", name="fleet_policy_is_one"),
        CheckConstraint("revision >= 1", name="fleet_policy_revision_positive"),
    )

    id: int = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    retention_days_when_on: int


class Overrides(SQLModel):
    """In what a node or group differs; `None` where it does not."""

    registration_open: bool | None = Field(default=None, description="In place of the fleet's.")
    jit_enabled: bool | None = Field(default=None, description="In place of the fleet's.")
    registration_token_required: bool | None = Field(default=None, description="In place of the fleet's.")
    app_accounts_enabled: bool | None = Field(default=None, description="In place of the fleet's.")
    backup_addresses: int | None = Field(
        default=None, ge=0, le=MAX_BACKUP_ADDRESSES, description="In place of the fleet's."
    )
    quota_bytes: int | None = Field(
        default=None,
        ge=SMALLEST_QUOTA_BYTES,
        le=LARGEST_QUOTA_BYTES,
        sa_type=BigInteger,
        description="In place of the fleet's.",
    )
    message_bytes: int | None = Field(
        default=None,
        ge=SMALLEST_MESSAGE_BYTES,
        le=LARGEST_MESSAGE_BYTES,
        sa_type=BigInteger,
        description="In place of the fleet's.",
    )
    message_retention_days: int | None = Field(
        default=None, ge=0, le=MAX_DAYS, description="In place of the fleet's."
    )
    unused_account_days: int | None = Field(
        default=None, ge=0, le=MAX_DAYS, description="In place of the fleet's."
    )
    large_message_retention_days: int | None = Field(
        default=None, ge=0, le=MAX_DAYS, description="In place of the fleet's."
    )
    auto_trim: bool | None = Field(default=None, description="In place of the fleet's.")
    turn_enabled: bool | None = Field(default=None, description="In place of the fleet's.")
    push_enabled: bool | None = Field(default=None, description="In place of the fleet's.")
    push_pauses: bool | None = Field(default=None, description="In place of the fleet's.")
    turn_announced_port: int | None = Field(
        default=None, ge=0, le=65535, description="In place of the fleet's."
    )


class NodePolicy(Overrides, table=True):
    """In what one node differs from its group and the fleet."""

    __tablename__ = "node_policy"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_policy_node", ondelete="CASCADE"),
        CheckConstraint("revision >= 1", name="node_policy_revision_positive"),
    )

    node_name: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    retention_days_when_on: int | None = None


class GroupPolicy(Overrides, table=True):
    """In what one group differs from the fleet."""

    __tablename__ = "group_policy"
    __table_args__ = (
        ForeignKeyConstraint(
            ["group_name"], ["node_group.name"], name="group_policy_group", ondelete="CASCADE"
        ),
        CheckConstraint("revision >= 1", name="group_policy_revision_positive"),
    )

    group_name: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)


class OverridesChange(SQLModel):
    """The request to change a node or group; `null` makes it follow again, what is left out stays."""

    model_config = {"extra": "forbid"}

    registration_open: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    jit_enabled: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    registration_token_required: StrictBool | None = Field(
        default=None, description="In place of the fleet's."
    )
    app_accounts_enabled: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    backup_addresses: BackupAddresses | None = Field(default=None, description="In place of the fleet's.")
    quota_bytes: QuotaBytes | None = Field(default=None, description="In place of the fleet's.")
    message_bytes: MessageBytes | None = Field(default=None, description="In place of the fleet's.")
    message_retention_days: Days | None = Field(default=None, description="In place of the fleet's.")
    unused_account_days: Days | None = Field(default=None, description="In place of the fleet's.")
    large_message_retention_days: Days | None = Field(default=None, description="In place of the fleet's.")
    auto_trim: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    turn_enabled: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    push_enabled: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    push_pauses: StrictBool | None = Field(default=None, description="In place of the fleet's.")
    turn_announced_port: AnnouncedPort | None = Field(default=None, description="In place of the fleet's.")


class FleetPolicyChange(OverridesChange):
    """The request: what to change in the fleet; what is left out stays."""

    model_config = {"extra": "forbid", "json_schema_extra": forbid_null}

    turn_lifetime_seconds: TurnLifetime | None = Field(default=None)
    turn_allocations_per_credential: CredentialAllocations | None = Field(default=None)
    turn_allocations: Allocations | None = Field(default=None)

    @model_validator(mode="after")
    def _nothing_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("the fleet has nothing to fall back on; leave out what shall stay")
        return self


class Followed(SQLModel):
    """Anything that nodes are to follow."""

    missing_nodes: list[str] = Field(
        default=[], description="Nodes that it is for and that are not connected: they follow when they are."
    )


class FleetPolicyPublic(Followed, FleetRules, PolicyValues):
    """The response."""

    revision: int


class OverridesPublic(SQLModel):
    """In what a node or group differs; no field has a default, so that none can be forgotten unnoticed."""

    registration_open: bool | None
    jit_enabled: bool | None
    registration_token_required: bool | None
    app_accounts_enabled: bool | None
    backup_addresses: int | None
    quota_bytes: int | None
    message_bytes: int | None
    message_retention_days: int | None
    unused_account_days: int | None
    large_message_retention_days: int | None
    auto_trim: bool | None
    turn_enabled: bool | None
    push_enabled: bool | None
    push_pauses: bool | None
    turn_announced_port: int | None


class NodePolicyPublic(Followed):
    """The response: what the control plane wants of the node.

    A node's own admin can rule some of it himself; its report then names those settings.
    """

    node_name: str
    group_name: str | None = Field(description="The group whose word counts where the node has none.")
    revision: int
    overrides: OverridesPublic
    in_force: PolicyValues


class GroupPolicyPublic(Followed):
    """The response: in what a group differs, and what is in force on nodes of it that do not differ."""

    group_name: str
    revision: int
    overrides: OverridesPublic
    in_force: PolicyValues
