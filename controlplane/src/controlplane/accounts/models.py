"""What the Admin API says about accounts, and what it is told.

Not for: what travels to nodes (nodelink.contract.accounts), or tables; there are none.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from nodelink.contract.accounts import (
    MAX_HASH_CHARACTERS,
    MAX_REASON_CHARACTERS,
    AccountEntry,
    BlockedAddress,
    PurgeWhat,
    QueuedMail,
)
from nodelink.contract.states import MAX_DAYS, NodeName

MAX_IMPORTED = 2_000
MAX_CHOSEN = 2_000  # even with the longest addresses, they fit into one request

Text = StringConstraints(strict=True, pattern=r"^[^\x00]*$")
GivenAddress = Annotated[str, Text, Field(min_length=3, max_length=320)]

GivenPassword = Annotated[str, Text, Field(min_length=1, max_length=1024)]
GivenHash = Annotated[str, Text, Field(min_length=1, max_length=MAX_HASH_CHARACTERS)]


class Request(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Direction(StrEnum):
    """Which way a list goes."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class AccountPublic(AccountEntry):
    """An account and where it lives."""

    node_name: str


class AccountList(BaseModel):
    """One page of the accounts of several nodes."""

    items: list[AccountPublic]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")
    missing_nodes: list[str] = Field(description="Nodes whose accounts are not in it: they did not answer.")


class NodeTotals(BaseModel):
    """What the accounts of one node come to."""

    node_name: str
    accounts: int
    size_bytes: int
    message_count: int


class AccountTotalsPublic(BaseModel):
    """What all accounts come to."""

    accounts: int
    size_bytes: int
    message_count: int
    nodes: list[NodeTotals]
    missing_nodes: list[str] = Field(description="Nodes that are not in it: they did not answer.")


class BlockedPublic(BlockedAddress):
    """A blocked address, and on which node."""

    node_name: str


class Blocklist(BaseModel):
    """One page of the blocklists of several nodes."""

    items: list[BlockedPublic]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")
    missing_nodes: list[str] = Field(description="Nodes whose blocks are not in it: they did not answer.")


class QueuePublic(BaseModel):
    """What waits on a node for other nodes."""

    node_name: str
    items: list[QueuedMail]


class BlockRequest(Request):
    """Why an address is blocked."""

    reason: Annotated[str, Text, Field(max_length=MAX_REASON_CHARACTERS, description="For admins.")] = ""


class AccountImport(Request):
    """An account that is to be made, by its password or by a hash of it."""

    address: GivenAddress
    password: GivenPassword | None = Field(default=None, repr=False)
    password_hash: GivenHash | None = Field(
        default=None,
        repr=False,
        description="`sha256:` of Madmail, `$2b$`, `$5$`, `$6$` or `$argon2`; renewed at the first login.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.password is None) == (self.password_hash is None):
            raise ValueError("an account has either a password or a hash of it")
        return self


class ImportRequest(Request):
    """Accounts that are to be made on one node."""

    accounts: list[AccountImport] = Field(min_length=1, max_length=MAX_IMPORTED)


class ExportedPublic(BaseModel):
    """An account as it can be imported."""

    address: str
    password_hash: str


class PurgeRequest(Request):
    """Which messages are to go."""

    what: PurgeWhat
    older_than_days: Annotated[int, Field(strict=True, ge=0, le=MAX_DAYS)] | None = Field(
        default=None, description="For `older`; this or `older_than_hours` is needed there."
    )
    older_than_hours: Annotated[int, Field(strict=True, ge=0, le=24 * MAX_DAYS)] | None = Field(
        default=None, description="For `older`; this or `older_than_days` is needed there."
    )

    @property
    def age_seconds(self) -> int | None:
        """How old messages must be; `None` where it does not matter."""
        if self.older_than_hours is not None:
            return self.older_than_hours * 3600
        return None if self.older_than_days is None else self.older_than_days * 86_400

    @model_validator(mode="after")
    def _age_is_said(self) -> Self:
        unsaid = [self.older_than_days, self.older_than_hours].count(None)
        if unsaid != (1 if self.what is PurgeWhat.OLDER else 2):
            raise ValueError("older_than_days or older_than_hours is for `older`, and one is needed there")
        return self


class QueuePurgeRequest(Request):
    """What is to go from a queue."""

    destination: Annotated[str, Text, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="One domain; otherwise all of it."
    )


class BulkAction(StrEnum):
    """What is done with many accounts."""

    REMOVE = "remove"
    BLOCK = "block"
    UNBLOCK = "unblock"


class ChosenAccount(Request):
    """One of many accounts."""

    node: NodeName
    address: GivenAddress


class BulkRequest(Request):
    """What is to be done with which accounts."""

    action: BulkAction
    accounts: list[ChosenAccount] = Field(min_length=1, max_length=MAX_CHOSEN)
    reason: Annotated[str, Text, Field(max_length=MAX_REASON_CHARACTERS)] = Field(
        default="", description="Why they are blocked."
    )


class NoticeRequest(Request):
    """What people are to read."""

    text: Annotated[str, Text, Field(min_length=1, max_length=10_000)]
    node: NodeName | None = Field(default=None, description="Those of one node; otherwise everybody.")
    address: GivenAddress | None = Field(default=None, description="One account.")
