"""Keep what is handed out of TURN for each pool of TURN nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the tables in place of the former ones; what is handed out is the fleet's pool's."""
    op.create_table(
        "turn_pool",
        sa.Column("group_name", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("group_name", name="turn_pool_key"),
    )
    op.create_table(
        "turn_pool_offer",
        sa.Column("group_name", sa.String, nullable=False),
        sa.Column("port", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("host", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "port", name="turn_pool_offer_key"),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name="turn_pool_offer_port_valid"),
    )
    op.execute(
        "INSERT INTO turn_pool (group_name, host, port)"
        " SELECT '', turn_host, turn_port FROM fleet WHERE turn_host IS NOT NULL AND turn_port IS NOT NULL"
    )
    op.execute("INSERT INTO turn_pool_offer (group_name, port, host) SELECT '', port, host FROM turn_offer")
    op.drop_table("turn_offer")
    op.drop_column("fleet", "turn_host")
    op.drop_column("fleet", "turn_port")
