"""Lists of payments, and the clients among whom a cashier looks for the one that pays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from wisp.clients import listing as client_listing
from wisp.clients import search
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import Rows, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice, Payment

STATES = ("valid", "credit", "void")
_STATES: dict[str, Any] = {  # spelled out: with bound values SQLite could not use the indexes of the last two
    "valid": sa.text("payment.voided_at IS NULL"),
    "credit": sa.text("payment.remaining > 0 AND payment.voided_at IS NULL"),
    "void": sa.text("payment.voided_at IS NOT NULL"),
}
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
    """Ids of the payments inside ``scope`` that ``only`` leaves, unordered; ``rows`` reads those of a page."""
    found: Rows = sa.select(Payment.id)
    joined = scope.zone_ids is not None
    if scope.zone_ids is not None:
        found = found.join(Client, Client.id == Payment.client_id).where(Client.zone_id.in_(scope.zone_ids))
    if only.client_id is not None:
        found = found.where(Payment.client_id == only.client_id)
    if only.state:
        found = found.where(_STATES[only.state])
    if only.method:
        found = found.where(Payment.method == only.method)
    if only.since is not None:
        found = found.where(Payment.paid_on >= only.since)
    if only.until is not None:
        found = found.where(Payment.paid_on <= only.until)
    return _matching(found, only.text.strip(), joined) if only.text.strip() else found


def _matching(found: Rows, text: str, joined: bool) -> Rows:
    """Where ``text`` is the number or the reference of payments, these; else the payments of the clients found."""
    named = sa.select(Payment.id).where(Payment.reference == text, sa.text("payment.reference <> ''")).limit(CHUNK)
    ids = list(session().scalars(named))
    if text.isascii() and text.isdigit() and len(text) <= 9:
        ids += session().scalars(sa.select(Payment.id).where(Payment.id == int(text)))
    if ids:
        return found.where(Payment.id.in_(ids))
    clients = search.matching(text, by_invoice=False)
    if clients is None:
        return found
    return (found if joined else found.join(Client, Client.id == Payment.client_id)).where(clients)


def rows(payment_ids: Sequence[int]) -> list[tuple[Payment, Client]]:
    """Payments with their client, in the order given."""
    query = sa.select(Payment, Client).join(Client, Client.id == Payment.client_id).where(Payment.id.in_(payment_ids))
    found = {payment.id: (payment, client) for payment, client in session().execute(query)}
    return [found[payment_id] for payment_id in payment_ids if payment_id in found]


COLUMNS = (
    Payment.id, Payment.paid_on, Client.code, Client.name, Payment.method, Payment.reference, Payment.amount,
    Payment.remaining, Payment.voided_at, Payment.actor, Payment.note,
)  # fmt: skip


def everything(found: Rows) -> Iterator[Any]:
    """COLUMNS of all payments of a query, in the order of their numbers, a few thousand in memory at a time."""
    columns = sa.select(*COLUMNS).join(Client, Client.id == Payment.client_id).order_by(Payment.id)
    some, last = found.order_by(Payment.id).limit(CHUNK), 0
    while ids := session().scalars(some.where(Payment.id > last)).all():
        last = ids[-1]
        yield from session().execute(columns.where(Payment.id.in_(ids)))


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
    first = wanted.order_by(Client.name_key, Client.id).limit(FOUND).options(selectinload(Client.zone))
    clients = session().scalars(first).all()
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
