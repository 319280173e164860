"""The pages of periodic tasks: the list and its filters, a task, a run's ledger, a client's history."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_clients, make_company, make_invoice, make_router, make_zone, moment
from tests.support.staff import signed_in
from wisp.access.domain import Outcome, SyncReport
from wisp.core import audit, clock, events
from wisp.core.db import db, session, transaction
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.tasks import runner, service
from wisp.tasks.models import RunItem, TaskRun
from wisp.web import tables

NOW = moment("2026-11-10 10:00")
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
LIST = "/tareas-periodicas/"


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(NOW):
        yield


def task_of(zone: Any, kind: str = "invoices") -> PeriodicTask:
    query = sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind)
    return session().scalars(query).one()


def run_of(zone: Any, kind: str = "invoices") -> int:
    """A run ordered by hand and worked off as far as it goes without the router."""
    audit.act_as(audit.Actor("staff:ana@example.com"))
    with transaction():
        run_id = service.order(task_of(zone, kind)).id
    runner.work(run_id)
    return run_id


def answered(run_id: int, router_id: int, reached: bool = True, **other: Outcome) -> None:
    """The router's answer to a run, as the synchronisation reports it."""
    with transaction():
        run = session().get_one(TaskRun, run_id)
        kind = session().get_one(PeriodicTask, run.task_id).kind
        wanted = "cut" if kind == "cut" else "notice"
        items = session().scalars(sa.select(RunItem).where(RunItem.run_id == run_id, RunItem.state == "waiting")).all()
        outcomes = {i.client_id: Outcome("written", wanted, i.address or "", "", False) for i in items}
        outcomes.update({int(key[1:]): outcome for key, outcome in other.items()})
        report = SyncReport(run.sync_order or 0, reached, "" if reached else "timeout", "", outcomes if reached else {})
        events.router_synced.emit(router_id=router_id, report=report)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def row_of(page: str, task_id: int) -> str:
    found = re.search(rf'<tr id="task-{task_id}".*?</tr>', page, re.S)
    assert found, f"no row of task {task_id}"
    return found[0]


def statements(app: Flask, client: Any, url: str) -> int:
    """How many SQL statements the page at ``url`` takes."""
    with app.app_context():
        engine = db.engine
    seen: list[str] = []

    def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        assert client.get(url).status_code == 200
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def test_each_task_has_a_row_with_owner_next_run_state_and_counts(app: Flask) -> None:
    with app.app_context():
        zone = make_zone(make_router(name="Torre"), name="Centro")
        north = make_zone(name="Norte", timezone="America/Tijuana")
        make_clients(3, zone)
        run_of(zone)
        first, other = task_of(zone).id, task_of(north).id
    page = signed_in(app).get(LIST).text
    row = text_of(row_of(page, first))
    assert "Creación de facturas" in row
    assert "Centro" in row
    assert "15 nov 2026 12:00" in row
    assert "3 facturas creadas" in row
    assert "Pendiente" in row
    assert "10 nov 2026 10:00" in row
    assert "A mano" in row
    assert "Nunca aplicada" in row_of(page, other)
    assert "hora de Tijuana" in text_of(row_of(page, other))
    assert page.count("<tr id=") == 6


@pytest.mark.parametrize("owner", ["zone", "client"])
def test_the_number_of_statements_does_not_grow_with_the_rows(app: Flask, owner: str) -> None:
    with app.app_context():
        make_company()
        zone = make_zone()
        make_client(zone, own={})
        run_of(zone)
    client = signed_in(app)
    url = f"{LIST}?owner={owner}"
    client.get(url)
    few = statements(app, client, url)
    with app.app_context():
        router = make_router()
        for n in range(30):
            other = make_zone(router) if owner == "zone" else zone
            if owner == "client":
                make_client(zone, own={})
            elif n % 3 == 0:
                run_of(other)
        with transaction() as s:  # a missed month on a page costs one statement more, not one a row
            s.execute(sa.update(PeriodicTask).where(PeriodicTask.kind == "cut").values(state="missed"))
    many = statements(app, client, url)
    assert many <= few + 1


