"""Why a client was cut, still is, was not, or was not invoiced: one sentence with its rule and its figures."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select

from wisp.access import service as access
from wisp.access.models import RouterAnswer
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import Rows, session
from wisp.invoices import service as invoices
from wisp.invoices.models import Allocation, Invoice, Payment, Promise
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import outlook, planning, texts
from wisp.tasks.domain import ItemState, Reason
from wisp.tasks.models import RunItem, TaskRun
from wisp.web.formats import format_day, format_moment, format_money, format_month

QUESTIONS = ("cut", "still-cut", "not-cut", "not-invoiced")
ASKED: dict[str, Any] = {
    "cut": _l("Why was it cut?"),
    "still-cut": _l("Why is it still cut?"),
    "not-cut": _l("Why was it not cut?"),
    "not-invoiced": _l("Why was it not invoiced?"),
}
FIGURES: dict[str, Any] = {
    "owes": _l("Owes"),
    "overdue": _l("Overdue debt"),
    "tolerance": _l("Tolerated"),
    "total": _l("Amount"),
    "due": _l("Due"),
    "cut": _l("Next cut"),
    "invoice": _l("Next invoice"),
}
MONEY = {"owes", "overdue", "tolerance", "total"}
"""Figures that are amounts; the others are dates."""
_CUT = [state.value for state in (ItemState.DONE, ItemState.UNCHANGED, ItemState.WAITING, ItemState.FAILED)]


@dataclass
class Why:
    """The answer. ``rule``: a code of what decided; ``figures``: amounts in minor units, dates and counts by name;
    ``run``, ``invoice``: where it stands; ``lifted_by``: what ended it, empty where nothing has."""

    question: str
    day: date
    state: str
    suspension: str
    because: str = ""
    rule: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    run: int | None = None
    invoice: str = ""
    amount: int | None = None
    router_answer: str = ""
    lifted_by: str = ""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The figures in words."""
        return [
            (str(FIGURES[name]), format_money(value) if name in MONEY else format_day(value))
            for name, value in self.figures.items()
        ]


def why(client: Client, question: str = "", day: date | None = None) -> Why:
    """The answer for a client: without a question why it is cut, or why it is not; ``day``: what was so then, by the
    date of the client's schedule (default: today)."""
    state, schedule = access.state_of(client.id), _schedule(client)
    question = question or ("still-cut" if state.kind == "suspended" else "not-cut")
    answer = Why(question, day or clock.today(schedules.timezone_of(schedule)), state.kind, state.reason)
    if question == "cut":
        _why_cut(client, schedule, state, answer)
    elif question == "still-cut":
        _why_still(client, schedule, state, answer)
    elif question == "not-cut":
        _why_not_cut(client, schedule, state, answer, day)
    else:
        _why_not_invoiced(client, schedule, answer)
    return answer


def _schedule(client: Client) -> BillingSchedule:
    return client.schedule if client.own_billing and client.schedule else client.zone.schedule


def _task(schedule: BillingSchedule, kind: Kind) -> PeriodicTask:
    return next(task for task in schedule.tasks if task.kind == kind)


def _end_of(day: date, schedule: BillingSchedule) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), schedules.timezone_of(schedule))


def _items(client: Client, kind: Kind, until: datetime) -> Rows:
    """(RunItem, TaskRun) of one kind of a client, those begun before a moment, the newest first."""
    query: Rows = (
        select(RunItem, TaskRun)
        .join(TaskRun, TaskRun.id == RunItem.run_id)
        .join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
        .where(RunItem.client_id == client.id, PeriodicTask.kind == kind.value, TaskRun.created_at < until)
        .order_by(RunItem.run_id.desc())
        .limit(1)
    )
    return query


# The cut -----------------------------------------------------------------------------------------------


