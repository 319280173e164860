"""The next invoice run of schedules, for files that are looked through before they are imported."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from wisp.clients.changeover import terms_of
from wisp.clients.nextrun import NextRun
from wisp.core.db import session
from wisp.invoices import domain as invoicing
from wisp.schedules.models import BillingSchedule


def find(schedule_ids: Sequence[int]) -> dict[int, NextRun]:
    """The next run of each schedule whose invoices are created by themselves."""
    query = select(BillingSchedule).where(BillingSchedule.id.in_(schedule_ids))
    found: dict[int, NextRun] = {}
    for schedule in session().scalars(query.options(selectinload(BillingSchedule.tasks))):
        terms = terms_of(schedule)
        if terms is not None:
            cycle = invoicing.cycle(terms.month, terms.invoice_day, terms.due_day, terms.billing_type)
            found[schedule.id] = NextRun(cycle.occurrence, cycle.month, cycle.period_to)
    return found
