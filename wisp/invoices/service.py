"""The account of clients: what they owe, issuing a recurring cycle, settling with payments.

One rule for debt, used by everything that asks: what is open of the invoices that are neither paid nor void. Overdue
debt is the part whose due date lies before the local date of the client's schedule; the due day itself is in time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import ColumnElement, ScalarSelect, Subquery, case, func, literal, or_, select, update
from sqlalchemy.orm.util import identity_key

from wisp.clients.models import Client
from wisp.core import audit, clock, events
from wisp.core.db import Base, Rows, insert_into, session, update_each
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.core.sql import COLUMNS
from wisp.invoices import domain
from wisp.invoices.models import Allocation, Invoice, InvoiceSeries, Payment, Promise
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings

OPEN_STATES: tuple[ColumnElement[str], ...] = (sa.literal_column("'pending'"), sa.literal_column("'partial'"))
"""States of an invoice that still asks for money, spelled out in the SQL: with bound values SQLite could not use the
index of open invoices."""


def balance_of(client_id: Any, due_before: ColumnElement[date] | date | None = None) -> ScalarSelect[int]:
    """What ``client_id`` owes, in minor units, 0 where nothing: of all open invoices or of those due before a date."""
    owed = sa.cast(func.coalesce(func.sum(Invoice.total - Invoice.paid), 0), sa.BigInteger)  # a sum is a Decimal else
    query = select(owed).where(Invoice.client_id == client_id, Invoice.state.in_(OPEN_STATES))
    if due_before is not None:
        query = query.where(domain.is_overdue(Invoice.due, due_before))
    return query.scalar_subquery()


class Owed(NamedTuple):
    """What a client of a query owes, in minor units: all that is open, and what is due of it."""

    open_debt: ColumnElement[int]
    overdue_debt: ColumnElement[int]


def owed(client_id: Any, today: ColumnElement[date] | date) -> Owed:
    """The look-ups of what ``client_id`` owes on ``today``: each is done only where it is asked for."""
    return Owed(balance_of(client_id), balance_of(client_id, today))


def local_today(now: datetime) -> ColumnElement[date]:
    """The local date at ``now`` in the time zone of the joined BillingSchedule row."""
    names = session().scalars(select(BillingSchedule.timezone).distinct()).all()
    default = now.astimezone(settings.timezone()).date()
    days = {name: now.astimezone(schedules.stored_zone(name)).date() for name in names if name}
    other = {name: day for name, day in days.items() if day != default}
    if not other:
        return literal(default)
    return case(
        *[(BillingSchedule.timezone == name, literal(day)) for name, day in other.items()], else_=literal(default)
    )


def schedule_of_client() -> ColumnElement[bool]:
    """The join condition that gives a client (joined with its zone) the schedule it is billed by."""
    return BillingSchedule.id == case((Client.own_billing, Client.schedule_id), else_=Zone.schedule_id)


def debts(now: datetime, *where: ColumnElement[bool]) -> Subquery:
    """client_id, open_debt, overdue_debt (minor units) of the clients that ``where`` (over Client) selects."""
    return (
        select(
            Client.id.label("client_id"),
            *[debt.label(name) for name, debt in owed(Client.id, local_today(now))._asdict().items()],
        )
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, schedule_of_client())
        .where(*where)
        .subquery()
    )


class Debt(NamedTuple):
    """What one client owes, in minor units, and the credit on its account."""

    open: int
    overdue: int
    credit: int


def debts_of(client_ids: Collection[int]) -> dict[int, Debt]:
    """The debts of these clients now, by id: two statements for up to a few thousand of them."""
    ids = list(client_ids)
    table = debts(clock.now(), Client.id.in_(ids))
    owed_by = {row.client_id: row for row in session().execute(select(table))}
    credit = dict(
        session()
        .execute(
            select(Payment.client_id, func.sum(Payment.remaining))
            .where(Payment.client_id.in_(ids), Payment.remaining > 0, Payment.voided_at.is_(None))
            .group_by(Payment.client_id)
        )
        .all()
    )
    return {
        client_id: Debt(row.open_debt, row.overdue_debt, int(credit.get(client_id) or 0))
        for client_id, row in owed_by.items()
    }


def owing(overdue: bool = False) -> ColumnElement[bool]:
    """Over Client: something is open, or only what is overdue by the local date of its schedule."""
    found = select(literal(1)).where(Invoice.client_id == Client.id, Invoice.state.in_(OPEN_STATES))
    if overdue:
        today = local_today(clock.now())
        if not isinstance(today, sa.BindParameter):  # schedules in several time zones: each has its own date
            today = (
                select(today)
                .select_from(BillingSchedule)
                .join(Zone, Zone.id == Client.zone_id)
                .where(schedule_of_client())
                .correlate(Client)
                .scalar_subquery()
            )
        found = found.where(Invoice.due < today)
    return found.correlate(Client).exists()


def debt_of(client_id: int) -> Debt:
    """The debt of one client now."""
    table = debts(clock.now(), Client.id == client_id)
    row = session().execute(select(table.c.open_debt, table.c.overdue_debt)).one_or_none()
    credit = session().scalar(
        select(func.coalesce(func.sum(Payment.remaining), 0)).where(
            Payment.client_id == client_id, Payment.voided_at.is_(None)
        )
    )
    return Debt(row[0] if row else 0, row[1] if row else 0, int(credit or 0))


def promised(client_id: Any, today: ColumnElement[date] | date) -> ColumnElement[bool]:
    """True where ``client_id`` has a payment promise that is alive on ``today``."""
    return (
        select(Promise.id)
        .where(Promise.client_id == client_id, Promise.ended_at.is_(None), Promise.until >= today)
        .exists()
    )


def note_spared(client_ids: Iterable[int] | sa.Select[Any]) -> None:
    """The promises of these clients that are alive have kept a cut away, which follows should they be broken."""
    alive = update(Promise).where(Promise.client_id.in_(client_ids), Promise.ended_at.is_(None))
    session().execute(alive.values(spared=True).execution_options(synchronize_session=False))


def forgive_promises(client_ids: Iterable[int]) -> None:
    """No cut follows any more on what these clients have promised so far."""
    mine = update(Promise).where(Promise.client_id.in_(client_ids))
    spared = or_(Promise.spared, Promise.follow_on.is_not(None))
    none = {"spared": False, "follow_on": None}
    session().execute(mine.where(spared).values(none).execution_options(synchronize_session=False))


def lock_account(client_id: int) -> None:
    """Settle one client's account alone until the end of the transaction; to be taken before anything is read.

    The client's own row is the lock: an invoice that is being issued holds it too (by its foreign key), so that
    neither the payment misses the invoice nor the invoice the credit.
    """
    session().execute(select(Client.id).where(Client.id == client_id).with_for_update())


def use_credit(client_ids: "Sequence[int] | Rows") -> list[int]:
    """Settle open invoices, oldest first, with what payments of these clients have left; the clients changed.

    A constant number of statements; one where nothing is left. The accounts must be held: by ``lock_account``, or by an
    invoice that this transaction has issued to each of them.
    """
    left = (Payment.remaining > 0, Payment.voided_at.is_(None), Payment.client_id.in_(client_ids))
    payments = session().execute(
        select(Payment.client_id, Payment.id, Payment.remaining)
        .where(*left)
        .order_by(Payment.client_id, Payment.paid_on, Payment.id)
    )
    credits = _by_client(payments)
    if not credits:
        return []
    still = session().execute(
        select(Invoice.client_id, Invoice.id, Invoice.total, Invoice.paid)
        .where(Invoice.client_id.in_(select(Payment.client_id).where(*left)), Invoice.state.in_(OPEN_STATES))
        .order_by(Invoice.client_id, Invoice.due, Invoice.id)
    )
    owing = _by_client(still)
    parts = [
        part
        for client_id, rows in owing.items()
        for part in domain.settle(credits[client_id], [(id_, total - paid) for id_, total, paid in rows])
    ]
    _write_parts(
        parts,
        {id_: left for rows in credits.values() for id_, left in rows},
        {id_: (total, paid) for rows in owing.values() for id_, total, paid in rows},
    )
    return list(owing)


def _by_client(rows: Iterable[Any]) -> dict[int, list[Any]]:
    """Rows that begin with the client's id, without it."""
    found: dict[int, list[Any]] = {}
    for client_id, *row in rows:
        found.setdefault(client_id, []).append(row)
    return found


