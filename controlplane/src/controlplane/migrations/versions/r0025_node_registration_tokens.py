"""Let a registration token be for one node."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column; the tokens that there are stay the fleet's."""
    op.add_column("registration_token", sa.Column("node", sa.String))
