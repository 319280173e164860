"""What clients have paid ahead settles what is invoiced: as one payment after the other would, for many at once."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_clients, make_company, make_invoice, make_plan, make_zone, moment
from tests.support.billing import by_hand
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import db, session, transaction
from wisp.invoices import service
from wisp.invoices.models import Allocation, Invoice, Payment
from wisp.routers.models import Zone

pytestmark = pytest.mark.usefixtures("ctx")
START = date(2026, 1, 1)


def make_credit(client_id: int, amount: int, paid_on: date, remaining: int | None = None, **values: Any) -> int:
    """A payment with something left; its id."""
    with transaction() as s:
        payment = Payment(
            client_id=client_id, amount=amount, remaining=amount if remaining is None else remaining, method="cash",
            paid_on=paid_on, actor="x", created_at=moment("2026-11-01 10:00"), **values,
        )  # fmt: skip
        s.add(payment)
        s.flush()
        return payment.id


def model(payments: list[dict[str, Any]], invoices: list[dict[str, Any]]) -> dict[tuple[int, int], int]:
    """Cent by cent: the oldest payment that has one left pays one of the oldest invoice that asks for it."""
    given: dict[tuple[int, int], int] = {}
    for payment in sorted(payments, key=lambda p: (p["paid_on"], p["id"])):
        for _ in range(payment["left"]):
            asking = [i for i in invoices if i["client"] == payment["client"] and i["open"] > 0]
            if asking:
                invoice = min(asking, key=lambda i: (i["due"], i["id"]))
                invoice["open"] -= 1
                payment["left"] -= 1
                given[payment["id"], invoice["id"]] = given.get((payment["id"], invoice["id"]), 0) + 1
    return given


@pytest.mark.parametrize("seed", range(3))
def test_many_accounts_at_once_are_settled_as_cent_by_cent(seed: int):
    chance = random.Random(seed)
    zone, plan = make_zone(), make_plan()
    ids = [make_client(zone, plan).id for _ in range(12)]
    payments, invoices = [], []
    for client_id in ids:
        for n in range(chance.randrange(4)):
            total, paid = chance.randrange(1, 9), 0
            if total > 1 and chance.random() < 0.4:
                paid = chance.randrange(1, total)
            due = START + timedelta(days=chance.randrange(4))
            void = chance.random() < 0.2
            state = "void" if void else "partial" if paid else "pending"
            made = make_invoice(
                session().get_one(Client, client_id), total, month=date(2026, 1 + n, 1), due=due, paid=paid, state=state
            )
            if not void:
                invoices.append({"id": made.id, "client": client_id, "due": due, "open": total - paid})
        for _ in range(chance.randrange(4)):
            left, paid_on = chance.randrange(8), START + timedelta(days=chance.randrange(3))
            void = {"voided_at": moment("2026-11-02 10:00")} if chance.random() < 0.2 else {}
            made_id = make_credit(client_id, left + 5, paid_on, remaining=left, **void)
            payments.append({"id": made_id, "client": client_id, "paid_on": paid_on, "left": 0 if void else left})
    others = set(chance.sample(ids, 2))  # nobody asked about these
    asked = [client_id for client_id in ids if client_id not in others]
    expected = model([p for p in payments if p["client"] in asked], invoices)
    with transaction():
        changed = service.use_credit(asked)
    clients = {payment["id"]: payment["client"] for payment in payments}
    assert set(changed) == {clients[payment_id] for payment_id, _ in expected}
    rows = session().execute(sa.select(Allocation.payment_id, Allocation.invoice_id, Allocation.amount))
    assert {(p, i): amount for p, i, amount in rows} == expected
    for invoice in invoices:
        found = session().get_one(Invoice, invoice["id"])
        assert found.total - found.paid == invoice["open"]
        assert found.state == ("paid" if not invoice["open"] else "partial" if found.paid else "pending")
    for payment in payments:
        row = session().get_one(Payment, payment["id"])
        if row.voided_at is None:
            assert row.remaining == payment["left"]


def test_what_a_payment_gives_an_invoice_again_is_added():
    client = make_client()
    invoice = make_invoice(client, total=100, month=START, paid=30, state="partial")
    payment = make_credit(client.id, 90, START, remaining=60)
    with transaction() as s:
        s.execute(sa.insert(Allocation).values(payment_id=payment, invoice_id=invoice.id, amount=30))
        held = s.get_one(Payment, payment)
        assert service.use_credit([client.id]) == [client.id]
        assert held.remaining == 0
    assert session().scalars(sa.select(Allocation.amount)).one() == 90
    assert (session().get_one(Invoice, invoice.id).paid, session().get_one(Invoice, invoice.id).state) == (
        90,
        "partial",
    )


def test_a_run_settles_any_number_of_clients_who_paid_ahead_with_the_same_few_statements():
    counts = []
    with clock.frozen(moment("2026-11-10 10:00")):
        make_company(tax_bp=1600)
        for clients in (3, 30):
            zone = make_zone()
            for n, client_id in enumerate(make_clients(clients, zone, make_plan(price=35_000))):
                make_credit(client_id, (35_000, 50_000, 10_000)[n % 3], START)
            zone_id = zone.id
            session().expunge_all()  # what is remembered of the making would save statements
            zone = session().get_one(Zone, zone_id)
            with counting() as seen:
                run = by_hand(zone)
            counts.append(len(seen))
            assert (run.state, run.invoiced) == ("success", clients)
            states = sa.select(Invoice.state, sa.func.count()).where(Invoice.run_id == run.id).group_by(Invoice.state)
            assert dict(session().execute(states).all()) == {"paid": clients // 3 * 2, "partial": clients // 3}
            left = sa.select(sa.func.sum(Payment.remaining)).where(Payment.client_id.in_(run_clients(run.id)))
            assert session().scalar(left) == clients // 3 * 15_000
    assert counts[1] <= counts[0]


@contextmanager
def counting() -> Iterator[list[str]]:
    """The statements of the block; one for many rows counts once."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def run_clients(run_id: int) -> Any:
    return sa.select(Invoice.client_id).where(Invoice.run_id == run_id)
