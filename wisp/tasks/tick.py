"""The tick: every minute, claim what is due, and take up again what a killed worker has left."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.orm import aliased

from wisp.core import audit, clock
from wisp.core.db import insert_into, session, transaction
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks.domain import OPEN_RUNS, RunState
from wisp.tasks.models import PlanItem, TaskPlan, TaskRun

BATCH = 2000
"""Tasks claimed in one transaction."""
REQUEUE_AFTER = timedelta(minutes=2)
"""A queued run that no worker has started for so long is enqueued again: its job may be lost with Redis."""


def claim_due() -> list[int]:
    """Claim every occurrence whose moment has come; the ids of the new runs.

    Safe beside another tick: the due rows are locked (PostgreSQL skips those another tick has locked, SQLite writes
    one at a time), and a run per (task, month) is unique.
    """
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
            select(PeriodicTask, BillingSchedule.timezone)
            .join(BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)
            .where(PeriodicTask.next_at <= now, ~before, ~open_run)
            .order_by(PeriodicTask.next_at, PeriodicTask.id)
            .limit(BATCH)
            .with_for_update(of=PeriodicTask, skip_locked=True)
            .execution_options(populate_existing=True)
        )
        .all()
    )


def _claim_batch() -> tuple[list[int], bool]:
    now, late_days = clock.now(), settings.company().late_days
    rows = _due(now)
    if not rows:
        return [], False
    runs: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    missed: list[dict[str, Any]] = []
    for task, timezone in rows:
        tz = schedules.zone_info(timezone)
        caught = calendar.catch_up(
            task.next_month, task.day, task.minute, tz, now, 36500 if task.forced else late_days, task.shift_days
        )
        planned = task.next_at
        if caught.run is not None and caught.run != task.next_month:
            planned = calendar.occurrence_at(caught.run, task.day, task.minute, tz)
        missed += [_missed(task, month, tz) for month in caught.missed]
        if caught.run is not None:
            runs.append(_run(task.id, caught.run, "late" if caught.late else "schedule", planned, now))
        moves.append(_move(task, caught))
    claimed = _write(runs, moves, missed)
    return claimed, len(rows) == BATCH


def _run(task_id: int, month: date, trigger: str, planned: datetime, now: datetime) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "month": month,
        "trigger": trigger,
        "state": RunState.QUEUED.value,
        "actor": audit.SYSTEM.name,
        "planned_for": planned,
        "created_at": now,
    }


def _missed(task: PeriodicTask, month: date, tz: Any) -> dict[str, Any]:
    at = calendar.occurrence_at(month, task.day, task.minute, tz)
    return {"task_id": task.id, "month": month, "due_at": at, "state": "missed"}


def _move(task: PeriodicTask, caught: calendar.CatchUp) -> dict[str, Any]:
    """What a claim leaves on the task: its next occurrence, and the state where this one was missed."""
    gone = caught.run is None and bool(caught.missed)
    return {
        "id": task.id,
        "next_month": caught.next_month,
        "next_at": caught.next_at,
        "shift_days": 0,
        "forced": False,
        "state": "missed" if gone else task.state,
        "state_until": None if gone else task.state_until,
        "state_run_id": None if gone else task.state_run_id,
    }


def _write(runs: list[dict[str, Any]], moves: list[dict[str, Any]], missed: list[dict[str, Any]]) -> list[int]:
    s = session()
    s.execute(update(PeriodicTask), moves)
    if missed:
        s.execute(insert_into(Occurrence).on_conflict_do_nothing(index_elements=["task_id", "month"]), missed)
    if not runs:
        return []
    newest = s.scalar(select(TaskRun.id).order_by(TaskRun.id.desc()).limit(1)) or 0
    s.execute(insert(TaskRun), runs)
    mine = select(TaskRun.id, TaskRun.task_id, TaskRun.month, TaskRun.planned_for).where(
        TaskRun.id > newest,
        TaskRun.trigger.in_(["schedule", "late"]),
        TaskRun.task_id.in_([r["task_id"] for r in runs]),
    )
    rows = s.execute(mine).all()
    upsert = insert_into(Occurrence)
    s.execute(
        upsert.on_conflict_do_update(
            index_elements=["task_id", "month"],
            set_={"state": "claimed", "run_id": upsert.excluded.run_id, "due_at": upsert.excluded.due_at},
        ),
        [
            {"task_id": r.task_id, "month": r.month, "due_at": r.planned_for, "state": "claimed", "run_id": r.id}
            for r in rows
        ],
    )
    s.execute(update(PeriodicTask), [{"id": r.task_id, "state_run_id": r.id} for r in rows])
    return [r.id for r in rows]


def abandoned() -> list[int]:
    """Runs that somebody must take up: their worker's lease has ended, their job was lost, or a retry is due."""
    now = clock.now()
    lost = select(TaskRun.id).where(
        TaskRun.state == RunState.RUNNING.value, TaskRun.phase != "syncing", TaskRun.lease_until < now
    )
    waiting = select(TaskRun.id).where(TaskRun.state == RunState.QUEUED.value, TaskRun.created_at < now - REQUEUE_AFTER)
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
