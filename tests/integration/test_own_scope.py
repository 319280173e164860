"""A zone's notice and cut applied to its clients with own billing: one run, part of each client's own task."""

import json
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.factories import moment
from tests.support.billing import by_hand, fresh, items_of, order, task_of, tick
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.tasks import planning, presenters, queries, service
from wisp.tasks.models import RunItem, TaskRun

NOW = moment("2026-11-24 10:00")
OWN = planning.Options(own=True)
DUE = date(2026, 11, 20)


@pytest.fixture
def zone(app: Flask, router_sim: SimulatorServer) -> Any:
    """Zone Norte: ZON is billed by it; OWA and OWB (own billing) owe, OWC owes nothing. SUR is of another zone."""
    with app.app_context(), clock.frozen(NOW):
        router = factories.make_router(name="Torre", host=router_sim.host, port=router_sim.port)
        zone = factories.make_zone(router, name="Norte")
        owing = [factories.make_client(zone, code="ZON")]
        owing += [factories.make_client(zone, code=code, own={}) for code in ("OWA", "OWB")]
        factories.make_client(zone, code="OWC", own={})
        owing.append(factories.make_client(factories.make_zone(router, name="Sur"), code="SUR", own={}))
        for client in owing:
            factories.make_invoice(client, due=DUE)
        yield zone


def client(code: str) -> Client:
    return session().scalars(sa.select(Client).where(Client.code == code)).one()


def refusal(task: PeriodicTask, **chosen: Any) -> str:
    """The code with which an order is refused."""
    with pytest.raises(Refused) as refused, transaction():
        service.order(task, **chosen)
    return refused.value.code


def suspended() -> set[str]:
    session().rollback()
    query = sa.select(Client.code).join(Access, Access.client_id == Client.id).where(Access.suspended)
    return set(session().scalars(query))


def test_one_run_acts_on_the_clients_with_own_billing_alone(zone: Zone) -> None:
    run = by_hand(zone, "cut", options=OWN)
    assert (run.scope, run.state, run.cut, run.expected) == ("own", "success", 2, 3)
    assert suspended() == {"OWA", "OWB"}
    assert items_of(run) == {"OWA": ("done", ""), "OWB": ("done", "")}
    tasks = dict(
        session().execute(sa.select(Client.code, RunItem.task_id).join(Client, Client.id == RunItem.client_id)).all()
    )
    assert tasks == {code: task_of(client(code), "cut").id for code in ("OWA", "OWB")}


def test_it_is_the_latest_run_and_counts_once_on_every_row(zone: Zone) -> None:
    run = by_hand(zone, "cut", options=OWN)
    for owner in (zone, client("OWA"), client("OWB"), client("OWC")):
        task = task_of(owner, "cut")
        assert (task.last_run_id, task.last_applied_at, task.applied, task.applied_ever) == (
            run.id,
            run.created_at,
            1,
            1,
        )
        assert task_of(owner, "notice").applied_ever == 0
    assert task_of(client("SUR"), "cut").applied_ever == 0
    again = by_hand(zone, "cut", options=OWN)
    assert task_of(client("OWC"), "cut").applied == 2
    assert (again.cut, again.unchanged) == (0, 2)


def test_rows_show_what_it_did_for_each(zone: Zone) -> None:
    by_hand(zone, "cut", options=OWN)
    shown = {}
    for code in ("OWA", "OWC"):
        row, _owner = queries.row_of(task_of(client(code), "cut").id, service.EVERYTHING)
        shown[code] = presenters.task_rows([row])[0]
    assert [str(part) for part in shown["OWA"].result] != [str(part) for part in shown["OWC"].result]
    runs = session().scalars(queries.runs_of(shown["OWA"].id)).all()
    assert [run.scope for run in runs] == ["own"]
    assert session().scalars(queries.runs_of(shown["OWC"].id)).all() == []


def test_the_ordinary_run_leaves_them_alone(zone: Zone) -> None:
    run = by_hand(zone, "cut")
    assert (run.scope, run.cut) == ("", 1)
    assert suspended() == {"ZON"}
    assert task_of(client("OWA"), "cut").applied_ever == 0


def test_the_scheduled_run_stays_as_planned(zone: Zone) -> None:
    before = [(task_of(client("OWA"), kind).next_at, task_of(zone, kind).next_at) for kind in ("notice", "cut")]
    by_hand(zone, "notice", options=OWN)
    assert before == [(task_of(client("OWA"), kind).next_at, task_of(zone, kind).next_at) for kind in ("notice", "cut")]


