"""Let admin tokens be for a part of the fleet, expire, and tell when they were used."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make every token that there is one of the whole fleet, for ever, as it was."""
    op.add_column("admin_token", sa.Column("scope_kind", sa.Text, nullable=False, server_default="fleet"))
    op.add_column("admin_token", sa.Column("scope_name", sa.String))
    op.add_column("admin_token", sa.Column("expires_at_seconds", sa.BigInteger))
    op.add_column("admin_token", sa.Column("last_used_at_seconds", sa.BigInteger))
