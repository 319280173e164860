"""The calendar of periodic tasks, over thirty years and in every time zone there is."""

import zoneinfo
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wisp.schedules.domain import (
    LATE_AFTER,
    MAX_SHIFT_DAYS,
    CatchUp,
    MonthReason,
    When,
    add_months,
    after_edit,
    catch_up,
    clamp_day,
    format_month,
    local_date,
    manual_months,
    month_of,
    next_month,
    occurrence_at,
    parse_month,
    shift_days,
    state_until,
    upcoming,
)

MEXICO = ZoneInfo("America/Mexico_City")
MADRID = ZoneInfo("Europe/Madrid")
NEW_YORK = ZoneInfo("America/New_York")
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

ALL_ZONES = sorted(zoneinfo.available_timezones())
FIRST, LAST = date(2010, 1, 1), date(2040, 12, 1)
ZONES = st.sampled_from(ALL_ZONES).map(ZoneInfo)
MONTHS = st.integers(0, 30 * 12).map(lambda n: add_months(FIRST, n))
DAYS = st.integers(1, 31)
MINUTES = st.integers(0, 24 * 60 - 1)
START = datetime(2010, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 30 * 365 * 24 * 3600).map(lambda n: START + timedelta(seconds=n))


@cache
def changes(zone: str, year: int) -> list[datetime]:
    """The instants of a year at which the zone's offset changes, to the minute (the first one with the new)."""
    tz = ZoneInfo(zone)
    found = []
    start = datetime(year, 1, 1, tzinfo=UTC)
    for before in (start + n * DAY for n in range(366)):
        low, high = before, before + DAY
        if low.astimezone(tz).utcoffset() == high.astimezone(tz).utcoffset():
            continue
        while high - low > MINUTE:
            middle = low + (high - low) // 2
            middle -= timedelta(seconds=middle.second, microseconds=middle.microsecond)
            same = middle.astimezone(tz).utcoffset() == low.astimezone(tz).utcoffset()
            low, high = (middle, high) if same else (low, middle)
        found.append(high)
    return found


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, date, int, int]:
    """Zone, month, day and minute whose wall time lies close to a change of the zone's offset."""
    zone = draw(st.sampled_from(ALL_ZONES))
    found = changes(zone, draw(st.integers(2010, 2038)))
    assume(found)
    before = (draw(st.sampled_from(found)) - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wall = before + draw(st.integers(-90, 210)) * MINUTE
    return ZoneInfo(zone), month_of(wall), wall.day, wall.hour * 60 + wall.minute


ANY_TIME = st.one_of(st.tuples(ZONES, MONTHS, DAYS, MINUTES), around_a_change())


def wall(at: datetime, tz: ZoneInfo) -> datetime:
    return at.astimezone(tz).replace(tzinfo=None)


def instants_of(naive: datetime, tz: ZoneInfo) -> list[datetime]:
    """All instants that have this wall time, found by trying the offsets of the hours around it."""
    rough = naive.replace(tzinfo=UTC)
    offsets = {(rough + n * timedelta(hours=6)).astimezone(tz).utcoffset() for n in range(-8, 9)}
    candidates = {rough - offset for offset in offsets if offset is not None}
    return sorted(at for at in candidates if wall(at, tz) == naive)


# --- months


def test_months_are_read_and_written() -> None:
    assert parse_month("2026-11") == date(2026, 11, 1)
    assert format_month(date(2026, 1, 1)) == "2026-01"
    assert month_of(date(2026, 11, 30)) == date(2026, 11, 1)
    assert month_of(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == date(2026, 11, 1)


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-1", "2026-11-01", "26-11", "", "2026-11 ", "٢٠٢٦-11"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_month(text)


@settings(max_examples=200, deadline=None)
@given(MONTHS, st.integers(-100, 100))
def test_months_are_counted(month: date, n: int) -> None:
    other = add_months(month, n)
    assert (other.year - month.year) * 12 + other.month - month.month == n
    assert other.day == 1
    assert add_months(other, -n) == month == parse_month(format_month(month))


@pytest.mark.parametrize(
    "month, day, on",
    [
        (date(2026, 2, 1), 31, date(2026, 2, 28)),
        (date(2028, 2, 1), 31, date(2028, 2, 29)),
        (date(2028, 2, 1), 29, date(2028, 2, 29)),
        (date(2026, 4, 1), 31, date(2026, 4, 30)),
        (date(2026, 12, 1), 31, date(2026, 12, 31)),
        (date(2026, 2, 1), 28, date(2026, 2, 28)),
        (date(2026, 2, 1), 1, date(2026, 2, 1)),
    ],
)
def test_a_day_that_the_month_lacks_is_its_last(month: date, day: int, on: date) -> None:
    assert clamp_day(month, day) == on


@pytest.mark.parametrize("day, minute", [(0, 0), (32, 0), (-1, 0), (1, -1), (1, 1440)])
def test_an_impossible_day_or_minute_is_refused(day: int, minute: int) -> None:
    with pytest.raises(ValueError):
        occurrence_at(date(2026, 1, 1), When(day, minute), MEXICO)


# --- one occurrence


def test_the_hour_is_local() -> None:
    assert occurrence_at(date(2026, 11, 1), When(15, 12 * 60), MEXICO) == datetime(2026, 11, 15, 18, tzinfo=UTC)
    assert occurrence_at(date(2026, 7, 1), When(15, 12 * 60), MADRID) == datetime(2026, 7, 15, 10, tzinfo=UTC)
    assert occurrence_at(date(2026, 11, 1), When(15, 12 * 60), MADRID) == datetime(2026, 11, 15, 11, tzinfo=UTC)


def test_an_hour_that_does_not_exist_moves_forward() -> None:
    at = occurrence_at(date(2026, 3, 1), When(29, 2 * 60 + 30), MADRID)
    assert at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert wall(at, MADRID) == datetime.fromisoformat("2026-03-29T03:30")


def test_an_hour_that_exists_twice_is_the_first() -> None:
    assert occurrence_at(date(2026, 11, 1), When(1, 90), NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_day_that_does_not_exist_moves_forward() -> None:
    apia = ZoneInfo("Pacific/Apia")  # it had no 30 December 2011
    assert wall(occurrence_at(date(2011, 12, 1), When(30, 600), apia), apia) == datetime.fromisoformat(
        "2011-12-31T10:00"
    )


def test_a_shift_counts_local_days() -> None:
    at = occurrence_at(date(2026, 3, 1), When(28, 12 * 60), MADRID, shift_days=5)
    assert wall(at, MADRID) == datetime.fromisoformat("2026-04-02T12:00")


@settings(max_examples=600, deadline=None)
@given(ANY_TIME, st.sampled_from([0, 0, 0, 1, 13, MAX_SHIFT_DAYS]))
def test_an_occurrence_is_at_the_wall_time_meant(meant: tuple[ZoneInfo, date, int, int], shift: int) -> None:
    tz, month, day, minute = meant
    at = occurrence_at(month, When(day, minute), tz, shift)
    on = clamp_day(month, day) + shift * DAY
    naive = datetime.combine(on, time()) + minute * MINUTE
    assert at.tzinfo is UTC
    possible = instants_of(naive, tz)
    if possible:
        assert at == possible[0]
        return
    # The wall time falls into a gap: the instant is as far behind the change as the meant time is into the gap.
    gap = wall(at, tz) - naive
    assert timedelta(0) < gap <= DAY
    assert instants_of(naive - gap, tz) or instants_of(naive + gap, tz)
    assert wall(at - gap, tz) < naive
    offset_after, offset_before = at.astimezone(tz).utcoffset(), (at - gap).astimezone(tz).utcoffset()
    assert offset_after is not None
    assert offset_before is not None
    assert offset_after - offset_before == gap


def test_the_changes_are_really_met() -> None:
    """The strategy above is worth something: some of what it draws does not exist, some exists twice."""
    found = changes("Europe/Madrid", 2026)
    assert found == [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
    assert instants_of(datetime.fromisoformat("2026-03-29T02:30"), MADRID) == []
    assert len(instants_of(datetime.fromisoformat("2026-10-25T02:30"), MADRID)) == 2


@settings(max_examples=300, deadline=None)
@given(ANY_TIME)
def test_occurrences_follow_one_another_one_a_month(meant: tuple[ZoneInfo, date, int, int]) -> None:
    tz, month, day, minute = meant
    moments = upcoming(month, When(day, minute), tz)
    assert len(moments) == 12
    assert [occurrence_at(add_months(month, n), When(day, minute), tz) for n in range(12)] == moments
    assert all(timedelta(days=26) < later - earlier < timedelta(days=33) for earlier, later in pairwise(moments))


@settings(max_examples=300, deadline=None)
@given(ANY_TIME)
def test_a_moved_occurrence_still_comes_before_the_next_one(meant: tuple[ZoneInfo, date, int, int]) -> None:
    tz, month, day, minute = meant
    moved = occurrence_at(month, When(day, minute), tz, MAX_SHIFT_DAYS)
    assert (
        occurrence_at(month, When(day, minute), tz) < moved < occurrence_at(add_months(month, 1), When(day, minute), tz)
    )


def test_every_zone_keeps_its_hour_over_twenty_years() -> None:
    noon = time(12)
    dates = [clamp_day(add_months(FIRST, n), 31) for n in range(240)]
    for zone in ALL_ZONES:
        tz = ZoneInfo(zone)
        moments = upcoming(FIRST, When(31, 12 * 60), tz, 240)
        assert [wall(at, tz) for at in moments] == [datetime.combine(on, noon) for on in dates], zone


# --- the next one


@settings(max_examples=300, deadline=None)
@given(ZONES, MOMENTS, DAYS, MINUTES)
def test_the_next_month_is_the_first_strictly_after(tz: ZoneInfo, after: datetime, day: int, minute: int) -> None:
    month = next_month(after, When(day, minute), tz)
    assert occurrence_at(add_months(month, -1), When(day, minute), tz) <= after
    assert after < occurrence_at(month, When(day, minute), tz)


@settings(max_examples=300, deadline=None)
@given(ANY_TIME)
def test_at_its_very_moment_an_occurrence_is_no_longer_next(meant: tuple[ZoneInfo, date, int, int]) -> None:
    tz, month, day, minute = meant
    at = occurrence_at(month, When(day, minute), tz)
    assert next_month(at, When(day, minute), tz) == add_months(month, 1)
    assert next_month(at - timedelta(microseconds=1), When(day, minute), tz) == month


def test_an_occurrence_carried_over_the_end_of_its_month_is_not_lost() -> None:
    tome = ZoneInfo("Africa/Sao_Tome")  # 1911 ended there without its last hour or so
    december = date(1911, 12, 1)
    at = occurrence_at(december, When(31, 23 * 60 + 50), tome)
    assert local_date(at, tome) == date(1912, 1, 1)
    assert next_month(at - timedelta(seconds=1), When(31, 23 * 60 + 50), tome) == december


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(TypeError):
        catch_up(date(2026, 1, 1), When(1, 0), MEXICO, datetime(2026, 5, 1), 10)  # noqa: DTZ001 (naive is the point)


# --- catching up


def caught(pointer: date, now: datetime, shift: int = 0) -> CatchUp:
    """The 15th at 12:00 in Mexico (18:00 UTC), late for at most 10 days."""
    return catch_up(pointer, When(15, 12 * 60), MEXICO, now, 10, shift)


def test_before_its_moment_nothing_happens() -> None:
    at = datetime(2026, 11, 15, 18, tzinfo=UTC)
    found = caught(date(2026, 11, 1), at - timedelta(seconds=1))
    assert found == CatchUp(missed=[], run=None, late=False, next_month=date(2026, 11, 1), next_at=at)


def test_at_its_moment_it_runs_and_is_not_late_for_a_quarter_of_an_hour() -> None:
    at = datetime(2026, 11, 15, 18, tzinfo=UTC)
    ran = CatchUp(
        missed=[],
        run=date(2026, 11, 1),
        late=False,
        next_month=date(2026, 12, 1),
        next_at=datetime(2026, 12, 15, 18, tzinfo=UTC),
    )
    assert caught(date(2026, 11, 1), at) == ran
    assert caught(date(2026, 11, 1), at + LATE_AFTER) == ran
    assert caught(date(2026, 11, 1), at + LATE_AFTER + timedelta(seconds=1)) == replace(ran, late=True)


def test_after_a_day_off_it_runs_late_and_after_eleven_it_is_missed() -> None:
    at = datetime(2026, 11, 15, 18, tzinfo=UTC)
    assert caught(date(2026, 11, 1), at + DAY).run == date(2026, 11, 1)
    assert caught(date(2026, 11, 1), at + 10 * DAY).run == date(2026, 11, 1)
    missed = caught(date(2026, 11, 1), at + 10 * DAY + timedelta(seconds=1))
    assert (missed.missed, missed.run, missed.next_month) == ([date(2026, 11, 1)], None, date(2026, 12, 1))


def test_after_three_months_off_only_the_newest_runs_if_it_is_recent() -> None:
    recent = caught(date(2026, 9, 1), datetime(2026, 11, 20, tzinfo=UTC))
    assert (recent.missed, recent.run, recent.late) == ([date(2026, 9, 1), date(2026, 10, 1)], date(2026, 11, 1), True)
    old = caught(date(2026, 9, 1), datetime(2026, 11, 30, tzinfo=UTC))
    assert (old.missed, old.run) == ([date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)], None)


def test_a_missed_occurrence_of_last_month_runs_late() -> None:
    found = catch_up(date(2026, 11, 1), When(30, 12 * 60), MEXICO, datetime(2026, 12, 5, tzinfo=UTC), 10)
    assert (found.run, found.late, found.missed) == (date(2026, 11, 1), True, [])


def test_a_moved_occurrence_waits_for_its_new_moment_and_the_next_one_does_not_move() -> None:
    at = datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert caught(date(2026, 11, 1), at - MINUTE, shift=8).run is None
    found = caught(date(2026, 11, 1), at, shift=8)
    assert (found.run, found.late, found.next_at) == (date(2026, 11, 1), False, datetime(2026, 12, 15, 18, tzinfo=UTC))
    assert caught(date(2026, 11, 1), at + 10 * DAY, shift=8).run == date(2026, 11, 1)


@settings(max_examples=400, deadline=None)
@given(ANY_TIME, st.integers(0, 400 * 24 * 60), st.integers(0, 70), st.integers(0, MAX_SHIFT_DAYS))
def test_each_month_is_dealt_with_once_and_at_most_one_runs(
    meant: tuple[ZoneInfo, date, int, int], minutes: int, late_days: int, shift: int
) -> None:
    tz, month, day, minute = meant
    now = occurrence_at(month, When(day, minute), tz) - 20 * DAY + minutes * MINUTE
    found = catch_up(month, When(day, minute), tz, now, late_days, shift)
    dealt_with = [*found.missed, *([found.run] if found.run else [])]
    assert dealt_with == [add_months(month, n) for n in range(len(dealt_with))]
    assert found.next_month == add_months(month, len(dealt_with))
    moments = {m: occurrence_at(m, When(day, minute), tz, shift if m == month else 0) for m in dealt_with}
    assert all(at <= now for at in moments.values())
    assert found.next_at > now
    in_time = [m for m, at in moments.items() if now - at <= late_days * DAY]
    assert found.run == (in_time[-1] if in_time else None)
    assert found.late == (found.run is not None and now - moments[found.run] > LATE_AFTER)
    # Asked again it finds nothing; the shift went with the occurrence that it moved.
    again = catch_up(found.next_month, When(day, minute), tz, now, late_days, 0 if dealt_with else shift)
    assert again == CatchUp([], None, False, found.next_month, found.next_at)


@settings(max_examples=100, deadline=None)
@given(ANY_TIME, st.lists(st.integers(1, 60 * 24 * 60), min_size=1, max_size=30), st.integers(0, 31))
def test_whenever_it_is_asked_every_month_runs_or_is_missed_once(
    meant: tuple[ZoneInfo, date, int, int], pauses: list[int], late_days: int
) -> None:
    tz, month, day, minute = meant
    pointer, now = month, occurrence_at(month, When(day, minute), tz) - DAY
    dealt_with = []
    for pause in pauses:
        now += pause * MINUTE
        found = catch_up(pointer, When(day, minute), tz, now, late_days)
        dealt_with += [*found.missed, *([found.run] if found.run else [])]
        pointer = found.next_month
    assert dealt_with == [add_months(month, n) for n in range(len(dealt_with))]
    assert pointer == next_month(now, When(day, minute), tz)


# --- saving a schedule

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
THE_TENTH = datetime(2026, 11, 10, 18, tzinfo=UTC)  # 10 November, 12:00 in Mexico


def test_a_day_still_to_come_takes_effect_at_once() -> None:
    found = after_edit(NOVEMBER, None, When(12, 0), MEXICO, THE_TENTH)
    assert (found.next_month, found.needs_choice, found.past_month) == (NOVEMBER, False, None)
    assert found.next_at == datetime(2026, 11, 12, 6, tzinfo=UTC)


def test_a_minute_ahead_is_early_enough() -> None:
    found = after_edit(NOVEMBER, None, When(10, 12 * 60 + 1), MEXICO, THE_TENTH)
    assert (found.next_month, found.needs_choice) == (NOVEMBER, False)


def test_a_day_gone_by_without_a_run_needs_a_choice() -> None:
    found = after_edit(NOVEMBER, date(2026, 10, 1), When(5, 0), MEXICO, THE_TENTH)
    assert (found.needs_choice, found.past_month, found.missed) == (True, NOVEMBER, [])
    assert (found.next_month, found.next_at) == (DECEMBER, datetime(2026, 12, 5, 6, tzinfo=UTC))


def test_a_month_that_ran_does_not_run_again_on_a_later_day() -> None:
    for day in (5, 20):
        found = after_edit(DECEMBER, NOVEMBER, When(day, 0), MEXICO, THE_TENTH)
        assert (found.next_month, found.needs_choice, found.past_month) == (DECEMBER, False, None)


def test_a_month_that_did_not_run_is_open_again_on_a_later_day() -> None:
    """The zone was made on the 10th for the 5th, which had gone by; then the day is set right."""
    found = after_edit(DECEMBER, None, When(20, 0), MEXICO, THE_TENTH)
    assert (found.next_month, found.needs_choice) == (NOVEMBER, False)


def test_months_that_nobody_dealt_with_are_named() -> None:
    found = after_edit(date(2026, 9, 1), date(2026, 8, 1), When(5, 0), MEXICO, THE_TENTH)
    assert (found.missed, found.past_month) == ([date(2026, 9, 1), date(2026, 10, 1)], NOVEMBER)


@settings(max_examples=300, deadline=None)
@given(ANY_TIME, MOMENTS, st.integers(-3, 3), st.one_of(st.none(), st.integers(-3, 1)))
def test_after_an_edit_no_month_runs_twice_and_none_is_lost(
    meant: tuple[ZoneInfo, date, int, int], now: datetime, pointer: int, ran: int | None
) -> None:
    tz, _, day, minute = meant
    current = month_of(local_date(now, tz))
    ran_month = None if ran is None else add_months(current, ran)
    found = after_edit(add_months(current, pointer), ran_month, When(day, minute), tz, now)
    assert found.next_at == occurrence_at(found.next_month, When(day, minute), tz) > now
    assert found.needs_choice == (found.past_month is not None)
    open_months = [*found.missed, *([found.past_month] if found.past_month else []), found.next_month]
    assert open_months == [add_months(open_months[0], n) for n in range(len(open_months))]
    assert all(occurrence_at(month, When(day, minute), tz) <= now for month in open_months[:-1])
    if ran_month is not None:
        assert open_months[0] > ran_month
    # The current month is among them, unless it (or a later one) ran.
    assert current in open_months or (ran_month is not None and ran_month >= current)


def test_a_shift_never_goes_back_nor_beyond_the_next_month() -> None:
    assert shift_days(date(2026, 11, 20), date(2026, 11, 28)) == 8
    assert shift_days(date(2026, 11, 20), date(2026, 11, 18)) == 0
    assert shift_days(date(2026, 11, 20), date(2027, 2, 1)) == MAX_SHIFT_DAYS


# --- months for a run by hand


def test_the_current_month_comes_first() -> None:
    assert manual_months(date(2026, 11, 10), When(15, 0), []) == [(NOVEMBER, MonthReason.current)]


def test_next_month_is_offered_within_seven_days_of_its_date() -> None:
    assert manual_months(date(2026, 11, 27), When(5, 0), [])[-1] == (NOVEMBER, MonthReason.current)
    assert manual_months(date(2026, 11, 28), When(5, 0), [])[-1] == (DECEMBER, MonthReason.next)


def test_missed_months_are_offered_for_sixty_days() -> None:
    missed = [date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)]
    assert manual_months(date(2026, 11, 14), When(15, 0), missed) == [
        (NOVEMBER, MonthReason.current),
        (date(2026, 10, 1), MonthReason.missed),
        (date(2026, 9, 1), MonthReason.missed),
    ]
    assert manual_months(date(2026, 11, 15), When(15, 0), missed)[1:] == [(date(2026, 10, 1), MonthReason.missed)]


@settings(max_examples=200, deadline=None)
@given(st.dates(FIRST, LAST), DAYS, st.lists(st.integers(-6, 2), max_size=8))
def test_no_month_is_offered_twice(today: date, day: int, missed: list[int]) -> None:
    current = month_of(today)
    found = manual_months(today, When(day, 0), [add_months(current, n) for n in missed])
    months = [month for month, _ in found]
    assert months[0] == current
    assert len(set(months)) == len(months)
    assert all(clamp_day(month, day) >= today - 60 * DAY for month in months[1:])
    assert all(clamp_day(month, day) <= today + 7 * DAY for month in months[1:])


# --- until when a state holds


def test_a_success_holds_to_the_end_of_the_local_month() -> None:
    end = datetime(2026, 12, 1, 6, tzinfo=UTC)
    assert state_until(datetime(2026, 11, 15, 18, tzinfo=UTC), MEXICO) == end
    assert state_until(end - MINUTE, MEXICO) == end
    assert state_until(end, MEXICO) == datetime(2027, 1, 1, 6, tzinfo=UTC)


@settings(max_examples=400, deadline=None)
@given(ZONES, MOMENTS)
def test_the_local_month_ends_exactly_there(tz: ZoneInfo, now: datetime) -> None:
    end = state_until(now, tz)
    month = month_of(local_date(now, tz))
    assert end > now
    assert month_of(local_date(end, tz)) == add_months(month, 1)
    assert month_of(local_date(end - timedelta(microseconds=1), tz)) == month
