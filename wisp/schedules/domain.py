"""The calendar of periodic tasks: pure rules, nothing but dates in and dates out.

A month is a `date` whose day is 1. A task runs once a month, on a day (1 to 31, kept as meant and clamped to
the month's last day) and at a minute of the day (0 to 1439), both in the zone's time zone. An occurrence is
named by the month in which its day was meant; instants are aware datetimes in UTC.

A cycle is invoices, notice, due date, cut. Its days are compared as meant and only then clamped; where clamping
would put the cut on or before its due date, or the notice before its invoices, that one moves (see When).

Each task keeps one pointer, `next_month`: the first month that has not been dealt with (run, or given up as
missed).
"""

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

LATE_AFTER = timedelta(minutes=15)
"""A run that starts later than this after its moment is called late."""

MISSED_DAYS = 60
"""A missed month may be applied by hand for so many days after its date."""

AHEAD_DAYS = 7
"""Next month may be applied by hand when its date is at most so many days away."""

DUE_LATE, NOTICE_EARLY, CUT_LATE = 21, 14, 21
"""Days from the invoice to its due date, from the notice to the due date, from there to the cut: more is odd."""

MAX_SHIFT_DAYS = 27
"""Occurrences of one task are at least 28 days apart: moved by no more than this, they stay in order."""

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class Kind(StrEnum):
    """The three periodic tasks of a schedule, in the order in which they act."""

    invoices = "invoices"
    notice = "notice"
    cut = "cut"


class BillingType(StrEnum):
    """Whether a cycle charges the period that begins or the one that ends at its due day."""

    prepaid = "prepaid"
    postpaid = "postpaid"


class MonthReason(StrEnum):
    """Why a run by hand may bill a month."""

    current = "current"
    missed = "missed"
    next = "next"


class When(NamedTuple):
    """When a task runs each month: its day as meant (1-31) and its minute of the day (0-1439).

    `due_day` (of a cut): its schedule's payment day. Where clamping would put the cut on or before the due date of
    its month, it falls so many days after it as were meant, maybe in the next month. `invoices` (of a notice): day
    and minute of its schedule's invoices, which it never precedes.
    """

    day: int
    minute: int
    due_day: int | None = None
    invoices: tuple[int, int] | None = None


class Timetable(NamedTuple):
    """The days of a schedule: payment day, and (day, minute) of each task, all as meant."""

    billing_type: str
    due_day: int
    invoices: tuple[int, int]
    notice: tuple[int, int]
    cut: tuple[int, int]

    def when(self, kind: str) -> When:
        """When the task of that kind runs. ValueError for another kind."""
        match Kind(kind):
            case Kind.invoices:
                return When(*self.invoices)
            case Kind.notice:
                return When(*self.notice, invoices=self.invoices)
            case _:
                return When(*self.cut, due_day=self.due_day)


class Cycle(NamedTuple):
    """One billing cycle as people read it: the moments (UTC) of its tasks, its due date, its period (both in)."""

    month: date
    invoices: datetime
    notice: datetime
    due: date
    cut: datetime
    period_from: date
    period_to: date


class Odd(StrEnum):
    """What is odd about the days of a schedule."""

    due_late = "due_late"
    notice_early = "notice_early"
    notice_after_cut = "notice_after_cut"
    cut_late = "cut_late"
    cut_on_due_day = "cut_on_due_day"


class ManualMonth(NamedTuple):
    """A month that a run by hand may bill, and why."""

    month: date
    reason: MonthReason


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What is to be done with a task at one moment.

    `missed`: months given up, oldest first. `run`: the month that runs now, if any. `late`: that run is late.
    `next_month`, `next_at`: the pointer afterwards and the moment of that month.
    """

    missed: list[date]
    run: date | None
    late: bool
    next_month: date
    next_at: datetime


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """What saving a new day and hour does to a task.

    `next_month`, `next_at`: the pointer after saving and its moment, always in the future, whatever is
    chosen. `past_month`: the month whose new moment has gone by without a run; with `needs_choice` the person
    decides whether it runs at once ("run") or not at all ("skip"). `missed`: older months that had not been
    dealt with.
    """

    next_month: date
    next_at: datetime
    needs_choice: bool
    past_month: date | None
    missed: list[date]


def month_of(day: date) -> date:
    """The month of a date (or of a datetime, by its own wall clock)."""
    return date(day.year, day.month, 1)


def add_months(month: date, n: int) -> date:
    """The month `n` months after (before, where negative) `month`."""
    year, index = divmod(month.year * 12 + month.month - 1 + n, 12)
    return date(year, index + 1, 1)


def parse_month(text: str) -> date:
    """ "2026-11" as a month. ValueError for anything else."""
    match = _MONTH.fullmatch(text)
    if match is None:
        raise ValueError(f"not a month: {text!r}")
    return date(int(match[1]), int(match[2]), 1)


def format_month(month: date) -> str:
    """A month as "2026-11"."""
    return f"{month.year:04d}-{month.month:02d}"


def local_date(now: datetime, tz: ZoneInfo) -> date:
    """The date on the wall at an aware instant."""
    return now.astimezone(tz).date()


def clamp_day(month: date, day: int) -> date:
    """The date of a day (1-31, else ValueError) in a month: the month's last where it has no such day."""
    if not 1 <= day <= 31:
        raise ValueError(f"not a day of a month: {day}")
    return date(month.year, month.month, min(day, calendar.monthrange(month.year, month.month)[1]))


