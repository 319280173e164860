"""Schedules change and people act between two runs: a month never runs twice, none is lost without a word."""

from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_clients, make_router, make_zone, moment
from tests.support.billing import (
    by_hand,
    count,
    forget,
    gapless,
    items_of,
    listed,
    order,
    settle,
    task_of,
    tick,
    ticks,
)
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence
from wisp.tasks import service
from wisp.tasks.models import TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
OWN = {"billing_type": "prepaid", "due_day": 25, "moments": {Kind.invoices: (20, 600), Kind.notice: (22, 600),
                                                             Kind.cut: (28, 600)}}  # fmt: skip


@pytest.fixture
def zone(router_sim):
    with clock.frozen(moment("2026-11-10 10:00")):
        return make_zone(make_router(host=router_sim.host, port=router_sim.port))


def edit(zone, at, *, this_month=None, **moments):
    """Save the zone's form at that moment."""
    with clock.frozen(moment(at)), transaction():
        schedule = session().get_one(BillingSchedule, zone.schedule_id)
        wanted = {Kind(kind): value for kind, value in moments.items()}
        schedules.change(schedule, moments=wanted, this_month=this_month)


def occurrences(zone, kind="invoices"):
    rows = session().execute(
        sa.select(Occurrence.month, Occurrence.state)
        .where(Occurrence.task_id == task_of(zone, kind).id)
        .order_by(Occurrence.month)
    )
    return [(month, state) for month, state in rows]


# Edited ----------------------------------------------------------------------------------------------


def test_a_zone_edited_a_minute_before_its_run_runs_at_the_new_moment_only(zone) -> None:
    make_clients(3, zone)
    edit(zone, "2026-11-15 11:59", invoices=(15, 1200))
    assert tick(moment("2026-11-15 12:00")) == []
    assert tick(moment("2026-11-15 19:59")) == []
    (run,) = tick(moment("2026-11-15 20:00"))
    assert (run.trigger, run.planned_for, run.invoiced) == ("schedule", moment("2026-11-15 20:00"), 3)
    assert tick(moment("2026-11-15 20:01")) == []


def test_a_run_may_be_brought_forward_to_the_next_minute(zone) -> None:
    make_clients(3, zone)
    edit(zone, "2026-11-11 09:59", invoices=(11, 600))
    (run,) = tick(moment("2026-11-11 10:00"))
    assert (run.month, run.invoiced) == (NOVEMBER, 3)
    assert ticks(moment("2026-11-15 12:00")) == []


@pytest.mark.parametrize("worked_off", [True, False])
def test_a_claimed_month_does_not_run_again_when_its_day_is_moved_later(zone, worked_off) -> None:
    make_clients(3, zone)
    if worked_off:
        tick(moment("2026-11-15 12:00"))
    else:  # claimed, but no worker has come yet
        from wisp.tasks import tick as claims

        with clock.frozen(moment("2026-11-15 12:00")):
            assert len(claims.claim_due()) == 1
    edit(zone, "2026-11-15 12:01", invoices=(25, 720))
    assert task_of(zone).next_at == moment("2026-12-25 12:00")
    tick(moment("2026-11-15 12:05"))
    assert ticks(moment("2026-11-25 12:00")) != []  # notice and cut
    assert count(TaskRun, TaskRun.task_id == task_of(zone).id) == 1
    assert count(Invoice) == 3


def test_a_day_gone_by_is_asked_for_and_nothing_is_saved_without_an_answer(zone) -> None:
    with pytest.raises(Refused) as refused:
        edit(zone, "2026-11-12 10:00", invoices=(5, 600))
    assert refused.value.code == "schedules.needs_choice"
    forget()
    task = task_of(zone)
    assert (task.day, task.minute, task.next_at) == (15, 720, moment("2026-11-15 12:00"))


def test_apply_this_month_on_saving_runs_it_once_at_the_next_tick(zone) -> None:
    make_clients(2, zone)
    edit(zone, "2026-11-30 10:00", this_month="run", invoices=(1, 600))
    (run,) = [run for run in tick(moment("2026-11-30 10:01")) if run.task_id == task_of(zone).id]
    assert (run.month, run.invoiced) == (NOVEMBER, 2)  # although its moment is 29 days old
    assert task_of(zone).next_at == moment("2026-12-01 10:00")
    assert not task_of(zone).forced
    assert occurrences(zone)[-1] == (NOVEMBER, "claimed")


