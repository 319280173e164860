"""Links that set a password name their row by something random.

Those that were sent before end: they named it by its number, which a restored database gives out again.
"""

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("staff_link") as batch_op:
        batch_op.add_column(sa.Column("nonce", sa.String(length=43), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_staff_link_nonce"), ["nonce"])
    link = sa.table("staff_link", sa.column("used_at", sa.DateTime(timezone=True)))
    now = dt.datetime.now(dt.UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    op.execute(sa.update(link).where(link.c.used_at.is_(None)).values(used_at=now))


def downgrade() -> None:
    with op.batch_alter_table("staff_link") as batch_op:
        batch_op.drop_constraint(op.f("uq_staff_link_nonce"), type_="unique")
        batch_op.drop_column("nonce")
