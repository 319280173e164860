"""Who and what: the pure queries behind every simulation and every run.

A simulation and a run read the very same query, so that what is shown is what is done. Each gives one row per client of
the task's owner: ``action``, ``reason``, ``detail``, ``amount`` (minor units), ``address``.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Date,
    ScalarSelect,
    String,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from wisp.access.models import Access
from wisp.access.service import FOR_DEBT
from wisp.clients.models import Client, ClientPause, Plan
from wisp.core import clock
from wisp.core.db import Rows, session
from wisp.core.errors import Refused
from wisp.core.sql import COLUMNS
from wisp.invoices import domain as invoicing
from wisp.invoices import service as invoices
from wisp.invoices.models import BillingGap, Invoice, Promise
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings import service as settings
from wisp.settings.models import Company
from wisp.tasks.domain import ACTION_OF, Action, Reason
from wisp.tasks.models import PlanItem

_RECURRING: ColumnElement[str] = literal_column("'recurring'")
_VOID: ColumnElement[str] = literal_column("'void'")
"""Spelled out in the SQL, so that SQLite sees that its partial indexes fit."""


@dataclass(frozen=True)
class Options:
    """What a person chose for a run by hand: clients held out, invoices that are not due yet included, and whether a
    zone's task acts on its clients with own billing (``own``) instead of those billed by the zone."""

    hold: frozenset[int] = frozenset()
    include_not_due: bool = False
    own: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the run's row."""
        stored = {"hold": sorted(self.hold), "include_not_due": self.include_not_due}
        return stored | ({"own": True} if self.own else {})

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> "Options":
        """From the run's row."""
        stored = stored or {}
        return cls(frozenset(stored.get("hold", ())), bool(stored.get("include_not_due")), bool(stored.get("own")))


@dataclass(frozen=True)
class Spec:
    """Everything that decides what a run does, apart from the clients themselves."""

    task_id: int
    kind: Kind
    zone_id: int
    router_id: int
    client_id: int | None  # of a client's own task
    month: date
    cycle: invoicing.Cycle
    timezone: ZoneInfo
    now: datetime
    company: Company
    previous: date  # the invoice occurrence before this cycle's
    manual: bool = True
    options: Options = field(default_factory=Options)
    plan_id: int | None = None
    planned_at: datetime | None = None  # of a run: who got the service back by hand since then is left alone
    followup: int | None = None  # the run that follows broken promises: it acts on those who gave them alone

    @property
    def today(self) -> date:
        """The local date of the owner."""
        return self.now.astimezone(self.timezone).date()

    @property
    def due(self) -> date:
        """The due date of invoices issued now for this cycle."""
        due: date = invoicing.due_date(self.cycle.due, self.today, self.company.min_days_to_pay)
        return due

    @property
    def action(self) -> Action:
        """What this kind of task does."""
        return ACTION_OF[self.kind]

    def clients(self) -> ColumnElement[bool]:
        """The clients that the task acts on: the zone's zone-billed ones (or those with own billing, where that was
        chosen), or the one client of an own schedule."""
        here: ColumnElement[bool] = Client.cancelled_at.is_(None)
        if self.followup is not None:
            here = and_(here, Client.id.in_(select(Promise.client_id).where(Promise.run_id == self.followup)))
        if self.client_id is not None:
            return and_(Client.id == self.client_id, Client.own_billing, here)
        own = Client.own_billing if self.options.own else Client.own_billing.is_(False)
        return and_(Client.zone_id == self.zone_id, own, here)


def spec_of(
    task: PeriodicTask,
    month: date,
    *,
    manual: bool = True,
    options: Options | None = None,
    plan_id: int | None = None,
    planned_at: datetime | None = None,
    followup: int | None = None,
) -> Spec:
    """The Spec of one run of ``task`` for ``month``, now."""
    schedule = task.schedule
    zone_id, router_id, client_id = owner_of(schedule.id)
    invoice_day = next(t.day for t in schedule.tasks if t.kind == Kind.invoices)
    return Spec(
        task_id=task.id,
        kind=Kind(task.kind),
        zone_id=zone_id,
        router_id=router_id,
        client_id=client_id,
        month=month,
        cycle=invoicing.cycle(month, invoice_day, schedule.due_day, schedule.billing_type),
        timezone=schedules.timezone_of(schedule),
        now=clock.now(),
        company=settings.company(),
        previous=calendar.clamp_day(calendar.add_months(month, -1), invoice_day),
        manual=manual,
        options=options or Options(),
        plan_id=plan_id,
        planned_at=planned_at,
        followup=followup,
    )


