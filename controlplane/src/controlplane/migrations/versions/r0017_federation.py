"""Let the fleet, groups and nodes say with whom they exchange mail."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table; nobody has said anything yet."""
    op.create_table(
        "federation_policy",
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("node_name", sa.String),
        sa.Column("group_name", sa.String),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="federation_policy_key"),
        sa.ForeignKeyConstraint(
            ["node_name"], ["node.name"], name="federation_policy_node", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_name"], ["node_group.name"], name="federation_policy_group", ondelete="CASCADE"
        ),
        sa.CheckConstraint("revision >= 1", name="federation_policy_revision_positive"),
    )
