"""The frame: deny by default, pages and partials, headers, error pages, CSRF."""

import html
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, abort
from flask.testing import FlaskClient

from tests.support.staff import log_in, make_staff, signed_in, token, token_of
from wisp.core import audit, config
from wisp.core.db import transaction
from wisp.core.embedded_redis import EmbeddedRedis
from wisp.core.errors import Refused, messages
from wisp.core.permissions import Permission
from wisp.factory import create_app
from wisp.web import access, authenticated, go, public, render, render_dialog, requires, safe_path, toast
from wisp.web.proxy import TrustedProxies

ROOT = Path(__file__).resolve().parents[2]
BOOT = """
import wisp.demo
from wisp.factory import create_app
from wisp.web import public
wisp.demo.setup = lambda app: app.add_url_rule("/t/bare", "bare_view", {view})
create_app()
print("started")
"""
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Current-URL": "http://localhost/staff/"}


@pytest.fixture
def app(redis_server: EmbeddedRedis) -> Iterator[Flask]:
    """An application of its own with a few views more; the shared one must keep its map of addresses."""
    from tests.conftest import environment_of
    from tests.support.databases import SqliteDatabase
    from wisp.core import config
    from wisp.core.db import db
    from wisp.core.extensions import limiter

    database = SqliteDatabase()
    database.fresh()
    made = create_app(config.load(environment_of(database, redis_server)))
    made.testing = True
    with made.app_context():
        limiter.reset()
    add_views(made)
    yield made
    with made.app_context():
        db.session.remove()
        db.engine.dispose()


def add_views(app: Flask) -> None:
    """What the tests ask for."""

    @app.get("/t/partial")
    @requires(Permission.CLIENTS_VIEW)
    def partial():  # type: ignore[no-untyped-def]
        return render(
            "frame/page_probe.html", "errors/problem.html", {"other": "auth/password.html"}, code=1, form=None
        )

    @app.get("/t/dialog")
    @authenticated
    def dialog():  # type: ignore[no-untyped-def]
        return render_dialog("frame/dialog_probe.html", "Probe")

    @app.get("/t/boom")
    @public
    def boom():  # type: ignore[no-untyped-def]
        raise ZeroDivisionError

    @app.get("/t/refused")
    @public
    def refused():  # type: ignore[no-untyped-def]
        raise Refused("staff.last_admin")

    @app.get("/t/gone")
    @public
    def gone():  # type: ignore[no-untyped-def]
        abort(404)

    @app.route("/t/toast", methods=["GET", "POST"])
    @public
    def toasting():  # type: ignore[no-untyped-def]
        toast("Guardado: ñandú")
        return go("/entrar/")

    @app.get("/t/plain-toast")
    @public
    def plain_toast():  # type: ignore[no-untyped-def]
        toast("Guardado: ñandú", "warning")
        return "<p>done</p>"

    @app.get("/t/actor")
    @public
    def actor():  # type: ignore[no-untyped-def]
        return f"{audit.actor().name} {audit.actor().ip}"

    from jinja2 import ChoiceLoader, DictLoader

    page = '{% extends "base.html" %}{% block content %}<div id="probe-table"></div>{% endblock %}'
    probe = DictLoader({"frame/dialog_probe.html": "<p id=probe>inside</p>", "frame/page_probe.html": page})
    app.jinja_env.loader = ChoiceLoader([probe, app.jinja_env.loader])  # type: ignore[list-item]