def owner_of(schedule_id: int) -> tuple[int, int, int | None]:
    """(zone, router, client or None) that a schedule belongs to."""
    row = session().execute(select(Zone.id, Zone.router_id).where(Zone.schedule_id == schedule_id)).one_or_none()
    if row is not None:
        return row[0], row[1], None
    own = (
        session()
        .execute(select(Client.zone_id, Client.router_id, Client.id).where(Client.schedule_id == schedule_id))
        .one_or_none()
    )
    if own is None:
        raise Refused("tasks.no_owner", schedule=schedule_id)
    return own[0], own[1], own[2]


def concerns(task: PeriodicTask, month: date, client_id: int | None = None) -> bool:
    """Whether a task whose day has gone by is still to run for ``month``: invoices not, where all its clients (or that
    one) have theirs already."""
    if task.kind != Kind.invoices:
        return True
    spec = spec_of(task, month, manual=False)
    narrowed = [Client.id == client_id] if client_id else []
    clients = select(Client.id).where(spec.clients(), *narrowed).limit(1)
    open_ones = session().scalar(clients.where(not_invoiced(spec)))
    return open_ones is not None or session().scalar(clients) is None


def candidates(spec: Spec, *where: ColumnElement[bool]) -> Subquery:
    """One row per client of the task: client_id, action, reason, detail, amount, address, email and more.

    ``where`` (over Client) narrows it to a chunk.
    """
    rows = _invoice_rows(spec, *where) if spec.kind == Kind.invoices else _debt_rows(spec, *where)
    if not spec.options.hold and spec.plan_id is None:
        return rows
    return _as_ordered(spec, rows)


def _as_ordered(spec: Spec, rows: Subquery) -> Subquery:
    """Take out who was held out by hand, and who has changed since the simulation that was handed over."""
    columns = rows.c
    cases: list[tuple[ColumnElement[bool], str]] = []
    if spec.options.hold:
        cases.append(
            (and_(columns.action == spec.action.value, columns.client_id.in_(spec.options.hold)), Reason.HELD_OUT.value)
        )
    query = select(*[c for c in columns if c.key not in ("action", "reason")])
    if spec.plan_id is not None:
        same = and_(
            PlanItem.plan_id == spec.plan_id,
            PlanItem.client_id == columns.client_id,
        )
        query = query.outerjoin_from(rows, PlanItem, same)
        planned = func.coalesce(PlanItem.action, Action.NONE.value)
        cases.append((and_(columns.action == spec.action.value, planned != spec.action.value), Reason.CHANGED.value))
        no_more = and_(columns.action != spec.action.value, columns.reason != Reason.ALREADY_INVOICED.value)
        cases.append((and_(no_more, planned == spec.action.value), Reason.CHANGED.value))
        cases.append(
            (and_(columns.action == spec.action.value, PlanItem.amount != columns.amount), Reason.CHANGED.value)
        )
    taken = case(*cases, else_=None)
    return query.add_columns(
        case((taken.is_not(None), Action.NONE.value), else_=columns.action).label("action"),
        func.coalesce(taken, columns.reason).label("reason"),
    ).subquery("ordered")


def _last_billed(cycle: invoicing.Cycle) -> ScalarSelect[date | None]:
    """The last day that our invoices have billed a client for; NULL where never.

    Periods that begin after the cycle's do not count: a missed month may be applied after a later one has run.
    """
    return (
        select(Invoice.period_to)
        .where(Invoice.client_id == Client.id, Invoice.kind == _RECURRING, Invoice.state != _VOID)
        .where(Invoice.period_from <= cycle.period_to)
        .order_by(Invoice.period_from.desc())
        .limit(1)
        .scalar_subquery()
    )


