"""One's own account: a forgotten password, the second factor, sessions that can be seen and ended."""

import dataclasses
import re
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient

from tests.support.mail import MailServer
from tests.support.staff import PASSWORD, log_in, make_staff, signed_in, token, token_of
from tests.web.test_staff_pages import deliver, link_in, post
from wisp.core import audit, clock, crypto
from wisp.core.db import session, transaction
from wisp.outbox.models import Message
from wisp.staff import service, sessions, totp
from wisp.staff.models import StaffRecovery, StaffSession, StaffUser
from wisp.staff.texts import browser_text

NEW = "a wholly new password"
CODE = re.compile(r"<li>((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})</li>")


class TestForgotten:
    """A link by e-mail, once, for an hour."""

    def ask(self, app: Flask, email: str) -> Any:
        browser = app.test_client()
        fields = {"csrf_token": token(browser.get("/entrar/recuperar/").text), "email": email}
        return browser.post("/entrar/recuperar/", data=fields)

    def choose(self, app: Flask, path: str) -> Any:
        browser = app.test_client()
        page = browser.get(path)
        if page.status_code != 200:
            return page
        return browser.post(path, data={"csrf_token": token(page.text), "new": NEW, "again": NEW})

    def test_it_opens_once_and_ends_every_session(self, app: Flask, smtp: MailServer) -> None:
        here = signed_in(app)
        assert self.ask(app, " ANA@example.com").status_code == 200
        deliver(app)
        path = link_in(smtp, "ana@example.com")
        assert here.get("/cuenta/clave/").status_code == 200
        assert self.choose(app, path).location == "/entrar/"
        assert here.get("/cuenta/clave/").status_code == 302
        assert self.choose(app, path).status_code == 410
        assert log_in(app.test_client(), "ana@example.com").status_code == 422
        assert log_in(app.test_client(), "ana@example.com", NEW).status_code == 303

    def test_it_lasts_an_hour(self, app: Flask, smtp: MailServer) -> None:
        make_staff(app)
        self.ask(app, "ana@example.com")
        deliver(app)
        path, asked = link_in(smtp, "ana@example.com"), clock.now()
        with clock.frozen(asked + timedelta(minutes=59)):
            assert app.test_client().get(path).status_code == 200
        with clock.frozen(asked + timedelta(minutes=61)):
            assert self.choose(app, path).status_code == 410
        assert log_in(app.test_client(), "ana@example.com").status_code == 303

    def test_the_answer_does_not_say_whether_the_address_exists(self, app: Flask) -> None:
        make_staff(app)
        make_staff(app, "fuera@example.com", "cashier")
        boss = signed_in(app, "bea@example.com")
        with app.app_context():
            gone = service.find("fuera@example.com").id
        post(boss, f"/staff/{gone}/desactivar/")
        clean = re.compile(r"(ana|otra|fuera)@example\.com|[\w.-]{60,}")
        answers = [self.ask(app, f"{name}@example.com") for name in ("ana", "otra", "fuera")]
        assert len({(a.status_code, clean.sub("", a.text)) for a in answers}) == 1
        with app.app_context():
            assert list(session().scalars(sa.select(Message.recipient))) == ["ana@example.com"]

    def test_it_does_not_go_round_the_second_factor(self, app: Flask, smtp: MailServer) -> None:
        turn_on(app, signed_in(app))
        self.ask(app, "ana@example.com")
        deliver(app)
        self.choose(app, link_in(smtp, "ana@example.com"))
        assert log_in(app.test_client(), "ana@example.com", NEW).location == "/entrar/codigo/"

    def test_asking_does_not_end_an_invitation(self, app: Flask, smtp: MailServer) -> None:
        """Any visitor may ask, so the link that was sent first must stay good; used, both end."""
        post(signed_in(app), "/staff/agregar/", name="Eva", email="eva@example.com", role="cashier")
        deliver(app)
        invited = link_in(smtp, "eva@example.com")
        self.ask(app, "eva@example.com")
        deliver(app)
        reset = link_in(smtp, "eva@example.com")
        assert reset != invited
        assert self.choose(app, invited).location == "/entrar/"
        assert self.choose(app, reset).status_code == 410

    def test_asking_again_and_again_is_stopped(self, app: Flask) -> None:
        make_staff(app)
        assert [self.ask(app, "ana@example.com").status_code for _ in range(7)] == [200] * 5 + [429] * 2
        assert [self.ask(app, "otra@example.com").status_code for _ in range(7)] == [200] * 5 + [429] * 2


