"""The calendar's traps, from the tick to the books: short months, leap years, daylight saving, time zones, clocks set
back, the program off."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_clients, make_company, make_invoice, make_router, make_zone, moment
from tests.support.billing import by_hand, count, forget, gapless, items_of, listed, task_of, tick, ticks
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, Promise
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.tasks import runner, service
from wisp.tasks import tick as claims
from wisp.tasks.models import TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
NOVEMBER = date(2026, 11, 1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def router(router_sim):
    return make_router(host=router_sim.host, port=router_sim.port)


def zone_at(when, router=None, **schedule):
    with clock.frozen(moment(when)):
        return make_zone(router, **schedule)


def of(task, runs):
    return [run for run in runs if run.task_id == task.id]


def local(at: datetime, name: str) -> str:
    return at.astimezone(ZoneInfo(name)).strftime("%Y-%m-%d %H:%M")


# Short months, leap years, the year's change ---------------------------------------------------------


def test_days_29_to_31_through_february_leap_year_and_new_year(router) -> None:
    """Each task at its very moments: one run and one invoice a month, periods without gap or overlap."""
    ends = zone_at("2027-10-05 10:00", router, due_day=31,
                   moments={"invoices": (29, 0), "notice": (30, 30), "cut": (31, 1439)})  # fmt: skip
    early = zone_at("2027-10-05 10:00", router, due_day=29, billing_type="postpaid",
                    moments={"invoices": (31, 1439), "notice": (1, 0), "cut": (30, 0)})  # fmt: skip
    with clock.frozen(moment("2027-10-05 10:00")):
        clients = [make_client(ends).id, make_client(early).id]
    stop = moment("2028-05-05 10:00")
    while (at := session().scalar(sa.select(sa.func.min(PeriodicTask.next_at)))) < stop:
        with clock.frozen(at - MINUTE):
            assert claims.claim_due() == []
        assert tick(at)
    for zone in (ends, early):
        for kind in Kind:
            runs = session().scalars(
                sa.select(TaskRun).where(TaskRun.task_id == task_of(zone, kind).id).order_by(TaskRun.id)
            ).all()  # fmt: skip
            months = [run.month for run in runs]
            assert len(set(months)) == len(months) >= 6
            assert {(run.trigger, run.state) for run in runs} == {("schedule", "success")}
    days = {
        (run.planned_for.astimezone(ZoneInfo("America/Mexico_City")).date())
        for run in session().scalars(sa.select(TaskRun).where(TaskRun.task_id == task_of(ends, "cut").id))
    }
    assert {date(2027, 11, 30), date(2027, 12, 31), date(2028, 2, 29), date(2028, 4, 30)} <= days
    for client_id in clients:
        invoices = session().scalars(
            sa.select(Invoice).where(Invoice.client_id == client_id).order_by(Invoice.month)
        ).all()  # fmt: skip
        assert len(invoices) >= 6
        for one, two in pairwise(invoices):
            assert two.period_from == one.period_to + timedelta(days=1)
            assert (two.month.year * 12 + two.month.month) - (one.month.year * 12 + one.month.month) == 1
            assert one.period_from <= one.period_to
    gapless()


def test_the_last_minute_of_the_year_bills_december_and_the_first_january() -> None:
    last = zone_at("2026-12-05 10:00", moments={"invoices": (31, 1439), "notice": (20, 0), "cut": (21, 0)})
    first = zone_at("2026-12-05 10:00", moments={"invoices": (1, 0), "notice": (20, 0), "cut": (21, 0)})
    for zone in (last, first):
        make_clients(2, zone)
    (december,) = of(task_of(last), ticks(moment("2026-12-31 23:59")))
    (january,) = of(task_of(first), ticks(moment("2027-01-01 00:00")))
    assert (december.month, january.month) == (date(2026, 12, 1), date(2027, 1, 1))
    assert december.invoiced == january.invoiced == 2
    dues = {tuple(row) for row in session().execute(sa.select(Invoice.month, Invoice.issued, Invoice.due))}
    assert dues == {(date(2026, 12, 1), date(2026, 12, 31), date(2027, 1, 20)),
                    (date(2027, 1, 1), date(2027, 1, 1), date(2027, 1, 20))}  # fmt: skip
    assert task_of(last).next_at == moment("2027-01-31 23:59")
    with clock.frozen(moment("2027-01-01 00:05")):  # by hand right after midnight: the month that has begun
        assert [m.month for m in service.manual_months(task_of(last))] == [date(2027, 1, 1)]


# Daylight saving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "made", "day", "at", "runs_at"),
    [
        ("America/Santiago", "2026-09-01 10:00", 6, "00:30", "2026-09-06 01:30"),  # midnight is skipped
        ("Europe/Madrid", "2027-03-01 10:00", 28, "02:30", "2027-03-28 03:30"),
    ],
)
def test_an_hour_that_does_not_exist_runs_once_an_hour_later(name, made, day, at, runs_at) -> None:
    minute = int(at[:2]) * 60 + int(at[3:])
    zone = zone_at(made, timezone=name, moments={"invoices": (day, minute), "notice": (27, 0), "cut": (27, 60)})
    make_clients(2, zone)
    when = moment(runs_at, name)
    assert of(task_of(zone), ticks(when - MINUTE)) == []
    (run,) = of(task_of(zone), ticks(when))
    assert (run.trigger, run.invoiced, local(run.planned_for, name)) == ("schedule", 2, runs_at)
    for later in (1, 30, 60, 120):
        assert of(task_of(zone), tick(when + later * MINUTE)) == []
    assert local(task_of(zone).next_at, name)[11:] == at  # the next one at its own hour again


@pytest.mark.parametrize(
    ("name", "made", "day", "at", "first_utc"),
    [
        ("America/Santiago", "2027-04-01 10:00", 3, "23:30", "2027-04-04 02:30"),  # 24:00 becomes 23:00
        ("Europe/Madrid", "2026-10-05 10:00", 25, "02:30", "2026-10-25 00:30"),
    ],
)
def test_an_hour_that_exists_twice_runs_the_first_time_only(name, made, day, at, first_utc) -> None:
    minute = int(at[:2]) * 60 + int(at[3:])
    zone = zone_at(made, timezone=name, moments={"invoices": (day, minute), "notice": (27, 0), "cut": (27, 60)})
    make_clients(2, zone)
    first = moment(first_utc, "UTC")
    second = first + timedelta(hours=1)
    assert local(first, name) == local(second, name)
    assert of(task_of(zone), ticks(first - MINUTE)) == []
    (run,) = of(task_of(zone), ticks(first))
    assert (run.trigger, run.invoiced) == ("schedule", 2)
    assert of(task_of(zone), ticks(second)) == []
    with clock.frozen(first + 10 * MINUTE), transaction():  # moved to a minute that comes round a second time
        schedule = session().get_one(BillingSchedule, zone.schedule_id)
        schedules.change(schedule, moments={Kind.invoices: (day, minute + 5)})
    assert of(task_of(zone), ticks(second + 10 * MINUTE)) == []
    assert count(Invoice) == 2


# Two time zones --------------------------------------------------------------------------------------


def test_one_tick_bills_october_in_one_zone_and_november_in_another() -> None:
    at = moment("2026-11-01 00:00", "Pacific/Auckland")
    made = "2026-10-20 10:00"
    ahead = zone_at(made, timezone="Pacific/Auckland", moments={"invoices": (1, 0), "notice": (5, 0), "cut": (28, 0)})
    behind = zone_at(made, moments={"invoices": (31, 300), "notice": (29, 0), "cut": (30, 0)})
    for zone in (ahead, behind):
        make_clients(2, zone)
    with transaction() as s:  # only the invoices matter here
        s.execute(sa.update(PeriodicTask).where(PeriodicTask.kind != "invoices").values(enabled=False, next_at=None))
    assert task_of(ahead).next_at == task_of(behind).next_at == at
    months = {run.task_id: (run.month, run.invoiced) for run in tick(at)}
    assert months == {task_of(ahead).id: (NOVEMBER, 2), task_of(behind).id: (date(2026, 10, 1), 2)}
    issued = dict(session().execute(sa.select(Invoice.month, Invoice.issued)).all())
    assert issued == {NOVEMBER: date(2026, 11, 1), date(2026, 10, 1): date(2026, 10, 31)}
    assert gapless() == [1, 2, 3, 4]


def test_overdue_is_by_the_local_date_of_the_zone_on_the_router_too(router, router_sim: SimulatorServer) -> None:
    """At 01:00 of the 22nd in Madrid it is the 21st in Mexico: who was to pay on the 21st is cut in Madrid only."""
    made = "2026-11-10 10:00"
    zones = {
        "MADRID": zone_at(made, router, timezone="Europe/Madrid"),
        "MEXICO": zone_at(made, router, timezone="America/Mexico_City"),
    }
    with clock.frozen(moment("2026-11-22 01:00", "Europe/Madrid")):
        for code, zone in zones.items():
            make_invoice(make_client(zone, code=code), due=date(2026, 11, 21))
        own = make_client(zones["MADRID"], code="OWN", own={"timezone": "America/Mexico_City"})
        make_invoice(own, due=date(2026, 11, 21))
        cuts = {code: by_hand(zone, "cut") for code, zone in zones.items()}
        assert items_of(cuts["MADRID"]) == {"MADRID": ("done", "")}
        assert items_of(cuts["MEXICO"]) == {"MEXICO": ("skipped", "not_due")}
        assert by_hand(own, "cut").cut == 0
        assert set(listed(router_sim).values()) == {"wisp:MADRID"}
    with clock.frozen(moment("2026-11-21 23:59")):
        assert by_hand(zones["MEXICO"], "cut").cut == 0
    with clock.frozen(moment("2026-11-22 00:00")):
        assert by_hand(zones["MEXICO"], "cut").cut == 1
        assert by_hand(own, "cut").cut == 1


def test_promises_and_exclusions_end_with_the_zones_own_day(router, router_sim: SimulatorServer) -> None:
    """Both are alive through their last day; at 01:00 of the 22nd in Madrid the 21st is over."""
    zone = zone_at("2026-11-10 10:00", router, timezone="Europe/Madrid")
    with clock.frozen(moment("2026-11-22 01:00", "Europe/Madrid")):
        for code, last, cut_until in (
            ("BROKEN", date(2026, 11, 21), None), ("ALIVE", date(2026, 11, 22), None),
            ("ENDED", None, date(2026, 11, 21)), ("SPARED", None, date(2026, 11, 22)), ("NEVER", None, None),
        ):  # fmt: skip
            client = make_client(zone, code=code, no_cut=not last, no_cut_until=cut_until)
            make_invoice(client, due=date(2026, 11, 20))
            if last:
                with transaction() as s:
                    s.add(Promise(client_id=client.id, until=last, actor="x", created_at=clock.now()))
        run = by_hand(zone, "cut")
    assert {code: state for code, (state, _) in items_of(run).items()} == {
        "BROKEN": "done", "ALIVE": "skipped", "ENDED": "done", "SPARED": "skipped", "NEVER": "skipped",
    }  # fmt: skip
    assert set(listed(router_sim).values()) == {"wisp:BROKEN", "wisp:ENDED"}


# The machine's clock, and the program off ------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(minutes=2), timedelta(days=1), timedelta(days=40)])
def test_with_the_clock_set_back_nothing_runs_twice(router, back: timedelta) -> None:
    zone = zone_at("2026-09-10 10:00", router)
    make_clients(3, zone)
    for when in ("2026-09-15 12:00", "2026-09-18 09:00", "2026-09-22 08:00", "2026-10-15 12:00"):
        ticks(moment(when))
    last = moment("2026-10-15 12:01")
    runs, invoices = count(TaskRun), count(Invoice)
    assert (runs, invoices) == (4, 6)
    now = last - back
    while now <= last:
        assert tick(now) == []
        now += max(back / 8, MINUTE)
    with clock.frozen(last - back), transaction():  # nor by an edit in the wrong time
        schedule = session().get_one(BillingSchedule, zone.schedule_id)
        schedules.change(schedule, moments={Kind.invoices: (15, 721)}, this_month="run")
    forget()
    for now in (last - back, last, last + MINUTE):
        assert of(task_of(zone), ticks(now)) == []
    assert count(Invoice) == invoices
    assert task_of(zone).next_month == date(2026, 11, 1)


def test_a_lease_that_lies_further_ahead_than_a_lease_lasts_keeps_nobody_out() -> None:
    zone = zone_at("2026-11-10 10:00")
    make_clients(3, zone)
    with clock.frozen(moment("2026-11-15 12:00")):
        (run_id,) = claims.claim_due()
        with transaction():
            assert runner._claim(run_id, "killed")
            runner._prepare(runner._mine(run_id, "killed"))
        assert claims.abandoned() == []
    with clock.frozen(moment("2026-11-14 12:00")):  # the clock is set back by a day
        assert claims.abandoned() == [run_id]
        assert runner.work(run_id)
    assert session().get_one(TaskRun, run_id, populate_existing=True).state == "success"
    assert gapless() == [1, 2, 3]


def test_off_for_a_day_every_kind_runs_late_once_in_its_order(router, router_sim: SimulatorServer) -> None:
    moments = {"invoices": (15, 600), "notice": (15, 660), "cut": (15, 720)}
    zone = zone_at("2026-11-10 10:00", router, moments=moments)
    with clock.frozen(moment("2026-11-10 10:00")):
        make_invoice(make_client(zone, code="OLD"), due=date(2026, 10, 20))
    back = moment("2026-11-16 10:00")
    order = [(session().get_one(PeriodicTask, run.task_id).kind, run.trigger) for run in ticks(back, 5)]
    assert order == [("invoices", "late"), ("notice", "late"), ("cut", "late")]
    assert set(listed(router_sim).values()) == {"wisp:OLD"}
    states = {tuple(row) for row in session().execute(sa.select(TaskRun.state, TaskRun.month))}
    assert states == {("success", NOVEMBER)}
    assert ticks(back + MINUTE) == []


def test_three_tasks_of_one_minute_run_within_one_tick_each_after_the_one_before(router, router_sim) -> None:
    zone = zone_at("2026-11-10 10:00", router, moments=dict.fromkeys(("invoices", "notice", "cut"), (15, 600)))
    with clock.frozen(moment("2026-11-10 10:00")):
        make_invoice(make_client(zone, code="OLD"), due=date(2026, 10, 20))
    runs = tick(moment("2026-11-15 10:00"))
    assert [session().get_one(PeriodicTask, run.task_id).kind for run in runs] == ["invoices", "notice", "cut"]
    assert {run.state for run in runs} == {"success"}
    assert set(listed(router_sim).values()) == {"wisp:OLD"}
    assert tick(moment("2026-11-15 10:01")) == []


def test_a_later_kind_waits_while_the_invoices_are_still_open(router) -> None:
    zone = zone_at("2026-11-10 10:00", router, moments={"invoices": (15, 600), "notice": (15, 660), "cut": (15, 720)})
    make_clients(2, zone)
    with clock.frozen(moment("2026-11-16 10:00")):
        (run_id,) = claims.claim_due()
        assert claims.claim_due() == []  # queued: no worker yet
        with transaction():
            assert runner._claim(run_id, "busy")
            runner._prepare(runner._mine(run_id, "busy"))
        assert claims.claim_due() == []
    assert [r.trigger for r in ticks(moment("2026-11-16 10:05"))] == ["late", "late"]


def test_off_for_three_months_one_cycle_runs_with_its_dates_moved_together(router, router_sim) -> None:
    """Invoices of November come on the 24th instead of the 15th: due on the 27th instead of the 20th, so the notice
    moves from the 18th to the 25th and the cut from the 22nd to the 29th, and it cuts those who then owe."""
    zone = zone_at("2026-08-10 10:00", router)
    with clock.frozen(moment("2026-08-10 10:00")):
        make_clients(3, zone)
    back = moment("2026-11-24 10:00")
    runs = ticks(back)
    assert [(run.task_id, run.month, run.trigger) for run in runs] == [(task_of(zone).id, NOVEMBER, "late")]
    assert set(session().scalars(sa.select(Invoice.due))) == {date(2026, 11, 27)}
    assert (task_of(zone, "notice").next_at, task_of(zone, "notice").shift_days) == (moment("2026-11-25 09:00"), 7)
    assert (task_of(zone, "cut").next_at, task_of(zone, "cut").shift_days) == (moment("2026-11-29 08:00"), 7)
    for kind in ("invoices", "notice", "cut"):
        missed = session().scalars(
            sa.select(Occurrence.month)
            .where(Occurrence.task_id == task_of(zone, kind).id, Occurrence.state == "missed")
            .order_by(Occurrence.month)
        ).all()  # fmt: skip
        assert missed == [date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)], kind
    (notice,) = ticks(moment("2026-11-25 09:00"))
    assert notice.notified == 3
    assert ticks(moment("2026-11-28 23:59")) == []
    (cut,) = ticks(moment("2026-11-29 08:00"))
    assert (cut.month, cut.trigger, cut.cut) == (NOVEMBER, "schedule", 3)
    assert len(listed(router_sim)) == 3
    assert {task_of(zone, kind).next_at for kind in ("invoices", "notice", "cut")} == {
        moment("2026-12-15 12:00"), moment("2026-12-18 09:00"), moment("2026-12-22 08:00"),
    }  # fmt: skip
    assert count(Access, Access.suspended) == 3
    assert count(Client) == count(Invoice) == 3


def test_off_past_every_date_nothing_runs_and_all_say_so(router) -> None:
    zone = zone_at("2026-08-10 10:00", router, moments={"invoices": (1, 600), "notice": (2, 600), "cut": (3, 600)})
    make_clients(2, zone)
    assert ticks(moment("2026-11-30 10:00"), 5) == []
    assert {task_of(zone, kind).state for kind in ("invoices", "notice", "cut")} == {"missed"}
    assert count(Occurrence, Occurrence.state == "missed") == 3 * 3
    assert (count(Invoice), count(TaskRun)) == (0, 0)


def test_the_limit_for_late_runs_is_a_setting(router) -> None:
    make_company(late_days=2)
    zone = zone_at("2026-11-10 10:00", router)
    make_clients(1, zone)
    assert of(task_of(zone), ticks(moment("2026-11-17 12:01"))) == []
    assert task_of(zone).state == "missed"


def test_off_from_before_a_cut_until_after_the_next_one_the_cut_waits_for_its_invoices(router, router_sim) -> None:
    """The cut has been waiting the longest, but the one that would run belongs to invoices that are still to come."""
    zone = zone_at("2026-10-05 10:00", router)
    make_clients(2, zone)
    for at in ("2026-10-15 12:00", "2026-10-18 09:00"):
        ticks(moment(at))
    runs = ticks(moment("2026-11-24 10:00"))
    assert [(run.task_id, run.month, run.invoiced) for run in runs] == [(task_of(zone).id, NOVEMBER, 2)]
    cut = task_of(zone, "cut")
    assert (cut.next_month, cut.next_at) == (NOVEMBER, moment("2026-11-29 08:00"))  # moved with the due date
    missed = session().scalars(sa.select(Occurrence).where(Occurrence.task_id == cut.id)).one()
    assert (missed.month, missed.state) == (date(2026, 10, 1), "missed")
    ticks(moment("2026-11-25 09:00"))
    (run,) = ticks(moment("2026-11-29 08:00"))
    assert (run.month, run.cut) == (NOVEMBER, 2)
