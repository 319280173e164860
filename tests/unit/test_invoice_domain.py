"""Cycles, periods, amounts and states of invoices."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise, product
from math import floor

import pytest
import sqlalchemy as sa
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from wisp.core.sql import COLUMNS
from wisp.invoices import domain
from wisp.invoices.domain import (
    Cycle,
    InvoiceState,
    PeriodReason,
    allocate,
    balance,
    charged,
    cycle,
    days_in,
    digits_of,
    due_date,
    format_number,
    gap_days,
    gap_price,
    is_overdue,
    period_reason,
    period_start,
    prorated,
    settle,
    settled_through,
    state_of,
    tax_split,
)

DAY = timedelta(days=1)
MONTHS_OF_TWENTY_YEARS = [date(2015 + n // 12, n % 12 + 1, 1) for n in range(20 * 12)]
MONTHS = st.sampled_from(MONTHS_OF_TWENTY_YEARS)
DAYS = st.integers(1, 31)
TYPES = st.sampled_from(["prepaid", "postpaid"])
DATES = st.dates(date(2015, 1, 1), date(2035, 12, 31))
PRICES = st.integers(0, 99_999_999_999_999)
RATES = st.integers(0, 10_000)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


# --- cycles


@pytest.mark.parametrize(
    "month, invoice_day, due_day, due, period",
    [
        (date(2026, 11, 1), 15, 20, date(2026, 11, 20), (date(2026, 11, 20), date(2026, 12, 19))),
        (date(2026, 11, 1), 25, 1, date(2026, 12, 1), (date(2026, 12, 1), date(2026, 12, 31))),
        (date(2026, 11, 1), 20, 20, date(2026, 11, 20), (date(2026, 11, 20), date(2026, 12, 19))),
        (date(2027, 2, 1), 15, 31, date(2027, 2, 28), (date(2027, 2, 28), date(2027, 3, 30))),
        (date(2027, 1, 1), 31, 30, date(2027, 2, 28), (date(2027, 2, 28), date(2027, 3, 29))),
        (date(2027, 2, 1), 31, 30, date(2027, 3, 30), (date(2027, 3, 30), date(2027, 4, 29))),
        (date(2028, 1, 1), 31, 30, date(2028, 2, 29), (date(2028, 2, 29), date(2028, 3, 29))),
        (date(2026, 12, 1), 28, 5, date(2027, 1, 5), (date(2027, 1, 5), date(2027, 2, 4))),
    ],
)
def test_a_prepaid_cycle_charges_from_its_due_day_to_the_day_before_the_next(
    month: date, invoice_day: int, due_day: int, due: date, period: tuple[date, date]
) -> None:
    found = cycle(month, invoice_day, due_day, "prepaid")
    assert (found.month, found.due, (found.period_from, found.period_to)) == (month, due, period)


def test_a_postpaid_cycle_charges_what_ends_the_day_before_its_due_day() -> None:
    found = cycle(date(2026, 11, 1), 15, 20, "postpaid")
    assert found.due == date(2026, 11, 20)
    assert (found.period_from, found.period_to) == (date(2026, 10, 20), date(2026, 11, 19))


@pytest.mark.parametrize("billing_type", ["prepaid", "postpaid"])
def test_periods_tile_for_all_days_over_a_leap_year_and_the_next(billing_type: str) -> None:
    months = [month for month in MONTHS_OF_TWENTY_YEARS if month.year in (2027, 2028, 2029)]
    for invoice_day, due_day in product(range(1, 32), range(1, 32)):
        cycles = [cycle(month, invoice_day, due_day, billing_type) for month in months]
        for this, following in pairwise(cycles):
            assert this.period_from <= this.period_to, (invoice_day, due_day, this)
            assert this.period_to + DAY == following.period_from, (invoice_day, due_day, this)
            assert this.due < following.due


@settings(max_examples=300, deadline=None)
@given(MONTHS, DAYS, DAYS, TYPES)
def test_consecutive_periods_adjoin_and_none_is_empty(month: date, invoice_day: int, due_day: int, kind: str) -> None:
    index = MONTHS_OF_TWENTY_YEARS.index(month)
    assume(index + 1 < len(MONTHS_OF_TWENTY_YEARS))
    this = cycle(month, invoice_day, due_day, kind)
    following = cycle(MONTHS_OF_TWENTY_YEARS[index + 1], invoice_day, due_day, kind)
    assert this.period_to + DAY == following.period_from
    assert 28 <= (this.period_to - this.period_from).days + 1 <= 31
    assert (this.period_from if kind == "prepaid" else this.period_to + DAY) == this.due


@settings(max_examples=300, deadline=None)
@given(MONTHS, DAYS, DAYS)
def test_due_is_never_before_the_occurrence_nor_a_month_after_it(month: date, invoice_day: int, due_day: int) -> None:
    found = cycle(month, invoice_day, due_day, "prepaid")
    assert found.occurrence.replace(day=1) == month
    assert found.occurrence.day == invoice_day or (found.occurrence + DAY).day == 1
    assert found.occurrence <= found.due <= found.occurrence + timedelta(days=30)


@settings(max_examples=300, deadline=None)
@given(MONTHS, st.integers(1, 28), st.integers(1, 28))
def test_due_is_the_first_due_day_on_or_after_the_occurrence(month: date, invoice_day: int, due_day: int) -> None:
    due = month.replace(day=invoice_day)
    while due.day != due_day:
        due += DAY
    assert cycle(month, invoice_day, due_day, "postpaid").due == due


@pytest.mark.parametrize("arguments", [(0, 5, "prepaid"), (5, 32, "prepaid"), (5, 5, "weekly")])
def test_a_cycle_of_impossible_days_or_type_is_refused(arguments: tuple[int, int, str]) -> None:
    with pytest.raises(ValueError):
        cycle(date(2026, 11, 1), *arguments)


# --- due dates


def test_an_early_run_keeps_the_cycles_due_date() -> None:
    assert due_date(date(2026, 11, 20), date(2026, 11, 2), 3) == date(2026, 11, 20)


def test_a_late_run_leaves_the_minimum_days_to_pay() -> None:
    assert due_date(date(2026, 11, 20), date(2026, 11, 17), 3) == date(2026, 11, 20)
    assert due_date(date(2026, 11, 20), date(2026, 11, 18), 3) == date(2026, 11, 21)
    assert due_date(date(2026, 11, 20), date(2026, 11, 25), 0) == date(2026, 11, 25)


def test_the_due_day_itself_is_still_in_time() -> None:
    assert not is_overdue(date(2026, 11, 20), date(2026, 11, 20))
    assert is_overdue(date(2026, 11, 20), date(2026, 11, 21))


# --- what a cycle charges one client

NOVEMBER = cycle(date(2026, 11, 1), 15, 20, "prepaid")  # 20 November to 19 December
POSTPAID = cycle(date(2026, 11, 1), 15, 20, "postpaid")  # 20 October to 19 November
RUN = date(2026, 11, 15)
NEVER = date.min
NONE, SHORTENED, BILLED, NOT_INSTALLED = "", "shortened", "already_billed", "not_installed"


def period(found: Cycle, today: date, billed: date, installed: date) -> tuple[str, date]:
    """Why a client is charged less than the period, or nothing; and from when on."""
    start = period_start(found.period_from, billed, installed)
    return period_reason(found, today, start, billed, installed), start


@pytest.mark.parametrize(
    "found, today, billed, installed, reason, start",
    [
        (NOVEMBER, RUN, NEVER, NEVER, NONE, date(2026, 11, 20)),
        (NOVEMBER, RUN, date(2026, 9, 30), NEVER, NONE, date(2026, 11, 20)),
        (NOVEMBER, RUN, date(2026, 11, 19), date(2020, 1, 1), NONE, date(2026, 11, 20)),
        (NOVEMBER, RUN, date(2026, 11, 20), NEVER, SHORTENED, date(2026, 11, 21)),
        (NOVEMBER, RUN, date(2026, 12, 18), NEVER, SHORTENED, date(2026, 12, 19)),
        (NOVEMBER, RUN, date(2026, 12, 19), NEVER, BILLED, date(2026, 12, 20)),
        (NOVEMBER, RUN, date(2027, 3, 1), NEVER, BILLED, date(2027, 3, 2)),
        (NOVEMBER, RUN, NEVER, RUN, NONE, date(2026, 11, 20)),
        (NOVEMBER, RUN, NEVER, date(2026, 11, 16), NOT_INSTALLED, date(2026, 11, 20)),  # later than the run
        (NOVEMBER, date(2026, 12, 1), NEVER, date(2026, 11, 21), SHORTENED, date(2026, 11, 21)),
        (POSTPAID, RUN, NEVER, date(2026, 11, 10), SHORTENED, date(2026, 11, 10)),
        (POSTPAID, date(2026, 11, 24), NEVER, date(2026, 11, 19), SHORTENED, date(2026, 11, 19)),
        (
            POSTPAID,
            date(2026, 11, 24),
            NEVER,
            date(2026, 11, 20),
            NOT_INSTALLED,
            date(2026, 11, 20),
        ),  # after the period
    ],
)
def test_a_client_is_charged_from_the_day_after_what_was_billed_and_not_before_its_installation(
    found: Cycle, today: date, billed: date, installed: date, reason: str, start: date
) -> None:
    assert period(found, today, billed, installed) == (reason, start)


@settings(max_examples=400, deadline=None)
@given(MONTHS, DAYS, DAYS, TYPES, st.integers(-20, 60), st.integers(-90, 90), st.integers(-90, 90), PRICES)
def test_no_day_is_charged_twice_nor_before_the_installation(
    month: date, invoice_day: int, due_day: int, kind: str, run: int, billed: int, installed: int, price: int
) -> None:
    found = cycle(month, invoice_day, due_day, kind)
    today = found.occurrence + run * DAY
    billed_through = found.period_from + billed * DAY
    installed_on = found.period_from + installed * DAY
    of_days = (found.period_to - found.period_from).days + 1
    days = [found.period_from + n * DAY for n in range(of_days)]
    chargeable = [day for day in days if billed_through < day >= installed_on]
    reason, start = period(found, today, billed_through, installed_on)
    if installed_on > min(today, found.period_to):
        assert reason == PeriodReason.not_installed
    elif not chargeable:
        assert reason == PeriodReason.already_billed
    else:
        assert start == chargeable[0]
        assert reason == (SHORTENED if len(chargeable) < of_days else NONE)
        assert charged(price, start, found, False) == price
        assert charged(price, start, found, True) == half_up(Fraction(price * len(chargeable), of_days))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(DAYS, DAYS, TYPES), min_size=24, max_size=24))
def test_whatever_is_edited_from_month_to_month_no_day_is_charged_twice(edits: list[tuple[int, int, str]]) -> None:
    billed_through = NEVER
    for month, (invoice_day, due_day, kind) in zip(MONTHS_OF_TWENTY_YEARS, edits, strict=False):
        found = cycle(month, invoice_day, due_day, kind)
        reason, start = period(found, month, billed_through, NEVER)
        if reason in (NONE, SHORTENED):
            assert billed_through < start <= found.period_to
            billed_through = found.period_to


def test_days_are_counted_with_both_ends() -> None:
    assert days_in(date(2026, 11, 20), date(2026, 12, 19)) == 30
    assert days_in(date(2026, 11, 20), date(2026, 11, 20)) == 1


def test_without_proration_a_shortened_period_is_charged_whole() -> None:
    assert charged(30_000, date(2026, 11, 30), NOVEMBER, False) == 30_000
    assert charged(30_000, date(2026, 11, 30), NOVEMBER, True) == 20_000
    assert [charged(30_000, date(2026, 12, 19), NOVEMBER, prorate) for prorate in (True, False)] == [1_000, 30_000]
    assert [charged(30_000, date(2026, 12, 20), NOVEMBER, prorate) for prorate in (True, False)] == [0, 0]


# --- amounts


@pytest.mark.parametrize(
    "price, rate, mode, amounts",
    [
        (35000, 1600, "included", (30172, 4828, 35000)),
        (35000, 1600, "added", (35000, 5600, 40600)),
        (35000, 0, "included", (35000, 0, 35000)),
        (0, 1600, "included", (0, 0, 0)),
        (1, 1600, "included", (1, 0, 1)),
        (5001, 1, "included", (5000, 1, 5001)),  # 5000.49995
        (3, 10000, "included", (2, 1, 3)),  # 1.5 is rounded up
        (5, 1000, "added", (5, 1, 6)),  # 0.5 is rounded up
        (4, 1000, "added", (4, 0, 4)),
    ],
)
def test_tax_is_split_to_the_cent(price: int, rate: int, mode: str, amounts: tuple[int, int, int]) -> None:
    assert tax_split(price, rate, mode) == amounts


@settings(max_examples=400, deadline=None)
@given(PRICES, RATES)
def test_tax_is_exact_half_up_and_adds_up(price: int, rate: int) -> None:
    included = tax_split(price, rate, "included")
    assert included.total == price
    assert included.net == half_up(Fraction(price * 10000, 10000 + rate))
    added = tax_split(price, rate, "added")
    assert added.net == price
    assert added.tax == half_up(Fraction(price * rate, 10000))
    for amounts in (included, added):
        assert amounts.net + amounts.tax == amounts.total
        assert min(amounts) >= 0


@settings(max_examples=300, deadline=None)
@given(PRICES, st.integers(1, 31), st.integers(0, 31))
def test_proration_is_exact_half_up_and_never_more_than_the_price(price: int, of_days: int, days: int) -> None:
    assume(days <= of_days)
    part = prorated(price, days, of_days)
    assert part == half_up(Fraction(price * days, of_days))
    assert 0 <= part <= price
    assert abs(part + prorated(price, of_days - days, of_days) - price) <= 1


def test_a_whole_period_costs_the_price_and_none_costs_nothing() -> None:
    assert prorated(35000, 30, 30) == 35000
    assert prorated(35000, 0, 30) == 0
    assert prorated(5, 1, 2) == 3


def test_amounts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="not a tax mode: 'free'"):
        tax_split(1, 1600, "free")
    with pytest.raises(ValueError, match="negative: -1"):
        allocate(-1, [])


def test_what_is_asked_of_columns_is_never_asked_of_plain_values() -> None:
    price, start = sa.column("price", sa.BigInteger), sa.column("start", sa.Date)
    part = charged(price, start, NOVEMBER, True, COLUMNS)
    assert str(part.compile(dialect=sqlite.dialect())).count("julianday(start)") == 1


# --- states and payments


@pytest.mark.parametrize(
    "total, paid, void, state",
    [
        (100, 0, False, InvoiceState.pending),
        (100, 1, False, InvoiceState.partial),
        (100, 99, False, InvoiceState.partial),
        (100, 100, False, InvoiceState.paid),
        (0, 0, False, InvoiceState.paid),
        (100, 0, True, InvoiceState.void),
        (100, 100, True, InvoiceState.void),
    ],
)
def test_the_state_follows_from_what_is_paid(total: int, paid: int, void: bool, state: InvoiceState) -> None:
    assert state_of(total, paid, void) == state
    assert balance(total, paid, void) == (0 if void else total - paid)


def test_a_payment_settles_the_oldest_first_and_leaves_the_rest_as_credit() -> None:
    invoices = [("a", 100), ("b", 50), ("c", 70)]
    assert allocate(120, invoices) == ([("a", 100), ("b", 20)], 0)
    assert allocate(250, invoices) == ([("a", 100), ("b", 50), ("c", 70)], 30)
    assert allocate(0, invoices) == ([], 0)
    assert allocate(10, []) == ([], 10)
    assert allocate(1, [("a", 1), ("b", 1)]) == ([("a", 1)], 0)


def test_payments_settle_one_after_the_other() -> None:
    assert settle([("p", 120), ("q", 50)], [("a", 100), ("b", 50)]) == [
        ("p", "a", 100), ("p", "b", 20), ("q", "b", 30),
    ]  # fmt: skip
    assert settle([("p", 0), ("q", 7)], [("a", 0), ("b", 3)]) == [("q", "b", 3)]
    assert settle([("p", 1)], [("a", 1), ("b", 1)]) == [("p", "a", 1)]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(-50, 2_000), max_size=8))
def test_nothing_of_a_payment_is_lost_or_doubled(amount: int, balances: list[int]) -> None:
    allocations, rest = allocate(amount, list(enumerate(balances)))
    assert sum(part for _, part in allocations) + rest == amount
    assert rest >= 0
    given_to = dict(allocations)
    assert len(given_to) == len(allocations)
    assert all(0 < part <= balances[index] for index, part in allocations)
    # Whoever gets less than the whole balance is the last to get anything, and nothing is left over.
    for index, still in enumerate(balances):
        if still > given_to.get(index, 0):
            assert rest == 0
            assert all(later not in given_to for later in range(index + 1, len(balances)))


def test_a_number_ends_in_its_sequence() -> None:
    assert format_number("A-", 123) == "A-000123"
    assert format_number("", 1) == "000001"
    assert format_number("A-", 999_999) == "A-999999"
    assert format_number("A-", 1_000_000) == "A-1000000"


@pytest.mark.parametrize(
    "text, digits",
    [("A-000123", "000123"), (" a-7 ", "7"), ("123", "123"), ("B-1", ""), ("A-", ""), ("A-1234567890", ""), ("٣", "")],
)
def test_a_number_is_found_by_its_digits_with_or_without_the_prefix(text: str, digits: str) -> None:
    assert digits_of(text, "A-") == digits
    assert digits_of("123456789", "") == "123456789"


def test_the_rules_need_nothing_but_the_standard_library() -> None:
    modules = {getattr(value, "__module__", "") or "" for value in vars(domain).values()}
    assert not {name for name in modules if name.startswith("wisp") and name != domain.__name__}


# Days without an invoice -----------------------------------------------------------------------------

NOVEMBER = Cycle(date(2026, 11, 1), date(2026, 11, 15), date(2026, 11, 20), date(2026, 11, 20), date(2026, 12, 19))


@pytest.mark.parametrize(
    ("billed_through", "installed_on", "settled"),
    [
        (date(2027, 1, 9), None, date(2027, 1, 9)),  # invoiced further than that cycle
        (date(2026, 12, 9), None, date(2026, 12, 19)),  # its invoices are made, missed or skipped
        (date(2026, 12, 19), date(2020, 1, 1), date(2026, 12, 19)),
        (date.min, date(2026, 11, 14), date.max),  # never invoiced, and there in time: passed over
        (date.min, date(2026, 11, 15), date(2026, 11, 14)),  # came on the day of the invoices: too late for them
        (date.min, date(2026, 11, 30), date(2026, 11, 29)),
        (date.min, None, date.max),
    ],
)
def test_what_the_billing_so_far_has_dealt_with(billed_through: date, installed_on: date | None, settled: date) -> None:
    assert settled_through(billed_through, installed_on, NOVEMBER) == settled


def test_days_between_two_periods_and_their_price() -> None:
    assert gap_days(date(2026, 12, 19), date(2026, 12, 20)) == 0
    assert gap_days(date(2027, 1, 9), date(2027, 1, 25)) == 15
    assert gap_days(date(2026, 12, 19), date(2026, 12, 10)) < 0
    assert days_in(NOVEMBER.period_from, NOVEMBER.period_to) == 30
    assert gap_price(35000, 15, NOVEMBER) == 17500
    assert gap_price(35000, 1, NOVEMBER) == 1167  # 1166.67, half up
    assert gap_price(10, 45, NOVEMBER) == 15
