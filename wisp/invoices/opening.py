"""Balances brought along from another system: what is owed becomes an invoice, what is ahead a credit."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import BigInteger, Date, Integer, column, insert, literal, select, values

from wisp.core import audit, clock, i18n
from wisp.core.db import session
from wisp.invoices import domain, issuing
from wisp.invoices.models import Invoice, Payment
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
    company = settings.company()
    terms = issuing.Terms(
        "opening",
        today,
        domain.due_date(today, today, company.min_days_to_pay),
        clock.now(),
        company.currency,
        tax_bp=0,
    )
    owed = values(column("client_id", Integer), column("amount", BigInteger), name="owed")
    given = owed.data([(client_id, amounts[client_id]) for client_id in client_ids]).cte("given", nesting=True).c
    eligible = select(
        given.client_id, given.amount.label("net"), literal(0).label("tax"), given.amount,
        literal(None, Date).label("period_from"),
    ).subquery("eligible")  # fmt: skip
    line = issuing.Line(literal(""), _brought_forward, Invoice.net, Invoice.tax, Invoice.total)
    issuing.issue(terms, eligible, [line])


def _brought_forward(language: str, _start: date | None) -> str:
    return i18n.translate(language, "Balance brought forward")


def _credit(client_ids: list[int], amounts: Mapping[int, int], today: date) -> None:
    common = {"method": "credit", "paid_on": today, "actor": audit.actor().name, "created_at": clock.now()}
    rows = [
        {**common, "client_id": client_id, "amount": -amounts[client_id], "remaining": -amounts[client_id]}
        for client_id in client_ids
    ]
    session().execute(insert(Payment), rows)
