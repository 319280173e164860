"""Pages of what clients have on their router: the tab "Conexión", the router's tools, the forms of the new fields."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import signed_in, token_of
from wisp.access.models import ClientProvision, RouterProvision
from wisp.access.provision import service
from wisp.clients.models import Client, Plan
from wisp.core import queue
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus
from wisp.routers.models import Router, Zone

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
CONNECTION = {"connection": "static", "address": "10.9.0.5", "address6": "", "mac": "", "username": "", "password": ""}


@pytest.fixture
def place(app: Flask, router_sim: SimulatorServer) -> SimulatorServer:
    """Router 1 is the simulated one, with client C1 who has a fixed address."""
    with app.app_context():
        factories.make_company()
        router = factories.make_router(name="Torre", host=router_sim.host, port=router_sim.port)
        zone = factories.make_zone(router, name="Norte")
        factories.make_client(zone, code="C1", name="Ana Núñez", address="10.9.0.5")
    return router_sim


def post(browser: FlaskClient, url: str, **data: Any) -> Any:
    return browser.post(url, data={"csrf_token": token_of(browser), **data})


def work(app: Flask) -> int:
    with app.app_context():
        return queue.drain()


def state(page: str) -> str:
    found = re.search(r'data-state="(\w+)"', page)
    assert found is not None
    return found[1]


def count(page: str, name: str) -> str:
    found = re.search(rf'data-count="{name}">.*?<dd[^>]*>(\d+)<', page, re.DOTALL)
    assert found is not None
    return found[1]


def test_a_client_is_written_by_its_button_and_the_tab_says_so(app: Flask, place: SimulatorServer) -> None:
    browser = signed_in(app, role="support")
    page = browser.get("/clientes/C1/conexion/").text
    assert state(page) == "pending"
    assert "Escribir en el router" in page
    assert post(browser, "/clientes/C1/conexion/escribir/").status_code in (302, 303)
    work(app)
    page = browser.get("/clientes/C1/conexion/").text
    assert state(page) == "done"
    assert "En el router" in page
    assert [row["comment"] for row in place.router.snapshot(menus.QUEUE)] == ["wisp:C1"]
    part = browser.get("/clientes/C1/conexion/router/", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert 'id="on-router"' in part.text
    assert "<html" not in part.text
    assert (
        post(signed_in(app, "caja@example.com", role="cashier"), "/clientes/C1/conexion/escribir/").status_code == 403
    )


def test_saving_the_form_writes_and_a_router_that_is_off_is_named(app: Flask, place: SimulatorServer) -> None:
    browser = signed_in(app)
    place.switch(off=True)
    post(browser, "/clientes/C1/conexion/", **{**CONNECTION, "address": "10.9.0.6", "address6": "2001:DB8::6"})
    work(app)
    page = browser.get("/clientes/C1/conexion/").text
    assert state(page) == "pending"
    assert "rechaza el puerto" in page or "API" in page
    place.switch(off=False)
    with app.app_context(), transaction():
        service.request([1])
    work(app)
    assert place.router.snapshot(menus.QUEUE)[0]["target"] == "10.9.0.6/32,2001:db8::6/128"
    page = browser.get("/clientes/C1/").text
    assert "2001:db8::6" in page
    page = post(browser, "/clientes/C1/conexion/", **{**CONNECTION, "address6": "10.0.0.1"})
    assert page.status_code == 422
    assert "no es una dirección IPv6" in page.text


def test_what_is_of_others_is_listed_and_adopted_one_by_one(app: Flask, place: SimulatorServer) -> None:
    place.router.load(menus.QUEUE, [{"name": "ana", "target": "10.9.0.5/32", "comment": "año".encode("cp1252")}])
    browser = signed_in(app)
    assert post(browser, "/router/1/clientes/").status_code in (302, 303)
    work(app)
    page = browser.get("/router/1/clientes/").text
    assert (count(page, "foreign"), count(page, "done")) == ("1", "0")
    assert "Ana Núñez" in page
    assert "Adoptar" in page
    assert state(browser.get("/clientes/C1/conexion/").text) == "foreign"
    assert place.router.snapshot(menus.QUEUE)[0]["name"] == "ana"
    technician = signed_in(app, "t@example.com", role="support")
    assert post(technician, "/router/1/clientes/adoptar/", client="C1").status_code == 403
    assert post(browser, "/router/1/clientes/adoptar/", client="C1").status_code in (302, 303)
    work(app)
    (row,) = place.router.snapshot(menus.QUEUE)
    assert (row["name"], row["comment"], row["max-limit"]) == ("wisp-C1", "wisp:C1", "5000000/20000000")
    page = browser.get("/router/1/clientes/").text
    assert (count(page, "foreign"), count(page, "done")) == ("0", "1")
    with app.app_context():
        entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "router.adopt_object")).one()
        assert entry.before["comment"] == "año"
        assert "name=ana target=10.9.0.5/32" in entry.before["object"]
    answer = post(browser, "/router/1/clientes/adoptar/", client="C1")  # there is nothing of others any more
    assert answer.status_code in (302, 303)
    assert post(browser, "/router/1/clientes/adoptar/", client="NADIE").status_code == 404


def test_the_ticked_and_then_all_others_are_adopted(app: Flask, place: SimulatorServer) -> None:
    numbers = range(1, 7)
    with app.app_context():
        zone = session().scalars(sa.select(Zone)).one()
        for n in numbers:
            factories.make_client(zone, code=f"D{n}", name=f"Cliente {n}", address=f"10.9.1.{n}")
        factories.make_client(factories.make_zone(factories.make_router()), code="OTRO", address="10.9.1.1")
    place.router.load(
        menus.QUEUE, [{"name": f"cola {n}", "target": f"10.9.1.{n}/32", "comment": f"Cliente {n}"} for n in numbers]
    )
    browser = signed_in(app)
    post(browser, "/router/1/clientes/")
    work(app)
    page = browser.get("/router/1/clientes/").text
    assert (count(page, "foreign"), count(page, "done")) == ("6", "1")
    assert len(re.findall(r'data-select form="adopt" name="client" value="D\d"', page)) == 6
    assert "¿Hacer nuestros los objetos de 6 clientes?" in page

    adopt = "/router/1/clientes/adoptar/"
    answer = browser.post(adopt, data={"csrf_token": token_of(browser)}, follow_redirects=True)
    assert "No se marcó nada." in answer.text
    data = {"csrf_token": token_of(browser), "client": ["D1", "D2", "OTRO"]}
    answer = browser.post(adopt, data=data, follow_redirects=True)
    assert "2 objetos ya son nuestros." in answer.text
    page = browser.get("/router/1/clientes/").text  # before the worker has been there
    assert (count(page, "foreign"), count(page, "pending")) == ("4", "2")
    assert len(re.findall(r'form="adopt" name="client"', page)) == 4
    work(app)
    page = browser.get("/router/1/clientes/").text
    assert (count(page, "foreign"), count(page, "done")) == ("4", "3")
    answer = browser.post(adopt, data={"csrf_token": token_of(browser), "all": "1"}, follow_redirects=True)
    assert "4 objetos ya son nuestros." in answer.text
    work(app)
    page = browser.get("/router/1/clientes/").text
    assert (count(page, "foreign"), count(page, "done")) == ("0", "7")
    assert {row["name"] for row in place.router.snapshot(menus.QUEUE)} == {"wisp-C1", *(f"wisp-D{n}" for n in numbers)}
    assert 'form="adopt"' not in page


def test_what_failed_is_listed_with_its_reason(app: Flask, place: SimulatorServer) -> None:
    place.fault("trap", "/queue/simple/add", message="failure: out of memory")
    browser = signed_in(app)
    post(browser, "/router/1/clientes/")
    work(app)
    page = browser.get("/router/1/clientes/").text
    assert count(page, "failed") == "1"
    assert "El router lo rechazó: failure: out of memory" in page or "failure: out of memory" in page
    assert "Próximo intento" in page


def test_the_router_form_switches_it_off_and_says_what_that_does(app: Flask, place: SimulatorServer) -> None:
    browser = signed_in(app)
    page = browser.get("/router/1/").text
    assert "no se escribe ni se quita nada" in page
    form = {
        "name": "Torre", "host": place.host, "port": place.port, "username": "wisp", "pppoe_cut": "disable",
        "ppp_base": "clientes", "hotspot_base": "",
    }  # fmt: skip
    assert post(browser, "/router/1/", **form).status_code in (302, 303)
    with app.app_context():
        router = session().get_one(Router, 1)
        assert (router.provision, router.pppoe_cut, router.ppp_base, router.hotspot_base) == (
            False, "disable", "clientes", "default",
        )  # fmt: skip
    post(browser, "/clientes/C1/conexion/escribir/")
    work(app)
    assert place.router.snapshot(menus.QUEUE) == []
    assert state(browser.get("/clientes/C1/conexion/").text) == "off"
    page = browser.get("/router/1/clientes/").text
    assert "no se escriben los clientes" in page
    assert "Escribir todo" not in page
    assert post(browser, "/router/1/", **form, provision="y").status_code in (302, 303)
    work(app)
    assert len(place.router.snapshot(menus.QUEUE)) == 1
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(ClientProvision)) == 1
        assert session().get_one(RouterProvision, 1).done > 0


@pytest.mark.usefixtures("place")
def test_the_plan_form_takes_a_profile(app: Flask) -> None:
    browser = signed_in(app)
    values = {"name": "Casa", "price": "350.00", "down": "20M", "up": "5M", "router_profile": "casa 20M", "active": "y"}
    assert post(browser, "/planes/nuevo/", **values).status_code in (302, 303)
    with app.app_context():
        plan = session().scalars(sa.select(Plan).where(Plan.name == "Casa")).one()
        assert plan.router_profile == "casa 20M"
        plan_id = plan.id
    assert 'value="casa 20M"' in browser.get(f"/planes/{plan_id}/").text
    answer = post(browser, f"/planes/{plan_id}/", **{**values, "router_profile": "x" * 65})
    assert answer.status_code == 422
    assert post(browser, f"/planes/{plan_id}/", **{**values, "router_profile": ""}).status_code in (302, 303)
    with app.app_context():
        assert session().get_one(Plan, plan_id).router_profile == ""


@pytest.mark.usefixtures("place")
def test_a_cancelled_client_has_no_button(app: Flask) -> None:
    browser = signed_in(app)
    post(browser, "/clientes/C1/cancelar/")
    work(app)
    page = browser.get("/clientes/C1/conexion/").text
    assert "Escribir en el router" not in page
    assert post(browser, "/clientes/C1/conexion/escribir/").status_code == 404
    with app.app_context():
        assert session().scalar(sa.select(Client.cancelled_at)) is not None
