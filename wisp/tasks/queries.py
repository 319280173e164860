"""Queries of the task pages that nobody else needs: one page of rows, sums of a simulation, what waits and why."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import aliased

from wisp.access.models import RouterSync
from wisp.clients.models import Client
from wisp.core.db import Rows, session
from wisp.core.errors import Refused
from wisp.core.scope import Scope
from wisp.invoices import domain as invoicing
from wisp.invoices.models import Invoice
from wisp.invoices.service import OPEN_STATES
from wisp.routers.models import Router
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.tasks import hooks, planning, service
from wisp.tasks.domain import OPEN_RUNS, STANDING, Action, ItemState
from wisp.tasks.hooks import Look, Window
from wisp.tasks.models import PlanItem, RunItem, TaskPlan, TaskRun

_STANDING = {reason.value for reason in STANDING}
MAX_HELD = 10_000
"""Clients that one person may hold out of one run."""


# Tasks -----------------------------------------------------------------------------------------------


def bare(query: Select[Any]) -> Select[Any]:
    """A listing's query with the tasks alone: sorted, counted and paged without the joined rows of all of them."""
    return query.with_only_columns(PeriodicTask, maintain_column_froms=True)


def rows_of(tasks: Collection[int], owner: str) -> list[Any]:
    """The full rows of service.listing of these tasks, in the order given; one statement."""
    wanted = list(tasks)
    if not wanted:
        return []
    query = service.listing(owner=owner).where(PeriodicTask.id.in_(wanted))
    place = {task_id: at for at, task_id in enumerate(wanted)}
    return sorted(session().execute(query).all(), key=lambda row: place[row[0].id])


def row_of(task_id: int, scope: Scope) -> tuple[Any, str]:
    """The full row of one task, and whose it is ("zone" or "client"). Refused("tasks.unknown")."""
    for owner in ("zone", "client"):
        query = service.listing(scope, owner=owner).where(PeriodicTask.id == task_id)
        row = session().execute(query).one_or_none()
        if row is not None:
            return row, owner
    raise Refused("tasks.unknown", id=task_id)


def missed_months(task_ids: Collection[int]) -> dict[int, date]:
    """The newest missed month of each of these tasks that has one."""
    rows = session().execute(
        select(Occurrence.task_id, func.max(Occurrence.month))
        .where(Occurrence.task_id.in_(list(task_ids)), Occurrence.state == "missed")
        .group_by(Occurrence.task_id)
    )
    return {task_id: month for task_id, month in rows}  # noqa: C416


def open_run(task_id: int) -> TaskRun | None:
    """The run of a task that is queued or under way."""
    return session().scalar(
        select(TaskRun).where(TaskRun.task_id == task_id, TaskRun.state.in_([s.value for s in OPEN_RUNS]))
    )


def billing_counts(zone_id: int) -> tuple[int, int]:
    """(clients that use the zone's billing, clients with own billing) of a zone, without the cancelled."""
    return billing_counts_of([zone_id]).get(zone_id, (0, 0))


def billing_counts_of(zone_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """``billing_counts`` of several zones; those without a client are absent."""
    rows = session().execute(
        select(
            Client.zone_id,
            func.count().filter(Client.own_billing.is_(False)),
            func.count().filter(Client.own_billing),
        )
        .where(Client.zone_id.in_(list(zone_ids)), Client.cancelled_at.is_(None))
        .group_by(Client.zone_id)
    )
    return {zone_id: (by_zone, own) for zone_id, by_zone, own in rows}


def own_items(pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], RunItem]:
    """The ledger lines of these (client, run): what a run over own billing did for a client's own task."""
    if not pairs:
        return {}
    found = session().scalars(
        select(RunItem).where(
            RunItem.client_id.in_({client_id for client_id, _run in pairs}),
            RunItem.run_id.in_({run_id for _client, run_id in pairs}),
        )
    )
    return {(item.client_id, item.run_id): item for item in found}


# Simulations -----------------------------------------------------------------------------------------


