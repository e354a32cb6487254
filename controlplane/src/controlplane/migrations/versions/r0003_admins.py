"""Know admins by their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "admin_token",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("prefix", sa.String, nullable=False),
        sa.Column("secret_hash", sa.String, nullable=False),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("revoked_at_seconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="admin_token_key"),
        sa.UniqueConstraint("prefix", name="admin_token_prefix_unique"),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'owner')", name="admin_token_role_known"),
    )
