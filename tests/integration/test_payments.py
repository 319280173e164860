"""Payments: what they settle, what they give back, what is refused."""

from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_company, make_invoice, make_zone, moment
from wisp.access import service as access
from wisp.access.models import Access, RouterSync
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.invoices import service as invoices
from wisp.invoices.models import Allocation, Invoice, Payment, Promise
from wisp.outbox.models import Message
from wisp.payments import promises, service

pytestmark = pytest.mark.usefixtures("ctx")
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


@pytest.fixture(autouse=True)
def _the_25th_of_november():
    with clock.frozen(moment("2026-11-25 10:00")):
        yield


def pay(client, amount, **options):
    with transaction():
        payment = service.register(client, amount, **{"method": "cash", **options})
    session().expire_all()
    return session().get_one(Payment, payment.id)


def states(client):
    """(state, paid) of the client's invoices, oldest due first."""
    query = sa.select(Invoice.state, Invoice.paid).where(Invoice.client_id == client.id).order_by(Invoice.due)
    return [tuple(row) for row in session().execute(query)]


def access_of(client):
    session().expire_all()
    return session().get_one(Access, client.id)


def cut(client, **options):
    """Suspend, and have the router confirm it."""
    with transaction():
        access.want_suspended([client.id], **options)
        confirm(client)


def confirm(client):
    row = session().get_one(Access, client.id, populate_existing=True)
    row.applied_version, row.applied_suspended, row.applied_notice = row.wanted_version, row.suspended, row.notice


def owing(*, overdue=True, count=2, **values):
    """A client with ``count`` open invoices of 350.00, the oldest made last."""
    client = make_client(**values)
    dues = [date(2026, 10, 20), date(2026, 11, 20)] if overdue else [date(2026, 11, 25), date(2026, 12, 20)]
    for due in reversed(dues[:count]):
        make_invoice(client, due=due)
    return client


def test_a_partial_payment_settles_the_oldest_invoice_first():
    client = owing()
    payment = pay(client, 20_000)
    assert states(client) == [("partial", 20_000), ("pending", 0)]
    assert payment.remaining == 0
    pay(client, 20_000)
    assert states(client) == [("paid", 35_000), ("partial", 5_000)]
    assert invoices.debt_of(client.id) == (30_000, 30_000, 0)


def test_what_is_too_much_stays_as_credit():
    client = owing()
    payment = pay(client, 80_000)
    assert states(client) == [("paid", 35_000), ("paid", 35_000)]
    assert (payment.amount, payment.remaining) == (80_000, 10_000)
    assert invoices.debt_of(client.id) == (0, 0, 10_000)
    assert [amount for _invoice, amount in service.settled_by(payment)] == [35_000, 35_000]


def test_the_invoice_that_was_meant_is_settled_first_and_then_the_oldest():
    client = owing()
    newest = session().scalars(sa.select(Invoice).order_by(Invoice.due.desc()).limit(1)).one()
    pay(client, 40_000, invoice_id=newest.id)
    assert states(client) == [("partial", 5_000), ("paid", 35_000)]


def test_an_invoice_of_somebody_else_or_without_a_balance_is_refused():
    client, other = owing(count=1), owing(count=1)
    foreign = session().scalars(sa.select(Invoice.id).where(Invoice.client_id == other.id)).one()
    with pytest.raises(Refused) as refused:
        pay(client, 100, invoice_id=foreign)
    assert refused.value.code == "payments.invoice"
    pay(other, 35_000)
    with pytest.raises(Refused) as refused:
        pay(other, 100, invoice_id=foreign)
    assert refused.value.code == "payments.invoice"
    assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 1


