"""Let the fleet have a policy, and mail nodes differ from it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

QUOTA_BYTES = 1 << 30
MESSAGE_BYTES = 31_457_280
TURN_LIFETIME_SECONDS = 5 * 86_400


def upgrade() -> None:
    """Make the tables; the fleet begins open, and nodes that are there already differ in nothing."""
    fleet_policy = op.create_table(
        "fleet_policy",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("registration_open", sa.Boolean, nullable=False),
        sa.Column("jit_enabled", sa.Boolean, nullable=False),
        sa.Column("quota_bytes", sa.BigInteger, nullable=False),
        sa.Column("message_bytes", sa.BigInteger, nullable=False),
        sa.Column("turn_lifetime_seconds", sa.Integer, nullable=False),
        sa.Column("turn_allocations_per_credential", sa.Integer, nullable=False),
        sa.Column("turn_allocations", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="fleet_policy_key"),
        sa.CheckConstraint("id = 1", name="fleet_policy_is_one"),
        sa.CheckConstraint("revision >= 1", name="fleet_policy_revision_positive"),
    )
    op.bulk_insert(
        fleet_policy,
        [
            {
                "id": 1,
                "revision": 1,
                "registration_open": True,
                "jit_enabled": True,
                "quota_bytes": QUOTA_BYTES,
                "message_bytes": MESSAGE_BYTES,
                "turn_lifetime_seconds": TURN_LIFETIME_SECONDS,
                "turn_allocations_per_credential": 16,
                "turn_allocations": 4096,
            }
        ],
    )
    node_policy = op.create_table(
        "node_policy",
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("registration_open", sa.Boolean),
        sa.Column("jit_enabled", sa.Boolean),
        sa.Column("quota_bytes", sa.BigInteger),
        sa.Column("message_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("node_name", name="node_policy_key"),
        sa.ForeignKeyConstraint(["node_name"], ["node.name"], name="node_policy_node", ondelete="CASCADE"),
        sa.CheckConstraint("revision >= 1", name="node_policy_revision_positive"),
    )
    node = sa.table("node", sa.column("name"))
    op.execute(
        node_policy.insert().from_select(["node_name", "revision"], sa.select(node.c.name, sa.literal(1)))
    )
