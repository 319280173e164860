"""Use cases of billing schedules: make one with its three tasks, change it, switch tasks, preview dates."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from wisp.core import audit, clock, events
from wisp.core.db import insert_into, session
from wisp.core.errors import Refused
from wisp.schedules import domain
from wisp.schedules.domain import BillingType, EditOutcome, Kind, Timetable, When
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.settings import service as settings

Moment = tuple[int, int]
"""Day of the month (1-31) and minute of the day (0-1439), local."""

_MOMENT = re.compile(r"\s*(\d{1,2})\s+(\d{1,2}):(\d{2})\s*")


class Terms(NamedTuple):
    """How a schedule bills from now on: its days, and the first month whose invoices are still to be made (or that
    were missed, one after the other, just before)."""

    days: Timetable
    month: date


ThisMonth = str | Mapping[Kind, str] | None
"""What happens to a month whose new moment has gone by: "run" or "skip", for all kinds or for each one."""

AT_ONCE = timedelta(minutes=15)
"""A moment that comes so soon after saving is an order to apply."""

Concern = Callable[[PeriodicTask, date, int | None], bool]
_concerns: list[Concern] = []


def concerns_answered_by(concern: Concern) -> None:
    """Who knows whether a task is still to run for a month (for the one client given)."""
    _concerns[:] = [concern]


def concerns(task: PeriodicTask, month: date, client_id: int | None = None) -> bool:
    """Whether the task is still to run for that month, for anybody or for that client; True where nobody knows."""
    return all(concern(task, month, client_id) for concern in _concerns)


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
    return stored_zone(schedule.timezone)


def stored_zone(name: str) -> ZoneInfo:
    """The time zone of a schedule's stored name: the company's where it is empty, or no longer known."""
    return clock.zone(name, settings.timezone()) if name else settings.timezone()


def lost_zones() -> list[str]:
    """Names of time zones that schedules, or the company, have and the machine's data no longer knows."""
    names = {settings.company().timezone, *session().scalars(select(BillingSchedule.timezone).distinct())}
    return sorted(name for name in names if name and not clock.is_zone(name))


def timetable(schedule: BillingSchedule) -> Timetable:
    """The schedule's days as they are meant."""
    return timetable_of(schedule.billing_type, schedule.due_day, moments_of(schedule))


def timetable_of(billing_type: str, due_day: int, moments: Mapping[Kind, Moment]) -> Timetable:
    """The days of a schedule that is being made or edited."""
    return Timetable(billing_type, due_day, moments[Kind.invoices], moments[Kind.notice], moments[Kind.cut])


def moments_of(schedule: BillingSchedule) -> dict[Kind, Moment]:
    """Day and minute of each of its tasks."""
    return {Kind(task.kind): (task.day, task.minute) for task in schedule.tasks}


def when_of(task: PeriodicTask) -> When:
    """When the task runs each month."""
    return timetable(task.schedule).when(task.kind)


def terms(schedule: BillingSchedule, *, with_missed: bool = True) -> Terms:
    """The schedule's terms. ``with_missed`` False: months that were missed or skipped count as dealt with."""
    task = next(task for task in schedule.tasks if task.kind == Kind.invoices)
    days, month = timetable(schedule), task.next_month
    if task.next_at is None:
        month = max(month, domain.next_month(clock.now(), days.when(Kind.invoices), timezone_of(schedule)))
    if with_missed:
        left = set(
            session().scalars(
                select(Occurrence.month).where(Occurrence.task_id == task.id, Occurrence.state != "claimed")
            )
        )
        while domain.add_months(month, -1) in left:
            month = domain.add_months(month, -1)
    return Terms(days, month)


def _check(days: Timetable, timezone: str) -> None:
    if days.billing_type not in set(BillingType):
        raise Refused("schedules.billing_type", value=days.billing_type)
    if not 1 <= days.due_day <= 31:
        raise Refused("schedules.due_day", value=days.due_day)
    for day, minute in (days.invoices, days.notice, days.cut):
        if not (1 <= day <= 31 and 0 <= minute <= 1439):
            raise Refused("schedules.moment", text=format_moment(day, minute))
    if days.cut[0] == days.due_day:
        raise Refused("schedules.cut_on_due_day", day=days.due_day, proposed=days.due_day % 31 + 1)
    zone_info(timezone)