def _why_cut(client: Client, schedule: BillingSchedule, state: access.State, answer: Why) -> None:
    """The last cut up to the day: by hand, where that is what holds the client, else by a run."""
    if state.kind == "suspended" and state.reason in ("manual", "pause"):
        _by_hand(client, state, answer)
        return
    query = _items(client, Kind.cut, _end_of(answer.day, schedule)).where(RunItem.state.in_(_CUT))
    row = session().execute(query).one_or_none()
    if row is None:
        answer.rule, answer.because = "never_cut", str(_("No run has cut this client until then."))
        return
    item, run = row
    tz = schedules.timezone_of(schedule)
    begun = run.started_at or run.created_at
    oldest = _owed_then(client, begun, begun.astimezone(tz).date())
    answer.rule, answer.actor, answer.run, answer.amount = "overdue", run.actor, run.id, item.amount
    answer.figures = {"overdue": item.amount, "tolerance": settings.company().tolerance}
    moment, amount = format_moment(begun, tz), format_money(item.amount)
    by = texts.TRIGGERS[run.trigger] if run.trigger != "manual" else texts.actor_text(run.actor)
    if oldest is not None:
        answer.invoice = oldest.label
        answer.figures |= {"due": oldest.due}
        answer.because = str(
            _(
                "Cut on %(moment)s (%(by)s) because %(amount)s were overdue: invoice %(invoice)s was due on %(due)s.",
                moment=moment, by=by, amount=amount, invoice=oldest.label, due=format_day(oldest.due),
            )
        )  # fmt: skip
    else:
        answer.because = str(
            _("Cut on %(moment)s (%(by)s) because %(amount)s were overdue.", moment=moment, by=by, amount=amount)
        )
    answer.router_answer = texts.reason_text(item.reason, item.detail) or texts.item_state(Kind.cut, item.state)
    answer.lifted_by = _lifted_by(client, begun)


def _owed_then(client: Client, moment: datetime, day: date) -> Invoice | None:
    """The oldest invoice that was there at a moment, was due before that day, and was not void yet."""
    query = select(Invoice).where(Invoice.client_id == client.id, Invoice.created_at <= moment, Invoice.due < day)
    alive = or_(Invoice.voided_at.is_(None), Invoice.voided_at > moment)
    unpaid = or_(Invoice.state.in_(invoices.OPEN_STATES), _paid_after(moment))
    return session().scalars(query.where(alive, unpaid).order_by(Invoice.due, Invoice.id).limit(1)).one_or_none()


def _paid_after(moment: datetime) -> Any:
    later = select(Allocation.invoice_id).join(Payment, Payment.id == Allocation.payment_id)
    return Invoice.id.in_(later.where(Allocation.invoice_id == Invoice.id, Payment.created_at > moment))


def _by_hand(client: Client, state: access.State, answer: Why) -> None:
    """A person suspended or paused the client."""
    action = "client.pause" if state.reason == "pause" else "client.suspend"
    entry = _entry(client, action)
    answer.rule = "by_hand" if state.reason == "manual" else "pause"
    answer.actor = entry.actor if entry is not None else ""
    said = str((entry.after or {}).get("why") or "") if entry is not None else ""
    moment = format_moment(state.since) if state.since else "–"
    by = texts.actor_text(answer.actor) if answer.actor else "–"
    if state.reason == "pause":
        text = _("On a temporary pause since %(moment)s, ordered by %(by)s.", moment=moment, by=by)
    else:
        text = _("Suspended by hand on %(moment)s by %(by)s.", moment=moment, by=by)
    answer.because = f"{text} {said}".strip()


def _entry(client: Client, action: str) -> AuditEntry | None:
    query = select(AuditEntry).where(AuditEntry.target == f"client:{client.code}", AuditEntry.action == action)
    return session().scalars(query.order_by(AuditEntry.id.desc()).limit(1)).one_or_none()


