"""Notice and cut runs from the order to the router's answer: who, what stands on the router, what the run says."""

from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_clients, make_company, make_router, make_zone, moment
from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, Promise
from wisp.schedules.models import PeriodicTask
from wisp.tasks import service
from wisp.tasks.models import RunItem, TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
LISTS = "/ip/firewall/address-list"


@pytest.fixture
def sim():
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"})) as server:
        yield server


@pytest.fixture
def zone(sim):
    return make_zone(make_router(host="127.0.0.1", port=sim.port))


def task_of(zone, kind):
    return (
        session()
        .scalars(sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind))
        .one()
    )


def owe(client_id, due, total=35_000, paid=0):
    """An invoice of this client, due on that day."""
    with transaction() as s:
        number = (s.scalar(sa.select(sa.func.max(Invoice.number))) or 0) + 1
        invoice = Invoice(
            series_id=1, number=number, label=f"A-{number:06d}", client_id=client_id, kind="opening", issued=due,
            due=due, currency="MXN", customer="x", tax_bp=0, net=total, tax=0, total=total, paid=paid,
            state="partial" if paid else "pending", created_at=clock.now(),
        )  # fmt: skip
        s.add(invoice)
    return invoice


def pay_all(client_id):
    with transaction() as s:
        s.execute(sa.update(Invoice).where(Invoice.client_id == client_id).values(paid=Invoice.total, state="paid"))


def apply(zone, kind, **chosen):
    """Order by hand and do everything that follows, as ``--wait`` does."""
    with queue.inline(), transaction():
        run_id = service.order(task_of(zone, kind), **chosen).id
    session().expire_all()
    session().rollback()
    return session().get_one(TaskRun, run_id)


def on_list(sim, name):
    return {row["address"]: row.get("comment") for row in sim.router.snapshot(LISTS) if row["list"] == name}


def items_of(run):
    rows = session().execute(
        sa.select(Client.code, RunItem.state, RunItem.reason)
        .join(RunItem, RunItem.client_id == Client.id)
        .where(RunItem.run_id == run.id)
    )
    return {code: (state, reason) for code, state, reason in rows}


