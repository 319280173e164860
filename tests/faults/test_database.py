"""The database fails in the middle of a run: connections dropped, locks held by others, a full disk, rows refused."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.factories import make_clients, make_invoice, make_router, make_schedule, make_zone, moment
from tests.support.billing import (
    CUT,
    at_work,
    books_balance,
    by_hand,
    count,
    forget,
    fresh,
    gapless,
    items_of,
    listed,
    order,
    tick,
)
from tests.support.databases import Database
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core import db as core
from wisp.core.db import db, dialect, session, transaction
from wisp.core.errors import Refused
from wisp.invoices import issuing
from wisp.invoices.models import Invoice
from wisp.schedules.models import PeriodicTask
from wisp.tasks import apply, runner
from wisp.tasks.models import RunItem, TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
AT = moment("2026-11-10 10:00")
LATER = AT + timedelta(minutes=3)
NOVEMBER = date(2026, 11, 1)
CLIENTS = 25
only = pytest.mark.parametrize


@pytest.fixture
def zone():
    with clock.frozen(AT):
        zone = make_zone()
        make_clients(CLIENTS, zone)
    return zone


def drop_connections() -> None:
    """As the server's restart or a broken line would: nobody's connection is left."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        other.execute(sa.text(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ))  # fmt: skip


# Connections dropped ---------------------------------------------------------------------------------


@only("database", ["postgresql"], indirect=True)
@only(
    "home, step",
    [(issuing, "_insert_invoices"), (issuing, "_insert_line"), (issuing, "announce"), (apply, "_insert_left_out")],
)
def test_a_connection_dropped_during_a_chunk_costs_nothing(zone, home, step: str, monkeypatch) -> None:
    real, calls = getattr(home, step), []

    def dropped(*args):
        calls.append(1)
        if len(calls) <= core.TRIES:  # once would be made up for at once
            drop_connections()
        return real(*args)

    monkeypatch.setattr(home, step, dropped)
    with clock.frozen(AT):
        make_clients(1, zone, free=True)  # one whom a rule leaves out
        run_id = order(zone)
        with pytest.raises(OperationalError):
            runner.work(run_id, chunk=6)
    tick(LATER)
    run = fresh(run_id)
    assert len(calls) > core.TRIES
    assert (run.state, run.invoiced, run.mails, run.skipped, run.failed) == ("success", CLIENTS, CLIENTS, 1, 0)
    assert len(gapless()) == CLIENTS
    assert count(RunItem) == CLIENTS + 1


@only("database", ["postgresql"], indirect=True)
def test_a_connection_dropped_before_any_commit_of_a_run_is_made_up_for(zone, monkeypatch) -> None:
    real, n = Session.commit, 0
    while True:
        n += 1
        commits = iter(range(1, 1000))

        def commit(self: Session, n: int = n, commits: Iterator[int] = commits) -> None:
            if next(commits) == n:
                drop_connections()
            real(self)

        with clock.frozen(AT):
            run_id = order(zone)
            monkeypatch.setattr(Session, "commit", commit)
            try:
                runner.work(run_id, chunk=5)
            except OperationalError:
                pass
            finally:
                monkeypatch.setattr(Session, "commit", real)
        tick(LATER)
        books_balance(fresh(run_id), CLIENTS, NOVEMBER)
        if next(commits) <= n:
            break
        clear()
    assert n >= 7


@only("database", ["postgresql"], indirect=True)
def test_a_connection_dropped_while_nobody_used_it_is_replaced(zone) -> None:
    for _ in range(3):
        assert count(Client) == CLIENTS
        drop_connections()
        session().rollback()
        assert count(Client) == CLIENTS
        session().rollback()
        drop_connections()
        assert count(Client) == CLIENTS
        session().rollback()
        drop_connections()
        with transaction() as s:
            s.execute(sa.update(Client).values(phone="1"))


@only("database", ["postgresql"], indirect=True)
def test_a_connection_that_was_told_something_and_lives_is_kept(zone) -> None:
    """A notice that nobody waited for, as after a change of the server's settings."""
    with db.engine.connect() as one:
        driver = one.connection.driver_connection
        one.exec_driver_sql("LISTEN wisp")
        one.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        assert other.connection.driver_connection is driver
        with psycopg.connect(db.engine.url.render_as_string(False).replace("+psycopg", ""), autocommit=True) as third:
            third.execute("NOTIFY wisp")
    with db.engine.connect() as again:
        assert again.connection.driver_connection is driver
        assert again.scalar(sa.text("SELECT 1")) == 1


def clear() -> None:
    with transaction() as s:
        for table in ("run_item", "message", "invoice_line", "invoice", "occurrence", "task_run"):
            s.execute(sa.text(f"DELETE FROM {table}"))
        s.execute(sa.text("UPDATE invoice_series SET next_number = 1"))


