"""Races on a client's account: the same form sent fifty times, two cashiers, an invoice issued meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_invoice
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.invoices import service as invoices
from wisp.invoices.models import Allocation, Invoice, Payment
from wisp.outbox.models import Message
from wisp.payments import service


@pytest.fixture
def client_id(app: Flask) -> int:
    with app.app_context():
        client = make_client(email="ana@example.com")
        for _ in range(4):
            make_invoice(client)
        return client.id


def at_once(app: Flask, count: int, work):
    """Call ``work(n)`` in so many threads, each in a context of its own, all starting together; the results."""
    gate = threading.Barrier(count)

    def one(n):
        with app.app_context():
            gate.wait(timeout=30)
            return work(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def register(client_id, amount=35_000, **values):
    with transaction():
        client = session().get_one(Client, client_id)
        return service.register(client, amount, method="cash", **values).id


def test_fifty_times_the_same_form_is_one_payment(app, client_id):
    ids = at_once(app, 50, lambda _n: register(client_id, token="form"))
    assert len(set(ids)) == 1
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 1
        assert session().scalar(sa.select(sa.func.count()).select_from(Message)) == 1
        assert invoices.debt_of(client_id) == (3 * 35_000, 3 * 35_000, 0)


def test_one_form_for_two_clients_at_once_is_registered_for_one_of_them(app, client_id):
    with app.app_context():
        other_id = make_client().id

    def send(n):
        try:
            return register((client_id, other_id)[n], token="form")
        except Refused as refused:
            return refused.code

    answers = at_once(app, 2, send)
    assert sorted(map(str, answers), key=len)[-1] == "payments.token"
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 1


def test_payments_of_many_cashiers_settle_each_invoice_once(app, client_id):
    at_once(app, 12, lambda n: register(client_id, 10_000 + n))
    paid = sum(10_000 + n for n in range(12))
    with app.app_context():
        assert invoices.debt_of(client_id) == (4 * 35_000 - paid, 4 * 35_000 - paid, 0)
        settled = dict(session().execute(sa.select(Invoice.id, Invoice.paid)).all())
        allocated = dict(
            session()
            .execute(sa.select(Allocation.invoice_id, sa.func.sum(Allocation.amount)).group_by("invoice_id"))
            .all()
        )
        assert {i: paid for i, paid in settled.items() if paid} == {i: int(a) for i, a in allocated.items()}


def test_a_payment_taken_back_twice_at_once_is_taken_back_once(app, client_id):
    with app.app_context():
        number = register(client_id, 50_000)

    def void(_n):
        try:
            with transaction():
                service.void(session().get_one(Payment, number), "bounced")
        except Refused as refused:
            return refused.code
        return "done"

    assert sorted(at_once(app, 4, void)) == ["done"] + ["payments.void"] * 3
    with app.app_context():
        assert invoices.debt_of(client_id).open == 4 * 35_000


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # on SQLite one transaction waits for the other
def test_an_invoice_that_two_people_void_at_once_is_voided_once(app, client_id):
    with app.app_context():
        invoice_id = session().scalars(sa.select(Invoice.id).order_by(Invoice.id)).first()
    both_have_seen_it = threading.Barrier(2)

    def void(_n):
        try:
            with transaction():
                invoice = session().get_one(Invoice, invoice_id)
                both_have_seen_it.wait(30)
                invoices.void(invoice, "mistake", False)
        except Refused as refused:
            return refused.code
        return "done"

    assert sorted(at_once(app, 2, void)) == ["done", "invoices.already_void"]


def test_a_payment_waits_for_the_invoice_that_is_being_issued(app, client_id):
    """Without the lock on the account the payment would not see it, and the credit would lie beside an open invoice."""
    inserted, registered = threading.Event(), threading.Event()

    def issue():
        with app.app_context(), transaction():
            make_invoice(session().get_one(Client, client_id))
            inserted.set()
            registered.wait(0.4)  # a payment that does not wait is through by then

    def pay():
        with app.app_context():
            assert inserted.wait(10)
            register(client_id, 5 * 35_000)
            registered.set()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(issue), pool.submit(pay)]:
            done.result(30)
    with app.app_context():
        assert invoices.debt_of(client_id) == (0, 0, 0)
