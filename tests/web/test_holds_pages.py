"""Suspend, pause, give back: the buttons in a client's head, what their dialogs say, who may use them."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_zone, moment
from tests.support.staff import signed_in, token_of
from wisp.access import service as access
from wisp.access.holds import service as holds
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.invoices.models import Promise
from wisp.payments import service as payments

NOW = moment("2026-11-25 10:00")
ORDERS = {"suspender": {"why": "robo"}, "pausar": {"until": "2026-12-10"}, "reactivar": {}}


@pytest.fixture
def provider(app: Flask):
    """C1 owes 350.00 since the 20th and is cut; its zone cuts on the 22nd at 8:00."""
    with clock.frozen(NOW):
        with app.app_context():
            make_company()
            client = make_client(make_zone(name="Centro"), code="C1", name="Ana <b>Ruiz</b>")
            make_invoice(client, due=date(2026, 11, 20))
            with transaction():
                access.want_suspended([client.id])
        yield app


def row(app: Flask) -> Access:
    with app.app_context():
        return session().scalars(sa.select(Access)).one()


@pytest.mark.parametrize("role", ["admin", "finance", "support", "technician", "cashier"])
def test_who_may_suspend_sees_the_buttons_and_is_let_in(provider: Flask, role: str) -> None:
    browser, may = signed_in(provider, role=role), role in ("admin", "finance", "support")
    page = browser.get("/clientes/C1/").text
    csrf = token_of(browser)
    for address, values in ORDERS.items():
        assert (f"/clientes/C1/{address}/" in page) is may
        answer = browser.post(f"/clientes/C1/{address}/", data={"csrf_token": csrf, **values})
        assert answer.status_code == (303 if may else 403)
    assert row(provider).suspended is (not may)
    with provider.app_context():
        entries = session().execute(sa.select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id)).all()
    made = [action for action, actor in entries if action.startswith("client.") and actor.startswith("staff:")]
    assert made == (["client.suspend", "client.pause", "client.reactivate"] if may else [])


def test_the_question_says_what_it_lifts_and_when_the_next_cut_would_cut_again(provider: Flask) -> None:
    browser = signed_in(provider)
    asked = browser.get("/clientes/C1/reactivar/").text
    for words in ("350.00", "22 dic 2026", "/clientes/C1/promesa/", 'name="no_cut_until"'):
        assert words in asked
    csrf = token_of(browser)
    yesterday = {"csrf_token": csrf, "no_cut_until": "2026-11-24"}
    assert browser.post("/clientes/C1/reactivar/", data=yesterday).status_code == 422
    assert row(provider).suspended
    data = {"csrf_token": csrf, "no_cut_until": "2026-12-31", "why": "acuerdo"}
    assert browser.post("/clientes/C1/reactivar/", data=data).location == "/clientes/C1/"
    with provider.app_context():
        assert session().scalars(sa.select(Client.no_cut_until)).one() == date(2026, 12, 31)
    assert not row(provider).suspended
    again = browser.post("/clientes/C1/reactivar/", data=data, follow_redirects=True)
    assert (again.status_code, "no está suspendido" in again.text) == (200, True)


@pytest.mark.parametrize("hold", ["debt", "kept", "imported", "manual", "pause"])
def test_nobody_is_held_without_a_button_beside_the_reason(provider: Flask, hold: str) -> None:
    with provider.app_context(), transaction():
        client = session().scalars(sa.select(Client)).one()
        if hold == "manual":
            holds.suspend(client, "equipo <robado>")
        elif hold == "pause":
            holds.pause(client, date(2026, 12, 10))
        elif hold == "imported":
            session().execute(sa.update(Access).values(reason="imported"))
        if hold != "debt":
            payments.register(client, 35_000 if hold == "kept" else 100, method="cash", activate=hold != "kept")
    words = {
        "debt": "por adeudo", "kept": "Pagado, sigue suspendido", "manual": "equipo &lt;robado&gt;",
        "imported": "sistema anterior", "pause": "Pausa temporal hasta el 10 dic 2026",
    }[hold]  # fmt: skip
    browser = signed_in(provider)
    pages = ["/clientes/C1/", "/clientes/C1/pagos/", "/clientes/C1/historial/"]
    for page in pages:
        shown = browser.get(page).text
        assert (words in shown, "/clientes/C1/reactivar/" in shown) == (True, True), page
    if hold != "debt":
        assert "/clientes/C1/reactivar/" in browser.get("/pagos/1/").text


def test_what_cannot_be_is_said_and_changes_nothing(provider: Flask) -> None:
    browser = signed_in(provider)
    csrf = token_of(browser)
    wrong = [
        ("suspender", {"why": ""}), ("suspender", {"why": "x" * 201}), ("pausar", {"until": ""}),
        ("pausar", {"until": "2026-11-24"}), ("pausar", {"until": "2028-01-01"}), ("pausar", {"until": "mañana"}),
    ]  # fmt: skip
    for address, values in wrong:
        answer = browser.post(f"/clientes/C1/{address}/", data={"csrf_token": csrf, **values})
        assert answer.status_code == 422, values
    assert row(provider).reason == "debt"


def test_granting_shows_the_bounds_and_how_earlier_promises_ended(provider: Flask) -> None:
    with provider.app_context(), transaction() as s:
        client_id = s.scalars(sa.select(Client.id)).one()
        for outcome in ("kept", "broken"):
            ended = {"ended_at": NOW, "outcome": outcome, "until": date(2026, 11, 10), "actor": "x"}
            s.add(Promise(client_id=client_id, created_at=NOW - timedelta(days=20), **ended))
    shown = signed_in(provider).get("/clientes/C1/promesa/").text
    for words in ("Cumplida", "Incumplida", "10 dic 2026", "4 promesas"):
        assert words in shown
    with provider.app_context():
        make_company(promises_a_year=2)
    shown = signed_in(provider, "otra@example.com").get("/clientes/C1/promesa/").text
    assert "Sin más promesas este año" in shown
    assert 'type="submit"' not in shown.split('id="promise-form"')[1].split("</form>")[0]
