"""Days without an invoice since a client's billing days changed, and whether they are charged."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "company", sa.Column("bill_first_days", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "billing_gap",
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("bill", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_billing_gap_client_id_client"),
        sa.PrimaryKeyConstraint("client_id", name="pk_billing_gap"),
    )


def downgrade() -> None:
    op.drop_table("billing_gap")
    op.drop_column("company", "bill_first_days")
