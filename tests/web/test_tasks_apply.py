""" "Aplicar ahora": the simulation in the dialog, holding clients out, one run however often the form arrives."""

import re
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_client, make_clients, make_company, make_invoice, make_router, make_zone, moment
from tests.support.staff import signed_in, token_of
from wisp.access.models import Access
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.tasks import documents, planning, runner, service
from wisp.tasks.models import PlanItem, RunItem, TaskPlan, TaskRun
from wisp.web.formats import format_day

NOW = moment("2026-11-10 10:00")
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#dialog-body"}


@pytest.fixture(autouse=True)
def _at_ten() -> Any:
    with clock.frozen(NOW):
        yield


def task_of(zone: Any, kind: str) -> PeriodicTask:
    query = sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind)
    return session().scalars(query).one()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


class Dialog:
    """The dialog of one task as a browser with htmx sees it."""

    def __init__(self, client: FlaskClient, task_id: int, origin: str = "list", **fields: Any) -> None:
        self.client, self.task_id, self.origin = client, task_id, origin
        self.csrf = token_of(client)
        self.show(self.post("simular", **fields))

    def post(self, what: str, **fields: Any) -> Any:
        data = {"csrf_token": self.csrf, "origin": self.origin, **fields}
        return self.client.post(f"/tareas-periodicas/{self.task_id}/{what}", data=data, headers=HTMX)

    def show(self, answer: Any) -> None:
        self.status, self.html = answer.status_code, answer.text
        found = re.search(r'name="token" value="([^"]+)"', self.html)
        plan = re.search(r'name="plan" value="(\d+)"', self.html)
        self.token, self.plan = found[1] if found else "", plan[1] if plan else ""

    @property
    def text(self) -> str:
        return text_of(self.html)

    def confirm(self, **fields: Any) -> Any:
        return self.post("aplicar", token=self.token, plan=self.plan, confirm="yes", **fields)


def figure(html: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>([^<]*)</dd>", html)
    return found[1] if found else ""


@pytest.fixture
def indebted(app: Flask) -> dict[str, Any]:
    """A zone: two with an overdue invoice, one due later, one excluded, one with own billing, one who owes nothing."""
    with app.app_context():
        make_company(tax_bp=0)
        zone = make_zone(make_router(name="Torre", online=True), name="Centro")
        ana, eva = make_client(zone, code="ANA", name="Ana"), make_client(zone, code="EVA", name="Eva")
        for owing in (ana, eva):
            make_invoice(owing, due=date(2026, 10, 20))
        make_invoice(make_client(zone, code="LEO", name="Leo"), due=date(2026, 11, 20))
        make_invoice(make_client(zone, code="UGO", name="Ugo", no_cut=True), due=date(2026, 10, 20))
        make_invoice(make_client(zone, code="IDA", name="Ida", own={}), due=date(2026, 10, 20))
        make_client(zone, code="PAZ", name="Paz")
        return {
            "ana": ana.id, "eva": eva.id, "zone": zone.id,
            **{kind: task_of(zone, kind).id for kind in ("invoices", "notice", "cut")},
        }  # fmt: skip


def test_the_dialog_says_what_would_happen_and_orders_nothing(app: Flask, indebted: dict[str, Any]) -> None:
    dialog = Dialog(signed_in(app), indebted["cut"])
    assert dialog.status == 200
    assert "<html" not in dialog.html
    assert figure(dialog.html, "Cortes") == "2"
    assert figure(dialog.html, "Vencido") == "$700.00"
    assert figure(dialog.html, "Correos") == "0"
    assert "1 factura, venció el 20 oct 2026" in dialog.text
    assert "En Torre quedan cortados 2 clientes (lista “wisp-overdue”, perfil o usuario)" in dialog.text
    assert "1 cliente de esta zona tiene facturación propia y no se toca" in dialog.text
    assert "1 no deben nada" in dialog.text
    assert "Cortar 2 clientes" in dialog.text
    assert "Leo" not in dialog.text
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 0
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskPlan)) == 1


