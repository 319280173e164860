"""The first page: what comes next, what needs a person, the month, the first steps."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_clients, make_company, make_invoice, make_router, make_zone, moment
from tests.support.outbox import queued
from tests.support.staff import signed_in
from wisp.access import service as access
from wisp.access.models import Access, RouterDifference, RouterSync
from wisp.core import clock
from wisp.core.db import db, session, transaction
from wisp.core.scope import EVERYTHING
from wisp.dashboard import queries
from wisp.invoices import service as invoices
from wisp.invoices.models import Payment
from wisp.outbox.models import Message
from wisp.routers.models import Router
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.staff import changes, service
from wisp.tasks.models import TaskRun

NOW = moment("2026-11-10 10:00")


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(NOW):
        yield


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def home(app: Flask, role: str = "admin", **permissions: bool) -> str:
    answer = signed_in(app, role=role, **permissions).get("/")
    assert answer.status_code == 200
    return text_of(answer.text)


def test_a_new_installation_is_led_step_by_step(app: Flask) -> None:
    client = signed_in(app)
    page = client.get("/").text
    assert "Primeros pasos" in page
    current = re.search(r'aria-current="step">.*?</li>', page, re.S)
    assert current
    assert "/ajustes/empresa/" in current[0]
    with app.app_context():
        make_company(name="Red del Valle", mail_server="mail.example.com", mail_sender="a@example.com")
        make_router()
    current = re.search(r'aria-current="step">.*?</li>', client.get("/").text, re.S)
    assert current
    assert "/zonas/" in current[0]
    with app.app_context():
        make_client()
    assert "Primeros pasos" not in client.get("/").text


def test_the_first_steps_are_for_who_may_take_them(app: Flask) -> None:
    assert "Primeros pasos" not in home(app, "finance")


def test_what_runs_next_comes_together_by_moment(app: Flask) -> None:
    with app.app_context():
        zone = make_zone(name="Centro", moments={"invoices": (11, 720), "notice": (18, 540), "cut": (22, 480)})
        for _n in range(3):
            make_client(zone, own={"moments": {"invoices": (12, 480), "notice": (18, 540), "cut": (22, 480)}})
    words = home(app)
    assert "Creación de facturas · Centro 11 nov 2026 12:00" in words
    assert "Creación de facturas · 3 clientes con facturación propia 12 nov 2026 08:00" in words
    assert "Avisos en pantalla · Centro y 3 clientes 18 nov 2026 09:00" in words
    with app.app_context():
        for name in ("Abajo", "Sur"):
            make_zone(name=name, moments={"invoices": (11, 720), "notice": (18, 540), "cut": (22, 480)})
    words = text_of(signed_in(app, "eva@example.com").get("/").text)
    assert "Avisos en pantalla · Abajo, 2 zonas más y 3 clientes 18 nov 2026 09:00" in words
    assert "Creación de facturas · Abajo y 2 zonas más 11 nov 2026 12:00" in words


def test_all_is_well_is_said_when_it_is(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red", alert_addresses="jefe@example.com")
        make_client()
    words = home(app)
    assert "Todo en orden" in words
    assert "Requiere atención" not in words
    with app.app_context():
        queued(3)
    words = text_of(signed_in(app, "eva@example.com").get("/").text)
    assert "Todo en orden" not in words
    assert "Nada falló 3 correos en camino" in words


def test_a_failed_test_or_one_that_was_sent_again_needs_nobody(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red", alert_addresses="jefe@example.com")
        make_client()
        queued(1, kind="test", state="failed")
        gone, lost = queued(2, kind="receipt", state="failed")
        with transaction() as s:
            row = {"kind": "receipt", "recipient": "a@example.com", "state": "sent", "resend_of": gone}
            s.add(Message(**row, created_at=clock.now(), sent_at=clock.now()))
    assert "1 correo no se pudo entregar" in home(app)
    with app.app_context(), transaction() as s:
        s.execute(sa.delete(Message).where(Message.id == lost))
    words = text_of(signed_in(app, "eva@example.com").get("/").text)
    assert "no se pudo entregar" not in words
    assert "Requiere atención" not in words


def test_what_failed_and_what_waits_is_named(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red", alert_addresses="jefe@example.com")
        router = make_router(
            name="Torre", online=False, offline_since=clock.now() - timedelta(hours=3), error="timeout"
        )
        zone = make_zone(router, name="Centro")
        ana = make_client(zone)
        with transaction() as s:
            cut = s.scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut")).one()
            notice = s.scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "notice")).one()
            notice.state = "missed"
            run = TaskRun(
                task_id=cut.id, month=date(2026, 11, 1), trigger="manual", state="error", actor="system",
                created_at=clock.now(), waiting=12,
            )  # fmt: skip
            s.add(run)
            access = s.get_one(Access, ana.id)
            access.suspended, access.reason, access.wanted_version = True, "debt", 1
            s.add(RouterSync(router_id=router.id, error="timeout"))
            s.add(Message(kind="invoice", recipient="a@example.com", state="failed", created_at=clock.now()))
            s.add(Message(kind="invoice", recipient="b@example.com", state="held", created_at=clock.now()))
        run_id = run.id
    client = signed_in(app)
    page = client.get("/").text
    words = text_of(page)
    assert "El router Torre no responde" in words
    assert "hace 3 horas" in words
    assert "En espera: 1 cortes, 0 avisos, 0 reactivaciones" in words
    assert "12 esperan al router" in words
    assert f"/tareas-periodicas/ejecuciones/{run_id}/" in page
    assert "No aplicada" in words
    assert "1 correo no se pudo entregar" in words
    assert "1 correo está retenido" in words
    part = client.get("/", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert part.lstrip().startswith('<div id="news"')
    assert "<html" not in part


def test_the_month_counts_what_was_invoiced_and_collected_in_it(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red")
        zone = make_zone()
        ana, eva = make_client(zone), make_client(zone)
        november, october = date(2026, 11, 1), date(2026, 10, 1)
        make_invoice(ana, 40_000, month=november, issued=date(2026, 11, 5))
        make_invoice(eva, 10_000, month=november, issued=date(2026, 11, 5), state="void")
        make_invoice(eva, 10_000, month=october, issued=date(2026, 10, 5))
        paid = {"client_id": ana.id, "remaining": 0, "method": "cash", "actor": "system", "created_at": clock.now()}
        with transaction() as s:
            s.add(Payment(amount=10_000, paid_on=date(2026, 11, 6), **paid))
            s.add(Payment(amount=90_000, paid_on=date(2026, 10, 31), **paid))
            s.add(Payment(amount=5_000, paid_on=date(2026, 11, 6), voided_at=clock.now(), **paid))
    words = home(app)
    assert "noviembre de 2026 Facturado $400.00 1 factura Cobrado $100.00 1 pago" in words
    assert "25% de lo facturado" in words


def test_each_person_sees_what_the_permissions_allow(app: Flask) -> None:
    with app.app_context():
        make_client(make_zone(make_router(name="Torre", online=False, offline_since=clock.now())))
    words = home(app, "cashier")
    assert "Torre" not in words
    assert "Lo próximo" not in words
    assert "Cobrado" not in words
    assert "Registrar pago" in words
    assert app.test_client().get("/").status_code == 302


@pytest.mark.parametrize("role, sees", [("admin", True), ("finance", True), ("support", False), ("technician", False)])
def test_the_company_s_month_needs_its_own_permission(app: Flask, role: str, sees: bool) -> None:
    assert ("Cobrado" in home(app, role)) is sees


def waits_for_hours(client: Any) -> None:
    """Its cut is wanted, and not yet on its router."""
    with transaction():
        access.want_suspended([client.id])


def test_a_time_zone_that_is_gone_is_said_and_keeps_no_payment_back(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red")
        client = make_client(own={})
        with transaction():
            session().execute(sa.update(BillingSchedule).values(timezone="America/Atlantis"))
        assert invoices.debt_of(client.id).open == 0
        assert schedules.lost_zones() == ["America/Atlantis"]
    assert "America/Atlantis" in home(app, "admin")


def test_the_number_of_statements_does_not_grow(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red", cut_from="03:00", cut_until="04:00")  # whose cuts wait, is asked too
        waits_for_hours(make_client())
        engine = db.engine
    client = signed_in(app)

    def count() -> int:
        seen: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            assert client.get("/").status_code == 200
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    count()
    few = count()
    with app.app_context():
        for _n in range(4):
            zone = make_zone(make_router(online=False, offline_since=clock.now()))
            make_clients(10, zone)
            waits_for_hours(make_client(zone, own={}))
        with transaction():
            session().execute(sa.update(PeriodicTask).where(PeriodicTask.kind == "cut").values(state="missed"))
    assert count() <= few


def test_a_cut_that_its_router_has_not_answered_is_not_counted_as_suspended(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        waits, stands = make_clients(2, zone)
        with transaction() as s:
            s.execute(sa.update(Access).values(suspended=True, reason="debt"))
            s.execute(sa.update(Access).where(Access.client_id == stands).values(applied_suspended=True))
        found = queries.clients(EVERYTHING)
    assert (found.active, found.suspended, found.cuts_waiting, found.releases_waiting) == (1, 1, 1, 0)
    assert waits != stands


def test_the_differences_of_the_last_night_lead_to_each_router(app: Flask) -> None:
    with app.app_context():
        make_company(name="Red")
        north, south, east, gone = (make_router(name=name) for name in ("Norte", "Sur", "Este", "Viejo"))
        zone = make_zone(north)
        counts = [
            (north, 40, {"missing": 9, "extra": 9}), (north, 5, {"missing": 3, "extra": 1, "stale": 2, "foreign": 4}),
            (south, 5, {"error": "timeout"}), (east, 5, {"foreign": 5}), (gone, 5, {"missing": 7}),
        ]  # fmt: skip
        with transaction() as s:
            for router, hours, values in counts:
                at = clock.now() - timedelta(hours=hours)
                s.add(RouterDifference(router_id=router.id, counted_at=at, **values))
            s.execute(sa.update(Router).where(Router.id == gone.id).values(archived_at=clock.now()))
        links = [f"/router/{router.id}/diferencia/" for router in (north, south, east, gone)]
        zone_id = zone.id
    page = signed_in(app).get("/").text
    words = text_of(page)
    assert "hace 5 horas" in words
    assert "Entradas que faltan 3 Entradas que sobran 1 Entradas antiguas 2 Entradas ajenas 9" in words
    assert "Norte : 3 faltaban, 1 sobraban, 2 quedaban de antes" in words
    assert [link in page for link in links] == [True, True, False, False]
    assert "Routers y programa" not in signed_in(app, "caja@example.com", "cashier").get("/").text
    technician = signed_in(app, "tec@example.com", "technician")
    assert "Routers y programa" in technician.get("/").text
    with app.app_context(), transaction():
        changes.set_zones(service.find("tec@example.com").id, True, [zone_id], service.COMMAND_LINE)
    assert "Routers y programa" not in technician.get("/").text
    with clock.frozen(NOW + timedelta(days=3)):
        assert "Routers y programa" not in signed_in(app, "eva@example.com").get("/").text
