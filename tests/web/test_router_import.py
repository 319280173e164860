"""The pages of the import from a router: read, correct, 422, import once, who may, other zones."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.access import CUT, LISTS
from tests.support.staff import log_in, make_staff, signed_in, token_of
from wisp.access.importing.models import RouterImport, RouterImportEntry, RouterImportRow
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.core.permissions import Permission
from wisp.demo.routeros import Router, SimulatorServer
from wisp.staff import changes, service

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
SECRETS = [
    {"name": "ana", "password": "s3creta", "service": "pppoe", "remote-address": "10.1.0.5", "comment": "Ana <b>Núñez"},
    {"name": "eva", "password": "otra", "service": "pppoe", "comment": "Eva"},
]


class Place:
    """A router with two secrets, one of them on Morosos; the browser of an administrator."""

    def __init__(self, app: Flask, server: SimulatorServer) -> None:
        self.app, self.server = app, server
        server.router.load("/ppp/secret", SECRETS)
        server.router.load(LISTS, [{"list": "Morosos", "address": "10.1.0.5", "comment": "viejo"}])
        with app.app_context():
            factories.make_company()
            router = factories.make_router(host=server.host, port=server.port)
            self.router_id, self.name = router.id, router.name
            self.zone_id = factories.make_zone(router, name="Centro").id
            self.other_zone_id = factories.make_zone(router, name="Orilla").id
            self.plan_id = factories.make_plan(name="Casa").id
        self.url = f"/router/{self.router_id}/importar/"

    def read(self, browser: FlaskClient) -> str:
        """Read the router; the address of the review."""
        answer = browser.post(self.url, data={"csrf_token": token_of(browser)})
        assert answer.status_code == 303, answer.text
        return str(answer.location)

    def post(self, browser: FlaskClient, url: str, do: str, **rows: dict[str, Any]) -> Any:
        """Press a button of the review; ``rows`` by code: what is typed there."""
        with self.app.app_context():
            ids = {row.code: row.id for row in session().scalars(sa.select(RouterImportRow))}
        data: dict[str, Any] = {"csrf_token": token_of(browser), "do": do, "row": [str(ids[code]) for code in rows]}
        for code, values in rows.items():
            data |= {f"r{ids[code]}-{name}": value for name, value in values.items()}
        return browser.post(url, data=data)

    def full(self, **values: Any) -> dict[str, Any]:
        """A row with everything that it needs."""
        return {"include": "on", "zone": self.zone_id, "plan": self.plan_id, **values}

    def clients(self) -> dict[str, Client]:
        with self.app.app_context():
            return {client.code: client for client in session().scalars(sa.select(Client))}


@pytest.fixture
def place(app: Flask) -> Iterator[Place]:
    with SimulatorServer(Router(users={"wisp": "secret"})) as server:
        yield Place(app, server)


def test_read_correct_and_import(place: Place) -> None:
    browser = signed_in(place.app)
    assert "Importar clientes del router" in browser.get(f"/router/{place.router_id}/herramientas/").text
    url = place.read(browser)
    page = browser.get(url).text
    assert "Ana &lt;b&gt;Núñez" in page
    assert "s3creta" not in page
    assert "Morosos" in page
    assert "Importar 2 clientes" in page
    assert place.clients() == {}
    saved = place.post(browser, url, "save", ana=place.full(name="Ana Núñez", phone="555 1"), eva=place.full())
    assert saved.status_code == 303
    assert place.clients() == {}
    assert 'value="Ana Núñez"' in browser.get(url).text
    done = place.post(browser, url, "confirm", eva=place.full(email="eva@example.com"))
    assert (done.status_code, done.location) == (303, place.url)
    clients = place.clients()
    assert {code: (client.name, client.zone_id) for code, client in clients.items()} == {
        "ana": ("Ana Núñez", place.zone_id), "eva": ("Eva", place.zone_id),
    }  # fmt: skip
    assert (clients["ana"].phone, clients["eva"].email) == ("555 1", "eva@example.com")
    page = browser.get(place.url).text
    assert "2 nuevos, 0 cambiados, 0 sin cambios" in page
    again = browser.get(url)
    assert (again.status_code, again.location) == (303, place.url)


def test_a_wrong_row_comes_back_at_its_field_and_nothing_is_lost(place: Place) -> None:
    browser = signed_in(place.app)
    url = place.read(browser)
    wrong = {"ana": place.full(email="no es", code="con espacio", balance="mucho"), "eva": place.full(name="Eva Paz")}
    for button in ("save", "confirm"):
        answer = place.post(browser, url, button, **wrong)
        assert answer.status_code == 422
        assert answer.text.count('aria-invalid="true"') == 3
        assert "correo al que se pueda enviar" in answer.text
        for typed in ("no es", "con espacio", "mucho", "Eva Paz"):
            assert f'value="{typed}"' in answer.text
        assert place.clients() == {}
        wrong = {"con espacio": wrong.get("ana", wrong.get("con espacio")), "eva": wrong["eva"]}
    assert "Con errores (1)" in browser.get(url).text
    page = browser.get(f"{url}?show=problems").text
    assert "con espacio" in page
    assert "Eva Paz" not in page
    done = place.post(browser, url, "confirm", **{"con espacio": place.full(code="A-1", email="", balance="")})
    assert done.status_code == 303
    assert set(place.clients()) == {"A-1", "eva"}


def test_without_zone_or_plan_each_row_says_so_and_the_choices_at_the_top_fill_them(place: Place) -> None:
    browser = signed_in(place.app)
    url = place.read(browser)
    answer = place.post(browser, url, "confirm")
    assert answer.status_code == 422
    assert answer.text.count("No puede quedar vacío.") == 4
    data = {"do": "fill", "all_zone": str(place.zone_id), "all_plan": str(place.plan_id)}
    assert browser.post(url, data={"csrf_token": token_of(browser), **data}).status_code == 303
    unticked = place.post(browser, url, "untick:")  # no status named: nothing is ticked off
    assert unticked.status_code == 303
    assert place.post(browser, url, "confirm", eva={"include": ""}).status_code == 303
    assert set(place.clients()) == {"ana", "eva"}


def test_unticked_rows_stay_out_and_nothing_ticked_is_said(place: Place) -> None:
    browser = signed_in(place.app)
    url = place.read(browser)
    answer = place.post(browser, url, "confirm", ana={}, eva={})
    assert answer.status_code == 303
    assert "no se importó nada" in browser.get(url).text
    assert place.clients() == {}
    assert place.post(browser, url, "confirm", eva=place.full()).status_code == 303
    assert set(place.clients()) == {"eva"}


def test_fifty_confirmations_at_once_import_once(place: Place) -> None:
    browser = signed_in(place.app)
    url = place.read(browser)
    place.post(browser, url, "save", ana=place.full(), eva=place.full())
    data = {"csrf_token": token_of(browser), "do": "confirm"}
    cookie = browser.get_cookie("session")
    assert cookie is not None

    def press(_number: int) -> int:
        other = place.app.test_client()
        other.set_cookie("session", cookie.value)
        return other.post(url, data=data).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(press, range(50))) == {303}
    with place.app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(Client)) == 2
        review = session().scalars(sa.select(RouterImport)).one()
        assert (review.added, review.changed) == (2, 0)
        assert session().scalars(sa.select(RouterImportRow)).all() == []


@sqlite
def test_filters_pages_and_search(place: Place) -> None:
    place.server.router.load("/ppp/secret", [{"name": f"u{n:03}", "service": "pppoe"} for n in range(120)])
    browser = signed_in(place.app)
    url = place.read(browser)
    page = browser.get(url).text
    assert len(re.findall(r'<tr id="row-', page)) == 50
    assert "1 / 3" in page
    moved = place.post(browser, url, "page:3", ana={"name": "Ana B"})
    assert moved.location.endswith("?show=all&page=3")
    assert len(re.findall(r'<tr id="row-', browser.get(moved.location).text)) == 22
    found = browser.post(url, data={"csrf_token": token_of(browser), "do": "show:new", "q": "Ana B"})
    assert found.location.endswith("?show=new&q=Ana+B")
    assert len(re.findall(r'<tr id="row-', browser.get(found.location).text)) == 1
    listed = browser.get(f"{url}?show=lists").text
    assert len(re.findall(r'<tr id="row-', listed)) == 1
    assert browser.post(url, data={"csrf_token": token_of(browser), "do": "untick", "status": "new"}).status_code == 303
    assert "Importar 0 clientes" in browser.get(url).text
    assert browser.get(f"{url}?show=nonsense&page=-4").status_code == 200


@sqlite
def test_a_review_can_be_continued_or_thrown_away_by_its_person_only(place: Place) -> None:
    browser = signed_in(place.app)
    url = place.read(browser)
    assert url in browser.get(place.url).text
    other = signed_in(place.app, "otra@example.com")
    assert url not in other.get(place.url).text
    for answer in (other.get(url), place.post(other, url, "confirm"), place.post(other, f"{url}descartar/", "")):
        assert (answer.status_code, answer.location) == (303, place.url)
    assert browser.get(url).status_code == 200
    assert place.post(browser, f"{url}descartar/", "").location == place.url
    assert browser.get(url).status_code == 303
    with place.app.app_context():
        assert session().scalars(sa.select(RouterImportEntry)).all() == []
    assert place.clients() == {}


@sqlite
def test_a_router_that_is_off_is_a_clear_answer(place: Place) -> None:
    browser = signed_in(place.app)
    place.server.switch(off=True)
    answer = browser.post(place.url, data={"csrf_token": token_of(browser)})
    assert answer.status_code == 200
    assert "No se pudo leer el router; no se escribió nada." in answer.text
    with place.app.app_context():
        assert session().scalars(sa.select(RouterImport)).all() == []


@sqlite
def test_lists_are_taken_over_and_entries_leave_only_with_the_right_to_edit_routers(place: Place) -> None:
    browser = signed_in(place.app, "tec@example.com", "technician", clients_import=True)
    url = place.read(browser)
    choice = {"csrf_token": token_of(browser), "do": "save", "lists": "yes", "list0": "cut", "remove0": "on"}
    limited = signed_in(place.app, "poca@example.com", routers_edit=False, clients_import=True, role="support")
    mine = place.read(limited)
    assert "Quitar de la lista anterior" not in limited.get(mine).text
    assert limited.post(mine, data={**choice, "csrf_token": token_of(limited)}).status_code == 403
    with place.app.app_context():
        numbers = [name for name, _count, clients in session().scalars(sa.select(RouterImport.lists)).first() or []]
    assert numbers == ["Morosos"]
    assert browser.post(url, data=choice).status_code == 303
    page = browser.get(url).text
    assert '<option value="cut" selected>' in page
    assert 'name="remove0" checked' in page
    with place.app.app_context(), transaction():
        session().execute(sa.update(RouterImportRow).values(zone_id=place.zone_id, plan_id=place.plan_id))
    with place.app.app_context(), transaction():
        service.revoke("tec@example.com", Permission.ROUTERS_EDIT)
    assert place.post(browser, url, "confirm").status_code == 403
    with place.app.app_context(), transaction():
        service.grant("tec@example.com", Permission.ROUTERS_EDIT)
    assert place.post(browser, url, "confirm").status_code == 303
    assert "Por quitar (1)" in browser.get(place.url).text
    with place.app.app_context():
        from wisp.core import queue

        queue.drain()
    rows = place.server.router.snapshot(LISTS)
    assert [(row["list"], row["address"]) for row in rows] == [(CUT, "10.1.0.5")]
    assert "Por quitar" not in browser.get(place.url).text


@sqlite
def test_who_is_limited_to_a_zone_imports_into_it_only(place: Place) -> None:
    email = make_staff(place.app, "zona@example.com", "support")
    with place.app.app_context(), transaction():
        factories.make_client(
            session().get_one(factories.Zone, place.other_zone_id), code="SECRETO", name="No Visible",
            connection="pppoe", username="eva", address=None,
        )  # fmt: skip
        user_id = service.find(email).id
        changes.set_permissions(user_id, frozenset(Permission), service.COMMAND_LINE)
        changes.set_zones(user_id, True, [place.zone_id], service.COMMAND_LINE)
    browser = place.app.test_client()
    log_in(browser, email)
    url = place.read(browser)
    page = browser.get(url).text
    assert "Orilla" not in page
    assert "SECRETO" not in page
    assert "No Visible" not in page
    assert "objetos de clientes de otras zonas (1)" in page
    forged = place.post(browser, url, "confirm", ana=place.full(zone=place.other_zone_id))
    assert forged.status_code == 422
    assert set(place.clients()) == {"SECRETO"}
    assert place.post(browser, url, "confirm", ana=place.full()).status_code == 303
    assert place.clients()["ana"].zone_id == place.zone_id
    with place.app.app_context():
        elsewhere = factories.make_zone().router_id
    open_review = place.read(browser)
    assert browser.get(open_review).status_code == 200
    with place.app.app_context(), transaction():
        changes.set_zones(user_id, True, [place.other_zone_id], service.COMMAND_LINE)
    assert browser.get(open_review).location == place.url
    assert browser.get(f"/router/{elsewhere}/importar/").status_code == 404
    assert browser.get(url.replace(f"/{place.router_id}/", f"/{elsewhere}/")).status_code == 404


@sqlite
@pytest.mark.parametrize("role, code", [("admin", 200), ("support", 403), ("technician", 403), ("finance", 403)])
def test_who_may_import(place: Place, role: str, code: int) -> None:
    browser = signed_in(place.app, role=role)
    assert browser.get(place.url).status_code == code
