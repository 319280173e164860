"""Payments: settling a client's account, giving the service back, taking a payment back."""

from collections.abc import Collection
from datetime import date
from typing import Any

import sqlalchemy as sa

from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import insert_into, session
from wisp.core.errors import Refused
from wisp.core.money import MAX_MINOR
from wisp.core.scope import EVERYTHING, Scope
from wisp.invoices import service as invoices
from wisp.invoices.models import Allocation, Invoice, Payment
from wisp.outbox import service as outbox
from wisp.payments import doubts
from wisp.settings import service as settings

METHODS = ("cash", "transfer", "card", "deposit", "other")
"""How a client can pay; ``credit`` besides is what no client paid (a balance brought along)."""
CHUNK = 5_000


def register(
    client: Client,
    amount: int,
    *,
    method: str,
    reference: str = "",
    paid_on: date | None = None,
    activate: bool = True,
    token: str | None = None,
    note: str = "",
    invoice_id: int | None = None,
    duplicate: bool = False,
) -> Payment:
    """Money (minor units) from a client, on ``paid_on`` (default: today). The same ``token`` gives the same payment.

    It settles the invoice ``invoice_id`` first where one is given, then the oldest due; what is left stays as credit.
    ``activate``: where the debt that is left allows it, suspension for debt and notice are lifted; else a suspended
    client stays so, which is remembered. A receipt goes to a client with an address.
    ``duplicate``: also where another payment has the same reference.
    Refused: payments.amount, .method, .future, .reference, .invoice, .token, .duplicate.
    """
    paid_on = paid_on or settings.today()
    _check(amount, method, reference, paid_on)
    invoices.lock_account(client.id)
    known = _by_token(client, amount, token)
    if known is not None:
        return known
    _check_invoice(client, invoice_id)
    twin = None if duplicate else doubts.same_reference(method, reference)
    if twin is not None:
        raise Refused("payments.duplicate", number=twin.id, client=session().get_one(Client, twin.client_id).code)
    payment = _insert(
        client, amount, method=method, reference=reference.strip(), paid_on=paid_on, activate=activate, token=token,
        note=note.strip(),
    )  # fmt: skip
    used = invoices.allocate(payment, first=invoice_id)
    if activate:
        payment.reactivated = reactivate([client.id], paid=True).suspended > 0
    else:
        access.keep_suspended([client.id])
        reactivate([client.id], suspended=False)
    session().flush()
    _audit(payment, client, used)
    _receipt(payment, client)
    return payment


def _check(amount: int, method: str, reference: str, paid_on: date) -> None:
    if not 0 < amount <= MAX_MINOR:
        raise Refused("payments.amount")
    if method not in METHODS:
        raise Refused("payments.method", method=method, known=", ".join(METHODS))
    if paid_on > settings.today():
        raise Refused("payments.future")
    if len(reference.strip()) > 120:
        raise Refused("payments.reference", limit=120)


def _by_token(client: Client, amount: int, token: str | None) -> Payment | None:
    if token is None:
        return None
    known = session().scalars(sa.select(Payment).where(Payment.token == token)).one_or_none()
    if known is not None and (known.client_id, known.amount) != (client.id, amount):
        raise Refused("payments.token", number=known.id)
    return known


def _check_invoice(client: Client, invoice_id: int | None) -> None:
    if invoice_id is None:
        return
    query = sa.select(Invoice.id).where(Invoice.id == invoice_id, Invoice.client_id == client.id)
    if session().scalar(query.where(Invoice.state.in_(invoices.OPEN_STATES))) is None:
        raise Refused("payments.invoice")


def _insert(client: Client, amount: int, **values: Any) -> Payment:
    """The row. Where another transaction has used the token for another client meanwhile, the database says so."""
    row = {"client_id": client.id, "amount": amount, "remaining": amount, **values}
    statement = (
        insert_into(Payment)
        .values(**row, actor=audit.actor().name, created_at=clock.now())
        .on_conflict_do_nothing(index_elements=["token"])
        .returning(Payment.id)
    )
    made = session().scalar(statement)
    if made is None:
        raise Refused("payments.token", number="")
    return session().get_one(Payment, made)


def _audit(payment: Payment, client: Client, used: int) -> None:
    after = {
        "client": client.code, "amount": payment.amount, "settled": used, "credit": payment.remaining,
        "method": payment.method, "reference": payment.reference, "paid_on": payment.paid_on.isoformat(),
        "activate": payment.activate, "reactivated": payment.reactivated,
    }  # fmt: skip
    audit.record("payment.register", f"payment:{payment.id}", None, after)


def _receipt(payment: Payment, client: Client) -> None:
    if not client.email:
        return
    debt = invoices.debt_of(client.id)
    data = {
        "name": client.name, "amount": payment.amount, "balance": debt.open - debt.credit,
        "currency": settings.company().currency, "paid_on": payment.paid_on.isoformat(), "method": payment.method,
        "reference": payment.reference, "number": payment.id,
    }  # fmt: skip
    outbox.queue_message(
        "receipt", client.email, language=client.language, data=data, payment_id=payment.id, client_id=client.id
    )
    outbox.request_delivery()