def test_filters_search_sort_and_page_stay_in_the_address(app: Flask) -> None:
    with app.app_context():
        zone = make_zone(make_router(name="Torre Uno"), name="Centro")
        make_zone(make_router(name="Cerro"), name="Norte")
        with transaction():
            task = task_of(zone, "cut")
            task.enabled, task.next_at = False, None
        cut, zone_id = task.id, zone.id
    client = signed_in(app)

    def rows(query: str) -> list[str]:
        part = client.get(LIST + query, headers={**PARTIAL, "HX-Target": "div#tasks-table"}).text
        assert "<html" not in part
        return re.findall(r'<tr id="task-(\d+)"', part)

    assert len(rows("")) == 6
    assert len(rows(f"?zone={zone_id}")) == 3
    assert len(rows("?kind=notice")) == 2
    assert rows("?state=inactive") == rows("?active=no") == [str(cut)]
    assert len(rows("?q=torre")) == 3
    assert rows("?q=nada") == []
    assert rows("?sort=-name") == rows("?sort=name")[::-1]
    assert len(rows("?zone=abc&kind=x&state=y&sort=z&page=-1")) == 6
    assert "Ninguna tarea coincide" in client.get(LIST + "?q=nada").text


def test_own_tasks_of_clients_have_their_tab_and_an_inactive_one_says_so(app: Flask) -> None:
    with app.app_context():
        owner = make_client(own={"moments": {"invoices": (10, 480), "notice": (13, 540), "cut": (15, 480)}}, name="Ana")
        with transaction():
            task = session().scalars(
                sa.select(PeriodicTask).where(PeriodicTask.schedule_id == owner.schedule_id, PeriodicTask.kind == "cut")
            ).one()  # fmt: skip
            task.enabled, task.next_at = False, None
        task_id = task.id
    client = signed_in(app)
    page = client.get(LIST + "?owner=client").text
    assert page.count("<tr id=") == 3
    row = text_of(row_of(page, task_id))
    assert "Ana" in row
    assert "Inactiva" in row
    assert "sin ejecución automática" in row
    assert f'id="task-{task_id}"' not in client.get(LIST).text