def _lifted_by(client: Client, since: datetime) -> str:
    """What first gave the service back after a moment: a payment, a promise or a person; empty where nothing did."""
    found: list[tuple[datetime, str]] = []
    paid = select(Payment).where(Payment.client_id == client.id, Payment.reactivated, Payment.created_at > since)
    for payment in session().scalars(paid.order_by(Payment.id).limit(1)):
        found.append((payment.created_at, str(_("Payment %(number)s", number=payment.id))))
    promised = select(Promise).where(Promise.client_id == client.id, Promise.created_at > since)
    for promise in session().scalars(promised.order_by(Promise.id).limit(1)):
        found.append((promise.created_at, str(_("Promise to pay until %(day)s.", day=format_day(promise.until)))))
    by_hand = select(AuditEntry).where(
        AuditEntry.target == f"client:{client.code}", AuditEntry.action == "client.reactivate", AuditEntry.at > since
    )
    for entry in session().scalars(by_hand.order_by(AuditEntry.id).limit(1)):
        found.append((entry.at, texts.actor_text(entry.actor)))
    if found:
        return min(found)[1]
    back = select(func.min(RouterAnswer.at)).where(
        RouterAnswer.client_id == client.id, RouterAnswer.kind == "restored", RouterAnswer.at > since
    )
    at = session().scalar(back)
    return str(_("the debt was settled by %(moment)s", moment=format_moment(at))) if at else ""


# Still cut ---------------------------------------------------------------------------------------------


def _why_still(client: Client, schedule: BillingSchedule, state: access.State, answer: Why) -> None:
    if state.kind != "suspended":
        answer.rule, answer.because = "not_cut", str(_("This client is not cut."))
        return
    if state.reason in ("manual", "pause"):
        _by_hand(client, state, answer)
        return
    _why_cut(client, schedule, state, answer)
    debt, tolerance = invoices.debt_of(client.id), settings.company().tolerance
    amount = debt.overdue
    answer.figures |= {"owes": debt.open, "overdue": amount, "tolerance": tolerance}
    answer.amount, answer.lifted_by = amount, ""
    if amount > tolerance:
        answer.rule = "overdue"
        answer.because = str(
            _(
                "%(amount)s are still overdue and %(tolerance)s are tolerated: it stays suspended.",
                amount=format_money(amount), tolerance=format_money(tolerance),
            )
        )  # fmt: skip
    elif state.keep:
        answer.rule = "kept"
        paid = select(Payment).where(Payment.client_id == client.id, Payment.activate.is_(False))
        payment = session().scalars(paid.order_by(Payment.id.desc()).limit(1)).one_or_none()
        number = payment.id if payment is not None else "–"
        answer.actor = payment.actor if payment is not None else answer.actor
        answer.because = str(_("Paid, but payment %(number)s was “register only”: it stays suspended.", number=number))
    elif state.pending or state.on_router == "cut":
        answer.rule = "waits_for_router"
        answer.because = str(_("Nothing overdue holds it any more: the router has not given the service back yet."))


# Not cut -----------------------------------------------------------------------------------------------


def _why_not_cut(client: Client, schedule: BillingSchedule, state: access.State, answer: Why, day: date | None) -> None:
    if state.kind == "suspended" and day is None:
        answer.rule, answer.because = "cut", str(_("This client is cut."))
        return
    if day is not None and _told_by_run(client, schedule, Kind.cut, answer):
        return
    if day is not None and day < clock.today(schedules.timezone_of(schedule)):
        answer.rule = "no_run"
        answer.because = str(_("No cut of this client's schedule ran on %(day)s.", day=format_day(day)))
        return
    row = _candidate(client, schedule, Kind.cut)
    debt, next_cut = invoices.debt_of(client.id), outlook.of_client(client, _promise(client)).cut
    answer.amount = debt.overdue
    answer.figures = {"owes": debt.open, "overdue": debt.overdue, "tolerance": settings.company().tolerance}
    if next_cut is not None:
        answer.figures["cut"] = next_cut
    reason, detail = (row.reason, row.detail) if row is not None else (Reason.NONE.value, "")
    if reason == Reason.NONE.value:
        answer.rule = "cut_to_come" if next_cut is not None else "switched_off"
        answer.because = str(
            _("%(amount)s are overdue; the cut of %(day)s is still to come.", amount=format_money(debt.overdue),
              day=format_day(next_cut))
            if next_cut is not None
            else _("%(amount)s are overdue, but no cut is planned: its task is switched off.",
                   amount=format_money(debt.overdue))
        )  # fmt: skip
        return
    answer.rule, answer.because = reason, f"{texts.reason_text(reason, detail)}."


