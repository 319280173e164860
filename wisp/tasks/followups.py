"""The cut that follows a broken promise: at the hour of the client's cut task on the day after, in a run of its own.

It is for those whom a promise brought back from a cut, or whom a cut run passed over because of it. Whose cut has not
come yet waits for that.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import insert_into, session
from wisp.invoices import service as invoices
from wisp.invoices.models import Promise
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks.domain import FOLLOWUP, RunState
from wisp.tasks.models import TaskRun

BATCH = 2000
"""Broken promises looked at in one transaction."""


def claim() -> list[int]:
    """Begin the follow-up runs whose hour has come, one per task and day; the ids of the new runs.

    A task that is switched off has none; nor has who has paid since, is suspended again or cancelled, or whose day is
    longer ago than a missed task may be. Safe beside another tick: the task is locked, and (task, day) is unique.
    """
    now = clock.now()
    waiting: dict[int, list[Any]] = defaultdict(list)
    gone: list[int] = []
    for row in _pending(now):
        timezone = schedules.stored_zone(row.timezone)
        today = now.astimezone(timezone).date()
        if _moment(max(row.follow_on, today), row.minute, timezone) > now:
            continue
        oldest = today - timedelta(days=settings.company().late_days)
        if not row.needed or not row.enabled or row.follow_on < oldest:
            gone.append(row.id)
        else:
            waiting[row.task_id].append(row)
    _forget(gone)
    found = [_begin(task_id, waiting[task_id], now) for task_id in sorted(waiting)]
    return [run_id for run_id in found if run_id is not None]


def _pending(now: datetime) -> Sequence[Any]:
    """Broken promises whose day has begun, with the cut task of their clients. ``needed``: the cut is still missing."""
    today = invoices.local_today(now)
    overdue = invoices.owed(Client.id, today).overdue_debt
    cut_of = (PeriodicTask.schedule_id == BillingSchedule.id) & (PeriodicTask.kind == Kind.cut.value)
    needed = ~Access.suspended & Client.cancelled_at.is_(None) & (overdue > settings.company().tolerance)
    return (
        session()
        .execute(
            select(
                Promise.id, Promise.follow_on, PeriodicTask.id.label("task_id"), PeriodicTask.minute,
                PeriodicTask.enabled, BillingSchedule.timezone, needed.label("needed"),
            )
            .join(Client, Client.id == Promise.client_id)
            .join(Access, Access.client_id == Client.id)
            .join(Zone, Zone.id == Client.zone_id)
            .join(BillingSchedule, invoices.schedule_of_client())
            .join(PeriodicTask, cut_of)
            .where(Promise.follow_on.is_not(None), Promise.follow_on <= today)
            .order_by(Promise.id)
            .limit(BATCH)
        )
        .all()
    )  # fmt: skip


def _moment(day: date, minute: int, timezone: Any) -> datetime:
    return calendar.occurrence_at(calendar.month_of(day), calendar.When(day.day, minute), timezone)


def _forget(promise_ids: Sequence[int]) -> None:
    if promise_ids:
        session().execute(
            update(Promise)
            .where(Promise.id.in_(promise_ids))
            .values(follow_on=None)
            .execution_options(synchronize_session=False)
        )


def _begin(task_id: int, rows: Sequence[Any], now: datetime) -> int | None:
    """The task's run of today, and the promises that it is for; None where the task is at work, or has had its run of
    today: the next tick looks again."""
    # the tick locks the task before it inserts a run, as everybody does
    free = select(PeriodicTask.id).where(PeriodicTask.id == task_id).with_for_update(skip_locked=True)
    if session().scalar(free) is None:
        return None
    timezone = schedules.zone_info(rows[0].timezone)
    day = now.astimezone(timezone).date()
    run_id = session().scalar(
        insert_into(TaskRun)
        .values(
            task_id=task_id,
            month=calendar.month_of(day),
            day=day,
            trigger=FOLLOWUP,
            state=RunState.QUEUED.value,
            actor=audit.SYSTEM.name,
            planned_for=_moment(day, rows[0].minute, timezone),
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(TaskRun.id)
    )
    if run_id is None:
        return None
    mine = Promise.id.in_([row.id for row in rows])
    session().execute(
        update(Promise)
        .where(mine, Promise.follow_on.is_not(None))
        .values(follow_on=None, run_id=run_id)
        .execution_options(synchronize_session=False)
    )
    return int(run_id)
