"""Lists of payments, and the clients among whom a cashier looks for the one that pays."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from wisp.clients import listing as client_listing
from wisp.clients import search
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import Rows, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice, Payment

STATES = ("valid", "credit", "void")
SORTS: dict[str, Any] = {"number": Payment.id, "date": Payment.paid_on}
"""Each of these columns has an index."""
FOUND = 12
CHUNK = 2_000


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; empty = no limit. ``since`` and ``until`` are days of payment, both included."""

    text: str = ""
    state: str = ""
    method: str = ""
    since: date | None = None
    until: date | None = None
    client_id: int | None = None


def query(scope: Scope = EVERYTHING, only: Filters = Filters()) -> Rows:
    """Payments with their client inside ``scope`` that ``only`` leaves, unordered."""
    found: Rows = sa.select(Payment, Client).join(Client, Client.id == Payment.client_id)
    if scope.zone_ids is not None:
        found = found.where(Client.zone_id.in_(scope.zone_ids))
    if only.client_id is not None:
        found = found.where(Payment.client_id == only.client_id)
    if only.state == "void":
        found = found.where(Payment.voided_at.is_not(None))
    elif only.state:
        found = found.where(Payment.voided_at.is_(None))
    if only.state == "credit":
        found = found.where(Payment.remaining > 0)
    if only.method:
        found = found.where(Payment.method == only.method)
    if only.since is not None:
        found = found.where(Payment.paid_on >= only.since)
    if only.until is not None:
        found = found.where(Payment.paid_on <= only.until)
    return found.where(_matching(only.text.strip())) if only.text.strip() else found


def _matching(text: str) -> Any:
    """The payment of that number or reference, or the payments of the clients found."""
    ways = [Payment.reference == text]
    if text.isascii() and text.isdigit() and len(text) <= 9:
        ways.append(Payment.id == int(text))
    clients = search.matching(text, by_invoice=False)
    if clients is not None:
        ways.append(clients)
    return sa.or_(*ways)


COLUMNS = (
    Payment.id, Payment.paid_on, Client.code, Client.name, Payment.method, Payment.reference, Payment.amount,
    Payment.remaining, Payment.voided_at, Payment.actor, Payment.note,
)  # fmt: skip


def everything(found: Rows) -> Iterator[Any]:
    """COLUMNS of all payments of a query, in the order of their numbers, a few thousand in memory at a time."""
    flat, last = found.with_only_columns(*COLUMNS, maintain_column_froms=True).order_by(Payment.id).limit(CHUNK), 0
    while rows := session().execute(flat.where(Payment.id > last)).all():
        last = rows[-1].id
        yield from rows


@dataclass(frozen=True)
class Found:
    """A client that may be the one who pays, in minor units what it owes."""

    client: Client
    standing: client_listing.Standing
    open: int
    overdue: int


def candidates(scope: Scope, text: str) -> list[Found]:
    """The first clients that ``text`` finds (name, code, address, phone, invoice number …), cancelled ones too."""
    if not text.strip():
        return []
    wanted = client_listing.query(scope, client_listing.Filters(text=text, state="all"))
    clients = session().scalars(wanted.order_by(Client.name_key, Client.id).limit(FOUND)).all()
    ids = [client.id for client in clients]
    table = invoices.debts(clock.now(), Client.id.in_(ids))
    debts = {row.client_id: row for row in session().execute(sa.select(table))}
    standings = client_listing.standings(clients)
    return [
        Found(client, standings[client.id], debts[client.id].open_debt, debts[client.id].overdue_debt)
        for client in clients
    ]


def open_invoices(client_id: int) -> list[Invoice]:
    """What asks for money, oldest due first."""
    query = sa.select(Invoice).where(Invoice.client_id == client_id, Invoice.state.in_(invoices.OPEN_STATES))
    return list(session().scalars(query.order_by(Invoice.due, Invoice.id)))
