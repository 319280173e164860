"""Days without an invoice: between what a client was billed for and its first period on other billing days.

Found when the days change (payment day moved, client moved, own billing set or removed, taken over from another
system), kept with what a person chose, and charged by the run of the month that bills the client next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from wisp.access.models import Access
from wisp.clients.models import Client, Plan
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.money import plain
from wisp.invoices import domain as invoicing
from wisp.invoices.models import BillingGap, Invoice
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule
from wisp.schedules.service import Terms
from wisp.settings import service as settings


@dataclass(frozen=True)
class Gap:
    """Days after ``since`` that no invoice covers up to the period of ``month``; ``amount`` in minor units."""

    client_id: int
    since: date
    month: date
    days: int
    amount: int


def on_billing_changed(schedule_id: int, before: Terms, gap: str, client_ids: Iterable[int] | None = None) -> None:
    """Receiver: a schedule has other days, or these clients another schedule. Keeps the days that fall between.

    ``gap``: "bill" or "waive" them; with "ask" Refused("billing.gap") names them where there are any.
    """
    schedule = session().get_one(BillingSchedule, schedule_id)
    after = schedules.terms(schedule)
    if client_ids is None and _same(before, after):
        return
    if gap not in ("bill", "waive", "ask"):
        raise Refused("billing.gap_choice", value=gap)
    clients = _clients_of(schedule_id) if client_ids is None else Client.id.in_(list(client_ids))
    found = find(clients, before, after)
    if found and gap == "ask":
        raise Refused("billing.gap", **summary(found))
    _keep(clients, found, bill=gap != "waive")


def on_client_saved(client_ids: list[int], changed: set[str] | None = None) -> None:
    """Receiver: a client that was never invoiced here says until when another system billed it."""
    if changed is not None and "billed_through" not in changed:
        return
    invoiced = sa.select(Invoice.client_id).where(Invoice.kind == "recurring", Invoice.state != "void")
    rows = session().execute(
        sa.select(Client.id, sa.case((Client.own_billing, Client.schedule_id), else_=Zone.schedule_id))
        .join(Zone, Zone.id == Client.zone_id)
        .where(Client.id.in_(client_ids), Client.billed_through.is_not(None), Client.id.not_in(invoiced))
    )
    taken_over: dict[int, list[int]] = {}
    for client_id, schedule_id in rows:
        taken_over.setdefault(schedule_id, []).append(client_id)
    for schedule_id, ids in taken_over.items():
        after = schedules.terms(session().get_one(BillingSchedule, schedule_id))
        _keep(Client.id.in_(ids), find(Client.id.in_(ids), None, after), bill=True)


def summary(found: list[Gap]) -> dict[str, object]:
    """What a person is asked about: how many clients, the most days, the whole amount; how many are too long."""
    billed = [gap for gap in found if gap.days <= invoicing.MAX_GAP_DAYS]
    return {
        "clients": len(found),
        "days": max(gap.days for gap in found),
        "amount": plain(sum(gap.amount for gap in billed), settings.company().currency),
        "too_long": len(found) - len(billed),
    }


def _same(before: Terms, after: Terms) -> bool:
    one, other = before.days, after.days
    return (one.billing_type, one.due_day, one.invoices[0]) == (other.billing_type, other.due_day, other.invoices[0])


def _clients_of(schedule_id: int) -> ColumnElement[bool]:
    zone = sa.select(Zone.id).where(Zone.schedule_id == schedule_id).scalar_subquery()
    of_zone = sa.and_(Client.zone_id == zone, Client.own_billing.is_(False))
    return sa.or_(of_zone, sa.and_(Client.schedule_id == schedule_id, Client.own_billing))


def find(clients: ColumnElement[bool], before: Terms | None, after: Terms) -> list[Gap]:
    """The gaps of these clients between two schedules (``before`` None: billed by another system until now). Whoever is
    free or paused has none."""
    recurring = sa.and_(Invoice.client_id == Client.id, Invoice.kind == "recurring", Invoice.state != "void")
    last = sa.select(sa.func.max(Invoice.period_to)).where(recurring).scalar_subquery()
    rows = session().execute(
        sa.select(Client.id, Client.installed_on, Client.billed_through, last, Plan.price, BillingGap.since,
                  BillingGap.month)
        .join(Plan, Plan.id == Client.plan_id)
        .outerjoin(BillingGap, BillingGap.client_id == Client.id)
        .outerjoin(Access, Access.client_id == Client.id)
        .where(clients, Client.cancelled_at.is_(None), Client.free.is_(False))
        .where(sa.func.coalesce(Access.reason, "") != "pause")
    ).all()  # fmt: skip
    months = [calendar.add_months(after.month, n) for n in range(2)]
    invoiced = {
        tuple(row)
        for row in session().execute(
            sa.select(Invoice.client_id, Invoice.month)
            .join(Client, recurring)
            .where(clients, Invoice.month.in_(months))
        )
    }
    cycles = {n: _cycle(after, calendar.add_months(after.month, n)) for n in range(3)}
    company, found = settings.company(), []
    for client_id, installed, through, period_to, price, since, month in rows:
        billed = max(period_to or date.min, through or date.min)
        if before is None:
            settled = billed
        elif since is not None and month >= before.month:  # of a change whose month has not been billed yet
            settled = max(billed, since)
        else:
            settled = invoicing.settled_through(
                billed, installed, _cycle(before, calendar.add_months(before.month, -1))
            )
        cycle = cycles[next(n for n in range(3) if n == 2 or (client_id, months[n]) not in invoiced)]
        days = invoicing.gap_days(settled, cycle.period_from)
        if days > 0:
            amount = invoicing.gap_price(price, days, cycle)
            total = invoicing.tax_split(amount, company.tax_bp, company.tax_mode).total
            found.append(Gap(client_id, settled, cycle.month, days, total))
    return found


def _cycle(terms: Terms, month: date) -> invoicing.Cycle:
    return invoicing.cycle(month, terms.days.invoices[0], terms.days.due_day, terms.days.billing_type)


def _keep(clients: ColumnElement[bool], found: list[Gap], bill: bool) -> None:
    """Write down the gaps of these clients in place of those of before."""
    theirs = BillingGap.client_id.in_(sa.select(Client.id).where(clients))
    session().execute(sa.delete(BillingGap).where(theirs).execution_options(synchronize_session=False))
    rows = [{"client_id": gap.client_id, "since": gap.since, "month": gap.month, "bill": bill} for gap in found]
    if rows:
        session().execute(sa.insert(BillingGap), rows)
