"""The head of a client's file and the list of clients: who owes what, and what comes next."""

import json
import re
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_clients, make_company, make_invoice, make_plan, make_zone, moment
from tests.support.staff import signed_in
from wisp.access.models import Access
from wisp.clients import listing
from wisp.core import clock
from wisp.core.db import db, session, transaction
from wisp.core.scope import EVERYTHING
from wisp.invoices.models import Payment, Promise

NOW = moment("2026-11-28 10:00")
TABS = ("", "datos/", "conexion/", "facturacion/", "facturas/", "pagos/", "historial/")


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(NOW):
        yield


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def head_of(html: str) -> str:
    found = re.search(r'<dl class="wisp-head".*?</dl>', html, re.S)
    assert found
    return text_of(found[0])


@pytest.fixture
def office(app: Flask) -> dict[str, int]:
    """Ana owes two invoices, one of them overdue, has paid before and promised; Luis owes nothing."""
    with app.app_context():
        make_company(tax_bp=0)
        zone, plan = make_zone(name="Centro"), make_plan(name="Hogar", price=35_000)
        ana = make_client(zone, code="ANA", name="Ana", plan=plan)
        luis = make_client(zone, code="LUIS", name="Luis", plan=make_plan(name="Negocio", price=90_000))
        make_invoice(ana, due=date(2026, 11, 20))
        make_invoice(ana, due=date(2026, 12, 20), month=date(2026, 12, 1))
        with transaction() as s:
            paid = {"method": "cash", "actor": "cli:x", "created_at": NOW}
            s.add(Payment(client_id=ana.id, amount=20_000, remaining=5_000, paid_on=date(2026, 11, 3), **paid))
        return {"ana": ana.id, "luis": luis.id, "zone": zone.id, "plan": plan.id}


def test_the_head_is_the_same_on_every_tab(app: Flask, office: dict[str, int]) -> None:
    browser = signed_in(app)
    heads = {head_of(browser.get(f"/clientes/ANA/{tab}").text) for tab in TABS}
    (head,) = heads
    assert "Debe $700.00 $350.00 vencidos" in head
    assert "Saldo a favor $50.00" in head
    assert "Último pago $200.00 3 nov 2026" in head
    assert "Hogar $350.00 al mes" in head
    assert "Próxima factura 15 dic 2026" in head
    assert "Si no paga aviso 18 dic, corte 22 dic" in head
    page = browser.get("/clientes/ANA/").text
    assert "/pagos/nuevo/?client=ANA" in page
    assert "/clientes/ANA/promesa/" in page


def test_what_has_no_value_is_not_shown(app: Flask, office: dict[str, int]) -> None:
    page = signed_in(app).get("/clientes/LUIS/").text
    head = head_of(page)
    assert "Debe $0.00" in head
    for absent in ("Saldo a favor", "Último pago", "Prometido", "Suspendido desde"):
        assert absent not in head
    assert "aviso 18 dic, corte 22 ene" not in head
    assert "–" not in text_of(page.split('id="main"')[1].split('id="dialog"')[0])
    assert "/promesa/" not in page


def test_a_promise_and_a_suspension_change_what_comes_next(app: Flask, office: dict[str, int]) -> None:
    with app.app_context(), transaction() as s:
        s.add(Promise(client_id=office["ana"], until=date(2026, 12, 22), actor="x", created_at=NOW))
    head = head_of(signed_in(app).get("/clientes/ANA/").text)
    assert "Prometido hasta el 22 dic 2026" in head
    assert "Si no paga aviso 18 ene, corte 22 ene" in head
    with app.app_context(), transaction() as s:
        s.execute(sa.delete(Promise))
        suspended = {"suspended": True, "reason": "debt", "applied_suspended": True, "suspended_at": NOW}
        s.execute(sa.update(Access).where(Access.client_id == office["ana"]).values(**suspended))
    page = signed_in(app, "eva@example.com").get("/clientes/ANA/").text
    assert "Suspendido por adeudo" in text_of(page)
    assert "Suspendido desde 28 nov 2026" in head_of(page)
    assert "Si no paga" not in head_of(page)


