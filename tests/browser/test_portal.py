"""What a client sees on its phone: the notice until "Entendido", the cut page until it has paid; light and dark."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.support.access import CUT, NOTICE, Site, owe
from tests.unit.test_pictures import png
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.payments import service as payments
from wisp.settings import service as settings
from wisp.web.proxy import TrustedProxies

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]

PHONE, DESKTOP = {"width": 320, "height": 640}, {"width": 1280, "height": 800}
CONTRAST = """() => {
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
  return Math.min(...[...document.querySelectorAll('h1,h2,p,dt,dd,a,button')].map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); }));
}"""


@pytest.fixture
def site(app: Flask, router_sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A router with a client who has the notice and one who is cut; the browser speaks through a named proxy."""
    with app.app_context():
        made = Site(router_sim, clients=2, owing=False)
        owe(made.clients, due=clock.now().date() - timedelta(days=5))
        with transaction():
            settings.save_company({"name": "Red Norte", "phone": "555 100", "how_to_pay": "OXXO 1234 5678\nEn caja"})
            settings.set_logo(png(600, 180))
        with queue.inline():
            made.notify(made.clients[:1])
            made.cut(made.clients[1:])
    monkeypatch.setattr(app, "wsgi_app", TrustedProxies(app.wsgi_app, ["127.0.0.1"]))
    yield made
    made.close()


def come_from(app: Flask, page: Any, client_id: int) -> None:
    with app.app_context():
        page.set_extra_http_headers({"X-Forwarded-For": session().get_one(Client, client_id).address})


def on_lists(site: Site) -> set[str]:
    return {row[0] for row in site.ours()}


def look(page: Any, folder: Any, name: str) -> None:
    """The page reads well: the logo is there, nothing is cut off, enough contrast, a large button; in both widths and
    both schemes."""
    assert page.evaluate("document.querySelector('.logo img').naturalWidth") == 600
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.logo img')).backgroundColor") == "rgb(255, 255, 255)"
    )
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0
            assert page.evaluate(CONTRAST) >= 4.5
            page.screenshot(path=folder / f"{name}-{scheme}-{size['width']}.png", full_page=True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_a_notice_is_understood_and_off_the_router(app: Flask, page: Any, site: Site, tmp_path: Any) -> None:
    come_from(app, page, site.clients[0])
    page.goto("/aviso/")
    assert page.inner_text("h1") == "Aviso de pago"
    assert "$350.00" in page.inner_text("dl")
    look(page, tmp_path, "notice")
    page.set_viewport_size(PHONE)
    box = page.locator("button").bounding_box()
    assert box["height"] >= 44
    assert NOTICE in on_lists(site)
    page.click("text=Entendido")
    page.wait_for_selector("h1:has-text('Su cuenta')")
    assert page.locator("form").count() == 0
    with app.app_context():
        queue.drain()
    assert NOTICE not in on_lists(site)


def test_whoever_is_cut_pays_and_is_free(app: Flask, page: Any, site: Site, tmp_path: Any) -> None:
    come_from(app, page, site.clients[1])
    page.goto("/aviso/")
    assert page.inner_text("h1") == "Su servicio está suspendido"
    assert page.locator("form").count() == 0
    look(page, tmp_path, "cut")
    assert CUT in on_lists(site)
    with app.app_context():
        with transaction():
            client = session().get_one(Client, site.clients[1])
            payments.register(client, 35_000, method="cash")
        queue.drain()
    assert CUT not in on_lists(site)
    page.reload()
    assert page.inner_text("h1") == "Su cuenta"
    assert "No debe nada" in page.inner_text("main")
