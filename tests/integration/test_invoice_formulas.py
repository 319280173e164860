"""The rules of an invoice give the same for columns of a query as for plain values, on both databases."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from wisp.core.db import session
from wisp.core.money import MAX_MINOR
from wisp.core.sql import COLUMNS
from wisp.invoices import domain

pytestmark = pytest.mark.usefixtures("ctx")

ROWS = 400
INPUTS = {
    "price": sa.BigInteger(), "paid": sa.BigInteger(), "days": sa.Integer(), "of_days": sa.Integer(),
    "number": sa.Integer(), "void": sa.Boolean(), "billed": sa.Date(), "installed": sa.Date(), "today": sa.Date(),
}  # fmt: skip
CYCLES = [domain.cycle(date(2028, 2, 1), 15, 20, "prepaid"), domain.cycle(date(2027, 1, 1), 31, 30, "postpaid")]


def inputs() -> list[dict[str, Any]]:
    """Halves of a cent, ends of periods and the largest amounts, then whatever comes."""
    chance = random.Random(1)
    prices = [0, 1, 2, 3, 4, 5, 35_000, 99_999, MAX_MINOR - 1, MAX_MINOR]
    rows = []
    for n in range(ROWS):
        of_days = chance.choice([1, 2, 28, 29, 30, 31])
        price = chance.choice(prices) if n % 2 else chance.randrange(10_000_000)
        around = CYCLES[n % 2].period_from if n % 3 else CYCLES[n % 2].period_to
        day = [
            around + timedelta(days=chance.randrange(-40, 40) if n % 4 else chance.randrange(-1, 2)) for _ in range(3)
        ]
        rows.append({
            "price": price, "paid": chance.choice([0, 1, price // 2, price - 1, price]),
            "days": chance.randint(0, of_days), "of_days": of_days,
            "number": chance.choice([1, 999_999, 1_000_000, chance.randrange(2_000_000)]),
            "void": not n % 5, "billed": day[0] if n % 7 else date.min, "installed": day[1] if n % 6 else date.min,
            "today": day[2],
        })  # fmt: skip
    return rows


def formulas(row: Any, using: domain.Functions) -> dict[str, Any]:
    """Every rule that is used in queries, of one row of inputs."""
    found: dict[str, Any] = {
        "prorated": domain.prorated(row.price, row.days, row.of_days),
        "state": domain.state_of(row.price, row.paid, row.void, using),
        "balance": domain.balance(row.price, row.paid, row.void, using),
        "label": domain.format_number("A-", row.number, using),
        "overdue": domain.is_overdue(row.billed, row.today),
        "due": domain.due_date(row.installed, row.today, 3, using),
    }
    for mode in domain.TaxMode:
        for rate in (0, 1, 850, 1600, 1900, 9_999, 10_000):
            found |= {
                f"{name} {mode} {rate}": part
                for name, part in domain.tax_split(row.price, rate, mode)._asdict().items()
            }
    for n, cycle in enumerate(CYCLES):
        start = domain.period_start(cycle.period_from, row.billed, row.installed, using)
        found[f"start {n}"] = start
        found[f"reason {n}"] = domain.period_reason(cycle, date(2028, 2, 20), start, row.billed, row.installed, using)
        for prorate in (True, False):
            found[f"charged {n} {prorate}"] = domain.charged(row.price, start, cycle, prorate, using)
    return found


def test_columns_give_the_same_to_the_cent_and_to_the_day():
    rows = inputs()
    table = sa.Table("given", sa.MetaData(), *[sa.Column(name, type_) for name, type_ in INPUTS.items()])
    given = sa.values(*table.c, name="given").data([tuple(row.values()) for row in rows]).cte("given").c
    query = sa.select(*[column.label(name) for name, column in formulas(given, COLUMNS).items()])
    counted = [dict(row) for row in session().execute(query).mappings()]
    for row, found in zip(rows, counted, strict=True):
        assert found == formulas(domain_row(row), domain.PLAIN), row


def domain_row(values: dict[str, Any]) -> Any:
    """The inputs as attributes."""
    return type("Row", (), values)
