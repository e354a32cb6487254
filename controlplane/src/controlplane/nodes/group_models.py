"""Tables of groups, and the schemas around them.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from typing import Annotated

from pydantic import Field as PydanticField
from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field, SQLModel

from nodelink.contract.states import NodeName

MAX_LABEL = 100

Label = Annotated[
    str,
    PydanticField(max_length=MAX_LABEL, pattern=r"^[^\x00-\x1f\x7f]*$", description="What people call it."),
]


class GroupRequest(SQLModel):
    """The request for a group."""

    model_config = {"extra": "forbid"}

    name: NodeName = Field(description="Name of the group, as a DNS label.")
    label: Label = Field(default="")


class GroupChange(SQLModel):
    """The request to change a group."""

    model_config = {"extra": "forbid"}

    label: Label


class NodeGroup(SQLModel, table=True):
    """A group of nodes."""

    __tablename__ = "node_group"

    name: NodeName = Field(primary_key=True)
    label: str


class GroupMember(SQLModel, table=True):
    """In which group a node is. The key makes it one at most."""

    __tablename__ = "node_group_member"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_group_member_node", ondelete="CASCADE"),
        ForeignKeyConstraint(["group_name"], ["node_group.name"], name="node_group_member_group"),
        Index("node_group_member_group_name", "group_name"),
    )

    node_name: str = Field(primary_key=True)
    group_name: str


class GroupPublic(SQLModel):
    """A group."""

    name: str
    label: str
    nodes: int = Field(description="How many nodes are in it.")