def test_a_missed_month_offers_to_be_applied_and_a_moved_run_says_where_to(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        with transaction() as s:
            missed, moved = task_of(zone, "notice"), task_of(zone, "cut")
            missed.state = "missed"
            s.add(Occurrence(task_id=missed.id, month=date(2026, 10, 1), due_at=clock.now(), state="missed"))
            moved.shift_days, moved.next_at = 3, (moved.next_at or clock.now()) + timedelta(days=3)
        missed_id, moved_id = missed.id, moved.id
    page = signed_in(app).get(LIST).text
    row = row_of(page, missed_id)
    assert "No aplicada" in row
    assert "Aplicar octubre" in text_of(row)
    assert 'name="month" value="2026-10"' in row
    assert "movido al 25 nov 2026 08:00" in text_of(row_of(page, moved_id))


def test_a_row_asks_for_itself_while_its_run_is_open_and_stops_by_its_own_shape(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        make_clients(4, zone)
        task_id = task_of(zone).id
        with transaction():
            run_id = service.order(task_of(zone)).id
    client = signed_in(app)
    url = f"/tareas-periodicas/{task_id}/fila"
    part = client.get(url, headers=PARTIAL).text
    assert part.lstrip().startswith(f'<tr id="task-{task_id}"')
    assert f'hx-get="{url}" hx-trigger="every 1s"' in part
    assert "<progress" in part
    assert "Aplicar ahora" not in text_of(part)
    with app.app_context():
        runner.work(run_id)
    part = client.get(url, headers=PARTIAL).text
    assert "hx-trigger" not in part.partition(">")[0]
    assert "4 facturas creadas" in part
    assert "<html" in client.get(url).text


def test_a_run_that_waits_says_why_and_what_happens_next(app: Flask) -> None:
    with app.app_context():
        router = make_router(
            name="Torre", online=False, offline_since=clock.now() - timedelta(hours=2), error="timeout"
        )
        zone = make_zone(router)
        for name in ("Ana", "Eva"):
            make_invoice(make_client(zone, name=name), due=date(2026, 10, 20))
        run_id = run_of(zone, "cut")
        answered(run_id, router.id, reached=False)
        task_id, router_id = task_of(zone, "cut").id, router.id
    client = signed_in(app)
    row = row_of(client.get(LIST).text, task_id)
    assert "2 esperan al router" in text_of(row)
    assert 'hx-trigger="every 10s"' in row
    url = f"/tareas-periodicas/ejecuciones/{run_id}/"
    page = client.get(url).text
    words = text_of(page)
    assert "2 clientes esperan al router Torre" in words
    assert "No responde desde 10 nov 2026 08:00." in words
    assert "Se aplicará cuando el router responda" in words
    assert len(re.findall(r'<tr id="item-', page)) == 2
    assert 'hx-trigger="every 5s"' in page
    with app.app_context():
        answered(run_id, router_id)
    page = client.get(url).text
    assert 'hx-trigger="every' not in page
    assert "Exitoso" in page
    assert "$350.00" in page


def test_the_ledger_filters_searches_and_exports(app: Flask) -> None:
    with app.app_context():
        make_company(currency="MXN")
        router = make_router()
        zone = make_zone(router)
        ana = make_client(zone, name="=Ana", code="ANA", address="10.9.0.1")
        make_invoice(ana, due=date(2026, 10, 20))
        eva = make_client(zone, name="Eva", code="EVA", address="10.9.0.2")
        make_invoice(eva, due=date(2026, 10, 20))
        make_invoice(make_client(zone, name="Leo", code="LEO"), due=date(2026, 11, 20))
        run_id = run_of(zone, "cut")
        refused = Outcome("failed", "cut", "10.9.0.2", "failure: no space left", False)
        answered(run_id, router.id, **{f"c{eva.id}": refused})
    client = signed_in(app)
    url = f"/tareas-periodicas/ejecuciones/{run_id}/"

    def found(query: str) -> str:
        return text_of(client.get(url + query, headers={**PARTIAL, "HX-Target": "div#run-items"}).text)

    assert "Cortado" in found("?state=done")
    assert "EVA" not in found("?state=done")
    assert "failure: no space left" in found("?state=failed")
    assert "Vence el 20 nov 2026" in found("?state=skipped")
    assert "ANA" in found("?q=10.9.0.1")
    assert "EVA" not in found("?q=10.9.0.1")
    assert "LEO" in found("?q=leo")
    summary = client.get(url, headers={**PARTIAL, "HX-Target": "section#run-summary"}).text
    assert summary.lstrip().startswith('<section id="run-summary"')
    answer = client.get(url + "clientes.csv?state=done")
    lines = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert [line[:5] for line in lines[1:]] == [["ANA", "'=Ana", "Cortado", "Debe facturas vencidas", "350.00"]]


def test_the_list_exports_what_is_filtered(app: Flask) -> None:
    with app.app_context():
        make_zone(name="Centro")
    answer = signed_in(app).get("/tareas-periodicas/tareas.csv?kind=cut")
    lines = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert len(lines) == 2
    assert lines[1][:2] == ["Corte de servicio", "Centro"]
    assert lines[1][3].startswith("2026-11-22 08:00-06:00")


def test_a_task_shows_its_schedule_twelve_occurrences_and_its_runs(app: Flask) -> None:
    with app.app_context():
        zone = make_zone(moments={"invoices": (31, 720), "notice": (18, 540), "cut": (22, 480)})
        make_clients(2, zone)
        run_id = run_of(zone)
        task_id = task_of(zone).id
    page = signed_in(app).get(f"/tareas-periodicas/{task_id}/").text
    assert "día 31 a las 12:00" in page
    dates = re.findall(r'<li class="list-group-item[^>]*><span><time[^>]*>([^<]+)<', page)
    assert dates[:4] == ["30 nov 2026 12:00", "31 dic 2026 12:00", "31 ene 2027 12:00", "28 feb 2027 12:00"]
    assert len(dates) == 12
    assert f"/tareas-periodicas/ejecuciones/{run_id}/" in page
    assert "1 en este periodo, 1 en total" in page


def test_the_history_answers_why_a_client_was_cut(app: Flask) -> None:
    with app.app_context():
        router = make_router()
        zone = make_zone(router, name="Centro")
        client_row = make_client(zone, code="C1", name="Ana")
        make_invoice(client_row, due=date(2026, 10, 20))
        make_invoice(make_client(zone, code="C2", name="Eva", no_cut=True), due=date(2026, 10, 20))
        answered(run_of(zone, "cut"), router.id)
    client = signed_in(app)
    words = text_of(client.get("/clientes/C1/historial/").text)
    assert "por adeudo" in words
    assert "$350.00 siguen vencidos y se toleran $0.00: sigue suspendido." in words
    assert "Se cortó el servicio: había $350.00 vencidos." in words
    assert "ana@example.com" in words
    spared = text_of(client.get("/clientes/C2/historial/").text)
    assert "por adeudo" not in spared
    assert "Quedó fuera" in spared
    assert client.get("/clientes/NADIE/historial/").status_code == 404


@pytest.mark.parametrize(
    ("role", "sees"),
    [("admin", True), ("finance", True), ("support", True), ("technician", True), ("cashier", False)],
)
def test_who_may_see_the_pages(app: Flask, role: str, sees: bool) -> None:
    with app.app_context():
        zone = make_zone()
        make_client(zone, code="C1")
        run_id, task_id = run_of(zone), task_of(zone).id
    client = signed_in(app, role=role)
    urls = (
        LIST, f"{LIST}tareas.csv", f"{LIST}{task_id}/", f"{LIST}{task_id}/fila", f"{LIST}ejecuciones/{run_id}/",
        f"{LIST}ejecuciones/{run_id}/clientes.csv", "/clientes/C1/historial/",
    )  # fmt: skip
    for url in urls:
        assert client.get(url).status_code == (200 if sees else 403), url
    for url in (f"{LIST}999/", f"{LIST}999/fila", f"{LIST}ejecuciones/999/"):
        assert client.get(url).status_code == (404 if sees else 403), url
    assert app.test_client().get(LIST).status_code == 302


def test_the_pages_speak_english_too(app: Flask) -> None:
    with app.app_context():
        make_zone()
    client = signed_in(app)
    client.set_cookie("wisp_language", "en")
    page = client.get(LIST).text
    assert "Periodic tasks" in page
    assert "Tasks by client" in page
    assert "Apply now" in page


def test_a_search_takes_signs_of_a_pattern_as_they_are(app: Flask) -> None:
    with app.app_context():
        make_zone(name="Centro 100%")
        assert [len(session().execute(service.listing(text=text)).all()) for text in ("_", "%", "0%")] == [0, 3, 3]


def test_an_export_is_sent_while_it_is_read(app: Flask) -> None:
    """Its rows are taken as they are sent: neither the list nor the file is ever there as a whole."""
    taken: list[int] = []

    def rows() -> Iterator[list[str]]:
        for number in range(20):
            taken.append(number)
            yield ["=x" * tables.PIECE]

    with app.test_request_context():
        answer = tables.csv_response("x.csv", ["A"], rows())
        assert taken == []
        pieces = iter(answer.response)
        assert next(pieces).startswith(("\ufeff", b"\xef\xbb\xbf"))
        assert len(taken) <= 2
    browser = signed_in(app)
    for page in (
        "tareas-periodicas/tareas",
        "facturas/exportar",
        "pagos/exportar",
        "staff/exportar",
        "auditoria/exportar",
    ):
        answer = browser.get(f"/{page}.csv")
        assert (answer.status_code, answer.is_streamed, answer.text[0]) == (200, True, "\ufeff")
