"""The firewall rules in a real browser: check, install, watch it being done, take away; the same without JavaScript."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.access import Site
from tests.support.staff import PASSWORD, make_staff
from wisp.access.rules.wanted import MENUS
from wisp.core import queue
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.demo.routeros.seed import seed
from wisp.settings import service as settings

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
SHOTS = os.environ.get("WISP_SHOTS", "")


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    make_staff(app)
    router = Router(users={"wisp": "secret"})
    seed(router, 4)
    with SimulatorServer(router) as server:
        with app.app_context():
            made = Site(server)
            with transaction():
                settings.save_company({"page_servers": "203.0.113.10", "payment_hosts": "pay.example.net"})
        yield made
        made.close()


def enter(page: Any, path: str) -> None:
    page.goto(f"/entrar/?next={path}")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}")


def work(app: Flask) -> None:
    with app.app_context():
        queue.drain()


def snapshot(site: Site) -> dict[str, Any]:
    return {menu: site.server.router.snapshot(menu) for menu in MENUS}


def shoot(page: Any, name: str) -> None:
    """A picture for a person to look at, where a folder for them is named."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_check_install_and_remove(app: Flask, site: Site, page: Any) -> None:
    before = snapshot(site)
    enter(page, f"/router/{site.router_id}/herramientas/")
    page.click("a[href$='/reglas/']")
    page.wait_for_url("**/reglas/")
    page.evaluate("document.body.dataset.probe = 'same page'")
    page.click("#rules-read a:has-text('Revisar')")
    page.wait_for_selector("[data-check=order][data-state=bad]")
    assert page.evaluate("document.body.dataset.probe") == "same page"
    shoot(page, "rules-missing")
    page.click("button:has-text('Instalar')")
    page.wait_for_selector("#confirm[open]")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#rules-order:has-text('Instalando')")
    work(app)
    page.wait_for_selector("#rules-order:has-text('Instaladas y comprobadas')")
    page.click("#rules-read a:has-text('Revisar')")
    page.wait_for_selector("[data-check=order][data-state=good]")
    shoot(page, "rules-installed")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "rules-phone")
    page.click("button:has-text('Quitar')")
    page.wait_for_selector("#confirm[open]")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#rules-order:has-text('Quitando')")
    work(app)
    page.wait_for_selector("#rules-order:has-text('Quitadas')")
    assert snapshot(site) == before


def test_it_works_without_javascript(app: Flask, site: Site, browser: Any, live: str) -> None:
    context = browser.new_context(base_url=live, locale="es-ES", java_script_enabled=False)
    page = context.new_page()
    enter(page, f"/router/{site.router_id}/reglas/")
    page.click("button:has-text('Instalar')")
    page.wait_for_selector("#rules-order:has-text('Instalando')")
    work(app)
    page.click("#rules-order >> text=Actualizar")
    page.wait_for_selector("#rules-order:has-text('Instaladas y comprobadas')")
    page.click("text=Revisar")
    page.wait_for_selector("[data-check=order][data-state=good]")
    page.goto(f"/router/{site.router_id}/diferencia/")
    assert "exactamente lo que debe" in page.content()
    context.close()