def create(*, billing_type: str, due_day: int, timezone: str = "", moments: Mapping[Kind, Moment]) -> BillingSchedule:
    """A new schedule with its three tasks, each starting with its next future occurrence."""
    if set(moments) != set(Kind):
        raise Refused("schedules.incomplete")
    days = timetable_of(billing_type, due_day, moments)
    _check(days, timezone)
    tz, now = zone_info(timezone), clock.now()
    schedule = BillingSchedule(billing_type=billing_type, due_day=due_day, timezone=timezone)
    for kind in Kind:
        when = days.when(kind)
        month = domain.next_month(now, when, tz)
        schedule.tasks.append(
            PeriodicTask(
                kind=kind.value,
                day=when.day,
                minute=when.minute,
                next_month=month,
                next_at=domain.occurrence_at(month, when, tz),
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
    this_month: ThisMonth = None,
    may_apply: bool = True,
    gap: str = "bill",
) -> None:
    """Change a schedule; next runs are recomputed here and now.

    Where the new moment of a task is already past and its month is still to run (see ``concerns``), ``this_month``
    decides: "run" (the next tick takes it, in the name of this person) or "skip"; without it
    Refused("schedules.needs_choice", kinds="invoices, cut"), nothing changed. Somebody who may not apply tasks
    (``may_apply``) can neither choose "run" nor set a moment that has come within AT_ONCE:
    Refused("schedules.may_not_apply"). Refused("schedules.cut_on_due_day") proposes the day after.
    ``gap``: whether days that fall between the old periods and the new ones are charged (see billing_changed).
    """
    lock([schedule.id])
    new_zone = schedule.timezone if timezone is None else timezone
    days = timetable_of(
        schedule.billing_type if billing_type is None else billing_type,
        schedule.due_day if due_day is None else due_day,
        {**moments_of(schedule), **(moments or {})},
    )
    _check(days, new_zone)
    tz = zone_info(new_zone)
    outcomes = edit_outcomes(schedule, days, tz)
    at_once = _decide(schedule, outcomes, this_month, may_apply)
    before, billed_so_far = describe(schedule), terms(schedule, with_missed=False)
    schedule.billing_type, schedule.due_day, schedule.timezone = days.billing_type, days.due_day, new_zone
    for task in schedule.tasks:
        kind = Kind(task.kind)
        if kind in outcomes:
            by_hand = (task.day, task.minute) != days.when(kind)[:2]
            task.day, task.minute = days.when(kind)[:2]
            if by_hand:
                task.shift_days = 0
            _move(task, outcomes[kind], days.when(kind), tz, kind in at_once)
    audit.record("schedule.change", f"schedule:{schedule.id}", before, describe(schedule))
    session().flush()
    events.billing_changed.emit(schedule_id=schedule.id, before=billed_so_far, gap=gap)


def _decide(
    schedule: BillingSchedule, outcomes: Mapping[Kind, EditOutcome], this_month: ThisMonth, may_apply: bool
) -> list[Kind]:
    """The kinds whose month that has gone by runs at once. See ``change`` for what is refused."""
    chosen(choices(schedule, outcomes), this_month)
    enabled = {Kind(task.kind) for task in schedule.tasks if task.enabled and task.archived_at is None}
    passed = [kind for kind, outcome in outcomes.items() if outcome.needs_choice and kind in enabled]
    at_once = [kind for kind in passed if _choice_of(this_month, kind) == "run"]
    if not may_apply:
        soon = clock.now() + AT_ONCE
        ordered = [k for k in Kind if k in at_once or (k in outcomes and k in enabled and outcomes[k].next_at <= soon)]
        if ordered:
            raise Refused("schedules.may_not_apply", kinds=", ".join(ordered))
    return at_once


def _choice_of(this_month: ThisMonth, kind: Kind) -> str | None:
    return this_month.get(kind) if isinstance(this_month, Mapping) else this_month


def chosen(kinds: Iterable[Kind], this_month: ThisMonth) -> list[Kind]:
    """Those of the kinds in question that run at once. Refused("schedules.needs_choice") where one is left open."""
    found = {kind: _choice_of(this_month, kind) for kind in kinds}
    given = this_month.values() if isinstance(this_month, Mapping) else [this_month]
    if wrong := [value for value in given if value not in (None, "run", "skip")]:
        raise Refused("schedules.this_month", value=wrong[0])
    if undecided := [kind for kind, value in found.items() if value is None]:
        raise Refused("schedules.needs_choice", kinds=", ".join(undecided))
    return [kind for kind, value in found.items() if value == "run"]


def refuse_at_once(made: Iterable[BillingSchedule]) -> None:
    """Refused("schedules.may_not_apply") where a task of a schedule that has just been made comes within AT_ONCE."""
    soon = clock.now() + AT_ONCE
    tasks = [task for schedule in made for task in schedule.tasks]
    if ordered := [task.kind for task in tasks if task.next_at is not None and task.next_at <= soon]:
        raise Refused("schedules.may_not_apply", kinds=", ".join(ordered))


def choices(schedule: BillingSchedule, outcomes: Mapping[Kind, EditOutcome]) -> list[Kind]:
    """The kinds for which a person must say what happens this month."""
    return [
        Kind(task.kind)
        for task in schedule.tasks
        if task.enabled
        and (outcome := outcomes.get(Kind(task.kind))) is not None
        and outcome.past_month is not None
        and concerns(task, outcome.past_month)
    ]


def edit_outcomes(schedule: BillingSchedule, days: Timetable, tz: ZoneInfo) -> dict[Kind, EditOutcome]:
    """What saving these days would mean for each task whose moment it changes.

    Only another day or hour opens a month anew; where a task merely follows (the time zone, the payment day, the
    invoices' hour), its months that are dealt with stay so.
    """
    zone_changes = tz != timezone_of(schedule)
    ran, now = _ran(schedule), clock.now()
    outcomes: dict[Kind, EditOutcome] = {}
    for task in schedule.tasks:
        kind, when, present = Kind(task.kind), days.when(task.kind), when_of(task)
        if present[:2] != when[:2]:
            outcomes[kind] = domain.after_edit(task.next_month, ran.get(kind), when, tz, now)
        elif (zone_changes or present != when) and not (task.next_at is not None and task.next_at <= now):
            outcomes[kind] = domain.after_follow(task.next_month, when, tz, now, task.shift_days)
    return outcomes


def _ran(schedule: BillingSchedule) -> dict[Kind, date]:
    """The latest month of each task that a run has claimed."""
    return claimed([schedule.id])


def _move(task: PeriodicTask, outcome: EditOutcome, when: When, tz: ZoneInfo, at_once: bool) -> None:
    """Set the pointer of a task whose moment has changed."""
    if task.next_month != outcome.next_month:
        task.shift_days = 0
    task.forced, task.ordered_by = False, ""
    task.next_month, task.next_at = outcome.next_month, outcome.next_at
    if not task.enabled:
        task.next_at = None
        return
    note_missed(task, outcome.missed, when, tz)
    if outcome.past_month is None:
        return
    if at_once:
        _order(task, outcome.past_month, when, tz)
    else:
        _note(task, outcome.past_month, when, tz, "skipped")


def _order(task: PeriodicTask, month: date, when: When, tz: ZoneInfo) -> None:
    """Let the next tick run that month, however old its moment is, in the name of who orders it now."""
    task.next_month, task.forced, task.shift_days, task.ordered_by = month, True, 0, audit.actor().name
    task.next_at = domain.occurrence_at(month, when, tz)


def note_missed(task: PeriodicTask, months: Iterable[date], when: When, tz: ZoneInfo) -> None:
    """Write down months that will not run by themselves."""
    for month in months:
        _note(task, month, when, tz, "missed")


def _note(task: PeriodicTask, month: date, when: When, tz: ZoneInfo, state: str) -> None:
    at = domain.occurrence_at(month, when, tz)
    session().execute(
        insert_into(Occurrence)
        .values(task_id=task.id, month=month, due_at=at, state=state, noted_at=clock.now())
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
    task.enabled, task.forced, task.ordered_by = wanted, False, ""
    if wanted and task.archived_at is None:
        now, tz, when = clock.now(), timezone_of(task.schedule), when_of(task)
        moved = domain.occurrence_at(task.next_month, when, tz, task.shift_days)
        if not task.shift_days or moved <= now:
            task.shift_days = 0
            task.next_month = max(task.next_month, domain.next_month(now, when, tz))
        task.next_at = domain.occurrence_at(task.next_month, when, tz, task.shift_days)
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
                task.archived_at, task.next_at, task.shift_days = now, None, 0
                task.forced, task.ordered_by = False, ""
                audit.record("task.archive", f"task:{task.id}", {"archived": False}, {"archived": True})


def revive(schedule: BillingSchedule) -> None:
    """Take archived tasks out again: each goes on with its next future occurrence, never with a past one."""
    now, tz = clock.now(), timezone_of(schedule)
    lock([schedule.id])
    for task in schedule.tasks:
        if task.archived_at is None:
            continue
        task.archived_at, when = None, when_of(task)
        task.next_month = max(task.next_month, domain.next_month(now, when, tz))
        if task.enabled:
            task.next_at = domain.occurrence_at(task.next_month, when, tz)
        audit.record("task.revive", f"task:{task.id}", {"archived": True}, {"archived": False})


def gone_by(timezone: str, days: Timetable, dealt_with: Mapping[Kind, date]) -> list[Kind]:
    """The kinds whose moment of this month is past, and which have not run this month.

    ``dealt_with``: the latest month of a kind that has run, for whoever the schedule is for.
    """
    tz, now = zone_info(timezone), clock.now()
    month = domain.month_of(now.astimezone(tz))
    return [
        kind
        for kind in Kind
        if domain.occurrence_at(month, days.when(kind), tz) <= now and dealt_with.get(kind, date.min) < month
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
            _order(task, month, when_of(task), tz)


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

    Whatever has become past by the move is taken at the next tick, in the name of who moved it: the hour that people
    read has come. The tasks are locked first: a tick that is just claiming them has moved their months on.
    """
    if "timezone" not in changed:
        return
    tz, now = settings.timezone(), clock.now()
    of_company = select(BillingSchedule.id).where(BillingSchedule.timezone == "")
    lock(session().scalars(of_company))
    for task in session().scalars(
        select(PeriodicTask)
        .where(PeriodicTask.schedule_id.in_(of_company), PeriodicTask.next_at.is_not(None))
        .options(joinedload(PeriodicTask.schedule).selectinload(BillingSchedule.tasks))
    ):
        before, when = task.next_at, when_of(task)
        task.next_at = domain.occurrence_at(task.next_month, when, tz, task.shift_days)
        if before is not None and task.next_at <= now < before:
            task.ordered_by = audit.actor().name
