"""The hours in which clients may be cut: by the wall clock of the zone, right across both changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wisp.settings.hours import Hours, format_clock, format_days, parse_clock, parse_days

MEXICO, MADRID, APIA = ZoneInfo("America/Mexico_City"), ZoneInfo("Europe/Madrid"), ZoneInfo("Pacific/Apia")
OFFICE = Hours(8 * 60, 18 * 60, frozenset({1, 2, 3, 4}))


def at(text: str, tz: ZoneInfo = MEXICO, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=tz, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(("now", "allowed", "then"), [
    ("2026-11-23 08:00", True, "2026-11-23 08:00"),  # a Monday
    ("2026-11-23 07:59", False, "2026-11-23 08:00"),
    ("2026-11-23 17:59", True, "2026-11-23 17:59"),
    ("2026-11-23 18:00", False, "2026-11-24 08:00"),
    ("2026-11-26 18:00", False, "2026-11-30 08:00"),  # Thursday evening: not before Monday
    ("2026-11-29 12:00", False, "2026-11-30 08:00"),
])  # fmt: skip
def test_working_hours_from_monday_to_thursday(now: str, allowed: bool, then: str) -> None:
    assert OFFICE.allow(at(now), MEXICO) is allowed
    assert OFFICE.next_allowed(at(now), MEXICO) == at(then)


def test_the_hours_are_those_of_the_clients_zone() -> None:
    nine_in_mexico = at("2026-11-23 09:00")
    assert OFFICE.allow(nine_in_mexico, MEXICO)
    assert not OFFICE.allow(nine_in_mexico, ZoneInfo("America/Tijuana"))
    assert OFFICE.next_allowed(nine_in_mexico, ZoneInfo("America/Tijuana")) == nine_in_mexico + timedelta(hours=1)


def test_without_a_limit_every_moment_is_allowed() -> None:
    assert Hours.of("", "", "").always
    assert Hours.of("", "", "").allow(at("2026-11-22 03:00"), MEXICO)
    assert not Hours.of("08:00", "18:00", "").always
    assert not Hours.of("", "", "1234").always


def test_an_hour_that_does_not_exist_begins_when_the_clock_has_been_put_forward() -> None:
    early = Hours(2 * 60 + 30, 6 * 60)
    before = at("2026-03-29 01:00", MADRID)
    assert early.next_allowed(before, MADRID) == at("2026-03-29 03:00", MADRID)


def test_an_hour_that_exists_twice_counts_twice() -> None:
    short = Hours(2 * 60 + 30, 2 * 60 + 45)
    between = at("2026-10-25 02:50", MADRID)
    assert short.next_allowed(between, MADRID) == at("2026-10-25 02:30", MADRID, fold=1)


def test_a_day_that_a_country_left_out_is_passed_over() -> None:
    friday = Hours(8 * 60, 18 * 60, frozenset({5}))
    assert friday.next_allowed(at("2011-12-29 20:00", APIA), APIA) == at("2012-01-06 08:00", APIA)


SPAN = datetime(2000, 1, 1), datetime(2037, 1, 1)  # noqa: DTZ001  (the strategy adds the time zone)
PLACES = ["America/Mexico_City", "Europe/Madrid", "America/Havana", "Australia/Lord_Howe", "America/Asuncion"]


@given(
    st.datetimes(*SPAN, timezones=st.just(UTC)),
    st.sampled_from(PLACES),
    st.integers(0, 1438), st.integers(1, 1439), st.frozensets(st.integers(1, 7)),
)  # fmt: skip
def test_the_next_moment_is_allowed_and_none_before_it(
    now: datetime, name: str, begin: int, length: int, days: frozenset[int]
) -> None:
    tz, hours = ZoneInfo(name), Hours(begin, min(begin + length, 1440), days)
    then = hours.next_allowed(now, tz)
    assert hours.allow(then, tz)
    assert then >= now
    step = max(timedelta(minutes=1), (then - now) / 300)
    assert not any(hours.allow(now + step * n, tz) for n in range(int((then - now) / step)))


@pytest.mark.parametrize(("text", "digits", "again"), [
    ("mon-thu", "1234", "mon-thu"), ("MON", "1", "mon"), ("sat-mon", "167", "mon,sat-sun"), ("any", None, None),
    ("mon-sun", "", "any"), ("fri, mon-tue", "125", "mon-tue,fri"), ("", None, None), ("lunes", None, None),
])  # fmt: skip
def test_days_as_the_command_line_writes_them(text: str, digits: str | None, again: str | None) -> None:
    if digits is None:
        with pytest.raises(ValueError):
            parse_days(text)
    else:
        assert parse_days(text) == digits
        assert format_days(digits) == again


@pytest.mark.parametrize("text", ["24:00", "8", "08:60", "", "x"])
def test_what_is_no_hour(text: str) -> None:
    assert format_clock(parse_clock("8:05")) == "08:05"
    with pytest.raises(ValueError, match="not an hour"):
        parse_clock(text)
