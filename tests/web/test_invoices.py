"""Pages of invoices: who may see and void, the list and its partial, the document, the CSV file."""

import csv
import io
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_zone
from tests.support.staff import signed_in, token_of
from wisp.clients import search
from wisp.core.db import db, session, transaction
from wisp.core.scope import Scope
from wisp.invoices.models import Invoice
from wisp.outbox import service as outbox

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


@pytest.fixture
def provider(app: Flask) -> Flask:
    """C1 in one zone with two invoices, C2 in another with one."""
    with app.app_context():
        make_company(how_to_pay="CLABE 0123")
        one = make_client(make_zone(name="Centro"), code="C1", name="Ana <b>Ruiz</b>")
        two = make_client(make_zone(name="Norte"), code="C2", name="Luis Peña")
        make_invoice(one, month=OCTOBER, due=date(2020, 1, 20))
        make_invoice(one, month=NOVEMBER, due=date(2100, 1, 20))
        make_invoice(two, month=NOVEMBER, due=date(2020, 1, 20), customer="=cmd()")
        with transaction():
            search.index([one.id, two.id])
            outbox.queue_message("invoice", "ana@example.com", invoice_id=1)
    return app


PAGES = ("/facturas/", "/facturas/A-000001/", "/facturas/exportar.csv", "/clientes/C1/facturas/")
VOID = "/facturas/A-000001/anular/"


@pytest.mark.parametrize(
    ("role", "sees", "voids"),
    [("admin", True, True), ("finance", True, True), ("support", True, False), ("cashier", True, False),
     ("technician", False, False)],
)  # fmt: skip
def test_roles(provider: Flask, role: str, sees: bool, voids: bool) -> None:
    browser = signed_in(provider, role=role)
    assert [browser.get(page).status_code for page in PAGES] == [200 if sees else 403] * 4
    assert browser.get(VOID).status_code == (200 if voids else 403)
    answer = browser.post(VOID, data={"csrf_token": token_of(browser), "reason": "x"})
    assert answer.status_code == (303 if voids else 403)
    with provider.app_context():
        assert (session().get_one(Invoice, 1).state == "void") is voids


def test_without_a_session_nothing_is_shown(provider: Flask) -> None:
    for page in (*PAGES, VOID):
        assert provider.test_client().get(page).status_code == 302


def test_zones_out_of_scope_do_not_exist(provider: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = signed_in(provider, role="finance")
    monkeypatch.setattr("wisp.invoices.views.scope", lambda: Scope(frozenset({2})))
    assert [browser.get(page).status_code for page in PAGES] == [200, 404, 200, 404]
    assert browser.get(VOID).status_code == 404
    text = browser.get("/facturas/").text
    assert "A-000003" in text
    assert "A-000001" not in text
    assert "A-000001" not in browser.get("/facturas/exportar.csv").text


def test_page_and_partial(provider: Flask) -> None:
    browser = signed_in(provider)
    page = browser.get("/facturas/")
    assert "<html" in page.text
    assert "Ana &lt;b&gt;Ruiz" in page.text
    partial = browser.get("/facturas/", headers=PARTIAL)
    assert partial.text.lstrip().startswith('<div id="invoices-table"')
    assert "<html" not in partial.text
    assert "HX-Request-Type" in partial.headers["Vary"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3]),
        ("q=ana", [1, 2]),
        ("q=A-000003", [3]),
        ("q=nobody", []),
        ("month=2026-11", [2, 3]),
        ("month=2026-13&state=x&zone=-1&sort=x&page=0", [1, 2, 3]),
        ("state=overdue", [1, 3]),
        ("state=open&month=2026-10", [1]),
        ("state=paid", []),
        ("zone=2", [3]),
    ],
)
def test_filters(provider: Flask, query: str, found: list[int]) -> None:
    browser = signed_in(provider)
    text = browser.get(f"/facturas/?{query}").text
    assert [number for number in (1, 2, 3) if f"A-00000{number}" in text.partition("<table")[2]] == found
    rows = list(csv.reader(io.StringIO(browser.get(f"/facturas/exportar.csv?{query}").text.lstrip("\ufeff"))))
    assert [row[0] for row in rows[1:]] == [f"A-00000{number}" for number in found]


def test_the_csv_file_is_plain_and_safe(provider: Flask) -> None:
    with provider.app_context(), transaction() as s:
        s.execute(sa.text("UPDATE client SET name = '=cmd()' WHERE code = 'C2'"))
    answer = signed_in(provider).get("/facturas/exportar.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert rows[1][1:3] == ["C1", "Ana <b>Ruiz</b>"]
    assert rows[3][2] == "'=cmd()"
    assert rows[3][11:13] == ["350.00", "350.00"]


def test_sorting_turns_round(provider: Flask) -> None:
    browser = signed_in(provider)
    for sort, first in (("number", "A-000001"), ("-number", "A-000003"), ("-due", "A-000002")):
        table = browser.get(f"/facturas/?sort={sort}").text.partition("<tbody>")[2]
        assert table.index(first) == min(table.index(f"A-00000{n}") for n in (1, 2, 3))


def test_the_document_shows_lines_totals_and_its_email(provider: Flask) -> None:
    text = signed_in(provider).get("/facturas/A-000001/").text
    for word in ("Ana &lt;b&gt;Ruiz", "$350.00", "CLABE 0123", "ana@example.com", "/pagos/nuevo/?client=C1"):
        assert word in text
    assert signed_in(provider, "b@example.com").get("/facturas/A-000009/").status_code == 404


def test_voiding_asks_for_a_reason_and_whether_to_invoice_again(provider: Flask) -> None:
    browser = signed_in(provider)
    dialog = browser.get(VOID, headers=PARTIAL)
    assert "<html" not in dialog.text
    assert 'name="again"' in dialog.text
    assert "checked" not in dialog.text
    token = token_of(browser)
    assert browser.post(VOID, data={"csrf_token": token, "reason": " "}).status_code == 422
    assert browser.post(VOID, data={"reason": "x"}).status_code == 400
    done = browser.post(VOID, data={"csrf_token": token, "reason": "doble"}, headers=PARTIAL)
    assert done.headers["HX-Redirect"] == "/facturas/A-000001/"
    with provider.app_context():
        invoice = session().get_one(Invoice, 1)
        assert (invoice.state, invoice.void_reason, invoice.invoice_again) == ("void", "doble", False)
    again = browser.post(VOID, data={"csrf_token": token, "reason": "doble"})
    assert again.status_code == 422
    browser.post("/facturas/A-000002/anular/", data={"csrf_token": token, "reason": "x", "again": "y"})
    with provider.app_context():
        assert session().get_one(Invoice, 2).invoice_again


def test_the_number_of_statements_does_not_grow_with_the_list(provider: Flask) -> None:
    browser, statements = signed_in(provider), []
    with provider.app_context():
        engine = db.engine
    listen = lambda *arguments: statements.append(arguments[2])  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listen)
    try:
        counts = []
        for _ in range(2):
            for page in ("/facturas/?state=overdue&q=a", "/facturas/?page=1", "/clientes/C1/facturas/"):
                statements.clear()
                assert browser.get(page).status_code == 200
                counts.append(len(statements))
            with provider.app_context():
                zone = make_zone()
                for n in range(30):
                    client = make_client(zone, name=f"Ana {n}")
                    make_invoice(client, due=date(2020, 1, 1))
                    with transaction():
                        search.index([client.id])
    finally:
        sa.event.remove(engine, "before_cursor_execute", listen)
    assert counts[:3] == counts[3:]
    assert max(counts) <= 25
