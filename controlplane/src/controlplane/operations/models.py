"""The table of operations, and the schema of the answer.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel

from controlplane.policy.models import QuotaBytes


class OperationName(StrEnum):
    """What can be done on a node."""

    BLOCK_ADDRESSES = "block_addresses"
    CHANGE_QUOTA = "change_quota"
    CREATE_ACCOUNT = "create_account"
    IMPORT_ACCOUNTS = "import_accounts"
    PURGE_MAIL = "purge_mail"
    PURGE_QUEUE = "purge_queue"
    REMOVE_ACCOUNT = "remove_account"
    REMOVE_ACCOUNTS = "remove_accounts"
    ROTATE_DKIM_KEYS = "rotate_dkim_keys"
    UNBLOCK_ADDRESSES = "unblock_addresses"


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
    is given back then. `bulk_id` is the same for all parts of a change of many accounts; `account_count` is
    how many accounts this is about, 0 where it is not about certain ones.
    """

    __tablename__ = "node_operation"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="node_operation_node", ondelete="CASCADE"),
        Index("node_operation_waiting", "node_name", "acknowledged_at_seconds"),
        Index("node_operation_created", "created_at_seconds", "id"),
        Index("node_operation_bulk", "bulk_id"),
    )

    id: str = Field(primary_key=True)
    node_name: str
    name: OperationName = Field(sa_type=Text)
    arguments: str | None = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)
    acknowledged_at_seconds: int | None = Field(sa_type=BigInteger)
    problem: str | None = Field(sa_type=Text)
    registration_token_id: str | None
    bulk_id: str | None
    account_count: int


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
    bulk_id: str | None = Field(description="Of what it is a part; null for what was asked for alone.")
    account_count: int = Field(description="How many accounts it is about; 0 where not about certain ones.")


class BulkPublic(SQLModel):
    """A change of many accounts, which is done in parts."""

    id: str
    name: OperationName
    state: OperationState = Field(description="Waiting until all parts are done; failed if one has.")
    created_at_seconds: int
    acknowledged_at_seconds: int | None = Field(description="When the last part was; null while waiting.")
    operations: int = Field(description="How many parts there are.")
    done_operations: int
    failed_operations: int
    accounts: int
    done_accounts: int = Field(description="Accounts in parts that were acknowledged, failed ones included.")
    waiting_nodes: list[str]
    problems: list[str] = Field(description="What nodes said of parts that failed, the first twenty.")
