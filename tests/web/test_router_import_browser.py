"""The import from a router in a real browser: read, correct, import; it reads well everywhere, also without scripts."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.support import axe
from tests.support.access import LISTS, Site
from tests.support.staff import PASSWORD, make_staff
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.audit import AuditEntry as Audit
from wisp.core.db import session
from wisp.demo.routeros import Router, SimulatorServer
from wisp.routers.models import Router as RouterRow

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
SHOTS = os.environ.get("WISP_SHOTS", "")


def fill(router: Router) -> None:
    """One of everything: secrets with queues, one switched off, a lease, a user, lists."""
    router.load("/ppp/profile", [{"name": "casa-20", "local-address": "10.1.0.1", "rate-limit": "6M/30M"}])
    secret = {"service": "pppoe", "password": "x", "profile": "casa-20"}
    router.load(
        "/ppp/secret",
        [
            {**secret, "name": "ana.nunez", "remote-address": "10.1.0.5", "comment": "Ana Núñez Peña - casa azul"},
            {**secret, "name": "eva", "comment": "Eva", "disabled": "true"},
            {**secret, "name": "conocida", "remote-address": "10.1.0.44"},
            {**secret, "name": "nuevo", "remote-address": "10.1.0.45"},
        ],
    )
    router.load(
        "/queue/simple",
        [
            {"name": "cola ana", "target": "10.1.0.5/32,2001:db8:5::/64", "max-limit": "6M/30M"},
            {"name": "Luis Peña", "target": "10.1.0.6/32", "max-limit": "7M/7M"},
        ],
    )
    lease = {"mac-address": "02:00:00:00:00:07", "comment": "Ivón de la Cruz y Ramírez de Arellano"}
    router.load("/ip/dhcp-server/lease", [{"address": "10.1.0.7", **lease}])
    router.load("/ip/hotspot/user", [{"name": "sol", "password": "abc"}])
    router.load(
        LISTS,
        [{"list": "Morosos", "address": "10.1.0.5"}, {"list": "Avisos", "address": "10.1.0.7"},
         {"list": "wisp-overdue", "address": "10.1.0.6", "comment": "ajeno"},
         {"list": "soporte", "address": "10.9.0.1"}],
    )  # fmt: skip


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    make_staff(app)
    router = Router(users={"wisp": "secret"})
    fill(router)
    with SimulatorServer(router) as server:
        with app.app_context():
            made = Site(server, clients=0)
            zone = session().get_one(RouterRow, made.router_id)
            factories.make_zone(zone, name="Valle")
            factories.make_plan(name="Hogar 30", down=30_000_000, up=6_000_000)
            mine = session().get_one(factories.Zone, made.zone_id)
            factories.make_client(
                mine, code="C-1", name="Concha Ríos", connection="pppoe", username="conocida", address="10.1.0.43"
            )
            factories.make_client(mine, code="C-2", name="Otro Vecino", address="10.1.0.45", connection="pppoe",
                                  username="vecino")  # fmt: skip
        yield made
        made.close()


def enter(page: Any, path: str) -> None:
    page.goto(f"/entrar/?next={path}")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}")


def count_of(*where: Any) -> int:
    return session().scalar(sa.select(sa.func.count(Audit.id)).where(*where)) or 0


def shoot(page: Any, name: str) -> None:
    """Pictures for a person to look at, where a folder for them is named."""
    if not SHOTS:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for size in (axe.DESKTOP, axe.PHONE):
            page.set_viewport_size(size)
            page.evaluate(axe.SETTLED)
            page.screenshot(path=str(Path(SHOTS) / f"{name}-{size['width']}-{scheme}.png"), full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(axe.DESKTOP)


def test_read_correct_and_import(app: Flask, site: Site, page: Any) -> None:
    enter(page, f"/router/{site.router_id}/herramientas/")
    page.click("a:has-text('Importar clientes del router')")
    page.wait_for_url("**/importar/")
    axe.check(page)
    shoot(page, "import-start")
    page.click("button:has-text('Leer el router')")
    page.wait_for_selector("#lists")
    axe.check(page)
    shoot(page, "import-review")
    page.select_option("[aria-label='Tomar Morosos como']", label="Cortados")
    page.select_option("[name=all_zone]", label="Valle")
    page.select_option("[name=all_plan]", label="Hogar 30")
    page.click("button:has-text('Rellenar')")
    page.wait_for_selector("text=filas")
    page.fill("#row-1 input[type=email]", "sin arroba")
    page.keyboard.press("Enter")  # saves: the first button of the form
    page.wait_for_selector("#row-1 [aria-invalid=true]")
    axe.check(page)
    shoot(page, "import-wrong")
    page.fill("#row-1 input[type=email]", "ana@example.com")
    page.click("button:has-text('Importar ')")
    page.wait_for_selector("text=Importados: 4 nuevos")
    axe.check(page)
    shoot(page, "import-done")
    with app.app_context():
        client = session().query(Client).filter_by(code="ana.nunez").one()
        assert (client.email, client.zone.name) == ("ana@example.com", "Valle")
        queue.drain()
    page.click("a:has-text('Lo que cada cliente tiene en el router')")
    page.wait_for_url("**/clientes/")
    theirs = page.locator("#foreign tbody tr").count()
    assert theirs > 2
    axe.check(page)
    page.check("#foreign [data-select-all]")
    page.uncheck("#foreign tbody tr:first-child [data-select]")
    shoot(page, "adopt")
    page.click(f"button:has-text('Adoptar los marcados ({theirs - 1})')")
    page.wait_for_selector(f"text={theirs - 1} objetos ya son nuestros.")
    page.click("#foreign .card-body form button:has-text('Adoptar todos')")
    page.click("dialog button:has-text('Adoptar todos')")
    page.wait_for_selector("text=1 objeto ya es nuestro.")
    with app.app_context():
        queue.drain()
        assert count_of(Audit.action == "router.adopt_object") == theirs
    page.reload()
    assert page.locator("#foreign").count() == 0


def test_it_works_without_javascript(app: Flask, site: Site, browser: Any, live: str) -> None:
    context = browser.new_context(base_url=live, locale="es-ES", java_script_enabled=False)
    page = context.new_page()
    enter(page, f"/router/{site.router_id}/importar/")
    page.click("button:has-text('Leer el router')")
    page.wait_for_selector("#lists")
    page.select_option("[name=all_zone]", label="Valle")
    page.select_option("[name=all_plan]", label="Hogar 30")
    page.click("button:has-text('Rellenar')")
    page.wait_for_selector("#lists")
    page.click("button:has-text('Importar ')")
    page.wait_for_selector("h2:has-text('Importado')")
    with app.app_context():
        assert session().query(Client).filter_by(code="ana.nunez").count() == 1
    context.close()
