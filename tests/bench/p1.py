"""P1 and P6: an invoice run of 100,000 clients in one zone against the bare insertion of the same rows.

Both write into the same empty tables with the same indexes, on a database that was put back to the same state before,
with the same settings for the disk. The run is the program's own, in a process that did nothing else.
"""

import sys
import time
from statistics import median
from typing import Any

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, in_program, peak_memory, session
from tests.factories import make_clients, make_company, make_plan, make_zone
from wisp.core import db
from wisp.core.db import transaction
from wisp.schedules.models import PeriodicTask
from wisp.tasks import runner, service

CLIENTS = 100_000
REPEATS = 3
TABLES = ("invoice", "invoice_line", "message", "run_item")  # in the order of their foreign keys


def work() -> dict[str, Any]:
    """In a fresh process: order the run as a person does, and work it off."""
    with transaction():
        task = db.session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "invoices")).one()
        run = service.order(task)
    begun = time.perf_counter()
    runner.work(run.id)
    seconds = time.perf_counter() - begun
    db.session().rollback()
    db.session().refresh(run)
    return {
        "seconds": seconds,
        "memory": peak_memory(),
        "state": run.state,
        "invoiced": run.invoiced,
        "unchanged": run.unchanged,
    }


def _floor_sqlite(place: Ground) -> float:
    """The rows of the run, out of a copy of its database, into one put back to before the run."""
    place.settle()
    made = place.database.file  # type: ignore[union-attr]
    done = made.with_suffix(".done")
    made.rename(done)
    place.restore()
    with place.connection() as connection:
        connection.execute(f"ATTACH '{done}' AS done")
        for name in ("task_run", "invoice_series"):  # what the rows refer to
            connection.execute(f"INSERT OR IGNORE INTO main.{name} SELECT * FROM done.{name}")
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for name in TABLES:
            connection.execute(f"INSERT INTO main.{name} SELECT * FROM done.{name}")
        connection.execute("COMMIT")
        seconds = time.perf_counter() - begun
        _check(connection)
    done.unlink()
    return seconds


def _floor_postgresql(place: Ground) -> float:
    """The rows of the run, out of copies of its tables, into the same tables emptied."""
    with place.connection() as connection:
        for name in TABLES:
            connection.execute(f"CREATE TABLE copy_{name} AS SELECT * FROM {name} ORDER BY 1, 2")
            connection.execute(f"VACUUM ANALYZE copy_{name}")
        connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        connection.execute("CHECKPOINT")
        begun = time.perf_counter()
        with connection.transaction():
            for name in TABLES:
                connection.execute(f"INSERT INTO {name} SELECT * FROM copy_{name}")
        seconds = time.perf_counter() - begun
        _check(connection)
    return seconds


def _check(connection: Any) -> None:
    for name in TABLES:
        count = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        assert count == CLIENTS, f"{count} rows in {name}"


def _measure(place: Ground) -> list[Figure]:
    with place.app.app_context():
        make_company(tax_bp=1600)
        make_clients(CLIENTS, make_zone(), make_plan())
    place.keep()
    first, again, floor, memory = [], [], [], []
    for _ in range(REPEATS):
        place.restore()
        run = place.child(__name__)
        assert (run["state"], run["invoiced"]) == ("success", CLIENTS), run
        first.append(run["seconds"])
        memory.append(run["memory"])
        run = place.child(__name__)
        assert (run["state"], run["invoiced"], run["unchanged"]) == ("success", 0, CLIENTS), run
        again.append(run["seconds"])
        floor.append(_floor_sqlite(place) if place.kind == "sqlite" else _floor_postgresql(place))
    bare, took = median(floor), median(first)
    what = f"{CLIENTS:,} invoices, {place.kind}"
    note = f"median of {REPEATS}; floor: the same rows by INSERT … SELECT"
    return [
        Figure("P1", what, took, 2 * bare, floor=bare, note=note),
        Figure("P1", f"{what}, again", median(again), took / 4, floor=took, note="0 created; floor: the first run"),
        Figure("P6", f"peak of {what}", max(memory), 200, "MB", note="VmHWM of the process, the highest"),
    ]


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures: list[Figure] = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place:
            figures += _measure(place)
    return figures


if __name__ == "__main__":
    in_program(work)
    sys.exit()
