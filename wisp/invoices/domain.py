"""Billing cycles, amounts and states of invoices: pure rules.

Dates are local to the billing zone. Amounts are integer minor units, never negative here. Rates are basis
points (16 % is 1600). A month is a `date` whose day is 1.

The invoice run computes its amounts in SQL. So that both agree to the last cent, every formula here is
integer arithmetic on non-negative numbers, rounded half up as `(2 * a + b) // (2 * b)`, where Python's `//`
and SQL's integer division are the same. The SQL_* constants hold the same formulas as SQL, to be filled with
`str.format`. Inside 64 bits up to the largest amount that core.money accepts.
"""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeVar

InvoiceId = TypeVar("InvoiceId")

SQL_NET_INCLUDED = "(({price}) * 20000 + 10000 + ({rate})) / (2 * (10000 + ({rate})))"
"""Net of a price that includes its tax; the tax is the price less the net, the total is the price."""

SQL_TAX_ADDED = "(({price}) * 2 * ({rate}) + 10000) / 20000"
"""Tax to be added to a price; the net is the price, the total their sum."""

SQL_PRORATED = "(({price}) * 2 * ({days}) + ({of_days})) / (2 * ({of_days}))"
"""A price for `days` out of `of_days`."""

_DAY = timedelta(days=1)


class InvoiceState(StrEnum):
    """What an invoice shows: nothing paid, paid in part, paid, or void."""

    pending = "pending"
    partial = "partial"
    paid = "paid"
    void = "void"


class TaxMode(StrEnum):
    """Whether a plan's price holds the tax or the tax comes on top."""

    included = "included"
    added = "added"


class NothingReason(StrEnum):
    """Why a cycle charges a client nothing."""

    already_billed = "already_billed"
    not_installed = "not_installed"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One billing cycle: month, date of its invoice occurrence, planned due date, period (both days in)."""

    month: date
    occurrence: date
    due: date
    period_from: date
    period_to: date


@dataclass(frozen=True, slots=True)
class Period:
    """What a cycle charges one client: from `start` to `end`, both in, at `days` / `of_days` of the price.

    `shortened`: it is less than the cycle's period. Without proration that is still charged whole (days ==
    of_days), and the simulation says so.
    """

    start: date
    end: date
    days: int
    of_days: int
    shortened: bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """A cycle charges a client nothing: billed already through `until`, or not installed before `until`."""

    reason: NothingReason
    until: date


class Amounts(NamedTuple):
    """What a line comes to; net + tax is the total, to the last cent."""

    net: int
    tax: int
    total: int


def cycle(month: date, invoice_day: int, due_day: int, billing_type: str) -> Cycle:
    """The cycle of a billing month, for days 1-31 and "prepaid" or "postpaid" (ValueError otherwise).

    Due is the first due day on or after the invoice day, each compared as meant and only then clamped to its
    month: with invoice 31 and due 30 February's cycle is due on 30 March, since 28 February ends January's.
    Therefore every month has its own due date, and the periods follow one another without a gap, an overlap
    or an empty one. Prepaid charges from this due date to the day before the next one; postpaid from the
    previous one to the day before this one.
    """
    if billing_type not in ("prepaid", "postpaid"):
        raise ValueError(f"not a billing type: {billing_type!r}")
    ahead = 0 if due_day >= invoice_day else 1
    due = _day_in(month, ahead, due_day)
    if billing_type == "prepaid":
        period_from, until = due, _day_in(month, ahead + 1, due_day)
    else:
        period_from, until = _day_in(month, ahead - 1, due_day), due
    return Cycle(
        month=month,
        occurrence=_day_in(month, 0, invoice_day),
        due=due,
        period_from=period_from,
        period_to=until - _DAY,
    )


def due_date(cycle_due: date, issue_date: date, min_days: int) -> date:
    """The due date of an invoice: the cycle's, but never sooner than `min_days` after the day of issue."""
    return max(cycle_due, issue_date + timedelta(days=min_days))


def is_overdue(due: date, today: date) -> bool:
    """Whether an unpaid invoice is overdue on a local date: the due day itself is still in time."""
    return due < today


