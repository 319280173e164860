"""A run of a zone's notice or cut over its clients with own billing: one run, part of each client's own task."""

from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import ScalarSelect, Select, case, literal, null, or_, select, update
from sqlalchemy.sql.expression import and_

from wisp.clients.models import Client
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.tasks.domain import OPEN_ITEMS
from wisp.tasks.models import RunItem, TaskRun

OWN = "own"
"""TaskRun.scope of such a run."""


def check(task: PeriodicTask) -> None:
    """Refused("tasks.own_scope") for a task that cannot act on the clients with own billing of its zone."""
    of_zone = session().scalar(select(Zone.id).where(Zone.schedule_id == task.schedule_id))
    if of_zone is None or task.kind == Kind.invoices:
        raise Refused("tasks.own_scope", id=task.id)


def own_task(client_id: object, kind: Kind) -> ScalarSelect[int]:
    """The id of a client's own task of that kind."""
    return (
        select(PeriodicTask.id)
        .join(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .where(Client.id == client_id, PeriodicTask.kind == kind.value)
        .scalar_subquery()
    )


class Owned(Protocol):
    """What is asked of a task here."""

    @property
    def schedule_id(self) -> Any: ...

    @property
    def kind(self) -> Any: ...


def own_tasks(task: Owned) -> Select[int]:
    """The ids of the tasks of that kind of the zone's clients with own billing."""
    return (
        select(PeriodicTask.id)
        .join(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .join(Zone, Zone.id == Client.zone_id)
        .where(Zone.schedule_id == task.schedule_id, Client.own_billing, Client.cancelled_at.is_(None))
        .where(PeriodicTask.kind == task.kind, PeriodicTask.archived_at.is_(None))
    )


def settle(task: PeriodicTask, month: date, run_id: int, own: bool) -> None:
    """A missed (or skipped) month applied by hand is that month's occurrence from now on: of the task, or, for a run
    over own billing, of those of the clients' own tasks that had missed that very month."""
    concerned = own_tasks(task) if own else [task.id]
    moved = session().execute(
        update(Occurrence)
        .where(Occurrence.task_id.in_(concerned), Occurrence.month == month, Occurrence.state != "claimed")
        .values(state="claimed", run_id=run_id)
        .execution_options(synchronize_session=False)
    )
    if not moved.rowcount:  # type: ignore[attr-defined]
        return
    settled = select(Occurrence.task_id).where(Occurrence.run_id == run_id)
    session().execute(
        update(PeriodicTask)
        .where(PeriodicTask.id.in_(settled), PeriodicTask.state == "missed")
        .values(state_run_id=run_id)
        .execution_options(synchronize_session="fetch")
    )


def ended(run: TaskRun) -> None:
    """Those of the clients' own tasks whose missed month this run was: what it came to for each client."""
    open_item = (
        select(literal(1))
        .where(RunItem.run_id == run.id, RunItem.task_id == PeriodicTask.id)
        .where(RunItem.state.in_([state.value for state in OPEN_ITEMS]))
        .exists()
    )
    mine = PeriodicTask.state_run_id == run.id
    with_schedule = BillingSchedule.id == PeriodicTask.schedule_id
    names = select(BillingSchedule.timezone).join(PeriodicTask, with_schedule).where(mine).distinct()
    for name in session().scalars(names).all():
        until = calendar.state_until(run.created_at, schedules.stored_zone(name))
        there = select(BillingSchedule.id).where(BillingSchedule.timezone == name)
        session().execute(
            update(PeriodicTask)
            .where(mine, PeriodicTask.schedule_id.in_(there))
            .values(
                state=case((open_item, "error"), else_="success"),
                state_until=case((open_item, null()), else_=literal(until, PeriodicTask.state_until.type)),
            )
            .execution_options(synchronize_session="fetch")
        )


def started(run: TaskRun, task: PeriodicTask, now: datetime) -> None:
    """The run is the latest one of each client's own task too, and counts once there."""
    rows = session().execute(
        select(PeriodicTask.id, BillingSchedule.timezone)
        .join(BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)
        .where(PeriodicTask.id.in_(own_tasks(task)))
        .order_by(PeriodicTask.id)
        .with_for_update(of=PeriodicTask)
    )
    by_zone: dict[str, list[int]] = {}
    for task_id, timezone in rows:
        by_zone.setdefault(timezone, []).append(task_id)
    fresh = or_(PeriodicTask.applied_until.is_(None), PeriodicTask.applied_until <= now)
    for timezone, ids in by_zone.items():
        until = calendar.state_until(now, schedules.stored_zone(timezone))
        session().execute(
            update(PeriodicTask)
            .where(PeriodicTask.id.in_(own_tasks(task)) if len(by_zone) == 1 else PeriodicTask.id.in_(ids))
            .values(
                applied=case((fresh, 1), else_=PeriodicTask.applied + 1),
                applied_until=case((fresh, until), else_=PeriodicTask.applied_until),
                applied_ever=PeriodicTask.applied_ever + 1,
                last_run_id=run.id,
                last_applied_at=run.created_at,
            )
            .execution_options(synchronize_session=False)
        )


def earlier(run: TaskRun, task: PeriodicTask) -> Select[int]:
    """The ids of the runs that ended in error, or wait for the hours of cuts, and whose open items become this run's
    matter: those of the task over the same clients, and for a run over own billing those of the clients' own tasks."""
    same = and_(TaskRun.task_id == run.task_id, TaskRun.scope == run.scope)
    concerned = or_(same, TaskRun.task_id.in_(own_tasks(task))) if run.scope == OWN else same
    return select(TaskRun.id).where(concerned, TaskRun.id < run.id, TaskRun.state.in_(["error", "held"]))