def test_a_view_without_a_mark_stops_the_start(app: Flask) -> None:
    app.add_url_rule("/t/bare", "bare", lambda: "anybody")
    with pytest.raises(access.UnmarkedView, match="bare"):
        access.check(app)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_slice_with_an_unmarked_view_stops_the_start(environment: dict[str, str]) -> None:
    """The real start, as the web server and every command make it: it ends, names the view, and serves nothing."""

    def start(view: str) -> subprocess.CompletedProcess[str]:
        code = BOOT.format(view=view)
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)

    bare = start("lambda: 'anybody'")
    assert (bare.returncode, bare.stdout) == (1, "")
    assert "UnmarkedView: views without @requires, @authenticated or @public: bare_view" in bare.stderr
    marked = start("public(lambda: 'anybody')")
    assert (marked.returncode, marked.stdout) == (0, "started\n"), marked.stderr


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_behind_tls_every_cookie_is_for_tls_alone(app: Flask, environment: dict[str, str]) -> None:
    """By the public address, whatever the environment is called."""
    base = "https://wisp.example.com"
    client = create_app(config.load({**environment, "WISP_URL": base})).test_client()
    page = client.get("/entrar/", base_url=base)
    data = {"csrf_token": token(page.text), "language": "en"}
    answer = client.post("/idioma/", data=data, base_url=base, headers={"Referer": f"{base}/entrar/"})
    cookies = [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"session", "wisp_language"}
    assert all("; Secure" in cookie for cookie in cookies)


def test_what_a_statement_was_given_stands_in_no_log(app: Flask) -> None:
    with app.app_context(), pytest.raises(sa.exc.DBAPIError) as error, transaction() as s:
        s.execute(sa.text("SELECT nothing_like_it FROM staff_user WHERE email = :email"), {"email": "se@cret"})
    assert "se@cret" not in str(error.value)


def test_every_view_of_the_program_says_who_may_open_it(app: Flask) -> None:
    marks = {
        rule.endpoint: getattr(app.view_functions[rule.endpoint], access.MARK) for rule in app.url_map.iter_rules()
    }
    open_to_all = {
        endpoint for endpoint, mark in marks.items() if mark == access.PUBLIC and not endpoint.startswith("portal.")
    }
    expected = {"static", "auth.start", "auth.login", "auth.logout", "auth.language"}
    expected |= {"auth.code", "auth.forgotten", "auth.by_link", "health.alive", "health.ready"}
    ours = {"boom", "refused", "gone", "toasting", "plain_toast", "actor"}
    assert open_to_all == expected | ours


def test_a_view_added_without_a_mark_is_refused_at_run_time_too(app: Flask) -> None:
    app.add_url_rule("/t/bare", "bare", lambda: "anybody")
    assert app.test_client().get("/t/bare").status_code == 302
    assert signed_in(app).get("/t/bare").status_code == 403


def test_without_a_permission_it_is_403_with_it_200(app: Flask) -> None:
    assert signed_in(app, "eva@example.com", "cashier").get("/t/partial").status_code == 200
    other = signed_in(app, "sin@example.com", "cashier", clients_view=False)
    answer = other.get("/t/partial")
    assert answer.status_code == 403
    assert "No tiene permiso para esto" in answer.text
    assert "Permiso necesario: “Ver los clientes”" in html.unescape(answer.text)
    assert 'class="wisp-nav"' in answer.text


def test_the_page_and_its_partials_stand_at_the_same_address(app: Flask) -> None:
    client = signed_in(app)
    page = client.get("/t/partial")
    assert "<html" in page.text
    assert "Personal" in page.text
    fragment = client.get("/t/partial", headers={**HTMX, "HX-Target": "div#table"})
    assert "errors" not in fragment.text
    assert '<h1 class="empty-title"' in fragment.text
    full = client.get("/t/partial", headers={"HX-Request": "true", "HX-Request-Type": "full"})
    assert full.text.count('id="probe-table"') == page.text.count('id="probe-table"') == 1
    for answer in (page, fragment):
        assert {"HX-Request-Type", "HX-Target"} <= set(answer.vary.as_set(preserve_casing=True))
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_dialog_is_a_fragment_for_htmx_and_a_page_of_its_own_without(app: Flask) -> None:
    client = signed_in(app)
    assert client.get("/t/dialog", headers={**HTMX, "HX-Target": "div#dialog-body"}).text == "<p id=probe>inside</p>"
    page = client.get("/t/dialog").text
    assert "<p id=probe>inside</p>" in page
    assert '<h1 class="page-title">Probe</h1>' in page