def test_who_is_left_out_is_listed_by_reason(app: Flask, indebted: dict[str, Any]) -> None:
    client = signed_in(app)
    dialog = Dialog(client, indebted["cut"])
    links = re.findall(r'<details hx-get="([^"]+)"', dialog.html)
    assert len(links) == 2
    for link in links:
        reason = re.search(r"reason=(\w+)", link)
        assert reason
        part = client.get(link.replace("&amp;", "&"), headers={**HTMX, "HX-Target": f"div#left-out-{reason[1]}"}).text
        assert "<html" not in part
        assert ("Vence el 20 nov 2026" in part) is (reason[1] == "not_due")
        assert ("Ugo" in part) is (reason[1] == "excluded")


def test_invoices_not_due_yet_are_included_only_when_asked(app: Flask, indebted: dict[str, Any]) -> None:
    dialog = Dialog(signed_in(app), indebted["cut"], include_not_due="y")
    assert figure(dialog.html, "Cortes") == "3"
    assert re.search(r'name="include_not_due" value="y" checked', dialog.html)
    dialog.confirm()
    with app.app_context():
        run = session().scalars(sa.select(TaskRun)).one()
        assert run.options == {"hold": [], "include_not_due": True}


def test_confirming_orders_one_run_shows_its_row_and_closes_the_dialog(app: Flask, indebted: dict[str, Any]) -> None:
    dialog = Dialog(signed_in(app), indebted["cut"])
    answer = dialog.confirm()
    assert answer.status_code == 200
    assert "dialog:close" in answer.headers["HX-Trigger"]
    assert "Corte de servicio, Centro" in answer.headers["HX-Trigger"].encode().decode("unicode_escape")
    assert f'<hx-partial hx-target="#task-{indebted["cut"]}" hx-swap="outerHTML">' in answer.text
    assert 'hx-trigger="every 1s"' in answer.text
    with app.app_context():
        run = session().scalars(sa.select(TaskRun)).one()
        assert (run.trigger, run.actor, run.month) == ("manual", "staff:ana@example.com", date(2026, 11, 1))
        assert run.plan_id == int(dialog.plan)


def test_the_same_form_twice_and_another_one_while_it_is_open_are_one_run(app: Flask, indebted: dict[str, Any]) -> None:
    client = signed_in(app)
    dialog, second = Dialog(client, indebted["cut"]), Dialog(client, indebted["cut"])
    for answer in (dialog.confirm(), dialog.confirm()):
        assert "Se orden\\u00f3: Corte de servicio, Centro." in answer.headers["HX-Trigger"]
    assert "ya ten" in second.confirm().headers["HX-Trigger"]
    with app.app_context():
        runs = session().scalars(sa.select(TaskRun.id)).all()
        assert len(runs) == 1
        runner.work(runs[0])
    dialog.confirm()
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 1
    third = Dialog(client, indebted["cut"])
    assert third.token == ""
    assert "Esta tarea ya tiene una ejecución abierta, ordenada por ana@example.com" in third.text


def test_a_client_held_out_stays_out_on_every_page_and_of_the_run(app: Flask, indebted: dict[str, Any]) -> None:
    client = signed_in(app)
    dialog = Dialog(client, indebted["cut"])
    both = [indebted["ana"], indebted["eva"]]
    answer = dialog.post("fuera", token=dialog.token, plan=dialog.plan, shown=both, hold=[indebted["ana"]])
    assert figure(answer.text, "Cortes") == "1"
    assert figure(answer.text, "Excluidos por usted") == "1"
    assert "Cortar 1 cliente" in text_of(answer.text)
    # the box of the other page is not shown now, and stays
    answer = dialog.post("fuera", token=dialog.token, plan=dialog.plan, shown=[indebted["eva"]])
    assert figure(answer.text, "Excluidos por usted") == "1"
    # another simulation of the same dialog keeps it
    dialog.show(dialog.post("simular", plan=dialog.plan))
    assert re.search(rf'name="hold" value="{indebted["ana"]}"[^>]* checked', dialog.html)
    dialog.confirm(shown=both, hold=[indebted["ana"]])
    with app.app_context():
        runner.work(session().scalars(sa.select(TaskRun.id)).one())
        items = {i.client_id: (i.state, i.reason) for i in session().scalars(sa.select(RunItem))}
    assert items[indebted["ana"]] == ("skipped", "held_out")
    assert items[indebted["eva"]][0] == "waiting"


