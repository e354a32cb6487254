"""Keep the list of mail nodes as a document of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the table; the next change of the fleet fills it."""
    op.create_table(
        "sibling_list",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="sibling_list_key"),
        sa.CheckConstraint("id = 1", name="sibling_list_is_one"),
    )
