"""Keep what admins have changed, and the answers to requests that may come again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at_seconds", sa.BigInteger, nullable=False),
        sa.Column("admin", sa.String, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("subject", sa.String),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.PrimaryKeyConstraint("id", name="audit_entry_key"),
    )
    op.create_index("audit_entry_subject", "audit_entry", ["subject"])
    op.create_index("audit_entry_target", "audit_entry", ["target"])
    op.create_table(
        "kept_answer",
        sa.Column("token", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("request_hash", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("sealed_body", sa.Text, nullable=False),
        sa.Column("created_at_seconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", "key", name="kept_answer_key"),
    )
    op.create_index("kept_answer_created_at_seconds", "kept_answer", ["created_at_seconds"])
