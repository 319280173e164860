"""P2: the cut of 1,000 of 5,000 clients of a router behind a line of 30 ms, and of 20 such routers.

Half of the clients dial in by PPPoE and are on line: their sessions are ended too. The routers are simulated, in
processes of their own; they count connections and turns. Everything else is the program's own: the run, the
synchronisation, the workers.
"""

import sys
import time
from contextlib import ExitStack
from datetime import date, timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa

from tests.bench.dead import dead_routers
from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, in_program, running, session, until
from tests.bench.routers import ROUND_TRIP, Line, client_rows, lines
from tests.factories import make_company, make_plan, make_router, make_zone
from tests.support.access import CUT, owe
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, db, queue
from wisp.core.db import transaction
from wisp.schedules.models import PeriodicTask
from wisp.tasks import service
from wisp.tasks.models import TaskRun

CLIENTS, OWING = 5_000, 1_000
ROUTERS, PROCESSES, WORKERS = 20, 2, 4
REPEATS = 3


def work() -> dict[str, Any]:
    """In a fresh process: order the cut of the only zone and do all that follows from it."""
    begun = time.perf_counter()
    with queue.inline(), transaction():
        task = db.session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut")).one()
        run = service.order(task)
    seconds = time.perf_counter() - begun
    db.session().rollback()
    db.session().refresh(run)
    return {"seconds": seconds, "state": run.state, "cut": run.cut}


def _provide(place: Ground, routers: list[Line]) -> None:
    """Each router's clients, the first thousand of whom owe."""
    with place.app.app_context():
        make_company()
        plan = make_plan()
        today = clock.now().date()
        for number, line in enumerate(routers):
            zone = make_zone(make_router(port=line.port))
            rows = client_rows(
                zone, plan.id, CLIENTS, f"R{number:02}-", installed_on=date(2020, 1, 1), created_at=clock.now()
            )
            with transaction() as s:
                s.execute(sa.insert(Client), rows)
                ids = s.scalars(sa.select(Client.id).where(Client.zone_id == zone.id).order_by(Client.id)).all()
                s.execute(sa.insert(Access), [{"client_id": i, "router_id": zone.router_id} for i in ids])
            owe(ids[:OWING], due=today - timedelta(days=2))
    place.keep()


def _check(line: Line) -> None:
    cut = sum(row["list"] == CUT and row.get("comment", "").startswith("wisp:") for row in line.entries())
    assert cut == OWING, f"{cut} clients on the list"
    on_line = line.sessions()
    assert on_line == (CLIENTS - OWING) // 2, f"{on_line} sessions left"


def _one_router(kind: str) -> list[Figure]:
    seconds, over, turns, connections = [], [], [], []
    with session() as server, ground(kind, server) as place, lines(place, 1, CLIENTS) as (line,):
        _provide(place, [line])
        for _ in range(REPEATS):
            place.restore()
            line.fresh()
            run = place.child(__name__)
            assert (run["state"], run["cut"]) == ("success", OWING), run
            counted = line.counters()
            _check(line)
            seconds.append(run["seconds"])
            turns.append(counted["turns"])
            connections.append(counted["connections"])
            over.append(run["seconds"] - counted["turns"] * ROUND_TRIP / 1000)
    what = f"{OWING:,} of {CLIENTS:,} cut, {kind}"
    note = f"median of {REPEATS}; in all {median(seconds):.2f} s"
    return [
        Figure("P2", f"{what}: connections", max(connections), 2, ""),
        Figure("P2", f"{what}: turns", max(turns), 25, ""),
        Figure("P2", f"{what}: time beside the turns", median(over), 1, note=note),
    ]


def _all(place: Ground, routers: list[Line], workers: int) -> float:
    """Seconds from the order to the end of every router's cut, with so many workers."""
    place.restore()
    place.redis.client().flushdb()
    for line in routers:
        line.fresh()
    with ExitStack() as stack:
        stack.enter_context(running(*[place.start("flask", "worker", quiet=True) for _ in range(workers)]))
        with place.app.app_context():
            client = place.redis.client()
            until(lambda: client.scard("rq:workers") == workers, 60)
            tasks = db.session().scalars(sa.select(PeriodicTask.id).where(PeriodicTask.kind == "cut")).all()
            begun = time.perf_counter()
            for task_id in tasks:
                with transaction():
                    service.order(service.find(task_id))
            until(lambda: _done(len(tasks)), 300, 0.1)
            seconds = time.perf_counter() - begun
            db.db.session.remove()
    for line in routers:
        _check(line)
    return seconds


def _done(count: int) -> bool:
    db.session().rollback()
    done = sa.select(sa.func.count()).select_from(TaskRun).where(TaskRun.state == "success", TaskRun.cut == OWING)
    return db.session().scalar(done) == count


def _many_routers(kind: str) -> Figure:
    with (
        session() as server,
        ground(kind, server) as place,
        lines(place, ROUTERS, CLIENTS, PROCESSES) as routers,
    ):
        _provide(place, routers)
        measured = [[_all(place, routers, workers) for workers in (1, WORKERS)] for _ in range(REPEATS)]
        alone, together = (median(seconds) for seconds in zip(*measured, strict=True))
    return Figure(
        "P2",
        f"{ROUTERS} such routers, {WORKERS} workers to one, {kind}",
        alone / together,
        3,
        "times",
        at_least=True,
        note=f"medians of {REPEATS}: {alone:.1f} s and {together:.1f} s",
    )


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures: list[Figure] = []
    for kind in KINDS:
        figures += [*_one_router(kind), _many_routers(kind), dead_routers(kind)]
    return figures


if __name__ == "__main__":
    in_program(work)
    sys.exit()