def _last_paused(cycle: invoicing.Cycle) -> Any:
    """The last day of a client's pauses, NULL where there are none: no day of them is charged, and the next period
    begins the day after."""
    return (
        select(func.max(ClientPause.last_day))
        .where(ClientPause.client_id == Client.id, ClientPause.last_day >= ClientPause.first_day)
        .where(ClientPause.first_day <= cycle.period_to)
        .scalar_subquery()
    )


def _fenced(query: Rows, name: str) -> Subquery:
    """A subquery that is worked out once for each row. Merged into the query around it, as both databases would do,
    its look-ups and dates would be worked out anew for each use of them: measured, half the time of a big run."""
    return query.offset(0).subquery(name)


def _billed(spec: Spec) -> tuple[ColumnElement[bool], ...]:
    """Which invoices (of a joined client) are recurring ones of the run's month, void ones included."""
    return Invoice.client_id == Client.id, Invoice.kind == _RECURRING, Invoice.month == spec.month


def not_invoiced(spec: Spec) -> ColumnElement[bool]:
    """Over Client: no invoice of the run's month yet. Narrows ``candidates`` to those whom a run may concern."""
    return ~select(literal(1)).where(*_billed(spec), Invoice.state != _VOID).exists()


def owes() -> ColumnElement[bool]:
    """Over Client: something is open. Narrows ``candidates`` to those whom a notice or a cut may concern."""
    return select(literal(1)).where(Invoice.client_id == Client.id, Invoice.state.in_(invoices.OPEN_STATES)).exists()


def _billing_base(spec: Spec, *where: ColumnElement[bool]) -> Subquery:
    """What decides on a client's invoice, and ``last``: until when it has been billed (year 1 where never)."""
    of_month = _billed(spec)
    before = literal(date.min, Date)
    paused = func.coalesce(_last_paused(spec.cycle), before)
    query = (
        select(
            Client.id.label("client_id"),
            Client.address,
            Client.email,
            Client.language,
            Client.free,
            func.coalesce(Client.installed_on, before).label("installed_on"),
            Plan.price,
            Plan.name.label("plan_name"),
            (~not_invoiced(spec)).label("has_invoice"),
            select(literal(1))
            .where(*of_month, Invoice.state == _VOID, Invoice.invoice_again.is_(False))
            .exists()
            .label("exempt"),
            COLUMNS.latest(
                func.coalesce(_last_billed(spec.cycle), before), func.coalesce(Client.billed_through, before), paused
            ).label("last"),
            paused.label("paused"),
            func.coalesce(Access.reason, "").label("suspension"),
            BillingGap.since.label("gap_since"),
            BillingGap.bill.label("gap_bill"),
        )
        .join(Plan, Plan.id == Client.plan_id)
        .outerjoin(Access, Access.client_id == Client.id)
        .outerjoin(BillingGap, and_(BillingGap.client_id == Client.id, BillingGap.month == spec.month))
        .where(spec.clients(), *where)
    )
    return _fenced(query, "base")


def _gap(spec: Spec, b: Any, first: ColumnElement[date]) -> tuple[ColumnElement[date], ColumnElement[bool]]:
    """The last day dealt with before the period of the run's month (the day before, where nothing is left between),
    and whether the days between are charged."""
    before = spec.cycle.period_from - timedelta(days=1)
    new = and_(b.last == date.min, b.installed_on >= literal(spec.previous, Date), b.installed_on < first)
    first_days = and_(literal(spec.company.bill_first_days), new)
    since = case(
        (b.gap_since.is_not(None), COLUMNS.latest(func.coalesce(b.gap_since, first), b.last)),
        (first_days, COLUMNS.days_after(b.installed_on, -1)),
        else_=literal(before, Date),
    )
    days = invoicing.gap_days(since, first, COLUMNS)
    return since, and_(func.coalesce(b.gap_bill, first_days), days > 0, days <= invoicing.MAX_GAP_DAYS)


