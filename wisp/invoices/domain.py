"""Billing cycles, amounts and states of invoices: pure rules.

Dates are local to the billing zone. Amounts are integer minor units, never negative here. Rates are basis
points (16 % is 1600). A month is a `date` whose day is 1.

The rules of one invoice hold for plain values and for columns of a query alike, so that what is shown, simulated and
issued comes from the same lines. Arithmetic is integer arithmetic on non-negative numbers, rounded half up as
`(2 * a + b) // (2 * b)`, where Python's `//` and SQL's integer division are the same; it stays inside 64 bits up to the
largest amount that core.money accepts. What has no operator (a choice, the later of two dates) is asked of `using`:
`PLAIN` for plain values, `core.sql.COLUMNS` for columns. A column must not be NULL; `date.min` stands for "never".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from wisp.schedules import domain as calendar

InvoiceId = TypeVar("InvoiceId")
PaymentId = TypeVar("PaymentId")

Number = Any
"""An integer, or a column of integers."""

Day = Any
"""A date, or a column of dates."""

Choice = Any
"""A truth, or a condition of a query."""

Text = Any
"""A text, or a column of texts."""


MAX_GAP_DAYS = 62
"""More days without an invoice are named, never charged."""


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


class PeriodReason(StrEnum):
    """What is particular about the period that a cycle charges a client; the first two: it charges nothing."""

    not_installed = "not_installed"
    already_billed = "already_billed"
    shortened = "shortened"
    none = ""


class Functions(Protocol):
    """What the rules need beside operators."""

    def case(self, *cases: tuple[Choice, Any], otherwise: Any) -> Any:
        """The value of the first choice that is true."""

    def latest(self, *days: Day) -> Day:
        """The latest of several dates."""

    def days_after(self, day: Day, days: int) -> Day:
        """The date so many days later."""

    def days_from_to(self, first: Day, second: Day) -> Number:
        """How many days lie between two dates: 0 for the same one."""

    def digits(self, number: Number, at_least: int) -> Text:
        """A number's digits, filled up with zeros."""


class Plain:
    """Functions of plain values."""

    def case(self, *cases: tuple[bool, Any], otherwise: Any) -> Any:
        """The value of the first choice that is true."""
        return next((value for choice, value in cases if choice), otherwise)

    def latest(self, *days: date) -> date:
        """The latest of several dates."""
        return max(days)

    def days_after(self, day: date, days: int) -> date:
        """The date so many days later."""
        return day + timedelta(days=days)

    def days_from_to(self, first: date, second: date) -> int:
        """How many days lie between two dates: 0 for the same one."""
        return (second - first).days

    def digits(self, number: int, at_least: int) -> str:
        """A number's digits, filled up with zeros."""
        return f"{number:0{at_least}d}"


PLAIN = Plain()


@dataclass(frozen=True, slots=True)
class Cycle:
    """One billing cycle: month, date of its invoice occurrence, planned due date, period (both days in)."""

    month: date
    occurrence: date
    due: date
    period_from: date
    period_to: date


class Amounts(NamedTuple):
    """What a line comes to; net + tax is the total, to the last cent."""

    net: Number
    tax: Number
    total: Number


def cycle(month: date, invoice_day: int, due_day: int, billing_type: str) -> Cycle:
    """The cycle of a billing month, for days 1-31 and "prepaid" or "postpaid" (ValueError otherwise).

    Due is the first due day on or after the invoice day, each compared as meant and only then clamped to its
    month: with invoice 31 and due 30 February's cycle is due on 30 March, since 28 February ends January's.
    Therefore every month has its own due date, and the periods follow one another without a gap, an overlap
    or an empty one. Prepaid charges from this due date to the day before the next one; postpaid from the
    previous one to the day before this one.
    """
    period_from, period_to = calendar.period_of(month, invoice_day, due_day, billing_type)
    return Cycle(
        month=month,
        occurrence=calendar.clamp_day(month, invoice_day),
        due=calendar.due_on(month, invoice_day, due_day),
        period_from=period_from,
        period_to=period_to,
    )


def settled_through(billed_through: date, installed_on: date | None, before: Cycle) -> date:
    """The last day that a client's billing so far has dealt with, where `before` is the last cycle of its schedule that
    is over: its invoices are made, missed, skipped or switched off, whoever was in them.

    Whoever was never billed (`billed_through` is date.min) and was installed on the day of that cycle's invoices or
    later came too late for them: nothing is dealt with before its installation. Whoever was there already was passed
    over, and has no days to make up for: date.max.
    """
    if billed_through == date.min:
        if installed_on is None or installed_on < before.occurrence:
            return date.max
        return installed_on - timedelta(days=1)
    return max(billed_through, before.period_to)


def gap_days(since: Day, period_from: Day, using: Functions = PLAIN) -> Number:
    """How many days lie without an invoice between the last one dealt with and a period; none where below 1."""
    return using.days_from_to(since, period_from) - 1


def gap_price(price: Number, days: Number, cycle: Cycle) -> Number:
    """What so many days without an invoice cost: the daily price of the cycle's own period, half up."""
    return prorated(price, days, days_in(cycle.period_from, cycle.period_to))


def due_date(cycle_due: Day, issue_date: Day, min_days: int, using: Functions = PLAIN) -> Day:
    """The due date of an invoice: the cycle's, but never sooner than `min_days` after the day of issue."""
    return using.latest(cycle_due, using.days_after(issue_date, min_days))


