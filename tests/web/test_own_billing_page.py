"""The client's tab "Facturación": prefilled from the zone, dates while editing, the question about this month."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import signed_in, token_of
from wisp.clients import service
from wisp.core import clock
from wisp.core.db import transaction

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PAGE, SAVE, DATES = (
    "/clientes/ANA/facturacion/",
    "/clientes/ANA/facturacion/propia/",
    "/clientes/ANA/facturacion/fechas/",
)
OWN = {"billing": "own", "billing_type": "postpaid", "due_day": "28", "timezone": "",
       "invoices_day": "25", "invoices_time": "12:00", "notice_day": "27", "notice_time": "09:00",
       "cut_day": "30", "cut_time": "08:00"}  # fmt: skip


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(factories.moment("2026-11-10 10:00")):
        yield


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    with app.app_context():
        zone = factories.make_zone(name="Norte", moments={**factories.MOMENTS, "invoices": (14, 615)}, due_day=17)
        factories.make_client(zone, code="ANA")
    return signed_in(app)


def save(browser: FlaskClient, **changes: str) -> Any:
    return browser.post(SAVE, data={"csrf_token": token_of(browser), **OWN, **changes})


def own(app: Flask) -> dict[str, str]:
    """Kind -> next run of the client's own tasks; empty for zone billing."""
    with app.app_context():
        client = service.find("ANA")
        if not client.own_billing or client.schedule is None:
            return {}
        return {t.kind: t.next_at.isoformat()[:10] if t.next_at else "" for t in client.schedule.tasks}


def test_the_form_begins_with_the_zones_days_and_shows_twelve_dates(browser: FlaskClient) -> None:
    page = browser.get(PAGE).text
    values = dict(re.findall(r'name="((?:invoices|notice|cut|due)_\w+)"[^>]*value="([^"]*)"', page))
    assert values == {"due_day": "17", "invoices_day": "14", "invoices_time": "10:15", "notice_day": "18",
                      "notice_time": "09:00", "cut_day": "22", "cut_time": "08:00"}  # fmt: skip
    dates = browser.get(DATES, query_string=OWN, headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert dates.count("<tr>") == 13  # a head, and twelve cycles
    assert '"2026-11-25T18:00:00+00:00"' in dates
    assert '"2027-03-02T14:00:00+00:00"' in dates  # the 30th of February: two days after the 28th, as meant


def test_saving_makes_the_tasks_and_going_back_hides_them(app: Flask, browser: FlaskClient) -> None:
    assert save(browser).status_code == 303
    assert own(app) == {"invoices": "2026-11-25", "notice": "2026-11-27", "cut": "2026-11-30"}
    assert "ANA" in browser.get("/tareas-periodicas/?owner=client&q=ANA").text
    assert save(browser, billing="zone").status_code == 303
    assert own(app) == {}
    assert "task-4" not in browser.get("/tareas-periodicas/?owner=client").text


def test_a_day_gone_by_is_asked_for_before_anything_is_saved(app: Flask, browser: FlaskClient) -> None:
    dates = browser.get(DATES, query_string={**OWN, "invoices_day": "5"}).text
    assert "Estos días ya pasaron este mes:" in dates
    assert 'name="this_month_invoices"' in dates
    assert 'name="this_month_cut"' not in dates
    answer = save(browser, invoices_day="5")
    assert answer.status_code == 422
    assert "Estos días ya pasaron este mes:" in answer.text
    assert own(app) == {}
    assert save(browser, invoices_day="5", this_month="skip").status_code == 303
    assert own(app)["invoices"] == "2026-12-05"


def test_a_day_gone_by_can_be_applied_on_saving(app: Flask, browser: FlaskClient) -> None:
    assert save(browser, invoices_day="5", this_month="run").status_code == 303
    assert own(app)["invoices"] == "2026-11-05"


def test_a_change_of_own_billing_asks_too(app: Flask, browser: FlaskClient) -> None:
    save(browser)
    assert save(browser, cut_day="3").status_code == 422
    assert own(app)["cut"] == "2026-11-30"
    assert save(browser, cut_day="3", this_month="skip").status_code == 303
    assert own(app)["cut"] == "2026-12-03"


def test_days_that_nobody_bills_are_shown_before_and_after_saving(app: Flask, browser: FlaskClient) -> None:
    with app.app_context(), transaction():
        service.edit(service.find("ANA"), billed_through="2026-11-19")
    said = "Del 20 nov 2026 al 27 nov 2026 (8 días) queda entre dos periodos"
    late = {"due_day": "28", "billing_type": "prepaid"}
    assert said in browser.get(DATES, query_string={**OWN, **late}).text
    assert said not in browser.get(DATES, query_string={**OWN, "billing_type": "prepaid", "due_day": "20"}).text
    asked = save(browser, **late)
    assert asked.status_code == 422
    assert "Días sin facturar: hasta 8, de 1 clientes" in asked.text
    assert own(app) == {}
    assert save(browser, **late, gap="bill").status_code == 303
    assert own(app)["invoices"] == "2026-11-25"


def test_whoever_may_not_edit_clients_is_refused(app: Flask, browser: FlaskClient) -> None:
    cashier = signed_in(app, "caja@example.com", role="cashier")
    assert save(cashier).status_code == 403
    assert own(app) == {}
