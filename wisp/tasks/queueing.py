"""How runs reach a worker: by id, many ids to a job, so that a full tick costs the queue little."""

from collections.abc import Sequence

from wisp.core import queue

TICK = "tasks.tick"
BATCH = 50
"""Runs in one job. A killed worker leaves the rest to the next tick, which finds them by their state."""


def enqueue_tick() -> None:
    """Have what is due claimed now; a tick that waits already is enough."""
    queue.enqueue(TICK, key="wisp-tick")


def enqueue_run(run_id: int) -> None:
    """Ask for one run; without Redis the next tick asks again."""
    enqueue_again([run_id])


def enqueue_again(run_ids: Sequence[int]) -> None:
    """Ask for each of these runs, where its own job does not wait already."""
    queue.enqueue_many([("tasks.run", ([run_id],), f"tasks.run.{run_id}") for run_id in run_ids])


def enqueue_runs(run_ids: Sequence[int]) -> None:
    """Ask for many new runs."""
    queue.enqueue_many(_batches(run_ids))


def enqueue_runs_after_commit(run_ids: Sequence[int]) -> None:
    """The same once the present transaction has committed."""
    queue.enqueue_after_commit(_batches(run_ids))


def _batches(run_ids: Sequence[int]) -> list[queue.Call]:
    return [("tasks.run", (list(run_ids[i : i + BATCH]),), None) for i in range(0, len(run_ids), BATCH)]
