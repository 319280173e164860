"""Promises: their bounds, how they end, and the cut that follows a broken one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_company, make_invoice, make_zone, moment
from tests.support.access import CUT, Site
from tests.support.billing import at_work, by_hand, forget, items_of, task_of, tick
from wisp.access.holds import service as holds
from wisp.access.jobs import sweep
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Promise
from wisp.payments import promises
from wisp.payments import service as payments
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.models import PeriodicTask
from wisp.tasks import followups, service
from wisp.tasks.models import TaskRun

NOW = moment("2026-11-25 10:00")
"""Three days after the cut of the 22nd at 8:00."""
LAST = date(2026, 11, 30)
MORNING = moment("2026-12-01 08:00")
"""The hour of the cut task on the day after the promise."""


@pytest.fixture
def site(ctx: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    """Two clients who owe 350.00 each, overdue since the 20th, with a cut on the 22nd at 8:00."""
    with clock.frozen(NOW):
        made = Site(router_sim, clients=2, owing=False)
        for client_id in made.clients:
            make_invoice(session().get_one(Client, client_id), due=date(2026, 11, 20))
        yield made
    made.close()


def client_of(site: Site, which: int = 0) -> Client:
    return session().get_one(Client, site.clients[which], populate_existing=True)


def zone_of(site: Site) -> Zone:
    return session().get_one(Zone, site.zone_id, populate_existing=True)


def grant(site: Site, until: date = LAST, which: int = 0) -> bool:
    with at_work(), transaction():
        lifted = promises.grant(client_of(site, which), until).reactivated
    forget()
    return lifted


def brought_back(site: Site) -> None:
    """The first client is cut, and has the service back on its promise."""
    site.cut([site.clients[0]])
    site.sync()
    assert grant(site)


def suspended(site: Site, which: int = 0) -> bool:
    return site.access(site.clients[which]).suspended


def found(at: datetime, count: int = 1) -> list[TaskRun]:
    """The follow-up runs that ticks at that moment begin."""
    runs = [run for _ in range(count) for run in tick(at)]
    return [run for run in runs if run.trigger == "followup"]


def outcomes(site: Site) -> list[str]:
    session().rollback()
    query = sa.select(Promise.outcome).where(Promise.client_id == site.clients[0]).order_by(Promise.id)
    return list(session().scalars(query))


def december() -> None:
    """Invoices and notices of the month, each in its time."""
    for at in ("2026-12-15 12:00", "2026-12-18 09:00"):
        tick(moment(at))


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Refused) as caught, transaction():
        yield
    assert caught.value.code == code


# Granting --------------------------------------------------------------------------------------------


def test_a_promise_is_bounded_in_days_and_in_number(site: Site) -> None:
    make_company(promise_days=10, promises_a_year=2)
    with refused("promises.too_long"):
        promises.grant(client_of(site), date(2026, 12, 6))
    with refused("promises.past"):
        promises.grant(client_of(site), date(2026, 11, 24))
    for until in (date(2026, 12, 5), NOW.date()):
        grant(site, until)
    with refused("promises.too_many"):
        promises.grant(client_of(site), LAST)
    assert promises.allowance(client_of(site)).left == 0
    grant(site, which=1)  # each client has its own
    with clock.frozen(moment("2027-01-01 00:00")):
        assert promises.allowance(client_of(site)).left == 2


def test_how_earlier_ones_ended_is_kept(site: Site) -> None:
    grant(site, date(2026, 11, 26))
    grant(site, date(2026, 11, 27))
    tick(moment("2026-11-28 00:00"))
    with clock.frozen(moment("2026-11-28 09:00")):
        grant(site, date(2026, 11, 29))
        with at_work(), transaction():
            payments.register(client_of(site), 35_000, method="cash")
        assert [one.outcome for one in promises.earlier(site.clients[0])] == ["broken", "replaced"]
    tick(moment("2026-11-30 00:00"))
    assert outcomes(site) == ["replaced", "broken", "kept"]


# What follows ----------------------------------------------------------------------------------------


def test_whom_a_promise_brought_back_is_cut_at_the_hour_of_its_cut_on_the_day_after(site: Site) -> None:
    brought_back(site)
    tick(moment("2026-11-30 23:59"))
    assert outcomes(site) == [""]
    assert found(moment("2026-12-01 00:00"), 2) == []
    assert outcomes(site) == ["broken"]
    assert found(MORNING - timedelta(minutes=1)) == []
    (run,) = found(MORNING)
    assert (run.state, run.cut, run.day, run.planned_for) == ("success", 1, date(2026, 12, 1), MORNING)
    assert items_of(run) == {client_of(site).code: ("done", "")}
    assert [entry[2] for entry in site.ours() if entry[0] == CUT] == [f"wisp:{client_of(site).code}"]
    assert found(MORNING + timedelta(hours=1), 2) == [], "once"


def test_it_is_no_part_of_the_tasks_state_nor_of_its_count(site: Site) -> None:
    by_hand(zone_of(site), "cut")
    grant(site)
    task = task_of(zone_of(site), "cut")
    before = (task.state, task.state_run_id, task.applied, task.applied_ever, task.next_month, task.next_at)
    tick(moment("2026-12-01 00:00"))
    assert found(MORNING)
    task = task_of(zone_of(site), "cut")
    after = (task.state, task.state_run_id, task.applied, task.applied_ever, task.next_month, task.next_at)
    assert after == before


def test_whom_a_cut_run_passed_over_is_cut_on_the_day_after_and_nobody_else_waits_so(site: Site) -> None:
    grant(site)
    grant(site, which=1)
    make_company(tolerance=40_000)  # so that the run finds nothing due of the second
    with transaction():
        make_invoice(client_of(site), due=date(2026, 11, 21))
    run = by_hand(zone_of(site), "cut")
    assert items_of(run) == {client_of(site).code: ("skipped", "promise")}
    make_company(tolerance=0)
    tick(moment("2026-12-01 00:00"))
    (follow,) = found(MORNING)
    assert items_of(follow) == {client_of(site).code: ("done", "")}
    assert not suspended(site, 1), "its cut has not come: it waits for that"


def test_the_cut_of_the_promises_own_last_day_passes_over_and_the_next_day_follows(site: Site) -> None:
    december()
    with clock.frozen(moment("2026-12-20 10:00")):
        grant(site, date(2026, 12, 22))
    for at in (moment("2026-12-22 08:00"), moment("2026-12-22 08:01")):
        tick(at)
    assert not suspended(site)
    assert suspended(site, 1)
    tick(moment("2026-12-23 00:00"))
    assert len(found(moment("2026-12-23 08:00"))) == 1
    assert suspended(site)


def test_who_is_cut_by_the_scheduled_run_of_that_hour_needs_no_other(site: Site) -> None:
    brought_back(site)
    with clock.frozen(moment("2026-11-30 12:00")):
        grant(site, date(2026, 12, 14))
    with clock.frozen(moment("2026-12-14 12:00")):
        grant(site, date(2026, 12, 21))
    december()
    tick(moment("2026-12-22 00:00"))
    assert found(moment("2026-12-22 08:00"), 3) == []
    assert suspended(site)


@pytest.mark.parametrize("between", ["paid", "promised", "excluded", "given back", "suspended", "paused", "cancelled"])
def test_what_happens_between_the_promise_and_the_hour_counts(site: Site, between: str) -> None:
    brought_back(site)
    tick(moment("2026-12-01 00:00"))
    with clock.frozen(moment("2026-12-01 07:00")), at_work(), transaction():
        client = client_of(site)
        if between == "paid":
            payments.register(client, 35_000, method="cash")
        elif between == "promised":
            promises.grant(client, date(2026, 12, 3))
        elif between == "excluded":
            clients.edit(client, no_cut=True)
        elif between == "given back":
            holds.suspend(client, "x")
            holds.reactivate(client)
        elif between == "suspended":
            holds.suspend(client, "x")
        elif between == "paused":
            holds.pause(client, date(2026, 12, 5))
        else:
            clients.cancel(client)
    forget()
    runs = found(MORNING, 2)
    assert [items_of(run) for run in runs] == (
        [{client_of(site).code: ("skipped", "excluded")}] if between == "excluded" else []
    )
    row = site.access(site.clients[0])
    assert row.reason == {"suspended": "manual", "paused": "pause"}.get(between, "")
    if between == "promised":  # the new promise answers for the cut that the old one kept away
        tick(moment("2026-12-04 00:00"))
        assert len(found(moment("2026-12-04 08:00"))) == 1
        assert suspended(site)


def test_it_keeps_to_the_hours_of_cuts(site: Site) -> None:
    brought_back(site)
    make_company(cut_from="10:00", cut_until="18:00")
    tick(moment("2026-12-01 00:00"))
    (run,) = found(MORNING)
    assert (run.state, items_of(run)[client_of(site).code]) == ("held", ("waiting", "after_hours"))
    with clock.frozen(moment("2026-12-01 10:00")), queue.inline():
        sweep()
    forget()
    assert items_of(run)[client_of(site).code] == ("done", "")


def test_a_task_that_is_switched_off_has_none(site: Site) -> None:
    brought_back(site)
    with transaction():
        schedules.switch([zone_of(site).schedule], {"cut": False})  # type: ignore[dict-item]
    tick(moment("2026-12-01 00:00"))
    assert found(MORNING) == []
    with transaction():
        schedules.switch([zone_of(site).schedule], {"cut": True})  # type: ignore[dict-item]
    assert found(MORNING + timedelta(hours=1)) == [], "nor later, when it is switched on again"


def test_after_a_time_off_it_runs_late_at_its_hour_and_not_after_the_days_of_the_setting(site: Site) -> None:
    brought_back(site)
    assert found(moment("2026-12-03 02:00")) == [], "not in the night"
    assert len(found(moment("2026-12-03 08:00"))) == 1


def test_one_from_too_long_ago_is_left_to_the_next_cut(site: Site) -> None:
    brought_back(site)
    tick(moment("2026-12-12 00:00"))
    assert found(moment("2026-12-12 08:00"), 2) == []


def test_one_run_per_task_and_day_for_all_whose_promise_was_broken(site: Site) -> None:
    site.cut()
    site.sync()
    grant(site)
    grant(site, which=1)
    tick(moment("2026-12-01 00:00"))
    with clock.frozen(MORNING):
        for _tick in range(2):
            with transaction():
                claimed = followups.claim()
            assert len(claimed) == (1 if _tick == 0 else 0)
        runs = found(MORNING)  # the tick takes it up
    assert runs == []
    session().rollback()
    assert session().scalar(sa.select(sa.func.count()).where(TaskRun.trigger == "followup")) == 1
    with transaction(), pytest.raises(sa.exc.IntegrityError):
        values = {"task_id": task_of(zone_of(site), "cut").id, "month": date(2026, 12, 1), "day": date(2026, 12, 1)}
        session().execute(
            sa.insert(TaskRun).values(**values, trigger="followup", state="success", actor="x", created_at=clock.now())
        )


def test_it_waits_for_its_router_without_taking_over_what_others_left_open(site: Site) -> None:
    brought_back(site)
    site.server.switch(off=True)
    with clock.frozen(moment("2026-11-30 12:00")):
        earlier = by_hand(zone_of(site), "cut")
    other = client_of(site, 1).code
    assert items_of(earlier)[other] == ("waiting", "router_off")
    tick(moment("2026-12-01 00:00"))
    (run,) = found(MORNING)
    assert (run.state, items_of(run)) == ("error", {client_of(site).code: ("waiting", "router_off")})
    assert items_of(earlier)[other] == ("waiting", "router_off")
    site.server.normal()
    with clock.frozen(MORNING + timedelta(hours=1)), queue.inline():
        site.order()
    forget()
    assert items_of(run)[client_of(site).code][0] == "done"
    assert items_of(earlier)[other][0] == "done"


def test_an_order_by_hand_is_not_answered_with_a_followup_that_is_under_way(site: Site) -> None:
    brought_back(site)
    with transaction():
        promises.end_due()
    with clock.frozen(MORNING):
        with transaction():
            promises.end_due()
        with transaction():
            assert len(followups.claim()) == 1
        with refused("tasks.other_run"):
            service.order(session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut")).one())


def test_own_billing_is_followed_up_by_the_clients_own_task(site: Site) -> None:
    own = {"billing_type": "prepaid", "due_day": 4}
    moments = {"invoices": (1, 600), "notice": (3, 600), "cut": (6, 570)}
    with transaction():
        clients.own_billing(client_of(site), **own, moments=moments)  # type: ignore[arg-type]
    brought_back(site)
    tick(moment("2026-12-01 00:00"))
    assert found(MORNING) == []
    (run,) = found(moment("2026-12-01 09:30"))
    assert run.task_id == task_of(client_of(site), "cut").id
    assert items_of(run) == {client_of(site).code: ("done", "")}


def test_the_followup_is_listed_and_shown_as_what_it_is(app: Flask, site: Site) -> None:
    brought_back(site)
    tick(moment("2026-12-01 00:00"))
    (run,) = found(MORNING)
    listed = _json(app, "runs", "list")
    assert [(one["id"], one["trigger"]) for one in listed] == [(run.id, "followup")]
    shown = _json(app, "runs", "show", str(run.id))
    assert (shown["trigger"], [item["state"] for item in shown["items"]]) == ("followup", ["done"])
    task = next(one for one in _json(app, "tasks", "list") if one["id"] == run.task_id)
    assert (task["times_applied"], task["last_run_id"]) == (0, run.id)


def test_the_command_refuses_and_says_until_when_a_promise_may_last(app: Flask, site: Site) -> None:
    words = ["payments", "promise", "--client", client_of(site).code, "--until", "2999-01-01", "--json"]
    result = app.test_cli_runner().invoke(args=words)
    assert (result.exit_code, "2026-12-10" in result.stderr) == (1, True)


def _json(app: Flask, *words: str) -> Any:
    with clock.frozen(MORNING):
        result = app.test_cli_runner().invoke(args=[*words, "--json"])
    forget()
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_zones_far_apart_end_a_promise_each_at_their_midnight(site: Site) -> None:
    with transaction():
        there = make_zone(client_of(site).zone.router, timezone="America/Tijuana")
        clients.edit(client_of(site, 1), zone=there)
    grant(site)
    grant(site, which=1)
    tick(moment("2026-12-01 00:30"))
    query = sa.select(Promise.outcome).order_by(Promise.client_id)
    assert session().scalars(query).all() == ["broken", ""]
    tick(moment("2026-12-01 00:00", "America/Tijuana"))
    session().rollback()
    assert session().scalars(query).all() == ["broken", "broken"]
