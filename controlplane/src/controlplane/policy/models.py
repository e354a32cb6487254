"""Tables of the policy domain, and the schemas around them.

One family: `PolicyValues` are what an operator decides and a node may differ in, `FleetRules` what is the
same everywhere. There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from typing import Self

from pydantic import model_validator
from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from nodelink.contract.states import MAX_REVISION

SMALLEST_QUOTA_BYTES = 1 << 20
LARGEST_QUOTA_BYTES = 1 << 50
SMALLEST_MESSAGE_BYTES = 1 << 16
LARGEST_MESSAGE_BYTES = 1 << 30
"""The largest number that every JSON parser keeps exactly."""
SECONDS_PER_DAY = 86_400


class PolicyValues(SQLModel):
    """What holds on a mail node; the fleet says it, and a node may differ."""

    registration_open: bool = Field(description="Whether new accounts may be made at all.")
    jit_enabled: bool = Field(description="Whether an unknown login makes its account, while that is open.")
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


class Overrides(SQLModel):
    """In what a node differs; `None` where it does not."""

    registration_open: bool | None = Field(default=None, description="In place of the fleet's.")
    jit_enabled: bool | None = Field(default=None, description="In place of the fleet's.")
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


class NodePolicy(Overrides, table=True):
    """In what one node differs from the fleet."""

    __tablename__ = "node_policy"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_policy_node", ondelete="CASCADE"),
        CheckConstraint("revision >= 1", name="node_policy_revision_positive"),
    )

    node_name: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)


class FleetPolicyChange(Overrides):
    """The request: what to change, and the revision that the operator was looking at."""

    model_config = {"extra": "forbid"}

    revision: int = Field(ge=1, le=MAX_REVISION)
    turn_lifetime_seconds: int | None = Field(default=None, ge=SECONDS_PER_DAY, le=30 * SECONDS_PER_DAY)
    turn_allocations_per_credential: int | None = Field(default=None, ge=1, le=10_000)
    turn_allocations: int | None = Field(default=None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _nothing_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("the fleet has nothing to fall back on; leave out what shall stay")
        return self


class NodePolicyChange(Overrides):
    """The request: what to change on one node; `null` makes it follow the fleet again."""

    model_config = {"extra": "forbid"}

    revision: int = Field(ge=1, le=MAX_REVISION)


class FleetPolicyPublic(FleetRules, PolicyValues):
    """The response."""

    revision: int


class OverridesPublic(SQLModel):
    """In what a node differs; no field has a default, so that none can be forgotten unnoticed."""

    registration_open: bool | None
    jit_enabled: bool | None
    quota_bytes: int | None
    message_bytes: int | None


class NodePolicyPublic(SQLModel):
    """The response: what the control plane wants of the node.

    A node's own admin can rule some of it himself; its report then names those settings.
    """

    node_name: str
    revision: int
    overrides: OverridesPublic
    in_force: PolicyValues
