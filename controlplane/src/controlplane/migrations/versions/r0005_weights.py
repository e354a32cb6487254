"""Know how many of the new accounts each mail node gets."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Give every node the weight that all have by default."""
    op.add_column("node", sa.Column("weight", sa.Integer, nullable=False, server_default="100"))