@dataclass
class Summary:
    """What a simulation comes to, those held out by hand taken off. Money in minor units.

    ``clients``, ``amount``, ``mails`` are of those for whom something is new. ``standing``: those who have it already,
    or wait for their router, and whom the run only reads again there; ``left_out``: whom a rule leaves out; both
    (reason, clients), the most frequent first. ``nothing``: clients with nothing to do.
    """

    clients: int = 0
    amount: int = 0
    mails: int = 0
    without_email: int = 0
    held: int = 0
    nothing: int = 0
    standing: list[tuple[str, int]] = field(default_factory=list)
    left_out: list[tuple[str, int]] = field(default_factory=list)

    @property
    def left_out_count(self) -> int:
        """How many clients a rule leaves out."""
        return sum(count for _reason, count in self.left_out)


def plan_of(task_id: int, plan_id: int | None) -> TaskPlan:
    """A task's simulation. Refused("tasks.plan") where it is gone or another task's."""
    plan = session().get(TaskPlan, plan_id) if plan_id else None
    if plan is None or plan.task_id != task_id:
        raise Refused("tasks.plan")
    return plan


def held_of(plan: TaskPlan) -> frozenset[int]:
    """The clients that the person has taken out of this simulation."""
    return planning.Options.from_json(plan.options).hold


def hold(plan: TaskPlan, shown: Collection[int], held: Collection[int]) -> None:
    """Of the clients ``shown``, take out exactly those in ``held``; what was chosen on other pages stays.

    Refused("tasks.hold") above MAX_HELD.
    """
    locked = session().get_one(TaskPlan, plan.id, with_for_update=True, populate_existing=True)
    options = planning.Options.from_json(locked.options)
    chosen = (options.hold - set(shown)) | (set(held) & set(shown))
    if len(chosen) > MAX_HELD:
        raise Refused("tasks.hold", maximum=MAX_HELD)
    locked.options = replace(options, hold=chosen).as_json()


def summary(plan: TaskPlan) -> Summary:
    """The sums of a simulation, in one statement."""
    marked = (
        select(
            PlanItem.action, PlanItem.reason, PlanItem.amount, PlanItem.without_email,
            case((service.is_new() & PlanItem.client_id.in_(held_of(plan)), 1), else_=0).label("held"),
        )
        .where(PlanItem.plan_id == plan.id)
        .subquery()
    )  # fmt: skip
    c = marked.c
    rows = session().execute(
        select(
            c.action,
            c.reason,
            c.held,
            func.count(),
            func.coalesce(func.sum(c.amount), 0),
            func.coalesce(func.sum(case((c.without_email, 1), else_=0)), 0),
        ).group_by(c.action, c.reason, c.held)
    )
    found = Summary(nothing=plan.nothing)
    for action, reason, held, count, amount, silent in rows:
        if action == Action.NONE.value:
            found.left_out.append((reason, count))
        elif reason in _STANDING:
            found.standing.append((reason, count))
        elif held:
            found.held += count
        else:
            found.clients += count
            found.amount += amount
            found.without_email += silent
            if action == Action.INVOICE.value:
                found.mails += count - silent
    for groups in (found.standing, found.left_out):
        groups.sort(key=lambda pair: (-pair[1], pair[0]))
    return found


def plan_items(plan_id: int, *, text: str = "", reason: str | None = None) -> Rows:
    """(PlanItem, Client): those for whom something is new, or the others with one ``reason``; ``text`` narrows it."""
    query: Rows = (
        select(PlanItem, Client).join(Client, Client.id == PlanItem.client_id).where(PlanItem.plan_id == plan_id)
    )
    if reason is None:
        query = query.where(service.is_new())
    else:
        query = query.where(~service.is_new(), PlanItem.reason == reason)
    return query.where(_matches(text, PlanItem.address)) if text else query


def _matches(text: str, address: Any) -> ColumnElement[bool]:
    word = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(
        Client.name.ilike(f"%{word}%", escape="\\"),
        Client.code.ilike(f"{word}%", escape="\\"),
        address.ilike(f"{word}%", escape="\\"),
    )


@dataclass(frozen=True)
class Owing:
    """What a client's open invoices come to: how many, and the oldest due date; ``today`` by the owner's calendar."""

    invoices: int
    oldest: date
    today: date


