"""Use cases of billing schedules: make one with its three tasks, change it, switch tasks, preview dates."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select

from wisp.core import audit, clock
from wisp.core.db import insert_into, session
from wisp.core.errors import Refused
from wisp.schedules import domain
from wisp.schedules.domain import BillingType, Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.settings import service as settings

Moment = tuple[int, int]
"""Day of the month (1-31) and minute of the day (0-1439), local."""

_MOMENT = re.compile(r"\s*(\d{1,2})\s+(\d{1,2}):(\d{2})\s*")


@dataclass(frozen=True)
class Dates:
    """When one task of a schedule being edited would run."""

    kind: Kind
    next_at: list[datetime]


def parse_moment(text: str) -> Moment:
    """ "15 12:00" as (15, 720). Refused("schedules.moment") for anything else."""
    match = _MOMENT.fullmatch(text)
    if match:
        day, hour, minute = (int(part) for part in match.groups())
        if 1 <= day <= 31 and hour <= 23 and minute <= 59:
            return day, hour * 60 + minute
    raise Refused("schedules.moment", text=text)


def format_moment(day: int, minute: int) -> str:
    """(15, 720) as "15 12:00"."""
    return f"{day} {minute // 60:02d}:{minute % 60:02d}"


def zone_info(name: str) -> ZoneInfo:
    """The time zone of that name, the company's where empty. Refused("schedules.timezone") for an unknown one."""
    if not name:
        return settings.timezone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused("schedules.timezone", name=name) from None


def timezone_of(schedule: BillingSchedule) -> ZoneInfo:
    """The time zone in which the schedule's days and hours are meant."""
    return zone_info(schedule.timezone)


def _check(billing_type: str, due_day: int, timezone: str, moments: Mapping[Kind, Moment]) -> None:
    if billing_type not in set(BillingType):
        raise Refused("schedules.billing_type", value=billing_type)
    if not 1 <= due_day <= 31:
        raise Refused("schedules.due_day", value=due_day)
    for day, minute in moments.values():
        if not (1 <= day <= 31 and 0 <= minute <= 1439):
            raise Refused("schedules.moment", text=format_moment(day, minute))
    zone_info(timezone)


def create(*, billing_type: str, due_day: int, timezone: str = "", moments: Mapping[Kind, Moment]) -> BillingSchedule:
    """A new schedule with its three tasks, each starting with its next future occurrence."""
    _check(billing_type, due_day, timezone, moments)
    if set(moments) != set(Kind):
        raise Refused("schedules.incomplete")
    tz, now = zone_info(timezone), clock.now()
    schedule = BillingSchedule(billing_type=billing_type, due_day=due_day, timezone=timezone)
    for kind in Kind:
        day, minute = moments[kind]
        month = domain.next_month(now, day, minute, tz)
        schedule.tasks.append(
            PeriodicTask(
                kind=kind.value,
                day=day,
                minute=minute,
                next_month=month,
                next_at=domain.occurrence_at(month, day, minute, tz),
            )
        )
    session().add(schedule)
    session().flush()
    return schedule


def change(
    schedule: BillingSchedule,
    *,
    billing_type: str | None = None,
    due_day: int | None = None,
    timezone: str | None = None,
    moments: Mapping[Kind, Moment] | None = None,
    this_month: str | None = None,
) -> None:
    """Change a schedule; next runs are recomputed here and now.

    Where the new moment of a task is already past and its month has not run, ``this_month`` decides: "run" (the next
    tick takes it) or "skip"; without it Refused("schedules.needs_choice", kinds="invoices, cut"), nothing changed.
    """
    lock([schedule.id])
    new_type = schedule.billing_type if billing_type is None else billing_type
    new_due = schedule.due_day if due_day is None else due_day
    new_zone = schedule.timezone if timezone is None else timezone
    wanted: dict[Kind, Moment] = {Kind(t.kind): (t.day, t.minute) for t in schedule.tasks}
    wanted.update(moments or {})
    _check(new_type, new_due, new_zone, wanted)
    if this_month not in (None, "run", "skip"):
        raise Refused("schedules.this_month", value=this_month)
    zone_changes = zone_info(new_zone) != timezone_of(schedule)
    moved = [t for t in schedule.tasks if zone_changes or (t.day, t.minute) != wanted[Kind(t.kind)]]
    outcomes = edit_outcomes(moved, wanted, zone_info(new_zone))
    choices = [t.kind for t in moved if t.enabled and outcomes[t.id].needs_choice]
    if choices and this_month is None:
        raise Refused("schedules.needs_choice", kinds=", ".join(choices))
    before = describe(schedule)
    schedule.billing_type, schedule.due_day, schedule.timezone = new_type, new_due, new_zone
    for task in moved:
        task.day, task.minute = wanted[Kind(task.kind)]
        _move(task, outcomes[task.id], zone_info(new_zone), this_month)
    audit.record("schedule.change", f"schedule:{schedule.id}", before, describe(schedule))


