"""More about a client: a second phone, the place of the service, a note, and further addresses or networks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {
    "phone2": sa.String(40),
    "service_address": sa.String(300),
    "coordinates": sa.String(40),
    "note": sa.Text(),
}


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("client", sa.Column(name, type_, server_default="", nullable=False))
    op.create_index("uq_client_id_router_id", "client", ["id", "router_id"], unique=True)
    op.create_table(
        "client_network",
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("network", sa.String(49), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_client_network_client_id_client"),
        sa.ForeignKeyConstraint(
            ["client_id", "router_id"],
            ["client.id", "client.router_id"],
            name="fk_client_network_client_id_router_id_client",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("client_id", "network", name="pk_client_network"),
        sa.UniqueConstraint("router_id", "network", name="uq_client_network_router_id_network"),
    )


def downgrade() -> None:
    op.drop_table("client_network")
    op.drop_index("uq_client_id_router_id", "client")
    for name in reversed(COLUMNS):
        op.drop_column("client", name)
