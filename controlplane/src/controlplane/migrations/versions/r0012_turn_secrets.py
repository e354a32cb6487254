"""Keep the TURN secrets that are live, so that one can follow another."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table; the one secret that there is is moved there when the control plane opens."""
    op.create_table(
        "turn_secret",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("announced_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("in_force_at_seconds", sa.BigInteger),
        sa.Column("ends_at_seconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("number", name="turn_secret_key"),
        sa.CheckConstraint("number >= 1", name="turn_secret_number_positive"),
    )
