"""Cuts wait for the hours in which they are allowed; what gives the service back, and notices, never do."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_zone, moment
from tests.support.access import CUT, NOTICE, Site, pay
from tests.support.levers import ACTIVE, GUESTS, KINDS, LEASE, LISTS, SECRET, USER, column, go
from tests.support.staff import signed_in, token
from wisp.access import differences
from wisp.access.jobs import sweep
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.outbox.models import Message
from wisp.routers.jobs import probe
from wisp.routers.models import Router, Zone
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import documents, jobs, service
from wisp.tasks.models import RunItem, TaskRun

SUNDAY, MONDAY = moment("2026-11-22 10:00"), moment("2026-11-23 08:00")
OFFICE = {"cut_from": "08:00", "cut_until": "18:00", "cut_days": "1234"}


def provided(server: SimulatorServer) -> Site:
    """A provider with working hours for cuts, and three clients who owe."""
    made = Site(server, owing=False)
    make_company(**OFFICE)
    for client_id in made.clients:
        make_invoice(session().get_one(Client, client_id), due=date(2026, 11, 10))
    return made


@pytest.fixture
def site(ctx: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    with clock.frozen(SUNDAY):
        made = provided(router_sim)
        yield made
    made.close()


def order(site: Site, kind: str, zone_id: int | None = None) -> TaskRun:
    """ "Aplicar ahora" and all that follows from it."""
    zone = session().get_one(Zone, zone_id or site.zone_id)
    query = sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind)
    with queue.inline(), transaction():
        run_id = service.order(session().scalars(query).one()).id
    return again(run_id)


def again(run_id: int) -> TaskRun:
    session().rollback()
    return session().get_one(TaskRun, run_id, populate_existing=True)


def items(run: TaskRun) -> set[tuple[str, str]]:
    rows = session().execute(sa.select(RunItem.state, RunItem.reason).where(RunItem.run_id == run.id))
    return {(state, reason) for state, reason in rows}


def look() -> None:
    """What every minute does."""
    with queue.inline():
        sweep()


def on(site: Site, name: str) -> int:
    return sum(row["list"] == name for row in site.entries())


def task_of(run: TaskRun) -> PeriodicTask:
    return session().get_one(PeriodicTask, run.task_id, populate_existing=True)


def test_a_cut_out_of_hours_waits_and_is_made_when_they_begin(site: Site) -> None:
    run = order(site, "cut")
    assert (run.state, run.waiting, run.cut) == ("held", 3, 0)
    assert items(run) == {("waiting", "after_hours")}
    assert on(site, CUT) == 0
    assert task_of(run).state == "pending"
    assert site.state().next_attempt_at == MONDAY
    with clock.frozen(MONDAY - timedelta(minutes=1)):
        look()
    assert on(site, CUT) == 0
    with clock.frozen(MONDAY):
        look()
    run = again(run.id)
    assert (run.state, run.waiting, run.cut) == ("success", 0, 3)
    assert run.completed_at == MONDAY
    site.agree()


def test_who_has_paid_meanwhile_is_not_cut(site: Site) -> None:
    run = order(site, "cut")
    pay(site.clients[:2])
    with clock.frozen(MONDAY):
        look()
    assert on(site, CUT) == 1
    run = again(run.id)
    assert (run.state, run.cut, run.waiting) == ("success", 1, 0)
    assert items(run) == {("done", ""), ("superseded", "paid")}
    site.agree()


def test_notices_and_what_gives_back_are_made_at_once(site: Site) -> None:
    with clock.frozen(moment("2026-11-19 12:00")):  # a Thursday
        assert order(site, "cut").cut == 3
    assert on(site, CUT) == 3
    pay(site.clients[:1])
    site.order()
    site.sync()
    assert on(site, CUT) == 2  # lifted on a Sunday; whoever is cut stays so
    new = site.add(1, owing=False)
    make_invoice(session().get_one(Client, new[0]), due=date(2026, 11, 30))
    assert order(site, "notice").notified == 1
    assert on(site, NOTICE) == 1
    site.agree()


def test_a_notice_stays_on_the_screen_while_the_cut_waits(site: Site) -> None:
    assert order(site, "notice").notified == 3
    run = order(site, "cut")
    assert run.state == "held"
    assert (on(site, NOTICE), on(site, CUT)) == (3, 0)
    with clock.frozen(MONDAY):
        look()
    assert (on(site, NOTICE), on(site, CUT)) == (0, 3)
    site.agree()


@pytest.mark.parametrize("kind", ["pppoe", "hotspot", "dhcp"])
@pytest.mark.parametrize("warned", [False, True])
@pytest.mark.usefixtures("ctx")
def test_every_kind_of_connection_waits_as_it_stands(kind: str, warned: bool) -> None:
    def known(server: SimulatorServer) -> list[Any]:
        return [column(server, menu, name) for menu, name in (
            (SECRET, "profile"), (ACTIVE, "name"), (USER, "disabled"), (GUESTS, "user"), (LEASE, "address-lists"),
            (LISTS, "list"),
        )]  # fmt: skip

    with clock.frozen(SUNDAY), SimulatorServer(SimulatedRouter(dial_in=0.0)) as server:
        site = KINDS[kind][0](server)
        make_company(**OFFICE)
        if warned:
            assert go(site, "notify")[0] == "written"
        before = known(server)
        site.cut()
        assert site.sync().outcomes == {}
        assert known(server) == before
        assert site.access(site.clients[0]).applied_suspended is False
        with clock.frozen(MONDAY):
            sweep()
            assert queue.drain()
            assert site.access(site.clients[0]).applied_suspended is True
            assert known(server) != before
        site.close()


def test_a_cut_of_a_router_that_was_off_waits_for_the_hours_too(site: Site) -> None:
    thursday = moment("2026-11-19 17:50")
    site.server.switch(off=True)
    with clock.frozen(thursday):
        probe(site.router_id)
        run = order(site, "cut")
        assert (run.state, items(run)) == ("error", {("waiting", "router_off")})
    site.server.switch(off=False)
    with clock.frozen(thursday + timedelta(minutes=11)), queue.inline():
        probe(site.router_id)
    run = again(run.id)
    assert (run.state, items(run)) == ("held", {("waiting", "after_hours")})
    assert on(site, CUT) == 0
    back = session().scalars(sa.select(Message).where(Message.kind == "alert_router_back")).one()
    assert (back.data["held"], back.data["cut"]) == (3, 0)
    pay(site.clients[:1])
    with clock.frozen(MONDAY):
        look()
    assert again(run.id).state == "success"
    assert on(site, CUT) == 2
    site.agree()


def test_a_cut_that_broke_off_at_the_end_of_the_hours_is_brought_to_its_end(site: Site) -> None:
    thursday = moment("2026-11-19 17:59")
    site.server.fault("drop_after", "/ip/firewall/address-list/add", after=1)
    site.server.fault("drop_before", "/ip/firewall/address-list/print", after=1, count=None)
    with clock.frozen(thursday):
        assert order(site, "cut").state == "error"
    stands = on(site, CUT)
    assert stands
    site.server.normal()
    with clock.frozen(thursday + timedelta(minutes=10)):
        site.order()
        site.sync()
    assert on(site, CUT) == 3
    site.agree()


def test_what_a_router_lost_is_put_back_at_any_hour(site: Site) -> None:
    with clock.frozen(moment("2026-11-19 12:00")):
        order(site, "cut")
    site.server.router.clear("/ip/firewall/address-list")
    site.order()
    site.sync()
    assert on(site, CUT) == 3


def test_a_simulation_says_from_when_on_it_would_be_made(site: Site) -> None:
    def not_before(kind: str) -> object:
        zone = session().get_one(Zone, site.zone_id)
        query = sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind)
        with transaction():
            return documents.plan(service.simulate(session().scalars(query).one()))["not_before"]

    assert not_before("cut") == "2026-11-23T08:00:00-06:00"
    assert not_before("notice") is None
    with clock.frozen(MONDAY):
        assert not_before("cut") is None


def test_each_zone_by_its_own_clock(site: Site) -> None:
    tijuana = make_zone(session().get_one(Router, site.router_id), timezone="America/Tijuana")
    far = make_client(tijuana)
    make_invoice(far, due=date(2026, 11, 10))
    order(site, "cut")
    order(site, "cut", tijuana.id)
    with clock.frozen(MONDAY):
        look()
    assert on(site, CUT) == 3
    assert site.state().next_attempt_at == MONDAY + timedelta(hours=2)
    with clock.frozen(MONDAY + timedelta(hours=2)):
        look()
    assert on(site, CUT) == 4
    site.agree()


def test_other_hours_take_effect_at_once(site: Site) -> None:
    run = order(site, "cut")
    with queue.inline(), transaction():
        settings.save_company({"cut_days": "", "cut_from": "09:00"})
    assert again(run.id).state == "success"
    assert on(site, CUT) == 3


def test_an_automatic_cut_waits_like_any_other(site: Site) -> None:
    due = moment("2026-11-22 08:00")
    with transaction() as s:
        zone = s.get_one(Zone, site.zone_id)
        cut = s.scalars(sa.select(PeriodicTask).where(
            PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == "cut")).one()  # fmt: skip
        cut.next_at, cut.next_month = due, date(2026, 11, 1)
    with clock.frozen(due + timedelta(minutes=1)), queue.inline():
        (run_id,) = jobs.run_tick()
    assert (again(run_id).state, again(run_id).trigger) == ("held", "schedule")
    with clock.frozen(due + timedelta(minutes=2)), queue.inline():
        assert jobs.run_tick() == []  # nothing to take up again
    with clock.frozen(MONDAY):
        look()
    assert again(run_id).state == "success"
    assert task_of(again(run_id)).state == "success"


def test_a_later_run_takes_over_what_waits(site: Site) -> None:
    first = order(site, "cut")
    second = order(site, "cut")
    assert second.id != first.id
    assert again(first.id).taken_by == second.id
    with clock.frozen(MONDAY):
        look()
    assert {again(first.id).state, again(second.id).state} == {"success"}
    assert on(site, CUT) == 3


def test_what_waits_for_its_hours_is_no_difference_of_the_router(site: Site) -> None:
    order(site, "cut")
    assert differences.look(site.router_id).empty


def test_the_pages_say_that_it_waits_and_until_when(app: Flask, router_sim: SimulatorServer) -> None:
    with clock.frozen(SUNDAY):
        with app.app_context():
            site = provided(router_sim)
            task_id = session().scalars(sa.select(PeriodicTask.id).where(PeriodicTask.kind == "cut")).one()
        browser = signed_in(app)
        listed = browser.get("/tareas-periodicas/?kind=cut").text
        answer = browser.post(
            f"/tareas-periodicas/{task_id}/simular", data={"csrf_token": token(listed)}, follow_redirects=True
        )
        assert "Fuera del horario de cortes: se aplicará por sí solo desde el lunes 08:00" in answer.text
        with app.app_context():
            run_id = order(site, "cut").id
            site.close()
        page = browser.get(f"/tareas-periodicas/ejecuciones/{run_id}/").text
        assert "Fuera del horario de cortes, desde el lunes 08:00" in page
        assert "Retenido" in page
        listed = browser.get("/tareas-periodicas/?kind=cut").text
        assert "3 esperan el horario de cortes" in listed
        assert "esperan su horario" in browser.get("/").text
        answer = browser.post(
            f"/tareas-periodicas/{task_id}/simular", data={"csrf_token": token(listed)}, follow_redirects=True
        )
        assert "Ya ordenado, espera el horario de cortes" in answer.text


def flask(app: Flask, *words: str) -> tuple[int, Any]:
    result = app.test_cli_runner().invoke(args=["brakes", *words])
    return result.exit_code, json.loads(result.stdout) if result.exit_code == 0 else result.stderr


def test_the_brakes_on_the_command_line(app: Flask) -> None:
    assert flask(app, "show", "--json") == (0, {"hours": "any", "days": "any"})
    want = {"hours": "08:00-18:00", "days": "mon-thu"}
    assert flask(app, "set", "--hours", "8:00-18:00", "--days", "mon-thu", "--json") == (0, want)
    assert flask(app, "show", "--json") == (0, want)
    assert flask(app, "set", "--days", "any", "--json") == (0, {"hours": "08:00-18:00", "days": "any"})
    assert flask(app, "set", "--hours", "any", "--json") == (0, {"hours": "any", "days": "any"})


@pytest.mark.parametrize("words", [
    (), ("--hours", "18:00-08:00"), ("--hours", "8-18"), ("--days", "lunes"), ("--share", "30"),
    ("--holidays", "MX"), ("--notice-days", "3"),
])  # fmt: skip
def test_what_is_no_brake_is_wrong_usage(app: Flask, words: tuple[str, ...]) -> None:
    assert flask(app, "set", *words)[0] == 2


def test_the_panel(app: Flask) -> None:
    browser = signed_in(app)
    url = "/ajustes/frenos/"

    def post(**fields: Any) -> Any:
        return browser.post(url, data={"csrf_token": token(browser.get(url).text), **fields})

    page = browser.get(url).text
    assert page.count("checked") >= 7
    assert "Lunes" in page
    assert post(cut_from="08:00", cut_until="18:00", cut_days=["1", "2"]).status_code == 303
    with app.app_context():
        firm = settings.company()
        assert (firm.cut_from, firm.cut_until, firm.cut_days) == ("08:00", "18:00", "12")
    assert post(cut_from="18:00", cut_until="08:00", cut_days=["1"]).status_code == 422
    assert post(cut_from="08:00", cut_until="", cut_days=["1"]).status_code == 422
    assert post(cut_from="08:00", cut_until="18:00").status_code == 422
    assert post(cut_from="08:00", cut_until="18:00", cut_days=["9"]).status_code == 422
    assert post(cut_from="", cut_until="", cut_days=list("1234567")).status_code == 303
    with app.app_context():
        assert settings.cut_hours().always
