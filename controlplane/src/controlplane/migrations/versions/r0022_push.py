"""Let notifications be switched off, or pause by themselves while their proxy fails."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the columns: apps are woken as before, and nothing pauses."""
    enabled, pauses = "push_enabled", "push_pauses"
    op.add_column("fleet_policy", sa.Column(enabled, sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("fleet_policy", sa.Column(pauses, sa.Boolean, nullable=False, server_default=sa.false()))
    for table in ("group_policy", "node_policy"):
        op.add_column(table, sa.Column(enabled, sa.Boolean))
        op.add_column(table, sa.Column(pauses, sa.Boolean))
