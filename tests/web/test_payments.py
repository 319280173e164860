"""Pages of payments: who may register and void, the form, its token, what the person is told."""

import csv
import io
import re
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_zone
from tests.support.staff import PASSWORD, make_staff, signed_in, token, token_of
from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients import search
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.core.scope import Scope
from wisp.invoices.models import Invoice, Payment, Promise
from wisp.payments import service

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
FORM = "/pagos/nuevo/?client=C1"
VOID = "/pagos/1/anular/"
PROMISE = "/clientes/C1/promesa/"


@pytest.fixture
def provider(app: Flask) -> Flask:
    """C1 owes 350.00 twice, one overdue, and is cut; C2 owes nothing."""
    with app.app_context():
        make_company()
        one = make_client(make_zone(name="Centro"), code="C1", name="Ana <b>Ruiz</b>")
        two = make_client(make_zone(name="Norte"), code="C2", name="Luis Peña")
        make_invoice(one, due=date(2020, 1, 20))
        make_invoice(one, due=date(2100, 1, 20))
        with transaction():
            search.index([one.id, two.id])
            access.want_suspended([one.id])
    return app


@pytest.fixture
def paid(provider: Flask) -> Flask:
    """Payment 1 of C1: 100.00."""
    with provider.app_context(), transaction():
        client = session().get_one(Access, 1)
        service.register(_client(client.client_id), 10_000, method="transfer", reference="=SPEI-1")
    return provider


def _client(client_id: int) -> Any:
    from wisp.clients.models import Client

    return session().get_one(Client, client_id)


def fields(page: str, **values: str) -> dict[str, str]:
    """What the form sends, with some values changed."""
    form_token = re.search(r'name="token"[^>]*value="([^"]+)"', page)
    assert form_token
    sent = {"csrf_token": token(page), "token": form_token[1], "amount": "350.00", "method": "cash", "invoice": "0"}
    return {**sent, "paid_on": str(clock.now().date() - timedelta(days=1)), "reference": "", "note": "", **values}


def payments(app: Flask) -> list[Payment]:
    with app.app_context():
        return list(session().scalars(sa.select(Payment).order_by(Payment.id)))


@pytest.mark.parametrize(
    ("role", "sees", "registers", "voids", "promises"),
    [
        ("admin", True, True, True, True),
        ("finance", True, True, True, True),
        ("support", True, False, False, True),
        ("cashier", True, True, False, False),
        ("technician", False, False, False, False),
    ],
)
def test_roles(paid: Flask, role: str, sees: bool, registers: bool, voids: bool, promises: bool) -> None:
    browser = signed_in(paid, role=role)
    for page in ("/pagos/", "/pagos/1/", "/pagos/exportar.csv", "/clientes/C1/pagos/"):
        assert browser.get(page).status_code == (200 if sees else 403)
    for page, allowed in (("/pagos/nuevo/", registers), (FORM, registers), (VOID, voids), (PROMISE, promises)):
        assert browser.get(page).status_code == (200 if allowed else 403)
    csrf = token_of(browser)
    assert (browser.post(FORM, data={"csrf_token": csrf}).status_code == 403) is not registers
    assert (browser.post(VOID, data={"csrf_token": csrf}).status_code == 403) is not voids
    assert (browser.post(PROMISE, data={"csrf_token": csrf}).status_code == 403) is not promises
    assert len(payments(paid)) == 1


