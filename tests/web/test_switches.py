"""Switching tasks on and off from the client's page, the router's page and the command line: reach and permission."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import signed_in, token_of
from wisp.core import clock
from wisp.core.db import session
from wisp.core.scope import Scope
from wisp.schedules.models import PeriodicTask

NOW = factories.moment("2026-11-10 10:00")
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
ZONE_URL, OWN_URL = "/router/1/zonas/1/tareas/", "/clientes/OWN/facturacion/tareas/"


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def world(app: Flask) -> dict[str, int]:
    """Schedules by name: two zones, a client of each billing in the first, one with own billing in the second."""
    with app.app_context():
        router = factories.make_router(name="Torre")
        north, south = factories.make_zone(router, name="Norte"), factories.make_zone(router, name="Sur")
        factories.make_client(north, code="ZON")
        own = factories.make_client(north, code="OWN", own={})
        other = factories.make_client(south, code="OTR", own={})
        return {
            "Norte": north.schedule_id, "Sur": south.schedule_id, "OWN": own.schedule_id or 0,
            "OTR": other.schedule_id or 0,
        }  # fmt: skip


def off(app: Flask, world: dict[str, int]) -> set[tuple[str, str]]:
    """(owner, kind) of what is switched off; fails where such a task still has a next run."""
    names = {schedule_id: name for name, schedule_id in world.items()}
    with app.app_context():
        tasks = session().scalars(sa.select(PeriodicTask)).all()
        assert all((task.next_at is not None) == task.enabled for task in tasks)
        return {(names[task.schedule_id], task.kind) for task in tasks if not task.enabled}


def switch(browser: FlaskClient, url: str, kind: str, enabled: str, **headers: str) -> Any:
    data = {"csrf_token": token_of(browser), "kind": kind, "enabled": enabled}
    return browser.post(url, data=data, headers=headers)


def test_each_way_reaches_exactly_its_own_tasks(app: Flask, world: dict[str, int]) -> None:
    browser = signed_in(app)
    assert switch(browser, ZONE_URL, "cut", "off").status_code == 303
    assert off(app, world) == {("Norte", "cut")}
    assert switch(browser, OWN_URL, "notice", "off").status_code == 303
    assert off(app, world) == {("Norte", "cut"), ("OWN", "notice")}
    switch(browser, ZONE_URL, "cut", "on")
    switch(browser, OWN_URL, "notice", "on")
    assert off(app, world) == set()


def test_the_part_that_comes_back_shows_the_new_state(app: Flask, world: dict[str, int]) -> None:
    browser = signed_in(app)
    answer = switch(browser, ZONE_URL, "cut", "off", **PARTIAL)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'id="switches-1"' in answer.text
    assert "Inactiva" in answer.text
    assert "Inactiva" in browser.get("/router/1/zonas/").text
    answer = switch(browser, OWN_URL, "cut", "off", **PARTIAL)
    assert 'id="switches"' in answer.text
    assert "Inactiva" in browser.get("/clientes/OWN/facturacion/").text
    tasks = browser.get("/tareas-periodicas/?owner=client").text
    assert "Inactiva" in tasks
    assert tasks.count("Aplicar ahora:") == 6


def test_switched_on_it_takes_the_next_future_occurrence(app: Flask, world: dict[str, int]) -> None:
    browser = signed_in(app)
    switch(browser, ZONE_URL, "cut", "off")
    with clock.frozen(factories.moment("2027-02-25 10:00")):
        switch(signed_in(app, "eva@example.com"), ZONE_URL, "cut", "on")
    with app.app_context():
        task = (
            session()
            .scalars(
                sa.select(PeriodicTask).where(PeriodicTask.schedule_id == world["Norte"], PeriodicTask.kind == "cut")
            )
            .one()
        )
        assert task.next_at == factories.moment("2027-03-22 08:00")


def test_without_the_permission_they_are_shown_and_refused(app: Flask, world: dict[str, int]) -> None:
    browser = signed_in(app, "tec@example.com", role="technician")
    for page in ("/router/1/zonas/", "/clientes/OWN/facturacion/"):
        html = browser.get(page).text
        assert "Tareas Periódicas" in html
        assert 'name="enabled"' not in html
    for url in (ZONE_URL, OWN_URL):
        assert switch(browser, url, "cut", "off").status_code == 403
        assert switch(browser, url, "cut", "off", **PARTIAL).status_code == 403
    assert off(app, world) == set()


def test_the_permission_does_not_lead_out_of_ones_zones(
    app: Flask, world: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in(app)
    for views in ("routers", "clients"):
        monkeypatch.setattr(f"wisp.{views}.views.scope", lambda: Scope(frozenset({2})))
    assert switch(browser, ZONE_URL, "cut", "off").status_code == 404
    assert switch(browser, OWN_URL, "cut", "off").status_code == 404
    assert off(app, world) == set()


def test_a_client_of_its_zone_has_no_switches(app: Flask, world: dict[str, int]) -> None:
    browser = signed_in(app)
    assert 'name="enabled"' not in browser.get("/clientes/ZON/facturacion/").text
    switch(browser, "/clientes/ZON/facturacion/tareas/", "cut", "off")
    assert off(app, world) == set()
    for data in ({"kind": "backup"}, {"enabled": "maybe"}, {}):
        posted = {"csrf_token": token_of(browser), "kind": "cut", "enabled": "off", **data}
        assert browser.post(ZONE_URL, data=posted).status_code == (400 if data else 303)


def test_on_the_command_line(app: Flask, world: dict[str, int]) -> None:
    runner = app.test_cli_runner()
    answer = runner.invoke(args=["zones", "switch", "Norte", "cut", "off", "--json"])
    assert json.loads(answer.stdout)["enabled"] == {"invoices": True, "notice": True, "cut": False}
    answer = runner.invoke(args=["clients", "switch", "OWN", "notice", "off", "--json"])
    assert json.loads(answer.stdout)["enabled"] == {"invoices": True, "notice": False, "cut": True}
    assert off(app, world) == {("Norte", "cut"), ("OWN", "notice")}
    answer = runner.invoke(args=["clients", "switch", "ZON", "notice", "off"])
    assert answer.exit_code == 1
    assert runner.invoke(args=["zones", "switch", "Norte", "backup", "off"]).exit_code == 2
