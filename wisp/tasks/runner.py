"""Working off a run: claimed with a lease, written chunk by chunk, resumable after a kill at any point."""

import logging
import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select, update

from wisp.access import service as access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import NOBODY, dialect, out_of_order, session, transaction
from wisp.outbox import service as outbox
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.tasks import apply, ledger, planning
from wisp.tasks.domain import CHUNK, FOLLOWUP, LEASE, ItemState, Reason, RunState
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
        more = _begin(run_id, owner, chunk)
        if more and dialect() == "postgresql":
            _analyze(run_id)
        while more:
            more = _next_chunk(run_id, owner, chunk)
    except Lost:
        log.warning("run %s was taken over by another worker", run_id)
        return False
    return more is not None


def _begin(run_id: int, owner: str, size: int) -> bool | None:
    """Claim the run and write its first chunk in one transaction: most runs have no other. Whether there is more to do;
    None where the run is not ours. A chunk that fails is left to ``_next_chunk``."""
    try:
        with transaction():
            run = _claim(run_id, owner)
            if run is None:
                return None
            retry = _is_retry(run)
            more = not retry and _write(run, size, *_prepare(run))
    except Exception as error:
        if isinstance(error, Lost) or out_of_order(error):
            raise
        with transaction():
            run = _claim(run_id, owner)
            if run is None:
                return None
            retry, more = _is_retry(run), True
            if not retry:
                _prepare(run)
    if not retry:
        return more
    _one_by_one(
        run_id, owner, session().scalars(ledger.unwritten(run_id).order_by(RunItem.client_id)).all(), again=True
    )
    with transaction():
        run = _mine(run_id, owner)
        _complete(run, _spec(run))
    return False


def rehearse() -> None:
    """Put to the database what ``work`` asks of it for a notice and a cut, for no client. See queue.rehearsal."""
    _claim(NOBODY, "")
    for kind in (Kind.notice, Kind.cut):
        task = session().scalar(select(PeriodicTask).where(PeriodicTask.kind == kind).limit(1))
        if task is not None:
            spec = planning.spec_of(task, task.next_month)
            apply.whole_range(spec)
            apply.rehearse_chunk(spec)


def _claim(run_id: int, owner: str) -> TaskRun | None:
    """The run, locked and ours from now on; None where it is another's, or there is nothing to do."""
    now = clock.now()
    free = or_(
        TaskRun.state == RunState.QUEUED.value,
        (TaskRun.state == RunState.RUNNING.value) & (TaskRun.phase != "syncing") & (TaskRun.lease_until < now),
        (TaskRun.state == RunState.ERROR.value)
        & (TaskRun.retry_at <= now)
        & (TaskRun.lease_until.is_(None) | (TaskRun.lease_until < now)),
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


def _is_retry(run: TaskRun) -> bool:
    """Whether an ended run only retries what has failed."""
    retry = run.state == RunState.ERROR.value
    if retry:
        run.retry_at = run.lease_until  # should this worker be killed, the tick finds it again
    return retry


def _prepare(run: TaskRun) -> tuple[planning.Spec, int]:
    """Start a fresh run, or go on with one; what it does, and the id of its last client, where that has just been
    looked up, else 0."""
    spec, last = _spec(run), 0
    if run.started_at is None:
        _task = session().get_one(PeriodicTask, run.task_id)  # held, or the session would read it again for each use
        ledger.started(run)
        ledger.take_over(run)
        last, run.expected = apply.whole_range(spec)
    run.state, run.phase = RunState.RUNNING.value, "writing"
    return spec, last


def _next_chunk(run_id: int, owner: str, size: int) -> bool:
    """Write one more chunk; False where it was the last.

    A chunk that fails is repeated client by client, unless it is the database itself that fails: then the run ends here
    as if its worker had been killed, and the tick takes it up.
    """
    try:
        with transaction():
            run = _mine(run_id, owner)
            return _write(run, size, _spec(run))
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


def _write(run: TaskRun, size: int, spec: planning.Spec, last: int = 0) -> bool:
    """Write the next chunk, and with the last one the end of the run; whether there is another one. ``last``: the id of
    the run's last client, where that is known: most runs are one chunk, which then need not be looked for."""
    found: tuple[int, int] | None
    if last and run.expected <= size:
        found, more = (last, run.expected), False
    else:
        found = apply.next_range(spec, run.cursor, size)
        more = found is not None and found[1] == size and apply.next_range(spec, found[0], 1) is not None
    if found is not None:
        _add(run, apply.apply_chunk(spec, run.id, run.cursor, *found))
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
        if run.invoiced and ledger.came_late(run):
            ledger.shift_cycle(run, spec.cycle, spec.due)
        ledger.finish(run)
        if run.mails:
            outbox.request_delivery()
        return
    run.phase, run.lease_until, run.retry_at = "syncing", None, None
    run.sync_order = access.request_sync([spec.router_id])[spec.router_id]