def turn_on(app: Flask, client: FlaskClient) -> tuple[str, list[str]]:
    """Scan and confirm as a person does; the secret and the recovery codes."""
    page = client.get("/cuenta/segundo-factor/").text
    assert "data:image/svg+xml;base64," in page
    hidden = re.search(r'name="secret"[^>]*value="([^"]+)"', page)
    shown = re.search(r"<code[^>]*>([A-Z2-7 ]+)</code>", page)
    assert hidden
    assert shown
    secret = shown[1].replace(" ", "")
    code = pyotp.TOTP(secret).at(clock.now())
    done = post(client, "/cuenta/segundo-factor/", secret=hidden[1], code=code, password=PASSWORD)
    codes = CODE.findall(done.text)
    assert len(codes) == totp.RECOVERY_CODES, done.text
    return secret, codes


def second_step(app: Flask, code: str) -> Any:
    """Log in with the password, then with ``code``."""
    browser = app.test_client()
    first = log_in(browser, "ana@example.com", next="/staff/")
    assert first.location == "/entrar/codigo/"
    assert browser.get("/cuenta/clave/").status_code == 302  # the password alone opens nothing
    data = {"csrf_token": token(browser.get("/entrar/codigo/").text), "code": code}
    return browser.post("/entrar/codigo/", data=data)