def occurrence_date(month: date, when: When) -> date:
    """The local date of a month's occurrence: its day, clamped; of a cut, never on or before the due date that it
    follows in the same month. ValueError for a day outside 1-31."""
    on = clamp_day(month, when.day)
    if when.due_day is not None and when.due_day < when.day:
        due = clamp_day(month, when.due_day)
        if on <= due:
            return due + timedelta(days=when.day - when.due_day)
    return on


def occurrence_at(month: date, when: When, tz: ZoneInfo, shift_days: int = 0) -> datetime:
    """The instant (UTC) of a month's occurrence, moved by whole local days where `shift_days` says so.

    A wall time that does not exist moves forward by the length of the gap; one that exists twice is the first
    of the two. ValueError for a day outside 1-31 or a minute outside 0-1439.
    """
    at = _instant(occurrence_date(month, when) + timedelta(days=shift_days), when.minute, tz)
    if when.invoices is not None:
        day, minute = when.invoices
        invoiced_in = month if day <= when.day else add_months(month, -1)
        at = max(at, _instant(clamp_day(invoiced_in, day), minute, tz))
    return at


def _instant(on: date, minute_of_day: int, tz: ZoneInfo) -> datetime:
    hour, minute = divmod(minute_of_day, 60)
    # fold=0 is exactly the rule: the first of two, and in a gap the offset that held before it.
    return datetime(on.year, on.month, on.day, hour, minute, tzinfo=tz, fold=0).astimezone(UTC)


def next_month(after: datetime, when: When, tz: ZoneInfo) -> date:
    """The first month whose occurrence is strictly after an aware instant."""
    # One month back: a cut can fall into the month after its own, and a gap across midnight can carry the last
    # minutes of a month into the next one.
    month = add_months(month_of(after.astimezone(tz)), -1)
    while occurrence_at(month, when, tz) <= after:
        month = add_months(month, 1)
    return month


def upcoming(from_month: date, when: When, tz: ZoneInfo, count: int = 12) -> list[datetime]:
    """The instants (UTC) of `count` occurrences, beginning with that of `from_month`."""
    return [occurrence_at(add_months(from_month, n), when, tz) for n in range(count)]


def due_month(month: date, invoice_day: int, due_day: int) -> date:
    """The month of the due date of a cycle: the first due day on or after the invoice day, both as meant."""
    return month if due_day >= invoice_day else add_months(month, 1)


def due_on(month: date, invoice_day: int, due_day: int) -> date:
    """The planned due date of the cycle whose invoices are those of `month`."""
    return clamp_day(due_month(month, invoice_day, due_day), due_day)


def period_of(month: date, invoice_day: int, due_day: int, billing_type: str) -> tuple[date, date]:
    """First and last day that a cycle charges. Prepaid: from its due day to the day before the next one's; postpaid:
    from the due day of the cycle before to the day before this one's. ValueError for another type."""
    first = due_month(month, invoice_day, due_day)
    if BillingType(billing_type) == BillingType.postpaid:
        first = add_months(first, -1)
    return clamp_day(first, due_day), clamp_day(add_months(first, 1), due_day) - timedelta(days=1)


def cycle_occurrence(kind: str, month: date, days: Timetable) -> date:
    """The month whose occurrence of `kind` belongs to the cycle of a billing month: the first notice day on or after
    the invoice day, the first cut day after the due day, all as meant. ValueError for another kind."""
    match Kind(kind):
        case Kind.invoices:
            return month
        case Kind.notice:
            return month if days.notice[0] >= days.invoices[0] else add_months(month, 1)
        case _:
            due = due_month(month, days.invoices[0], days.due_day)
            return due if days.cut[0] > days.due_day else add_months(due, 1)


def cycle(month: date, days: Timetable, tz: ZoneInfo) -> Cycle:
    """The cycle whose invoices are those of `month`."""
    at = {kind: occurrence_at(cycle_occurrence(kind, month, days), days.when(kind), tz) for kind in Kind}
    period_from, period_to = period_of(month, days.invoices[0], days.due_day, days.billing_type)
    return Cycle(
        month=month,
        invoices=at[Kind.invoices],
        notice=at[Kind.notice],
        due=due_on(month, days.invoices[0], days.due_day),
        cut=at[Kind.cut],
        period_from=period_from,
        period_to=period_to,
    )


