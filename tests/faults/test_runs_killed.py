"""A worker is killed (SIGKILL) between any two commits of a run; whoever takes the run up finishes it."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_invoice, make_router, make_zone, moment
from tests.support.billing import CUT, books_balance, count, fresh, items_of, listed, order, task_of, tick
from tests.support.dying import Mortals
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, InvoiceLine
from wisp.outbox.models import Message
from wisp.schedules.models import Occurrence
from wisp.tasks.models import RunItem, TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
CLIENTS = 15
CHUNK = 4
NOVEMBER = date(2026, 11, 1)
WAIT = timedelta(minutes=3)
"""Longer than a run's and a synchronisation's lease."""


@pytest.fixture(scope="module")
def mortals(database, redis_server) -> Iterator[Mortals]:
    from tests.conftest import environment_of

    with Mortals({**environment_of(database, redis_server), "PATH": "/usr/bin:/bin"}) as started:
        yield started


def clear(app: Flask) -> None:
    """Take back what one death has left, so that the next one finds the same clients."""
    with transaction() as s:
        for table in (RunItem, Message, InvoiceLine, Invoice, Occurrence, TaskRun):
            s.execute(sa.delete(table))
        s.execute(sa.text("UPDATE invoice_series SET next_number = 1"))


def deaths(mortals: Mortals, job, at, prepare, check, most=40):
    """Die before every commit in turn, until the job comes through, or so often; how many deaths it took."""
    for n in range(most + 1):
        args = prepare()
        session().rollback()
        alive = mortals.work(job, *args, now=at, n=n, chunk=CHUNK)
        if not alive:
            tick(at + WAIT)
        check(*args)
        if alive and n:
            return n - 1
    return most


def test_an_invoice_run_killed_anywhere_is_finished_and_doubles_nothing(app: Flask, mortals: Mortals) -> None:
    at = moment("2026-11-10 10:00")
    with clock.frozen(at):
        zone = make_zone()
        make_clients(CLIENTS, zone)

    def prepare():
        clear(app)
        with clock.frozen(at):
            return [[order(zone)]]

    def check(run_ids):
        books_balance(fresh(run_ids[0]), CLIENTS, NOVEMBER)
        assert (fresh(run_ids[0]).unchanged, fresh(run_ids[0]).skipped) == (0, 0)

    # four chunks: the first with the start, the last with the end
    assert deaths(mortals, "tasks.run", at, prepare, check) >= 4
    assert task_of(zone).next_at == moment("2026-11-15 12:00")


def test_a_cut_killed_anywhere_is_finished_on_the_router_too(
    app: Flask, mortals: Mortals, router_sim: SimulatorServer
) -> None:
    at = moment("2026-11-21 10:00")
    with clock.frozen(at - timedelta(days=1)):
        zone = make_zone(make_router(host=router_sim.host, port=router_sim.port))
        ids = make_clients(CLIENTS, zone)
        for client in session().scalars(sa.select(Client).where(Client.id.in_(ids))).all():
            make_invoice(client, due=date(2026, 11, 20))

    def prepare():
        router_sim.router.clear("/ip/firewall/address-list")
        with transaction() as s:
            for table in (RunItem, Occurrence, TaskRun):
                s.execute(sa.delete(table))
            s.execute(sa.update(Access).values(
                suspended=False, reason="", applied_suspended=False, applied_address=None, applied_router_id=None,
                applied_version=Access.wanted_version,
            ))  # fmt: skip
        with clock.frozen(at):
            return [[order(zone, "cut")]]

    def check(run_ids):
        run = fresh(run_ids[0])
        assert (run.state, run.waiting, run.failed, run.skipped) == ("success", 0, 0, 0)
        assert run.cut + run.unchanged == CLIENTS
        assert len(listed(router_sim, CUT)) == CLIENTS
        assert {state for state, _ in items_of(run).values()} <= {"done", "unchanged"}
        assert count(RunItem) == CLIENTS
        assert count(Access, Access.suspended, Access.applied_suspended) == CLIENTS
        assert count(TaskRun) == 1

    # as above, then the synchronisation: claim, record
    assert deaths(mortals, "tasks.run", at, prepare, check) >= 6


def test_a_tick_killed_anywhere_claims_each_occurrence_once(app: Flask, mortals: Mortals) -> None:
    at = moment("2026-11-15 12:00")
    with clock.frozen(moment("2026-11-10 10:00")):
        zones = [make_zone() for _ in range(2)]
        for zone in zones:
            make_clients(3, zone)
        tasks = [task_of(zone) for zone in zones]
    pointers = {task.id: (task.next_month, task.next_at) for task in tasks}

    def prepare():
        clear(app)
        with transaction() as s:
            for task_id, (month, next_at) in pointers.items():
                s.execute(sa.text("UPDATE periodic_task SET state = 'pending', state_run_id = NULL, last_run_id = NULL,"
                                  " next_month = :month, next_at = :at WHERE id = :id")
                          .bindparams(sa.bindparam("at", type_=Occurrence.due_at.type),
                                      sa.bindparam("month", type_=Occurrence.month.type)),
                          {"month": month, "at": next_at, "id": task_id})  # fmt: skip
        return []

    def check():
        assert sorted(session().scalars(sa.select(TaskRun.task_id))) == sorted(pointers)
        assert set(session().scalars(sa.select(TaskRun.state))) == {"success"}
        assert count(Occurrence, Occurrence.state == "claimed") == 2
        assert count(Invoice) == 2 * 3
        assert {task_of(zone).next_at for zone in zones} == {moment("2026-12-15 12:00")}

    # the claim, the old simulations, the start of the first run
    assert deaths(mortals, "tasks.tick", at, prepare, check, most=4) == 4
