"""One cycle: invoices, notice, due date, cut. Days are compared as meant and only then clamped."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.schedules.domain import (
    CUT_LATE,
    DUE_LATE,
    NOTICE_EARLY,
    EditOutcome,
    Kind,
    Odd,
    Timetable,
    When,
    add_months,
    after_follow,
    clamp_day,
    cycle,
    cycle_occurrence,
    due_month,
    due_on,
    local_date,
    next_month,
    occurrence_at,
    occurrence_date,
    oddities,
    period_of,
)

MEXICO = ZoneInfo("America/Mexico_City")
MADRID = ZoneInfo("Europe/Madrid")
DAY = timedelta(days=1)
JANUARY, FEBRUARY, MARCH, APRIL, MAY = (date(2027, n, 1) for n in range(1, 6))
MONTHS = st.integers(0, 20 * 12).map(lambda n: add_months(date(2020, 1, 1), n))
MOMENTS = st.tuples(st.integers(1, 31), st.integers(0, 1439))
ZONES = st.sampled_from(["America/Mexico_City", "Europe/Madrid", "Pacific/Apia", "America/New_York"]).map(ZoneInfo)


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    kind = draw(st.sampled_from(["prepaid", "postpaid"]))
    # the days on which months differ, more often than the others
    day = st.one_of(st.integers(1, 31), st.integers(27, 31))
    moment = st.tuples(day, st.integers(0, 1439))
    return Timetable(kind, draw(day), draw(moment), draw(moment), draw(moment))


def table(invoices: int, due: int, notice: int, cut: int, kind: str = "prepaid") -> Timetable:
    return Timetable(kind, due, (invoices, 12 * 60), (notice, 9 * 60), (cut, 8 * 60))


@pytest.mark.parametrize(
    "month, due, cut, on",
    [
        (APRIL, 30, 31, date(2027, 5, 1)),  # both clamped to the 30th: as far apart as meant
        (MARCH, 30, 31, date(2027, 3, 31)),
        (FEBRUARY, 28, 30, date(2027, 3, 2)),
        (FEBRUARY, 28, 31, date(2027, 3, 3)),
        (FEBRUARY, 29, 30, date(2027, 3, 1)),
        (date(2028, 2, 1), 28, 30, date(2028, 2, 29)),  # a leap year: clamped, and after the due date all the same
        (FEBRUARY, 27, 31, date(2027, 2, 28)),
        (APRIL, 5, 31, date(2027, 4, 30)),
        (FEBRUARY, 31, 31, date(2027, 2, 28)),  # it follows the due date of the month before
        (FEBRUARY, 31, 30, date(2027, 2, 28)),
        (APRIL, 20, 22, date(2027, 4, 22)),
    ],
)
def test_a_cut_falls_after_the_due_date_that_it_follows(month: date, due: int, cut: int, on: date) -> None:
    assert occurrence_date(month, When(cut, 0, due_day=due)) == on
    assert local_date(occurrence_at(month, When(cut, 0, due_day=due), MEXICO), MEXICO) == on
    assert local_date(occurrence_at(month, When(cut, 0, due_day=due), MEXICO, 3), MEXICO) == on + 3 * DAY


def test_the_cut_of_april_may_run_in_may_and_is_still_that_of_april() -> None:
    when = When(31, 8 * 60, due_day=30)
    first_of_may = datetime(2027, 5, 1, 14, tzinfo=UTC)
    assert next_month(first_of_may - timedelta(seconds=1), when, MEXICO) == APRIL
    assert next_month(first_of_may, when, MEXICO) == MAY
    assert local_date(occurrence_at(MAY, when, MEXICO), MEXICO) == date(2027, 5, 31)


@pytest.mark.parametrize(
    "invoices, notice, at",
    [
        ((30, 720), (31, 540), (30, 720)),  # clamped to the same day, three hours too early
        ((31, 720), (31, 540), (30, 720)),  # meant so
        ((30, 540), (31, 720), (30, 720)),
        ((15, 720), (18, 540), (18, 540)),
        ((18, 720), (15, 540), (15, 540)),  # it follows the invoices of March
    ],
)
def test_a_notice_never_comes_before_its_invoices(
    invoices: tuple[int, int], notice: tuple[int, int], at: tuple[int, int]
) -> None:
    found = occurrence_at(APRIL, When(*notice, invoices=invoices), MEXICO).astimezone(MEXICO)
    assert (found.day, found.hour * 60 + found.minute) == at


def test_not_even_where_the_clock_leaps_over_its_invoices() -> None:
    march_2026 = date(2026, 3, 1)  # on the 29th it is never between 02:00 and 03:00 in Madrid
    notice = occurrence_at(march_2026, When(29, 3 * 60, invoices=(29, 2 * 60 + 30)), MADRID)
    assert notice == occurrence_at(march_2026, When(29, 2 * 60 + 30), MADRID)


@pytest.mark.parametrize(
    "kind, days, month",
    [
        (Kind.invoices, table(15, 20, 18, 22), APRIL),
        (Kind.notice, table(15, 20, 15, 22), APRIL),
        (Kind.notice, table(15, 20, 14, 22), MAY),
        (Kind.cut, table(15, 20, 18, 21), APRIL),
        (Kind.cut, table(15, 20, 18, 20), MAY),
        (Kind.cut, table(15, 15, 18, 14), MAY),
        (Kind.cut, table(15, 14, 18, 22), MAY),
        (Kind.cut, table(25, 10, 28, 5), date(2027, 6, 1)),
    ],
)
def test_a_cycle_takes_the_first_day_of_each_kind(kind: Kind, days: Timetable, month: date) -> None:
    assert cycle_occurrence(kind, APRIL, days) == cycle_occurrence(kind.value, APRIL, days) == month


def test_there_is_no_fourth_kind() -> None:
    with pytest.raises(ValueError):
        cycle_occurrence("other", APRIL, table(15, 20, 18, 22))
    with pytest.raises(ValueError):
        table(15, 20, 18, 22).when("other")


@pytest.mark.parametrize(
    "invoice_day, due_day, kind, due, period",
    [
        (15, 20, "prepaid", date(2027, 2, 20), (date(2027, 2, 20), date(2027, 3, 19))),
        (15, 20, "postpaid", date(2027, 2, 20), (date(2027, 1, 20), date(2027, 2, 19))),
        (20, 20, "prepaid", date(2027, 2, 20), (date(2027, 2, 20), date(2027, 3, 19))),
        (21, 20, "prepaid", date(2027, 3, 20), (date(2027, 3, 20), date(2027, 4, 19))),
        (31, 30, "prepaid", date(2027, 3, 30), (date(2027, 3, 30), date(2027, 4, 29))),
        (30, 31, "postpaid", date(2027, 2, 28), (date(2027, 1, 31), date(2027, 2, 27))),
        (15, 31, "prepaid", date(2027, 2, 28), (date(2027, 2, 28), date(2027, 3, 30))),
    ],
)
def test_the_due_date_and_the_period(
    invoice_day: int, due_day: int, kind: str, due: date, period: tuple[date, date]
) -> None:
    assert due_on(FEBRUARY, invoice_day, due_day) == due
    assert due_month(FEBRUARY, invoice_day, due_day) == due.replace(day=1)
    assert period_of(FEBRUARY, invoice_day, due_day, kind) == period


def test_a_cycle_as_it_is_shown() -> None:
    found = cycle(APRIL, table(15, 10, 18, 22), MEXICO)
    assert [at.astimezone(MEXICO).date() for at in (found.invoices, found.notice, found.cut)] == [
        date(2027, 4, 15), date(2027, 4, 18), date(2027, 5, 22),
    ]  # fmt: skip
    assert (found.month, found.due) == (APRIL, date(2027, 5, 10))
    assert (found.period_from, found.period_to) == (date(2027, 5, 10), date(2027, 6, 9))


@settings(max_examples=400, deadline=None)
@given(timetables(), MONTHS, ZONES)
def test_within_every_cycle_the_order_holds(days: Timetable, month: date, tz: ZoneInfo) -> None:
    found = cycle(month, days, tz)
    invoiced = clamp_day(month, days.invoices[0])
    assert found.invoices <= found.notice
    assert invoiced <= found.due < local_date(found.cut, tz)
    assert found.notice - found.invoices < timedelta(days=33)
    assert local_date(found.cut, tz) - found.due < timedelta(days=33)


@settings(max_examples=400, deadline=None)
@given(timetables(), MONTHS, ZONES, st.sampled_from(list(Kind)))
def test_occurrences_stay_in_order_and_each_belongs_to_one_cycle(
    days: Timetable, month: date, tz: ZoneInfo, kind: Kind
) -> None:
    months = [add_months(month, n) for n in range(13)]
    moments = [occurrence_at(one, days.when(kind), tz) for one in months]
    assert all(timedelta(days=26) < later - earlier < timedelta(days=34) for earlier, later in pairwise(moments))
    assert [cycle_occurrence(kind, one, days) for one in months] == [
        add_months(cycle_occurrence(kind, month, days), n) for n in range(13)
    ]
    on, meant = occurrence_date(month, days.when(kind)), clamp_day(month, days.when(kind).day)
    if on != meant:  # only a cut moves, and only as far as was meant
        assert kind == Kind.cut
        assert on == clamp_day(month, days.due_day) + (days.cut[0] - days.due_day) * DAY


@settings(max_examples=200, deadline=None)
@given(timetables(), MONTHS)
def test_periods_follow_one_another_over_two_years(days: Timetable, month: date) -> None:
    invoice_day, due_day, kind = days.invoices[0], days.due_day, days.billing_type
    periods = [period_of(add_months(month, n), invoice_day, due_day, kind) for n in range(24)]
    assert all(first <= last for first, last in periods)
    assert all(later[0] - earlier[1] == DAY for earlier, later in pairwise(periods))


# --- what is odd


def odd(days: Timetable, month: date = JANUARY) -> dict[Odd, int]:
    return oddities([cycle(add_months(month, n), days, MEXICO) for n in range(12)], days, MEXICO)


def test_usual_days_are_not_odd() -> None:
    assert odd(table(15, 20, 18, 22)) == {}


def test_what_is_far_apart_is_named_with_its_days() -> None:
    # due ten days into the next month: with it the notice of the 18th comes three weeks early
    assert odd(table(15, 10, 18, 22)) == {Odd.due_late: 26, Odd.notice_early: 23}
    assert odd(table(1, 5, 28, 6)) == {Odd.notice_after_cut: 22}
    assert odd(table(1, 5, 3, 5)) == {Odd.cut_on_due_day: 0, Odd.cut_late: 31}


@pytest.mark.parametrize(
    "days, name, most",
    [
        (lambda n: table(1, 1 + n, 1 + n, 2 + n), Odd.due_late, DUE_LATE),
        (lambda n: table(1, 1 + n, 1, 2 + n), Odd.notice_early, NOTICE_EARLY),
        (lambda n: table(1, 2, 3 + n, 3), Odd.notice_after_cut, 0),
        (lambda n: table(1, 2, 1, 2 + n), Odd.cut_late, CUT_LATE),
    ],
)
def test_one_day_more_is_odd(days: object, name: Odd, most: int) -> None:
    assert callable(days)
    assert name not in odd(days(most))
    assert odd(days(most + 1))[name] == most + 1


# --- what follows by itself


def test_a_time_zone_that_moves_the_hour_forward_asks_nothing() -> None:
    now = datetime(2027, 4, 15, 12, tzinfo=UTC)
    when = When(15, 12 * 60)
    ahead = EditOutcome(APRIL, datetime(2027, 4, 15, 18, tzinfo=UTC), needs_choice=False, past_month=None, missed=[])
    assert after_follow(APRIL, when, MEXICO, now) == ahead
    assert after_follow(APRIL, when, MEXICO, now, 2).next_at == datetime(2027, 4, 17, 18, tzinfo=UTC)


def test_one_that_makes_it_past_asks_about_that_month_alone() -> None:
    now = datetime(2027, 4, 15, 12, tzinfo=UTC)
    found = after_follow(APRIL, When(15, 12 * 60), MADRID, now)  # 10:00 there
    assert (found.past_month, found.next_month, found.needs_choice, found.missed) == (APRIL, MAY, True, [])
    assert found.next_at == datetime(2027, 5, 15, 10, tzinfo=UTC)
    assert after_follow(APRIL, When(15, 12 * 60), MADRID, datetime(2027, 4, 15, 10, tzinfo=UTC)).past_month == APRIL
