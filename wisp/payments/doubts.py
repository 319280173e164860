"""What is asked before a payment is saved: a reference that another payment has, and an amount above the debt."""

from dataclasses import dataclass

import sqlalchemy as sa

from wisp.clients.models import Client
from wisp.core.db import session
from wisp.invoices import service as invoices
from wisp.invoices.models import Payment, reference_key


@dataclass(frozen=True)
class Doubts:
    """What there is to ask: ``twin``, the latest payment with the same reference; ``surplus`` (minor units, 0: none),
    what would stay as credit."""

    twin: Payment | None
    surplus: int

    @property
    def answer(self) -> str:
        """What the form sends back where a person says yes to just this; empty where nothing is asked."""
        return f"{self.twin.id if self.twin else ''}/{self.surplus}" if self.twin or self.surplus else ""


def of(client: Client, amount: int, *, method: str, reference: str, token: str | None) -> Doubts:
    """What to ask of a form. Nothing where its ``token`` has made a payment already: that one is only shown again."""
    if token and session().scalar(sa.select(Payment.id).where(Payment.token == token)) is not None:
        return Doubts(None, 0)
    surplus = max(0, amount - invoices.debt_of(client.id).open)
    return Doubts(same_reference(method, reference), surplus)


def same_reference(method: str, reference: str) -> Payment | None:
    """The latest payment, of whichever client, that is not void and has this reference, however it is written. Cash
    has none that means anything."""
    key = reference_key(reference)
    if method == "cash" or not key:
        return None
    query = sa.select(Payment).where(
        Payment.reference_key == key, sa.text("payment.reference_key <> ''"), Payment.voided_at.is_(None),
        Payment.method != "cash",
    )  # fmt: skip
    return session().scalars(query.order_by(Payment.id.desc()).limit(1)).one_or_none()