def oddities(cycles: Iterable[Cycle], days: Timetable, tz: ZoneInfo) -> dict[Odd, int]:
    """What is odd about these cycles of a schedule, with the greatest distance in days that makes it so."""
    found: dict[Odd, int] = {}

    def far(odd: Odd, apart: int, more_than: int) -> None:
        if apart > more_than:
            found[odd] = max(apart, found.get(odd, 0))

    if days.cut[0] == days.due_day:
        found[Odd.cut_on_due_day] = 0
    for one in cycles:
        invoices, notice, cut = (local_date(at, tz) for at in (one.invoices, one.notice, one.cut))
        far(Odd.due_late, (one.due - invoices).days, DUE_LATE)
        far(Odd.notice_early, (one.due - notice).days, NOTICE_EARLY)
        far(Odd.notice_after_cut, (notice - cut).days, 0)
        far(Odd.cut_late, (cut - one.due).days, CUT_LATE)
    return found


def catch_up(
    next_month: date,
    when: When,
    tz: ZoneInfo,
    now: datetime,
    late_days: int,
    shift_days: int = 0,
) -> CatchUp:
    """What a task has to do at `now`, given its pointer.

    Of the occurrences that are due only the newest runs, and only where it is at most `late_days` times 24
    hours old; all others are missed. The pointer moves past everything that was due, so that asking again
    with the new pointer finds nothing. `shift_days` (0 to MAX_SHIFT_DAYS) moves the occurrence of
    `next_month` only: where the pointer moves on, it is 0 again.
    """
    missed: list[date] = []
    month, at = next_month, occurrence_at(next_month, when, tz, shift_days)
    newest_at = at
    while at <= now:
        missed.append(month)
        newest_at = at
        month = add_months(month, 1)
        at = occurrence_at(month, when, tz)
    if not missed or now - newest_at > timedelta(days=late_days):
        return CatchUp(missed=missed, run=None, late=False, next_month=month, next_at=at)
    run = missed.pop()
    return CatchUp(missed=missed, run=run, late=now - newest_at > LATE_AFTER, next_month=month, next_at=at)


def after_edit(
    pointer: date,
    ran_month: date | None,
    when: When,
    tz: ZoneInfo,
    now: datetime,
) -> EditOutcome:
    """What saving a new day and hour means for a task; to be asked only where its moment really changes.

    `pointer` is its `next_month`, `ran_month` the latest month whose occurrence ran or was claimed: it and those before
    it never run again. A month that did not run is still open, also where the pointer had left it behind (given up as
    missed, skipped, or gone by when the task was made): where its new moment is still to come, it runs then; where that
    has gone by, the person must choose.
    """
    first = min(pointer, month_of(now.astimezone(tz)), next_month(now, when, tz))
    if ran_month is not None:
        first = max(first, add_months(ran_month, 1))
    past: list[date] = []
    while (at := occurrence_at(first, when, tz)) <= now:
        past.append(first)
        first = add_months(first, 1)
    return EditOutcome(
        next_month=first,
        next_at=at,
        needs_choice=bool(past),
        past_month=past[-1] if past else None,
        missed=past[:-1],
    )


def after_follow(pointer: date, when: When, tz: ZoneInfo, now: datetime, shift_days: int = 0) -> EditOutcome:
    """What it means for a task, whose own day and hour stay, that its time zone or its schedule's other days change.

    Months that are dealt with stay so. Only where the moment of the pointer's month, which was still to come, has gone
    by with the change, a person must choose.
    """
    at = occurrence_at(pointer, when, tz, shift_days)
    if at > now:
        return EditOutcome(pointer, at, needs_choice=False, past_month=None, missed=[])
    following = add_months(pointer, 1)
    at = occurrence_at(following, when, tz)
    return EditOutcome(following, at, needs_choice=True, past_month=pointer, missed=[])


def shift_days(planned_due: date, real_due: date) -> int:
    """By how many days the notice and the cut of a cycle move when its invoices came late: as the due date did.

    Never back, and never so far (MAX_SHIFT_DAYS) that an occurrence would meet that of the following month.
    """
    return max(0, min(MAX_SHIFT_DAYS, (real_due - planned_due).days))


def manual_months(today: date, when: When, missed: Iterable[date]) -> list[ManualMonth]:
    """The months that a run by hand may bill; the first is the default.

    `today` is the local date in the zone's time zone. The current month; then the missed ones whose date lies
    at most MISSED_DAYS back, newest first; then next month where its date is at most AHEAD_DAYS away.
    """
    current = month_of(today)
    following = add_months(current, 1)
    oldest = today - timedelta(days=MISSED_DAYS)
    months = [ManualMonth(current, MonthReason.current)]
    months += [
        ManualMonth(month, MonthReason.missed)
        for month in sorted(set(missed), reverse=True)
        if month < current and occurrence_date(month, when) >= oldest
    ]
    if occurrence_date(following, when) <= today + timedelta(days=AHEAD_DAYS):
        months.append(ManualMonth(following, MonthReason.next))
    return months


def state_until(now: datetime, tz: ZoneInfo) -> datetime:
    """The instant (UTC) at which the local month of `now` ends: then a success becomes pending again."""
    return _instant(add_months(month_of(now.astimezone(tz)), 1), 0, tz)
