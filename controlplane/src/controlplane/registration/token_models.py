"""The table of registration tokens, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field as PydanticField
from pydantic import StrictInt, model_validator
from sqlalchemy import BigInteger, CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from controlplane.rest.schemas import forbid_null
from nodelink.contract.states import NodeName

MAX_USES = 1_000_000
MAX_COMMENT = 200
LATEST_SECONDS = 1 << 40

RegistrationTokenText = Annotated[str, PydanticField(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Uses = Annotated[StrictInt, PydanticField(ge=1, le=MAX_USES)]
Comment = Annotated[str, PydanticField(max_length=MAX_COMMENT, pattern=r"^[^\x00-\x1f\x7f]*$")]
ExpirySeconds = Annotated[StrictInt, PydanticField(ge=0, le=LATEST_SECONDS)]


class InvitationState(StrEnum):
    """Whether a token is taken, and why not."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


class RegistrationToken(SQLModel, table=True):
    """A token by which people register, anywhere on the fleet or, with `node`, at that node's own page.

    It is shown again to operators, so it is kept as ciphertext.
    """

    __tablename__ = "registration_token"
    __table_args__ = (
        UniqueConstraint("token_hash", name="registration_token_hash_unique"),
        CheckConstraint("used_count >= 0", name="registration_token_used_not_negative"),
    )

    id: str = Field(primary_key=True)
    token_hash: str
    sealed_token: str = Field(sa_type=Text)
    node: str | None
    comment: str
    max_uses: int
    used_count: int
    created_at_seconds: int = Field(sa_type=BigInteger)
    expires_at_seconds: int | None = Field(sa_type=BigInteger)


class InvitationRequest(SQLModel):
    """The request for a registration token."""

    model_config = {"extra": "forbid"}

    token: RegistrationTokenText | None = Field(default=None, description="Null: one is made up.")
    node: NodeName | None = Field(
        default=None, description="The mail node at which alone it is redeemed. Null: at the control plane."
    )
    max_uses: Uses = Field(default=1, description="How many accounts it makes.")
    comment: Comment = Field(default="", description="For operators.")
    expires_at_seconds: ExpirySeconds | None = Field(default=None, description="Null: never.")


class InvitationChange(SQLModel):
    """The request to change a registration token; what is left out stays."""

    model_config = {"extra": "forbid", "json_schema_extra": forbid_null}

    max_uses: Uses | None = Field(default=None, description="How many accounts it makes.")
    comment: Comment | None = Field(default=None, description="For operators.")
    expires_at_seconds: ExpirySeconds | None = Field(default=None, description="When it ends.")

    @model_validator(mode="after")
    def _nothing_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a token has each of these; leave out what shall stay")
        return self


class InvitationPublic(SQLModel):
    """A registration token, for operators."""

    id: str
    token: str
    node: str | None = Field(description="Where alone it is redeemed. Null: at the control plane.")
    register_url: str | None = Field(
        description="Page for whoever gets the token. Null while its node has not said where it is."
    )
    comment: str
    max_uses: int
    used_count: int = Field(description="Accounts made, and those being made at this moment.")
    state: InvitationState
    created_at_seconds: int
    expires_at_seconds: int | None
