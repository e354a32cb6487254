"""Let calls be switched off, and retention be switched off without forgetting its days."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

DAYS_WHEN_ON = 30


def upgrade() -> None:
    """Add the columns; what holds, holds on, and days that are in force are those that are remembered."""
    op.add_column(
        "fleet_policy", sa.Column("turn_enabled", sa.Boolean, nullable=False, server_default=sa.true())
    )
    op.add_column("group_policy", sa.Column("turn_enabled", sa.Boolean))
    op.add_column("node_policy", sa.Column("turn_enabled", sa.Boolean))
    when_on = "retention_days_when_on"
    op.add_column(
        "fleet_policy", sa.Column(when_on, sa.Integer, nullable=False, server_default=str(DAYS_WHEN_ON))
    )
    op.add_column("node_policy", sa.Column(when_on, sa.Integer))
    for table in ("fleet_policy", "node_policy"):
        policy = sa.table(table, sa.column(when_on), sa.column("message_retention_days"))
        op.execute(
            policy.update()
            .where(policy.c.message_retention_days > 0)
            .values({when_on: policy.c.message_retention_days})
        )