def _invoice_rows(spec: Spec, *where: ColumnElement[bool]) -> Subquery:
    first, last_day = literal(spec.cycle.period_from, Date), literal(spec.cycle.period_to, Date)
    base = _billing_base(spec, *where)
    start = invoicing.period_start(first, base.c.last, base.c.installed_on, COLUMNS)
    since, with_gap = _gap(spec, base.c, first)
    dated = select(*base.c, start.label("start"), since.label("since"), with_gap.label("with_gap"))
    b = _fenced(dated, "dated").c
    gap = invoicing.gap_days(b.since, first, COLUMNS)
    suspended = b.suspension.in_([*FOR_DEBT, "manual"])
    reason = case(
        (b.has_invoice, Reason.ALREADY_INVOICED.value),
        (b.exempt, Reason.EXEMPT.value),
        (b.free, Reason.FREE.value),
        (b.suspension == "pause", Reason.PAUSED.value),
        *([] if spec.company.invoice_suspended else [(suspended, Reason.SUSPENDED.value)]),
        (b.price == 0, Reason.NO_PRICE.value),
        (and_(b.last >= last_day, b.paused == b.last), Reason.PAUSED.value),
        else_=invoicing.period_reason(spec.cycle, spec.today, b.start, b.last, b.installed_on, COLUMNS),
    )  # fmt: skip
    uncovered = and_(reason == Reason.NONE.value, gap > 0)
    reason = case((and_(uncovered, b.with_gap), Reason.GAP.value), (uncovered, Reason.GAP_LEFT.value), else_=reason)
    gap_first = COLUMNS.days_after(b.since, 1)
    detail = case((b.last >= last_day, cast(b.last, String)), (b.start > first, cast(b.start, String)),
                  (gap > 0, cast(gap_first, String)), else_="")  # fmt: skip
    r = _fenced(
        select(
            b.client_id, b.address, b.email, b.language, b.plan_name,
            reason.label("reason"), case((b.with_gap, gap_first), else_=b.start).label("period_from"),
            detail.label("detail"), b.with_gap,
            invoicing.charged(b.price, b.start, spec.cycle, spec.company.prorate, COLUMNS).label("charged"),
            case((b.with_gap, invoicing.gap_price(b.price, gap, spec.cycle)), else_=0).label("gap_charged"),
        ),
        "reasoned",
    ).c  # fmt: skip
    invoiced = [Reason.NONE.value, Reason.SHORTENED.value, Reason.GAP.value, Reason.GAP_LEFT.value]
    action = case((r.reason.in_(invoiced), Action.INVOICE.value), else_=Action.NONE.value)
    plan = invoicing.tax_split(r.charged, spec.company.tax_bp, spec.company.tax_mode)
    gap_amounts = invoicing.tax_split(r.gap_charged, spec.company.tax_bp, spec.company.tax_mode)
    amounts = invoicing.Amounts(*(one + other for one, other in zip(plan, gap_amounts, strict=True)))
    return select(
        r.client_id, r.address, r.email, r.language, r.plan_name, r.period_from, r.reason, r.detail,
        action.label("action"),
        amounts.net.label("net"),
        amounts.tax.label("tax"),
        case((action == Action.INVOICE.value, amounts.total), else_=0).label("amount"),
    ).subquery("candidates")  # fmt: skip


