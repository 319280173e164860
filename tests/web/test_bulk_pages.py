"""Pages of bulk actions: choose, confirm, done, undo; who may; one browser journey."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import PASSWORD, make_staff, signed_in, token_of
from tests.web.test_tasks_apply import text_of
from wisp.bulk import jobs, service, views
from wisp.bulk.models import BulkRun
from wisp.core.db import session
from wisp.routers.models import Zone
from wisp.schedules.models import PeriodicTask

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
HOME, SWITCH = "/acciones-masivas/", "/acciones-masivas/activar-tareas-periodicas/"
CUT_OFF = {"zone": "all", "invoices": "keep", "notice": "keep", "cut": "off"}


@pytest.fixture
def zones(app: Flask) -> list[int]:
    """Zones Norte (2 clients billed by it, 1 with own billing) and Sur (1 with own billing)."""
    with app.app_context():
        router = factories.make_router(name="Torre")
        north, south = factories.make_zone(router, name="Norte"), factories.make_zone(router, name="Sur")
        for code, zone, own in (("A1", north, None), ("A2", north, None), ("A3", north, {}), ("B1", south, {})):
            factories.make_client(zone, code=code, name=f"Cliente {code}", own=own)
        return [north.id, south.id]


def post(browser: FlaskClient, url: str, **data: Any) -> Any:
    return browser.post(url, data={"csrf_token": token_of(browser), **data})


def confirmed(browser: FlaskClient, page: str, **data: Any) -> Any:
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    return post(browser, SWITCH, **data, token=token[1], confirm="yes")


def off(app: Flask) -> int:
    with app.app_context():
        return session().scalar(sa.select(sa.func.count()).where(PeriodicTask.enabled.is_(False))) or 0


def test_choose_confirm_done_and_undo(app: Flask, zones: list[int]) -> None:
    browser = signed_in(app)
    page = browser.get(SWITCH).text
    for words in ("Activar", "Desactivar", "No cambiar", "Aplicar en todas las zonas", "Torre · Norte", "Aplicar"):
        assert words in page
    shown = post(browser, SWITCH, **CUT_OFF)
    assert shown.status_code == 200
    assert "4 cambios, en 2 zonas y 4 clientes" in text_of(shown.text)
    assert "Sí, estoy seguro" in shown.text
    assert shown.text.count("<strong>Inactiva</strong>") == 4
    assert off(app) == 0
    done = confirmed(browser, shown.text, **CUT_OFF)
    assert done.status_code == 303
    assert off(app) == 4
    page = browser.get(done.location).text
    assert "Listo: 4 cambios, en 2 zonas y 4 clientes." in page
    assert "Inactiva" in browser.get("/router/1/zonas/").text
    assert "Inactiva" in browser.get("/clientes/A3/facturacion/").text
    assert "Cliente B1" in page
    assert post(browser, f"{done.location}deshacer/").status_code == 303
    assert off(app) == 0
    assert "4 restaurados" in browser.get(done.location).text
    home = browser.get(HOME).text
    assert "Corte de servicio: desactivar · Todas las zonas" in text_of(home)
    assert "Deshecha" in home or "Deshecho" in home


def test_the_same_confirmation_twice_is_one_run(app: Flask, zones: list[int]) -> None:
    browser = signed_in(app)
    shown = post(browser, SWITCH, **CUT_OFF).text
    first, second = confirmed(browser, shown, **CUT_OFF), confirmed(browser, shown, **CUT_OFF)
    assert first.location == second.location
    # Of two clicks the browser may show the second answer alone: each says what was done, and it is said once.
    assert browser.get(first.location).text.count("Listo: 4 cambios") == 1
    assert confirmed(browser, shown, **CUT_OFF).location == first.location
    assert browser.get(first.location).text.count("Listo: 4 cambios") == 1
    other = confirmed(browser, shown, **{**CUT_OFF, "notice": "off"})
    assert other.location.endswith(SWITCH)
    assert off(app) == 4


def test_the_complete_list_is_a_file_before_and_after(
    app: Flask, zones: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SHOWN", 2)
    monkeypatch.setattr(service, "LISTED", 3)
    browser = signed_in(app)
    shown = post(browser, SWITCH, **CUT_OFF)
    assert "… y 2 más" in shown.text
    listed = post(browser, SWITCH, **CUT_OFF, list="csv")
    assert listed.mimetype == "text/csv"
    assert len(listed.text.strip().splitlines()) == 1 + 4
    assert "Sur,B1,Cliente B1,Corte de servicio,Activa,Inactiva" in listed.text
    assert off(app) == 0
    done = confirmed(browser, shown.text, **CUT_OFF)
    assert f"{done.location}cambios.csv" in browser.get(done.location).text
    made = browser.get(f"{done.location}cambios.csv").text
    assert "Norte,,Facturación por zona,Corte de servicio,Activa,Inactiva,Cambiado\r\n" in made
    assert len(made.strip().splitlines()) == 1 + 4


def test_the_second_of_two_clicks_on_undo_says_what_was_undone(app: Flask, zones: list[int]) -> None:
    browser = signed_in(app)
    done = confirmed(browser, post(browser, SWITCH, **CUT_OFF).text, **CUT_OFF)
    browser.get(done.location)
    for _click in range(2):
        assert post(browser, f"{done.location}deshacer/").status_code == 303
        page = browser.get(done.location).text
        assert "Deshecho: 4 cambios · 4 restaurados" in text_of(page)
        assert "Solo puede deshacerse" not in page
    assert off(app) == 0


@pytest.mark.parametrize("wrong", [{"zone": ""}, {"zone": "99"}, {"cut": "keep"}, {"cut": "maybe"}])
def test_a_choice_that_cannot_be_is_said_at_its_field(app: Flask, zones: list[int], wrong: dict[str, str]) -> None:
    assert post(signed_in(app), SWITCH, **{**CUT_OFF, **wrong}, token="a" * 32, confirm="yes").status_code == 422
    assert off(app) == 0


def test_who_may(app: Flask, zones: list[int]) -> None:
    finance = signed_in(app, "fin@example.com", role="finance")
    assert "activar-tareas-periodicas" not in finance.get(HOME).text
    assert "cambiar-plan" in finance.get(HOME).text
    assert finance.get(SWITCH).status_code == 403
    assert post(finance, SWITCH, **CUT_OFF, token="a" * 32, confirm="yes").status_code == 403
    assert signed_in(app, "sop@example.com", role="support").get(HOME).status_code == 403
    admin = signed_in(app)
    done = confirmed(admin, post(admin, SWITCH, **CUT_OFF).text, **CUT_OFF)
    assert post(finance, f"{done.location}deshacer/").status_code == 403
    assert finance.get(done.location).status_code == 200
    assert "deshacer" not in finance.get(done.location).text
    granted = signed_in(app, "ger@example.com", role="finance", periodic_tasks_toggle=True)
    assert granted.get(SWITCH).status_code == 200
    assert off(app) == 4


def test_a_large_one_is_left_to_a_worker_and_shows_its_progress(
    app: Flask, zones: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "AT_ONCE", 2)
    monkeypatch.setattr(service, "STEP", 3)
    browser = signed_in(app)
    done = confirmed(browser, post(browser, SWITCH, **CUT_OFF).text, **CUT_OFF)
    page = browser.get(done.location).text
    assert 'hx-trigger="every 1s"' in page
    assert "<progress" in page
    assert off(app) == 0
    with app.app_context():
        jobs.work(session().scalars(sa.select(BulkRun.id)).one())
    page = browser.get(done.location).text
    assert 'hx-trigger="every 1s"' not in page
    assert off(app) == 4


def test_the_other_actions(app: Flask, zones: list[int]) -> None:
    browser = signed_in(app)
    with app.app_context():
        plans = [str(factories.make_plan(name=name).id) for name in ("Viejo", "Nuevo")]
        factories.make_client(session().get_one(Zone, zones[0]), session().get_one(factories.Plan, int(plans[0])))
    shown = post(browser, f"{HOME}cambiar-plan/", zone="all", present=plans[0], new=plans[1])
    assert "1 cambio, en 1 zona y 1 cliente" in text_of(shown.text)
    assert "<strong>Nuevo</strong>" in shown.text
    assert post(browser, f"{HOME}cambiar-plan/", zone="all", present=plans[0], new=plans[0]).status_code == 422
    shown = post(browser, f"{HOME}excluir-del-corte/", zone=str(zones[1]), until="2099-01-31")
    assert "1 cambio, en 1 zona y 1 cliente" in text_of(shown.text)
    assert post(browser, f"{HOME}excluir-del-corte/", zone="all", until="2001-01-31").status_code == 422
    assert browser.get(f"{HOME}nada/").status_code == 404
    assert browser.get(f"{HOME}ejecuciones/99/").status_code == 404


@pytest.mark.browser
def test_in_a_browser(app: Flask, zones: list[int], page: Any) -> None:
    make_staff(app)
    page.goto(f"/entrar/?next={SWITCH}")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"activar-tareas-periodicas/$"))
    page.locator("fieldset:has-text('Corte de servicio')").get_by_label("Desactivar").check()
    page.select_option("#zone", "all")
    page.get_by_role("button", name="Aplicar", exact=True).click()
    page.wait_for_selector("text=4 cambios, en 2 zonas y 4 clientes")
    assert off(app) == 0
    page.get_by_role("button", name="Sí, estoy seguro").dblclick()
    page.wait_for_url(re.compile(r"/ejecuciones/\d+/$"))
    page.wait_for_selector("text=Listo: 4 cambios")
    assert off(app) == 4
    page.get_by_role("button", name="Deshacer").click()
    page.click("#confirm [data-confirm-yes]")
    page.wait_for_selector("text=4 restaurados")
    assert off(app) == 0
    page.goto(HOME)
    page.wait_for_selector("#history >> text=Corte de servicio: desactivar")
