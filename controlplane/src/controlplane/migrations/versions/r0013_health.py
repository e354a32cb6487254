"""Keep the last day of the fleet."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "node_sample",
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("at_seconds", sa.BigInteger, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("node_name", "at_seconds", name="node_sample_key"),
        sa.ForeignKeyConstraint(["node_name"], ["node.name"], name="node_sample_node", ondelete="CASCADE"),
    )
    op.create_index("node_sample_at", "node_sample", ["at_seconds"])
    op.create_table(
        "fleet_sample",
        sa.Column("at_seconds", sa.BigInteger, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("at_seconds", name="fleet_sample_key"),
    )
