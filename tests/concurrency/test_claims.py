"""Races for the claims: two ticks at once, fifty orders at once, two workers on one run."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_zone, moment
from wisp.core import clock
from wisp.core.db import db, session, transaction
from wisp.invoices.models import Invoice
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.tasks import ledger, runner, service, tick
from wisp.tasks.models import TaskRun


def at_once(app: Flask, count: int, work):
    """Call ``work`` in so many threads, each in a context of its own, all starting together; the results."""
    gate = threading.Barrier(count)

    def one(_):
        with app.app_context():
            gate.wait(timeout=30)
            return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def invoice_task(zone):
    return session().scalars(
        sa.select(PeriodicTask.id).where(
            PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == "invoices"
        )
    ).one()  # fmt: skip


def test_ticks_at_the_same_moment_claim_each_occurrence_once(app):
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        for _ in range(40):
            make_zone()
    with clock.frozen(moment("2026-11-15 12:00")):
        found = at_once(app, 6, tick.claim_due)
    claimed = [run_id for ids in found for run_id in ids]
    assert len(claimed) == len(set(claimed)) == 40
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(TaskRun)) == 40
        assert session().scalar(sa.select(sa.func.count()).select_from(Occurrence)) == 40


def test_fifty_orders_at_once_are_one_run(app):
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        zone = make_zone()
        make_clients(20, zone)
        task_id = invoice_task(zone)

    def order():
        with transaction():
            return service.order(service.find(task_id)).id

    with clock.frozen(moment("2026-11-10 10:00")):
        run_ids = at_once(app, 50, order)
        assert len(set(run_ids)) == 1
        results = at_once(app, 4, lambda: runner.work(run_ids[0], chunk=5))
        assert Counter(results) == {True: 1, False: 3}
    with app.app_context():
        assert sorted(session().scalars(sa.select(Invoice.number))) == list(range(1, 21))


def test_two_zones_invoiced_at_once_share_one_gapless_series(app):
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        runs = []
        for _ in range(4):
            zone = make_zone()
            make_clients(60, zone)
            with transaction():
                runs.append(service.order(service.find(invoice_task(zone))).id)
    left = list(runs)
    lock = threading.Lock()

    def work():
        with lock:
            run_id = left.pop()
        return runner.work(run_id, chunk=7)

    with clock.frozen(moment("2026-11-10 10:00")):
        assert at_once(app, 4, work) == [True] * 4
    with app.app_context():
        assert sorted(session().scalars(sa.select(Invoice.number))) == list(range(1, 241))


@pytest.mark.parametrize("early", [True, False])
def test_an_order_by_hand_beside_the_tick_leaves_no_double_invoice(app, early):
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        zone = make_zone()
        make_clients(20, zone)
        task_id = invoice_task(zone)
    with clock.frozen(moment("2026-11-15 12:00")):
        turn = iter([early, not early])
        lock = threading.Lock()

        def act():
            with lock:
                by_hand = next(turn)
            if not by_hand:
                return tick.claim_due()
            with transaction():
                return [service.order(service.find(task_id)).id]

        run_ids = {run_id for ids in at_once(app, 2, act) for run_id in ids}
        with app.app_context():
            for run_id in sorted(run_ids):
                runner.work(run_id)
            for run_id in tick.claim_due():
                runner.work(run_id)
            assert session().scalar(sa.select(sa.func.count()).select_from(Invoice)) == 20
            scheduled = session().scalars(sa.select(TaskRun).where(TaskRun.trigger == "schedule")).all()
            assert [run.state for run in scheduled] == ["success"]


def test_a_batch_of_claims_that_meets_an_order_by_hand_loses_that_one_alone(app, redis, monkeypatch):
    """The tick has read what is due; before it writes, a person orders one of these tasks."""
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        zones = [make_zone() for _ in range(5)]
        task_ids = [invoice_task(zone) for zone in zones]
    with app.app_context(), clock.frozen(moment("2026-11-15 12:00")):
        with transaction():
            read = tick._due(clock.now())
        with transaction():
            by_hand = service.order(service.find(task_ids[2])).id
        real, answers = tick._due, iter([read])
        monkeypatch.setattr(tick, "_due", lambda now: next(answers, None) or real(now))
        claimed = tick.claim_due()
        found = session().execute(sa.select(TaskRun.task_id, TaskRun.trigger).where(TaskRun.id.in_(claimed))).all()
        assert sorted(found) == [(task_id, "schedule") for n, task_id in enumerate(task_ids) if n != 2]
        assert redis.llen("rq:queue:runs") == 2  # the order by hand, and one job for all that were claimed
        runner.work(by_hand)
        (last,) = tick.claim_due()  # its own occurrence was not lost
        run = session().get_one(TaskRun, last)
        assert (run.task_id, run.trigger) == (task_ids[2], "schedule")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_order_that_meets_the_end_of_a_run_waits_for_it(app, monkeypatch, caplog):
    """The order holds the task and wants the open run's place; the run's end holds the run and wants the task. Both
    take the task first, or PostgreSQL would have to end one of them."""
    caplog.set_level("INFO", "wisp.core.db")
    with app.app_context(), clock.frozen(moment("2026-11-10 10:00")):
        zone = make_zone()
        make_clients(3, zone)
        task_id = invoice_task(zone)
    with app.app_context(), clock.frozen(moment("2026-11-15 12:00")):
        (first,) = tick.claim_due()  # its end is the task's
    ending, real, orders = threading.Event(), ledger._show_on_task, []

    def order():
        assert ending.wait(30)
        with app.app_context(), transaction():
            orders.append(service.order(service.find(task_id)).id)

    def show(run):
        session().flush()
        ending.set()
        waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with db.engine.connect() as other:
            while not other.scalar(waits):
                other.rollback()
                assert ended.is_alive()
        real(run)

    monkeypatch.setattr(ledger, "_show_on_task", show)
    with clock.frozen(moment("2026-11-15 12:00")):
        ended = threading.Thread(target=order)
        ended.start()
        with app.app_context():
            assert runner.work(first)
        ended.join(30)
    assert orders == [first + 1]  # the first one is over by then
    assert "gave it up" not in caplog.text
