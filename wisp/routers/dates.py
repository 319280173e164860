"""A schedule's cycles as they are shown: on a zone's and a client's page, and live while the schedule is edited."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from wisp.core import clock
from wisp.schedules import domain
from wisp.schedules import service as schedules
from wisp.schedules.domain import Cycle, EditOutcome, Kind, Odd, Timetable
from wisp.schedules.models import BillingSchedule, PeriodicTask

COUNT = 12


@dataclass(frozen=True)
class Preview:
    """``cycles``: the next twelve, each from its invoices to its cut, beginning with the one that is under way.

    ``odd``: what is odd about the days, in days. ``next_at``: the next run of each task. ``passed``: the moment of this
    month that has gone by, of each task for which saving must say whether it runs at once or begins next month.
    """

    timezone: ZoneInfo
    cycles: list[Cycle]
    odd: dict[Odd, int]
    next_at: dict[Kind, datetime]
    passed: dict[Kind, datetime] = field(default_factory=dict)

    def asking(self, kinds: list[Kind], days: Timetable) -> "Preview":
        """The same, asking about the present month of these kinds."""
        month = domain.month_of(clock.today(self.timezone))
        passed = {kind: domain.occurrence_at(month, days.when(kind), self.timezone) for kind in kinds}
        return replace(self, passed=passed)


def preview(timezone: str, days: Timetable, schedule: BillingSchedule | None = None) -> Preview:
    """What saving these days and hours would mean, for a new schedule or for ``schedule`` as it stands.

    A month that has run already does not run again, so what comes next for a schedule that exists is what really would
    run. Refused("schedules.timezone") for an unknown time zone.
    """
    tz = schedules.zone_info(timezone)
    pointers = {kind: domain.next_month(clock.now(), days.when(kind), tz) for kind in Kind}
    outcomes: dict[Kind, EditOutcome] = {}
    tasks: Mapping[Kind, PeriodicTask] = {}
    if schedule is not None:
        tasks = {Kind(task.kind): task for task in schedule.tasks}
        outcomes = schedules.edit_outcomes(schedule, days, tz)
        for kind, task in tasks.items():
            pointer = outcomes[kind].next_month if kind in outcomes else task.next_month
            if task.next_at is None:  # switched off or archived: where it would begin again
                pointer = max(pointer, pointers[kind])
            pointers[kind] = pointer
    next_at = {kind: domain.occurrence_at(pointers[kind], days.when(kind), tz) for kind in Kind}
    for kind, task in tasks.items():
        if kind not in outcomes and task.next_at is not None:  # it may have been moved because invoices came late
            next_at[kind] = task.next_at
    cycles = [
        _as_planned(one, days, pointers, next_at)
        for one in (domain.cycle(domain.add_months(_first(pointers, days), n), days, tz) for n in range(COUNT))
    ]
    passed = {}
    if schedule is not None:
        for kind in schedules.choices(schedule, outcomes):
            month = outcomes[kind].past_month
            if month is not None:
                passed[kind] = domain.occurrence_at(month, days.when(kind), tz)
    return Preview(tz, cycles, domain.oddities(cycles, days, tz), next_at, passed)


def of_schedule(schedule: BillingSchedule) -> Preview:
    """The cycles of a schedule as it stands."""
    return preview(schedule.timezone, schedules.timetable(schedule), schedule)


def _first(pointers: Mapping[Kind, date], days: Timetable) -> date:
    """The month of the cycle that is under way: the one whose cut comes next, but no more than two before the next
    invoices."""
    month = pointers[Kind.invoices]
    for _ in range(2):
        before = domain.add_months(month, -1)
        if domain.cycle_occurrence(Kind.cut, before, days) < pointers[Kind.cut]:
            break
        month = before
    return month


def _as_planned(one: Cycle, days: Timetable, pointers: Mapping[Kind, date], next_at: Mapping[Kind, datetime]) -> Cycle:
    """The cycle with the moments at which its next runs are really planned."""
    mine = {kind for kind in Kind if domain.cycle_occurrence(kind, one.month, days) == pointers[kind]}
    return one._replace(**{kind.value: next_at[kind] for kind in mine})
