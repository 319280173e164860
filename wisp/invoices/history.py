"""What the history of a client says of its invoices: issued, void, settled by credit."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.core.audit import AuditEntry
from wisp.core.permissions import Permission
from wisp.invoices.models import Allocation, Invoice, Payment
from wisp.web.formats import format_day, format_money

_run = sa.table("task_run", sa.column("id", sa.Integer), sa.column("actor", sa.String))


def _rows(client: Client) -> list[sa.Select[Any]]:
    """Credit is told apart from payments by its age: what settles an invoice that came later was on the account."""
    mine, label = Invoice.client_id == client.id, Invoice.label
    actor = sa.func.coalesce(_run.c.actor, "system")
    due = sa.cast(Invoice.due, sa.String)
    issued = sa.select(
        *columns("invoice", "invoice", Invoice.created_at, Invoice.id, actor=actor, amount=Invoice.total,
                 run=Invoice.run_id, invoice=label, detail=due)
    ).outerjoin(_run, _run.c.id == Invoice.run_id).where(mine)  # fmt: skip
    by = sa.func.coalesce(AuditEntry.actor, "system")
    written = sa.and_(AuditEntry.target == "invoice:" + label, AuditEntry.action == "invoice.void")
    void = sa.select(
        *columns("invoice", "void", Invoice.voided_at, Invoice.id, actor=by, amount=Invoice.total, invoice=label,
                 detail=Invoice.void_reason)
    ).outerjoin(AuditEntry, written).where(mine, Invoice.state == sa.literal_column("'void'"))  # fmt: skip
    credit = sa.select(
        *columns("invoice", "credit", Invoice.created_at, Invoice.id, actor="system", amount=Allocation.amount,
                 invoice=label, payment=Payment.id)
    ).join(Allocation, Allocation.invoice_id == Invoice.id)  # fmt: skip
    credit = credit.join(Payment, Payment.id == Allocation.payment_id)
    return [issued, void, credit.where(mine, Payment.created_at < Invoice.created_at)]


def _words(client: Client, rows: Sequence[Any]) -> list[Said]:
    return [Said(_sentence(row)) for row in rows]


def _sentence(row: Any) -> str:
    amount = format_money(row.amount)
    if row.kind == "void":
        return str(_("Invoice %(number)s was voided: %(reason)s", number=row.invoice, reason=row.detail))
    if row.kind == "credit":
        return str(_("%(amount)s of the credit settled invoice %(number)s.", amount=amount, number=row.invoice))
    due = format_day(date.fromisoformat(row.detail[:10]))
    return str(_("Invoice %(number)s for %(amount)s, due on %(due)s.", number=row.invoice, amount=amount, due=due))


def register() -> None:
    """Add this source."""
    add(Source("invoice", _rows, _words, Permission.INVOICES_VIEW))