@pytest.mark.parametrize(
    ("amount", "values", "code"),
    [
        (0, {}, "payments.amount"),
        (-1, {}, "payments.amount"),
        (10**15, {}, "payments.amount"),
        (100, {"method": "shells"}, "payments.method"),
        (100, {"method": "credit"}, "payments.method"),
        (100, {"paid_on": date(2026, 11, 26)}, "payments.future"),
        (100, {"reference": "x" * 121}, "payments.reference"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(amount, values, code):
    client = owing()
    with pytest.raises(Refused) as refused:
        pay(client, amount, **values)
    assert refused.value.code == code
    assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 0


def test_a_payment_is_audited_and_its_receipt_queued_once():
    client = owing(language="en", email="ana@example.com")
    first = pay(client, 80_000, token="t1", reference="F-77", paid_on=date(2026, 11, 24))
    again = pay(client, 80_000, token="t1")
    assert again.id == first.id
    message = session().scalars(sa.select(Message)).one()
    assert (message.kind, message.recipient, message.language) == ("receipt", "ana@example.com", "en")
    assert (message.payment_id, message.client_id) == (first.id, client.id)
    assert message.data["amount"] == 80_000
    assert message.data["balance"] == -10_000
    assert message.data["paid_on"] == "2026-11-24"
    entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "payment.register")).one()
    assert entry.target == f"payment:{first.id}"
    assert (entry.after["client"], entry.after["settled"], entry.after["credit"]) == (client.code, 70_000, 10_000)


def test_a_client_without_an_address_gets_no_receipt():
    pay(owing(email=""), 100)
    assert session().scalars(sa.select(Message)).all() == []


@pytest.mark.parametrize(
    ("method", "reference", "refused"),
    [("transfer", "spei 00-451", True), ("deposit", "ＳＰＥＩ00451", True), ("cash", "SPEI-00451", False),
     ("transfer", "SPEI-452", False), ("transfer", " - ", False)],
)  # fmt: skip
def test_a_reference_counts_once_however_it_is_written(method, reference, refused):
    one, other = make_client(), make_client()
    first = pay(one, 10_000, method="transfer", reference="SPEI-00451")
    pay(one, 10_000, method="transfer", reference="--")
    if refused:
        with pytest.raises(Refused) as error:
            pay(other, 5_000, method=method, reference=reference)
        assert (error.value.code, error.value.values["number"]) == ("payments.duplicate", first.id)
        with transaction():
            service.void(session().get_one(Payment, first.id), "otro")
        session().expire_all()
    pay(other, 5_000, method=method, reference=reference)
    pay(other, 5_000, method=method, reference=reference, duplicate=True)


def test_a_token_that_served_another_payment_is_refused():
    client, other = owing(), owing()
    pay(client, 100, token="t")
    for someone, amount in ((other, 100), (client, 200)):
        with pytest.raises(Refused) as refused:
            pay(someone, amount, token="t")
        assert refused.value.code == "payments.token"
    assert session().scalar(sa.select(sa.func.sum(Payment.amount))) == 100


# Giving the service back


def test_a_payment_of_the_overdue_debt_gives_the_service_back_and_orders_the_router():
    client = owing()
    cut(client)
    payment = pay(client, 70_000)
    row = access_of(client)
    assert (row.suspended, row.reason, payment.reactivated) == (False, "", True)
    assert session().get_one(RouterSync, client.router_id).requested == 1
    assert service.outcome(payment) == "waiting"
    with transaction():
        confirm(client)
    assert service.outcome(payment) == "yes"


def test_invoices_that_are_not_yet_due_do_not_keep_a_client_suspended():
    client = make_client()
    make_invoice(client, due=date(2026, 11, 24))
    make_invoice(client, due=date(2026, 11, 25))  # today: still in time
    cut(client)
    pay(client, 35_000)
    assert not access_of(client).suspended


def test_a_cut_that_counted_all_open_invoices_is_lifted_by_paying_all_of_them():
    client = owing(overdue=False)
    cut(client, basis="open")
    payment = pay(client, 35_000)
    assert access_of(client).suspended
    assert service.outcome(payment) == "debt"
    pay(client, 35_000)
    assert not access_of(client).suspended


@pytest.mark.parametrize(("left", "suspended"), [(5_000, False), (5_001, True)])
def test_a_partial_payment_reactivates_up_to_the_tolerance(left, suspended):
    make_company(tolerance=5_000)
    client = owing()
    cut(client)
    payment = pay(client, 70_000 - left)
    assert access_of(client).suspended is suspended
    assert payment.reactivated is not suspended
    assert (service.outcome(payment) == "debt") is suspended


def test_only_register_keeps_the_client_suspended_until_a_payment_activates():
    client = owing()
    cut(client)
    payment = pay(client, 70_000, activate=False)
    row = access_of(client)
    assert (row.suspended, row.keep, payment.activate, payment.reactivated) == (True, True, False, False)
    assert service.outcome(payment) == "kept"
    assert session().get(RouterSync, client.router_id) is None
    invoice = make_invoice(client, due=date(2026, 11, 1))
    with transaction():
        invoices.void(session().get_one(Invoice, invoice.id), "mistake", False)
    assert access_of(client).suspended
    assert pay(client, 100).reactivated
    row = access_of(client)
    assert (row.suspended, row.keep) == (False, False)


def test_a_suspension_that_is_not_for_debt_stays():
    client = owing()
    cut(client, reason="manual")
    payment = pay(client, 70_000)
    assert access_of(client).suspended
    assert service.outcome(payment) == "suspended"
    assert pay(client, 100, activate=False).activate is False
    assert not access_of(client).keep


def test_paying_while_nothing_is_cut_orders_nothing():
    client = owing()
    payment = pay(client, 70_000)
    assert (payment.reactivated, service.outcome(payment)) == (False, "no")
    assert session().get(RouterSync, client.router_id) is None


@pytest.mark.parametrize(("paid", "notice"), [(60_000, True), (60_001, False)])
def test_the_notice_goes_where_the_open_debt_is_below_the_minimum(paid, notice):
    make_company(notice_minimum=10_000)
    client = owing(overdue=False)
    with transaction():
        access.want_notice([client.id])
        confirm(client)
    payment = pay(client, paid)
    assert access_of(client).notice is notice
    assert not payment.reactivated
    assert (session().get(RouterSync, client.router_id) is None) is notice


def test_voiding_an_invoice_gives_the_service_back():
    client = owing(count=1)
    cut(client)
    with transaction():
        invoices.void(session().scalars(sa.select(Invoice)).one(), "never installed", False)
    assert not access_of(client).suspended
    assert session().get_one(RouterSync, client.router_id).requested == 1


def test_the_local_date_of_the_clients_zone_decides_what_is_overdue():
    """At 21:00 of the 20th in Mexico it is the 21st in Madrid: due on the 20th is overdue there only."""
    with clock.frozen(moment("2026-11-20 21:00")):
        here, there = make_client(make_zone()), make_client(make_zone(timezone="Europe/Madrid"))
        own = make_client(make_zone(), own={"timezone": "Europe/Madrid"})
        for client in (here, there, own):
            make_invoice(client, due=date(2026, 11, 20))
            make_invoice(client, due=date(2026, 11, 19))
            cut(client)
            pay(client, 35_000)
        assert [invoices.debt_of(client.id).overdue for client in (here, there, own)] == [0, 35_000, 35_000]
        assert [access_of(client).suspended for client in (here, there, own)] == [False, True, True]


# Void


def test_a_void_payment_settles_nothing_and_cuts_nobody():
    client = owing()
    cut(client)
    payment = pay(client, 80_000)
    with transaction():
        service.void(session().get_one(Payment, payment.id), " bounced ")
    session().expire_all()
    payment = session().get_one(Payment, payment.id)
    assert (payment.remaining, payment.void_reason, payment.voided_at) == (0, "bounced", clock.now())
    assert states(client) == [("pending", 0), ("pending", 0)]
    assert invoices.debt_of(client.id) == (70_000, 70_000, 0)
    assert session().scalars(sa.select(Allocation)).all() == []
    assert not access_of(client).suspended
    entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "payment.void")).one()
    assert (entry.before["credit"], entry.after["taken_back"]) == (10_000, 70_000)
    with transaction(), pytest.raises(Refused) as refused:
        service.void(session().get_one(Payment, payment.id), "again")
    assert refused.value.code == "payments.void"