def test_who_may_not_see_invoices_sees_no_money(app: Flask, office: dict[str, int]) -> None:
    browser = signed_in(app, role="technician", invoices_view=False)
    page = browser.get("/clientes/ANA/").text
    assert "$700.00" not in page
    assert "Debe" not in head_of(page)
    everyone = browser.get("/clientes/?debt=overdue").text
    assert "LUIS" in everyone  # what may not be seen does not filter either
    assert "$700.00" not in everyone


def codes(html: str) -> set[str]:
    return set(re.findall(r'href="/clientes/([A-Z0-9]+)/"', html))


def test_the_list_has_debts_and_filters(app: Flask, office: dict[str, int]) -> None:
    with app.app_context():
        later = make_client(code="EVA", name="Eva")
        make_invoice(later, due=date(2026, 12, 20))
        with transaction() as s:
            held = {"suspended": True, "reason": "manual"}
            s.execute(sa.update(Access).where(Access.client_id == later.id).values(**held))
    browser = signed_in(app)
    page = browser.get("/clientes/").text
    assert "$700.00" in text_of(page)
    assert "$350.00 vencidos" in text_of(page)
    assert codes(browser.get("/clientes/?debt=owes").text) == {"ANA", "EVA"}
    assert codes(browser.get("/clientes/?debt=overdue").text) == {"ANA"}
    assert codes(browser.get(f"/clientes/?plan={office['plan']}").text) == {"ANA"}
    assert codes(browser.get("/clientes/?state=suspended_manual").text) == {"EVA"}
    assert codes(browser.get("/clientes/?state=suspended_debt").text) == set()
    assert "LUIS" not in browser.get("/clientes/accion/exportar/?debt=owes").text


def test_overdue_is_judged_by_each_zones_own_date(app: Flask) -> None:
    with app.app_context():
        make_company(timezone="America/Mexico_City")
        far = make_client(make_zone(timezone="Pacific/Kiritimati"), code="FAR")
        near = make_client(make_zone(), code="NEAR")
        for client in (far, near):
            make_invoice(client, due=date(2026, 11, 28))  # in Kiritimati it is the 29th already
        found = session().scalars(listing.query(EVERYTHING, listing.Filters(debt="overdue"))).all()
        assert [client.code for client in found] == ["FAR"]


def test_the_number_of_statements_does_not_grow(app: Flask, office: dict[str, int]) -> None:
    browser, seen = signed_in(app), []
    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    counts = []
    for _ in range(2):
        browser.get("/clientes/")
        seen.clear()
        browser.get("/clientes/?debt=owes")
        counts.append(len(seen))
        with app.app_context():
            zone = session().get_one(listing.Client, office["ana"]).zone
            for client_id in make_clients(30, zone):
                make_invoice(session().get_one(listing.Client, client_id), due=date(2026, 11, 20))
    assert counts[0] == counts[1]


def test_the_command_line_gives_the_same(app: Flask, office: dict[str, int]) -> None:
    shown = json.loads(app.test_cli_runner().invoke(args=["clients", "show", "ANA", "--json"]).stdout)
    assert (shown["debt"], shown["overdue"], shown["credit"]) == ("700.00", "350.00", "50.00")
    assert shown["next"] == {
        "invoice": "2026-12-15", "due": "2026-12-20", "notice": "2026-12-18", "cut": "2026-12-22"
    }  # fmt: skip
    rows = json.loads(app.test_cli_runner().invoke(args=["clients", "list", "--json"]).stdout)
    assert [(row["code"], row["debt"]) for row in rows] == [("ANA", "700.00"), ("LUIS", "0.00")]
    assert "next" not in rows[0]
    only = json.loads(app.test_cli_runner().invoke(args=["clients", "list", "--debt", "overdue", "--json"]).stdout)
    assert [row["code"] for row in only] == ["ANA"]
