"""The table of admin tokens.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field as PydanticField
from sqlalchemy import BigInteger, CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

ADMIN_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$"

AdminName = Annotated[str, PydanticField(pattern=ADMIN_NAME_PATTERN)]


class Role(StrEnum):
    """What somebody is trusted with."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"


class AdminToken(SQLModel, table=True):
    """A token, without its secret. `prefix` is the public part, by which it is found and named in logs."""

    __tablename__ = "admin_token"
    __table_args__ = (
        UniqueConstraint("prefix", name="admin_token_prefix_unique"),
        CheckConstraint("role IN ('viewer', 'operator', 'owner')", name="admin_token_role_known"),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: AdminName
    role: Role = Field(sa_type=Text)
    prefix: str
    secret_hash: str
    created_at_seconds: int = Field(sa_type=BigInteger)
    revoked_at_seconds: int | None = Field(sa_type=BigInteger)