def test_what_a_void_payment_had_settled_is_settled_with_other_credit():
    client = owing(count=1)
    first, second = pay(client, 35_000), pay(client, 30_000)
    with transaction():
        service.void(session().get_one(Payment, first.id), "bounced")
    assert states(client) == [("partial", 30_000)]
    assert session().get_one(Payment, second.id, populate_existing=True).remaining == 0


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_voiding_needs_a_reason(reason):
    payment = pay(owing(), 100)
    with transaction(), pytest.raises(Refused) as refused:
        service.void(session().get_one(Payment, payment.id), reason)
    assert refused.value.code == "payments.void_reason"


# Promises


def test_a_promise_lifts_cut_and_takes_the_place_of_an_earlier_one():
    client = owing()
    cut(client)
    with transaction():
        first = promises.grant(client, date(2026, 11, 25))
        assert first.reactivated
    assert not access_of(client).suspended
    with transaction():
        second = promises.grant(client, date(2026, 11, 30))
        assert not second.reactivated
    assert promises.promise_of(client.id).until == date(2026, 11, 30)
    assert session().scalar(sa.select(sa.func.count()).where(Promise.ended_at.is_(None))) == 1
    entries = session().scalars(sa.select(AuditEntry.after).where(AuditEntry.action == "promise.grant")).all()
    assert [entry["until"] for entry in entries] == ["2026-11-25", "2026-11-30"]


def test_a_promise_in_the_past_or_without_debt_is_refused():
    client = owing()
    with transaction(), pytest.raises(Refused) as refused:
        promises.grant(client, date(2026, 11, 24))
    assert refused.value.code == "promises.past"
    with transaction(), pytest.raises(Refused) as refused:
        promises.grant(make_client(), date(2026, 11, 26))
    assert refused.value.code == "promises.no_debt"
