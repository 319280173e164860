"""Jobs of the tasks slice: the tick and the runs. Both may run twice, and at once, without doing anything twice."""

import logging
from collections.abc import Callable, Collection
from typing import TypeVar

from wisp.access import service as access
from wisp.access.holds import service as holds
from wisp.core import queue
from wisp.core.db import session, transaction
from wisp.core.lease import SWEEP
from wisp.payments import promises
from wisp.schedules.models import PeriodicTask
from wisp.tasks import followups, ledger, planning, queueing, runner, tick
from wisp.tasks.models import TaskRun

T = TypeVar("T")
log = logging.getLogger(__name__)


@queue.job(queueing.TICK, queue="runs", timeout=300)
def run_tick() -> list[int]:
    """End pauses and promises, claim what is due, take up what was abandoned; the ids of the runs handed to workers.

    Repeatable: a claim is one conditional write per (task, month), or per (task, day) after broken promises, and a run
    that is being worked on is not claimed by a second worker while its lease lasts.
    """
    _apart(holds.end_pauses)  # before the tasks that are due now look at the clients
    _apart(promises.end_due)
    claimed = tick.claim_due()
    followed = _apart(followups.claim) or []
    queueing.enqueue_runs(followed)
    claimed += followed
    again = take_up(set(claimed))
    with transaction():
        tick.forget_old_plans()
    return claimed + again


def _apart(step: Callable[[], T]) -> T | None:
    """A step of the tick in a transaction of its own: where it fails, the tasks that are due are claimed all the same,
    and the next tick tries it again."""
    try:
        with transaction():
            return step()
    except Exception:
        log.exception("a step of the tick failed: %s", step.__name__)
        return None


@queue.job("tasks.take_up", queue="runs", timeout=60)
def take_up(but: Collection[int] = ()) -> list[int]:
    """Have runs worked off that nobody is at: their worker was killed, their job was lost, a retry is due."""
    again = [run_id for run_id in tick.abandoned() if run_id not in but]
    session().rollback()
    queueing.enqueue_again(again)
    return again


def push(run: TaskRun) -> None:
    """Enqueue what an open run waits for: a worker, or its router. Repeatable, both are claimed with a lease."""
    if run.phase == "syncing":
        task = session().get_one(PeriodicTask, run.task_id)
        access.enqueue_syncs([planning.owner_of(task.schedule_id)[1]], force=True)
    else:
        queueing.enqueue_run(run.id)


@queue.job("tasks.run", queue="runs", timeout=3600)
def run_runs(run_ids: list[int]) -> None:
    """Work off these runs one after the other. Repeatable: a run is claimed with a lease and goes on at its cursor.

    One that breaks does not keep the others waiting; the first error is raised at the end.
    """
    first: Exception | None = None
    for run_id in run_ids:
        try:
            runner.work(run_id)
        except Exception as error:
            log.exception("run %s broke off; the sweep takes it up", run_id)
            first = first or error
    if first is not None:
        raise first


@queue.rehearsal
def rehearse() -> None:
    """The statements of a cut and of a notice, up to their routers' answers."""
    runner.rehearse()
    ledger.rehearse()


queue.periodic("wisp-tick", queueing.TICK, seconds=60)
queue.periodic("tasks-take-up", "tasks.take_up", seconds=SWEEP)
