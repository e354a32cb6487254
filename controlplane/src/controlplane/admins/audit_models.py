"""The table of the audit log, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from enum import StrEnum

from pydantic import JsonValue
from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

HASHED = "hash "
"""How a name begins that has become a keyed hash; no name of an account has a blank."""


class Action(StrEnum):
    """What can be done."""

    ADMIN_TOKEN_CREATE = "admin-token.create"  # noqa: S105 - the name of an action
    ADMIN_TOKEN_REVOKE = "admin-token.revoke"  # noqa: S105 - the name of an action
    JOIN_TOKEN_CREATE = "join-token.create"  # noqa: S105 - the name of an action
    NODE_ENROL = "node.enrol"
    NODE_KEY_REPLACE = "node.key-replace"
    NODE_CHANGE = "node.change"
    NODE_MOVE = "node.move"
    NODE_PORTS_CHANGE = "node-ports.change"
    NODE_RETIRE = "node.retire"
    GROUP_CREATE = "group.create"
    GROUP_CHANGE = "group.change"
    GROUP_REMOVE = "group.remove"
    FLEET_POLICY_CHANGE = "fleet-policy.change"
    GROUP_POLICY_CHANGE = "group-policy.change"
    NODE_POLICY_CHANGE = "node-policy.change"
    REGISTRATION_TOKEN_CREATE = "registration-token.create"  # noqa: S105 - the name of an action
    REGISTRATION_TOKEN_CHANGE = "registration-token.change"  # noqa: S105 - the name of an action
    REGISTRATION_TOKEN_REMOVE = "registration-token.remove"  # noqa: S105 - the name of an action
    TURN_SECRET_ROTATE = "turn-secret.rotate"  # noqa: S105 - the name of an action
    ACCOUNT_QUOTA = "account.quota"
    ACCOUNT_REMOVE = "account.remove"
    ACCOUNT_IMPORT = "account.import"
    ACCOUNT_EXPORT = "account.export"
    ACCOUNT_BLOCK = "account.block"
    ACCOUNT_UNBLOCK = "account.unblock"
    MAIL_PURGE = "mail.purge"
    QUEUE_PURGE = "queue.purge"
    FEDERATION_CHANGE = "federation.change"
    DKIM_KEYS_ROTATE = "dkim-keys.rotate"
    EXCHANGER_CREATE = "exchanger.create"
    EXCHANGER_CHANGE = "exchanger.change"
    EXCHANGER_REMOVE = "exchanger.remove"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_CHANGE = "webhook.change"
    WEBHOOK_REMOVE = "webhook.remove"
    WEBHOOK_TEST = "webhook.test"


class AuditEntry(SQLModel, table=True):
    """One change. `before` and `after` are JSON objects, without secrets and without names of accounts.

    `subject` is such a name: the only place for what must not be kept for long. `target` names what was
    changed otherwise: a node, a group, the public part of a token, or nothing for the fleet itself.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index("audit_entry_subject", "subject"), Index("audit_entry_target", "target"))

    id: int | None = Field(default=None, primary_key=True)
    at_seconds: int = Field(sa_type=BigInteger)
    admin: str
    token: str
    action: Action = Field(sa_type=Text)
    target: str
    subject: str | None
    before: str | None = Field(sa_type=Text)
    after: str | None = Field(sa_type=Text)


class AuditPublic(SQLModel):
    """One change, as answers and exports show it."""

    id: int
    at_seconds: int
    admin: str = Field(description="Name of who did it.")
    token: str = Field(
        description="Public part of the token that was shown, or in what other way it was done."
    )
    action: Action
    target: str = Field(description="Node, group or token that was changed; empty for the fleet.")
    subject: str | None = Field(
        description="Account that it was about. After 30 days, `hash` and a keyed hash of it."
    )
    before: dict[str, JsonValue] | None
    after: dict[str, JsonValue] | None
