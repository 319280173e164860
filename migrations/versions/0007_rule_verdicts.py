"""The last verdict on each router's firewall rules is kept, and a run counts whom no rule on the router holds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "router_verdict",
        sa.Column("router_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True)),
        sa.Column("cut", sa.Boolean()),
        sa.Column("cut6", sa.Boolean()),
        sa.Column("notice", sa.Boolean()),
        sa.Column("checks", sa.JSON()),
        sa.Column("error", sa.String(16), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_verdict_router_id_router")),
        sa.PrimaryKeyConstraint("router_id", name=op.f("pk_router_verdict")),
    )
    op.add_column("task_run", sa.Column("not_enforced", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("task_run") as batch:
        batch.drop_column("not_enforced")
    op.drop_table("router_verdict")
