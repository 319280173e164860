"""How runs reach a worker: by id, many ids to a job, so that a full tick costs the queue little."""

from collections.abc import Sequence

from wisp.core import queue

BATCH = 50
"""Runs in one job. A killed worker leaves the rest to the next tick, which finds them by their state."""


def enqueue_run(run_id: int) -> None:
    """Ask for one run; without Redis the next tick asks again."""
    enqueue_again([run_id])


def enqueue_again(run_ids: Sequence[int]) -> None:
    """Ask for each of these runs, where its own job does not wait already."""
    queue.enqueue_many([("tasks.run", ([run_id],), f"tasks.run.{run_id}") for run_id in run_ids])


def enqueue_runs(run_ids: Sequence[int]) -> None:
    """Ask for many new runs."""
    batches = [list(run_ids[i : i + BATCH]) for i in range(0, len(run_ids), BATCH)]
    queue.enqueue_many([("tasks.run", (batch,), None) for batch in batches])
