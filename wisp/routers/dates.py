"""The next dates of a schedule while it is being edited, and whether saving it asks what to do with this month."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from wisp.core import clock
from wisp.schedules import domain
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask

COUNT = 12


@dataclass(frozen=True)
class Preview:
    """``dates``: the next moments (UTC) of each task; ``choices``: the tasks whose new moment of this month has gone
    by without a run, so that saving must say whether they run at once or begin next month."""

    timezone: ZoneInfo
    dates: dict[Kind, list[datetime]]
    choices: list[Kind]


def preview(timezone: str, moments: Mapping[Kind, tuple[int, int]], schedule: BillingSchedule | None = None) -> Preview:
    """What saving these days and hours would mean, for a new schedule or for ``schedule`` as it stands.

    A month that has run already does not run again, so the dates of a schedule that exists begin where it really
    would go on. Refused("schedules.timezone") for an unknown time zone.
    """
    tz = schedules.zone_info(timezone)
    if schedule is None:
        found = schedules.preview(timezone, moments, COUNT)
        return Preview(tz, {one.kind: one.next_at for one in found}, [])
    tasks = {Kind(task.kind): task for task in schedule.tasks}
    zone_changes = tz != schedules.timezone_of(schedule)
    moved = [t for kind, t in tasks.items() if zone_changes or (t.day, t.minute) != moments[kind]]
    outcomes = schedules.edit_outcomes(moved, moments, tz)
    dates, choices = {}, []
    for kind, task in tasks.items():
        outcome = outcomes.get(task.id)
        first = outcome.next_month if outcome else task.next_month
        if task.next_at is None:  # switched off or archived: where it would begin again
            first = max(first, domain.next_month(clock.now(), *moments[kind], tz))
        dates[kind] = domain.upcoming(first, *moments[kind], tz, COUNT)
        if outcome is None:
            dates[kind] = _as_planned(task, dates[kind])
        elif outcome.needs_choice and task.enabled:
            choices.append(kind)
    return Preview(tz, dates, choices)


def _as_planned(task: PeriodicTask, dates: list[datetime]) -> list[datetime]:
    """The first date as it is really planned (it may have been moved because invoices came late)."""
    return [task.next_at, *dates[1:]] if task.next_at is not None else dates
