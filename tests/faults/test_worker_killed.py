"""A worker is killed in the middle of an invoice run, twice; another takes the run up, and nothing is doubled."""

import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_zone
from tests.support.processes import Program, until
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.invoices.models import Invoice, InvoiceLine
from wisp.outbox.models import Message
from wisp.schedules.models import PeriodicTask
from wisp.tasks import service
from wisp.tasks.models import RunItem, TaskRun

CLIENTS = 600
CHUNK = 10


def order(app: Flask) -> int:
    """A zone with clients, and an invoice run ordered by hand."""
    with app.app_context():
        zone = make_zone()
        make_clients(CLIENTS, zone)
        with transaction():
            task = session().scalars(
                sa.select(PeriodicTask).where(
                    PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == "invoices"
                )
            )
            return service.order(task.one()).id


def done_so_far(app: Flask) -> int:
    """How many clients the run has dealt with."""
    with app.app_context():
        return session().scalar(sa.select(sa.func.count()).select_from(RunItem)) or 0


def let_the_lease_run_out(app: Flask, run_id: int) -> None:
    """As a minute without the killed worker would."""
    with app.app_context(), transaction() as s:
        past = clock.now() - timedelta(seconds=1)
        s.execute(sa.update(TaskRun).where(TaskRun.id == run_id, TaskRun.state == "running").values(lease_until=past))


def state_of(app: Flask, run_id: int) -> str:
    with app.app_context():
        return session().get_one(TaskRun, run_id).state


def test_a_run_outlives_its_workers(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    settings = {**environment, "WISP_TEST_CHUNK": str(CHUNK), "WISP_TEST_MARKS": str(tmp_path / "marks")}
    run_id = order(app)
    for number, enough in enumerate((1, CLIENTS // 3)):
        with Program(
            "worker", environment=settings, output=tmp_path / f"{number}", app="tests.support.program"
        ) as worker:
            with app.app_context():
                queue.enqueue("tasks.tick")
                queue.enqueue("tasks.run", [run_id])
            until(lambda least=enough: done_so_far(app) >= least, 60)
            worker.stop(signal.SIGKILL)
        assert state_of(app, run_id) == "running"
        assert done_so_far(app) < CLIENTS
        let_the_lease_run_out(app, run_id)
    with Program("worker", environment=settings, output=tmp_path / "last", app="tests.support.program"):
        with app.app_context():
            queue.enqueue("tasks.tick")  # finds it by itself
        until(lambda: state_of(app, run_id) == "success", 60)

    with app.app_context():
        run = session().get_one(TaskRun, run_id)
        assert (run.invoiced, run.mails, run.failed) == (CLIENTS, CLIENTS, 0)
        assert session().scalars(sa.select(Invoice.number).order_by(Invoice.number)).all() == [*range(1, CLIENTS + 1)]
        assert set(Counter(session().scalars(sa.select(Invoice.client_id))).values()) == {1}
        assert set(
            Counter(session().scalars(sa.select(Message.invoice_id).where(Message.kind == "invoice"))).values()
        ) == {1}
        for table in (InvoiceLine, RunItem):
            assert session().scalar(sa.select(sa.func.count()).select_from(table)) == CLIENTS
