"""Keep what needs doing once on a node until it is done."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "node_operation",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at_seconds", sa.BigInteger),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("id", name="node_operation_key"),
        sa.ForeignKeyConstraint(["node_name"], ["node.name"], name="node_operation_node", ondelete="CASCADE"),
    )
    op.create_index("node_operation_waiting", "node_operation", ["node_name", "acknowledged_at_seconds"])