def test_begin_next_month_leaves_this_one_out_but_a_person_may_still_apply_it(zone) -> None:
    make_clients(2, zone)
    edit(zone, "2026-11-12 10:00", this_month="skip", invoices=(5, 600))
    assert task_of(zone).next_at == moment("2026-12-05 10:00")
    assert [run.task_id for run in ticks(moment("2026-11-15 12:00"))] == []
    assert (NOVEMBER, "skipped") in occurrences(zone)
    with clock.frozen(moment("2026-11-16 10:00")):
        assert by_hand(zone).invoiced == 2
    assert (NOVEMBER, "claimed") in occurrences(zone)
    edit(zone, "2026-11-17 10:00", invoices=(18, 600))  # a month that has run by hand as its own occurrence
    assert task_of(zone).next_at == moment("2026-12-18 10:00")


def test_another_time_zone_moves_the_run_with_it(zone) -> None:
    make_clients(1, zone)
    with clock.frozen(moment("2026-11-15 11:00")), transaction():
        schedule = session().get_one(BillingSchedule, zone.schedule_id)
        schedules.change(schedule, timezone="America/Tijuana")
    assert tick(moment("2026-11-15 12:00")) == []
    (run,) = tick(moment("2026-11-15 12:00", "America/Tijuana"))
    assert run.invoiced == 1
    with clock.frozen(moment("2026-11-15 23:00")), transaction():  # back: its hour of today lies behind
        schedules.change(session().get_one(BillingSchedule, zone.schedule_id), timezone="")
    assert task_of(zone).next_at == moment("2026-12-15 12:00")


# Early, and added in between -------------------------------------------------------------------------


def test_an_early_run_leaves_the_scheduled_one_which_takes_the_newcomers(zone, router_sim: SimulatorServer) -> None:
    with clock.frozen(moment("2026-11-12 10:00")):
        make_clients(3, zone)
        early = by_hand(zone)
        assert (early.invoiced, task_of(zone).state) == (3, "pending")
        make_clients(2, zone)
    (run,) = tick(moment("2026-11-15 12:00"))
    assert (run.invoiced, run.unchanged, run.mails) == (2, 3, 2)
    assert gapless() == [1, 2, 3, 4, 5]
    assert (task_of(zone).state, task_of(zone).applied) == ("success", 2)

    with clock.frozen(moment("2026-11-21 10:00")):  # the cut likewise, early and with what is not due yet
        early = by_hand(zone, "cut", options=service.planning.Options(include_not_due=True))
        assert (early.cut, task_of(zone, "cut").state) == (5, "pending")
        newcomer = make_client(zone)
    with clock.frozen(moment("2026-11-21 11:00")):
        assert by_hand(zone).invoiced == 1
        settle([newcomer.id])
    runs = ticks(moment("2026-11-22 08:00"))
    cut = next(run for run in runs if run.task_id == task_of(zone, "cut").id)
    assert (cut.state, cut.cut, cut.unchanged) == ("success", 0, 5)
    assert len(listed(router_sim)) == 5


def test_next_month_applied_early_is_not_billed_again_in_its_month(zone) -> None:
    make_clients(2, zone)
    edit(zone, "2026-11-10 10:00", this_month="skip", invoices=(1, 600))
    with clock.frozen(moment("2026-11-26 10:00")):
        assert by_hand(zone, month=DECEMBER).invoiced == 2
    (run,) = [r for r in ticks(moment("2026-12-01 10:00")) if r.task_id == task_of(zone).id]
    assert (run.month, run.invoiced, run.unchanged) == (DECEMBER, 0, 2)
    assert set(session().scalars(sa.select(Invoice.month))) == {DECEMBER}


# Own billing -----------------------------------------------------------------------------------------


def own(client, at, **values):
    with clock.frozen(moment(at)), transaction():
        clients.own_billing(session().get_one(Client, client.id), **{**OWN, **values})
    forget()


def zone_again(client, at):
    with clock.frozen(moment(at)), transaction():
        clients.zone_billing(session().get_one(Client, client.id))
    forget()