def test_the_cut_lists_overdue_clients_and_names_those_left_out(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        debtor = make_client(zone, code="DEBTOR", address="10.1.0.1")
        today = make_client(zone, code="TODAY", address="10.1.0.2")
        later = make_client(zone, code="LATER", address="10.1.0.3")
        spared = make_client(zone, code="SPARED", no_cut_until=date(2026, 11, 22))
        promised = make_client(zone, code="PROMISED")
        make_client(zone, code="NOTHING")
        for client in (debtor, spared, promised):
            owe(client.id, date(2026, 11, 21))
        owe(today.id, date(2026, 11, 22))
        owe(later.id, date(2026, 11, 30))
        with transaction() as s:
            s.add(Promise(client_id=promised.id, until=date(2026, 11, 25), actor="x", created_at=clock.now()))
        run = apply(zone, "cut")
    assert (run.state, run.cut, run.unchanged, run.waiting, run.failed) == ("success", 1, 0, 0, 0)
    assert on_list(sim, "wisp-overdue") == {"10.1.0.1": "wisp:DEBTOR"}
    assert items_of(run) == {
        "DEBTOR": ("done", ""),
        "TODAY": ("skipped", "not_due"),
        "LATER": ("skipped", "not_due"),
        "SPARED": ("skipped", "excluded"),
        "PROMISED": ("skipped", "promise"),
    }


def test_a_second_cut_reads_the_router_and_finds_it_as_wanted(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        debtor = make_client(zone)
        owe(debtor.id, date(2026, 11, 20))
        apply(zone, "cut")
        again = apply(zone, "cut")
        assert (again.state, again.cut, again.unchanged) == ("success", 0, 1)
        sim.router.clear(LISTS)
        third = apply(zone, "cut")
    assert (third.cut, third.unchanged) == (1, 0)
    assert len(on_list(sim, "wisp-overdue")) == 1


def test_invoices_not_yet_due_are_cut_only_where_a_person_says_so(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        client = make_client(zone)
        owe(client.id, date(2026, 11, 30))
        assert apply(zone, "cut").cut == 0
        run = apply(zone, "cut", options=service.planning.Options(include_not_due=True))
        assert run.cut == 1
        assert apply(zone, "cut", options=service.planning.Options(include_not_due=True)).unchanged == 1


def test_the_tolerance_and_the_notice_minimum(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        make_company(tolerance=5_000, notice_minimum=2_000)
        small, medium, large = make_client(zone), make_client(zone), make_client(zone)
        owe(small.id, date(2026, 11, 1), 1_999)
        owe(medium.id, date(2026, 11, 1), 5_000)
        owe(large.id, date(2026, 11, 1), 5_001)
        notice = apply(zone, "notice")
        assert set(on_list(sim, "wisp-notice").values()) == {f"wisp:{medium.code}", f"wisp:{large.code}"}
        assert notice.notified == 2
        cut = apply(zone, "cut")
    assert cut.cut == 1
    assert set(on_list(sim, "wisp-overdue").values()) == {f"wisp:{large.code}"}
    assert set(on_list(sim, "wisp-notice").values()) == {f"wisp:{medium.code}"}  # a cut client has no notice


def test_notices_go_to_who_has_an_open_invoice_due_or_not(sim, zone):
    with clock.frozen(moment("2026-11-18 09:00")):
        due, not_due, excluded = make_client(zone), make_client(zone), make_client(zone, no_notice=True)
        owe(due.id, date(2026, 11, 1))
        owe(not_due.id, date(2026, 11, 30))
        owe(excluded.id, date(2026, 11, 1))
        make_client(zone)
        run = apply(zone, "notice")
    assert (run.state, run.notified, run.skipped) == ("success", 2, 1)
    assert set(on_list(sim, "wisp-notice").values()) == {f"wisp:{due.code}", f"wisp:{not_due.code}"}


def test_with_the_router_off_all_wait_and_it_is_done_when_it_is_back(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        make_company(alert_addresses="noc@example.com")
        ids = make_clients(5, zone)
        for client_id in ids:
            owe(client_id, date(2026, 11, 20))
        sim.switch(off=True)
        cut = apply(zone, "cut")
        assert (cut.state, cut.waiting, cut.cut) == ("error", 5, 0)
        assert {state for state, _ in items_of(cut).values()} == {"waiting"}
        assert not any(session().scalars(sa.select(Access.applied_suspended)))
        pay_all(ids[0])  # paid while the router was away
        sim.switch(off=False)
        with queue.inline(), transaction():
            access.request_sync([zone.router_id])
        session().rollback()
        session().expire_all()
        assert (cut.state, cut.waiting, cut.cut, cut.failed) == ("success", 0, 4, 0)
        assert cut.completed_at is not None
    assert len(on_list(sim, "wisp-overdue")) == 4
    states = sorted(items_of(cut).values())
    assert states == [("done", "")] * 4 + [("superseded", "paid")]


def test_a_later_run_takes_over_what_waits_and_both_end_well(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        ids = make_clients(3, zone)
        for client_id in ids:
            owe(client_id, date(2026, 11, 20))
        sim.switch(off=True)
        first = apply(zone, "cut")
        assert first.state == "error"
        second = apply(zone, "cut")
        assert (second.state, second.waiting) == ("error", 3)
        session().refresh(first)
        assert {reason for _, reason in items_of(first).values()} == {"taken_over"}
        assert first.state == "error"  # not settled: the clients still wait
        sim.switch(off=False)
        third = apply(zone, "cut")
        session().refresh(first)
        session().refresh(second)
    assert (third.state, third.cut) == ("success", 3)
    assert (first.state, second.state) == ("success", "success")


def test_somebody_elses_entry_counts_as_unchanged_and_is_flagged(sim, zone):
    sim.router.load(LISTS, [{"list": "wisp-overdue", "address": "10.9.9.9", "comment": "operator"}])
    with clock.frozen(moment("2026-11-22 08:00")):
        client = make_client(zone, address="10.9.9.9")
        owe(client.id, date(2026, 11, 20))
        run = apply(zone, "cut")
    assert (run.state, run.cut, run.unchanged) == ("success", 0, 1)
    assert items_of(run)[client.code] == ("unchanged", "foreign")
    assert on_list(sim, "wisp-overdue") == {"10.9.9.9": "operator"}


def test_a_full_router_makes_failures_that_are_tried_again(sim, zone):
    with clock.frozen(moment("2026-11-22 08:00")):
        client = make_client(zone)
        owe(client.id, date(2026, 11, 20))
        sim.switch(full=True)
        run = apply(zone, "cut")
        assert (run.state, run.failed, run.cut) == ("error", 1, 0)
        sim.switch(full=False)
        with queue.inline(), transaction():
            access.request_sync([zone.router_id])
        session().rollback()
        session().expire_all()
    assert (run.state, run.failed, run.cut) == ("success", 0, 1)