def edit_outcomes(
    tasks: Iterable[PeriodicTask], wanted: Mapping[Kind, Moment], tz: ZoneInfo
) -> dict[int, domain.EditOutcome]:
    """What saving the new moments would mean, by task id."""
    tasks = list(tasks)
    ran = dict(
        session()
        .execute(
            select(Occurrence.task_id, func.max(Occurrence.month))
            .where(Occurrence.task_id.in_([t.id for t in tasks]), Occurrence.state == "claimed")
            .group_by(Occurrence.task_id)
        )
        .all()
    )
    now = clock.now()
    return {t.id: domain.after_edit(t.next_month, ran.get(t.id), *wanted[Kind(t.kind)], tz, now) for t in tasks}


def _move(task: PeriodicTask, outcome: domain.EditOutcome, tz: ZoneInfo, this_month: str | None) -> None:
    """Set the pointer of a task whose moment has changed."""
    task.shift_days, task.forced = 0, False
    task.next_month, task.next_at = outcome.next_month, outcome.next_at
    if not task.enabled:
        task.next_at = None
        return
    note_missed(task, outcome.missed, tz)
    if outcome.past_month is None:
        return
    if this_month == "run":
        task.next_month, task.forced = outcome.past_month, True
        task.next_at = domain.occurrence_at(outcome.past_month, task.day, task.minute, tz)
    else:
        _note(task, outcome.past_month, tz, "skipped")


def note_missed(task: PeriodicTask, months: Iterable[date], tz: ZoneInfo) -> None:
    """Write down months that will not run by themselves."""
    for month in months:
        _note(task, month, tz, "missed")


def _note(task: PeriodicTask, month: date, tz: ZoneInfo, state: str) -> None:
    at = domain.occurrence_at(month, task.day, task.minute, tz)
    session().execute(
        insert_into(Occurrence)
        .values(task_id=task.id, month=month, due_at=at, state=state)
        .on_conflict_do_nothing(index_elements=["task_id", "month"])
    )


