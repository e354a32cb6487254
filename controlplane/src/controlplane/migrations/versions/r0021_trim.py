"""Let full mailboxes make room, and large read messages go earlier."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"


def upgrade() -> None:
    """Add the columns: room is made where nobody says otherwise, and nothing goes earlier."""
    days, trim = "large_message_retention_days", "auto_trim"
    op.add_column("fleet_policy", sa.Column(days, sa.Integer, nullable=False, server_default="0"))
    op.add_column("fleet_policy", sa.Column(trim, sa.Boolean, nullable=False, server_default=sa.true()))
    for table in ("group_policy", "node_policy"):
        op.add_column(table, sa.Column(days, sa.Integer))
        op.add_column(table, sa.Column(trim, sa.Boolean))