def _write_parts(
    parts: Sequence[tuple[int, int, int]], left: Mapping[int, int], owing: Mapping[int, tuple[int, int]]
) -> None:
    """Write what payments settle. ``left``: what each had; ``owing``: total and paid of each invoice before."""
    used: Counter[int] = Counter()
    settled: Counter[int] = Counter()
    for payment_id, invoice_id, amount in parts:
        used[payment_id] += amount
        settled[invoice_id] += amount
    if not parts:
        return
    given = [{"payment_id": p, "invoice_id": i, "amount": amount} for p, i, amount in parts]
    allocate_more = insert_into(Allocation)
    more = {"amount": Allocation.amount + allocate_more.excluded.amount}
    session().execute(
        allocate_more.on_conflict_do_update(index_elements=["payment_id", "invoice_id"], set_=more), given
    )
    update_each(Payment, [{"id": p, "remaining": left[p] - amount} for p, amount in used.items()], by=["id"])
    invoices = []
    for invoice_id, amount in settled.items():
        total, paid = owing[invoice_id]
        state = domain.state_of(total, paid + amount, False)
        invoices.append({"id": invoice_id, "paid": paid + amount, "state": state})
    update_each(Invoice, invoices, by=["id"])
    _forget(Payment, used)
    _forget(Invoice, settled)


