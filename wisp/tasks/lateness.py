"""Invoices that came late move the notice and the cut of their cycle."""

from datetime import date
from zoneinfo import ZoneInfo

from wisp.core import clock
from wisp.core.db import session
from wisp.invoices import domain as invoicing
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks.models import TaskRun


def came_late(run: TaskRun) -> bool:
    """Whether the run is its month's occurrence and after its time: late by itself, or a missed month by hand.

    A run by hand for clients added since does not count: it must not move the notice and the cut of everybody.
    """
    if run.trigger == "late":
        return True
    occurrence = session().get(Occurrence, (run.task_id, run.month))
    return run.trigger == "manual" and occurrence is not None and occurrence.run_id == run.id


def shift_cycle(run: TaskRun, cycle: invoicing.Cycle, due_now: date) -> None:
    """Invoices came late: the same cycle's notice and cut keep their distance to the due date and move with it."""
    task = session().get_one(PeriodicTask, run.task_id)
    days = calendar.shift_days(cycle.due, due_now)
    if not days:
        return
    tz, timetable = schedules.timezone_of(task.schedule), schedules.timetable(task.schedule)
    for other in task.schedule.tasks:
        if other.kind == Kind.invoices or other.next_at is None:
            continue
        month = calendar.cycle_occurrence(other.kind, run.month, timetable)
        if other.next_month == month or _pass_over(other, month, tz):
            other.shift_days = days
            other.next_at = calendar.occurrence_at(month, timetable.when(other.kind), tz, days)


def _pass_over(task: PeriodicTask, month: date, tz: ZoneInfo) -> bool:
    """After a long time off the months before ``month`` may all be too old to run: give them up as missed here and now,
    as the next tick would, so that ``month`` can move. False where one of them is still to run, or to come."""
    when = schedules.when_of(task)
    caught = calendar.catch_up(task.next_month, when, tz, clock.now(), settings.company().late_days, task.shift_days)
    if task.forced or not task.next_month < month <= caught.next_month:
        return False
    if caught.run is not None and caught.run < month:
        return False
    schedules.note_missed(task, [missed for missed in caught.missed if missed < month], when, tz)
    task.next_month = month
    task.state, task.state_until, task.state_run_id = "missed", None, None
    return True
