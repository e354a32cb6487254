"""Tables of the nodes domain, and the schemas around them.

Times are whole seconds since 1970: they are compared in SQL, and neither database nor driver can shift them.
There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field as PydanticField
from pydantic import StrictBool, StrictInt, model_validator
from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from controlplane.nodes.group_models import Label
from controlplane.rest.schemas import forbid_null
from nodelink.contract.reports import Report
from nodelink.contract.states import MAX_WEIGHT, NodeKind, NodeName

DEFAULT_TOKEN_HOURS = 24
MAX_TOKEN_HOURS = 30 * 24
DEFAULT_WEIGHT = 100


class Health(StrEnum):
    """How a node is, in one word."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_CONNECTED = "not connected"
    NEVER_SEEN = "never seen"


class Fleet(SQLModel, table=True):
    """What there is one of. Every change begins by raising `change_count`, which puts changes in a row.

    `mail_nodes_ever` counts enrolments of new mail nodes, retired ones too: it is the next residue.
    """

    __tablename__ = "fleet"
    __table_args__ = (CheckConstraint("id = 1", name="fleet_is_one"),)

    id: int = Field(primary_key=True)
    change_count: int = Field(sa_type=BigInteger)
    mail_nodes_ever: int


class FleetSiblings(SQLModel, table=True):
    """The list of siblings that desired states name, as it is signed. There is one row, or none yet."""

    __tablename__ = "sibling_list"
    __table_args__ = (CheckConstraint("id = 1", name="sibling_list_is_one"),)

    id: int = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    digest: str
    content: str = Field(sa_type=Text)


class Secret(SQLModel, table=True):
    """A secret of the fleet, as ciphertext (vault.py)."""

    __tablename__ = "secret"

    name: str = Field(primary_key=True)
    sealed: str = Field(sa_type=Text)


class NodeFields(SQLModel):
    """What is known of a node since its enrolment."""

    name: NodeName = Field(primary_key=True, description="Name of the node.")
    kind: NodeKind = Field(sa_type=Text, description="What the node does.")
    public_key: str = Field(description="The node's identity: an Ed25519 key, base64url.")
    enrolled_at_seconds: int = Field(sa_type=BigInteger, description="When this key was accepted.")
    revision: int = Field(sa_type=BigInteger, description="Revision of the state that is wanted of the node.")
    weight: int = Field(description="How many of the new accounts a mail node gets, in relation to others.")
    label: str = Field(description="What people call it.")
    is_draining: bool = Field(
        description="Whether it gets nothing new: a mail node makes no accounts, a TURN node is named to "
        "mail nodes only where there is no other. What it has goes on."
    )


class Node(NodeFields, table=True):
    """A node. `state_digest` tells whether its desired state still is the one of `revision`."""

    __tablename__ = "node"
    __table_args__ = (
        UniqueConstraint("public_key", name="node_public_key_unique"),
        UniqueConstraint("residue", name="node_residue_unique"),
        CheckConstraint("kind IN ('mail', 'turn')", name="node_kind_known"),
        CheckConstraint("revision >= 1", name="node_revision_positive"),
    )

    residue: int | None = Field(description="What TURN credentials of a mail node leave when divided.")
    state_digest: str


class NodeReport(SQLModel, table=True):
    """The last report of a node, as it was sent."""

    __tablename__ = "node_report"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_report_node", ondelete="CASCADE"),
    )

    node_name: str = Field(primary_key=True)
    received_at_seconds: int = Field(sa_type=BigInteger)
    body: str = Field(sa_type=Text)


class JoinTicket(SQLModel, table=True):
    """The stub of a join token: all but its secret."""

    __tablename__ = "join_ticket"
    __table_args__ = (
        UniqueConstraint("secret_hash", name="join_ticket_secret_unique"),
        CheckConstraint("kind IN ('mail', 'turn')", name="join_ticket_kind_known"),
    )

    id: int | None = Field(default=None, primary_key=True)
    node_name: NodeName
    kind: NodeKind = Field(sa_type=Text)
    secret_hash: str
    key_is_replaced: bool
    expires_at_seconds: int = Field(sa_type=BigInteger)
    used_at_seconds: int | None = Field(sa_type=BigInteger)


class JoinTokenRequest(SQLModel):
    """The request for a join token."""

    model_config = {"extra": "forbid"}

    name: NodeName = Field(description="What the node will be called.")
    kind: NodeKind
    valid_for_hours: StrictInt = Field(default=DEFAULT_TOKEN_HOURS, ge=1, le=MAX_TOKEN_HOURS)
    replace_key: StrictBool = Field(default=False, description="Whether it may take the place of a node.")


class JoinTokenPublic(SQLModel):
    """A join token. It is shown here and never again."""

    join_token: str
    name: str
    kind: NodeKind
    expires_at_seconds: int


class NodePublic(NodeFields):
    """A node, and how it is. `report` is `None` for one that has never reported."""

    group: str | None = Field(description="Name of the group that it is in.")
    health: Health
    is_connected: bool = Field(description="Whether it has reported within the last seconds.")
    applied_revision: int
    report_age_seconds: int | None
    report: Report | None


class NodeChange(SQLModel):
    """The request to change a node; what is left out stays."""

    model_config = {"extra": "forbid", "json_schema_extra": forbid_null}

    label: Label | None = Field(default=None, description="What people call it.")
    weight: Annotated[StrictInt, PydanticField(ge=0, le=MAX_WEIGHT)] | None = Field(
        default=None, description="How many of the new accounts a mail node gets, in relation to others."
    )
    is_draining: StrictBool | None = Field(default=None, description="Whether it gets nothing new.")

    @model_validator(mode="after")
    def _nothing_is_cleared(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a node has each of these; leave out what shall stay")
        return self


class NodeMove(SQLModel):
    """The request to put a node into a group, or out of any."""

    model_config = {"extra": "forbid"}

    group: NodeName | None = Field(description="Name of the group; null for none.")
