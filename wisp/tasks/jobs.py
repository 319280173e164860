"""Jobs of the tasks slice: the tick and the runs. Both may run twice, and at once, without doing anything twice."""

from wisp.core import queue
from wisp.core.db import transaction
from wisp.tasks import queueing, runner, tick


@queue.job("tasks.tick", queue="runs", timeout=300)
def run_tick() -> list[int]:
    """Claim what is due, take up what was abandoned; the ids of the runs handed to workers.

    Repeatable: a claim is one conditional write per (task, month), and a run that is being worked on is not
    claimed by a second worker while its lease lasts.
    """
    claimed = tick.claim_due()
    run_ids = claimed + [i for i in tick.abandoned() if i not in set(claimed)]
    queueing.enqueue_runs(run_ids)
    with transaction():
        tick.forget_old_plans()
    return run_ids


@queue.job("tasks.run", queue="runs", timeout=3600)
def run_runs(run_ids: list[int]) -> None:
    """Work off these runs one after the other. Repeatable: a run is claimed with a lease and goes on at its cursor."""
    for run_id in run_ids:
        runner.work(run_id)


queue.periodic("wisp-tick", "tasks.tick", seconds=60)