def _promise(client: Client) -> Promise | None:
    query = select(Promise).where(Promise.client_id == client.id, Promise.ended_at.is_(None))
    return session().scalars(query.order_by(Promise.id.desc()).limit(1)).one_or_none()


def _told_by_run(client: Client, schedule: BillingSchedule, kind: Kind, answer: Why) -> bool:
    """Answer by what a run of that day wrote down of the client; False where none did."""
    begin = datetime.combine(answer.day, time(), schedules.timezone_of(schedule))
    query = _items(client, kind, begin + timedelta(days=1)).where(TaskRun.created_at >= begin)
    row = session().execute(query).one_or_none()
    if row is None:
        return False
    item, run = row
    answer.rule, answer.run, answer.actor, answer.amount = item.reason or item.state, run.id, run.actor, item.amount
    answer.because = f"{texts.item_reason(kind, item.state, item.reason, item.detail)}."
    answer.router_answer = texts.answer_text(item.reason, item.detail)
    return True


def _candidate(client: Client, schedule: BillingSchedule, kind: Kind, month: date | None = None) -> Any:
    """What a run of the client's task would do with it now; None where it is none of its candidates."""
    task = _task(schedule, kind)
    spec = planning.spec_of(task, month or calendar.month_of(clock.today(schedules.timezone_of(schedule))))
    rows = planning.candidates(spec, Client.id == client.id)
    return session().execute(select(rows.c.reason, rows.c.detail, rows.c.amount)).one_or_none()


# Not invoiced ------------------------------------------------------------------------------------------


def _why_not_invoiced(client: Client, schedule: BillingSchedule, answer: Why) -> None:
    month = calendar.month_of(answer.day)
    made = select(Invoice).where(
        Invoice.client_id == client.id, Invoice.kind == "recurring", Invoice.month == month, Invoice.state != "void"
    )
    invoice = session().scalars(made.limit(1)).one_or_none()
    if invoice is not None:
        answer.rule, answer.invoice, answer.amount = "invoiced", invoice.label, invoice.total
        answer.figures = {"total": invoice.total, "due": invoice.due}
        answer.because = str(
            _("It was invoiced for %(month)s: %(number)s.", month=format_month(month), number=invoice.label)
        )
        return
    row = _candidate(client, schedule, Kind.invoices, month)
    task = _task(schedule, Kind.invoices)
    if row is not None and row.reason not in (Reason.NONE.value, Reason.SHORTENED.value):
        answer.rule, answer.because = row.reason, f"{texts.reason_text(row.reason, row.detail)}."
        return
    answer.amount = row.amount if row is not None else None
    if not task.enabled:
        answer.rule, answer.because = "switched_off", str(_("Its invoice task is switched off: it runs by hand only."))
    elif task.next_at is not None and task.next_month <= month:
        day = calendar.local_date(task.next_at, schedules.timezone_of(schedule))
        answer.rule, answer.figures = "to_come", {"invoice": day}
        answer.because = str(_("Its invoices of %(month)s are made on %(day)s.", month=format_month(month),
                               day=format_day(day)))  # fmt: skip
    else:
        answer.rule = "no_run"
        answer.because = str(_("No run has invoiced it for %(month)s since it became a client of the zone.",
                               month=format_month(month)))  # fmt: skip