def test_boxes_ticked_but_not_yet_sent_count_when_confirming(app: Flask, indebted: dict[str, Any]) -> None:
    dialog = Dialog(signed_in(app), indebted["cut"])
    dialog.confirm(shown=[indebted["ana"], indebted["eva"]], hold=[indebted["eva"]])
    with app.app_context():
        assert session().scalars(sa.select(TaskRun)).one().options == {
            "hold": [indebted["eva"]], "include_not_due": False,
        }  # fmt: skip


def test_enter_in_the_table_applies_nothing(app: Flask, indebted: dict[str, Any]) -> None:
    """The form's first button is the one that Enter presses: it carries no ``confirm``."""
    dialog = Dialog(signed_in(app), indebted["cut"])
    buttons = re.findall(r"<button[^>]*>", dialog.html.partition('id="plan-form"')[2])
    assert 'name="confirm"' not in buttons[0]
    answer = dialog.post("aplicar", token=dialog.token, plan=dialog.plan)
    assert answer.status_code == 200
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 0


def test_a_long_simulation_is_paged_and_searched(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        make_clients(45, zone, prefix="P")
        task_id = task_of(zone, "invoices").id
    client = signed_in(app)
    dialog = Dialog(client, task_id)
    assert figure(dialog.html, "Facturas") == "45"
    assert dialog.html.count('name="hold"') == 20
    link = f"/tareas-periodicas/{task_id}/aplicar?plan={dialog.plan}&origin=list"
    headers = {**HTMX, "HX-Target": "div#plan-items"}
    last = client.get(link + "&page=3", headers=headers).text
    assert last.lstrip().startswith('<div id="plan-items"')
    assert last.count('name="hold"') == 5
    found = client.get(link + "&q=P00017", headers=headers).text
    assert found.count('name="hold"') == 1
    assert "page=2" in re.findall(r'hx-get="([^"]+)" rel="next"', dialog.html)[0]
    assert f"/tareas-periodicas/{task_id}/aplicar?" in dialog.html


def test_months_missed_and_near_can_be_chosen_and_others_are_refused(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        make_clients(2, zone)
        task = task_of(zone, "invoices")
        task_id = task.id
        with transaction() as s:
            s.add(Occurrence(task_id=task_id, month=date(2026, 10, 1), due_at=clock.now(), state="missed"))
    client = signed_in(app)
    dialog = Dialog(client, task_id)
    assert "noviembre de 2026 (actual)" in dialog.text
    assert "octubre de 2026 · no aplicada" in dialog.text
    dialog = Dialog(client, task_id, month="2026-10")
    assert re.search(r'value="2026-10" selected', dialog.html)
    dialog.confirm()
    with app.app_context():
        assert session().scalars(sa.select(TaskRun)).one().month == date(2026, 10, 1)
        assert session().get_one(Occurrence, (task_id, date(2026, 10, 1))).state == "claimed"
    refused = dialog.post("simular", month="2026-05")
    assert refused.status_code in (409, 200)
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskPlan)) == 2
    assert dialog.post("simular", month="mayo").status_code == 400


def test_a_zone_of_own_billed_clients_says_zero_clients(app: Flask) -> None:
    with app.app_context():
        zone = make_zone()
        make_client(zone, own={})
        task_id = task_of(zone, "invoices").id
    dialog = Dialog(signed_in(app), task_id)
    assert "0 clientes" in dialog.text
    assert "Todos los clientes de esta zona tienen facturación propia" in dialog.text
    assert "Aplicar de todos modos" in dialog.text
    assert dialog.confirm().status_code == 200


def test_what_is_in_the_way_is_said_before(app: Flask) -> None:
    with app.app_context():
        router = make_router(name="Torre", online=False, offline_since=clock.now() - timedelta(hours=1))
        zone = make_zone(router)
        make_invoice(make_client(zone, email=""), due=date(2026, 10, 20))
        make_client(zone)
        invoices, cut = task_of(zone, "invoices").id, task_of(zone, "cut").id
        with transaction() as s:
            task = s.get_one(PeriodicTask, cut)
            task.enabled, task.next_at = False, None
    client = signed_in(app)
    dialog = Dialog(client, cut)
    assert "El router Torre no responde desde 10 nov 2026 09:00: los cortes quedarán en espera" in dialog.text
    assert "La tarea está inactiva: solo se aplica a mano." in dialog.text
    dialog = Dialog(client, invoices)
    assert "No hay servidor de correo configurado" in dialog.text
    assert figure(dialog.html, "Sin correo") == "1"
    assert figure(dialog.html, "Correos") == "1"


