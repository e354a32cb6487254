"""Keep the signing keys, and how each follows the one before it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table; the first key is moved there, or made, when the control plane opens."""
    op.create_table(
        "signing_key",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("sealed", sa.Text),
        sa.Column("change_document", sa.Text),
        sa.Column("announced_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("in_force_at_seconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("number", name="signing_key_key"),
        sa.UniqueConstraint("public_key", name="signing_key_public_unique"),
        sa.CheckConstraint("number >= 1", name="signing_key_number_positive"),
    )
