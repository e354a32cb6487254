"""The tables of the last day, and how it is shown.

Rows are bounded: each node has at most one for each minute of a day, and the fleet as well.
There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel


class NodeSample(SQLModel, table=True):
    """A node's figures at a minute, as it reported them; none where it was not connected."""

    __tablename__ = "node_sample"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_sample_node", ondelete="CASCADE"),
        Index("node_sample_at", "at_seconds"),
    )

    node_name: str = Field(primary_key=True)
    at_seconds: int = Field(primary_key=True, sa_type=BigInteger)
    figures: str = Field(sa_type=Text)


class FleetSample(SQLModel, table=True):
    """The whole fleet at a minute: gauges added up, and by how much counters grew in that minute."""

    __tablename__ = "fleet_sample"

    at_seconds: int = Field(primary_key=True, sa_type=BigInteger)
    figures: str = Field(sa_type=Text)


class HistoryPublic(SQLModel):
    """The last hours at one minute, as columns: every list is as long as `times_seconds`."""

    interval_seconds: int
    times_seconds: list[int] = Field(description="The minutes, without gaps; the oldest first.")
    figures: dict[str, list[float | None]] = Field(
        description="By name; a counter is how much it grew in that minute, and null stands for not known."
    )
