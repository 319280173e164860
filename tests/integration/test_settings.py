"""The company: service, page, commands."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.factories import make_company
from tests.support.mail import MailServer
from tests.support.staff import make_staff, signed_in, token, token_of
from tests.unit.test_pictures import jpeg, png
from wisp.core import audit, events
from wisp.core.db import db, session, transaction
from wisp.core.errors import Refused
from wisp.outbox.models import Message
from wisp.outbox.transport import MailTrouble, mail_settings
from wisp.settings import domain, service
from wisp.settings.models import Company, CompanyLogo

BILLING = {
    "tax_bp": "16", "tax_mode": "added", "document_title": "receipt", "min_days_to_pay": "5", "late_days": "7",
    "prorate": "y", "notice_minimum": "50.00", "tolerance": "1,020.50", "how_to_pay": "En caja",
    "promise_days": "10", "promises_a_year": "4",
}  # fmt: skip

LISTS = {
    "list_overdue": "Morosos", "list_notice": "Aviso", "list_seen": "visto", "list_allowed": "libre", "list_dns": "dns",
}  # fmt: skip

PAGES = {
    "seen_hours": "2", "notice_hours": "24", "notice_days": "30", "page_servers": "", "page_port_cut": "8081",
    "page_port_notice": "8082",
}  # fmt: skip


def stored(app: Flask) -> Company:
    with app.app_context():
        return service.company()


def lines(app: Flask) -> list[audit.AuditEntry]:
    with app.app_context():
        return list(session().query(audit.AuditEntry).filter_by(target="company"))


def post(client: Any, address: str, **fields: str) -> Any:
    return client.post(address, data={"csrf_token": token(client.get(address).text), **fields})


class TestService:
    """Reading and saving."""

    def test_before_the_first_save_there_are_the_defaults(self, ctx: Flask) -> None:
        firm = service.company()
        assert (firm.timezone, firm.currency, firm.late_days, firm.list_overdue) == (
            "America/Mexico_City", "MXN", 10, "wisp-overdue",
        )  # fmt: skip

    def test_only_what_is_named_changes_and_the_audit_log_says_what(self, ctx: Flask) -> None:
        with transaction():
            assert service.save_company({"name": "Red Norte", "tax_bp": 1600}) == {"name", "tax_bp"}
        with transaction():
            assert service.save_company({"name": "Red Norte", "tax_bp": 800}) == {"tax_bp"}
        assert service.company().name == "Red Norte"
        entries = list(session().query(audit.AuditEntry).order_by(audit.AuditEntry.id))
        assert [(entry.before, entry.after) for entry in entries][1] == ({"tax_bp": 1600}, {"tax_bp": 800})
        with transaction():
            assert service.save_company({"tax_bp": 800}) == set()
        assert session().query(audit.AuditEntry).count() == 2

    def test_whoever_listens_hears_what_changed(self, ctx: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        heard: list[set[str]] = []
        event = events.Event("settings_changed")
        event.connect(lambda changed: heard.append(changed))
        monkeypatch.setattr(events, "settings_changed", event)
        with transaction():
            service.save_company({"mail_server": "mail.example.com"})
        with transaction():
            service.save_company({"mail_server": "mail.example.com"})
        assert heard == [{"mail_server"}]

    def test_the_mail_password_is_stored_encrypted_and_never_logged(self, ctx: Flask) -> None:
        with transaction():
            service.save_company({"mail_password": "s3cret-word"})
        assert "s3cret-word" not in service.company().mail_password
        assert service.mail_password() == "s3cret-word"
        with transaction():
            assert service.save_company({"mail_password": "s3cret-word"}) == set()
        entry = session().query(audit.AuditEntry).one()
        assert "s3cret-word" not in json.dumps([entry.before, entry.after])

    @pytest.mark.parametrize("values, code", [
        ({"name": "  "}, "settings.name"),
        ({"timezone": "America/Nowhere"}, "settings.timezone"),
        ({"timezone": "../etc/passwd"}, "settings.timezone"),
        ({"currency": "QQQ"}, "settings.currency"),
        ({"language": "fr"}, "settings.choice"),
        ({"tax_bp": 10_001}, "settings.range"),
        ({"alert_addresses": "a@b.mx no-address"}, "settings.address"),
        ({"alert_addresses": "a@b.mx\r\nBcc: x@y.mx"}, "settings.address"),
        ({"mail_port": 0}, "settings.range"),
        ({"list_overdue": "año nuevo"}, "settings.list_name"),
        ({"list_overdue": "wisp-notice"}, "settings.same_lists"),
        ({"notice_minimum": 0}, "settings.range"),
    ])  # fmt: skip
    def test_what_cannot_be_is_refused_and_nothing_saved(self, ctx: Flask, values: dict[str, Any], code: str) -> None:
        with pytest.raises(Refused) as refused, transaction():
            service.save_company({"phone": "55", **values})
        assert refused.value.code == code
        assert service.company().phone == ""

    def test_today_is_the_companys(self, ctx: Flask) -> None:
        from datetime import UTC, date, datetime

        from wisp.core import clock

        with transaction():
            service.save_company({"timezone": "Pacific/Auckland"})
        with clock.frozen(datetime(2026, 1, 31, 12, 0, tzinfo=UTC)):
            assert service.today() == date(2026, 2, 1)

    def test_asking_many_times_is_one_query(self, ctx: Flask) -> None:
        from sqlalchemy import event

        with transaction():
            service.save_company({"name": "Red Norte"})
        session().rollback()
        session().expunge_all()
        asked: list[str] = []
        bind = db.engine
        event.listen(bind, "before_cursor_execute", lambda *a: asked.append(a[2]))
        for _ in range(5):
            assert service.company().name == "Red Norte"
        assert len([statement for statement in asked if statement.startswith("SELECT")]) == 1


@pytest.mark.parametrize("text, points", [
    ("16", 1600), ("16 %", 1600), ("10.5", 1050), ("10,5", 1050), ("0", 0), ("100", 10_000), ("8.25", 825),
])  # fmt: skip
def test_a_tax_is_a_percentage(text: str, points: int) -> None:
    assert domain.parse_tax(text) == points
    assert domain.parse_tax(domain.format_tax(points)) == points


@pytest.mark.parametrize("text", ["", "x", "101", "-1", "1.234", "NaN", "inf", "1e999999", "16%%"])
def test_what_is_no_tax_is_refused(text: str) -> None:
    with pytest.raises(domain.Invalid):
        domain.parse_tax(text)


class TestPage:
    """Ajustes."""

    def test_a_panel_shows_saves_and_tells(self, app: Flask) -> None:
        client = signed_in(app)
        assert client.get("/ajustes/").location == "/ajustes/empresa/"
        answer = post(client, "/ajustes/facturacion/", **BILLING)
        assert answer.status_code == 303
        firm = stored(app)
        assert (firm.tax_bp, firm.tax_mode, firm.document_title, firm.min_days_to_pay) == (1600, "added", "receipt", 5)
        assert (firm.notice_minimum, firm.tolerance, firm.prorate, firm.invoice_suspended) == (
            5000,
            102050,
            True,
            False,
        )
        page = client.get("/ajustes/facturacion/").text
        assert "Guardado." in page
        assert 'value="1020.50"' in page
        assert lines(app)[-1].actor == "staff:ana@example.com"

    def test_the_company_panel_names_the_frame_and_moves_its_clock(self, app: Flask) -> None:
        client = signed_in(app)
        fields = {"name": "Red <b>Norte</b>", "timezone": "UTC", "currency": "CLP", "language": "es"}
        assert post(client, "/ajustes/empresa/", **fields).status_code == 303
        page = client.get("/ajustes/empresa/").text
        assert "Red &lt;b&gt;Norte&lt;/b&gt;" in page
        assert "<b>Norte" not in page

    @pytest.mark.parametrize("address, fields, words", [
        ("/ajustes/facturacion/", {**BILLING, "tax_bp": "mucho"}, "no es un impuesto"),
        ("/ajustes/facturacion/", {**BILLING, "tolerance": "1.020"}, "puede leerse como dos importes"),
        ("/ajustes/facturacion/", {**BILLING, "tolerance": ""}, "Este campo es obligatorio"),
        ("/ajustes/facturacion/", {**BILLING, "min_days_to_pay": "61"}, "Debe estar entre 0 y 60"),
        ("/ajustes/empresa/", {"name": "", "timezone": "UTC", "currency": "MXN", "language": "es"}, "obligatorio"),
        ("/ajustes/alertas/", {"alert_addresses": "x", "outage_minutes": "5"}, "no es una dirección de correo"),
        ("/ajustes/router/", {**LISTS, "list_overdue": "a", "list_notice": "a"}, "deben tener nombres distintos"),
        ("/ajustes/router/", {"list_overdue": "a b", "list_notice": "a"}, "no puede ser el nombre de una lista"),
        ("/ajustes/avisos/", {**PAGES, "page_port_notice": "8081"}, "puertos distintos"),
        ("/ajustes/avisos/", {**PAGES, "seen_hours": "25"}, "quien lo confirmó"),
        ("/ajustes/avisos/", {**PAGES, "page_servers": "avisos.example.com"}, "no puede ir aquí"),
        ("/ajustes/router/", {**LISTS, "payment_hosts": "http://pago.example.com/"}, "pay.example.com"),
        ("/ajustes/router/", {**LISTS, "resolvers": "dns.example.com"}, "no puede ir aquí"),
    ])  # fmt: skip
    def test_what_is_wrong_is_said_at_the_field_and_nothing_saved(
        self, app: Flask, address: str, fields: dict[str, str], words: str
    ) -> None:
        answer = post(signed_in(app), address, **fields)
        assert answer.status_code == 422
        assert words in answer.text
        assert "No se guardó nada" in answer.text or words in (
            "deben tener nombres distintos",
            "puertos distintos",
            "quien lo confirmó",
        )
        assert lines(app) == []

    def test_the_mail_password_is_kept_replaced_and_removed_but_never_shown(self, app: Flask) -> None:
        client = signed_in(app)
        fields = {"mail_server": "127.0.0.1", "mail_port": "9", "mail_security": "tls", "hold_mail_days": "3"}
        post(client, "/ajustes/correo/", **fields, mail_password="s3cret-word")
        assert "s3cret-word" not in client.get("/ajustes/correo/").text
        post(client, "/ajustes/correo/", **{**fields, "hold_mail_days": "4"}, mail_sender="robot@example.com")
        with app.app_context():
            assert service.mail_password() == "s3cret-word"
        wrong = post(client, "/ajustes/correo/", **{**fields, "mail_port": "x"}, mail_password="other-word")
        assert wrong.status_code == 422
        assert "other-word" not in wrong.text
        post(client, "/ajustes/correo/", **fields, forget_password="y")
        assert stored(app).mail_password == ""

    @pytest.mark.parametrize("change", [
        {"mail_server": "localhost"}, {"mail_port": "10"}, {"mail_username": "other"},
        {"mail_security": "starttls"}, {"mail_security": "none"},
    ])  # fmt: skip
    def test_the_mail_password_goes_nowhere_else(self, app: Flask, change: dict[str, str]) -> None:
        client = signed_in(app)
        fields = {
            "mail_server": "127.0.0.1", "mail_port": "9", "mail_security": "tls", "mail_username": "red",
            "hold_mail_days": "3",
        }  # fmt: skip
        post(client, "/ajustes/correo/", **fields, mail_password="s3cret-word")
        answer = post(client, "/ajustes/correo/", **{**fields, **change})
        assert answer.status_code == 422
        assert "escriba de nuevo la contraseña" in answer.text
        assert stored(app).mail_server == "127.0.0.1"
        assert post(client, "/ajustes/correo/", **{**fields, **change}, mail_password="again").status_code == 303
        post(client, "/ajustes/correo/", **{**fields, "mail_server": ""})  # no server any more: no password either
        assert stored(app).mail_password == ""

    def test_no_password_goes_where_others_can_read_it(self, app: Flask) -> None:
        client = signed_in(app)
        fields = {
            "mail_server": "mail.example.com", "mail_port": "25", "mail_security": "none", "mail_username": "red",
            "mail_password": "s3cret-word", "hold_mail_days": "3",
        }  # fmt: skip
        answer = post(client, "/ajustes/correo/", **fields)
        assert answer.status_code == 422
        assert "podrían leerse" in answer.text
        assert post(client, "/ajustes/correo/", **{**fields, "mail_server": "localhost"}).status_code == 303
        with app.app_context(), transaction():
            service.company().mail_server = "mail.example.com"  # as an earlier version would have taken it
            session().flush()
            with pytest.raises(MailTrouble, match="in_clear"):
                mail_settings()

    def test_the_mail_server_is_for_administrators(self, app: Flask, smtp: MailServer) -> None:
        """Whoever names the mail server reads every link that opens an account."""
        client = signed_in(app, "eva@example.com", "finance", settings_manage=True)
        assert client.get("/ajustes/empresa/").status_code == 200
        assert "/ajustes/correo/" not in client.get("/ajustes/empresa/").text
        for address in ("/ajustes/correo/", "/ajustes/correo/prueba/"):
            assert client.post(address, data={"csrf_token": token_of(client)}).status_code == 403
        assert client.get("/ajustes/correo/").status_code == 403

    def test_administrators_are_told_of_another_mail_server_by_the_one_before(
        self, app: Flask, smtp: MailServer
    ) -> None:
        client = signed_in(app)
        make_staff(app, "bea@example.com")
        make_staff(app, "luis@example.com", "finance")
        with app.app_context():
            make_company(mail_server=smtp.host, mail_port=smtp.port, mail_security="none")
        fields = {"mail_server": "127.0.0.1", "mail_port": "9", "mail_security": "none", "hold_mail_days": "3"}
        assert post(client, "/ajustes/correo/", **fields).status_code == 303
        assert sorted(smtp.addresses()) == ["ana@example.com", "bea@example.com"]
        assert "127.0.0.1:9" in smtp.messages[0].message.as_string()
        post(client, "/ajustes/correo/", **{**fields, "mail_port": "10"})  # the one before is of no use either
        with app.app_context():
            states = [row.state for row in session().query(Message).filter_by(kind="mail_server_changed")]
        assert sorted(states) == ["pending", "pending", "sent", "sent"]

    def test_a_logo_is_checked_shown_replaced_and_taken_away(self, app: Flask) -> None:
        client = signed_in(app)
        where, key = "/ajustes/empresa/logo/", token(client.get("/ajustes/empresa/").text)

        def upload(data: bytes, name: str = "logo.png", **fields: str) -> Any:
            files = {"picture": (io.BytesIO(data), name)} if data else {}
            return client.post(where, data={"csrf_token": key, **files, **fields})

        assert upload(png(300, 90)).status_code == 303
        page = client.get("/ajustes/empresa/").text
        assert 'src="data:image/png;base64,' in page
        assert "Quitar" in page
        first = stored(app).logo
        assert len(first) == 64
        upload(jpeg(200, 80), "logo.svg")
        assert stored(app).logo not in ("", first)
        for data, words in ((b"<svg/>", "no es una imagen PNG o JPEG"), (b"", "Elija un archivo"),
                            (png(2000, 9), "1000 píxeles"), (png(noise=b"x" * 20_000), "pesa 21 kB")):  # fmt: skip
            answer = upload(data)
            assert answer.status_code == 422
            assert words in answer.text
            assert stored(app).logo not in ("", first)
        upload(b"", action="remove")
        assert stored(app).logo == ""
        assert "data:image" not in client.get("/ajustes/empresa/").text
        with app.app_context():
            assert session().query(CompanyLogo).count() == 0
        assert [line.action for line in lines(app)] == ["settings.logo"] * 3
        assert signed_in(app, "eva@example.com", "finance").post(where).status_code in (400, 403)

    def test_it_needs_the_permission(self, app: Flask) -> None:
        client = signed_in(app, "eva@example.com", "finance")
        for address in ("empresa", "facturacion", "correo", "alertas", "router"):
            assert client.get(f"/ajustes/{address}/").status_code == 403
            assert client.post(f"/ajustes/{address}/").status_code in (400, 403)
        assert "/ajustes/" not in client.get("/cuenta/clave/").text

    def test_a_test_e_mail_says_what_the_server_answered(self, app: Flask, smtp: MailServer) -> None:
        client = signed_in(app)
        key = token(client.get("/ajustes/correo/").text)
        data = {"csrf_token": key, "address": "dueno@example.com"}
        fragment = client.post("/ajustes/correo/prueba/", data=data, headers={"HX-Request-Type": "partial"})
        assert "El servidor de correo aceptó el mensaje." in fragment.text
        assert "<html" not in fragment.text
        assert [message.recipients for message in smtp.messages] == [["dueno@example.com"]]
        page = client.post("/ajustes/correo/prueba/", data={**data, "address": "nobody"})
        assert page.status_code == 422
        assert "no es una dirección de correo" in page.text
        assert "<html" in page.text

    def test_without_a_mail_server_the_test_says_so(self, app: Flask) -> None:
        client = signed_in(app)
        data = {"csrf_token": token(client.get("/ajustes/correo/").text), "address": "dueno@example.com"}
        assert "No hay servidor de correo configurado" in client.post("/ajustes/correo/prueba/", data=data).text


class TestCommand:
    """``flask company``."""

    def run(self, app: Flask, *arguments: str) -> Any:
        return app.test_cli_runner().invoke(args=["company", *arguments])

    def test_set_and_show(self, app: Flask) -> None:
        arguments = ("--name", "Red Norte", "--timezone", "America/Bogota", "--currency", "COP", "--language", "en")
        result = self.run(app, "set", *arguments, "--tax", "19", "--alerts", "a@b.co", "--alerts", "c@d.co", "--json")
        assert result.exit_code == 0, result.output
        shown = json.loads(result.stdout)
        assert shown["name"] == "Red Norte"
        assert (shown["tax"], shown["tax_mode"], shown["alerts"]) == ("19", "included", ["a@b.co", "c@d.co"])
        assert json.loads(self.run(app, "show", "--json").stdout) == shown
        self.run(app, "set", "--tax-mode", "added")
        assert stored(app).tax_mode == "added"
        assert stored(app).name == "Red Norte"
        assert lines(app)[0].actor.startswith("cli:")
        assert audit.actor() == audit.SYSTEM

    @pytest.mark.parametrize("arguments, words", [
        (["--timezone", "Mars/Base"], "Mars/Base"),
        (["--tax", "lots"], "lots"),
        (["--currency", "QQQ"], "QQQ"),
        (["--alerts", "nobody"], "nobody"),
        ([], "nothing to set"),
    ])  # fmt: skip
    def test_a_refusal_is_one_line_and_exit_1(self, app: Flask, arguments: list[str], words: str) -> None:
        result = self.run(app, "set", "--json", *arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert words in result.stderr
        assert result.stderr.count("\n") == 1

    def test_the_logo_too(self, app: Flask, tmp_path: Path) -> None:
        (tmp_path / "logo.png").write_bytes(png(300, 90))
        (tmp_path / "logo.svg").write_text("<svg/>")
        result = self.run(app, "logo", str(tmp_path / "logo.png"), "--json")
        assert json.loads(result.stdout) == {"logo": {"type": "image/png", "width": 300, "height": 90}}
        refused = self.run(app, "logo", str(tmp_path / "logo.svg"), "--json")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "JPEG" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert json.loads(self.run(app, "logo", "--json").stdout)["logo"]["width"] == 300
        assert self.run(app, "logo", str(tmp_path / "logo.png"), "--remove").exit_code == 2
        assert json.loads(self.run(app, "logo", "--remove", "--json").stdout) == {"logo": None}

    def test_wrong_usage_is_exit_2(self, app: Flask) -> None:
        assert self.run(app, "set", "--language", "fr").exit_code == 2