def _debt_rows(spec: Spec, *where: ColumnElement[bool]) -> Subquery:
    """Clients with what they owe; for the cut by what is overdue, for the notice by all that is open."""
    company = spec.company
    # each client with own billing has its own calendar
    today = invoices.local_today(spec.now) if spec.options.own else literal(spec.today, Date)
    base = (
        select(
            Client.id.label("client_id"),
            Client.address,
            Client.email,
            Client.language,
            Client.free,
            Client.no_notice,
            or_(
                and_(Client.no_cut, Client.no_cut_until.is_(None)),
                and_(Client.no_cut_until.is_not(None), Client.no_cut_until >= today),
            ).label("no_cut"),
            _debt(spec, today).label("debt"),
            invoices.promised(Client.id, today).label("promise"),
            func.coalesce(Access.reason, "").label("suspension"),
            func.coalesce(Access.notice, false()).label("notice"),
            func.coalesce(Access.applied_suspended, false()).label("is_cut"),
            func.coalesce(Access.applied_notice, false()).label("is_notified"),
            _reactivated(spec).label("reactivated"),
        )
        .outerjoin(Access, Access.client_id == Client.id)
        .where(spec.clients(), *where)
    )
    if spec.options.own:
        base = base.join(BillingSchedule, BillingSchedule.id == Client.schedule_id)
    b = _fenced(base, "base").c
    reason = _cut_reason(spec, b) if spec.kind == Kind.cut else _notice_reason(company, b)
    r = _fenced(select(*b, reason.label("reason")), "reasoned").c
    next_due = select(func.min(Invoice.due)).where(
        Invoice.client_id == r.client_id, Invoice.state.in_(invoices.OPEN_STATES)
    )
    done = Reason.ALREADY_CUT if spec.kind == Kind.cut else Reason.ALREADY_NOTIFIED
    acted = [Reason.NONE.value, Reason.ORDERED.value, done.value]
    return select(
        r.client_id, r.address, r.email, r.language, r.reason,
        case((r.reason == Reason.NOT_DUE.value, cast(next_due.scalar_subquery(), String)), else_="").label("detail"),
        case((r.reason.in_(acted), spec.action.value), else_=Action.NONE.value).label("action"),
        r.debt.label("amount"),
    ).subquery("candidates")  # fmt: skip


def _reactivated(spec: Spec) -> ColumnElement[bool]:
    """A person gave the service back after the run was planned: only the next one may cut again."""
    if spec.planned_at is None:
        return literal(False)
    return func.coalesce(Access.reactivated_at > spec.planned_at, False)


def _debt(spec: Spec, today: ColumnElement[date]) -> ColumnElement[int]:
    """What counts of a client's debt: for the cut what is overdue, unless it is told otherwise, for the notice all."""
    only_due = spec.kind == Kind.cut and not spec.options.include_not_due
    return invoices.balance_of(Client.id, today if only_due else None)


def _cut_reason(spec: Spec, b: Any) -> ColumnElement[str]:
    tolerance = spec.company.tolerance
    # Whoever has nothing overdue may have something open: looked up for those few alone.
    open_too = invoices.balance_of(b.client_id) > tolerance
    return case(
        (and_(b.debt <= tolerance, open_too), Reason.NOT_DUE.value),
        (b.debt <= tolerance, Reason.NOTHING_OWED.value),
        *_by_hand(b),
        (b.free, Reason.FREE.value),
        (b.no_cut, Reason.EXCLUDED.value),
        (b.promise, Reason.PROMISE.value),
        (and_(b.suspension.in_(FOR_DEBT), b.is_cut), Reason.ALREADY_CUT.value),
        (b.suspension.in_(FOR_DEBT), Reason.ORDERED.value),
        (b.reactivated, Reason.REACTIVATED.value),
        else_=Reason.NONE.value,
    )


def _by_hand(b: Any) -> list[tuple[ColumnElement[bool], str]]:
    """Whom a person suspended or paused is no candidate of a notice or a cut."""
    return [(b.suspension == "pause", Reason.PAUSED.value), (b.suspension == "manual", Reason.SUSPENDED_BY_HAND.value)]


def _notice_reason(company: Company, b: Any) -> ColumnElement[str]:
    return case(
        (b.debt < max(company.notice_minimum, 1), Reason.NOTHING_OWED.value),
        *_by_hand(b),
        (and_(b.suspension != "", b.is_cut), Reason.ALREADY_CUT.value),
        (b.suspension != "", Reason.CUT_ORDERED.value),
        (b.no_notice, Reason.EXCLUDED.value),
        (b.promise, Reason.PROMISE.value),
        (and_(b.notice, b.is_notified), Reason.ALREADY_NOTIFIED.value),
        (b.notice, Reason.ORDERED.value),
        else_=Reason.NONE.value,
    )
