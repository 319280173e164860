"""Balances brought along from another system: what is owed becomes an invoice, what is ahead a credit."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update

from wisp.clients.models import Client
from wisp.core import audit, clock, i18n
from wisp.core.db import session
from wisp.invoices import domain
from wisp.invoices.models import Invoice, InvoiceLine, InvoiceSeries, Payment
from wisp.invoices.service import lock_series
from wisp.settings import service as settings

CHUNK = 5_000


def issue(amounts: Mapping[int, int], today: date) -> None:
    """One opening invoice for each client that owes, one credit for each that is ahead, in the present transaction.

    ``amounts``: client id to minor units, negative = credit. Dated ``today``, due after the minimum days; no e-mail.
    """
    owing = sorted(client_id for client_id, amount in amounts.items() if amount > 0)
    ahead = sorted(client_id for client_id, amount in amounts.items() if amount < 0)
    for first in range(0, len(owing), CHUNK):
        _invoice(owing[first : first + CHUNK], amounts, today)
    for first in range(0, len(ahead), CHUNK):
        _credit(ahead[first : first + CHUNK], amounts, today)
    if owing or ahead:
        counts = {"invoices": len(owing), "credits": len(ahead), "total": sum(amounts.values())}
        audit.record("account.open", "clients", None, counts)


def _invoice(client_ids: list[int], amounts: Mapping[int, int], today: date) -> None:
    company, now, series = settings.company(), clock.now(), lock_series()
    columns = (Client.id, Client.name, Client.legal_name, Client.tax_id, Client.language)
    clients = session().execute(select(*columns).where(Client.id.in_(client_ids)).order_by(Client.id)).all()
    first = series.next_number
    common: dict[str, Any] = {
        "series_id": series.id, "kind": "opening", "issued": today, "currency": company.currency, "tax_bp": 0, "tax": 0,
        "due": domain.due_date(today, today, company.min_days_to_pay), "created_at": now,
    }  # fmt: skip
    rows = [
        {
            **common,
            "number": number,
            "label": domain.format_number(series.prefix, number),
            "client_id": client.id,
            "customer": client.legal_name or client.name,
            "customer_tax_id": client.tax_id,
            "net": amounts[client.id],
            "total": amounts[client.id],
        }
        for number, client in enumerate(clients, first)
    ]
    session().execute(insert(Invoice), rows)
    update_series = update(InvoiceSeries).where(InvoiceSeries.id == series.id)
    session().execute(update_series.values(next_number=first + len(rows)))
    session().expire(series)
    _lines({client.id: client.language for client in clients}, series.id, first, len(rows))


def _lines(languages: Mapping[int, str], series_id: int, first: int, count: int) -> None:
    made = select(Invoice.id, Invoice.client_id, Invoice.total).where(
        Invoice.series_id == series_id, Invoice.number >= first, Invoice.number < first + count
    )
    lines = [
        {
            "invoice_id": invoice_id,
            "position": 1,
            "description": i18n.translate(languages[client_id], "Balance brought forward"),
            "net": total,
            "tax": 0,
            "total": total,
        }
        for invoice_id, client_id, total in session().execute(made)
    ]
    session().execute(insert(InvoiceLine), lines)


def _credit(client_ids: list[int], amounts: Mapping[int, int], today: date) -> None:
    common = {"method": "credit", "paid_on": today, "actor": audit.actor().name, "created_at": clock.now()}
    rows = [
        {**common, "client_id": client_id, "amount": -amounts[client_id], "remaining": -amounts[client_id]}
        for client_id in client_ids
    ]
    session().execute(insert(Payment), rows)