def test_without_javascript_the_same_question_is_a_page(app: Flask, indebted: dict[str, Any]) -> None:
    client, task_id = signed_in(app), indebted["cut"]
    csrf, base = token_of(client), f"/tareas-periodicas/{indebted['cut']}"
    start = client.get(f"{base}/aplicar").text
    assert "<html" in start
    assert f'action="{base}/simular"' in start
    answer = client.post(f"{base}/simular", data={"csrf_token": csrf})
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "<html" in page
    assert "Cortar 2 clientes" in text_of(page)
    form = {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("token", "plan")}  # type: ignore[index]
    both = [indebted["ana"], indebted["eva"]]
    held = client.post(f"{base}/fuera", data={"csrf_token": csrf, **form, "shown": both, "hold": both[:1]})
    assert held.status_code == 303
    assert "Cortar 1 cliente" in text_of(client.get(held.location).text)
    data = {"csrf_token": csrf, **form, "confirm": "yes", "shown": both, "hold": both[:1]}
    ordered = client.post(f"{base}/aplicar", data=data)
    assert ordered.status_code == 303
    assert re.search(r"/tareas-periodicas/ejecuciones/\d+/$", ordered.location)
    assert "En cola" in client.get(ordered.location).text
    with app.app_context():
        run = session().scalars(sa.select(TaskRun).where(TaskRun.task_id == task_id)).one()
        assert run.options == {"hold": both[:1], "include_not_due": False}


def test_from_a_task_s_own_page_the_browser_goes_to_the_run(app: Flask, indebted: dict[str, Any]) -> None:
    answer = Dialog(signed_in(app), indebted["cut"], origin="page").confirm()
    assert re.search(r"/ejecuciones/\d+/$", answer.headers["HX-Redirect"])


def test_a_simulation_that_is_gone_or_of_another_task_applies_nothing(app: Flask, indebted: dict[str, Any]) -> None:
    client = signed_in(app)
    dialog, other = Dialog(client, indebted["cut"]), Dialog(client, indebted["notice"])
    refused = dialog.post("aplicar", token=dialog.token, plan=other.plan, confirm="yes")
    assert refused.status_code == 409
    assert "simule de nuevo" in refused.headers["HX-Trigger"].encode().decode("unicode_escape")
    with app.app_context(), transaction() as s:
        s.execute(sa.delete(PlanItem))
        s.execute(sa.delete(TaskPlan))
    assert dialog.confirm().status_code == 409
    gone = client.get(f"/tareas-periodicas/{indebted['cut']}/aplicar?plan={dialog.plan}")
    assert gone.status_code == 303
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 0


@pytest.mark.parametrize("field, value", [("token", ""), ("token", "x" * 20), ("plan", ""), ("plan", "abc")])
def test_a_form_that_is_not_ours_is_refused(app: Flask, indebted: dict[str, Any], field: str, value: str) -> None:
    dialog = Dialog(signed_in(app), indebted["cut"])
    data = {"token": uuid4().hex, "plan": dialog.plan, "confirm": "yes", field: value}
    assert dialog.post("aplicar", **data).status_code == 400
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 0


@pytest.mark.parametrize(("role", "applies"), [("admin", True), ("finance", True), ("support", False)])
def test_only_who_may_apply_sees_the_button_and_is_obeyed(
    app: Flask, indebted: dict[str, Any], role: str, applies: bool
) -> None:
    client = signed_in(app, role=role)
    page = client.get("/tareas-periodicas/").text
    assert ("Aplicar ahora" in page) is applies
    csrf, base = token_of(client), f"/tareas-periodicas/{indebted['cut']}"
    expected = {"simular": (303, 403), "fuera": (400, 403), "aplicar": (400, 403)}
    for what, codes in expected.items():
        answer = client.post(f"{base}/{what}", data={"csrf_token": csrf})
        assert answer.status_code == codes[0 if applies else 1]
    assert client.get(f"{base}/aplicar").status_code == (200 if applies else 403)


def test_a_withdrawn_permission_stops_a_dialog_that_is_open(app: Flask, indebted: dict[str, Any]) -> None:
    from wisp.staff import service as staff

    dialog = Dialog(signed_in(app, role="finance"), indebted["cut"])
    with app.app_context(), transaction():
        staff.revoke("ana@example.com", "periodic_tasks:apply")
    assert dialog.confirm().status_code == 403
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 0


