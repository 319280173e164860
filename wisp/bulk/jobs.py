"""Jobs of bulk actions. They may run twice, and at once, without changing anything twice."""

import time

from wisp.bulk import service
from wisp.core import queue
from wisp.core.db import transaction

PAUSE = 0.01
"""Seconds between two steps, in which SQLite's one lock is free: who waits for it asks again and again, and gets in."""


@queue.job("bulk.run", queue="runs", timeout=3600)
def work(run_id: int) -> None:
    """Work off a run, or its undo, to its end: each step a transaction of its own."""
    more = True
    while more:
        with transaction():
            more = service.step(run_id)
        if more:
            time.sleep(PAUSE)


@queue.job("bulk.sweep", queue="runs")
def sweep() -> None:
    """Take up again what a killed worker, or an emptied Redis, has left."""
    queue.enqueue_many([("bulk.run", [run_id], f"bulk-{run_id}") for run_id in service.abandoned()])


queue.periodic("wisp-bulk", "bulk.sweep", seconds=60)
