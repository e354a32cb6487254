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


class TurnPool(SQLModel, table=True):
    """Where the mail nodes that a pool serves are told that TURN is (turn_access.py).

    `group_name` is empty for the pool of the fleet. A pool that has nothing to hand out has no row.
    """

    __tablename__ = "turn_pool"

    group_name: str = Field(primary_key=True)
    host: str
    port: int


class TurnPoolOffer(SQLModel, table=True):
    """A UDP port at which a pool is to be had, and the host that mail nodes name with it (turn_access.py)."""

    __tablename__ = "turn_pool_offer"
    __table_args__ = (CheckConstraint("port BETWEEN 1 AND 65535", name="turn_pool_offer_port_valid"),)

    group_name: str = Field(primary_key=True)
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


class TurnPoolPublic(SQLModel):
    """TURN nodes that serve the mail nodes of their group, or everyone else."""

    group: str | None = Field(description="Null for the pool of the fleet.")
    host: str | None = Field(description="What the mail nodes are told; null without a TURN node.")
    port: int | None
    nodes: list[str]
    is_serving: bool = Field(
        description="False while none of a group's nodes takes calls, so that the fleet's pool serves it."
    )


class TurnPublic(SQLModel):
    """The TURN service that mail nodes hand out, and the secrets behind its credentials."""

    host: str | None = Field(description="That of the fleet's pool. Null where it has no TURN node.")
    port: int | None
    pools: list[TurnPoolPublic] = Field(description="The fleet's, then those of groups by name.")
    udp_ports: list[int] = Field(
        description="Where TURN nodes take clients by UDP: `turn_announced_port` may be any of these."
    )
    secrets: list[TurnSecretPublic] = Field(description="The live ones, at most two, the newest first.")
    awaited_nodes: list[str] = Field(
        description="Connected TURN nodes that have not the next secret yet. Mail nodes use it after that."
    )
