"""The table of admin tokens, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field as PydanticField
from pydantic import StrictInt, model_validator
from sqlalchemy import BigInteger, CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from controlplane.admins.access import Role, Scope, ScopeKind
from controlplane.settings import ADMIN_NAME_PATTERN
from nodelink.contract.states import NodeName

MAX_VALID_HOURS = 10 * 366 * 24

ValidHours = Annotated[StrictInt, PydanticField(ge=1, le=MAX_VALID_HOURS)]
AdminName = Annotated[str, PydanticField(pattern=ADMIN_NAME_PATTERN)]


class TokenState(StrEnum):
    """Whether a token is taken, and why not. A token is shadowed by one of its name in the settings."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SHADOWED = "shadowed"


class TokenFields(SQLModel):
    """What is known of a token, in the table and in answers."""

    name: AdminName = Field(description="Who uses it.")
    role: Role = Field(sa_type=Text, description="What he is trusted with.")
    scope_kind: ScopeKind = Field(sa_type=Text, description="Of how much.")
    scope_name: str | None = Field(description="Name of the group or node; null for the fleet.")
    created_at_seconds: int = Field(sa_type=BigInteger)
    expires_at_seconds: int | None = Field(sa_type=BigInteger)
    last_used_at_seconds: int | None = Field(sa_type=BigInteger, description="To within ten minutes.")
    revoked_at_seconds: int | None = Field(sa_type=BigInteger)


class AdminToken(TokenFields, table=True):
    """A token, without its secret. `prefix` is the public part, by which it is found and named in logs."""

    __tablename__ = "admin_token"
    __table_args__ = (
        UniqueConstraint("prefix", name="admin_token_prefix_unique"),
        CheckConstraint("role IN ('viewer', 'operator', 'owner')", name="admin_token_role_known"),
    )

    id: int | None = Field(default=None, primary_key=True)
    prefix: str
    secret_hash: str

    @property
    def scope(self) -> Scope:
        """Say for what part of the fleet the token is."""
        return Scope(ScopeKind(self.scope_kind), self.scope_name)


class TokenRequest(SQLModel):
    """The request for a token."""

    model_config = {"extra": "forbid"}

    name: AdminName = Field(description="Who will use it; the audit log names him.")
    role: Role = Field(description="What he is trusted with.")
    scope_kind: ScopeKind = Field(default=ScopeKind.FLEET, description="Of how much.")
    scope_name: NodeName | None = Field(
        default=None, description="Name of the group or node; null for the fleet."
    )
    valid_for_hours: ValidHours | None = Field(
        default=None, description="Hours until it expires; null: never."
    )

    @model_validator(mode="after")
    def _scope_is_whole(self) -> Self:
        if (self.scope_kind is ScopeKind.FLEET) != (self.scope_name is None):
            raise ValueError("name the group or the node in scope_name, and nothing for the fleet")
        if self.role is Role.OWNER and self.scope_kind is not ScopeKind.FLEET:
            raise ValueError("an owner decides who may steer, which is the fleet's; make it an operator")
        return self

    @property
    def scope(self) -> Scope:
        """Say for what part of the fleet the token will be."""
        return Scope(self.scope_kind, self.scope_name)


class TokenPublic(SQLModel):
    """A token, without its secret. `id` is its public part, or `settings` for the one that stands there."""

    id: str
    name: str
    role: Role
    scope_kind: ScopeKind
    scope_name: str | None
    state: TokenState
    created_at_seconds: int | None = Field(description="Null for the token in the settings.")
    expires_at_seconds: int | None
    last_used_at_seconds: int | None = Field(description="To within ten minutes.")
    revoked_at_seconds: int | None


class NewTokenPublic(TokenPublic):
    """A token with its secret. It is shown here and never again."""

    token: str


class CallerPublic(SQLModel):
    """Whose token it is, and what it is for."""

    name: str
    role: Role
    scope_kind: ScopeKind
    scope_name: str | None
