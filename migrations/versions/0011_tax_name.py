"""The name of the tax, as invoices say it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("company", sa.Column("tax_name", sa.String(20), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("company") as batch:
        batch.drop_column("tax_name")
