""" "Aplicar ahora" in a real browser: the question, two clicks, live progress, boxes, keyboard, no JavaScript."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_company, make_router, make_zone
from tests.support.staff import PASSWORD, make_staff
from wisp.core.db import session, transaction
from wisp.schedules.models import PeriodicTask
from wisp.tasks import runner, service
from wisp.tasks.models import TaskRun

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


def enter(page: Any) -> None:
    page.goto("/entrar/?next=/tareas-periodicas/")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"//[^/]+/tareas-periodicas/$"))


@pytest.fixture
def task(app: Flask) -> int:
    """The invoice task of a zone with 25 clients."""
    make_staff(app)
    with app.app_context():
        make_company(name="Red del Valle")
        zone = make_zone(make_router(name="Torre", online=True), name="Centro")
        make_clients(25, zone, prefix="P")
        query = sa.select(PeriodicTask.id).where(
            PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == "invoices"
        )
        return session().scalars(query).one()


@pytest.fixture
def tasks_page(task: int, page: Any) -> Iterator[Any]:
    """The list of tasks, logged in."""
    enter(page)
    return page


def runs(app: Flask) -> list[int]:
    with app.app_context():
        return list(session().scalars(sa.select(TaskRun.id)))


def ask(page: Any, task: int) -> None:
    page.click(f"#task-{task} .wisp-actions button")
    page.wait_for_selector("#dialog[open] #plan-confirm")


def test_two_clicks_are_one_run_and_the_row_shows_it_until_it_is_done(app: Flask, tasks_page: Any, task: int) -> None:
    page, row = tasks_page, tasks_page.locator(f"#task-{task}")
    ask(page, task)
    assert "Crear 25 facturas" in page.inner_text("#plan-confirm")
    assert runs(app) == []
    page.dblclick("#plan-confirm")
    row.locator("progress").wait_for()
    page.wait_for_selector("#dialog:not([open])", state="attached")
    page.wait_for_selector("#toasts >> text=Creación de facturas, Centro")
    (run_id,) = runs(app)
    page.evaluate("document.body.dataset.probe = 'same page'")
    with app.app_context():
        runner.work(run_id, chunk=10)
    page.wait_for_selector(f"#task-{task}:not([hx-get])")
    assert "25 facturas creadas" in row.inner_text()
    polled: list[str] = []
    page.on("request", lambda request: polled.append(request.url))
    page.wait_for_timeout(1500)
    assert polled == []
    assert page.evaluate("document.body.dataset.probe") == "same page"


def test_a_box_takes_a_client_out_and_stays_over_pages_and_searches(app: Flask, tasks_page: Any, task: int) -> None:
    page = tasks_page
    ask(page, task)
    page.locator("input[name=hold]").first.check()
    page.wait_for_selector("#plan-confirm:has-text('Crear 24 facturas')")
    page.click("#plan-items a[rel=next]")
    page.wait_for_selector("#plan-items tbody tr:nth-child(5):last-child")
    page.locator("input[name=hold]").first.check()
    page.wait_for_selector("#plan-confirm:has-text('Crear 23 facturas')")
    page.fill("#plan-q", "P00001")
    page.wait_for_selector("#plan-items tbody tr:only-child")
    assert page.locator("input[name=hold]").is_checked()
    page.locator("input[name=hold]").press("Enter")
    page.wait_for_timeout(300)
    assert runs(app) == []
    page.click("#plan-confirm")
    page.locator(f"#task-{task} progress").wait_for()
    (run_id,) = runs(app)
    with app.app_context():
        runner.work(run_id)
        run = session().get_one(TaskRun, run_id)
        assert (run.invoiced, run.skipped) == (23, 2)


def test_who_is_left_out_opens_in_place(app: Flask, tasks_page: Any, task: int) -> None:
    with app.app_context(), transaction() as s:
        s.execute(sa.text("UPDATE client SET free = true WHERE id % 5 = 0"))
    ask(tasks_page, task)
    tasks_page.click("summary:has-text('Servicio gratuito')")
    tasks_page.wait_for_selector("#left-out-free tbody tr:nth-child(5)")


def test_an_open_run_is_shown_instead_of_the_question(app: Flask, tasks_page: Any, task: int) -> None:
    with app.app_context(), transaction():
        service.order(session().get_one(PeriodicTask, task))
    tasks_page.click(f"#task-{task} .wisp-actions button")  # the page is older than the run
    tasks_page.wait_for_selector("#dialog[open] progress")
    assert "ya tiene una ejecución abierta" in tasks_page.inner_text("#dialog")
    tasks_page.keyboard.press("Escape")
    tasks_page.wait_for_selector("#dialog:not([open])", state="attached")


def test_the_run_page_follows_the_run(app: Flask, tasks_page: Any, task: int) -> None:
    with app.app_context(), transaction():
        run_id = service.order(session().get_one(PeriodicTask, task)).id
    tasks_page.goto(f"/tareas-periodicas/ejecuciones/{run_id}/")
    tasks_page.wait_for_selector("#run-summary progress")
    with app.app_context():
        runner.work(run_id)
    tasks_page.wait_for_selector("#run-summary:not([hx-get]) :text('Exitoso')")
    tasks_page.wait_for_selector("#run-items:not([hx-get]) tbody tr:nth-child(25)")


def test_the_question_gives_the_focus_back_to_the_button_that_asked(tasks_page: Any, task: int) -> None:
    ask(tasks_page, task)
    tasks_page.wait_for_selector("#dialog-title:focus")
    tasks_page.keyboard.press("Escape")
    tasks_page.wait_for_selector(f"#task-{task} button:has-text('Aplicar ahora'):focus")


def test_a_search_keeps_the_order(tasks_page: Any) -> None:
    tasks_page.click("a.wisp-sort:has-text('Zona')")
    tasks_page.wait_for_url(re.compile("sort=zone"))
    tasks_page.fill("#q", "centro")
    tasks_page.wait_for_url(re.compile("q=centro"))
    assert "sort=zone" in tasks_page.url


def test_filtering_changes_the_address_and_keeps_the_focus(tasks_page: Any) -> None:
    tasks_page.fill("#q", "centro")
    tasks_page.wait_for_url(re.compile("q=centro"))
    tasks_page.wait_for_selector("#q:focus")
    tasks_page.select_option("select[name=kind]", "cut")
    tasks_page.wait_for_url(re.compile("kind=cut"))
    tasks_page.wait_for_selector("#tasks-table tbody tr:only-child")
    tasks_page.reload()
    assert tasks_page.locator("#tasks-table tbody tr").count() == 1
    assert tasks_page.input_value("#q") == "centro"


def test_it_works_without_javascript(app: Flask, task: int, live: str, browser: Any) -> None:
    context = browser.new_context(base_url=live, java_script_enabled=False)
    page = context.new_page()
    enter(page)
    page.click(f"#task-{task} .wisp-actions button")
    page.wait_for_url(re.compile(r"/aplicar\?plan="))
    page.locator("input[name=hold]").first.check()
    page.click("#plan-confirm")
    page.wait_for_url(re.compile(r"/ejecuciones/\d+/$"))
    (run_id,) = runs(app)
    with app.app_context():
        options = session().get_one(TaskRun, run_id).options
        assert options is not None
        assert len(options["hold"]) == 1
    context.close()
