"""The table of moved ports, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from typing import Annotated

from pydantic import Field as PydanticField
from pydantic import StrictInt
from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from nodelink.contract.ports import PortName

Number = Annotated[StrictInt, PydanticField(ge=1, le=65535)]


class NodePort(SQLModel, table=True):
    """Where a service of a node is wanted; no row for one that stays where Ansible has put it."""

    __tablename__ = "node_port"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_port_node", ondelete="CASCADE"),
        CheckConstraint("number BETWEEN 1 AND 65535", name="node_port_number_valid"),
    )

    node_name: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    number: int


class PortsChange(SQLModel):
    """The request to move ports; null moves one back, and what is left out stays."""

    model_config = {"extra": "forbid"}

    submission: Number | None = Field(default=None, description="Mail submission with STARTTLS.")
    submission_tls: Number | None = Field(default=None, description="Mail submission over TLS.")
    imap: Number | None = Field(default=None, description="IMAP with STARTTLS.")
    imap_tls: Number | None = Field(default=None, description="IMAP over TLS.")
    turn: Number | None = Field(default=None, description="TURN, over UDP.")

    @property
    def named(self) -> dict[PortName, int | None]:
        """What was named in the request."""
        return {PortName(name): getattr(self, name) for name in self.model_fields_set}


class PortPublic(SQLModel):
    """Where a service is, and where it is wanted."""

    name: PortName
    configured: int | None = Field(description="Where Ansible has put it; null before the first report.")
    wanted: int | None = Field(description="Where it was moved; null where it stays.")
    effective: int | None = Field(description="Where the node says that it listens.")
    problem: str | None = Field(description="Why it is not where it is wanted, as the node says.")


class NodePortsPublic(SQLModel):
    """The ports of a node that can be moved. HTTPS is none: it belongs to Ansible."""

    node_name: str
    ports: list[PortPublic]
    alternate_ports: list[int] = Field(description="Where else a port may be: what Ansible has opened.")
    variable: str = Field(description="The variable of Ansible that says what is opened.")


class SeenPorts(SQLModel):
    """What admins decide about a node's ports; the ETag stands for this."""

    node_name: str
    wanted: dict[str, int]
