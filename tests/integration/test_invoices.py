"""Invoices: finding, voiding, lists, balances brought along, the e-mail, the command line."""

import json
from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_company, make_invoice, make_plan, make_zone, moment
from wisp.clients import search
from wisp.clients.csvcheck import check
from wisp.clients.csvimport import apply
from wisp.core import clock, events
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import Scope
from wisp.invoices import listing, opening, service
from wisp.invoices.models import Invoice, InvoiceLine, InvoiceSeries, Payment
from wisp.outbox import rendering
from wisp.outbox import service as outbox
from wisp.outbox.kinds import CannotRender
from wisp.outbox.models import Message
from wisp.payments import service as payments

pytestmark = pytest.mark.usefixtures("ctx")
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


@pytest.fixture(autouse=True)
def _the_25th_of_november():
    with clock.frozen(moment("2026-11-25 10:00")):
        yield


def numbers(**filters):
    return [row.id for row in listing.everything(listing.query(only=listing.Filters(**filters)))]


# Numbers


def test_an_invoice_is_found_by_its_number_however_it_is_typed():
    invoice = make_invoice(make_client())
    for typed in ("A-000001", "a-000001", " A-1 ", "1", "000001"):
        assert service.find(typed).id == invoice.id
    for typed in ("A-000002", "B-000001", "A-", "", "A-0000000000001", "1x", "²"):
        with pytest.raises(Refused) as refused:
            service.find(typed)
        assert refused.value.code == "invoices.unknown"


def test_digits_that_fit_two_series_are_refused():
    client = make_client()
    make_invoice(client)
    with transaction() as s:
        other = InvoiceSeries(prefix="B-")
        s.add(other)
        s.flush()
        make_invoice(client, series_id=other.id, number=1, label="B-000001")
    assert service.find("B-1").label == "B-000001"
    with pytest.raises(Refused) as refused:
        service.find("1")
    assert refused.value.code == "invoices.ambiguous"


def test_an_invoice_outside_the_scope_is_not_found():
    invoice = make_invoice(make_client())
    with pytest.raises(Refused):
        service.find(invoice.label, Scope(frozenset()))


# Void


def test_voiding_gives_what_was_paid_back_to_the_account_and_settles_what_else_is_open():
    client = make_client()
    first = make_invoice(client, due=date(2026, 10, 20), month=OCTOBER)
    second = make_invoice(client, due=date(2026, 11, 20), month=NOVEMBER)
    heard = []
    receiver = lambda client_ids, **_: heard.append(client_ids)  # noqa: E731
    events.account_changed.connect(receiver)
    try:
        with transaction():
            payments.register(client, 40_000, method="cash")
            service.void(session().get_one(Invoice, first.id), " double ", True)
    finally:
        events.account_changed._receivers.remove(receiver)
    session().expire_all()
    first, second = session().get_one(Invoice, first.id), session().get_one(Invoice, second.id)
    assert (first.state, first.paid, first.void_reason, first.invoice_again) == ("void", 0, "double", True)
    assert (first.voided_at, first.number, first.total) == (clock.now(), 1, 35_000)
    assert (second.state, second.paid) == ("paid", 35_000)
    assert service.debt_of(client.id) == (0, 0, 5_000)
    assert heard == [[client.id]]
    entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "invoice.void")).one()
    assert (entry.target, entry.before["state"], entry.after["reason"]) == ("invoice:A-000001", "paid", "double")


@pytest.mark.parametrize("reason", ["", " ", "x" * 201])
def test_voiding_needs_a_reason_and_happens_once(reason):
    invoice = make_invoice(make_client())
    with transaction(), pytest.raises(Refused) as refused:
        service.void(session().get_one(Invoice, invoice.id), reason, False)
    assert refused.value.code == "invoices.void_reason"
    with transaction():
        service.void(session().get_one(Invoice, invoice.id), "why", False)
    with transaction(), pytest.raises(Refused) as refused:
        service.void(session().get_one(Invoice, invoice.id), "why", False)
    assert refused.value.code == "invoices.already_void"


# Debt


