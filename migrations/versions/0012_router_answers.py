"""What routers confirmed for each client is kept: the service is back, or cut for another reason than a run's."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "router_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind = 'cut' OR kind = 'restored'", name=op.f("ck_router_answer_kind")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_router_answer_client_id_client")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_answer_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_answer")),
    )
    op.create_index(op.f("ix_router_answer_client_id_at"), "router_answer", ["client_id", "at"])


def downgrade() -> None:
    op.drop_table("router_answer")
