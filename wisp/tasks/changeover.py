"""Which days no invoice would charge where a client is billed on other days from now on."""

from datetime import date, timedelta

from sqlalchemy import select

from wisp.clients.changeover import Terms, Unbilled
from wisp.clients.models import Client
from wisp.core.db import session
from wisp.invoices import domain as invoicing
from wisp.invoices.models import Invoice
from wisp.schedules import domain as calendar

LOOK_AHEAD = 14
"""Months in which the next invoice is looked for; a client billed further ahead than that has no hole to fear."""


def find(client: Client, terms: Terms) -> Unbilled | None:
    """The hole between what has been billed and the first period of ``terms``; None where they meet or overlap."""
    rows = session().execute(
        select(Invoice.month, Invoice.period_to).where(
            Invoice.client_id == client.id, Invoice.kind == "recurring", Invoice.state != "void"
        )
    )
    billed = {month: period_to for month, period_to in rows if period_to is not None}
    last = max([*billed.values(), client.billed_through or date.min])
    if last == date.min:
        return None
    start = max(last + timedelta(days=1), client.installed_on or date.min)
    for ahead in range(LOOK_AHEAD):
        month = calendar.add_months(terms.month, ahead)
        cycle = invoicing.cycle(month, terms.invoice_day, terms.due_day, terms.billing_type)
        if month in billed or cycle.period_to < start:
            continue  # such a run would leave the client out
        if cycle.period_from <= start:
            return None
        return Unbilled(start, cycle.period_from - timedelta(days=1), cycle.occurrence)
    return None
