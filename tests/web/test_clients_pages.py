"""Pages of clients and plans: who may what, forms, the import with its review, the same few statements."""

import io
import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import signed_in, token_of
from wisp.clients import csvfile, search, views
from wisp.clients.models import Client, ClientImport, Plan
from wisp.clients.texts import REFUSALS
from wisp.core import crypto
from wisp.core.db import db, session, transaction
from wisp.core.scope import Scope
from wisp.routers.models import Zone

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
READ = ["/clientes/", "/clientes/C1/", "/clientes/C1/datos/", "/clientes/C1/conexion/", "/clientes/C1/facturacion/",
        "/clientes/accion/exportar/", "/planes/"]  # fmt: skip


@pytest.fixture
def client_id(app: Flask) -> int:
    """A client C1 of zone Norte, found by the search."""
    with app.app_context():
        zone = factories.make_zone(factories.make_router(name="Torre"), name="Norte")
        found = factories.make_client(zone, factories.make_plan(name="Casa"), code="C1", name="Ana Núñez").id
        with transaction():
            search.index([found])
        return found


def stored(app: Flask, code: str = "C1") -> Client:
    with app.app_context():
        found = session().scalars(sa.select(Client).where(Client.code == code)).one()
        session().expunge(found)
        return found


def post(client: FlaskClient, url: str, **data: Any) -> Any:
    return client.post(url, data={"csrf_token": token_of(client), **data})


DATA = {"name": "Ana Núñez", "language": "es", "email": "", "phone": "", "legal_name": "", "tax_id": "",
        "fiscal_address": "", "installed_on": ""}  # fmt: skip
CONNECTION = {"connection": "static", "address": "", "mac": "", "username": "", "password": ""}


@pytest.mark.usefixtures("client_id")
@pytest.mark.parametrize(
    ("role", "edits", "cancels", "imports"),
    [("admin", True, True, True), ("finance", True, False, False), ("support", True, False, False),
     ("technician", True, False, False), ("cashier", False, False, False)],
)  # fmt: skip
def test_who_may_what(app: Flask, role: str, edits: bool, cancels: bool, imports: bool) -> None:
    browser = signed_in(app, role=role)
    for url in READ:
        assert browser.get(url).status_code == 200, url
    assert browser.get("/clientes/accion/nuevo/").status_code == (200 if edits else 403)
    assert browser.get("/clientes/accion/importar/").status_code == (200 if imports else 403)
    assert browser.get("/planes/nuevo/").status_code == (200 if role == "admin" else 403)
    for url in ("datos/", "conexion/", "facturacion/", "facturacion/propia/"):
        status = post(browser, f"/clientes/C1/{url}").status_code
        assert (status == 403) is not edits, url
    assert (post(browser, "/clientes/C1/cancelar/").status_code == 403) is not cancels
    assert (stored(app).cancelled_at is not None) is cancels
    assert app.test_client().get("/clientes/").status_code == 302


