"""The calendar of periodic tasks: pure rules, nothing but dates in and dates out.

A month is a `date` whose day is 1. A task runs once a month, on a day (1 to 31, kept as meant and clamped to
the month's last day) and at a minute of the day (0 to 1439), both in the zone's time zone. An occurrence is
named by its month; instants are aware datetimes in UTC.

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


def occurrence_at(month: date, day: int, minute_of_day: int, tz: ZoneInfo, shift_days: int = 0) -> datetime:
    """The instant (UTC) of a month's occurrence, moved by whole local days where `shift_days` says so.

    A wall time that does not exist moves forward by the length of the gap; one that exists twice is the first
    of the two. ValueError for a day outside 1-31 or a minute outside 0-1439.
    """
    hour, minute = divmod(minute_of_day, 60)
    on = clamp_day(month, day) + timedelta(days=shift_days)
    # fold=0 is exactly this rule: the first of two, and in a gap the offset that held before it.
    return datetime(on.year, on.month, on.day, hour, minute, tzinfo=tz, fold=0).astimezone(UTC)


def next_month(after: datetime, day: int, minute_of_day: int, tz: ZoneInfo) -> date:
    """The first month whose occurrence is strictly after an aware instant."""
    # One month back: a gap across midnight can carry the last minutes of a month into the next one.
    month = add_months(month_of(after.astimezone(tz)), -1)
    while occurrence_at(month, day, minute_of_day, tz) <= after:
        month = add_months(month, 1)
    return month


def upcoming(from_month: date, day: int, minute_of_day: int, tz: ZoneInfo, count: int = 12) -> list[datetime]:
    """The instants (UTC) of `count` occurrences, beginning with that of `from_month`."""
    return [occurrence_at(add_months(from_month, n), day, minute_of_day, tz) for n in range(count)]


def catch_up(
    next_month: date,
    day: int,
    minute_of_day: int,
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
    month, at = next_month, occurrence_at(next_month, day, minute_of_day, tz, shift_days)
    newest_at = at
    while at <= now:
        missed.append(month)
        newest_at = at
        month = add_months(month, 1)
        at = occurrence_at(month, day, minute_of_day, tz)
    if not missed or now - newest_at > timedelta(days=late_days):
        return CatchUp(missed=missed, run=None, late=False, next_month=month, next_at=at)
    run = missed.pop()
    return CatchUp(missed=missed, run=run, late=now - newest_at > LATE_AFTER, next_month=month, next_at=at)


def after_edit(
    next_month: date,
    ran_month: date | None,
    new_day: int,
    new_minute: int,
    tz: ZoneInfo,
    now: datetime,
) -> EditOutcome:
    """What saving a new day and hour means for a task; to be asked only where its moment really changes.

    `ran_month` is the latest month whose occurrence ran or was claimed: it and those before it never run
    again. A month that did not run is still open, also where the pointer had left it behind (given up as
    missed, skipped, or gone by when the task was made): where its new moment is still to come, it runs then;
    where that has gone by, the person must choose.
    """
    first = min(next_month, month_of(now.astimezone(tz)))
    if ran_month is not None:
        first = max(first, add_months(ran_month, 1))
    past: list[date] = []
    while (at := occurrence_at(first, new_day, new_minute, tz)) <= now:
        past.append(first)
        first = add_months(first, 1)
    return EditOutcome(
        next_month=first,
        next_at=at,
        needs_choice=bool(past),
        past_month=past[-1] if past else None,
        missed=past[:-1],
    )


def cycle_occurrence(kind: str, invoice_date: date, due: date, day: int) -> date:
    """The month whose occurrence of `kind`, on `day`, belongs to the cycle of an invoice occurrence.

    `invoice_date` is the planned date of the invoice occurrence, `due` the planned due date of its cycle.
    Notice: the first occurrence on or after the invoice's date. Cut: the first after the due date, which is
    itself still in time. Invoices: the occurrence's own month. ValueError for another kind.
    """
    if Kind(kind) == Kind.invoices:
        return month_of(invoice_date)
    earliest = invoice_date if kind == Kind.notice else due + timedelta(days=1)
    month = month_of(earliest)
    return month if clamp_day(month, day) >= earliest else add_months(month, 1)


def shift_days(planned_due: date, real_due: date) -> int:
    """By how many days the notice and the cut of a cycle move when its invoices came late: as the due date did.

    Never back, and never so far (MAX_SHIFT_DAYS) that an occurrence would meet that of the following month.
    """
    return max(0, min(MAX_SHIFT_DAYS, (real_due - planned_due).days))


def manual_months(today: date, day: int, missed: Iterable[date]) -> list[ManualMonth]:
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
        if month < current and clamp_day(month, day) >= oldest
    ]
    if clamp_day(following, day) <= today + timedelta(days=AHEAD_DAYS):
        months.append(ManualMonth(following, MonthReason.next))
    return months


def state_until(now: datetime, tz: ZoneInfo) -> datetime:
    """The instant (UTC) at which the local month of `now` ends: then a success becomes pending again."""
    return occurrence_at(add_months(month_of(now.astimezone(tz)), 1), 1, 0, tz)
