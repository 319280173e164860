"""Lists of invoices: what pages, files and commands ask for, with the same few statements at any number of invoices."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import BindParameter, select

from wisp.clients import search
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import Rows, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.invoices import domain, service
from wisp.invoices.models import Invoice
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule

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
    """Ids of the invoices inside ``scope`` that ``only`` leaves, unordered.

    Ids alone, because what is sorted must be narrow: the rows of a page are read by ``rows``.
    """
    found: Rows = select(Invoice.id)
    clients = _of_clients(scope, only)
    if clients:
        found = found.join(Client, Client.id == Invoice.client_id).where(*clients)
    if only.month is not None:
        found = found.where(Invoice.month == only.month)
    if only.client_id is not None:
        found = found.where(Invoice.client_id == only.client_id)
    if only.run_id is not None:
        found = found.where(Invoice.run_id == only.run_id)
    return _matching(_in_state(found, only.state), only.text, joined=bool(clients))


def _of_clients(scope: Scope, only: Filters) -> list[Any]:
    conditions: list[Any] = []
    if scope.zone_ids is not None:
        conditions.append(Client.zone_id.in_(scope.zone_ids))
    if only.zone_id is not None:
        conditions.append(Client.zone_id == only.zone_id)
    return conditions


def _in_state(found: Rows, state: str) -> Rows:
    if state in ("open", "overdue"):
        found = found.where(Invoice.state.in_(service.OPEN_STATES))
    elif state in STATES:
        found = found.where(Invoice.state == state)
    if state != "overdue":
        return found
    today = service.local_today(clock.now())
    if not isinstance(today, BindParameter):  # time zones in which it is another day: each client's own counts
        inside = select(Client.id).join(Zone, Zone.id == Client.zone_id)
        inside = inside.join(BillingSchedule, service.schedule_of_client())
        return found.where(inside.where(Client.id == Invoice.client_id, domain.is_overdue(Invoice.due, today)).exists())
    return found.where(domain.is_overdue(Invoice.due, today))


def _matching(found: Rows, text: str, *, joined: bool) -> Rows:
    """Where ``text`` is the number of invoices, these; else the invoices of the clients that it finds."""
    if not text.strip():
        return found
    numbered = [invoice.id for invoice in service.by_number(text)]
    if numbered:
        return found.where(Invoice.id.in_(numbered))
    clients = search.matching(text, by_invoice=False)
    if clients is None:
        return found
    return (found if joined else found.join(Client, Client.id == Invoice.client_id)).where(clients)


def rows(invoice_ids: Sequence[int]) -> list[tuple[Invoice, Client]]:
    """Invoices with their client, in the order given."""
    query = select(Invoice, Client).join(Client, Client.id == Invoice.client_id).where(Invoice.id.in_(invoice_ids))
    found = {invoice.id: (invoice, client) for invoice, client in session().execute(query)}
    return [found[invoice_id] for invoice_id in invoice_ids if invoice_id in found]


def overdue(invoice_ids: Collection[int]) -> set[int]:
    """Those of a page's invoices that are overdue on their client's local date."""
    if not invoice_ids:
        return set()
    return set(session().scalars(query(only=Filters(state="overdue")).where(Invoice.id.in_(invoice_ids))))


COLUMNS = (
    Invoice.id, Invoice.label, Client.code, Client.name, Client.zone_id, Invoice.month, Invoice.period_from,
    Invoice.period_to, Invoice.issued, Invoice.due, Invoice.net, Invoice.tax, Invoice.total, Invoice.paid,
    Invoice.state, Invoice.currency,
)  # fmt: skip


def everything(found: Rows) -> Iterator[Any]:
    """COLUMNS of all invoices of a query, in the order of their numbers, a few thousand in memory at a time."""
    columns = select(*COLUMNS).join(Client, Client.id == Invoice.client_id).order_by(Invoice.id)
    some, last = found.order_by(Invoice.id).limit(CHUNK), 0
    while ids := session().scalars(some.where(Invoice.id > last)).all():
        last = ids[-1]
        yield from session().execute(columns.where(Invoice.id.in_(ids)))


def balance(row: Any) -> int:
    """What an invoice (or a row of COLUMNS) still asks for, in minor units."""
    still: int = domain.balance(row.total, row.paid, row.state == "void")
    return still
