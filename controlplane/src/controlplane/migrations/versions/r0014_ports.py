"""Keep which ports were moved."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "node_port",
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("node_name", "name", name="node_port_key"),
        sa.ForeignKeyConstraint(["node_name"], ["node.name"], name="node_port_node", ondelete="CASCADE"),
        sa.CheckConstraint("number BETWEEN 1 AND 65535", name="node_port_number_valid"),
    )
