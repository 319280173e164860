"""The audit page: every change with who, when, from where, before and after; filter, paging, export."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from flask import Flask

from tests import factories
from tests.support.staff import make_staff, signed_in
from tests.web.test_staff_pages import post
from wisp.clients import service as clients
from wisp.core import audit, clock
from wisp.core.db import session, transaction
from wisp.outbox.models import Message
from wisp.payments import service as payments
from wisp.routers import service as routers
from wisp.settings.models import Company
from wisp.staff import changes, service
from wisp.staff.audit_texts import FIELDS
from wisp.staff.texts import ACTIONS

ROOT = Path(__file__).resolve().parent.parent.parent


def write(app: Flask, *lines: tuple[str, str, dict[str, object], dict[str, object]], actor: str = "system") -> None:
    with app.app_context(), transaction():
        audit.act_as(audit.Actor(actor))
        for action, target, before, after in lines:
            audit.record(action, target, before, after)
        audit.act_as(audit.SYSTEM)


def rows(text: str) -> int:
    return len(re.findall(r'<tr id="audit-\d+"', text))


def test_a_change_on_a_page_is_there_with_who_from_where_before_and_after(app: Flask) -> None:
    boss = signed_in(app)
    boss.environ_base["REMOTE_ADDR"] = "10.20.30.40"
    with app.app_context():
        client = factories.make_client(code="C1", name="Ana")
        fields = {"name": "Ana María", "zone": client.zone_id, "plan": client.plan_id, "language": "es"}
    answer = post(boss, "/clientes/C1/datos/", **fields)
    assert answer.status_code == 303, answer.text
    page = boss.get("/auditoria/?action=client.edit").text
    assert rows(page) == 1
    for words in ("ana@example.com", "10.20.30.40", "Cliente modificado", 'href="/clientes/C1/"', "Ana María"):
        assert words in page, words
    assert re.search(r"<del[^>]*>Ana</del>", page)


def test_filters_by_text_person_action_and_day(app: Flask) -> None:
    boss = signed_in(app)
    night = datetime(2026, 3, 2, 5, 30, tzinfo=UTC)  # still the 1st in Mexico
    with clock.frozen(night):
        write(app, ("client.edit", "client:VIEJO", {"name": "Íñigo"}, {"name": "x"}), actor="cli:root")
    with clock.frozen(night + timedelta(days=1)):
        write(app, ("plan.edit", "plan:50% más", {"price": 1}, {"price": 2}), actor="staff:luis@example.com")
    found = {
        "q=VIEJO": 1, "q=%C3%AD%C3%B1igo": 0, "q=%C3%8D%C3%B1igo": 1, "q=50%25": 1, "q=5_%25": 0, "q=luis%40": 1,
        "action=plan.edit": 1, "actor=cli:": 1, "actor=staff:luis@example.com": 1,
        "since=2026-03-01&until=2026-03-01": 1, "until=2026-02-28": 0, "since=2026-03-02&until=2026-03-02": 1,
        "since=rubbish&action=plan.edit": 1,
    }  # fmt: skip
    for asked, count in found.items():
        assert rows(boss.get(f"/auditoria/?{asked}").text) == count, asked
    assert "Ningún cambio coincide" in boss.get("/auditoria/?q=zzz").text


def test_pages_and_the_export_hold_everything(app: Flask) -> None:
    boss = signed_in(app)
    write(app, *[("client.edit", f"client:C{n}", {"n": n}, {"n": -n - 1}) for n in range(60)])
    write(app, ("plan.edit", "=HYPERLINK(1)", {"price": 1}, {"price": "ñandú, =2"}))
    assert rows(boss.get("/auditoria/").text) == 50
    assert rows(boss.get("/auditoria/?page=2").text) > 5
    fragment = boss.get("/auditoria/", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert fragment.lstrip().startswith('<div id="audit-table"')
    answer = boss.get("/auditoria/exportar.csv?q=C5")
    lines = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert len(lines) == 1 + 11 + 1  # that this list was taken is in it as well
    whole = list(csv.reader(io.StringIO(boss.get("/auditoria/exportar.csv").data.decode("utf-8-sig"))))
    assert whole[0][:4] == ["Cuándo", "Quién", "Desde", "Acción"]
    assert [line[3] for line in whole[1:3]] == ["Lista exportada"] * 2
    assert whole[3][4] == "'=HYPERLINK(1)"
    assert "ñandú" in whole[3][6]
    assert len(whole) > 62


def test_the_export_reads_a_long_log_in_parts(app: Flask, monkeypatch: object) -> None:
    from wisp.staff import audit_log

    write(app, *[("client.edit", f"client:C{n}", {"n": n}, {"n": n + 1}) for n in range(7)])
    monkeypatch.setattr(audit_log, "CHUNK", 3)  # type: ignore[attr-defined]
    with app.app_context():
        found = audit_log.query(service.EVERYTHING, audit_log.Filters(action="client.edit"), clock.ZoneInfo("UTC"))
        assert [entry.target for entry in audit_log.everything(found)] == [f"client:C{n}" for n in range(6, -1, -1)]


def test_whoever_is_limited_sees_what_was_done_to_the_own_zones(app: Flask) -> None:
    with app.app_context():
        near, far = factories.make_zone(name="Cerca"), factories.make_zone(name="Lejos")
        factories.make_client(near, code="MIO")
        factories.make_client(far, code="AJENO")
        labels = [f"zone:{zone.router.name}/{zone.name}" for zone in (near, far)]
    other = signed_in(app, "eva@example.com", "support", audit_view=True)
    make_staff(app)
    with app.app_context(), transaction():
        changes.set_zones(service.find("eva@example.com").id, True, [near.id], service.COMMAND_LINE)
    edits = [("client.edit", f"client:{code}", {"a": 1}, {"a": 2}) for code in ("MIO", "AJENO")]
    edits += [("zone.rename", label, {"name": "x"}, {"name": "y"}) for label in labels]
    write(app, *edits)  # type: ignore[arg-type]
    page = other.get("/auditoria/").text
    assert rows(page) == 2
    assert "MIO" in page
    assert "AJENO" not in page
    assert "Lejos" not in page
    assert "AJENO" not in other.get("/auditoria/exportar.csv").text


def test_whoever_is_limited_sees_invoices_payments_tasks_and_mails_of_the_own_zones(app: Flask) -> None:
    targets: dict[str, list[str]] = {"Cerca": [], "Lejos": []}
    zone_ids: list[int] = []
    with app.app_context(), factories.writing():
        for name, mine in targets.items():
            zone = factories.make_zone(name=name)
            client, own = factories.make_client(zone, code=name), factories.make_client(zone, code=f"{name}-P", own={})
            invoice = factories.make_invoice(client, due=date(2020, 1, 1), state="void")
            payment = payments.register(client, 1_000, method="cash")
            message = Message(kind="test", recipient="a@example.com", created_at=clock.now(), client_id=client.id)
            session().add(message)
            session().flush()
            schedules = [zone.schedule, own.schedule]
            mine += [f"invoice:{invoice.label}", f"payment:{payment.id}", f"message:{message.id}"]
            mine += [f"schedule:{schedule.id}" for schedule in schedules]
            mine += [f"task:{task.id}" for schedule in schedules for task in schedule.tasks]
            zone_ids.append(zone.id)
    everyone = [("plan.edit", target, {"a": 1}, {"a": 2}) for mine in targets.values() for target in mine]
    write(app, *everyone, ("plan.edit", "plan:payment", {"a": 1}, {"a": 2}))  # type: ignore[arg-type]
    other = signed_in(app, "eva@example.com", "support", audit_view=True)
    with app.app_context(), transaction():
        changes.set_zones(service.find("eva@example.com").id, True, zone_ids[:1], service.COMMAND_LINE)
    lines = csv.DictReader(io.StringIO(other.get("/auditoria/exportar.csv?action=plan.edit").data.decode("utf-8-sig")))
    assert sorted(line["Objeto"] for line in lines) == sorted(targets["Cerca"])
    assert rows(other.get("/auditoria/?action=plan.edit").text) == len(targets["Cerca"])


def test_fields_actions_and_values_are_said_in_words(app: Flask) -> None:
    boss = signed_in(app)
    values: dict[str, object] = {
        "no_cut": True, "amount": 35_000, "role": "cashier", "permissions": ["runs:undo", "fly:high"], "tax_bp": 1650,
        "connection": "static", "installed_on": "2026-03-01", "unheard_of": "x1", "down": 2_500_000, "mac": "",
    }  # fmt: skip
    write(app, ("client.edit", "client:C1", {**dict.fromkeys(values), "no_cut": False}, values))
    write(app, ("zone.add", "zone:Torre/Centro", {}, {"cut": "22 08:00", "billing_type": "prepaid"}))
    write(app, ("settings.save", "company", {"address": "a"}, {"address": "b"}))
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", boss.get("/auditoria/").text))
    for words in (
        "Sin corte no → sí", "$350.00", "Cajero", "Deshacer ejecuciones, fly:high", "16.5 %", "IP estática",
        "1 mar 2026", "unheard_of x1", "2.5 Mb/s", "Corte de servicio 22 08:00", "Prepago", "Dirección a → b",
        "C1 Cliente", "Torre/Centro Zona de facturación", "Empresa",
    ):  # fmt: skip
        assert words in page, words
    lines = list(csv.DictReader(io.StringIO(boss.get("/auditoria/exportar.csv").data.decode("utf-8-sig"))))
    assert lines[3]["Acción"] == "Cliente modificado"
    assert "Importe: $350.00" in lines[3]["Después"]
    boss.set_cookie("wisp_language", "en")
    assert boss.get("/auditoria/").text.count("Never cut") == 1


def test_every_field_that_is_stored_has_a_name() -> None:
    columns = {column.key for column in Company.__table__.columns} - {"id"}
    said = columns | set(clients.EDITABLE) | set(routers._AUDITED) | {"zone", "plan", "billing_type", "due_day"}
    assert said <= set(FIELDS)


def test_log_in_is_written_down_with_its_address(app: Flask) -> None:
    signed_in(app)
    with app.app_context():
        entry = session().query(audit.AuditEntry).filter_by(action="staff.log_in").one()
        assert (entry.actor, entry.ip) == ("staff:ana@example.com", "127.0.0.1")


def test_every_action_that_the_program_records_has_a_name() -> None:
    said = set()
    for file in (ROOT / "wisp").rglob("*.py"):
        said |= set(re.findall(r'audit\.record\(\s*"([a-z_]+\.[a-z_]+)"', file.read_text()))
    assert len(said) > 30
    assert said <= set(ACTIONS)
