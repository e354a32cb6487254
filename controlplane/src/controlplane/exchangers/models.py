"""The table of exchangers, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, StrictBool, StrictInt, model_validator
from pydantic import Field as PydanticField
from sqlalchemy import BigInteger, CheckConstraint, Text
from sqlmodel import Field, SQLModel

from nodelink.contract.states import NodeName

DEFAULT_INTERVAL_SECONDS = 60


def _check_url(url: str) -> str:
    """See what a pattern cannot: whether the address in brackets is one, and the port. Raises: ValueError."""
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("port 0 is none")
    return url


Url = Annotated[
    str,
    PydanticField(
        max_length=500, pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?$"
    ),
    AfterValidator(_check_url),
]
Interval = Annotated[StrictInt, PydanticField(ge=1, le=86_400)]
Token = Annotated[str, PydanticField(min_length=1, max_length=500, pattern=r"^[!-~]+$")]


class Exchanger(SQLModel, table=True):
    """An exchanger. `sealed_token` is ciphertext (vault.py); `None` where it wants no token."""

    __tablename__ = "exchanger"
    __table_args__ = (CheckConstraint("poll_interval_seconds >= 1", name="exchanger_interval_positive"),)

    name: str = Field(primary_key=True)
    url: str
    is_enabled: bool
    poll_interval_seconds: int
    sealed_token: str | None = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)


class ExchangerRequest(SQLModel):
    """The request for an exchanger."""

    model_config = {"extra": "forbid"}

    name: NodeName = Field(description="What people call it: small letters, digits and dashes.")
    url: Url = Field(description="Its address; `/pull` or `/me/full` follow it.")
    is_enabled: StrictBool = Field(default=True, description="Whether nodes poll it.")
    poll_interval_seconds: Interval = Field(default=DEFAULT_INTERVAL_SECONDS, description="How often.")
    token: Token | None = Field(default=None, description="Shown to it as a Bearer token; never shown again.")


class ExchangerChange(SQLModel):
    """The request to change an exchanger; what is left out stays. `token` null: it wants none."""

    model_config = {"extra": "forbid"}

    url: Url | None = Field(default=None, description="Its address.")
    is_enabled: StrictBool | None = Field(default=None, description="Whether nodes poll it.")
    poll_interval_seconds: Interval | None = Field(default=None, description="How often.")
    token: Token | None = Field(default=None, description="Shown to it as a Bearer token; null for none.")

    @model_validator(mode="after")
    def _only_a_token_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set - {"token"}):
            raise ValueError("an exchanger has each of these; leave out what shall stay")
        return self


class ExchangerPublic(SQLModel):
    """An exchanger, without its token."""

    name: str
    url: str
    is_enabled: bool
    poll_interval_seconds: int
    has_token: bool
    created_at_seconds: int