def test_a_simulation_says_the_same_and_its_plan_can_be_handed_over(zone: Zone) -> None:
    task = task_of(zone, "cut")
    with transaction():
        plan = service.simulate(task, options=OWN)
        plan_id, nothing = plan.id, plan.nothing
    rows = session().execute(service.plan_items(plan_id)).all()
    assert ({c.code for item, c in rows if item.action == "cut"}, nothing) == ({"OWA", "OWB"}, 1)
    assert refusal(task, plan_id=plan_id) == "tasks.plan"
    run = by_hand(zone, "cut", options=OWN, plan_id=plan_id)
    assert run.cut == 2


def test_what_waited_in_their_own_runs_is_taken_over(zone: Zone, router_sim: SimulatorServer) -> None:
    router_sim.switch(off=True)
    own = by_hand(client("OWA"), "cut")
    by_zone = by_hand(zone, "cut")
    assert (own.state, by_zone.state) == ("error", "error")
    router_sim.normal()
    run = by_hand(zone, "cut", options=OWN)
    assert fresh(own.id).taken_by == run.id
    assert fresh(own.id).state == "success"
    assert fresh(by_zone.id).taken_by is None


def miss(code: str, month: date) -> None:
    """The client's own cut of that month was given up as too old."""
    task = task_of(client(code), "cut")
    with transaction():
        session().add(Occurrence(task_id=task.id, month=month, due_at=NOW, state="missed"))
        session().execute(sa.update(PeriodicTask).where(PeriodicTask.id == task.id).values(state="missed"))


def states() -> dict[str, str]:
    return {code: task_of(client(code), "cut").state for code in ("OWA", "OWB", "OWC")}


def test_a_missed_month_of_their_own_tasks_is_settled_by_it(zone: Zone, router_sim: SimulatorServer) -> None:
    """Each client's row tells what came of it there: OWA waits for the router, OWC owed nothing, OWB missed October."""
    miss("OWA", date(2026, 11, 1))
    miss("OWB", date(2026, 10, 1))
    miss("OWC", date(2026, 11, 1))
    with transaction():
        session().execute(
            sa.update(BillingSchedule).where(BillingSchedule.id == client("OWC").schedule_id).values(timezone="UTC")
        )
    router_sim.switch(off=True)
    by_hand(zone, "cut", options=OWN)
    assert states() == {"OWA": "error", "OWB": "missed", "OWC": "success"}
    assert task_of(client("OWC"), "cut").state_until == moment("2026-12-01 00:00", "UTC")
    assert task_of(zone, "cut").state == "pending"
    router_sim.normal()
    tick(moment("2026-11-24 12:00"))
    assert states() == {"OWA": "success", "OWB": "missed", "OWC": "success"}
    assert [m.month for m in service.manual_months(task_of(client("OWA"), "cut"))] == [date(2026, 11, 1)]


def test_clients_days_are_those_of_their_own_time_zone(zone: Zone) -> None:
    """Due on the 24th: overdue from the 25th on, which has begun in Madrid when it is 17:30 of the 24th in Mexico."""
    with transaction():
        session().execute(sa.text("UPDATE invoice SET due = '2026-11-24'"))
        schedule = client("OWB").schedule
        assert schedule is not None
        schedule.timezone = "Europe/Madrid"
    with clock.frozen(moment("2026-11-24 17:30")):
        run = by_hand(zone, "cut", options=OWN)
    assert suspended() == {"OWB"}
    assert items_of(run)["OWA"] == ("skipped", "not_due")


def test_it_is_refused_where_it_makes_no_sense(zone: Zone) -> None:
    for owner, kind in ((zone, "invoices"), (client("OWA"), "cut")):
        assert refusal(task_of(owner, kind), options=OWN) == "tasks.own_scope"
    first = order(zone, "cut")
    assert refusal(task_of(zone, "cut"), options=OWN) == "tasks.other_run"
    assert [run.id for run in session().scalars(sa.select(TaskRun))] == [first]


def test_on_the_command_line(app: Flask, zone: Zone) -> None:
    task_id = task_of(zone, "cut").id
    runner = app.test_cli_runner()
    simulated = json.loads(runner.invoke(args=["tasks", "simulate", str(task_id), "--own-billed", "--json"]).stdout)
    assert {item["client"] for item in simulated["items"]} == {"OWA", "OWB"}
    args = ["tasks", "apply", str(task_id), "--own-billed", "--wait", "--json"]
    answer = json.loads(runner.invoke(args=args).stdout)
    assert (answer["state"], answer["cut"], answer["scope"]) == ("success", 2, "own")
    assert {item["client"] for item in answer["items"]} == {"OWA", "OWB"}
    assert queue.specs  # the jobs ran in this process
    assert runner.invoke(args=["tasks", "apply", str(task_of(client("OWA"), "cut").id), "--own-billed"]).exit_code == 1