def test_zones_out_of_scope_do_not_exist(paid: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = signed_in(paid, role="finance")
    monkeypatch.setattr("wisp.payments.views.scope", lambda: Scope(frozenset({2})))
    for page in (FORM, VOID, PROMISE, "/pagos/1/", "/clientes/C1/pagos/"):
        assert browser.get(page).status_code == 404
    assert browser.post(FORM, data={"csrf_token": token_of(browser), "amount": "1"}).status_code == 404
    assert "Ruiz" not in browser.get("/pagos/").text
    assert "Ruiz" not in browser.get("/pagos/nuevo/?q=ana").text


@pytest.mark.browser
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_cashier_types_and_presses_enter(provider: Flask, page: Any) -> None:
    make_staff(provider)
    page.goto("/entrar/?next=/pagos/nuevo/")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/pagos/nuevo/")
    page.wait_for_selector("#q:focus")
    page.keyboard.type("ana")
    page.keyboard.press("Enter")
    page.wait_for_url("**client=C1")
    page.wait_for_selector("#amount:focus")


def test_the_client_is_found_and_its_debt_shown(provider: Flask) -> None:
    browser = signed_in(provider)
    found = browser.get("/pagos/nuevo/?q=ana", headers=PARTIAL)
    assert found.text.lstrip().startswith('<div id="candidates"')
    assert "/pagos/nuevo/?client=C1" in found.text
    assert "$700.00" in found.text
    assert "C2" not in found.text
    assert "Centro" in found.text
    taken = browser.get("/pagos/nuevo/?q=ana&take=1")
    assert (taken.status_code, taken.location) == (303, "/pagos/nuevo/?client=C1")
    assert browser.get("/pagos/nuevo/?q=C&take=1").status_code == 200  # two of them
    form = browser.get(FORM).text
    assert 'value="700.00"' in form
    assert "A-000001" in form
    assert "Ana &lt;b&gt;Ruiz" in form
    assert "Corte pendiente" in form  # ordered, and no router has said so yet
    with provider.app_context(), transaction():
        session().get_one(Access, 1).applied_suspended = True
    form = browser.get(FORM).text
    assert "Corte pendiente" not in form
    assert "Suspendido por adeudo" in form
    one = browser.get(FORM + "&invoice=A-000002").text
    assert 'value="350.00"' in one
    assert browser.get("/pagos/nuevo/?client=nobody").status_code == 404


def test_registering_settles_reactivates_and_tells(provider: Flask) -> None:
    browser = signed_in(provider)
    answer = browser.post(FORM, data=fields(browser.get(FORM).text, activate="yes", reference="F-1"))
    assert (answer.status_code, answer.location) == (303, "/pagos/1/")
    (payment,) = payments(provider)
    assert (payment.amount, payment.remaining, payment.reference) == (35_000, 0, "F-1")
    assert (payment.actor, payment.reactivated) == ("staff:ana@example.com", True)
    with provider.app_context():
        assert session().get_one(Invoice, 1).state == "paid"
        assert not session().get_one(Access, 1).suspended
    page = browser.get("/pagos/1/").text
    assert 'hx-trigger="load delay:1s"' in page  # waits for the router's answer
    with provider.app_context(), transaction():
        row = session().get_one(Access, 1)
        row.applied_version = row.wanted_version
    fragment = browser.get("/pagos/1/", headers=PARTIAL).text
    assert fragment.lstrip().startswith('<div id="payment-outcome"')
    assert "hx-trigger" not in fragment


def test_only_register_keeps_the_client_suspended(provider: Flask) -> None:
    browser = signed_in(provider)
    browser.post(FORM, data=fields(browser.get(FORM).text, activate="no"))
    (payment,) = payments(provider)
    assert (payment.activate, payment.reactivated) == (False, False)
    with provider.app_context():
        assert session().get_one(Access, 1).keep
    assert "hx-trigger" not in browser.get("/pagos/1/", headers=PARTIAL).text


def test_the_same_form_sent_twice_is_one_payment(provider: Flask) -> None:
    browser = signed_in(provider)
    data = fields(browser.get(FORM).text)
    assert {browser.post(FORM, data=data).location for _ in range(2)} == {"/pagos/1/"}
    other = {**data, "amount": "1.00"}
    assert browser.post(FORM, data=other).status_code == 422
    assert len(payments(provider)) == 1
    assert fields(browser.get(FORM).text)["token"] != data["token"]


def test_more_than_is_owed_is_asked_and_saved_where_it_is_right(provider: Flask) -> None:
    browser = signed_in(provider)
    data = fields(browser.get(FORM).text, amount="99,999.00", activate="no")
    asked = browser.post(FORM, data=data)
    assert asked.status_code == 422
    assert "Sobran $99,299.00 como saldo a favor, ¿correcto?" in asked.text
    assert 'name="activate" value="no"' in asked.text
    assert payments(provider) == []
    sure = re.search(r'name="sure"[^>]*value="([^"]+)"', asked.text)
    assert sure
    assert browser.post(FORM, data={**data, "sure": sure[1], "amount": "800.00"}).status_code == 422  # another question
    for _ in range(2):  # two clicks
        assert browser.post(FORM, data={**data, "sure": sure[1]}).location == "/pagos/1/"
    (payment,) = payments(provider)
    assert (payment.amount, payment.remaining, payment.activate) == (9_999_900, 9_929_900, False)


@pytest.mark.parametrize("theirs", [False, True])
def test_a_reference_that_is_there_already_is_asked_with_the_other_payment(
    paid: Flask, monkeypatch: pytest.MonkeyPatch, theirs: bool
) -> None:
    if theirs:
        with paid.app_context(), transaction():
            service.register(_client(2), 20_000, method="deposit", reference="spei 1", duplicate=True)
        monkeypatch.setattr("wisp.payments.views.scope", lambda: Scope(frozenset({1})))
    browser = signed_in(paid)
    before = len(payments(paid))
    data = fields(browser.get(FORM).text, method="transfer", reference="SPEI 1", amount="100")
    asked = browser.post(FORM, data=data)
    assert (asked.status_code, len(payments(paid))) == (422, before)
    assert "ya está registrada" in asked.text
    assert "$200.00" in asked.text if theirs else '<a href="/pagos/1/">' in asked.text
    assert "Luis" not in asked.text
    assert browser.post(FORM, data={**data, "method": "cash", "reference": "SPEI 1", "token": "t"}).status_code == 303
    sure = re.search(r'name="sure"[^>]*value="([^"]+)"', asked.text)
    assert sure
    assert browser.post(FORM, data={**data, "sure": sure[1]}).status_code == 303
    assert len(payments(paid)) == before + 2


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_date_in_the_future_is_marked(provider: Flask) -> None:
    browser = signed_in(provider)
    answer = browser.post(FORM, data=fields(browser.get(FORM).text, paid_on="2999-01-01"))
    field = re.search(r'<input[^>]*name="paid_on"[^>]*>', answer.text)
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert "futuro" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": ""}, {"amount": "0"}, {"amount": "-1"}, {"amount": "1,50,0"}, {"amount": "1.234"}, {"amount": "x"},
        {"method": "credit"}, {"paid_on": ""}, {"paid_on": "2999-01-01"}, {"paid_on": "yesterday"}, {"invoice": "99"},
        {"reference": "x" * 121}, {"token": "x" * 65},
    ],
)  # fmt: skip
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_cannot_be_is_422_and_keeps_what_was_typed(provider: Flask, wrong: dict[str, str]) -> None:
    browser = signed_in(provider)
    answer = browser.post(FORM, data=fields(browser.get(FORM).text, note="de su hermano", **wrong))
    assert answer.status_code == 422
    assert "de su hermano" in answer.text
    assert payments(provider) == []