def _forget(model: type[Base], ids: Iterable[int]) -> None:
    """What the session holds of these rows is read again."""
    held = session().identity_map
    for id_ in ids:
        found = held.get(identity_key(model, id_))
        if found is not None:
            session().expire(found)


def allocate(payment: Payment, first: int | None = None) -> int:
    """Spread what ``payment`` has left over the client's open invoices (``first``, then oldest due); the sum used."""
    rows = (
        session()
        .execute(
            select(Invoice.id, Invoice.total - Invoice.paid)
            .where(Invoice.client_id == payment.client_id, Invoice.state.in_(OPEN_STATES))
            .order_by(case((Invoice.id == first, 0), else_=1), Invoice.due, Invoice.id)
            .with_for_update(of=Invoice)
        )
        .all()
    )
    parts, rest = domain.allocate(payment.remaining, rows)
    for invoice_id, amount in parts:
        session().execute(
            insert_into(Allocation)
            .values(payment_id=payment.id, invoice_id=invoice_id, amount=amount)
            .on_conflict_do_update(
                index_elements=["payment_id", "invoice_id"], set_={"amount": Allocation.amount + amount}
            )
        )
        _settle(invoice_id, amount)
    used = payment.remaining - rest
    payment.remaining = rest
    session().flush()
    return used


def _settle(invoice_id: int, amount: int) -> None:
    """Add ``amount`` (negative: take back) to what is paid of an invoice and set its state."""
    paid = Invoice.paid + amount
    state = domain.state_of(Invoice.total, paid, Invoice.state == "void", COLUMNS)
    session().execute(
        update(Invoice)
        .where(Invoice.id == invoice_id)
        .values(paid=paid, state=state)
        .execution_options(synchronize_session="fetch")
    )


def give_back(*where: ColumnElement[bool]) -> int:
    """Take back the allocations that ``where`` selects: the invoices are open again, the payments have it left."""
    taken = session().scalars(select(Allocation).where(*where).order_by(Allocation.invoice_id)).all()
    for allocation in taken:
        payment = session().get_one(Payment, allocation.payment_id)
        payment.remaining += allocation.amount
        _settle(allocation.invoice_id, -allocation.amount)
    session().execute(sa.delete(Allocation).where(*where).execution_options(synchronize_session="fetch"))
    session().flush()
    return sum(allocation.amount for allocation in taken)


def void(invoice: Invoice, reason: str, again: bool) -> None:
    """Void an invoice: it keeps its number, what was paid on it goes back to the account and settles what else is open.

    ``again``: the client may be invoiced for that month once more; otherwise it is exempt that month. Emits
    account_changed. Refused("invoices.already_void"), Refused("invoices.void_reason") without a reason.
    """
    lock_account(invoice.client_id)
    session().refresh(invoice, with_for_update=True)
    if invoice.state == "void":
        raise Refused("invoices.already_void", number=invoice.label)
    reason = reason.strip()
    if not 0 < len(reason) <= 200:
        raise Refused("invoices.void_reason")
    before = {"state": invoice.state, "paid": invoice.paid}
    invoice.state, invoice.voided_at, invoice.void_reason = "void", clock.now(), reason
    invoice.invoice_again = again
    session().flush()
    give_back(Allocation.invoice_id == invoice.id)
    use_credit([invoice.client_id])
    after = {"state": "void", "paid": 0, "reason": reason, "again": again}
    audit.record("invoice.void", f"invoice:{invoice.label}", before, after)
    events.account_changed.emit(client_ids=[invoice.client_id])


def find(number: str, scope: Scope = EVERYTHING) -> Invoice:
    """The invoice with that number, as printed or its digits alone. Refused("invoices.unknown").

    Refused("invoices.ambiguous") where digits alone fit invoices of several series.
    """
    found = by_number(number, scope)
    if len(found) > 1:
        raise Refused("invoices.ambiguous", number=number)
    if not found:
        raise Refused("invoices.unknown", number=number)
    return found[0]


def by_number(number: str, scope: Scope = EVERYTHING) -> Sequence[Invoice]:
    """The invoices that ``number`` may mean: at most one in each series."""
    named = [
        (Invoice.series_id == series.id) & (Invoice.number == int(digits))
        for series in session().scalars(select(InvoiceSeries).order_by(InvoiceSeries.id))
        if (digits := domain.digits_of(number, series.prefix))
    ]
    if not named:
        return []
    query = select(Invoice).where(or_(*named)).order_by(Invoice.id)
    if scope.zone_ids is not None:
        query = query.join(Client, Client.id == Invoice.client_id).where(Client.zone_id.in_(scope.zone_ids))
    return session().scalars(query).all()