def lock(schedule_ids: Iterable[int]) -> None:
    """Hold the tasks of these schedules until the end of the transaction, and read them as they stand now.

    Without it a switch could answer to a state that a tick, or another person, has just changed.
    """
    session().flush()
    session().scalars(
        select(PeriodicTask)
        .where(PeriodicTask.schedule_id.in_(list(schedule_ids)))
        .order_by(PeriodicTask.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def switch(schedules: Iterable[BillingSchedule], kinds: Mapping[Kind, bool]) -> int:
    """Switch tasks on or off; how many changed. One switched on takes its next future occurrence, never a past one."""
    changed = 0
    for schedule in schedules:
        for task in schedule.tasks:
            wanted = kinds.get(Kind(task.kind))
            changed += wanted is not None and switch_task(task, wanted)
    return changed


def switch_task(task: PeriodicTask, wanted: bool) -> bool:
    """Switch one task on or off; False where it stands so already.

    Switched on it takes its next future occurrence. One that was moved with late invoices stays moved: before the moved
    due day it would find nobody, and the month would be lost.
    """
    if wanted == task.enabled:
        return False
    task.enabled, task.forced = wanted, False
    if wanted and task.archived_at is None:
        now, tz = clock.now(), timezone_of(task.schedule)
        moved = domain.occurrence_at(task.next_month, task.day, task.minute, tz, task.shift_days)
        if not task.shift_days or moved <= now:
            task.shift_days = 0
            task.next_month = max(task.next_month, domain.next_month(now, task.day, task.minute, tz))
        task.next_at = domain.occurrence_at(task.next_month, task.day, task.minute, tz, task.shift_days)
    else:
        task.next_at = None
    audit.record("task.switch", f"task:{task.id}", {"enabled": not wanted}, {"enabled": wanted})
    return True


def archive(schedules: Iterable[BillingSchedule]) -> None:
    """Hide the tasks of schedules whose owner has gone or went back to its zone's billing: no next run, runs kept."""
    now, schedules = clock.now(), list(schedules)
    lock([schedule.id for schedule in schedules])
    for schedule in schedules:
        for task in schedule.tasks:
            if task.archived_at is None:
                task.archived_at, task.next_at, task.shift_days, task.forced = now, None, 0, False
                audit.record("task.archive", f"task:{task.id}", {"archived": False}, {"archived": True})


def revive(schedule: BillingSchedule) -> None:
    """Take archived tasks out again: each goes on with its next future occurrence, never with a past one."""
    now, tz = clock.now(), timezone_of(schedule)
    lock([schedule.id])
    for task in schedule.tasks:
        if task.archived_at is None:
            continue
        task.archived_at = None
        task.next_month = max(task.next_month, domain.next_month(now, task.day, task.minute, tz))
        if task.enabled:
            task.next_at = domain.occurrence_at(task.next_month, task.day, task.minute, tz)
        audit.record("task.revive", f"task:{task.id}", {"archived": True}, {"archived": False})


def gone_by(timezone: str, moments: Mapping[Kind, Moment], dealt_with: Mapping[Kind, date]) -> list[Kind]:
    """The kinds whose moment of this month is past, and which have not run this month.

    ``dealt_with``: the latest month of a kind that has run, for whoever the schedule is for.
    """
    tz, now = zone_info(timezone), clock.now()
    month = domain.month_of(now.astimezone(tz))
    return [
        kind
        for kind in Kind
        if domain.occurrence_at(month, *moments[kind], tz) <= now and dealt_with.get(kind, date.min) < month
    ]


def claimed(schedule_ids: Iterable[int]) -> dict[Kind, date]:
    """The latest month of each kind that a run has claimed, over these schedules."""
    rows = session().execute(
        select(PeriodicTask.kind, func.max(Occurrence.month))
        .join(PeriodicTask, PeriodicTask.id == Occurrence.task_id)
        .where(PeriodicTask.schedule_id.in_(list(schedule_ids)), Occurrence.state == "claimed")
        .group_by(PeriodicTask.kind)
    )
    return {Kind(kind): month for kind, month in rows}


def run_this_month(schedule: BillingSchedule, kinds: Iterable[Kind]) -> None:
    """Let the next tick apply this month, whose moment has gone by, for these kinds (those switched on)."""
    tz = timezone_of(schedule)
    month = domain.month_of(clock.now().astimezone(tz))
    chosen = set(kinds)
    for task in schedule.tasks:
        if Kind(task.kind) in chosen and task.enabled and task.archived_at is None:
            task.next_month, task.forced, task.shift_days = month, True, 0
            task.next_at = domain.occurrence_at(month, task.day, task.minute, tz)


def preview(timezone: str, moments: Mapping[Kind, Moment], count: int = 12) -> list[Dates]:
    """The next ``count`` moments of each task of a schedule as it is being edited."""
    tz, now = zone_info(timezone), clock.now()
    return [
        Dates(kind, domain.upcoming(domain.next_month(now, *moments[kind], tz), *moments[kind], tz, count))
        for kind in Kind
        if kind in moments
    ]


def describe(schedule: BillingSchedule) -> dict[str, object]:
    """The schedule as plain values, for the audit log."""
    return {
        "billing_type": schedule.billing_type,
        "due_day": schedule.due_day,
        "timezone": schedule.timezone,
        **{task.kind: format_moment(task.day, task.minute) for task in schedule.tasks},
    }


def on_settings_changed(changed: set[str]) -> None:
    """Receiver: the company's time zone has changed, so have the moments of every schedule without one of its own.

    Whatever has become past by the move is taken at the next tick: the hour that people read has come.
    """
    if "timezone" not in changed:
        return
    tz = settings.timezone()
    for task in session().scalars(
        select(PeriodicTask)
        .join(BillingSchedule)
        .where(BillingSchedule.timezone == "", PeriodicTask.next_at.is_not(None))
    ):
        task.next_at = domain.occurrence_at(task.next_month, task.day, task.minute, tz, task.shift_days)
