"""Let operations be parts of a change of many accounts, and policies say for how long things are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns; what is there is about one account each, and is kept for ever."""
    op.add_column("node_operation", sa.Column("bulk_id", sa.String))
    op.add_column(
        "node_operation", sa.Column("account_count", sa.Integer, nullable=False, server_default=sa.text("1"))
    )
    op.create_index("node_operation_created", "node_operation", ["created_at_seconds", "id"])
    op.create_index("node_operation_bulk", "node_operation", ["bulk_id"])
    for name in ("message_retention_days", "unused_account_days"):
        op.add_column(
            "fleet_policy", sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
        )
        op.add_column("group_policy", sa.Column(name, sa.Integer))
        op.add_column("node_policy", sa.Column(name, sa.Integer))
