"""The table of operations, and the schema of the answer.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel

from controlplane.policy.models import QuotaBytes


class OperationName(StrEnum):
    """What can be done on a node."""

    CHANGE_QUOTA = "change_quota"
    CREATE_ACCOUNT = "create_account"
    REMOVE_ACCOUNT = "remove_account"


class OperationState(StrEnum):
    """How far an operation is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class NodeOperation(SQLModel, table=True):
    """One thing to do on one node.

    `arguments` (JSON) is emptied at the acknowledgement: the control plane keeps no addresses of accounts and
    no passwords.
    `problem` is what the node said if it could not do it. `registration_token_id` names the token whose use
    is given back then.
    """

    __tablename__ = "node_operation"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_operation_node", ondelete="CASCADE"),
        Index("node_operation_waiting", "node_name", "acknowledged_at_seconds"),
    )

    id: str = Field(primary_key=True)
    node_name: str
    name: OperationName = Field(sa_type=Text)
    arguments: str | None = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)
    acknowledged_at_seconds: int | None = Field(sa_type=BigInteger)
    problem: str | None = Field(sa_type=Text)
    registration_token_id: str | None


class AccountQuota(SQLModel):
    """The request for an account's own quota."""

    model_config = {"extra": "forbid"}

    quota_bytes: QuotaBytes | None = Field(description="Null makes it follow its node again.")


class OperationPublic(SQLModel):
    """An operation, without what it was about."""

    id: str
    node_name: str
    name: OperationName
    state: OperationState
    created_at_seconds: int
    acknowledged_at_seconds: int | None
    problem: str | None