def test_the_due_day_itself_is_in_time_and_void_or_paid_invoices_are_no_debt():
    client = make_client()
    make_invoice(client, 100, due=date(2026, 11, 24))
    make_invoice(client, 1_000, due=date(2026, 11, 25))
    make_invoice(client, 10_000, due=date(2026, 11, 26))
    make_invoice(client, 5_000, due=date(2026, 11, 1), state="void")
    make_invoice(client, 7_000, due=date(2026, 11, 1), state="paid", paid=7_000)
    make_invoice(client, 900, due=date(2026, 11, 1), state="partial", paid=400)
    assert service.debt_of(client.id) == (11_600, 600, 0)


# Lists


def test_the_list_is_narrowed_by_month_state_zone_and_client():
    one, two = make_client(make_zone()), make_client(make_zone())
    make_invoice(one, month=OCTOBER, due=date(2026, 10, 20))
    make_invoice(one, month=NOVEMBER, due=date(2026, 11, 25))
    make_invoice(two, month=NOVEMBER, due=date(2026, 11, 24), state="partial", paid=1)
    make_invoice(two, state="void")
    make_invoice(two, 0)
    assert numbers() == [1, 2, 3, 4, 5]
    assert numbers(month=NOVEMBER) == [2, 3]
    assert numbers(state="open") == [1, 2, 3]
    assert numbers(state="overdue") == [1, 3]
    assert [numbers(state=state) for state in ("pending", "partial", "paid", "void")] == [[1, 2], [3], [5], [4]]
    assert numbers(zone_id=two.zone_id) == [3, 4, 5]
    assert numbers(client_id=one.id, month=NOVEMBER) == [2]
    scoped = listing.query(Scope(frozenset({one.zone_id})))
    assert [row.label for row in listing.everything(scoped)] == ["A-000001", "A-000002"]
    assert listing.overdue(list(session().scalars(sa.select(Invoice.id)))) == {1, 3}
    assert listing.overdue([]) == set()


def test_what_is_overdue_follows_the_time_zone_of_each_client():
    with clock.frozen(moment("2026-11-20 21:00")):  # already the 21st in Madrid
        here, there = make_client(make_zone()), make_client(make_zone(timezone="Europe/Madrid"))
        own = make_client(make_zone(), own={"timezone": "Europe/Madrid"})
        for client in (here, there, own):
            make_invoice(client, due=date(2026, 11, 20))
        assert numbers(state="overdue") == [2, 3]
        assert listing.overdue([1, 2, 3]) == {2, 3}


def test_the_search_finds_by_number_or_by_the_beginning_of_the_clients_words():
    with transaction():
        ana, luis = make_client(name="Ana Ruiz", code="C7"), make_client(name="Luis 2 Peña", code="A-000009")
        search.index([ana.id, luis.id])
    make_invoice(ana)
    make_invoice(luis)
    make_invoice(luis)
    assert numbers(text="A-000002") == [2]
    assert numbers(text="a-3") == [3]
    assert numbers(text="3") == [3]
    assert numbers(text="2") == [2]  # a number comes before the client "Luis 2"
    assert numbers(text="ruiz an") == [1]
    assert numbers(text="peña") == [2, 3]
    assert numbers(text="C7") == [1]
    assert numbers(text="nobody") == []


# Balances brought along


HEADER = "code,name,email,phone,zone,plan,connection,address,mac,username,password,language,installed_on,balance"


def import_csv(*rows):
    review = check("\n".join([HEADER, *rows]).encode())
    assert not review.problem_count, review.problems
    with transaction():
        apply(check("\n".join([HEADER, *rows]).encode()))


def test_balances_of_an_import_become_opening_invoices_and_credits():
    make_company(min_days_to_pay=3, tax_bp=1600)
    make_zone(name="Centro")
    make_plan(name="Plan 20")
    rows = [
        f"C{n},Cliente {n},c{n}@example.com,,Centro,Plan 20,static,10.0.0.{n},,,,{language},,{balance}"
        for n, language, balance in [(1, "es", "350.00"), (2, "en", "-120.50"), (3, "en", "10"), (4, "es", "")]
    ]
    import_csv(*rows)
    made = session().scalars(sa.select(Invoice).order_by(Invoice.number)).all()
    assert [(i.label, i.customer, i.total, i.net, i.tax) for i in made] == [
        ("A-000001", "Cliente 1", 35_000, 35_000, 0),
        ("A-000002", "Cliente 3", 1_000, 1_000, 0),
    ]
    assert {(i.kind, i.state, i.month, i.issued, i.due) for i in made} == {
        ("opening", "pending", None, date(2026, 11, 25), date(2026, 11, 28))
    }
    assert [i.lines[0].description for i in made] == ["Saldo anterior", "Balance brought forward"]
    credit = session().scalars(sa.select(Payment)).one()
    assert (credit.amount, credit.remaining, credit.method) == (12_050, 12_050, "credit")
    assert session().get_one(InvoiceSeries, 1).next_number == 3
    assert session().scalars(sa.select(Message)).all() == []
    import_csv(*rows)
    assert session().scalar(sa.select(sa.func.count()).select_from(Invoice)) == 2
    assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 1


