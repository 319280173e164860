"""Own billing: its three tasks, whose runs act on whom, and every change between own and zone billing between runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.factories import moment
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.invoices.models import Invoice
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import EditOutcome, Kind
from wisp.schedules.models import PeriodicTask
from wisp.tasks.models import TaskRun

NOVEMBER = date(2026, 11, 1)
OWN = {Kind.invoices: (25, 720), Kind.notice: (27, 540), Kind.cut: (28, 480)}


@pytest.fixture
def world(app: Flask) -> Any:
    """Zone "Norte" (invoices on the 15th at 12:00) with the clients ANA and EVA, on 10 November."""
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        factories.make_company(tax_bp=0)
        zone = factories.make_zone(factories.make_router(name="Torre"), name="Norte")
        plan = factories.make_plan()
        for code in ("ANA", "EVA"):
            factories.make_client(zone, plan, code=code)
        yield zone


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Refused) as found:
        yield
    assert found.value.code == code


def zone_task(world: Zone, kind: str) -> PeriodicTask:
    session().expire_all()
    return next(task for task in session().get_one(Zone, world.id).schedule.tasks if task.kind == kind)


def own(code: str = "ANA", moments: Any = OWN, **chosen: Any) -> None:
    with transaction():
        clients.own_billing(clients.find(code), billing_type="prepaid", due_day=20, moments=moments, **chosen)


def back(code: str = "ANA") -> None:
    with transaction():
        clients.zone_billing(clients.find(code))


def ticks(at: str) -> None:
    """A few minutes of the scheduler at that moment, with all that follows."""
    for _ in range(4):
        with clock.frozen(moment(at)), queue.inline():
            queue.enqueue("tasks.tick")
        session().rollback()
        session().expire_all()


def invoiced() -> list[tuple[str, str]]:
    """(client, month) of every invoice; fails where a client has two of a month."""
    session().rollback()
    rows = session().execute(sa.select(Client.code, Invoice.month).join(Invoice, Invoice.client_id == Client.id)).all()
    found = sorted((code, month.isoformat()[:7]) for code, month in rows)
    assert len(set(found)) == len(found), found
    return found


def tasks(code: str = "ANA") -> dict[str, PeriodicTask]:
    session().rollback()
    session().expire_all()
    schedule_id = session().scalar(sa.select(Client.schedule_id).where(Client.code == code))
    return {
        t.kind: t for t in session().scalars(sa.select(PeriodicTask).where(PeriodicTask.schedule_id == schedule_id))
    }


def test_three_tasks_come_into_being_and_begin_in_the_future(world: Zone) -> None:
    own()
    found = tasks()
    assert set(found) == {"invoices", "notice", "cut"}
    assert found["invoices"].next_at == moment("2026-11-25 12:00")
    assert found["cut"].next_at == moment("2026-11-28 08:00")


def test_a_refusal_leaves_no_half_of_it(world: Zone) -> None:
    with pytest.raises(Refused):
        own(timezone="Mars/Base")
    assert tasks() == {}
    assert clients.find("ANA").own_billing is False


def test_zone_and_own_runs_act_on_their_clients_alone(world: Zone) -> None:
    own()
    ticks("2026-11-15 12:00")
    assert invoiced() == [("EVA", "2026-11")]
    ticks("2026-11-25 12:00")
    assert invoiced() == [("ANA", "2026-11"), ("EVA", "2026-11")]


def test_own_billing_after_the_zones_run_invoices_the_month_once(world: Zone) -> None:
    ticks("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-16 10:00")):
        own()
    ticks("2026-11-25 12:00")
    assert invoiced() == [("ANA", "2026-11"), ("EVA", "2026-11")]
    ticks("2026-12-15 12:00")
    ticks("2026-12-25 12:00")
    assert invoiced() == [(code, month) for code in ("ANA", "EVA") for month in ("2026-11", "2026-12")]


def test_back_to_the_zone_before_its_run_invoices_the_month_once(world: Zone) -> None:
    own(moments={**OWN, Kind.invoices: (11, 720)})
    ticks("2026-11-11 12:00")
    assert invoiced() == [("ANA", "2026-11")]
    with clock.frozen(moment("2026-11-12 10:00")):
        back()
    ticks("2026-11-15 12:00")
    assert invoiced() == [("ANA", "2026-11"), ("EVA", "2026-11")]


def test_going_back_archives_the_tasks_and_keeps_their_runs(world: Zone) -> None:
    own(moments={**OWN, Kind.invoices: (11, 720)})
    ticks("2026-11-11 12:00")
    with clock.frozen(moment("2026-11-12 10:00")):
        back()
    found = tasks()
    assert all(task.archived_at and task.next_at is None for task in found.values())
    run = session().scalars(sa.select(TaskRun).where(TaskRun.task_id == found["invoices"].id)).one()
    assert (run.state, run.invoiced) == ("success", 1)
    ticks("2026-12-11 12:00")
    assert invoiced() == [("ANA", "2026-11")]


def test_own_billing_again_goes_on_with_the_same_tasks(world: Zone) -> None:
    own()
    before = {kind: task.id for kind, task in tasks().items()}
    back()
    with clock.frozen(moment("2026-11-26 10:00")):
        own()
    found = tasks()
    assert {kind: task.id for kind, task in found.items()} == before
    assert all(task.archived_at is None for task in found.values())
    assert found["invoices"].next_at == moment("2026-12-25 12:00")
    assert found["notice"].next_at == moment("2026-11-27 09:00")


def test_a_run_ordered_before_going_back_acts_on_nobody(world: Zone) -> None:
    from wisp.tasks import service

    own()
    with transaction():
        service.order(session().get_one(PeriodicTask, tasks()["invoices"].id))
    back()
    with queue.inline():
        queue.enqueue("tasks.run", list(session().scalars(sa.select(TaskRun.id))))
    assert invoiced() == []


@pytest.mark.parametrize("another_router", [False, True])
def test_moving_keeps_own_billing(world: Zone, another_router: bool) -> None:
    own()
    with transaction():
        router = factories.make_router() if another_router else world.router
        clients.move(clients.find("ANA"), factories.make_zone(router, name="Sur"))
    client = clients.find("ANA")
    assert (client.own_billing, client.zone.name) == (True, "Sur")
    assert tasks()["invoices"].next_at == moment("2026-11-25 12:00")
    ticks("2026-11-15 12:00")
    assert invoiced() == [("EVA", "2026-11")]
    ticks("2026-11-25 12:00")
    assert invoiced() == [("ANA", "2026-11"), ("EVA", "2026-11")]


def test_days_gone_by_are_asked_for_and_can_run_at_once(world: Zone) -> None:
    moments = {**OWN, Kind.invoices: (5, 720)}
    assert clients.begin_choices(clients.find("ANA"), schedules.timetable_of("prepaid", 20, moments), "") == [
        Kind.invoices
    ]
    own(moments=moments, this_month="run")
    assert tasks()["invoices"].next_at == moment("2026-11-05 12:00")
    ticks("2026-11-10 10:01")
    assert invoiced() == [("ANA", "2026-11")]
    assert tasks()["invoices"].next_at == moment("2026-12-05 12:00")


def test_who_has_its_invoice_is_not_asked_about_invoices(world: Zone) -> None:
    """The zone's invoices were made early, by hand: its occurrence is still to come, Ana's invoice is there."""
    from wisp.tasks import service

    early = schedules.timetable_of("prepaid", 20, {**OWN, Kind.invoices: (5, 720), Kind.notice: (6, 540)})
    with clock.frozen(moment("2026-11-10 10:00")):
        assert clients.begin_choices(clients.find("ANA"), early, "") == [Kind.invoices, Kind.notice]
        with queue.inline(), transaction():
            service.order(session().get_one(PeriodicTask, zone_task(world, "invoices").id))
        assert clients.begin_choices(clients.find("ANA"), early, "") == [Kind.notice]
        outcomes = {Kind.invoices: EditOutcome(date(2026, 12, 1), moment("2026-12-05 12:00"), True, NOVEMBER, [])}
        assert schedules.choices(session().get_one(Zone, world.id).schedule, outcomes) == []


def test_each_kind_has_its_own_choice_and_runs_in_the_name_of_who_chose(world: Zone) -> None:
    audit.act_as(audit.Actor("staff:eva@example.com"))
    moments = {**OWN, Kind.invoices: (5, 720), Kind.notice: (6, 540)}
    with refused("schedules.needs_choice"), transaction():
        clients.own_billing(clients.find("ANA"), billing_type="prepaid", due_day=20, moments=moments,
                            this_month={Kind.notice: "skip"})  # fmt: skip
    own(moments=moments, this_month={Kind.invoices: "run", Kind.notice: "skip"})
    assert tasks()["notice"].next_at == moment("2026-12-06 09:00")
    ticks("2026-11-10 10:01")
    assert invoiced() == [("ANA", "2026-11")]
    assert session().scalar(sa.select(TaskRun.actor)) == "staff:eva@example.com"
    ticks("2026-12-05 12:00")
    assert session().scalar(sa.select(TaskRun.actor).order_by(TaskRun.id.desc())) == "system"
    audit.act_as(audit.SYSTEM)


def test_who_may_not_apply_tasks_can_neither_choose_nor_move_a_day_to_now(world: Zone) -> None:
    zone = session().get_one(Zone, world.id)
    with clock.frozen(moment("2026-11-10 10:00")):
        for moments, choice in [
            ({Kind.invoices: (5, 720)}, "run"),
            ({Kind.invoices: (10, 10 * 60 + 10)}, None),
            ({Kind.cut: (10, 10 * 60 + 15)}, None),
        ]:
            with refused("schedules.may_not_apply"), transaction():
                schedules.change(zone.schedule, moments=moments, this_month=choice, may_apply=False)
            with refused("schedules.may_not_apply"), transaction():
                clients.own_billing(clients.find("ANA"), billing_type="prepaid", due_day=20,
                                    moments={**OWN, **moments}, this_month=choice, may_apply=False)  # fmt: skip
        with transaction():
            schedules.change(zone.schedule, moments={Kind.invoices: (10, 10 * 60 + 16)}, may_apply=False)
        with transaction():
            schedules.change(zone.schedule, moments={Kind.invoices: (5, 720)}, this_month="skip", may_apply=False)


def test_the_time_zone_alone_asks_nothing_about_days_gone_by(world: Zone) -> None:
    """The notice of November was skipped; another zone, of the schedule or of the company, brings it up no more."""
    with clock.frozen(moment("2026-11-10 10:00")):
        with transaction():
            zone = session().get_one(Zone, world.id)
            schedules.change(zone.schedule, moments={Kind.notice: (5, 540)}, this_month="skip")
        with transaction():
            schedules.change(session().get_one(Zone, world.id).schedule, timezone="America/Tijuana")
    assert zone_task(world, "notice").next_at == moment("2026-12-05 11:00")  # nine o'clock there
    with clock.frozen(moment("2026-11-15 11:30")):  # half an hour before the invoices, half past one in Madrid
        with refused("schedules.needs_choice"), transaction():
            schedules.change(session().get_one(Zone, world.id).schedule, timezone="Europe/Madrid")
        with transaction():
            schedules.change(session().get_one(Zone, world.id).schedule, timezone="Europe/Madrid", this_month="run")
    ticks("2026-11-15 11:31")
    assert invoiced() == [("ANA", "2026-11"), ("EVA", "2026-11")]


def test_a_cut_on_the_payment_day_is_refused_with_the_day_after(world: Zone) -> None:
    zone = session().get_one(Zone, world.id)
    for values, proposed in [({"moments": {Kind.cut: (20, 480)}}, 21), ({"due_day": 22}, 23)]:
        with pytest.raises(Refused) as refused, transaction():
            schedules.change(zone.schedule, **values)
        assert (refused.value.code, refused.value.values["proposed"]) == ("schedules.cut_on_due_day", proposed)


def test_the_payment_day_moves_the_cut_out_of_its_way(world: Zone) -> None:
    """Day 31 with payment day 30: in November both would be the 30th, on which people still pay in time."""
    with clock.frozen(moment("2026-11-10 10:00")), transaction():
        schedules.change(session().get_one(Zone, world.id).schedule, moments={Kind.cut: (31, 480)})
    assert zone_task(world, "cut").next_at == moment("2026-11-30 08:00")
    with clock.frozen(moment("2026-11-10 10:00")), transaction():
        schedules.change(session().get_one(Zone, world.id).schedule, due_day=30)
    assert zone_task(world, "cut").next_at == moment("2026-12-01 08:00")
    for at in ("2026-11-15 12:00", "2026-11-18 09:00", "2026-11-30 08:00"):
        ticks(at)
    cuts = sa.select(TaskRun.month, TaskRun.planned_for).where(TaskRun.task_id == zone_task(world, "cut").id)
    assert session().execute(cuts).all() == []
    ticks("2026-12-01 08:00")
    ticks("2026-12-31 08:00")
    assert [tuple(row) for row in session().execute(cuts.order_by(TaskRun.id))] == [
        (NOVEMBER, moment("2026-12-01 08:00")),
        (date(2026, 12, 1), moment("2026-12-31 08:00")),
    ]


def test_a_moment_kept_by_other_rules_is_put_right_and_nothing_counts_as_missed(world: Zone) -> None:
    with transaction():
        task = zone_task(world, "invoices")
        task.state, task.next_month, task.next_at = "success", date(2026, 12, 1), moment("2026-11-15 12:00")
    ticks("2026-11-15 12:01")
    task = zone_task(world, "invoices")
    assert (task.state, task.next_month, task.next_at) == ("success", date(2026, 12, 1), moment("2026-12-15 12:00"))
    assert invoiced() == []


def test_days_gone_by_may_begin_next_month(world: Zone) -> None:
    own(moments={**OWN, Kind.invoices: (5, 720)}, this_month="skip")
    ticks("2026-11-10 10:01")
    assert invoiced() == []
    assert tasks()["invoices"].next_at == moment("2026-12-05 12:00")


def test_nothing_is_asked_where_the_zone_has_run_this_month(world: Zone) -> None:
    early = schedules.timetable_of("prepaid", 20, {**OWN, Kind.invoices: (5, 720)})
    ticks("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-16 10:00")):
        assert clients.begin_choices(clients.find("ANA"), early, "") == []


def test_a_switched_off_task_runs_by_hand_only(world: Zone) -> None:
    from wisp.tasks import service

    own()
    with transaction():
        clients.switch(clients.find("ANA"), {Kind.invoices: False})
    ticks("2026-11-25 12:00")
    assert ("ANA", "2026-11") not in invoiced()
    with clock.frozen(moment("2026-11-26 12:00")), queue.inline(), transaction():
        service.order(session().get_one(PeriodicTask, tasks()["invoices"].id))
    assert ("ANA", "2026-11") in invoiced()
    with clock.frozen(moment("2027-01-26 12:00")), transaction():
        clients.switch(clients.find("ANA"), {Kind.invoices: True})
    assert tasks()["invoices"].next_at == moment("2027-02-25 12:00")


def test_on_the_command_line(app: Flask, world: Zone) -> None:
    runner = app.test_cli_runner()
    args = ["clients", "own-billing", "ANA", "--invoice", "5 08:00", "--due", "12", "--notice", "13 09:00", "--cut"]
    assert runner.invoke(args=[*args, "15 08:00"]).exit_code == 0
    listed = json.loads(runner.invoke(args=["tasks", "list", "--client", "ANA", "--json"]).stdout)
    assert {task["kind"]: task["next_run"] for task in listed} == {
        "invoices": "2026-12-05T08:00:00-06:00",
        "notice": "2026-11-13T09:00:00-06:00",
        "cut": "2026-11-15T08:00:00-06:00",
    }
    assert {task["owner"] for task in listed} == {"client"}
    assert runner.invoke(args=["clients", "zone-billing", "ANA"]).exit_code == 0
    assert json.loads(runner.invoke(args=["tasks", "list", "--client", "ANA", "--json"]).stdout) == []


def test_a_second_tick_beside_a_switch_leaves_no_next_run(world: Zone) -> None:
    """The rule of the table: what is switched off has no next run, whatever was read before."""
    stale = session().get_one(Zone, world.id).schedule.tasks
    assert stale[0].next_at is not None
    ticks("2026-11-15 12:00")
    with transaction():
        zone = session().get_one(Zone, world.id)
        schedules.lock([zone.schedule_id])
        schedules.switch([zone.schedule], dict.fromkeys(Kind, False))
    session().expire_all()
    assert [task.next_at for task in session().get_one(Zone, world.id).schedule.tasks] == [None, None, None]


def unbilled(code: str, *args: str) -> Any:
    """What a change on the command line says of days that nobody bills."""
    from flask import current_app

    answer = current_app.test_cli_runner().invoke(args=["clients", *args, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)["unbilled"]


def test_days_that_nobody_bills_are_said(app: Flask, world: Zone) -> None:
    """The zone has billed through 19 December; with due day 28 the next period begins on the 28th."""
    ticks("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-16 10:00")):
        args = ("own-billing", "ANA", "--due", "28", "--invoice", "25 12:00", "--this-month", "skip")
        assert unbilled("ANA", *args) == {"from": "2026-12-20", "to": "2026-12-27"}
        assert unbilled("ANA", "zone-billing", "ANA") is None
    ticks("2026-12-15 12:00")
    periods = [str(p) for p in session().scalars(sa.select(Invoice.period_from).order_by(Invoice.id))]
    assert periods == ["2026-11-20", "2026-11-20", "2026-12-20", "2026-12-20"]


def test_going_back_after_the_zones_day_says_the_month_that_is_left_out(app: Flask, world: Zone) -> None:
    with clock.frozen(moment("2026-10-15 12:00")), transaction():
        schedules.run_this_month(session().get_one(Zone, world.id).schedule, [Kind.invoices])
    ticks("2026-10-15 12:00")
    assert invoiced() == [("ANA", "2026-10"), ("EVA", "2026-10")]
    own(moments={**OWN, Kind.invoices: (18, 720)})
    ticks("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-16 10:00")):
        assert unbilled("ANA", "zone-billing", "ANA") == {"from": "2026-11-20", "to": "2026-12-19"}


@pytest.mark.parametrize(
    ("due", "invoice", "left_out"),
    [("20", "15 12:00", None), ("12", "10 12:00", None), ("25", "15 12:00", ("2026-12-20", "2026-12-24"))],
)
def test_only_real_holes_are_said(
    app: Flask, world: Zone, due: str, invoice: str, left_out: tuple[str, str] | None
) -> None:
    ticks("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-16 10:00")):
        found = unbilled("ANA", "own-billing", "ANA", "--due", due, "--invoice", invoice, "--this-month", "skip")
    assert found == (dict(zip(("from", "to"), left_out, strict=True)) if left_out else None)


def test_one_never_billed_and_a_free_one_have_no_holes(app: Flask, world: Zone) -> None:
    assert unbilled("ANA", "own-billing", "ANA", "--due", "28", "--invoice", "25 12:00") is None
    with transaction():
        clients.edit(clients.find("EVA"), free=True, billed_through="2026-11-01")
    assert unbilled("EVA", "own-billing", "EVA", "--due", "28", "--invoice", "25 12:00") is None


def test_own_billing_begins_with_the_zones_switches(world: Zone) -> None:
    from wisp.routers import service as routers

    with transaction():
        routers.switch_zone(session().get_one(Zone, world.id), {Kind.cut: False})
    assert (
        clients.begin_choices(
            clients.find("ANA"), schedules.timetable_of("prepaid", 20, {**OWN, Kind.cut: (5, 480)}), ""
        )
        == []
    )
    own()
    assert {kind: task.enabled for kind, task in tasks().items()} == {"invoices": True, "notice": True, "cut": False}
    assert tasks()["cut"].next_at is None
    with transaction():
        clients.switch(clients.find("ANA"), {Kind.cut: True})
    back()
    own()
    assert tasks()["cut"].enabled


@pytest.mark.parametrize(
    ("day", "next_at"),
    [("2026-11-20", "2026-11-27 08:00"), ("2026-11-25", "2026-11-27 08:00"), ("2026-11-28", "2026-12-22 08:00")],
)
def test_a_cut_that_moved_with_late_invoices_stays_moved(world: Zone, day: str, next_at: str) -> None:
    """Before the due day, which moved too, the cut of November would find nobody."""
    from wisp.routers import service as routers

    with transaction():
        cut = session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut")).one()
        cut.shift_days, cut.next_at = 5, moment("2026-11-27 08:00")
    for wanted in (False, True):
        with clock.frozen(moment(f"{day} 10:00")), transaction():
            routers.switch_zone(session().get_one(Zone, world.id), {Kind.cut: wanted})
    session().expire_all()
    assert session().get_one(PeriodicTask, cut.id).next_at == moment(next_at)