# SQLite: a lock held by another process --------------------------------------------------------------

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("UPDATE company SET name = 'written by the other'")
connection.execute("COMMIT")
"""


@contextmanager
def held(database: Database, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the write lock for so long, from now on, and writes something itself."""
    command = [sys.executable, "-c", HOLD, str(database.file), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield other
        finally:
            other.kill()


@only("database", ["sqlite"], indirect=True)
def test_a_run_waits_while_another_process_writes(zone, database) -> None:
    with clock.frozen(AT):
        run_id = order(zone)
        with held(database, 0.4) as other:
            assert runner.work(run_id, chunk=5)
            assert other.wait(5) == 0
    books_balance(fresh(run_id), CLIENTS, NOVEMBER)
    assert session().scalar(sa.text("SELECT name FROM company")) == "written by the other"


@only("database", ["sqlite"], indirect=True)
def test_a_lock_held_for_too_long_is_an_error_and_the_run_is_taken_up(zone, database, monkeypatch) -> None:
    monkeypatch.setattr(core, "PATIENCE", 0.03)
    with clock.frozen(AT):
        run_id = order(zone)
        with held(database, 60), pytest.raises(OperationalError, match="locked"):
            runner.work(run_id, chunk=5)
    assert count(Invoice) == 0
    tick(LATER)
    books_balance(fresh(run_id), CLIENTS, NOVEMBER)


HOG = """
import random, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE company SET name = 'written by the other'")
    time.sleep(random.uniform(0.02, 0.05))
    connection.execute("COMMIT")
    print("written", flush=True)
    time.sleep(0.002)
"""


@only("database", ["sqlite"], indirect=True)
def test_nobody_starves_while_another_process_writes_all_the_time(database, monkeypatch) -> None:
    """The lock is free for a twelfth of the time, a moment each: who asks every 100 ms may not meet it in a second."""
    monkeypatch.setattr(core, "PATIENCE", 1.0)
    command = [sys.executable, "-c", HOG, str(database.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "written\n"
            for n in range(30):
                with transaction() as s:
                    s.execute(sa.text("UPDATE company SET tax_id = :n"), {"n": str(n)})
        finally:
            other.kill()
    assert session().scalar(sa.text("SELECT tax_id FROM company")) == "29"


@pytest.fixture
def pragmas(app: Flask, monkeypatch) -> Iterator[object]:
    """Set a pragma on every connection from now on; those that are open are given back first."""
    usual = core.SQLITE_PRAGMAS

    def anew(*more: str) -> None:
        session().rollback()
        db.session.remove()
        db.engine.dispose()
        monkeypatch.setattr(core, "SQLITE_PRAGMAS", (*usual, *more))

    yield anew
    db.session.remove()
    db.engine.dispose()


# The disk is full ------------------------------------------------------------------------------------


@only("database", ["sqlite"], indirect=True)
@only("pages", [0, 6, 40])
def test_on_a_full_disk_nothing_is_half_done_and_it_goes_on_once_there_is_room(zone, pragmas, pages: int) -> None:
    with clock.frozen(AT):
        make_clients(400, zone)
        run_id = order(zone)
    used = session().execute(sa.text("PRAGMA page_count")).scalar_one()
    pragmas(f"max_page_count={used + pages}")
    with clock.frozen(AT), pytest.raises(OperationalError, match="disk is full"):
        runner.work(run_id, chunk=50)
    with pytest.raises(OperationalError, match="disk is full"):
        tick(AT + timedelta(minutes=2))
    done = count(Invoice)
    assert done < CLIENTS + 400
    assert len(gapless()) == done == count(RunItem)  # nobody is said to have failed: it was not the clients' fault
    run = fresh(run_id)
    assert run.state in ({"running"} if done else {"queued", "running"})
    assert (run.invoiced, run.mails, run.failed) == (done, done, 0)
    pragmas()
    tick(AT + timedelta(minutes=4))
    books_balance(fresh(run_id), CLIENTS + 400, NOVEMBER)


# A row that the database refuses ---------------------------------------------------------------------


def forbid(client_id: int) -> None:
    """A rule of the database that suspending one client breaks."""
    with transaction() as s:
        if dialect() == "sqlite":
            s.execute(sa.text(f"CREATE TRIGGER refused BEFORE UPDATE ON access WHEN NEW.client_id = {client_id} AND"
                              " NEW.suspended BEGIN SELECT RAISE(ABORT, 'refused by rule'); END"))  # fmt: skip
        else:
            s.execute(sa.text(f"ALTER TABLE access ADD CONSTRAINT refused CHECK"
                              f" (client_id <> {client_id} OR NOT suspended)"))  # fmt: skip


def allow() -> None:
    with transaction() as s:
        words = "TRIGGER refused" if dialect() == "sqlite" else None
        s.execute(sa.text(f"DROP {words}" if words else "ALTER TABLE access DROP CONSTRAINT refused"))


def test_a_cut_that_cannot_be_written_for_one_client_is_tried_again_by_itself(router_sim) -> None:
    with clock.frozen(moment("2026-11-21 10:00")):
        zone = make_zone(make_router(host=router_sim.host, port=router_sim.port))
        ids = make_clients(10, zone)
        for client in session().scalars(sa.select(Client)).all():
            make_invoice(client, due=date(2026, 11, 20))
        forbid(ids[4])
        try:
            run = by_hand(zone, "cut")
            assert (run.state, run.cut, run.failed) == ("error", 9, 1)
            assert len(listed(router_sim)) == 9
            assert sorted(items_of(run).values()) == [("done", "")] * 9 + [("failed", "error")]
            item = session().get_one(RunItem, (run.id, ids[4]))
            assert "refused" in item.detail
            with clock.frozen(moment("2026-11-21 10:02")):
                tick()
            assert (fresh(run.id).state, fresh(run.id).failed) == ("error", 1)
        finally:
            allow()
    tick(moment("2026-11-21 10:30"))
    run = fresh(run.id)
    assert (run.state, run.cut, run.failed, run.retry_at) == ("success", 10, 0, None)
    assert len(listed(router_sim, CUT)) == 10
    assert count(Access, Access.applied_suspended) == 10


def test_a_worker_killed_while_it_tries_again_leaves_the_retry_to_the_next(monkeypatch) -> None:
    with clock.frozen(AT):
        zone = make_zone()
        ids = make_clients(3, zone)
        real = issuing._insert_line

        def failing(*args):
            raise RuntimeError("broken for now")

        monkeypatch.setattr(issuing, "_insert_line", failing)
        run = by_hand(zone)
        assert (run.state, run.failed) == ("error", len(ids))
        monkeypatch.setattr(issuing, "_insert_line", real)

    def dying(*args, **kwargs):
        raise KeyboardInterrupt

    with clock.frozen(AT + timedelta(minutes=2)):
        monkeypatch.setattr(runner, "_one_by_one", dying)
        with pytest.raises(KeyboardInterrupt):
            runner.work(run.id)
        monkeypatch.undo()
        assert not runner.work(run.id)  # its lease still runs
    forget()
    tick(AT + timedelta(minutes=4))
    books_balance(fresh(run.id), len(ids), NOVEMBER)


def test_two_orders_and_a_tick_after_a_failure_leave_one_open_run(zone, monkeypatch) -> None:
    def broken(*_):
        raise OperationalError("SELECT", {}, Exception("the server went away"))

    with clock.frozen(moment("2026-11-15 12:00")):
        monkeypatch.setattr(runner, "_next_chunk", broken)
        with pytest.raises(OperationalError), at_work():
            queue.enqueue("tasks.tick")
        forget()
        run_id = order(zone)
        assert count(TaskRun) == 1
        assert fresh(run_id).trigger == "schedule"  # an order by hand is answered with the run that is open
        monkeypatch.undo()
    tick(moment("2026-11-15 12:03"))
    books_balance(fresh(run_id), CLIENTS, NOVEMBER)
    assert session().get_one(PeriodicTask, fresh(run_id).task_id, populate_existing=True).state == "success"


def test_a_run_that_breaks_does_not_keep_the_others_waiting(zone) -> None:
    with clock.frozen(AT):
        make_schedule()  # whose zone is gone: nobody knows any more whom it was for
    with pytest.raises(Refused), clock.frozen(moment("2026-11-15 12:00")), at_work():
        queue.enqueue("tasks.tick")
    forget()
    broken = session().scalars(sa.select(TaskRun.id).where(TaskRun.state != "success")).one()
    with clock.frozen(moment("2026-11-15 12:05")):
        ids = [broken, order(zone)]
        with pytest.raises(Refused), at_work():
            queue.enqueue("tasks.run", ids)
    forget()
    assert [fresh(run_id).state for run_id in ids] == ["queued", "success"]


# The end of a job's time -----------------------------------------------------------------------------


@only("step", ["chunk", "alone"])
def test_a_time_limit_ends_the_job_and_is_nobodys_failure(zone, monkeypatch, step: str) -> None:
    """In a chunk, or while its clients are tried one by one: the run stands where it is, and goes on at once."""
    real, left = apply.apply_chunk, iter(range(100))

    def ending(spec, run_id, after, last, clients):
        number = next(left)
        if step == "alone" and clients > 1:
            raise RuntimeError("the chunk fails")
        if number == 3:
            raise queue.TimeUp
        return real(spec, run_id, after, last, clients)

    with clock.frozen(AT):
        run_id = order(zone)
        monkeypatch.setattr(apply, "apply_chunk", ending)
        monkeypatch.setattr(runner.work, "__defaults__", (5,))
        with pytest.raises(queue.TimeUp):
            queue.perform("tasks.run", [run_id, 4711])
        forget()
        run = fresh(run_id)
        assert (run.state, run.failed) == ("running", 0)
        assert set(items_of(run).values()) == {("done", "")}
        monkeypatch.setattr(apply, "apply_chunk", real)
    with clock.frozen(AT + timedelta(seconds=1)), at_work():
        queue.enqueue("tasks.take_up")
    books_balance(fresh(run_id), CLIENTS, NOVEMBER)
