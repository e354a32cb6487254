"""Keep the exchangers that mail nodes poll."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "exchanger",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("poll_interval_seconds", sa.Integer, nullable=False),
        sa.Column("sealed_token", sa.Text, nullable=True),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="exchanger_key"),
        sa.CheckConstraint("poll_interval_seconds >= 1", name="exchanger_interval_positive"),
    )
