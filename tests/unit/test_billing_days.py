"""Over twenty years of changed days: every day of a client is billed once, or belongs to an invoice that was missed, or
to a gap that is too long to be charged."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.invoices import domain as invoicing
from wisp.schedules.domain import Timetable, add_months, next_month

TZ = ZoneInfo("UTC")
DAY = timedelta(days=1)
DAYS = st.one_of(st.integers(1, 31), st.integers(27, 31))
TABLES = st.builds(
    lambda kind, due, day: Timetable(kind, due, (day, 720), (day, 720), (due % 31 + 1, 480)),
    st.sampled_from(["prepaid", "prepaid", "postpaid"]), DAYS, DAYS,
)  # fmt: skip


def days_of(first: date, last: date) -> set[date]:
    return {first + n * DAY for n in range((last - first).days + 1)}


class Account:
    """One client from its first invoice on, by the pure rules alone."""

    def __init__(self, days: Timetable, month: date) -> None:
        self.days, self.month, self.today = days, month, month
        self.last, self.months = date.min, set[date]()
        self.gap: tuple[date, date] | None = None  # since, month
        self.billed: list[date] = []
        self.excepted: set[date] = set()

    def cycle(self, month: date) -> invoicing.Cycle:
        return invoicing.cycle(month, self.days.invoices[0], self.days.due_day, self.days.billing_type)

    def next_invoices(self, missed: bool) -> None:
        """The next occurrence of the schedule: it runs, or it is missed."""
        cycle = self.cycle(self.month)
        self.today = max(self.today, cycle.occurrence)
        since = self.since(cycle)
        if self.month not in self.months and self.last < cycle.period_to:
            start = invoicing.period_start(cycle.period_from, self.last, date.min)
            gap = invoicing.gap_days(since, cycle.period_from)
            if gap > 0 and (missed or gap > invoicing.MAX_GAP_DAYS):
                self.excepted |= days_of(since + DAY, cycle.period_from - DAY)
            elif gap > 0:
                start = since + DAY
            if missed:
                self.excepted |= days_of(start, cycle.period_to)
            else:
                self.billed += sorted(days_of(start, cycle.period_to))
                self.last = cycle.period_to
                self.months.add(self.month)
        self.month = add_months(self.month, 1)

    def since(self, cycle: invoicing.Cycle) -> date:
        if self.gap is not None and self.gap[1] == cycle.month:
            return max(self.gap[0], self.last)
        return cycle.period_from - DAY

    def change(self, days: Timetable) -> None:
        """The payment day is moved, the client is, or own billing begins or ends."""
        before = self.cycle(add_months(self.month, -1))
        if self.gap is not None and self.gap[1] >= self.month:
            settled = max(self.gap[0], self.last)
        else:
            settled = invoicing.settled_through(self.last, None, before)
        self.days = days
        now = datetime.combine(self.today, time(23), UTC)
        self.month = next_month(now, days.when("invoices"), TZ)
        month = next(m for n in range(3) if (m := add_months(self.month, n)) not in self.months or n == 2)
        self.gap = (settled, month)


STEPS = st.lists(
    st.one_of(st.just("run"), st.just("run"), st.just("run"), st.just("missed"), TABLES), min_size=5, max_size=120
)


@settings(max_examples=100, deadline=None)
@given(TABLES, STEPS)
def test_every_day_is_billed_once_or_is_an_exception(days: Timetable, steps: list[Timetable | str]) -> None:
    account = Account(days, date(2020, 1, 1))
    account.next_invoices(missed=False)
    for step in steps:
        if isinstance(step, Timetable):
            account.change(step)
        else:
            account.next_invoices(missed=step == "missed")
    account.next_invoices(missed=False)
    account.next_invoices(missed=False)
    assert len(account.billed) == len(set(account.billed))
    everything = days_of(min(account.billed), max(account.billed))
    assert everything - set(account.billed) <= account.excepted


@pytest.mark.parametrize(
    "billed, installed, settled",
    [
        (date.min, None, date.max),
        (date.min, date(2026, 11, 14), date.max),  # it was there for the invoices of November
        (date.min, date(2026, 11, 15), date(2026, 11, 14)),
        (date.min, date(2026, 12, 1), date(2026, 11, 30)),
        (date(2026, 11, 9), date(2026, 12, 1), date(2026, 12, 19)),
        (date(2026, 12, 31), None, date(2026, 12, 31)),
    ],
)
def test_what_is_dealt_with(billed: date, installed: date | None, settled: date) -> None:
    november = invoicing.cycle(date(2026, 11, 1), 15, 20, "prepaid")
    assert invoicing.settled_through(billed, installed, november) == settled


def test_a_gap_costs_the_daily_price_of_the_periods_own_length() -> None:
    cycle = invoicing.cycle(date(2027, 1, 1), 15, 25, "prepaid")  # 25 January to 24 February: 31 days
    assert invoicing.gap_days(date(2027, 1, 9), cycle.period_from) == 15
    assert invoicing.gap_price(35_000, 15, cycle) == 16_935  # 16935.48
    assert invoicing.gap_price(31, 1, cycle) == 1
    assert invoicing.gap_price(15, 1, cycle) == 0
    assert invoicing.gap_price(16, 1, cycle) == 1
    assert invoicing.gap_price(35_000, 62, cycle) == 70_000
    assert invoicing.gap_days(cycle.period_from - DAY, cycle.period_from) == 0