def is_overdue(due: Day, today: Day) -> Choice:
    """Whether an unpaid invoice is overdue on a local date: the due day itself is still in time."""
    return due < today


def period_start(first: Day, billed_through: Day, installed_on: Day, using: Functions = PLAIN) -> Day:
    """The day from which a cycle, whose period begins on `first`, charges a client.

    Neither before the day after `billed_through` (the last day that the client was charged for) nor before the day of
    installation. Both may be `date.min`.
    """
    unbilled = using.case((billed_through < first, first), otherwise=using.days_after(billed_through, 1))
    return using.latest(unbilled, installed_on)


def period_reason(
    cycle: Cycle, today: date, start: Day, billed_through: Day, installed_on: Day, using: Functions = PLAIN
) -> Text:
    """What a cycle charges one client, from `start` on, in a run on the local date `today`, as a PeriodReason.

    Whoever is installed only later than `today`, or only after the period, is not invoiced yet; where nothing of the
    period is left, it has been billed already.
    """
    return using.case(
        (installed_on > min(today, cycle.period_to), PeriodReason.not_installed.value),
        (billed_through >= cycle.period_to, PeriodReason.already_billed.value),
        (start > cycle.period_from, PeriodReason.shortened.value),
        otherwise=PeriodReason.none.value,
    )


def charged(price: Number, start: Day, cycle: Cycle, prorate: bool, using: Functions = PLAIN) -> Number:
    """What a cycle's period costs from `start` on: its part where proration is on, else the whole price."""
    days = days_in(start, cycle.period_to, using)
    part = prorated(price, days, days_in(cycle.period_from, cycle.period_to)) if prorate else price
    return using.case((start > cycle.period_to, 0), (start > cycle.period_from, part), otherwise=price)


def days_in(first: Day, last: Day, using: Functions = PLAIN) -> Number:
    """The days from `first` to `last`, both in."""
    return using.days_from_to(first, last) + 1


def prorated(price: Number, days: Number, of_days: Number) -> Number:
    """The price of `days` out of `of_days` (of more where they belong to a gap), half up."""
    return (price * 2 * days + of_days) // (2 * of_days)


def tax_split(price: Number, rate_bp: int, mode: str) -> Amounts:
    """Net, tax and total of a price, half up: what is rounded is the net where tax is included, else the tax.

    ValueError for another mode than those of TaxMode.
    """
    if mode == TaxMode.included:
        net = (price * 20000 + (10000 + rate_bp)) // (2 * (10000 + rate_bp))
        return Amounts(net=net, tax=price - net, total=price)
    if mode == TaxMode.added:
        tax = (price * (2 * rate_bp) + 10000) // 20000
        return Amounts(net=price, tax=tax, total=price + tax)
    raise ValueError(f"not a tax mode: {mode!r}")


def state_of(total: Number, paid: Number, void: Choice, using: Functions = PLAIN) -> Text:
    """The state of an invoice, as an InvoiceState; one over nothing counts as paid."""
    return using.case(
        (void, InvoiceState.void.value),
        (paid >= total, InvoiceState.paid.value),
        (paid > 0, InvoiceState.partial.value),
        otherwise=InvoiceState.pending.value,
    )


def balance(total: Number, paid: Number, void: Choice, using: Functions = PLAIN) -> Number:
    """What an invoice still asks for: nothing where it is void."""
    return using.case((void, 0), otherwise=total - paid)


def allocate(amount: int, open_invoices: Iterable[tuple[InvoiceId, int]]) -> tuple[list[tuple[InvoiceId, int]], int]:
    """Spread an amount over open invoices in the order given (oldest first), and what is left over, as credit.

    `open_invoices` are (id, balance); without a balance they are passed over. ValueError for a negative amount.
    """
    if amount < 0:
        raise ValueError(f"amount is negative: {amount}")
    allocations: list[tuple[InvoiceId, int]] = []
    rest = amount
    for invoice_id, balance in open_invoices:
        part = min(rest, balance)
        if part > 0:
            allocations.append((invoice_id, part))
            rest -= part
    return allocations, rest


def settle(
    credits: Iterable[tuple[PaymentId, int]], open_invoices: Iterable[tuple[InvoiceId, int]]
) -> list[tuple[PaymentId, InvoiceId, int]]:
    """Spread what payments have left over open invoices, each in the order given: (payment, invoice, amount).

    `credits` are (id, what is left), `open_invoices` (id, balance).
    """
    parts: list[tuple[PaymentId, InvoiceId, int]] = []
    balances = dict(open_invoices)
    for payment_id, left in credits:
        for invoice_id, amount in allocate(left, balances.items())[0]:
            parts.append((payment_id, invoice_id, amount))
            balances[invoice_id] -= amount
    return parts


def format_number(prefix: str, number: Number, using: Functions = PLAIN) -> Text:
    """An invoice's number: the prefix of the series as it is, then the sequence with at least six digits."""
    return prefix + using.digits(number, 6)


def digits_of(text: str, prefix: str) -> str:
    """The sequence in a number as people type it, with the prefix of its series (in any case) or without; "" where
    it cannot be a number of that series."""
    rest = text.strip()
    if prefix and rest.lower().startswith(prefix.lower()):
        rest = rest[len(prefix) :]
    return rest if rest.isascii() and rest.isdigit() and len(rest) <= 9 else ""