def void(payment: Payment, reason: str) -> None:
    """Take a payment back: what it settled is open again, then settled with what other credit there is.

    Nobody is cut by this: the next cut decides. Refused("payments.void"), Refused("payments.void_reason").
    """
    invoices.lock_account(payment.client_id)
    session().refresh(payment, with_for_update=True)
    if payment.voided_at is not None:
        raise Refused("payments.void", number=payment.id)
    reason = reason.strip()
    if not 0 < len(reason) <= 200:
        raise Refused("payments.void_reason")
    before = {"void": False, "credit": payment.remaining}
    taken = invoices.give_back(Allocation.payment_id == payment.id)
    payment.remaining, payment.voided_at, payment.void_reason = 0, clock.now(), reason
    session().flush()
    invoices.use_credit([payment.client_id])
    after = {"void": True, "credit": 0, "taken_back": taken, "reason": reason}
    audit.record("payment.void", f"payment:{payment.id}", before, after)


# Giving the service back --------------------------------------------------------------------------------


def reactivate(client_ids: Collection[int], *, suspended: bool = True, paid: bool = False) -> access.Lifted:
    """Lift what the debt of these clients no longer justifies, and order their routers to do so.

    A suspension for debt goes where the debt of its basis is within the tolerance; one that was to be kept
    ("solo registrar") and one taken over from another system only where they have just ``paid``. A notice goes where
    the open debt is below the notice minimum.
    """
    cut_ids, notice_ids = _settled(client_ids, paid)
    lifted = access.Lifted(
        access.lift(cut_ids, notice=False, reasons=access.FOR_DEBT).suspended if suspended else 0,
        access.lift(notice_ids, suspended=False).notice,
    )
    if lifted.suspended or lifted.notice:
        access.request_sync_of({*(cut_ids if suspended else ()), *notice_ids})
    return lifted


def _settled(client_ids: Collection[int], paid: bool) -> tuple[list[int], list[int]]:
    """Those suspended for debt, and those with a notice, whose debt no longer justifies it. What is settled of a
    suspension taken over is forgotten, where it would come back after a pause."""
    reasons = access.FOR_DEBT if paid else ("debt",)
    cuts: list[int] = []
    notices: list[int] = []
    ids = sorted(client_ids)
    for at in range(0, len(ids), CHUNK):
        debt = invoices.debts(clock.now(), Client.id.in_(ids[at : at + CHUNK]))
        owed = invoices.Owed(debt.c.open_debt, debt.c.overdue_debt)
        query = sa.select(Access.client_id).join(debt, debt.c.client_id == Access.client_id)
        cut = access.cut_settled(owed, reasons)
        resumes = sa.and_(sa.literal(paid), Access.resume == "imported", access.within_tolerance(owed))
        found = query.add_columns(Access.resume).where(sa.or_(cut if paid else sa.and_(cut, ~Access.keep), resumes))
        rows = session().execute(found).all()
        cuts += [client_id for client_id, resume in rows if not resume]
        if over := [client_id for client_id, resume in rows if resume]:
            access.forget_imported(over)
        notices += session().scalars(query.where(access.notice_settled(owed)))
    return cuts, notices


def account_changed(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: invoices of these clients were voided or credited."""
    reactivate(client_ids)


def reactivation(client_id: int, lifted: bool) -> str:
    """``no``: nothing was lifted, or the client is suspended again; ``yes``: lifted, and the router has confirmed it;
    ``waiting``: lifted, and the router has not answered yet."""
    if not lifted:
        return "no"
    query = sa.select(Access.suspended, Access.wanted_version == Access.applied_version)
    row = session().execute(query.where(Access.client_id == client_id)).one_or_none()
    if row is None or row[0]:
        return "no"
    return "yes" if row[1] else "waiting"


def outcome(payment: Payment) -> str:
    """What came of a payment for the service: ``yes`` and ``waiting`` as in ``reactivation``; else why a suspended
    client stays so: ``kept`` ("solo registrar"), ``debt``, ``suspended`` (not for debt); ``no`` where it is not."""
    state = reactivation(payment.client_id, payment.reactivated)
    if state != "no":
        return state
    standing = access.state_of(payment.client_id)
    if standing.kind != "suspended":
        return "no"
    if standing.reason not in access.FOR_DEBT:
        return "suspended"
    return "kept" if standing.keep else "debt"


# Queries ----------------------------------------------------------------------------------------------------


def find(number: int, scope: Scope = EVERYTHING) -> Payment:
    """The payment of that number inside ``scope``. Refused("payments.unknown")."""
    query = sa.select(Payment).where(Payment.id == number)
    if scope.zone_ids is not None:
        query = query.join(Client, Client.id == Payment.client_id).where(Client.zone_id.in_(scope.zone_ids))
    found = session().scalars(query).one_or_none()
    if found is None:
        raise Refused("payments.unknown", number=number)
    return found


def settled_by(payment: Payment) -> list[tuple[Invoice, int]]:
    """The invoices that a payment settles, with the amount of each, oldest first."""
    query = (
        sa.select(Invoice, Allocation.amount)
        .join(Allocation, Allocation.invoice_id == Invoice.id)
        .where(Allocation.payment_id == payment.id)
        .order_by(Invoice.due, Invoice.id)
    )
    return [(invoice, amount) for invoice, amount in session().execute(query)]