def owing(client_ids: Collection[int], today: date, overdue: bool = False) -> dict[int, Owing]:
    """The open (or only the ``overdue``) invoices of these clients, for a page of a simulation."""
    counted = [invoicing.is_overdue(Invoice.due, today)] if overdue else []
    rows = session().execute(
        select(Invoice.client_id, func.count(), func.min(Invoice.due))
        .where(Invoice.client_id.in_(list(client_ids)), Invoice.state.in_(OPEN_STATES), *counted)
        .group_by(Invoice.client_id)
    )
    return {client_id: Owing(count, oldest, today) for client_id, count, oldest in rows}


# Runs ------------------------------------------------------------------------------------------------


def run_items(run_id: int, *, text: str = "", state: str = "") -> Rows:
    """(RunItem, Client, label of the invoice or None): the ledger of a run."""
    query: Rows = (
        select(RunItem, Client, Invoice.label)
        .join(Client, Client.id == RunItem.client_id)
        .outerjoin(Invoice, Invoice.id == RunItem.invoice_id)
        .where(RunItem.run_id == run_id)
    )
    if state:
        query = query.where(RunItem.state == state)
    return query.where(_matches(text, RunItem.address)) if text else query


def by_urgency() -> ColumnElement[int]:
    """The order of a ledger: what failed and what waits first, who was left out last."""
    order = (ItemState.FAILED, ItemState.WAITING, ItemState.DONE, ItemState.UNCHANGED, ItemState.SUPERSEDED)
    return case({state.value: place for place, state in enumerate(order)}, value=RunItem.state, else_=len(order))


def reason_counts(run_id: int) -> list[tuple[str, str, int]]:
    """(state, reason, clients) of a run's ledger lines, the most frequent first."""
    rows = session().execute(
        select(RunItem.state, RunItem.reason, func.count())
        .where(RunItem.run_id == run_id)
        .group_by(RunItem.state, RunItem.reason)
        .order_by(func.count().desc(), RunItem.reason)
    )
    return [(row[0], row[1], row[2]) for row in rows]


@dataclass(frozen=True)
class Wait:
    """Why work waits for a router, since when it is off, and when it is tried again."""

    router: Router
    error: str
    next_attempt_at: datetime | None


def wait_of(router: Router) -> Wait:
    """How the synchronisation of a router stands."""
    sync = session().get(RouterSync, router.id)
    return Wait(router, sync.error if sync else "", sync.next_attempt_at if sync else None)


def runs_of(task_id: int) -> Select[Any]:
    """The runs of one task, and those of its zone that acted for it."""
    client = select(Client.id).join(PeriodicTask, PeriodicTask.schedule_id == Client.schedule_id)
    acted = select(RunItem.run_id).where(
        RunItem.client_id == client.where(PeriodicTask.id == task_id).scalar_subquery(), RunItem.task_id == task_id
    )
    return select(TaskRun).where(or_(TaskRun.task_id == task_id, TaskRun.id.in_(acted)))


# Screens ---------------------------------------------------------------------------------------------


def windows(runs: Collection[TaskRun]) -> dict[int, Window]:
    """By run: the time in which what it put on the screens was there; those that have not begun are absent."""
    begun = {run.id: run for run in runs if run.started_at is not None}
    later = aliased(TaskRun)
    query = (
        select(TaskRun.id, func.min(later.started_at))
        .join(later, (later.task_id == TaskRun.task_id) & (later.started_at > TaskRun.started_at))
        .where(TaskRun.id.in_(begun))
        .group_by(TaskRun.id)
    )
    ends: dict[int, datetime] = {}
    if begun:
        ends = {run_id: end for run_id, end in session().execute(query) if end is not None}
    return {run_id: Window(run.started_at, ends.get(run_id)) for run_id, run in begun.items() if run.started_at}


def looks(lines: Collection[tuple[RunItem, TaskRun]]) -> dict[tuple[int, int], Look]:
    """By (client, run): what is known of the client's screen for these ledger lines of notice runs."""
    if hooks.screens is None or not lines:
        return {}
    known = windows({run.id: run for _item, run in lines}.values())
    wanted = {(item.client_id, run.id): known[run.id] for item, run in lines if run.id in known}
    return hooks.screens.looks(wanted)


def audience(run: TaskRun) -> tuple[int, int] | None:
    """How many clients saw the notice of a run, and how many confirmed it; None where that is not known."""
    window = windows([run]).get(run.id)
    return None if hooks.screens is None or window is None else hooks.screens.count(run.id, window)