def test_every_answer_carries_the_strict_policy(app: Flask) -> None:
    client = app.test_client()
    for address in ("/entrar/", "/nada/", "/static/app.js", "/staff/"):
        headers = client.get(address).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert "no-store" not in client.get("/static/app.js").headers.get("Cache-Control", "")


def test_no_page_holds_what_the_policy_forbids(app: Flask) -> None:
    import re

    client = signed_in(app)
    for address in ("/entrar/", "/staff/", "/ajustes/correo/", "/ajustes/facturacion/", "/nada/"):
        text = client.get(address).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), address
        assert not re.search(r"\s(on[a-z]+|style)=", text), address
        assert "hx-on" not in text, address


def test_htmx_is_loaded_before_everything_and_not_deferred(app: Flask) -> None:
    text = app.test_client().get("/entrar/").text
    head = text[: text.index("</head>")]
    line = next(part for part in head.splitlines() if "htmx.min.js" in part)
    assert "defer" not in line
    assert head.index("htmx.min.js") < head.index("app.js")
    config = json.loads(head.split("content='")[1].split("'>")[0])
    assert config["history"] == "reload"
    assert "5xx" in config["noSwap"]


@pytest.mark.parametrize("address, code, words", [
    ("/nada/", 404, "Esta página no existe"),
    ("/t/gone", 404, "Esta página no existe"),
    ("/t/refused", 409, "No se puede quitar al último administrador."),
])  # fmt: skip
def test_an_error_is_a_page_or_a_message(app: Flask, address: str, code: int, words: str) -> None:
    page = signed_in(app).get(address)
    assert page.status_code == code
    assert words in page.text
    assert "<html" in page.text
    fragment = app.test_client().get(address, headers=HTMX)
    if address == "/nada/":
        assert fragment.status_code == 404
    assert fragment.text == ""
    assert fragment.headers["HX-Reswap"] == "none"
    said = json.loads(fragment.headers["HX-Trigger"])["toast"]["messages"]
    assert said[0]["kind"] == "danger"
    assert said[0]["text"].startswith(words)


def test_an_unexpected_error_says_so_and_shows_nothing_of_the_program(app: Flask) -> None:
    app.testing = False
    answer = app.test_client().get("/t/boom")
    assert answer.status_code == 500
    assert "Algo falló de nuestro lado" in answer.text
    assert "ZeroDivision" not in answer.text
    fragment = app.test_client().get("/t/boom", headers=HTMX)
    assert fragment.status_code == 500
    assert fragment.text == ""


def test_a_post_without_a_token_changes_nothing(app: Flask) -> None:
    client = signed_in(app)
    fields = {"old": "correct horse battery staple", "new": "another long password", "again": "another long password"}
    assert client.post("/cuenta/clave/", data=fields).status_code == 400
    from_htmx = client.post("/cuenta/clave/", data=fields, headers=HTMX)
    assert from_htmx.headers["HX-Refresh"] == "true"
    assert log_in(app.test_client(), "ana@example.com").status_code == 303


def test_the_token_may_come_in_the_header_that_htmx_sends(app: Flask) -> None:
    client = signed_in(app)
    answer = client.post("/salir/", headers={**HTMX, "X-CSRFToken": token_of(client)})
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/entrar/"


