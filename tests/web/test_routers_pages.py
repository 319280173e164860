"""Pages of routers and billing zones: who may what, the connection test, the question about this month."""

import re
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import log_in, make_staff, signed_in, token_of
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import BillingGap
from wisp.routers import service
from wisp.routers.models import Router, Zone
from wisp.schedules.models import PeriodicTask
from wisp.staff import changes
from wisp.staff import service as staff
from wisp.staff.models import StaffUser, StaffZone
from wisp.web import turns

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
READ = ["/router/", "/router/1/", "/router/1/zonas/", "/router/1/zonas/1/", "/router/1/herramientas/"]
SCHEDULE = {"billing_type": "prepaid", "due_day": "20", "timezone": "", "invoices_day": "15", "invoices_time": "12:00",
            "notice_day": "18", "notice_time": "09:00", "cut_day": "22", "cut_time": "08:00"}  # fmt: skip


@pytest.fixture
def zone_id(app: Flask) -> int:
    with app.app_context(), clock.frozen(factories.moment("2026-03-10 12:00")):
        return factories.make_zone(factories.make_router(name="Torre"), name="Norte").id


def post(client: FlaskClient, url: str, headers: dict[str, str] | None = None, **data: Any) -> Any:
    return client.post(url, data={"csrf_token": token_of(client), **data}, headers=headers)


def form(sim: SimulatorServer, **changes: Any) -> dict[str, Any]:
    filled = {"name": "Torre", "host": "127.0.0.1", "port": sim.port, "username": "wisp", "password": "secret"}
    return {**filled, **changes}


@pytest.mark.usefixtures("zone_id")
@pytest.mark.parametrize(
    ("role", "reads", "edits"), [("admin", 1, 1), ("technician", 1, 1), ("support", 1, 0), ("cashier", 0, 0)]
)
def test_who_may_what(app: Flask, role: str, reads: int, edits: int) -> None:
    browser = signed_in(app, role=role)
    for url in READ:
        assert browser.get(url).status_code == (200 if reads else 403), url
    for url in ("/router/nuevo/", "/router/1/zonas/nueva/"):
        assert browser.get(url).status_code == (200 if edits else 403), url
    for url in ("/router/1/", "/router/1/zonas/1/", "/router/probar/", "/router/nuevo/", "/router/1/archivar/"):
        assert (post(browser, url).status_code == 403) is not bool(edits), url


@pytest.mark.usefixtures("zone_id")
def test_the_list_is_live_and_shows_no_secret(app: Flask) -> None:
    browser = signed_in(app)
    page = browser.get("/router/").text
    assert "Torre" in page
    part = browser.get("/router/", headers=PARTIAL).text
    assert part.strip().startswith('<div id="routers-table"')
    assert "hx-trigger" in part
    for url in READ:
        assert "secret" not in browser.get(url).text, url
    assert browser.get("/router/99/").status_code == 404
    assert browser.get("/router/99/zonas/1/").status_code == 404


@pytest.mark.usefixtures("zone_id")
def test_load_model_and_a_wrong_clock_are_shown(app: Flask) -> None:
    browser = signed_in(app)

    def found(**values: Any) -> str:
        with app.app_context(), transaction() as s:
            s.execute(sa.update(Router).values(**{"online": True, "checked_at": clock.now(), **values}))
        return str(browser.get("/router/").text + browser.get("/router/1/herramientas/").text)

    page = found(board="hAP ax2", cpu_load=37, clock_offset=60)
    assert page.count("hAP ax2") == 2
    assert "CPU 37 %" in page
    assert "60 segundos adelantado" in page
    assert "El reloj del router está mal" not in page
    page = found(clock_offset=-7300)
    assert "Reloj: 2 horas atrasado" in page
    assert "El reloj del router está mal: 2 horas atrasado" in page
    assert "CPU" not in found(cpu_load=None, clock_offset=None)


def test_adding_a_router_leads_to_its_first_zone(app: Flask, router_sim: SimulatorServer) -> None:
    browser = signed_in(app)
    assert post(browser, "/router/nuevo/", **form(router_sim, password="")).status_code == 422
    assert post(browser, "/router/nuevo/", **form(router_sim, host="http://x")).status_code == 422
    answer = post(browser, "/router/nuevo/", **form(router_sim))
    assert answer.status_code == 303
    zone = post(browser, answer.location, name="Norte", **SCHEDULE)
    assert zone.status_code == 303
    page = browser.get(zone.location).text
    assert "Norte" in page
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(PeriodicTask)) == 3
        assert service.target(session().scalars(sa.select(Router)).one()).password == "secret"


