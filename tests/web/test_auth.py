"""Log-in and what protects it: throttle, new session, lost session, people who were let go."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.staff import PASSWORD, log_in, make_staff, signed_in, token, token_of
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.extensions import limiter
from wisp.staff import service

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def cookie(client: object) -> str:
    found = client.get_cookie("session")  # type: ignore[attr-defined]
    return found.value if found else ""


def test_the_right_password_opens_a_wrong_one_does_not(app: Flask) -> None:
    make_staff(app)
    client = app.test_client()
    wrong = log_in(client, "ana@example.com", "not the password")
    assert wrong.status_code == 422
    assert "El correo o la contraseña no son correctos." in wrong.text
    assert "not the password" not in wrong.text
    assert client.get("/staff/").status_code == 302
    right = log_in(client, " ANA@Example.com ")
    assert right.status_code == 303
    assert client.get("/staff/").status_code == 200


def test_an_unknown_address_gets_the_same_answer(app: Flask) -> None:
    make_staff(app)
    known = log_in(app.test_client(), "ana@example.com", "not the password")
    unknown = log_in(app.test_client(), "otra@example.com", "not the password")
    clean = re.compile(r"ana@example.com|otra@example.com|[\w.-]{60,}")
    assert clean.sub("", known.text) == clean.sub("", unknown.text)


def test_the_session_is_a_new_one_after_log_in(app: Flask) -> None:
    make_staff(app)
    client = app.test_client()
    before = token(client.get("/entrar/").text)
    planted = cookie(client)
    log_in(client, "ana@example.com")
    after = cookie(client)
    assert after != planted
    with client.session_transaction() as session:
        assert set(session) <= {"_user_id", "_fresh", "_id", "_permanent"}
    refused = client.post("/salir/", data={"csrf_token": before})
    assert refused.status_code == 400


def test_after_log_out_the_browser_is_a_stranger(app: Flask) -> None:
    client = signed_in(app)
    assert client.get("/salir/").status_code == 405
    assert client.post("/salir/", data={"csrf_token": token_of(client)}).location == "/entrar/"
    assert client.get("/staff/").location == "/entrar/?next=/staff/"


@pytest.mark.parametrize("wanted, reached", [
    ("/staff/?a=1", "/staff/?a=1"),
    ("//evil.example/", "/inicio/"),
    ("https://evil.example/", "/inicio/"),
    ("/\\evil.example", "/inicio/"),
    ("", "/inicio/"),
])  # fmt: skip
def test_log_in_leads_back_but_never_away(app: Flask, wanted: str, reached: str) -> None:
    make_staff(app)
    assert log_in(app.test_client(), "ana@example.com", next=wanted).location == reached


def test_a_lost_session_sends_the_whole_page_to_the_log_in(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/staff/?page=2").location == "/entrar/?next=/staff/?page%3D2"
    fragment = client.get("/staff/", headers={**HTMX, "HX-Current-URL": "http://localhost/ajustes/correo/?x=1"})
    assert fragment.status_code == 401
    assert fragment.text == ""
    assert fragment.headers["HX-Redirect"] == "/entrar/?next=/ajustes/correo/?x%3D1"
    elsewhere = client.get("/staff/", headers={**HTMX, "HX-Current-URL": "https://evil.example/"})
    assert elsewhere.headers["HX-Redirect"] == "/entrar/"
    restored = client.get("/staff/", headers={"HX-History-Restore-Request": "true"})
    assert restored.status_code == 401


def test_whoever_is_deactivated_is_out_at_the_next_request(app: Flask) -> None:
    boss, other = signed_in(app), signed_in(app, "luis@example.com", "support")
    assert other.get("/cuenta/clave/").status_code == 200
    with app.app_context(), transaction():
        service.set_active("luis@example.com", False)
    assert other.get("/cuenta/clave/").status_code == 302
    assert log_in(app.test_client(), "luis@example.com").status_code == 422
    with app.app_context(), transaction():
        service.set_active("luis@example.com", True)
    assert other.get("/cuenta/clave/").status_code == 302
    assert boss.get("/staff/").status_code == 200


def test_the_switch_alone_is_enough_to_keep_somebody_out(app: Flask) -> None:
    client = signed_in(app)
    with app.app_context(), transaction():
        service.find("ana@example.com").active = False
    assert client.get("/cuenta/clave/").status_code == 302


def test_a_grant_and_a_withdrawal_count_from_the_next_request(app: Flask) -> None:
    client = signed_in(app, "luis@example.com", "support")
    assert client.get("/staff/").status_code == 403
    with app.app_context(), transaction():
        service.grant("luis@example.com", "staff:manage")
    assert client.get("/staff/").status_code == 200
    with app.app_context(), transaction():
        service.revoke("luis@example.com", "staff:manage")
    assert client.get("/staff/").status_code == 403


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(app: Flask) -> None:
    here = signed_in(app)
    there = app.test_client()
    log_in(there, "ana@example.com")
    fields = {"csrf_token": token_of(here), "old": PASSWORD, "new": "a wholly new password"}
    differ = here.post("/cuenta/clave/", data={**fields, "again": "something else"})
    assert differ.status_code == 422
    assert "Las dos contraseñas nuevas no coinciden." in differ.text
    wrong = here.post("/cuenta/clave/", data={**fields, "old": "wrong", "again": fields["new"]})
    assert wrong.status_code == 422
    assert "La contraseña actual no es correcta." in wrong.text
    short = here.post("/cuenta/clave/", data={**fields, "new": "short", "again": "short"})
    assert short.status_code == 422
    assert "al menos 10 caracteres" in short.text
    assert there.get("/staff/").status_code == 200
    assert here.post("/cuenta/clave/", data={**fields, "again": fields["new"]}).status_code == 303
    assert here.get("/staff/").status_code == 200
    assert there.get("/staff/").status_code == 302
    assert log_in(app.test_client(), "ana@example.com").status_code == 422
    assert log_in(app.test_client(), "ana@example.com", fields["new"]).status_code == 303


def test_guessing_at_one_account_is_stopped_and_others_go_on(app: Flask) -> None:
    make_staff(app)
    make_staff(app, "luis@example.com", "support")
    client = app.test_client()
    codes = [log_in(client, "ana@example.com", f"guess {number}").status_code for number in range(8)]
    assert codes == [422] * 6 + [429] * 2
    stopped = log_in(client, "ANA@example.com")
    assert stopped.status_code == 429
    assert "Demasiados intentos" in stopped.text
    assert PASSWORD not in stopped.text
    assert log_in(app.test_client(), "luis@example.com").status_code == 303


def test_guessing_from_many_addresses_at_one_account_is_stopped(app: Flask) -> None:
    make_staff(app)
    codes = []
    for number in range(32):
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"10.1.0.{number + 1}"
        codes.append(log_in(client, "ana@example.com", "guess").status_code)
    assert codes == [422] * 30 + [429] * 2


def test_guessing_at_many_accounts_from_one_address_is_stopped(app: Flask) -> None:
    client = app.test_client()
    codes = [log_in(client, f"x{number}@example.com", "guess").status_code for number in range(62)]
    assert codes == [422] * 60 + [429] * 2
    elsewhere = app.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "10.9.9.9"
    make_staff(app)
    assert log_in(elsewhere, "ana@example.com").status_code == 303


def test_logging_in_often_locks_nobody_out(app: Flask) -> None:
    make_staff(app)
    assert {log_in(app.test_client(), "ana@example.com").status_code for _ in range(10)} == {303}


def test_log_in_works_while_redis_is_away(app: Flask, redis_server: object) -> None:
    make_staff(app)
    redis_server.stop()  # type: ignore[attr-defined]
    try:
        assert log_in(app.test_client(), "ana@example.com").status_code == 303
        codes = [log_in(app.test_client(), "ana@example.com", "guess").status_code for _ in range(8)]
        assert codes[-1] == 429
    finally:
        redis_server.start()  # type: ignore[attr-defined]
        limiter._storage_dead = False  # else it would look only after a while
        limiter._fallback_storage.reset()  # type: ignore[union-attr]


def test_a_forged_session_id_is_nobody(app: Flask) -> None:
    client = signed_in(app)
    for forged in ("1", "1.1", "1.x", "-1.0", "999.0", "1.0.0", ""):
        with client.session_transaction() as session:
            session["_user_id"] = forged
        assert client.get("/cuenta/clave/").status_code == 302, forged


def test_logged_in_already_the_log_in_leads_on(app: Flask) -> None:
    """Two tabs with the form: the second finds the person logged in, and goes where it was to go."""
    make_staff(app)
    client = app.test_client()
    old = token(client.get("/entrar/?next=/staff/").text)
    log_in(client, "ana@example.com")
    assert client.get("/entrar/?next=/staff/").location == "/staff/"
    assert client.get("/entrar/?next=//evil.example/").location == "/inicio/"
    fields = {"csrf_token": old, "email": "ana@example.com", "password": PASSWORD, "next": "/staff/"}
    second = client.post("/entrar/", data=fields)
    assert second.location == "/entrar/?next=/staff/"
    assert client.get(second.location).location == "/staff/"
    fields["next"] = "https://evil.example/"
    assert client.post("/entrar/", data=fields).location == "/entrar/"


def test_a_form_sent_in_a_lost_session_leads_back_to_its_page(app: Flask) -> None:
    client = signed_in(app)
    data = {"csrf_token": token_of(client), "name": "Ana"}
    with app.app_context(), transaction():
        service.find("ana@example.com").session_epoch += 1
    sent = client.post("/staff/1/", data=data, headers={"Referer": "http://localhost/staff/1/?a=1"})
    assert sent.location == "/entrar/?next=/staff/1/?a%3D1"
    elsewhere = client.post("/staff/1/", data=data, headers={"Referer": "https://evil.example/"})
    assert elsewhere.location == "/entrar/"


def test_it_is_said_that_the_session_has_ended(app: Flask) -> None:
    """Ended from elsewhere, or with the cookies gone: in both cases nothing was saved, and that is what is said."""
    client = signed_in(app)
    data = {"csrf_token": token_of(client), "name": "Ana"}
    assert "Su sesión terminó" not in app.test_client().get("/staff/", follow_redirects=True).text
    with app.app_context(), transaction():
        service.find("ana@example.com").session_epoch += 1
    assert "Su sesión terminó. Inicie sesión de nuevo." in client.get("/staff/", follow_redirects=True).text
    lost = "Su sesión terminó; no se guardó nada. Inicie sesión y vuelva a escribirlo."
    assert lost in client.post("/staff/1/", data=data, follow_redirects=True).text
    bare = app.test_client()
    sent = bare.post("/staff/1/", data=data, headers={"Referer": "http://localhost/staff/1/"})
    assert sent.location == "/entrar/?next=/staff/1/"
    assert lost in bare.get(sent.location).text
    partial = app.test_client().post("/staff/1/", data=data, headers=HTMX)
    assert (partial.status_code, partial.headers["HX-Redirect"]) == (401, "/entrar/")


def test_how_long_to_wait_is_said_rightly(app: Flask) -> None:
    make_staff(app)
    for number in range(31):
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"10.1.0.{number + 1}"
        answer = log_in(client, "ana@example.com", "guess")
    assert "Demasiados intentos. Espere una hora e intente de nuevo." in answer.text
    reset = app.test_client()
    fields = {"csrf_token": token(reset.get("/entrar/recuperar/").text), "email": "x@example.com"}
    stopped = [reset.post("/entrar/recuperar/", data=fields) for _ in range(6)][-1]
    assert stopped.status_code == 429
    assert "Espere una hora" in stopped.text
    assert 'name="password"' not in stopped.text


def test_guesses_from_all_addresses_of_one_network_are_those_of_one(app: Flask) -> None:
    make_staff(app)
    codes = []
    for number in range(8):
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"2001:db8:1:2::{number + 1:x}"
        codes.append(log_in(client, "ana@example.com", "guess").status_code)
    assert codes == [422] * 6 + [429] * 2
    neighbour = app.test_client()
    neighbour.environ_base["REMOTE_ADDR"] = "2001:db8:1:3::1"
    assert log_in(neighbour, "ana@example.com", "guess").status_code == 422


def test_nobody_is_locked_out_of_a_device_that_is_known(app: Flask) -> None:
    browser, second = signed_in(app), app.test_client()
    browser.post("/salir/", data={"csrf_token": token_of(browser)})
    stranger = app.test_client()
    stranger.environ_base["REMOTE_ADDR"] = "10.1.0.1"
    codes = [log_in(stranger, "ana@example.com", "guess").status_code for _ in range(7)]
    for number in range(26):
        stranger.environ_base["REMOTE_ADDR"] = f"10.2.0.{number + 1}"
        codes.append(log_in(stranger, "ana@example.com", "guess").status_code)
    assert codes[-1] == 429
    assert log_in(second, "ana@example.com").status_code == 429  # elsewhere the account waits
    assert log_in(browser, "ana@example.com").status_code == 303
    make_staff(app, "luis@example.com", "support")
    browser.post("/salir/", data={"csrf_token": token_of(browser)})
    codes = [log_in(browser, "luis@example.com", "guess").status_code for _ in range(7)]
    assert codes == [422] * 6 + [429]  # of another account it knows nothing


def test_guesses_at_the_same_moment_are_counted_before_they_are_judged(app: Flask) -> None:
    make_staff(app)
    browsers = [app.test_client() for _ in range(12)]
    tokens = [token(browser.get("/entrar/").text) for browser in browsers]

    def guess(number: int) -> int:
        fields = {"csrf_token": tokens[number], "email": "ana@example.com", "password": "guess"}
        return int(browsers[number].post("/entrar/", data=fields).status_code)

    with ThreadPoolExecutor(12) as threads:
        codes = sorted(threads.map(guess, range(12)))
    assert codes == [422] * 6 + [429] * 6


def test_what_failed_is_written_down_without_what_was_typed(app: Flask) -> None:
    make_staff(app)
    log_in(app.test_client(), "ana@example.com", "my-secret-guess")
    log_in(app.test_client(), "my-secret-password", "x")
    with app.app_context():
        query = sa.select(AuditEntry).where(AuditEntry.action == "staff.log_in_failed").order_by(AuditEntry.id)
        lines = session().scalars(query).all()
    assert [(line.actor, line.ip, line.target) for line in lines] == [
        ("visitor", "127.0.0.1", "staff:ana@example.com"), ("visitor", "127.0.0.1", "staff"),
    ]  # fmt: skip
    assert "my-secret" not in str([(line.target, line.after) for line in lines])
