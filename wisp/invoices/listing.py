"""Lists of invoices: what pages, files and commands ask for, with the same few statements at any number of invoices."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import or_, select

from wisp.clients import search
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import Rows, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.invoices import service
from wisp.invoices.models import Invoice
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule
from wisp.web.tables import guarded

STATES = ("open", "overdue", "pending", "partial", "paid", "void")
"""What a list may be narrowed to: the four states, ``open`` (pending or partial) and ``overdue`` (open, and the due
date lies before the local date of the client's zone)."""
SORTS: dict[str, Any] = {"number": Invoice.id, "issued": Invoice.issued, "due": Invoice.due}
"""Ids grow with the numbers of a series; each of these columns has an index."""
CHUNK = 2_000


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; empty = no limit. ``month`` is the billing month (first day)."""

    text: str = ""
    month: date | None = None
    state: str = ""
    zone_id: int | None = None
    client_id: int | None = None
    run_id: int | None = None


def query(scope: Scope = EVERYTHING, only: Filters = Filters()) -> Rows:
    """Invoices with their client inside ``scope`` that ``only`` leaves, unordered."""
    found: Rows = select(Invoice, Client).join(Client, Client.id == Invoice.client_id)
    if scope.zone_ids is not None:
        found = found.where(Client.zone_id.in_(scope.zone_ids))
    if only.zone_id is not None:
        found = found.where(Client.zone_id == only.zone_id)
    if only.month is not None:
        found = found.where(Invoice.month == only.month)
    if only.client_id is not None:
        found = found.where(Invoice.client_id == only.client_id)
    if only.run_id is not None:
        found = found.where(Invoice.run_id == only.run_id)
    found = _in_state(found, only.state)
    return _matching(found, only.text) if only.text.strip() else found


def _in_state(found: Rows, state: str) -> Rows:
    if state in ("open", "overdue"):
        found = found.where(Invoice.state.in_(service.OPEN_STATES))
    elif state in STATES:
        found = found.where(Invoice.state == state)
    if state == "overdue":
        found = found.join(Zone, Zone.id == Client.zone_id).join(BillingSchedule, service.schedule_of_client())
        found = found.where(Invoice.due < service.local_today(clock.now()))
    return found


def _matching(found: Rows, text: str) -> Rows:
    """Of digits, or a whole number: that invoice. Else, and of digits too: the invoices of the clients found."""
    numbered = [invoice.id for invoice in service.by_number(text)]
    if numbered and not text.strip().isdigit():
        return found.where(Invoice.id.in_(numbered))
    clients = search.matching(text, by_invoice=False)
    if clients is None:
        return found
    return found.where(or_(Invoice.id.in_(numbered), clients) if numbered else clients)


def overdue(invoice_ids: Collection[int]) -> set[int]:
    """Those of a page's invoices that are overdue on their client's local date."""
    if not invoice_ids:
        return set()
    late = _in_state(query(), "overdue").where(Invoice.id.in_(invoice_ids))
    return set(session().scalars(late.with_only_columns(Invoice.id, maintain_column_froms=True)))


COLUMNS = (
    Invoice.id, Invoice.label, Client.code, Client.name, Client.zone_id, Invoice.month, Invoice.period_from,
    Invoice.period_to, Invoice.issued, Invoice.due, Invoice.net, Invoice.tax, Invoice.total, Invoice.paid,
    Invoice.state, Invoice.currency,
)  # fmt: skip


def everything(found: Rows) -> Iterator[Any]:
    """COLUMNS of all invoices of a query, in the order of their numbers, a few thousand in memory at a time."""
    flat, last = found.with_only_columns(*COLUMNS, maintain_column_froms=True).order_by(Invoice.id).limit(CHUNK), 0
    while rows := session().execute(flat.where(Invoice.id > last)).all():
        last = rows[-1].id
        yield from rows


def balance(row: Any) -> int:
    """What an invoice (or a row of COLUMNS) still asks for, in minor units."""
    return 0 if row.state == "void" else int(row.total - row.paid)


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A CSV file in pieces (UTF-8 with a mark for spreadsheets); a cell like a formula is written as text."""
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow(head)
    for row in rows:
        writer.writerow([guarded(cell) for cell in row])
        if buffer.tell() > 65_536:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