def stand(client_ids: list[int], **values: Any) -> None:
    """What is wanted of these clients, and what their router has confirmed."""
    with transaction():
        session().execute(sa.update(Access).where(Access.client_id.in_(client_ids)).values(**values))


SUSPENDED = {"suspended": True, "reason": "debt", "wanted_version": 1}


@pytest.mark.parametrize("kind", ["cut", "notice"])
def test_who_waits_for_the_router_is_not_called_done(app: Flask, indebted: dict[str, Any], kind: str) -> None:
    ordered = SUSPENDED if kind == "cut" else {"notice": True, "wanted_version": 1}
    with app.app_context():
        stand([indebted["ana"], indebted["eva"]], **ordered)
    dialog = Dialog(signed_in(app), indebted[kind])
    waits = figure(dialog.html, "Ya ordenado, espera al router")
    assert waits == "2" or "Ya ordenado, espera al router: 2" in dialog.text
    assert not re.search("Ya (estaba|tenía)", dialog.text)
    assert f'name="hold" value="{indebted["ana"]}"' not in dialog.html
    with app.app_context():
        applied = {"applied_suspended": True} if kind == "cut" else {"applied_notice": True}
        stand([indebted["ana"]], applied_version=1, **applied)
    dialog = Dialog(dialog.client, indebted[kind])
    done = "Ya estaba cortado" if kind == "cut" else "Ya tenía el aviso"
    assert {done, "Ya ordenado, espera al router"} <= set(re.findall(r"</span> (Ya [^<]*)</summary>", dialog.html))


def test_the_sums_and_the_list_are_of_those_for_whom_something_is_new(app: Flask, indebted: dict[str, Any]) -> None:
    with app.app_context():
        stand([indebted["ana"]], applied_suspended=True, applied_version=1, **SUSPENDED)
    client = signed_in(app)
    dialog = Dialog(client, indebted["cut"])
    assert (figure(dialog.html, "Cortes"), figure(dialog.html, "Vencido")) == ("1", "$350.00")
    assert figure(dialog.html, "Ya estaba cortado") == "1"
    assert re.findall(r'name="hold" value="(\d+)"', dialog.html) == [str(indebted["eva"])]
    assert "Cortar 1 cliente" in dialog.text
    (fold,) = re.findall(r'<details hx-get="([^"]+reason=already_cut[^"]*)"', dialog.html)
    part = client.get(fold.replace("&amp;", "&"), headers={**HTMX, "HX-Target": "div#left-out-already_cut"}).text
    assert "Ana" in part
    assert "hold" not in part
    with app.app_context():  # the run itself still reads on the router what stands there
        task = session().get_one(PeriodicTask, indebted["cut"])
        with transaction():
            plan = service.simulate(task)
            totals = service.totals(plan)
        items = {item["client"]: (item["action"], item["reason"]) for item in documents.plan(plan)["items"]}
    assert (totals.clients, totals.amount, totals.standing) == (1, 35_000, 1)
    assert items["ANA"] == ("none", "already_cut")
    assert items["EVA"] == ("cut", "")


def test_a_notice_says_of_the_cut_what_is_so(app: Flask, indebted: dict[str, Any]) -> None:
    with app.app_context():
        stand([indebted["ana"]], **SUSPENDED)
        stand([indebted["eva"]], applied_suspended=True, applied_version=1, **SUSPENDED)
    text = Dialog(signed_in(app), indebted["notice"]).text
    assert "1 El corte está ordenado y espera al router" in text
    assert "1 Ya estaba cortado" in text


def test_the_question_before_invoicing_names_period_due_date_and_few_days(app: Flask, indebted: dict[str, Any]) -> None:
    with app.app_context():
        task = session().get_one(PeriodicTask, indebted["invoices"])
        spec = planning.spec_of(task, date(2026, 11, 1))
        words = [format_day(day) for day in (spec.cycle.period_from, spec.cycle.period_to, spec.due)]
    client = signed_in(app)
    text = Dialog(client, indebted["invoices"]).text
    assert "Periodo del {} al {} · vence el {}".format(*words) in text
    assert "días para pagar" not in text
    with clock.frozen(moment("2026-11-18 10:00")):
        assert "Solo 3 días para pagar" in Dialog(signed_in(app, "eva@example.com"), indebted["invoices"]).text
