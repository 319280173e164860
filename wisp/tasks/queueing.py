"""How runs reach a worker: by id, many ids to a job, so that a full tick costs the queue little."""

from collections.abc import Sequence

from wisp.core import queue

BATCH = 50
"""Runs in one job. A killed worker leaves the rest to the next tick, which finds them by their state."""


def enqueue_run(run_id: int) -> None:
    """Ask for one run; without Redis the next tick asks again."""
    queue.enqueue("tasks.run", [run_id])


def enqueue_runs(run_ids: Sequence[int]) -> None:
    """Ask for many runs."""
    batches = [list(run_ids[i : i + BATCH]) for i in range(0, len(run_ids), BATCH)]
    queue.enqueue_many([("tasks.run", (batch,), None) for batch in batches])