def test_own_billing_between_the_zones_run_and_its_own_bills_the_month_once(zone) -> None:
    with clock.frozen(moment("2026-11-10 10:00")):
        client, other = make_client(zone), make_client(zone)
    tick(moment("2026-11-15 12:00"))
    own(client, "2026-11-16 10:00")
    (run,) = [r for r in ticks(moment("2026-11-20 10:00")) if r.task_id == task_of(client).id]
    assert (run.month, run.invoiced, run.unchanged) == (NOVEMBER, 0, 1)
    (zones,) = [r for r in ticks(moment("2026-12-15 12:00")) if r.task_id == task_of(zone).id]
    assert (zones.invoiced, zones.expected) == (1, 1)  # the other one only
    (run,) = [r for r in ticks(moment("2026-12-20 10:00")) if r.task_id == task_of(client).id]
    assert run.invoiced == 1
    mine = session().scalars(sa.select(Invoice).where(Invoice.client_id == client.id).order_by(Invoice.month)).all()
    assert [i.month for i in mine] == [NOVEMBER, DECEMBER]
    # Each month the period of the schedule that billed it. The days between the two belong to the later one: none is
    # left out, and none is billed twice.
    assert [(i.period_from, i.period_to) for i in mine] == [
        (date(2026, 11, 20), date(2026, 12, 19)), (date(2026, 12, 20), date(2027, 1, 24)),
    ]  # fmt: skip
    assert count(Invoice, Invoice.client_id == other.id) == 2


def test_own_billing_off_again_before_its_run_leaves_the_client_to_the_zone(zone) -> None:
    with clock.frozen(moment("2026-11-10 10:00")):
        client = make_client(zone)
    own(client, "2026-11-11 10:00", moments={**OWN["moments"], Kind.invoices: (14, 600)})
    zone_again(client, "2026-11-12 10:00")
    assert ticks(moment("2026-11-14 10:00")) == []
    (run,) = tick(moment("2026-11-15 12:00"))
    assert run.invoiced == 1
    own(client, "2026-11-16 10:00")  # and on again: the months gone by are not made up for
    assert {task_of(client, kind).next_month for kind in ("invoices", "notice", "cut")} == {NOVEMBER}
    assert all(task_of(client, kind).archived_at is None for kind in ("invoices", "notice", "cut"))
    runs = [r for r in ticks(moment("2026-11-20 10:00")) if r.task_id == task_of(client).id]
    assert [(r.invoiced, r.unchanged) for r in runs] == [(0, 1)]


def test_own_billing_off_while_its_run_waits_for_a_worker(zone) -> None:
    with clock.frozen(moment("2026-11-10 10:00")):
        client = make_client(zone)
    own(client, "2026-11-11 10:00")
    with clock.frozen(moment("2026-11-12 10:00")):
        run_id = order(session().get_one(Client, client.id))
    zone_again(client, "2026-11-12 10:01")
    tick(moment("2026-11-12 10:10"))
    run = session().get_one(TaskRun, run_id)
    assert (run.state, run.expected, run.invoiced) == ("success", 0, 0)
    (run,) = tick(moment("2026-11-15 12:00"))
    assert run.invoiced == 1
    assert gapless() == [1]


def test_the_zones_cut_leaves_own_billing_alone_and_the_other_way_round(zone, router_sim: SimulatorServer) -> None:
    with clock.frozen(moment("2026-11-10 10:00")):
        ours, theirs = make_client(zone, code="ZONE"), make_client(zone, code="OWN")
        own(theirs, "2026-11-10 10:00")
        by_hand(zone)
        by_hand(session().get_one(Client, theirs.id))
    (cut,) = [r for r in ticks(moment("2026-11-22 08:00")) if r.task_id == task_of(zone, "cut").id]
    assert items_of(cut) == {"ZONE": ("done", "")}
    (cut,) = [r for r in ticks(moment("2026-11-28 10:00")) if r.task_id == task_of(theirs, "cut").id]
    assert items_of(cut) == {"OWN": ("done", "")}
    assert set(listed(router_sim).values()) == {"wisp:ZONE", "wisp:OWN"}
    assert ours.id != theirs.id
