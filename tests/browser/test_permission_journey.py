"""A permission is given, used and taken away again: two people in two browsers."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_company, make_router, make_zone
from tests.support import web
from tests.support.staff import PASSWORD, make_staff
from wisp.core.audit import AuditEntry
from wisp.core.db import session
from wisp.schedules.models import PeriodicTask

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
TOGGLE = 'input[name="permission"][value="periodic_tasks:toggle"]'
SWITCHES = '[data-kind="cut"]'


def enter(page: Any, email: str) -> None:
    page.goto("/entrar/")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/entrar/" not in address)


@pytest.fixture
def other_page(browser: Any, live: str) -> Iterator[Any]:
    """The second person's browser."""
    context = browser.new_context(base_url=live, locale="es-ES")
    page = context.new_page()
    faults = web.PageFaults(page)
    yield page
    context.close()
    assert not faults.seen, faults.seen


def enabled(app: Flask) -> bool:
    with app.app_context():
        return bool(session().scalars(sa.select(PeriodicTask.enabled).where(PeriodicTask.kind == "cut")).one())


def test_a_permission_is_given_used_and_taken_away(app: Flask, page: Any, other_page: Any) -> None:
    make_staff(app)
    make_staff(app, "teresa@example.com", "technician")
    with app.app_context():
        make_company(name="Red del Valle")
        zone = make_zone(make_router(name="Torre"), name="Centro")
        zones = f"/router/{zone.router_id}/zonas/"
    enter(page, "ana@example.com")
    enter(other_page, "teresa@example.com")

    other_page.goto(zones)
    assert other_page.locator(f"{SWITCHES} button").count() == 0
    assert "Activar y Desactivar Tareas Periódicas" in other_page.inner_text("main")

    # the administrator gives it, by its words
    page.goto("/staff/")
    page.click("text=Teresa")
    page.click("nav[aria-label=Secciones] >> text=Permisos")
    assert not page.is_checked(TOGGLE)
    page.check("text=Activar y Desactivar Tareas Periódicas")
    page.click("button:has-text('Guardar')")
    page.wait_for_selector("#toasts .toast")
    assert page.is_checked(TOGGLE)

    # the person switches the cut of the zone off, without logging in again
    other_page.reload()
    other_page.click(f"{SWITCHES} button")
    other_page.wait_for_selector(f"{SWITCHES} >> text=Inactiva")
    assert not enabled(app)

    # it is taken away while the page with the switch is still open
    page.uncheck(TOGGLE)
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.click("button:has-text('Guardar')")
    page.wait_for_selector("#toasts .toast")
    assert not page.is_checked(TOGGLE)
    other_page.click(f"{SWITCHES} button")
    other_page.wait_for_selector("#toasts [data-kind=danger] >> text=No tiene permiso para esto")
    assert not enabled(app)

    # a new page shows it read-only, and a forged request is refused
    other_page.goto(zones)
    assert other_page.locator(f"{SWITCHES} button").count() == 0
    assert "Inactiva" in other_page.inner_text(SWITCHES)
    status = other_page.evaluate(
        """async (address) => {
            const headers = JSON.parse(document.body.getAttribute('hx-headers:inherited'));
            const body = new URLSearchParams({kind: 'cut', enabled: 'on'});
            return (await fetch(address, {method: 'POST', headers, body})).status;
        }""",
        f"{zones}{zone.id}/tareas/",
    )
    assert status == 403
    assert not enabled(app)

    # and the audit page tells the story
    page.goto("/auditoria/?q=teresa")
    assert "Permisos modificados" in page.inner_text("#audit-table")
    page.goto("/auditoria/?actor=staff:teresa@example.com")
    story = page.inner_text("#audit-table")
    assert "Tarea activada o desactivada" in story
    with app.app_context():
        switched = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "task.switch")).all()
        assert [(entry.actor, entry.after) for entry in switched] == [("staff:teresa@example.com", {"enabled": False})]
