"""Keep webhooks, what they have been told, and what waits for them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("comment", sa.String, nullable=False),
        sa.Column("events", sa.String, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("burst_accounts", sa.Integer, nullable=False),
        sa.Column("disk_percent", sa.Integer, nullable=False),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="webhook_key"),
    )
    op.create_table(
        "webhook_alarm",
        sa.Column("webhook_id", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("raised_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("clear_since_seconds", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", "event", "subject", name="webhook_alarm_key"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name="webhook_alarm_hook", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("webhook_id", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at_seconds", sa.BigInteger, nullable=True),
        sa.Column("delivered_at_seconds", sa.BigInteger, nullable=True),
        sa.Column("problem", sa.String, nullable=True),
        sa.PrimaryKeyConstraint("id", name="webhook_delivery_key"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name="webhook_delivery_hook", ondelete="CASCADE"
        ),
    )
    op.create_index("webhook_delivery_next", "webhook_delivery", ["next_at_seconds"])
    op.create_index("webhook_delivery_of", "webhook_delivery", ["webhook_id"])