def test_the_connection_is_tested_before_saving(app: Flask, router_sim: SimulatorServer) -> None:
    browser = signed_in(app)
    good = post(browser, "/router/probar/", **form(router_sim), headers=PARTIAL)
    assert good.text.strip().startswith('<div id="probe"')
    assert "alert-success" in good.text
    whole = post(browser, "/router/probar/", **form(router_sim))  # without JavaScript: the form with the answer
    assert "<html" in whole.text
    assert "alert-success" in whole.text
    assert f'value="{router_sim.port}"' in whole.text
    wrong = post(browser, "/router/probar/", **form(router_sim, password="x"), headers=PARTIAL)
    assert "alert-danger" in wrong.text
    assert "alert-warning" in post(browser, "/router/probar/", **form(router_sim, host=""), headers=PARTIAL).text
    with app.app_context():
        assert session().scalars(sa.select(Router)).all() == []


def test_a_stored_password_is_used_for_its_own_host_only(app: Flask, router_sim: SimulatorServer) -> None:
    with app.app_context():
        router_id = factories.make_router(host="127.0.0.1", port=router_sim.port).id
    browser = signed_in(app)
    saved = form(router_sim, password="", router_id=router_id)
    assert "alert-success" in post(browser, "/router/probar/", **saved, headers=PARTIAL).text
    asked = router_sim.counters.connections
    for change in (
        {"host": "localhost"},
        {"port": "9"},
        {"username": "other"},
        {"tls": "y"},
        {"fingerprint": "a" * 64},
    ):
        elsewhere = post(browser, "/router/probar/", **{**saved, **change}, headers=PARTIAL)
        assert "alert-warning" in elsewhere.text, change
    with app.app_context():
        (entry,) = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "router.test"))
        assert (entry.actor, entry.after["port"]) == ("staff:ana@example.com", router_sim.port)  # type: ignore[index]
    assert router_sim.counters.connections == asked
    assert post(browser, f"/router/{router_id}/", **{**saved, "host": "localhost"}).status_code == 422
    assert post(browser, f"/router/{router_id}/", **{**saved, "name": "Otra"}).status_code == 303


def test_one_person_has_one_test_at_a_time(app: Flask, router_sim: SimulatorServer) -> None:
    browser = signed_in(app)
    with app.app_context():
        person = staff.find("ana@example.com").id
    turns._waiting.add(person)
    try:
        assert post(browser, "/router/probar/", **form(router_sim)).status_code == 429
        assert router_sim.counters.connections == 0
    finally:
        turns._waiting.clear()
    assert "alert-success" in post(browser, "/router/probar/", **form(router_sim)).text


def test_a_router_that_serves_others_too_is_not_archived_by_one_of_them(app: Flask) -> None:
    with app.app_context():
        router = factories.make_router()
        mine = factories.make_zone(router, name="Mia")
        factories.make_zone(router, name="Ajena")
    browser = signed_in(app, role="technician")
    with app.app_context(), transaction():
        changes.set_zones(staff.find("ana@example.com").id, True, [mine.id], staff.COMMAND_LINE)
    assert post(browser, f"/router/{router.id}/archivar/").status_code == 403
    with app.app_context():
        assert session().get_one(Router, router.id).archived_at is None


def test_the_tools_ask_the_router_and_remember(app: Flask, router_sim: SimulatorServer) -> None:
    with app.app_context():
        router_id = factories.make_router(host="127.0.0.1", port=router_sim.port).id
    browser = signed_in(app)
    part = post(browser, f"/router/{router_id}/probar/", headers=PARTIAL).text
    assert part.strip().startswith('<div id="health"')
    with app.app_context():
        assert session().get_one(Router, router_id).online is True
    router_sim.switch(off=True)
    assert "alert-danger" in post(browser, f"/router/{router_id}/probar/").text
    assert "alert" not in re.sub(r"<template.*?</template>", "", browser.get("/router/").text, flags=re.DOTALL)


def test_dates_follow_while_typing(app: Flask, zone_id: int) -> None:
    browser = signed_in(app)
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        url = "/router/zonas/fechas/"
        new = browser.get(url, query_string={**SCHEDULE, "cut_day": "31", "cut_time": "08:30"}, headers=PARTIAL).text
        assert new.count("<tr>") == 13
        assert "31 mar 2026 08:30" in new
        assert "30 abr 2026 08:30" in new
        assert "this_month" not in new
        early = browser.get(url, query_string={**SCHEDULE, "cut_day": "5", "zone_id": zone_id}, headers=PARTIAL).text
        assert early.count('name="this_month_cut"') == 2
        for strange in (
            {"cut_day": "x"},
            {"cut_time": "99:99"},
            {"timezone": "Mars/Base"},
            {"zone_id": "99"},
            {"cut_day": ""},
        ):
            assert browser.get(url, query_string={**SCHEDULE, **strange}, headers=PARTIAL).status_code == 200, strange
        assert "<html" in browser.get(url, query_string=SCHEDULE).text