class TestSecondFactor:
    """TOTP and recovery codes."""

    def test_log_in_asks_for_a_code_that_works_once(self, app: Flask) -> None:
        now = clock.now()
        with clock.frozen(now):
            secret, _codes = turn_on(app, signed_in(app))
            used = pyotp.TOTP(secret).at(now)
            assert second_step(app, used).status_code == 422  # it was used to turn it on
        later = now + timedelta(seconds=60)
        with clock.frozen(later):
            code = pyotp.TOTP(secret).at(later)
            assert second_step(app, f"{code[:3]} {code[3:]}").location == "/staff/"
            again = second_step(app, code)
            assert again.status_code == 422
            assert code not in again.text
            assert second_step(app, "000000").status_code == 422
            assert second_step(app, "").status_code == 422

    def test_a_code_of_another_time_opens_nothing(self, app: Flask) -> None:
        now = clock.now()
        with clock.frozen(now):
            secret, _codes = turn_on(app, signed_in(app))
        with clock.frozen(now + timedelta(minutes=10)):
            for minutes in (8, 12):
                code = pyotp.TOTP(secret).at(now + timedelta(minutes=minutes))
                assert second_step(app, code).status_code == 422

    def test_with_another_key_recovery_codes_open_all_the_same(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret, codes = turn_on(app, signed_in(app))
        with app.app_context():
            crypto.report_unreadable()
            assert not caplog.messages
        other = dataclasses.replace(app.config["WISP"], wisp_key=Fernet.generate_key().decode())
        app.config["WISP"] = other
        with app.app_context():
            crypto.report_unreadable()
            assert [line.rpartition(": ")[2] for line in caplog.messages] == ["second factors"]
        wrong = second_step(app, pyotp.TOTP(secret).at(clock.now()))
        assert wrong.status_code == 422
        assert "Use uno de sus códigos de recuperación" in wrong.text
        assert second_step(app, codes[0]).location == "/staff/"

    def test_recovery_codes_open_once_each(self, app: Flask) -> None:
        _secret, codes = turn_on(app, signed_in(app))
        assert second_step(app, codes[0].lower().replace("-", " ")).location == "/staff/"
        assert second_step(app, codes[0]).status_code == 422
        assert second_step(app, codes[1]).location == "/staff/"
        with app.app_context():
            assert totp.codes_left(service.find("ana@example.com").id) == 8
            stored = session().scalars(sa.select(StaffRecovery.code_hash)).all()
            assert not set(codes) & set(stored)

    def test_the_secret_is_not_stored_in_clear_and_never_shown_again(self, app: Flask) -> None:
        client = signed_in(app)
        secret, _codes = turn_on(app, client)
        with app.app_context():
            stored = session().scalars(sa.select(StaffUser.totp_secret)).one()
            log = "".join(str(e.after) for e in session().scalars(sa.select(audit.AuditEntry)))
        assert stored
        assert secret not in stored
        assert secret not in log
        page = client.get("/cuenta/segundo-factor/").text
        assert secret not in page
        assert "data:image/svg" not in page

    def test_a_wrong_code_or_password_turns_nothing_on(self, app: Flask) -> None:
        client = signed_in(app)
        page = client.get("/cuenta/segundo-factor/").text
        hidden = re.search(r'name="secret"[^>]*value="([^"]+)"', page)[1]  # type: ignore[index]
        secret = re.search(r"<code[^>]*>([A-Z2-7 ]+)</code>", page)[1]  # type: ignore[index]
        good = pyotp.TOTP(secret.replace(" ", "")).at(clock.now())
        wrong = post(client, "/cuenta/segundo-factor/", secret=hidden, code="000000", password=PASSWORD)
        assert wrong.status_code == 422
        assert secret in wrong.text  # what was scanned stays right
        other = post(client, "/cuenta/segundo-factor/", secret=hidden, code=good, password="not the password")
        assert other.status_code == 422
        assert log_in(app.test_client(), "ana@example.com").location == "/inicio/"

    def test_the_form_opens_no_other_encrypted_value(self, app: Flask) -> None:
        from wisp.core import crypto

        client = signed_in(app)
        with app.app_context():
            stolen = crypto.encrypt("the router's password")
        answer = post(client, "/cuenta/segundo-factor/", secret=stolen, code="000000", password=PASSWORD)
        assert answer.status_code == 422
        assert "the router" not in answer.text

    def test_new_codes_end_the_old_ones_and_turning_off_asks_for_the_password(self, app: Flask) -> None:
        client = signed_in(app)
        _secret, codes = turn_on(app, client)
        assert post(client, "/cuenta/segundo-factor/codigos/", password="wrong").status_code == 422
        fresh = CODE.findall(post(client, "/cuenta/segundo-factor/codigos/", password=PASSWORD).text)
        assert len(fresh) == 10
        assert second_step(app, codes[0]).status_code == 422
        assert second_step(app, fresh[0]).status_code == 303
        assert post(client, "/cuenta/segundo-factor/quitar/", password="wrong").status_code == 422
        assert post(client, "/cuenta/segundo-factor/quitar/", password=PASSWORD).status_code == 303
        assert log_in(app.test_client(), "ana@example.com").location == "/inicio/"

    def test_guessing_the_own_password_is_stopped(self, app: Flask) -> None:
        """Whoever finds a browser logged in must not try out the password until it opens everything."""
        client = signed_in(app)
        fields = {"old": "guess", "new": NEW, "again": NEW}
        codes = [post(client, "/cuenta/clave/", **fields).status_code for _ in range(21)]
        assert codes == [422] * 20 + [429]
        assert post(client, "/cuenta/segundo-factor/quitar/", password=PASSWORD).status_code == 429
        assert post(signed_in(app, "eva@example.com"), "/cuenta/clave/", **fields).status_code == 422

    def test_guessing_codes_is_stopped(self, app: Flask) -> None:
        turn_on(app, signed_in(app))
        assert [second_step(app, "000000").status_code for _ in range(8)] == [422] * 6 + [429] * 2

    def test_the_step_in_between_is_over_after_five_minutes(self, app: Flask) -> None:
        secret, _codes = turn_on(app, signed_in(app))
        browser, now = app.test_client(), clock.now()
        log_in(browser, "ana@example.com")
        data = {"csrf_token": token(browser.get("/entrar/codigo/").text)}
        with clock.frozen(now + timedelta(minutes=6)):
            data["code"] = pyotp.TOTP(secret).at(clock.now())
            assert browser.post("/entrar/codigo/", data=data).location == "/entrar/"
        assert app.test_client().get("/entrar/codigo/").location == "/entrar/"

    def test_an_administrator_takes_it_off_for_whoever_lost_the_phone(self, app: Flask) -> None:
        turn_on(app, signed_in(app))
        boss = signed_in(app, "bea@example.com")
        with app.app_context():
            ana = service.find("ana@example.com").id
        assert post(boss, f"/staff/{ana}/quitar-segundo-factor/").status_code == 303
        assert log_in(app.test_client(), "ana@example.com").location == "/inicio/"


@pytest.mark.parametrize("said, shown", [
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge · Windows"),
    ("Mozilla/5.0 (Linux; Android 14; SM-A155M) Chrome/140.0 Mobile Safari/537.36", "Chrome · Android"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari · iPhone"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox · Linux"),
    ("Telefono/1.0", ""),
])  # fmt: skip
def test_a_browser_is_called_by_its_name(said: str, shown: str) -> None:
    assert browser_text(said) == shown


class TestSessions:
    """Seen and ended from anywhere."""

    def rows(self, app: Flask) -> list[StaffSession]:
        with app.app_context():
            return list(session().scalars(sa.select(StaffSession).order_by(StaffSession.id)))

    def test_one_sees_and_ends_the_others(self, app: Flask) -> None:
        here, there = signed_in(app), app.test_client()
        there.environ_base["HTTP_USER_AGENT"] = "Telefono/1.0"
        there.environ_base["REMOTE_ADDR"] = "10.9.8.7"
        log_in(there, "ana@example.com")
        page = here.get("/cuenta/sesiones/").text
        assert "Telefono/1.0" in page
        assert "10.9.8.7" in page
        assert page.count("Este navegador") == 1
        assert post(here, f"/cuenta/sesiones/{self.rows(app)[1].id}/cerrar/").status_code == 303
        assert there.get("/cuenta/clave/").status_code == 302
        assert here.get("/cuenta/clave/").status_code == 200
        log_in(there, "ana@example.com")
        assert post(here, "/cuenta/sesiones/cerrar-las-demas/").status_code == 303
        assert there.get("/cuenta/clave/").status_code == 302
        assert len(self.rows(app)) == 1

    def test_nobody_ends_those_of_others(self, app: Flask) -> None:
        boss, other = signed_in(app), signed_in(app, "eva@example.com", "cashier")
        mine = self.rows(app)[0].id
        post(other, f"/cuenta/sesiones/{mine}/cerrar/")
        assert boss.get("/cuenta/clave/").status_code == 200
        assert "ana@example.com" not in other.get("/cuenta/sesiones/").text

    def test_a_copied_cookie_is_worth_nothing_after_log_out(self, app: Flask) -> None:
        client, copy = signed_in(app), app.test_client()
        copy.set_cookie("session", client.get_cookie("session").value)  # type: ignore[union-attr]
        assert copy.get("/cuenta/clave/").status_code == 200
        post(client, "/salir/")
        assert copy.get("/cuenta/clave/").status_code == 302
        assert self.rows(app) == []

    def test_unused_it_ends_after_twelve_hours_remembered_after_thirty_days(self, app: Flask) -> None:
        make_staff(app)
        short, long = app.test_client(), app.test_client()
        log_in(short, "ana@example.com")
        log_in(long, "ana@example.com", remember="y")
        assert short.get_cookie("session").expires is None  # type: ignore[union-attr]
        assert long.get_cookie("session").expires is not None  # type: ignore[union-attr]
        now = clock.now()
        with clock.frozen(now + timedelta(hours=11)):
            assert short.get("/cuenta/clave/").status_code == 200
        with clock.frozen(now + timedelta(hours=22)):
            assert short.get("/cuenta/clave/").status_code == 200  # it was used in between
        with clock.frozen(now + timedelta(hours=35)):
            assert short.get("/cuenta/clave/").status_code == 302
        with clock.frozen(now + timedelta(days=29)):
            assert long.get("/cuenta/clave/").status_code == 200
        with clock.frozen(now + timedelta(days=60)):
            assert long.get("/cuenta/clave/").status_code == 302

    @pytest.mark.parametrize("remember, days", [("", 30), ("y", 90)])
    def test_however_much_it_is_used_it_ends(self, app: Flask, remember: str, days: int) -> None:
        make_staff(app)
        client, now = app.test_client(), clock.now()
        log_in(client, "ana@example.com", remember=remember)
        for day, code in ((days - 1, 200), (days, 302)):
            with app.app_context(), transaction() as s:
                begun = now - timedelta(days=day, seconds=60)
                s.execute(sa.update(StaffSession).values(created_at=begun, seen_at=clock.now()))
            assert client.get("/cuenta/clave/").status_code == code

    def test_the_last_use_is_written_once_a_minute(self, app: Flask) -> None:
        now = clock.now()
        with clock.frozen(now):
            client = signed_in(app)
        for seconds, written in ((30, 0), (59, 0), (60, 60), (90, 60), (130, 130)):
            with clock.frozen(now + timedelta(seconds=seconds)):
                assert client.get("/cuenta/clave/").status_code == 200
            assert self.rows(app)[0].seen_at == now + timedelta(seconds=written), seconds

    def test_the_own_password_changed_leaves_this_one_only(self, app: Flask) -> None:
        here, there = signed_in(app), app.test_client()
        log_in(there, "ana@example.com")
        data = {"csrf_token": token_of(here), "old": PASSWORD, "new": NEW, "again": NEW}
        assert here.post("/cuenta/clave/", data=data).status_code == 303
        assert len(self.rows(app)) == 1
        assert there.get("/cuenta/clave/").status_code == 302

    def test_ended_from_elsewhere_htmx_goes_to_the_log_in(self, app: Flask) -> None:
        client = signed_in(app)
        with app.app_context():
            from wisp.core.db import transaction

            with transaction():
                sessions.end_all(service.find("ana@example.com"))
        headers = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Current-URL": "http://localhost/staff/"}
        assert client.get("/staff/", headers=headers).headers["HX-Redirect"] == "/entrar/?next=/staff/"


def test_a_link_is_not_written_into_the_log(app: Flask, smtp: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    post(signed_in(app), "/staff/agregar/", name="Eva", email="eva@example.com", role="cashier")
    deliver(app)
    path, browser = link_in(smtp, "eva@example.com"), app.test_client()
    caplog.set_level("INFO")
    assert browser.post(path, data={"new": NEW, "again": NEW}).status_code == 400
    assert "CSRF check failed at auth.by_link" in caplog.text
    assert path not in caplog.text
    assert browser.get(path).status_code == 200
