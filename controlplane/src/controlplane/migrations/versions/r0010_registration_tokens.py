"""Let accounts be made by those who have a token."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table; nobody needs a token until an operator says so."""
    op.create_table(
        "registration_token",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("token_hash", sa.String, nullable=False),
        sa.Column("sealed_token", sa.Text, nullable=False),
        sa.Column("comment", sa.String, nullable=False),
        sa.Column("max_uses", sa.Integer, nullable=False),
        sa.Column("used_count", sa.Integer, nullable=False),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("expires_at_seconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="registration_token_key"),
        sa.UniqueConstraint("token_hash", name="registration_token_hash_unique"),
        sa.CheckConstraint("used_count >= 0", name="registration_token_used_not_negative"),
    )
    op.add_column("node_operation", sa.Column("registration_token_id", sa.String))
    required = "registration_token_required"
    op.add_column("fleet_policy", sa.Column(required, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("group_policy", sa.Column(required, sa.Boolean))
    op.add_column("node_policy", sa.Column(required, sa.Boolean))
