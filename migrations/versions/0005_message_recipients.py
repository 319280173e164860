"""An e-mail may go to several addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _widen(before: int, after: int) -> None:
    with op.batch_alter_table("message") as batch:
        batch.alter_column(
            "recipient", existing_type=sa.String(before), type_=sa.String(after), existing_nullable=False
        )


def upgrade() -> None:
    _widen(254, 1000)


def downgrade() -> None:
    """Refuses where a row holds more than the column could: nothing is cut off."""
    longest = op.get_bind().execute(sa.text("SELECT max(length(recipient)) FROM message")).scalar()
    if (longest or 0) > 254:
        raise RuntimeError("there are e-mails with more addresses than the version before can hold")
    _widen(1000, 254)
