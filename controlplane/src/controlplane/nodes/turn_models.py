"""The table of TURN secrets, and what the Admin API shows of TURN.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Text
from sqlmodel import Field, SQLModel


class TurnSecret(SQLModel, table=True):
    """One secret that TURN nodes and mail nodes share, in the order in which they follow one another.

    `sealed` is ciphertext (vault.py). `in_force_at_seconds` is `None` for the next one, with which mail nodes
    make no credentials yet; `ends_at_seconds` is `None` but for the former one.
    """

    __tablename__ = "turn_secret"
    __table_args__ = (CheckConstraint("number >= 1", name="turn_secret_number_positive"),)

    number: int = Field(primary_key=True)
    sealed: str = Field(sa_type=Text)
    announced_at_seconds: int = Field(sa_type=BigInteger)
    in_force_at_seconds: int | None = Field(sa_type=BigInteger)
    ends_at_seconds: int | None = Field(sa_type=BigInteger)


class TurnOffer(SQLModel, table=True):
    """A UDP port at which TURN is to be had, and the host that mail nodes name with it (turn_access.py)."""

    __tablename__ = "turn_offer"
    __table_args__ = (CheckConstraint("port BETWEEN 1 AND 65535", name="turn_offer_port_valid"),)

    port: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    host: str


class TurnSecretState(StrEnum):
    """How far a secret is."""

    NEXT = "next"
    PRESENT = "present"
    FORMER = "former"


class TurnSecretPublic(SQLModel):
    """A secret, without the secret."""

    number: int = Field(description="Secrets are counted from 1.")
    state: TurnSecretState = Field(
        description="Mail nodes make credentials with the present one. TURN nodes take all that are listed."
    )
    announced_at_seconds: int
    in_force_at_seconds: int | None
    ends_at_seconds: int | None = Field(description="When TURN nodes forget a former secret.")


class TurnPublic(SQLModel):
    """The TURN service that mail nodes hand out, and the secrets behind its credentials."""

    host: str | None = Field(description="Null where the fleet has no TURN node.")
    port: int | None
    udp_ports: list[int] = Field(
        description="Where TURN nodes take clients by UDP: `turn_announced_port` may be any of these."
    )
    secrets: list[TurnSecretPublic] = Field(description="The live ones, at most two, the newest first.")
    awaited_nodes: list[str] = Field(
        description="Connected TURN nodes that have not the next secret yet. Mail nodes use it after that."
    )
