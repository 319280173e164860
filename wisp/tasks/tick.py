"""The tick: every minute, claim what is due, and take up again what a killed worker has left."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Update, and_, delete, join, literal, or_, select, update
from sqlalchemy.orm import aliased

from wisp.core import audit, clock, queue
from wisp.core.db import insert_into, session, write
from wisp.core.lease import LEASE
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import ledger, queueing
from wisp.tasks.domain import OPEN_RUNS, RunState
from wisp.tasks.models import PlanItem, TaskPlan, TaskRun

log = logging.getLogger(__name__)
BATCH = 2000
"""Tasks claimed in one transaction."""
FORCED_DAYS = 36500
"""A month that a person chose to run on saving runs however old its moment is."""
REQUEUE_AFTER = timedelta(minutes=2)
"""A run of the schedule that no worker has started for so long is enqueued again: its job may be lost with Redis."""
_INVOICES = aliased(PeriodicTask, name="invoices_task")
_COLUMNS = (
    PeriodicTask.id, PeriodicTask.kind, PeriodicTask.next_month, PeriodicTask.next_at, PeriodicTask.day,
    PeriodicTask.minute, PeriodicTask.shift_days, PeriodicTask.forced, PeriodicTask.ordered_by,
    BillingSchedule.timezone, BillingSchedule.due_day,
    _INVOICES.day.label("invoices_day"), _INVOICES.minute.label("invoices_minute"),
)  # fmt: skip
_WITH_SCHEDULE = (
    join(PeriodicTask, BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)
    .join(_INVOICES, and_(_INVOICES.schedule_id == PeriodicTask.schedule_id, _INVOICES.kind == "invoices"))
)  # fmt: skip


class Group(NamedTuple):
    """Due tasks with one outcome: the month that runs now (None: the pointer only moves), whether that is late, where
    the pointer goes, and in whose name ("": the schedule's own). ``given_up``: everything that was due is too old."""

    run: date | None
    late: bool
    given_up: bool
    planned: datetime
    next_month: date
    next_at: datetime
    actor: str


def claim_due() -> list[int]:
    """Claim every occurrence whose moment has come, and enqueue its run; the ids of the new runs.

    Safe beside another tick: the due rows are locked (PostgreSQL skips those another tick has locked, SQLite writes
    one at a time), and a run per (task, month) is unique.
    """
    run_ids: list[int] = []
    more = True
    while more:
        found, more = write(_claim_batch)
        run_ids += found
    return run_ids


def _due(now: datetime) -> Sequence[Any]:
    """Tasks whose moment has come, the earliest first; of one owner only the earliest, and none with an open run."""
    earlier = aliased(PeriodicTask)
    before = (
        select(literal(1))
        .where(
            earlier.schedule_id == PeriodicTask.schedule_id,
            earlier.id != PeriodicTask.id,
            earlier.next_at <= now,
            (earlier.next_at < PeriodicTask.next_at)
            | ((earlier.next_at == PeriodicTask.next_at) & (earlier.id < PeriodicTask.id)),
        )
        .exists()
    )
    sibling = aliased(PeriodicTask)
    open_run = (
        select(literal(1))
        .select_from(TaskRun)
        .join(sibling, sibling.id == TaskRun.task_id)
        .where(
            sibling.schedule_id == PeriodicTask.schedule_id,
            TaskRun.state.in_([s.value for s in OPEN_RUNS]),
            # an earlier kind that is still under way, or any run of the task itself
            (sibling.id == PeriodicTask.id) | (TaskRun.trigger != "manual"),
        )
        .exists()
    )
    return (
        session()
        .execute(
            select(*_COLUMNS)
            .select_from(_WITH_SCHEDULE)
            .where(PeriodicTask.next_at <= now, ~before, ~open_run)
            .order_by(PeriodicTask.next_at, PeriodicTask.id)
            .limit(BATCH)
            .with_for_update(of=PeriodicTask, skip_locked=True)
        )
        .all()
    )


def _caught_up(rows: Sequence[Any], now: datetime, late_days: int) -> Iterator[tuple[Any, calendar.CatchUp, ZoneInfo]]:
    """What each task has to do now. Thousands of tasks share a moment, few ask a new question."""
    known: dict[tuple[Any, ...], calendar.CatchUp] = {}
    for row in rows:
        tz = schedules.stored_zone(row.timezone)
        moment = (row.next_month, _when(row), tz, now)
        key = (*moment, row.forced, row.shift_days)
        caught = known.get(key)
        if caught is None:
            days = FORCED_DAYS if row.forced else late_days
            caught = known[key] = calendar.catch_up(*moment, days, row.shift_days)
        yield row, caught, tz


def _when(row: Any) -> calendar.When:
    """When the task of a row of _COLUMNS runs."""
    if row.kind == Kind.cut:
        return calendar.When(row.day, row.minute, due_day=row.due_day)
    invoices = (row.invoices_day, row.invoices_minute) if row.kind == Kind.notice else None
    return calendar.When(row.day, row.minute, invoices=invoices)


def _claim_batch() -> tuple[list[int], bool]:
    """One batch of due tasks; the new runs, and whether there may be more.

    A task with months behind its newest due one is first only passed on to that: it is claimed by the moment that would
    run, or an old pointer of a cut would bring this month's cut before the invoices of its own cycle. Tasks that share
    their next and their present moment are written together: a full tick is few statements.
    """
    now, late_days = clock.now(), settings.company().late_days
    rows = _due(now)
    missed: list[dict[str, Any]] = []
    groups: dict[Group, list[int]] = defaultdict(list)
    for row, caught, tz in _caught_up(rows, now, late_days):
        if caught.run is None and not caught.missed:  # its moment was computed by other rules: it has not come yet
            session().execute(_update(PeriodicTask.id == row.id).values(next_at=caught.next_at))
            continue
        missed += [_missed(row, month, tz, now) for month in caught.missed]
        groups[_group(row, caught, tz)].append(row.id)
    _write_missed(missed)
    run_ids = [run_id for group, ids in groups.items() for run_id in _write(group, ids, now)]
    queueing.enqueue_runs_after_commit(run_ids)
    return run_ids, bool(missed) or len(rows) == BATCH


def _group(row: Any, caught: calendar.CatchUp, tz: ZoneInfo) -> Group:
    by = row.ordered_by
    if caught.run is None:
        return Group(None, False, True, row.next_at, caught.next_month, caught.next_at, by)
    if caught.missed:
        newest = calendar.occurrence_at(caught.run, _when(row), tz)
        return Group(None, False, False, row.next_at, caught.run, newest, by)
    return Group(caught.run, caught.late, False, row.next_at, caught.next_month, caught.next_at, by)


def _write_missed(missed: list[dict[str, Any]]) -> None:
    if missed:
        statement = insert_into(Occurrence).on_conflict_do_nothing(index_elements=["task_id", "month"])
        session().execute(statement, missed)


def _missed(row: Any, month: date, tz: ZoneInfo, now: datetime) -> dict[str, Any]:
    at = calendar.occurrence_at(month, _when(row), tz)
    return {"task_id": row.id, "month": month, "due_at": at, "state": "missed", "noted_at": now}


def _write(group: Group, ids: list[int], now: datetime) -> list[int]:
    """Write the runs, the occurrences and the moved pointers of the tasks ``ids``, which share their moments; the ids
    of the new runs.

    A task that has got an open run meanwhile, by a person's order, keeps its pointer: the next tick claims it.
    """
    s = session()
    values: dict[str, Any] = {"next_month": group.next_month, "next_at": group.next_at, "shift_days": 0}
    done = {"forced": False, "ordered_by": ""}
    if group.given_up:
        values |= {**done, "state": "missed", "state_until": None, "state_run_id": None}
    if group.run is None:
        s.execute(_update(PeriodicTask.id.in_(ids)).values(**values))
        return []
    row = {
        "month": group.run,
        "trigger": "late" if group.late else "schedule",
        "state": RunState.QUEUED.value,
        "actor": group.actor or audit.SYSTEM.name,
        "planned_for": group.planned,
        "created_at": now,
    }
    columns = [literal(value, TaskRun.__table__.c[name].type) for name, value in row.items()]
    insert = insert_into(TaskRun).from_select(
        ["task_id", *row], select(PeriodicTask.id, *columns).where(PeriodicTask.id.in_(ids))
    )
    run_ids = list(s.scalars(insert.on_conflict_do_nothing().returning(TaskRun.id)))
    scheduled = and_(TaskRun.task_id.in_(ids), TaskRun.month == group.run, TaskRun.trigger.in_(["schedule", "late"]))
    claimed = select(TaskRun.task_id, TaskRun.month, TaskRun.planned_for, literal("claimed"), TaskRun.id)
    upsert = insert_into(Occurrence).from_select(
        ["task_id", "month", "due_at", "state", "run_id"], claimed.where(scheduled)
    )
    new = upsert.excluded
    s.execute(
        upsert.on_conflict_do_update(
            index_elements=["task_id", "month"], set_={"state": new.state, "run_id": new.run_id, "due_at": new.due_at}
        )
    )
    of_month = (Occurrence.task_id == PeriodicTask.id, Occurrence.month == group.run)
    values |= {**done, "state_run_id": select(Occurrence.run_id).where(*of_month).scalar_subquery()}
    s.execute(_update(PeriodicTask.id.in_(select(TaskRun.task_id).where(scheduled))).values(**values))
    return run_ids


def _update(where: ColumnElement[bool]) -> Update:
    return update(PeriodicTask).where(where).execution_options(synchronize_session=False)


def abandoned() -> list[int]:
    """Runs that somebody must take up: their worker's lease has ended, their job was lost, or a retry is due.

    An order by hand counts as lost at once: its job has a name, so that asking again adds nothing where it waits.
    """
    unleased = clock.due(TaskRun.lease_until, LEASE)
    lost = select(TaskRun.id).where(TaskRun.state == RunState.RUNNING.value, TaskRun.phase != "syncing", unleased)
    waiting = select(TaskRun.id).where(TaskRun.state == RunState.QUEUED.value)
    if not queue.is_inline():  # else this process works them off itself
        old = clock.since(TaskRun.created_at, REQUEUE_AFTER)
        waiting = waiting.where(or_(old, TaskRun.trigger == "manual"))
    retry = select(TaskRun.id).where(clock.due(TaskRun.retry_at, ledger.RETRY_PAUSES[-1]))
    return list(session().scalars(lost.union(waiting, retry)))


def forget_old_plans() -> None:
    """Simulations are kept for a day; those that a run was made from stay with it."""
    old = clock.now() - timedelta(days=1)
    used = select(TaskRun.plan_id).where(TaskRun.plan_id.is_not(None))
    ids = session().scalars(select(TaskPlan.id).where(TaskPlan.created_at < old, TaskPlan.id.not_in(used))).all()
    if ids:
        session().execute(delete(PlanItem).where(PlanItem.plan_id.in_(ids)))
        session().execute(delete(TaskPlan).where(TaskPlan.id.in_(ids)))