def test_a_post_without_the_csrf_token_is_refused(provider: Flask) -> None:
    browser = signed_in(provider)
    data = fields(browser.get(FORM).text)
    del data["csrf_token"]
    assert browser.post(FORM, data=data).status_code == 400
    assert payments(provider) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [("", True), ("q=ana", True), ("q=%3DSPEI-1", True), ("q=1", True), ("q=luis", False), ("state=void", False),
     ("method=cash", False), ("method=transfer&state=valid", True), ("state=credit", False),
     ("since=2999-01-01", False), ("until=2999-01-01&since=x&sort=x", True)],
)  # fmt: skip
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_list_its_partial_and_its_file(paid: Flask, query: str, found: bool) -> None:
    browser = signed_in(paid)
    partial = browser.get(f"/pagos/?{query}", headers=PARTIAL).text
    assert partial.lstrip().startswith('<div id="payments-table"')
    assert ('href="/pagos/1/"' in partial) is found
    rows = list(csv.reader(io.StringIO(browser.get(f"/pagos/exportar.csv?{query}").text.lstrip("\ufeff"))))
    assert len(rows) == 1 + found
    if found:
        assert rows[1][5:8] == ["'=SPEI-1", "100.00", "0.00"]


def test_voiding_asks_for_a_reason(paid: Flask) -> None:
    browser = signed_in(paid)
    csrf = token_of(browser)
    assert "<html" not in browser.get(VOID, headers=PARTIAL).text
    assert browser.post(VOID, data={"csrf_token": csrf, "reason": ""}).status_code == 422
    done = browser.post(VOID, data={"csrf_token": csrf, "reason": "rebotado"}, headers=PARTIAL)
    assert done.headers["HX-Redirect"] == "/pagos/1/"
    (payment,) = payments(paid)
    assert (payment.void_reason, payment.remaining) == ("rebotado", 0)
    assert browser.post(VOID, data={"csrf_token": csrf, "reason": "rebotado"}).status_code == 422
    assert "rebotado" in browser.get("/pagos/1/").text


def test_a_promise_reactivates_and_a_past_one_is_refused(provider: Flask) -> None:
    browser = signed_in(provider, role="support")
    csrf = token_of(browser)
    assert browser.post(PROMISE, data={"csrf_token": csrf, "until": "2020-01-01"}).status_code == 422
    assert browser.post(PROMISE, data={"csrf_token": csrf, "until": ""}).status_code == 422
    refused = browser.post(PROMISE, data={"csrf_token": csrf, "until": "2999-01-01"})
    assert (refused.status_code, "2999" in refused.text) == (422, True)
    until = clock.now().date() + timedelta(days=10)
    assert browser.post(PROMISE, data={"csrf_token": csrf, "until": str(until)}).location == "/clientes/C1/pagos/"
    with provider.app_context():
        assert session().scalars(sa.select(Promise.until)).all() == [until]
        assert not session().get_one(Access, 1).suspended
    assert (
        f'datetime="{until}"' in browser.get("/clientes/C1/pagos/").text or str(until.year) in browser.get(PROMISE).text
    )