def client_period(
    cycle: Cycle,
    today: date,
    billed_through: date | None,
    installed_on: date | None,
    prorate: bool,
) -> Period | Nothing:
    """What a cycle charges one client in a run on the local date `today`.

    The period begins neither before the day after `billed_through` (the last day that the client was charged
    for) nor before the day of installation. Where the client is installed only later than `today`, or only
    after the period, it is not invoiced yet; where nothing of the period is left, it has been billed already.
    """
    if installed_on is not None and (installed_on > today or installed_on > cycle.period_to):
        return Nothing(NothingReason.not_installed, installed_on)
    if billed_through is not None and billed_through >= cycle.period_to:
        return Nothing(NothingReason.already_billed, billed_through)
    start = cycle.period_from
    if billed_through is not None:
        start = max(start, billed_through + _DAY)
    if installed_on is not None:
        start = max(start, installed_on)
    of_days = (cycle.period_to - cycle.period_from).days + 1
    left = (cycle.period_to - start).days + 1
    return Period(
        start=start,
        end=cycle.period_to,
        days=left if prorate else of_days,
        of_days=of_days,
        shortened=left < of_days,
    )


def tax_split(price: int, rate_bp: int, mode: str) -> Amounts:
    """Net, tax and total of a price, half up: what is rounded is the net where tax is included, else the tax.

    Included: net = (price * 20000 + 10000 + rate) // (2 * (10000 + rate)), total = price (SQL_NET_INCLUDED).
    Added: tax = (price * 2 * rate + 10000) // 20000, net = price (SQL_TAX_ADDED).
    ValueError for a negative price or rate, or another mode.
    """
    _require_not_negative(price=price, rate_bp=rate_bp)
    if mode == TaxMode.included:
        net = (price * 20000 + 10000 + rate_bp) // (2 * (10000 + rate_bp))
        return Amounts(net=net, tax=price - net, total=price)
    if mode == TaxMode.added:
        tax = (price * 2 * rate_bp + 10000) // 20000
        return Amounts(net=price, tax=tax, total=price + tax)
    raise ValueError(f"not a tax mode: {mode!r}")


def prorated(price: int, days: int, of_days: int) -> int:
    """The price of `days` out of `of_days`, half up.

    (price * 2 * days + of_days) // (2 * of_days) (SQL_PRORATED).

    ValueError for a negative price, or days that are not 0 to `of_days`.
    """
    _require_not_negative(price=price, days=days)
    if of_days < 1 or days > of_days:
        raise ValueError(f"not a part of a period: {days} of {of_days} days")
    return (price * 2 * days + of_days) // (2 * of_days)


def state_of(total: int, paid: int, void: bool) -> InvoiceState:
    """The state of an invoice; one over nothing counts as paid."""
    if void:
        return InvoiceState.void
    if paid >= total:
        return InvoiceState.paid
    return InvoiceState.partial if paid > 0 else InvoiceState.pending


def allocate(amount: int, open_invoices: Iterable[tuple[InvoiceId, int]]) -> tuple[list[tuple[InvoiceId, int]], int]:
    """Spread an amount over open invoices in the order given (oldest first), and what is left over, as credit.

    `open_invoices` are (id, balance); without a balance they are passed over. ValueError for a negative amount.
    """
    _require_not_negative(amount=amount)
    allocations: list[tuple[InvoiceId, int]] = []
    rest = amount
    for invoice_id, balance in open_invoices:
        part = min(rest, balance)
        if part > 0:
            allocations.append((invoice_id, part))
            rest -= part
    return allocations, rest


def format_number(prefix: str, number: int) -> str:
    """An invoice's number: the prefix of the series as it is, then the sequence with at least six digits."""
    return f"{prefix}{number:06d}"


def digits_of(text: str, prefix: str) -> str:
    """The sequence in a number as people type it, with the prefix of its series (in any case) or without; "" where
    it cannot be a number of that series."""
    rest = text.strip()
    if prefix and rest.lower().startswith(prefix.lower()):
        rest = rest[len(prefix) :]
    return rest if rest.isascii() and rest.isdigit() and len(rest) <= 9 else ""


def _day_in(month: date, ahead: int, day: int) -> date:
    """The date of a day (1-31, else ValueError), clamped, in the month `ahead` months after `month`."""
    if not 1 <= day <= 31:
        raise ValueError(f"not a day of a month: {day}")
    year, index = divmod(month.year * 12 + month.month - 1 + ahead, 12)
    return date(year, index + 1, min(day, calendar.monthrange(year, index + 1)[1]))


def _require_not_negative(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"{name} is negative: {number}")
