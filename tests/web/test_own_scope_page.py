"""The second action on a zone's notice and cut rows: offered, shown with its reason, and its place in the dialog."""

import re
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.support.staff import signed_in, token_of
from tests.web.test_tasks_apply import Dialog, text_of
from wisp.core import clock
from wisp.core.db import session
from wisp.routers.models import Zone
from wisp.schedules.models import PeriodicTask
from wisp.tasks.models import TaskRun

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
OFFER = "Aplicar a clientes con facturación propia"


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(factories.moment("2026-11-24 10:00")):
        yield


@pytest.fixture
def tasks(app: Flask) -> dict[str, int]:
    """Task ids by zone and kind: "Propia" (2 clients, all own billing), "Mixta" (2 of 3 zone-billed), "Vacía"."""
    with app.app_context():
        router = factories.make_router(name="Torre")
        own, mixed = factories.make_zone(router, name="Propia"), factories.make_zone(router, name="Mixta")
        factories.make_zone(router, name="Vacía")
        for zone, billed in ((own, (0, 0)), (mixed, (1, 1, 0))):
            for by_zone in billed:
                client = factories.make_client(zone, own=None if by_zone else {})
                factories.make_invoice(client, due=date(2026, 11, 20))
        query = sa.select(PeriodicTask.id, PeriodicTask.kind, Zone.name).join(
            Zone, Zone.schedule_id == PeriodicTask.schedule_id
        )
        return {f"{name} {kind}": task_id for task_id, kind, name in session().execute(query)}


def row(page: str, task_id: int) -> str:
    """The HTML of one row of the list."""
    found = re.search(rf'<tr id="task-{task_id}".*?</tr>', page, re.DOTALL)
    assert found, f"no row of task {task_id}"
    return found[0]


def test_offered_disabled_with_its_reason_or_absent(app: Flask, tasks: dict[str, int]) -> None:
    page = signed_in(app).get("/tareas-periodicas/").text
    for kind in ("notice", "cut"):
        offered = row(page, tasks[f"Propia {kind}"])
        assert OFFER in offered
        assert 'name="own"' in offered
        assert " disabled" not in offered
        barred = row(page, tasks[f"Mixta {kind}"])
        assert 'name="own"' not in barred
        assert " disabled" in barred
        assert "2 de 3 clientes usan la facturación de la zona" in text_of(barred)
        assert "La zona no tiene clientes" in row(page, tasks[f"Vacía {kind}"])
    for zone in ("Propia", "Mixta"):
        assert OFFER not in row(page, tasks[f"{zone} invoices"])
    assert OFFER not in signed_in(app, "sop@example.com", role="support").get("/tareas-periodicas/").text
    assert OFFER not in signed_in(app, "eva@example.com").get("/tareas-periodicas/?owner=client").text


def test_a_mixed_zone_has_it_in_the_dialog(app: Flask, tasks: dict[str, int]) -> None:
    browser = signed_in(app)
    dialog = Dialog(browser, tasks["Mixta cut"])
    assert "Cortar 2 clientes" in dialog.text
    assert OFFER in dialog.text
    own = Dialog(browser, tasks["Mixta cut"], own="y")
    assert f"{OFFER}: Corte de servicio" in own.text
    assert "Cortar 1 cliente" in own.text
    assert OFFER not in Dialog(browser, tasks["Mixta invoices"]).text
    assert own.confirm().status_code == 200
    with app.app_context():
        assert [(run.scope, run.task_id) for run in session().scalars(sa.select(TaskRun))] == [
            ("own", tasks["Mixta cut"])
        ]


def test_holding_out_and_options_keep_it_on_own_billing(app: Flask, tasks: dict[str, int]) -> None:
    browser = signed_in(app)
    dialog = Dialog(browser, tasks["Propia cut"], own="y")
    shown = re.findall(r'name="shown" value="(\d+)"', dialog.html)
    answer = dialog.post("fuera", plan=dialog.plan, token=dialog.token, shown=shown, hold=shown[:1])
    assert "Cortar 1 cliente" in answer.text
    again = Dialog(browser, tasks["Propia cut"], own="y", plan=dialog.plan, include_not_due="y")
    assert "Cortar 1 cliente" in again.text
    again.confirm()
    with app.app_context():
        run = session().scalars(sa.select(TaskRun)).one()
        assert (run.scope, run.options) == ("own", {"hold": [int(shown[0])], "include_not_due": True, "own": True})


def test_it_is_refused_for_tasks_that_cannot_have_it(app: Flask, tasks: dict[str, int]) -> None:
    browser = signed_in(app)
    data = {"csrf_token": token_of(browser), "own": "y"}
    assert browser.post(f"/tareas-periodicas/{tasks['Propia invoices']}/simular", data=data).status_code >= 400
