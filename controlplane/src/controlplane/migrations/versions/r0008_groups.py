"""Let nodes have labels, drain, and be in groups that differ from the fleet."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables; no node is in a group yet, and none drains."""
    op.add_column("node", sa.Column("label", sa.String, nullable=False, server_default=""))
    op.add_column("node", sa.Column("is_draining", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "node_group",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="node_group_key"),
    )
    op.create_table(
        "node_group_member",
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("group_name", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("node_name", name="node_group_member_key"),
        sa.ForeignKeyConstraint(
            ["node_name"], ["node.name"], name="node_group_member_node", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["group_name"], ["node_group.name"], name="node_group_member_group"),
    )
    op.create_index("node_group_member_group_name", "node_group_member", ["group_name"])
    op.create_table(
        "group_policy",
        sa.Column("group_name", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("registration_open", sa.Boolean),
        sa.Column("jit_enabled", sa.Boolean),
        sa.Column("quota_bytes", sa.BigInteger),
        sa.Column("message_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("group_name", name="group_policy_key"),
        sa.ForeignKeyConstraint(
            ["group_name"], ["node_group.name"], name="group_policy_group", ondelete="CASCADE"
        ),
        sa.CheckConstraint("revision >= 1", name="group_policy_revision_positive"),
    )
