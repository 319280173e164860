"""The references of payments as they are compared, so that one that exists already is found."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SOME = 5_000


def _key(reference: str) -> str:
    """As wisp.invoices.models.reference_key was when this was written."""
    plain = unicodedata.normalize("NFKC", reference).casefold()
    return "".join(letter for letter in plain if letter.isalnum()).lstrip("0")


def upgrade() -> None:
    op.add_column("payment", sa.Column("reference_key", sa.Text(), server_default="", nullable=False))
    payment = sa.table("payment", sa.column("id"), sa.column("reference"), sa.column("reference_key"))
    bind = op.get_bind()
    some = sa.select(payment.c.id, payment.c.reference).where(payment.c.reference != "").order_by(payment.c.id)
    set_key = sa.update(payment).where(payment.c.id == sa.bindparam("own_id")).values(reference_key=sa.bindparam("key"))
    last = 0
    while rows := bind.execute(some.where(payment.c.id > last).limit(SOME)).all():
        last = rows[-1].id
        bind.execute(set_key, [{"own_id": row.id, "key": _key(row.reference)} for row in rows])
    named = sa.text("reference_key <> ''")
    op.create_index(
        "ix_payment_reference_key", "payment", ["reference_key"], sqlite_where=named, postgresql_where=named
    )


def downgrade() -> None:
    op.drop_index("ix_payment_reference_key", "payment")
    op.drop_column("payment", "reference_key")
