"""Further networks of the clients that a router suggests."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("router_import_row", sa.Column("networks", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("router_import_row") as batch:
        batch.drop_column("networks")
