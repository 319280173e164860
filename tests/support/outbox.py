"""Rows of the outbox for tests."""

from datetime import date
from typing import Any

import sqlalchemy as sa

from tests import factories
from wisp.core import clock
from wisp.core.db import session
from wisp.invoices.models import Invoice, InvoiceLine
from wisp.outbox.models import Message


def queued(count: int, **values: Any) -> list[int]:
    """``count`` waiting test e-mails to a0@example.com, a1@example.com, …; their ids."""
    now = clock.now()
    rows = [
        {
            "kind": "test", "recipient": f"a{n}@example.com", "language": "es", "data": {"server": f"number {n}"},
            "state": "pending", "created_at": now, "next_attempt_at": now, **values,
        }
        for n in range(count)
    ]  # fmt: skip
    with factories.writing() as s:
        return list(s.scalars(sa.insert(Message).returning(Message.id, sort_by_parameter_order=True), rows))


def make_invoice(number: int = 1, client: Any = None, **values: Any) -> Invoice:
    """An issued invoice of 350.00 with one line, for March 2026, due on the 20th."""
    with factories.writing() as s:
        client = client or factories.make_client()
        invoice = Invoice(
            **{
                "series_id": 1, "number": number, "label": f"A{number:06}", "client_id": client.id,
                "kind": "recurring", "month": date(2026, 3, 1), "period_from": date(2026, 3, 1),
                "period_to": date(2026, 3, 31), "issued": date(2026, 3, 1), "due": date(2026, 3, 20),
                "currency": "MXN", "customer": client.name, "tax_bp": 1600, "net": 30172, "tax": 4828,
                "total": 35000, "created_at": clock.now(), **values,
            }
        )  # fmt: skip
        s.add(invoice)
        s.flush()
        amounts = {"net": 30172, "tax": 4828, "total": 35000}
        s.add(InvoiceLine(invoice_id=invoice.id, position=1, description="Internet 20 Mbps, marzo", **amounts))
    return invoice


def states() -> dict[str, int]:
    """How many e-mails are in each state."""
    session().rollback()
    return dict(session().execute(sa.select(Message.state, sa.func.count()).group_by(Message.state)).all())


def row(message_id: int) -> Message:
    """The row as it stands in the database."""
    session().rollback()
    return session().get_one(Message, message_id, populate_existing=True)
