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
from wisp.core.db import insert_into, session, transaction
from wisp.core.errors import Refused
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks.domain import OPEN_RUNS, RunState
from wisp.tasks.models import PlanItem, TaskPlan, TaskRun

log = logging.getLogger(__name__)
BATCH = 2000
"""Tasks claimed in one transaction."""
FORCED_DAYS = 36500
"""A month that a person chose to run on saving runs however old its moment is."""
REQUEUE_AFTER = timedelta(minutes=2)
"""A run of the schedule that no worker has started for so long is enqueued again: its job may be lost with Redis."""
CLOSEST = timedelta(days=1)
"""Two occurrences of a task, one of them moved by late invoices, are at least so far apart."""
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
    """Due tasks with one outcome: the month that runs (None: missed), its moment, where the pointer goes, and in whose
    name ("": the schedule's own)."""

    run: date | None
    late: bool
    planned: datetime
    next_month: date
    next_at: datetime
    actor: str


def claim_due() -> list[int]:
    """Claim every occurrence whose moment has come; the ids of the new runs.

    Safe beside another tick: the due rows are locked (PostgreSQL skips those another tick has locked, SQLite writes
    one at a time), and a run per (task, month) is unique.
    """
    after: int | None = 0
    while after is not None:
        with transaction():
            after = _pass_over(after)
    run_ids: list[int] = []
    while True:
        with transaction():
            found, more = _claim_batch()
        run_ids += found
        if not more:
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


def _pass_over(after: int) -> int | None:
    """Give up the months behind each task's newest due one, so that a task is claimed by the moment that would run.

    Else an old pointer of a cut would bring this month's cut before the invoices of its own cycle. Works through one
    batch of tasks with an id above ``after``; the last id, None at the end.
    """
    now, late_days = clock.now(), settings.company().late_days
    working = select(literal(1)).where(
        TaskRun.task_id == PeriodicTask.id, TaskRun.state.in_([s.value for s in OPEN_RUNS])
    )
    rows = session().execute(
        select(*_COLUMNS)
        .select_from(_WITH_SCHEDULE)
        .where(PeriodicTask.next_at <= now - CLOSEST, PeriodicTask.id > after, ~working.exists())
        .order_by(PeriodicTask.id)
        .limit(BATCH)
        .with_for_update(of=PeriodicTask, skip_locked=True)
    ).all()  # fmt: skip
    missed: list[dict[str, Any]] = []
    for row, caught, tz in _caught_up(rows, now, late_days):
        if not caught.missed:
            continue
        missed += [_missed(row, month, tz, now) for month in caught.missed]
        values: dict[str, Any] = {"next_month": caught.next_month, "next_at": caught.next_at, "shift_days": 0}
        if caught.run is not None:
            values["next_month"] = caught.run
            values["next_at"] = calendar.occurrence_at(caught.run, _when(row), tz)
        else:
            values |= {"forced": False, "ordered_by": "", "state": "missed", "state_until": None, "state_run_id": None}
        session().execute(_update(PeriodicTask.id == row.id).values(**values))
    _write_missed(missed)
    return rows[-1].id if len(rows) == BATCH else None


def _zone_info(name: str) -> ZoneInfo:
    """The time zone of a schedule. One that the machine's data no longer knows must not stop everybody's tick."""
    try:
        return schedules.zone_info(name)
    except Refused:
        log.exception("there is no time zone %r any more; the company's is used", name)
        return settings.timezone()


def _caught_up(rows: Sequence[Any], now: datetime, late_days: int) -> Iterator[tuple[Any, calendar.CatchUp, ZoneInfo]]:
    """What each task has to do now. Thousands of tasks share a moment, few ask a new question."""
    known: dict[tuple[Any, ...], calendar.CatchUp] = {}
    for row in rows:
        tz = _zone_info(row.timezone)
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
    """Tasks that share their next and their present moment are written together: a full tick is few statements."""
    now, late_days = clock.now(), settings.company().late_days
    rows = _due(now)
    if not rows:
        return [], False
    missed: list[dict[str, Any]] = []
    groups: dict[Group, list[int]] = defaultdict(list)
    for row, caught, tz in _caught_up(rows, now, late_days):
        if caught.run is None and not caught.missed:  # its moment was computed by other rules: it has not come yet
            session().execute(_update(PeriodicTask.id == row.id).values(next_at=caught.next_at))
            continue
        missed += [_missed(row, month, tz, now) for month in caught.missed]
        planned = row.next_at
        if caught.run is not None and caught.run != row.next_month:
            planned = calendar.occurrence_at(caught.run, _when(row), tz)
        groups[Group(caught.run, caught.late, planned, caught.next_month, caught.next_at, row.ordered_by)].append(
            row.id
        )
    _write_missed(missed)
    run_ids = [run_id for group, ids in groups.items() for run_id in _write(group, ids, now)]
    return run_ids, len(rows) == BATCH