def test_a_day_gone_by_asks_and_is_never_chosen_silently(app: Flask, zone_id: int) -> None:
    browser = signed_in(app)
    url = f"/router/1/zonas/{zone_id}/"
    moved = {"name": "Centro", **SCHEDULE, "cut_day": "5"}
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        shown = post(browser, url, **{**moved, "preview": "1"})
        assert (shown.status_code, shown.text.count('name="this_month_cut"')) == (200, 2)
        asked = post(browser, url, **moved)
        assert asked.status_code == 422
        assert asked.text.count('name="this_month_cut"') == 2
        assert cut_of(app).day == 22
        assert post(browser, url, **moved, this_month_cut="skip").status_code == 303
    task = cut_of(app)
    assert (task.day, task.next_at) == (5, factories.moment("2026-04-05 08:00"))
    with app.app_context():
        assert session().get_one(Zone, zone_id).name == "Centro"


def test_days_without_an_invoice_are_asked_about(app: Flask, zone_id: int) -> None:
    """Billed through 19 March; with payment day 28 the next period begins on the 28th."""
    with app.app_context(), transaction():
        zone = session().get_one(Zone, zone_id)
        client = factories.make_client(zone, code="ANA", billed_through=date(2026, 3, 19))
    browser = signed_in(app)
    url, moved = f"/router/1/zonas/{zone_id}/", {"name": "Centro", **SCHEDULE, "due_day": "28", "cut_day": "30"}
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        asked = post(browser, url, **moved)
        assert asked.status_code == 422
        assert 'name="gap" value="bill" checked' in asked.text
        assert post(browser, url, **moved, gap="waive").status_code == 303
    with app.app_context():
        kept = session().get_one(BillingGap, client.id)
        assert (kept.since, kept.bill) == (date(2026, 3, 19), False)


def test_who_may_not_apply_tasks_can_only_begin_next_month(app: Flask, zone_id: int) -> None:
    browser = signed_in(app, role="technician")
    url, moved = f"/router/1/zonas/{zone_id}/", {"name": "Norte", **SCHEDULE, "cut_day": "29", "invoices_day": "5"}
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        asked = post(browser, url, **moved)
        assert asked.status_code == 422
        assert re.findall(r'name="this_month_invoices"[^>]* value="(\w+)"', asked.text) == ["skip"]
        assert post(browser, url, **moved, this_month="run").status_code == 422
        assert cut_of(app).day == 22
        assert post(browser, url, **moved, this_month="skip").status_code == 303


def cut_of(app: Flask) -> PeriodicTask:
    with app.app_context():
        found = session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut")).one()
        session().expunge(found)
        return found


@pytest.mark.usefixtures("zone_id")
def test_wrong_days_are_marked(app: Flask) -> None:
    browser = signed_in(app)
    wrong = post(browser, "/router/1/zonas/nueva/", name="Sur", **{**SCHEDULE, "cut_day": "0", "notice_time": "25:00"})
    assert wrong.status_code == 422
    assert wrong.text.count('aria-invalid="true"') == 2
    assert post(browser, "/router/1/zonas/nueva/", name="Norte", **SCHEDULE).status_code == 422


def test_archiving(app: Flask, zone_id: int) -> None:
    browser = signed_in(app)
    with app.app_context():
        factories.make_client(session().get_one(Zone, zone_id))
        factories.make_router(name="Vacio")
    assert post(browser, "/router/1/archivar/").location == "/router/1/"
    assert post(browser, "/router/2/archivar/").location == "/router/"
    assert browser.get("/router/2/").status_code == 404
    assert browser.get("/router/1/").status_code == 200


def test_a_router_that_serves_zones_of_others_is_not_edited_by_who_is_limited(app: Flask, zone_id: int) -> None:
    with app.app_context():
        router = session().get_one(Router, 1)
        factories.make_zone(router, name="Sur")
    make_staff(app, "tec@example.com", role="technician")
    with app.app_context(), transaction() as s:
        user = s.scalars(sa.select(StaffUser).where(StaffUser.email == "tec@example.com")).one()
        user.limited = True
        s.add(StaffZone(staff_id=user.id, zone_id=zone_id))
    browser = app.test_client()
    log_in(browser, "tec@example.com")
    assert browser.get("/router/1/").status_code == 200
    assert post(browser, "/router/1/", name="Mine").status_code == 403
    with app.app_context(), transaction() as s:
        s.execute(sa.delete(Zone).where(Zone.name == "Sur"))
    assert post(browser, "/router/1/", name="Mine").status_code == 422  # allowed, but the form is not complete
