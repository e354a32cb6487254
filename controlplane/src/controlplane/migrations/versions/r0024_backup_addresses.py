"""Let policies say whether backup addresses are offered, and whether apps add accounts by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the columns: apps may as before, and one backup address is offered."""
    apps, backups = "app_accounts_enabled", "backup_addresses"
    op.add_column("fleet_policy", sa.Column(apps, sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("fleet_policy", sa.Column(backups, sa.Integer, nullable=False, server_default="1"))
    for table in ("group_policy", "node_policy"):
        op.add_column(table, sa.Column(apps, sa.Boolean))
        op.add_column(table, sa.Column(backups, sa.Integer))