def test_a_toast_survives_a_redirect_and_reaches_htmx_in_a_header(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/t/toast").status_code == 303
    assert "Guardado: ñandú" in client.get("/entrar/").text
    assert "Guardado: ñandú" not in client.get("/entrar/").text
    said = json.loads(client.get("/t/plain-toast", headers=HTMX).headers["HX-Trigger"])
    assert said["toast"]["messages"] == [{"text": "Guardado: ñandú", "kind": "warning"}]
    moved = client.get("/t/toast", headers=HTMX)
    assert moved.headers["HX-Redirect"] == "/entrar/"
    assert "HX-Trigger" not in moved.headers
    assert "Guardado: ñandú" in client.get("/entrar/").text


@pytest.mark.parametrize("address, path", [
    ("/clientes/?q=1", "/clientes/?q=1"),
    ("http://localhost/clientes/", "/clientes/"),
    ("//evil.example/x", None),
    ("https://evil.example/x", None),
    ("////evil.example/x", None),
    ("http://local/", None),
    ("https://localhost/", None),
    ("http://localhost.evil.example/", None),
    ("http://localhost@evil.example/", None),
    ("/\\evil.example", None),
    ("\\\\evil.example", None),
    ("/\t/evil.example", None),
    ("javascript:alert(1)", None),
    ("clientes", None),
    ("http://[", None),
    ("", None),
    (None, None),
])  # fmt: skip
def test_only_our_own_addresses_are_safe(app: Flask, address: str | None, path: str | None) -> None:
    with app.test_request_context():
        assert safe_path(address) == path


def test_the_actor_is_the_visitor_and_does_not_stay(app: Flask) -> None:
    assert app.test_client().get("/t/actor").text == "visitor 127.0.0.1"
    assert signed_in(app).get("/t/actor").text == "staff:ana@example.com 127.0.0.1"
    assert audit.actor() == audit.SYSTEM


def test_an_unknown_refusal_is_shown_with_its_values() -> None:
    assert str(Refused("nobody.wrote.this", client="C1")) == "nobody.wrote.this (client=C1)"


def test_every_sentence_of_a_refusal_can_be_filled_in(app: Flask) -> None:
    import re

    with app.test_request_context():
        for code, text in messages.items():
            names = re.findall(r"%\((\w+)\)", str(text))
            assert str(Refused(code, **dict.fromkeys(names, "x"))), code


class TestProxies:
    """Who the visitor is behind a proxy."""

    def seen(self, environ: dict[str, str], trusted: tuple[str, ...] = ("10.0.0.0/8",)) -> tuple[str, str]:
        found: dict[str, str] = {}

        def application(environ, start):  # type: ignore[no-untyped-def]
            found.update(environ)
            return []

        whole = {"REMOTE_ADDR": "10.0.0.2", "wsgi.url_scheme": "http", **environ}
        list(TrustedProxies(application, trusted)(whole, lambda *_: None))
        return found["REMOTE_ADDR"], found["wsgi.url_scheme"]

    def test_a_stranger_may_write_what_it_wants(self) -> None:
        headers = {"REMOTE_ADDR": "203.0.113.9", "HTTP_X_FORWARDED_FOR": "1.2.3.4", "HTTP_X_FORWARDED_PROTO": "https"}
        assert self.seen(headers) == ("203.0.113.9", "http")

    def test_a_named_proxy_is_believed_up_to_the_first_stranger(self) -> None:
        headers = {"HTTP_X_FORWARDED_FOR": "1.1.1.1, 203.0.113.9, 10.0.0.7", "HTTP_X_FORWARDED_PROTO": "https"}
        assert self.seen(headers) == ("203.0.113.9", "https")

    def test_rubbish_leaves_the_proxy_as_the_visitor(self) -> None:
        assert self.seen({"HTTP_X_FORWARDED_FOR": "<script>, nothing"}) == ("10.0.0.2", "http")


def test_the_language_is_the_persons_choice(app: Flask) -> None:
    client: FlaskClient = app.test_client()
    assert "Iniciar sesión" in client.get("/entrar/").text
    data = {"csrf_token": token(client.get("/entrar/").text), "language": "en", "next": "//evil.example/"}
    answer = client.post("/idioma/", data=data)
    assert answer.location == "/inicio/"
    assert "Log in" in client.get("/entrar/").text
    log_in(client, make_staff(app))
    other = app.test_client()
    log_in(other, "ana@example.com")
    data = {"csrf_token": token_of(other), "language": "en"}
    other.post("/idioma/", data=data)
    third = app.test_client()
    log_in(third, "ana@example.com")
    assert "Change password" in third.get("/cuenta/clave/").text