def _write_missed(missed: list[dict[str, Any]]) -> None:
    if missed:
        statement = insert_into(Occurrence).on_conflict_do_nothing(index_elements=["task_id", "month"])
        session().execute(statement, missed)


def _missed(row: Any, month: date, tz: ZoneInfo, now: datetime) -> dict[str, Any]:
    at = calendar.occurrence_at(month, _when(row), tz)
    return {"task_id": row.id, "month": month, "due_at": at, "state": "missed", "noted_at": now}


def _write(group: Group, ids: list[int], now: datetime) -> list[int]:
    """Write the runs, the occurrences and the moved pointers of the tasks ``ids``, which share their moments."""
    s = session()
    values: dict[str, Any] = {
        "next_month": group.next_month,
        "next_at": group.next_at,
        "shift_days": 0,
        "forced": False,
        "ordered_by": "",
    }
    mine = PeriodicTask.id.in_(ids)
    if group.run is None:
        values |= {"state": "missed", "state_until": None, "state_run_id": None}
        s.execute(_update(mine).values(**values))
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
    insert = insert_into(TaskRun).from_select(["task_id", *row], select(PeriodicTask.id, *columns).where(mine))
    run_ids = list(s.scalars(insert.returning(TaskRun.id)))
    fresh = and_(TaskRun.id >= min(run_ids), TaskRun.id <= max(run_ids), TaskRun.task_id.in_(ids))
    claimed = select(TaskRun.task_id, TaskRun.month, TaskRun.planned_for, literal("claimed"), TaskRun.id).where(fresh)
    upsert = insert_into(Occurrence).from_select(["task_id", "month", "due_at", "state", "run_id"], claimed)
    new = upsert.excluded
    s.execute(
        upsert.on_conflict_do_update(
            index_elements=["task_id", "month"], set_={"state": new.state, "run_id": new.run_id, "due_at": new.due_at}
        )
    )
    of_month = (Occurrence.task_id == PeriodicTask.id, Occurrence.month == group.run)
    values["state_run_id"] = select(Occurrence.run_id).where(*of_month).scalar_subquery()
    s.execute(_update(mine).values(**values))
    return run_ids


def _update(where: ColumnElement[bool]) -> Update:
    return update(PeriodicTask).where(where).execution_options(synchronize_session=False)


def abandoned() -> list[int]:
    """Runs that somebody must take up: their worker's lease has ended, their job was lost, or a retry is due.

    An order by hand counts as lost at once: its job has a name, so that asking again adds nothing where it waits.
    """
    now = clock.now()
    lost = select(TaskRun.id).where(
        TaskRun.state == RunState.RUNNING.value, TaskRun.phase != "syncing", TaskRun.lease_until < now
    )
    waiting = select(TaskRun.id).where(TaskRun.state == RunState.QUEUED.value)
    if not queue.is_inline():  # else this process works them off itself
        old = TaskRun.created_at < now - REQUEUE_AFTER
        waiting = waiting.where(or_(old, TaskRun.trigger == "manual"))
    retry = select(TaskRun.id).where(TaskRun.retry_at <= now)
    return list(session().scalars(lost.union(waiting, retry)))


def forget_old_plans() -> None:
    """Simulations are kept for a day; those that a run was made from stay with it."""
    old = clock.now() - timedelta(days=1)
    used = select(TaskRun.plan_id).where(TaskRun.plan_id.is_not(None))
    ids = session().scalars(select(TaskPlan.id).where(TaskPlan.created_at < old, TaskPlan.id.not_in(used))).all()
    if ids:
        session().execute(delete(PlanItem).where(PlanItem.plan_id.in_(ids)))
        session().execute(delete(TaskPlan).where(TaskPlan.id.in_(ids)))
