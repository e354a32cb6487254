"""Know the fleet, its nodes, what they report, and who was invited."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, and the fleet's own row."""
    fleet = op.create_table(
        "fleet",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("change_count", sa.BigInteger, nullable=False),
        sa.Column("mail_nodes_ever", sa.Integer, nullable=False),
        sa.Column("turn_host", sa.String),
        sa.Column("turn_port", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="fleet_key"),
        sa.CheckConstraint("id = 1", name="fleet_is_one"),
    )
    op.bulk_insert(fleet, [{"id": 1, "change_count": 0, "mail_nodes_ever": 0}])
    op.create_table(
        "secret",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="secret_key"),
    )
    op.create_table(
        "node",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("enrolled_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("residue", sa.Integer),
        sa.Column("state_digest", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="node_key"),
        sa.UniqueConstraint("public_key", name="node_public_key_unique"),
        sa.UniqueConstraint("residue", name="node_residue_unique"),
        sa.CheckConstraint("kind IN ('mail', 'turn')", name="node_kind_known"),
        sa.CheckConstraint("revision >= 1", name="node_revision_positive"),
    )
    op.create_table(
        "node_report",
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("received_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("node_name", name="node_report_key"),
        sa.ForeignKeyConstraint(["node_name"], ["node.name"], name="node_report_node", ondelete="CASCADE"),
    )
    op.create_table(
        "join_ticket",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("node_name", sa.String, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.String, nullable=False),
        sa.Column("key_is_replaced", sa.Boolean, nullable=False),
        sa.Column("expires_at_seconds", sa.BigInteger, nullable=False),
        sa.Column("used_at_seconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="join_ticket_key"),
        sa.UniqueConstraint("secret_hash", name="join_ticket_secret_unique"),
        sa.CheckConstraint("kind IN ('mail', 'turn')", name="join_ticket_kind_known"),
    )
