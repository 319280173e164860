"""Issuing: how much, and which number. The only place that numbers invoices.

Who is invoiced comes as a query (``eligible``); what an invoice is made of comes as its lines. Numbers are gapless: the
series' row is locked before the query is read and until the end of the transaction, exactly the rows found are
numbered, and no row may be passed over. All of it is set-based: a constant number of statements for any number of
clients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    SQLColumnExpression,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    select,
    update,
)

from wisp.clients.models import Client, Plan
from wisp.core import i18n
from wisp.core.db import insert_into, session
from wisp.core.sql import COLUMNS
from wisp.invoices import domain
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice, InvoiceLine, InvoiceSeries
from wisp.outbox.models import Message


@dataclass(frozen=True)
class Terms:
    """What the invoices of one step have in common. ``run_id``, ``month`` and ``period_to`` of recurring ones only."""

    kind: str
    issued: date
    due: date
    now: datetime
    currency: str
    tax_bp: int
    run_id: int | None = None
    month: date | None = None
    period_to: date | None = None


@dataclass(frozen=True)
class Line:
    """A line on each of the new invoices that ``where`` selects.

    Columns are over Invoice, Client and Plan; net + tax = total, in minor units. ``about`` follows ``title``: in a
    language, of an invoice whose period starts on that day (None where it has no period). The lines of an invoice add
    up to it, or nothing is issued.
    """

    title: ColumnElement[str]
    about: Callable[[str, date | None], str]
    net: SQLColumnExpression[int]
    tax: SQLColumnExpression[int]
    total: SQLColumnExpression[int]
    where: tuple[ColumnElement[bool], ...] = ()


@dataclass(frozen=True)
class Issued:
    """How many invoices were issued, their sum in minor units, and what selects them (over Invoice)."""

    count: int
    amount: int
    these: ColumnElement[bool]


def lock_series() -> InvoiceSeries:
    """The series that new invoices are numbered in, its row locked until the end of the transaction."""
    query = select(InvoiceSeries).order_by(InvoiceSeries.id).limit(1).with_for_update()
    return session().scalars(query.execution_options(populate_existing=True)).one()


def issue(terms: Terms, eligible: Subquery, lines: Sequence[Line]) -> Issued:
    """One invoice for each row of ``eligible``: client_id, period_from (None without a period), net, tax, amount.

    Numbers them in the order of client ids, writes their lines, and settles them with what the clients have paid ahead.
    Raises where the lines do not add up to the invoices, and where a client has an invoice of that month already: a
    defect of the query, which undoes the whole step.
    """
    series = lock_series()
    first = series.next_number
    count = _insert_invoices(terms, eligible, series)
    these = and_(Invoice.series_id == series.id, Invoice.number >= first, Invoice.number < first + count)
    if not count:
        return Issued(0, 0, these)
    session().execute(update(InvoiceSeries).where(InvoiceSeries.id == series.id).values(next_number=first + count))
    session().expire(series)
    for position, line in enumerate(lines, 1):
        _insert_line(line, position, these)
    amount = _added_up(these)
    invoices.use_credit(select(Invoice.client_id).where(these))
    return Issued(count, amount, these)


def announce(issued: Issued, terms: Terms) -> int:
    """Put an e-mail about each of the invoices into the outbox, where the client has an address; how many."""
    if not issued.count:
        return 0
    now = literal(terms.now, Message.created_at.type)
    query = (
        select(
            literal("invoice"), Invoice.id, Invoice.run_id, Client.id, Client.email, Client.language,
            literal("pending"), now, now,
        )
        .join_from(Invoice, Client, Client.id == Invoice.client_id)
        .where(issued.these, Client.email != "")
        .order_by(Invoice.id)
    )  # fmt: skip
    columns = ["kind", "invoice_id", "run_id", "client_id", "recipient", "language", "state", "next_attempt_at",
               "created_at"]  # fmt: skip
    return _insert(insert_into(Message).from_select(columns, query).on_conflict_do_nothing())


def recurring_lines(cycle: domain.Cycle, tax_bp: int, tax_mode: str) -> list[Line]:
    """The lines of a recurring invoice: the client's plan, and the days before the cycle's period where the invoice
    begins with them (they belong to no other invoice)."""

    def of_plan(language: str, start: date | None) -> str:
        return _span(language, max(start or cycle.period_from, cycle.period_from), cycle.period_to)

    def of_gap(language: str, start: date | None) -> str:
        last = cycle.period_from - timedelta(days=1)
        return i18n.translate(language, "Days without an invoice: %(days)s", days=_span(language, start or last, last))

    with_gap = Invoice.period_from < cycle.period_from
    plan = domain.tax_split(Plan.price, tax_bp, tax_mode)
    invoice = domain.Amounts(Invoice.net, Invoice.tax, Invoice.total)
    of_whole = domain.Amounts(*(case((with_gap, one), else_=all_) for one, all_ in zip(plan, invoice, strict=True)))
    rest = domain.Amounts(*(all_ - one for one, all_ in zip(plan, invoice, strict=True)))
    return [
        Line(Plan.name + " · ", of_plan, of_whole.net, of_whole.tax, of_whole.total),
        Line(Plan.name + " · ", of_gap, rest.net, rest.tax, rest.total, where=(with_gap,)),
    ]


def _span(language: str, first: date, last: date) -> str:
    return i18n.translate(
        language, "%(start)s to %(end)s", start=i18n.long_day(first, language), end=i18n.long_day(last, language)
    )


def _insert_invoices(terms: Terms, eligible: Subquery, series: InvoiceSeries) -> int:
    e = eligible.c
    number = literal(series.next_number - 1, Integer) + func.row_number().over(order_by=e.client_id)
    numbered = select(*e, number.label("number")).subquery("numbered")
    n = numbered.c
    values: dict[str, Any] = {
        "series_id": literal(series.id),
        "number": n.number,
        "label": domain.format_number(series.prefix, n.number, COLUMNS),
        "client_id": n.client_id,
        "run_id": literal(terms.run_id, Integer),
        "kind": literal(terms.kind),
        "month": literal(terms.month, Invoice.month.type),
        "period_from": n.period_from,
        "period_to": literal(terms.period_to, Invoice.period_to.type),
        "issued": literal(terms.issued),
        "due": literal(terms.due),
        "currency": literal(terms.currency),
        "customer": case((Client.legal_name != "", Client.legal_name), else_=Client.name),
        "customer_tax_id": Client.tax_id,
        "tax_bp": literal(terms.tax_bp),
        "net": n.net,
        "tax": n.tax,
        "total": n.amount,
        "state": domain.state_of(n.amount, literal(0), false(), COLUMNS),
        "created_at": literal(terms.now, Invoice.created_at.type),
    }
    query = (
        select(*[value.label(name) for name, value in values.items()])
        .join_from(numbered, Client, Client.id == n.client_id)
        .order_by(n.client_id)
    )
    # No ON CONFLICT here: a number must not be spent on a row that is not inserted. A conflict would be a
    # defect, rolls the chunk back, and is then found client by client.
    return _insert(insert_into(Invoice).from_select(list(values), query))


def _insert_line(line: Line, position: int, these: ColumnElement[bool]) -> None:
    source = (
        select(Invoice)
        .join(Client, Client.id == Invoice.client_id)
        .join(Plan, Plan.id == Client.plan_id)
        .where(these, *line.where)
    )
    found = session().execute(source.with_only_columns(Client.language, Invoice.period_from).distinct()).all()
    if not found:
        return
    texts = [(language, start, line.about(language, start)) for language, start in found]
    about = case(
        *[
            (and_(Client.language == language, Invoice.period_from.is_not_distinct_from(start)), text)
            for language, start, text in texts
        ],
        else_="",
    )
    query = source.with_only_columns(Invoice.id, literal(position), line.title + about, line.net, line.tax, line.total)
    columns = ["invoice_id", "position", "description", "net", "tax", "total"]
    session().execute(insert_into(InvoiceLine).from_select(columns, query))


def _added_up(these: ColumnElement[bool]) -> int:
    """The sum of the new invoices. Raises where one of them is not the sum of its lines."""
    # Looked up for each invoice: in a join PostgreSQL, without statistics yet, would compare each with all.
    of_lines = [
        select(func.coalesce(func.sum(column), 0)).where(InvoiceLine.invoice_id == Invoice.id).scalar_subquery()
        for column in (InvoiceLine.net, InvoiceLine.tax)
    ]
    same = and_(of_lines[0] == Invoice.net, of_lines[1] == Invoice.tax)
    query = select(cast(func.sum(Invoice.total), BigInteger), func.sum(case((same, 0), else_=1)))
    total, wrong = session().execute(query.where(these)).one()
    if wrong:
        raise ValueError(f"the lines of {wrong} invoices do not add up to them")
    return int(total)


def _insert(statement: Any) -> int:
    """How many rows an INSERT … SELECT has written."""
    result = session().execute(statement, execution_options={"preserve_rowcount": True})
    return int(result.rowcount)  # type: ignore[attr-defined]
