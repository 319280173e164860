"""What comes next for one client if it pays nothing: by its schedule and its open invoices alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from wisp.access import service as access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session
from wisp.invoices import domain as invoicing
from wisp.invoices.models import Invoice, Promise
from wisp.invoices.service import OPEN_STATES
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings import service as settings

MONTHS = 13
"""How many occurrences of a task are looked through."""


@dataclass(frozen=True)
class Next:
    """Local dates, None where nothing of the kind is to come: the next invoice, the day until which the client may pay
    without being late, the next notice and the next cut."""

    invoice: date | None = None
    due: date | None = None
    notice: date | None = None
    cut: date | None = None


@dataclass(frozen=True)
class Open:
    """An open invoice, or the one to come: when it is issued (None: already), when it is due, what is left to pay."""

    due: date
    amount: int
    issued: date | None = None


def of_client(client: Client, promise: Promise | None = None) -> Next:
    """The dates of a client, in the time zone of its schedule. A few statements."""
    if client.cancelled_at is not None:
        return Next()
    schedule = client.schedule if client.own_billing and client.schedule else client.zone.schedule
    tz, company = schedules.timezone_of(schedule), settings.company()
    today, state = clock.today(tz), access.state_of(client.id)
    if state.reason == "pause":
        return Next()
    tasks = {Kind(task.kind): task for task in schedule.tasks}
    dates = {kind: list(_dates(task, schedule)) for kind, task in tasks.items()}
    opens = [
        Open(due, amount)
        for due, amount in session().execute(
            select(Invoice.due, Invoice.total - Invoice.paid)
            .where(Invoice.client_id == client.id, Invoice.state.in_(OPEN_STATES))
            .order_by(Invoice.due)
        )
    ]
    coming = _coming(client, tasks[Kind.invoices], schedule, dates[Kind.invoices], state)
    debts = [*opens, *([coming] if coming else [])]
    promised = promise.until if promise is not None else None
    spared = [day for day in (promised, client.no_cut_until) if day is not None]
    never_cut = client.free or (client.no_cut and client.no_cut_until is None) or state.kind == "suspended"
    unwarned = client.no_notice or state.kind == "suspended" or (state.notice and state.on_router == "notice")
    return Next(
        invoice=coming.issued if coming else None,
        due=min((debt.due for debt in debts if debt.due >= today), default=None),
        notice=None if unwarned else first_notice(
            dates[Kind.notice], debts, max(company.notice_minimum, 1), promised
        ),
        cut=None if never_cut else first_cut(dates[Kind.cut], debts, company.tolerance, spared),
    )  # fmt: skip


def first_notice(dates: Iterable[date], debts: Iterable[Open], least: int, promised: date | None) -> date | None:
    """The first of these days on which what is issued and unpaid reaches ``least``, no promise being alive."""
    known = list(debts)
    for day in dates:
        owed = sum(debt.amount for debt in known if debt.issued is None or debt.issued <= day)
        if owed >= least and (promised is None or promised < day):
            return day
    return None


def first_cut(dates: Iterable[date], debts: Iterable[Open], tolerance: int, spared: Iterable[date]) -> date | None:
    """The first of these days on which more than the tolerance is overdue, and which is after all of ``spared``."""
    known, until = list(debts), max(spared, default=None)
    for day in dates:
        overdue = sum(debt.amount for debt in known if invoicing.is_overdue(debt.due, day))
        if overdue > tolerance and (until is None or until < day):
            return day
    return None


def _dates(task: PeriodicTask, schedule: BillingSchedule) -> Iterator[date]:
    """The local dates of a task's next occurrences; none where it is switched off."""
    if task.next_at is None or not task.enabled:
        return
    tz = schedules.timezone_of(schedule)
    moments = calendar.upcoming(task.next_month, schedules.timetable(schedule).when(task.kind), tz, MONTHS)
    for moment in [task.next_at, *moments[1:]]:
        yield calendar.local_date(moment, tz)


def _coming(
    client: Client, task: PeriodicTask, schedule: BillingSchedule, dates: list[date], state: access.State
) -> Open | None:
    """The next invoice of the plan, where there will be one."""
    company = settings.company()
    suspended = state.kind == "suspended" and not company.invoice_suspended
    if not dates or client.free or suspended or not client.plan.price:
        return None
    cycle = invoicing.cycle(task.next_month, task.day, schedule.due_day, schedule.billing_type)
    due = invoicing.due_date(cycle.due, dates[0], company.min_days_to_pay)
    return Open(due, client.plan.price, dates[0])
