"""Let policies say at which port apps find TURN."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the columns, and the table of ports, which is filled at the start; what is announced stays."""
    port = "turn_announced_port"
    op.add_column("fleet_policy", sa.Column(port, sa.Integer, nullable=False, server_default="0"))
    for table in ("group_policy", "node_policy"):
        op.add_column(table, sa.Column(port, sa.Integer))
    op.create_table(
        "turn_offer",
        sa.Column("port", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("host", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("port", name="turn_offer_key"),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name="turn_offer_port_valid"),
    )