def test_a_credit_brought_along_is_used_by_what_is_invoiced_next():
    client = make_client()
    with transaction():
        opening.issue({client.id: -10_000}, date(2026, 11, 25))
    make_invoice(client)
    with transaction():
        assert service.use_credit([client.id]) == [client.id]
    assert service.debt_of(client.id) == (25_000, 25_000, 0)


def test_many_balances_are_numbered_without_gaps(monkeypatch):
    monkeypatch.setattr(opening, "CHUNK", 7)
    zone, plan = make_zone(), make_plan()
    ids = [make_client(zone, plan).id for _ in range(20)]
    with transaction():
        opening.issue({client_id: 100 + client_id for client_id in ids}, date(2026, 11, 25))
    made = session().execute(sa.select(Invoice.number, Invoice.client_id, Invoice.total).order_by(Invoice.number)).all()
    assert [number for number, *_ in made] == list(range(1, 21))
    assert all(total == 100 + client_id for _, client_id, total in made)
    assert session().scalar(sa.select(sa.func.count()).select_from(InvoiceLine)) == 20


# E-mail


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("es", ["aviso de cobro A-000001", "$350.00", "25 de noviembre de 2026", "Cómo pagar"]),
        ("en", ["payment request A-000001", "$350.00", "November 25, 2026", "How to pay"]),
    ],
)
def test_the_email_says_number_amount_due_date_and_how_to_pay_in_the_clients_language(language, words):
    make_company(how_to_pay="CLABE 0123")
    client = make_client(language=language)
    invoice = make_invoice(client, month=NOVEMBER, due=date(2026, 11, 25))
    with transaction():
        message = outbox.queue_message("invoice", "a@example.com", language=language, invoice_id=invoice.id)
        text = rendering.preview(message).text
        assert [word for word in [*words, "CLABE 0123"] if word not in text] == []
        service.void(session().get_one(Invoice, invoice.id), "mistake", False)
        with pytest.raises(CannotRender):
            rendering.preview(message)


# Command line


def test_the_list_on_the_command_line_has_the_promised_keys(app):
    client = make_client(code="C1")
    make_invoice(client, month=NOVEMBER, net=30_172, tax=4_828, tax_bp=1600, state="partial", paid=5_000)
    make_invoice(client)
    run = app.test_cli_runner()
    found = json.loads(run.invoke(args=["invoices", "list", "--client", "C1", "--json"]).stdout)
    assert found[0] == {
        "number": "A-000001", "client": "C1", "month": "2026-11", "period_from": "2026-11-01",
        "period_to": "2026-11-01", "issued": "2026-11-20", "due": "2026-11-20", "net": "301.72",
        "tax": "48.28", "total": "350.00", "balance": "300.00", "state": "partial",
    }  # fmt: skip
    assert (found[1]["month"], found[1]["period_from"], len(found)) == (None, None, 2)
    assert len(json.loads(run.invoke(args=["invoices", "list", "--month", "2026-11", "--json"]).stdout)) == 1
    assert json.loads(run.invoke(args=["invoices", "list", "--month", "2026-10", "--json"]).stdout) == []
    assert "A-000002" in run.invoke(args=["invoices", "list"]).stdout
    assert run.invoke(args=["invoices", "list", "--client", "nobody"]).exit_code == 1
    assert run.invoke(args=["invoices", "list", "--month", "November"]).exit_code == 2
    refused = run.invoke(args=["invoices", "void", "A-000009", "--why", "x"])
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (1, 1)
