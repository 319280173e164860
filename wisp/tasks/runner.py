"""Working off a run: claimed with a lease, written chunk by chunk, resumable after a kill at any point."""

import logging
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.exc import DBAPIError

from wisp.access import service as access
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import NOBODY, dialect, out_of_order, session, transaction, write
from wisp.core.lease import LEASE
from wisp.outbox import service as outbox
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.tasks import apply, lateness, ledger, locks, planning
from wisp.tasks.domain import CHUNK, FOLLOWUP, ItemState, Reason, RunState
from wisp.tasks.models import RunItem, TaskPlan, TaskRun

log = logging.getLogger(__name__)


class Lost(Exception):
    """Another worker has taken the run over (this one was silent for longer than its lease)."""


def new_owner() -> str:
    """A name for this worker's leases, unique also where a process id is used again."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(6)}"


def work(run_id: int, chunk: int = CHUNK) -> bool:
    """Work off one run as far as it goes without the router; False where another worker has it or it is done.

    May be called any number of times for the same run: the claim lets one worker in, and everything a chunk writes
    is committed together with the cursor that says so.
    """
    owner = new_owner()
    try:
        start = write(lambda: _start(run_id, owner))
        if start is None:
            return False
        if start == RunState.ERROR:
            _retry(run_id, owner)
            return True
        first = True
        while _next_chunk(run_id, owner, chunk):
            if first and dialect() == "postgresql":
                _analyze(run_id)
            first = False
    except Lost:
        log.warning("run %s was taken over by another worker", run_id)
        return False
    except (Exception, queue.TimeUp):
        _release(run_id, owner)
        raise
    return True


def _start(run_id: int, owner: str) -> str | None:
    """Claim the run; None where it is not ours, else the state that it was in: one that had ended in error only tries
    again what has failed."""
    run = _claim(run_id, owner)
    if run is None:
        return None
    state = run.state
    if state == RunState.ERROR:
        run.retry_at = run.lease_until  # should this worker be killed, the sweep finds it again
    else:
        _prepare(run)
    return state


def _retry(run_id: int, owner: str) -> None:
    """Try again the clients for whom nothing could be written."""
    failed = session().scalars(ledger.unwritten(run_id).order_by(RunItem.client_id)).all()
    _one_by_one(run_id, owner, failed, again=True)

    def end() -> None:
        run = _mine(run_id, owner)
        _complete(run, _spec(run))

    write(end)


def _release(run_id: int, owner: str) -> None:
    """Give the lease back after an error of our own, or at the end of the job's time: the sweep has the run taken up
    where it stands."""
    now = clock.now()
    mine = (TaskRun.id == run_id, TaskRun.lease_owner == owner, TaskRun.lease_until.is_not(None))
    ended = update(TaskRun).where(*mine).values(lease_until=now).execution_options(synchronize_session=False)
    try:
        write(lambda: session().execute(ended))
    except DBAPIError as error:
        log.warning("run %s: its lease could not be given back: %s", run_id, error.orig)


def rehearse() -> None:
    """Put to the database what ``work`` asks of it for a notice and a cut, for no client. See queue.rehearsal."""
    _claim(NOBODY, "")
    for kind in (Kind.notice, Kind.cut):
        task = session().scalar(select(PeriodicTask).where(PeriodicTask.kind == kind).limit(1))
        if task is not None:
            spec = replace(planning.spec_of(task, task.next_month), planned_at=clock.now())
            apply.whole_range(spec)
            apply.rehearse_chunk(spec)


def _claim(run_id: int, owner: str) -> TaskRun | None:
    """The run, locked and ours from now on; None where it is another's, or there is nothing to do."""
    locks.hold_of_run(run_id)
    now = clock.now()
    unleased = clock.due(TaskRun.lease_until, LEASE)
    free = or_(
        TaskRun.state == RunState.QUEUED.value,
        (TaskRun.state == RunState.RUNNING.value) & (TaskRun.phase != "syncing") & unleased,
        (TaskRun.state == RunState.ERROR.value)
        & clock.due(TaskRun.retry_at, ledger.RETRY_PAUSES[-1])
        & (TaskRun.lease_until.is_(None) | unleased),
    )
    return session().scalar(
        update(TaskRun)
        .where(TaskRun.id == run_id, free)
        .values(
            lease_owner=owner,
            lease_until=now + LEASE,
            attempts=TaskRun.attempts + 1,
        )
        .returning(TaskRun)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def _mine(run_id: int, owner: str) -> TaskRun:
    """The run, locked and still ours, its lease renewed. Raises Lost."""
    locks.hold_of_run(run_id)
    run = (
        session()
        .scalars(
            select(TaskRun).where(TaskRun.id == run_id).with_for_update().execution_options(populate_existing=True)
        )
        .one()
    )
    if run.lease_owner != owner or run.state in (RunState.SUCCESS.value, RunState.UNDONE.value):
        raise Lost
    run.lease_until = clock.now() + LEASE
    return run


def _spec(run: TaskRun) -> planning.Spec:
    task = session().get_one(PeriodicTask, run.task_id)
    return planning.spec_of(
        task,
        run.month,
        manual=run.trigger == "manual",
        options=planning.Options.from_json(run.options),
        plan_id=run.plan_id,
        planned_at=_planned_at(run),
        followup=run.id if run.trigger == FOLLOWUP else None,
    )


def _planned_at(run: TaskRun) -> datetime:
    """When it was decided on whom the run acts: with the simulation that was handed over, else with the order."""
    plan = session().get(TaskPlan, run.plan_id) if run.plan_id is not None else None
    return plan.created_at if plan is not None else run.created_at


def _prepare(run: TaskRun) -> None:
    """Start a fresh run, or go on with one."""
    if run.started_at is None:
        _task = session().get_one(PeriodicTask, run.task_id)  # held, or the session would read it again for each use
        ledger.started(run)
        ledger.take_over(run)
        _last, run.expected = apply.whole_range(_spec(run))
    run.state, run.phase = RunState.RUNNING.value, "writing"


def _next_chunk(run_id: int, owner: str, size: int) -> bool:
    """Write one more chunk; False where it was the last.

    A chunk that fails is repeated client by client, unless it is the database itself that fails: then the run ends here
    as if its worker had been killed, and the tick takes it up.
    """

    def chunk() -> bool:
        run = _mine(run_id, owner)
        return _write(run, size, _spec(run))

    try:
        return write(chunk)
    except Lost:
        raise
    except Exception as error:
        if out_of_order(error):
            raise
        log.exception("run %s: a chunk failed, going on client by client", run_id)
        ids = _clients_of_chunk(run_id, owner, size)
        if not ids:
            raise
        _one_by_one(run_id, owner, ids)
        return True


def _write(run: TaskRun, size: int, spec: planning.Spec) -> bool:
    """Write the next chunk, and with the last one the end of the run; whether there is another one."""
    found = apply.next_range(spec, run.cursor, size)
    if found is not None:
        _add(run, apply.apply_chunk(spec, run.id, run.cursor, *found))
    more = found is not None and found[1] == size
    if not more:
        _complete(run, spec)
    return more


def _analyze(run_id: int) -> None:
    """Tell PostgreSQL's planner that the tables of invoices have grown; measured: a quarter of a big run's time."""
    with transaction():
        if _spec(session().get_one(TaskRun, run_id)).kind == Kind.invoices:
            for table in ("invoice", "invoice_line", "message", "run_item"):
                session().connection().exec_driver_sql(f"ANALYZE {table}")


def _clients_of_chunk(run_id: int, owner: str, size: int) -> Sequence[int]:
    with transaction():
        run = _mine(run_id, owner)
        query = select(Client.id).where(_spec(run).clients(), Client.id > run.cursor).order_by(Client.id).limit(size)
        return session().scalars(query).all()


def _one_by_one(run_id: int, owner: str, ids: Sequence[int], again: bool = False) -> None:
    """Each client in a transaction of its own, so that a bad one fails alone and says why. ``again``: they have failed
    before, and the run has come past them."""
    for client_id in ids:
        try:
            with transaction():
                run = _mine(run_id, owner)
                if again:
                    _forget_failure(run_id, client_id)
                chunk = apply.apply_chunk(_spec(run), run_id, client_id - 1, client_id, 1)
                _add(run, chunk, move=not again)
        except Lost:
            raise
        except Exception as error:
            if out_of_order(error):
                raise
            log.exception("run %s: client %s failed", run_id, client_id)
            with transaction():
                run = _mine(run_id, owner)
                _note_failure(run, client_id, error)
                if not again:
                    run.cursor = client_id


def _forget_failure(run_id: int, client_id: int) -> None:
    item = session().get_one(RunItem, (run_id, client_id))
    session().delete(item)
    session().flush()


def _note_failure(run: TaskRun, client_id: int, error: Exception) -> None:
    session().merge(
        RunItem(
            run_id=run.id,
            client_id=client_id,
            state=ItemState.FAILED.value,
            reason=Reason.ERROR.value,
            detail=str(getattr(error, "orig", error))[:500],
            updated_at=clock.now(),
        )
    )


def _add(run: TaskRun, chunk: apply.Chunk, move: bool = True) -> None:
    """Add what a chunk has written to the run's counts and move its cursor."""
    for name in ("invoiced", "unchanged", "skipped", "waiting", "mails", "without_email", "amount"):
        setattr(run, name, getattr(run, name) + getattr(chunk, name))
    if move:
        run.cursor = chunk.last


def _complete(run: TaskRun, spec: planning.Spec) -> None:
    """All is written: invoices end here; notices and cuts wait for their router's answer."""
    if spec.kind == Kind.invoices:
        if run.invoiced and lateness.came_late(run):
            lateness.shift_cycle(run, spec.cycle, spec.due)
        ledger.finish(run)
        if run.mails:
            outbox.request_delivery()
        return
    run.phase, run.lease_until, run.retry_at = "syncing", None, None
    run.sync_order = access.request_sync([spec.router_id])[spec.router_id]
