"""P5: 10,000 tasks due in the same minute: how long until all are claimed and enqueued, and that each runs once.

For the second, everything that could double them works at once: two schedulers, two more ticks that begin at the same
moment, four workers.
"""

import sys
import time
from datetime import timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, PATIENCE, Ground, ground, in_program, running, session, until
from tests.factories import make_company, make_plan, make_router
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, db
from wisp.core.db import transaction
from wisp.invoices.models import Invoice
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.tasks import tick
from wisp.tasks.models import TaskRun

TASKS = 10_000
REPEATS = 3
SCHEDULERS, TICKS, WORKERS = 2, 2, 4


def work() -> dict[str, Any]:
    """In a fresh process: what the tick does with what is due."""
    db.session().execute(sa.select(1))
    begun = time.perf_counter()
    run_ids = tick.claim_due()
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "claim": seconds, "runs": len(run_ids)}


def _provide(place: Ground) -> None:
    """As many zones as tasks, each with one client and invoices to come."""
    now, ids = clock.now(), range(1, TASKS + 1)
    with place.app.app_context():
        make_company()
        plan, router = make_plan(), make_router()
        common = {
            "router_id": router.id,
            "plan_id": plan.id,
            "connection": "static",
            "installed_on": now.date() - timedelta(days=900),
            "created_at": now,
        }
        with transaction() as s:
            s.execute(
                sa.insert(BillingSchedule),
                [{"id": i, "billing_type": "prepaid", "due_day": 20, "timezone": "UTC"} for i in ids],
            )
            zones = [{"id": i, "router_id": router.id, "name": f"Zona {i}", "schedule_id": i} for i in ids]
            s.execute(sa.insert(Zone), [{**zone, "created_at": now} for zone in zones])
            clients = [{"id": i, "code": f"C{i}", "name": f"Cliente {i}", "zone_id": i} for i in ids]
            s.execute(sa.insert(Client), [{**client, **common} for client in clients])
            s.execute(sa.insert(Access), [{"client_id": i, "router_id": router.id} for i in ids])
            tasks = [{"schedule_id": i, "kind": kind} for i in ids for kind in ("invoices", "notice", "cut")]
            idle = {"day": 1, "minute": 0, "enabled": False, "next_month": now.date().replace(day=1)}
            s.execute(sa.insert(PeriodicTask), [{**task, **idle, "next_at": None} for task in tasks])
    place.keep()


def _due_now(place: Ground) -> None:
    """Put the database back and let the minute of all invoice tasks be the one that has just passed."""
    place.restore()
    place.redis.client().flushdb()
    moment = (clock.now() - timedelta(minutes=1)).replace(second=0, microsecond=0)
    with place.app.app_context(), transaction() as s:
        s.execute(
            sa.update(PeriodicTask)
            .where(PeriodicTask.kind == "invoices")
            .values(
                enabled=True,
                day=moment.day,
                minute=moment.hour * 60 + moment.minute,
                next_month=moment.date().replace(day=1),
                next_at=moment,
            )
        )
    place.settle()


def _claimed(place: Ground) -> Figure:
    seconds, claims = [], []
    for _ in range(REPEATS):
        _due_now(place)
        ticked = place.child(__name__)
        assert ticked["runs"] == TASKS, ticked
        seconds.append(ticked["seconds"])
        claims.append(ticked["claim"])
    note = f"median of {REPEATS}; {median(claims):.2f} s of it to claim"
    return Figure("P5", f"{TASKS:,} tasks claimed and enqueued, {place.kind}", median(seconds), 2, note=note)


def _each_once(place: Ground) -> Figure:
    _due_now(place)
    workers = [place.start("flask", "worker", quiet=True) for _ in range(WORKERS)]
    with running(*workers):
        client = place.redis.client()
        until(lambda: client.scard("rq:workers") == WORKERS, 60)
        begun = time.perf_counter()
        ticks = [place.start(__name__, quiet=True) for _ in range(TICKS)]
        schedulers = [place.start("flask", "scheduler", quiet=True) for _ in range(SCHEDULERS)]
        with running(*schedulers, *ticks), place.app.app_context():
            until(_all_done, 2 * PATIENCE, 0.5)
            seconds = time.perf_counter() - begun
            wrong = _wrong()
    what = f"tasks of {TASKS:,} not run once, {place.kind}"
    parts = f"{SCHEDULERS} schedulers, {TICKS} ticks beside them, {WORKERS} workers"
    return Figure("P5", what, wrong, 0, "", note=f"{parts}; all done in {seconds:.0f} s")


def _all_done() -> bool:
    db.session().rollback()
    open_runs = sa.select(sa.func.count()).select_from(TaskRun).where(TaskRun.state.in_(["queued", "running"]))
    waiting = sa.select(sa.func.count()).select_from(PeriodicTask).where(PeriodicTask.next_at <= clock.now())
    return not db.session().scalar(open_runs) and not db.session().scalar(waiting)


def _wrong() -> int:
    """Tasks that have not exactly one run, begun by one worker once, that ended well with one invoice."""
    db.session().rollback()
    invoices = sa.select(sa.func.count()).where(Invoice.run_id == TaskRun.id).scalar_subquery()
    well = (TaskRun.state == "success") & (TaskRun.attempts == 1) & (TaskRun.invoiced == 1) & (invoices == 1)
    runs = sa.func.count(TaskRun.id)
    good = (
        sa.select(TaskRun.task_id)
        .join(PeriodicTask, (PeriodicTask.id == TaskRun.task_id) & (PeriodicTask.applied_ever == 1))
        .group_by(TaskRun.task_id)
        .having(runs == 1, runs.filter(well) == 1)
        .subquery()
    )
    right = db.session().scalar(sa.select(sa.func.count()).select_from(good)) or 0
    surplus = (db.session().scalar(sa.select(sa.func.count()).select_from(Invoice)) or 0) - TASKS
    db.db.session.remove()
    return TASKS - right + abs(surplus)


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures: list[Figure] = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place:
            _provide(place)
            figures.append(_claimed(place))
        with session() as server, ground(kind, server, durable=False) as place:  # counted, not timed
            _provide(place)
            figures.append(_each_once(place))
    return figures


if __name__ == "__main__":
    in_program(work)
    sys.exit()