@pytest.mark.usefixtures("client_id")
def test_out_of_scope_is_404(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = signed_in(app)
    with app.app_context():
        zone_id = factories.make_client(code="C2").zone_id
    monkeypatch.setattr(views, "scope", lambda: Scope(frozenset({zone_id})))  # a person limited to that zone
    for url in READ[1:5]:
        assert browser.get(url).status_code == 404, url
        assert browser.get(url.replace("C1", "C2")).status_code == 200, url
    assert post(browser, "/clientes/C1/cancelar/").status_code == 404
    page = browser.get("/clientes/?state=all").text
    assert "/clientes/C2/" in page
    assert "/clientes/C1/" not in page
    assert "C1" not in browser.get("/clientes/accion/exportar/").text
    assert browser.get("/clientes/nobody/").status_code == 404


@pytest.mark.usefixtures("client_id")
def test_the_list_searches_filters_and_answers_with_its_part(app: Flask) -> None:
    browser = signed_in(app)
    page = browser.get("/clientes/?q=nunez")
    assert "<html" in page.text
    assert "/clientes/C1/" in page.text
    part = browser.get("/clientes/?q=nunez", headers=PARTIAL)
    assert part.text.strip().startswith('<div id="clients-table"')
    assert "HX-Request-Type" in part.headers["Vary"]
    assert "/clientes/C1/" not in browser.get("/clientes/?q=pedro").text
    assert "/clientes/C1/" not in browser.get("/clientes/?state=cancelled").text
    for strange in ("zone=x", "zone=999999999999", "state=x", "billing=x", "sort=x", "page=x", "page=99", "q=%27"):
        assert browser.get(f"/clientes/?{strange}").status_code == 200, strange


def test_the_number_of_statements_does_not_grow(app: Flask) -> None:
    browser = signed_in(app)
    counts: dict[int, list[int]] = {}
    for size in (1, 120):
        with app.app_context():
            with transaction():
                search.index(factories.make_clients(size))
            engine = db.engine
        counts[size] = [_statements(engine, browser, url) for url in ("/clientes/", "/clientes/?q=cliente", "/planes/")]
    assert counts[1] == counts[120]
    assert max(counts[1]) <= 13


def _statements(engine: sa.Engine, browser: FlaskClient, url: str) -> int:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        assert browser.get(url).status_code == 200
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def test_adding_a_client(app: Flask) -> None:
    browser = signed_in(app)
    assert "/router/" in browser.get("/clientes/accion/nuevo/").text  # no zone yet: the page says where to begin
    with app.app_context():
        zone, plan = factories.make_zone().id, factories.make_plan().id
    new = {**DATA, **CONNECTION, "code": "N-1", "zone": zone, "plan": plan, "address": "10.0.0.5"}
    wrong = post(browser, "/clientes/accion/nuevo/", **{**new, "code": "a b", "address": "10.0.0.0/8", "name": ""})
    assert wrong.status_code == 422
    assert wrong.text.count('aria-invalid="true"') == 3
    answer = post(
        browser,
        "/clientes/accion/nuevo/",
        **new,
    )
    assert (answer.status_code, answer.location) == (303, "/clientes/N-1/")
    assert stored(app, "N-1").address == "10.0.0.5"
    taken = post(browser, "/clientes/accion/nuevo/", **{**new, "code": "N-2"})
    assert taken.status_code == 422
    assert "N-1" in re.search(r'id="address-error".*?</div>', taken.text, re.DOTALL)[0]  # type: ignore[index]
    assert 'id="code-error"' in post(browser, "/clientes/accion/nuevo/", **{**new, "address": ""}).text


def test_editing_changes_only_what_the_tab_shows(app: Flask, client_id: int) -> None:
    browser = signed_in(app)
    before = stored(app)
    with app.app_context():
        other = factories.make_zone(name="Sur").id
    same = {**DATA, "email": before.email, "plan": before.plan_id}
    answer = post(browser, "/clientes/C1/datos/", **{**same, "zone": other, "phone": "555"})
    assert answer.status_code == 303
    after = stored(app)
    assert (after.zone_id, after.phone, after.address, after.installed_on) == (other, "555", before.address, None)
    answer = post(browser, "/clientes/C1/conexion/", connection="pppoe", username="ana", password="pw", address="")
    assert answer.status_code == 303
    with app.app_context():
        assert crypto.decrypt(stored(app).password) == "pw"
    page = browser.get("/clientes/C1/conexion/").text
    assert "pw" not in re.findall(r'value="([^"]*)"', page)
    wrong = post(browser, "/clientes/C1/conexion/", connection="pppoe", username="", address="")
    assert wrong.status_code == 422
    assert 'id="username-error"' in wrong.text
    answer = post(browser, "/clientes/C1/facturacion/", free="y", no_cut_until="2026-12-31")
    assert answer.status_code == 303
    assert (stored(app).free, stored(app).no_notice, str(stored(app).no_cut_until)) == (True, False, "2026-12-31")


OWN = {"billing": "own", "this_month": "skip", "billing_type": "prepaid", "due_day": "12", "timezone": "",
       "invoices_day": "10",
       "invoices_time": "08:00", "notice_day": "13", "notice_time": "09:00", "cut_day": "15",
       "cut_time": "08:00"}  # fmt: skip


def test_the_other_fields_are_saved_shown_and_refused_where_they_are_typed(app: Flask, client_id: int) -> None:
    browser, before = signed_in(app), stored(app)
    same = {**DATA, "zone": before.zone_id, "plan": before.plan_id}
    typed = {
        "email": "ana@isp.mx, luis@isp.mx", "phone": "\u202a+52 55 1234\u202c", "phone2": "555-2",
        "service_address": "Calle 5", "coordinates": "19.4,-99.1", "note": "casa azul\r\nperro",
    }  # fmt: skip
    said = post(browser, "/clientes/C1/datos/", **{**same, **typed})
    assert said.status_code == 303
    page = browser.get("/clientes/C1/datos/").text
    assert "U+202A, U+202C" in page
    found = stored(app)
    assert (found.email, found.phone, found.phone2) == ("ana@isp.mx; luis@isp.mx", "+52 55 1234", "555-2")
    assert (found.coordinates, found.note) == ("19.4, -99.1", "casa azul\nperro")
    linked = post(browser, "/clientes/C1/conexion/", **{**CONNECTION, "networks": "203.0.113.8/29, 10.0.0.9"})
    assert linked.status_code == 303
    assert 'value="10.0.0.9 203.0.113.8/29"' in browser.get("/clientes/C1/conexion/").text
    shown = browser.get("/clientes/C1/").text
    for text in ("10.0.0.9 203.0.113.8/29", "luis@isp.mx", "Calle 5", 'href="geo:19.4,-99.1"', "perro", "555-2"):
        assert text in shown
    wrong = post(browser, "/clientes/C1/datos/", **{**same, "email": "josé@isp.mx", "phone": "5.2155E+11"})
    assert wrong.status_code == 422
    for name in ("email", "phone"):
        field = re.search(rf'<input[^>]*name="{name}"[^>]*>', wrong.text)
        assert field
        assert 'aria-invalid="true"' in field[0]
    assert post(browser, "/clientes/C1/conexion/", **{**CONNECTION, "networks": "10.0.0.5/24"}).status_code == 422
    secret = {**CONNECTION, "connection": "pppoe", "username": "ana", "password": "pw\u200b"}
    assert post(browser, "/clientes/C1/conexion/", **secret).status_code == 422


@pytest.mark.usefixtures("client_id")
def test_own_billing_and_back(app: Flask) -> None:
    browser = signed_in(app)
    assert post(browser, "/clientes/C1/facturacion/propia/", **{**OWN, "cut_day": "32"}).status_code == 422
    assert post(browser, "/clientes/C1/facturacion/propia/", **{**OWN, "preview": "1"}).status_code == 200
    assert not stored(app).own_billing
    assert post(browser, "/clientes/C1/facturacion/propia/", **OWN).status_code == 303
    assert stored(app).own_billing
    dates = browser.get("/clientes/C1/facturacion/fechas/", query_string=OWN, headers=PARTIAL)
    assert dates.text.count("<tr>") == 13
    assert post(browser, "/clientes/C1/facturacion/propia/", billing="zone").status_code == 303
    assert not stored(app).own_billing


@pytest.mark.usefixtures("client_id")
def test_a_cancelled_client_can_only_be_read(app: Flask) -> None:
    browser = signed_in(app)
    assert post(browser, "/clientes/C1/cancelar/").status_code == 303
    for url in READ[1:5]:
        page = browser.get(url)
        assert page.status_code == 200, url
        assert "/clientes/C1/cancelar/" not in page.text
    with app.app_context():
        zone, plan = session().scalar(sa.select(Zone.id)), session().scalar(sa.select(Plan.id))
    assert post(browser, "/clientes/C1/datos/", **{**DATA, "name": "B", "zone": zone, "plan": plan}).status_code == 422
    assert stored(app).name == "Ana Núñez"


# Import ----------------------------------------------------------------------------------------------

HEADER = ",".join(csvfile.BASE)
GOOD = f"{HEADER}\nN1,Uno,,,Norte,Casa,static,10.9.0.1,,,,,\nN2,Dos,,,Norte,Casa,pppoe,,,dos,s3cret,,\n"


def upload(browser: FlaskClient, text: str | bytes) -> str:
    """Upload a file; answers with the address of its review."""
    data = text.encode() if isinstance(text, str) else text
    answer = post(browser, "/clientes/accion/importar/", file=(io.BytesIO(data), "clients.csv"))
    assert answer.status_code == 303
    return str(answer.location)


def count(app: Flask) -> int:
    with app.app_context():
        return session().scalar(sa.select(sa.func.count()).select_from(Client)) or 0


def test_of_two_clicks_the_second_says_what_the_first_has_done(app: Flask, client_id: int) -> None:
    """Of two clicks a browser shows the second answer alone."""
    browser, client = signed_in(app), stored(app)
    new = {**DATA, **CONNECTION, "code": "N9", "name": " Eva Ruiz ", "zone": client.zone_id, "plan": client.plan_id}
    forms: list[tuple[str, dict[str, Any], str, str]] = [
        ("/clientes/accion/nuevo/", new, "/clientes/N9/", "El cliente está guardado."),
        ("/clientes/N9/datos/", {**new, "phone": "55 1234"}, "/clientes/N9/datos/", "Guardado."),
        ("/clientes/N9/facturacion/", {"no_cut": "y"}, "/clientes/N9/facturacion/", "Guardado."),
        ("/clientes/N9/cancelar/", {}, "/clientes/N9/", "Eva Ruiz está cancelado."),
        ("/planes/nuevo/", {"name": "Fibra", "price": "400", "down": "20M", "up": "5M", "active": "y"}, "/planes/",
         "El plan está guardado."),
    ]  # fmt: skip
    for url, data, target, said in forms:
        for _click in range(2):
            answer = post(browser, url, **data)
            assert (answer.status_code, answer.location) == (303, target), url
            assert said in browser.get(target).text, url
    assert count(app) == 2
    other = post(browser, "/clientes/accion/nuevo/", **{**new, "name": "Otra"})
    assert (other.status_code, "El código “N9” ya existe" in other.text) == (422, True)


@pytest.mark.usefixtures("client_id")
def test_nothing_is_written_before_the_confirmation_which_works_once(app: Flask) -> None:
    browser = signed_in(app)
    review = upload(browser, GOOD)
    page = browser.get(review)
    assert page.status_code == 200
    assert "N1" in page.text
    assert f'action="{review}"' in page.text
    assert "s3cret" not in page.text
    assert count(app) == 1
    with app.app_context():
        kept = session().scalars(sa.select(ClientImport.content)).one()
        assert "s3cret" not in kept
        assert "Uno" not in kept
    assert post(browser, review).status_code == 303
    assert count(app) == 3
    again = post(browser, review)
    assert (again.status_code, again.location) == (303, "/clientes/")
    assert browser.get(review).status_code == 303
    sentence = REFUSALS["clients.upload_done"]
    with app.test_request_context():
        said = str(sentence) % {"added": 2, "changed": 0}
    assert said in browser.get("/clientes/").text
    with app.app_context():
        done = session().scalars(sa.select(ClientImport)).one()
        assert (done.content, done.added, done.changed) == ("", 2, 0)


@pytest.mark.usefixtures("client_id")
def test_problems_are_listed_and_cannot_be_confirmed(app: Flask) -> None:
    browser = signed_in(app)
    review = upload(browser, f"{GOOD}N3,Tres,,,Oeste,Casa,static,10.9.0.1,,,,,\n")
    page = browser.get(review).text
    assert "Oeste" in page
    assert 'action="/clientes/accion/importar/' not in page
    assert post(browser, review).status_code == 422
    assert count(app) == 1


@pytest.mark.usefixtures("client_id")
def test_what_changed_meanwhile_is_seen_at_the_confirmation(app: Flask) -> None:
    browser = signed_in(app)
    review = upload(browser, GOOD)
    with app.app_context():
        zone = session().scalars(sa.select(Zone)).one()
        factories.make_client(zone, address="10.9.0.1", name="Primera")
    answer = post(browser, review)
    assert answer.status_code == 422
    assert "Primera" in answer.text
    assert count(app) == 2


@pytest.mark.usefixtures("client_id")
def test_an_upload_belongs_to_the_person_who_made_it(app: Flask) -> None:
    review = upload(signed_in(app), GOOD)
    other = signed_in(app, email="eve@example.com")
    assert other.get(review).status_code == 303
    assert post(other, review).status_code == 303
    assert count(app) == 1


@pytest.mark.usefixtures("client_id")
def test_strange_files_are_answered_with_their_reason(app: Flask) -> None:
    browser = signed_in(app)
    assert post(browser, "/clientes/accion/importar/").status_code == 422
    for data in (b"", b"\xff\xfe", b"code\n", HEADER.encode() + b"\n\0", b"<script>alert(1)</script>"):
        page = browser.get(upload(browser, data))
        assert page.status_code == 200
        assert "alert-danger" in page.text
        assert "<script>alert" not in page.text


@pytest.mark.usefixtures("client_id")
def test_the_exported_file_imports_again(app: Flask) -> None:
    browser = signed_in(app)
    exported = browser.get("/clientes/accion/exportar/?q=nunez")
    assert "attachment" in exported.headers["Content-Disposition"]
    assert exported.data.startswith(b"\xef\xbb\xbfcode,")
    page = browser.get(upload(browser, exported.data)).text
    assert "alert-success" in page


# Plans -----------------------------------------------------------------------------------------------


def test_plans(app: Flask) -> None:
    browser = signed_in(app)
    plan = {"name": "Casa", "price": "1,350.50", "down": "20M", "up": "", "active": "y"}
    assert post(browser, "/planes/nuevo/", **plan).status_code == 303
    assert post(browser, "/planes/nuevo/", **{**plan, "price": "9"}).status_code == 422
    assert post(browser, "/planes/nuevo/", **{**plan, "name": "B", "price": "x", "down": "fast"}).status_code == 422
    with app.app_context():
        found = session().scalars(sa.select(Plan)).one()
        assert (found.price, found.down, found.up, found.active) == (135_050, 20_000_000, 0, True)
        plan_id = found.id
    assert "1,350.50" in browser.get("/planes/").text
    assert 'value="20M"' in browser.get(f"/planes/{plan_id}/").text
    assert post(browser, f"/planes/{plan_id}/", name="Casa", price="10", down="", up="").status_code == 303
    with app.app_context():
        assert session().scalars(sa.select(Plan.active)).one() is False
    assert browser.get("/planes/99/").status_code == 404
    assert post(browser, "/planes/nuevo/", **{**plan, "name": "Negocio", "price": "5"}).status_code == 303
    by_price = browser.get("/planes/?sort=-price").text
    assert by_price.index("Casa") < by_price.index("Negocio")
    assert "Negocio" not in browser.get("/planes/?q=cas").text
    assert browser.get("/planes/exportar.csv?q=nego").text.splitlines()[1].startswith("Negocio,5.00,20M,")
