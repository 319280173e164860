"""How runs end: items settled by the router's answers, runs and occurrences that follow from their items."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, or_, select, update

from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import NOBODY, after_commit, session, update_each
from wisp.invoices import service as invoices
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.tasks import locks, own_scope, queueing
from wisp.tasks.domain import (
    CHUNK,
    FOLLOWUP,
    OPEN_ITEMS,
    OPEN_RUNS,
    UNSETTLED_RUNS,
    ItemState,
    Reason,
    RunState,
    end_state,
)
from wisp.tasks.models import RunItem, TaskRun

if TYPE_CHECKING:
    from wisp.access.service import SyncReport

RETRY_PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""After these pauses the failed items of an invoice run are tried again; the last one is repeated for a day."""
GIVE_UP_AFTER = 24
_OPEN = [state.value for state in OPEN_RUNS]
_UNSETTLED = [state.value for state in UNSETTLED_RUNS]
_KEY = ("run_id", "client_id")
_WAITING: ColumnElement[str] = literal_column("'waiting'")
"""Spelled out in the SQL, so that SQLite sees that its partial index of open items fits."""


def started(run: TaskRun) -> None:
    """A run starts for the first time: it is the task's latest run and counts once in the present period, unless it
    only follows broken promises."""
    now = clock.now()
    run.started_at = now
    task = session().get_one(PeriodicTask, run.task_id)
    until = calendar.state_until(now, schedules.timezone_of(task.schedule))
    fresh = (PeriodicTask.applied_until.is_(None)) | (PeriodicTask.applied_until <= now)
    counted = {
        "applied": case((fresh, 1), else_=PeriodicTask.applied + 1),
        "applied_until": case((fresh, until), else_=PeriodicTask.applied_until),
        "applied_ever": PeriodicTask.applied_ever + 1,
    }
    session().execute(
        update(PeriodicTask)
        .where(PeriodicTask.id == run.task_id)
        .values(
            **({} if run.trigger == FOLLOWUP else counted),
            last_run_id=run.id,
            last_applied_at=run.planned_for or run.created_at,
        )
        .execution_options(synchronize_session="fetch")
    )
    if run.scope == own_scope.OWN:
        own_scope.started(run, task, now)


def take_over(run: TaskRun) -> None:
    """The open items of earlier runs of the task become this run's matter; those runs end with it. Not of one that only
    follows broken promises: it acts on few of their clients."""
    if run.trigger == FOLLOWUP:
        return
    task = session().get_one(PeriodicTask, run.task_id)
    earlier = session().scalars(own_scope.earlier(run, task)).all()
    if not earlier:
        return
    session().execute(
        update(RunItem)
        .where(RunItem.run_id.in_(earlier), RunItem.state.in_([ItemState.WAITING.value, ItemState.FAILED.value]))
        .values(
            state=ItemState.SUPERSEDED.value,
            reason=Reason.TAKEN_OVER.value,
            detail=str(run.id),
            updated_at=clock.now(),
        )
    )
    session().execute(
        update(TaskRun)
        .where(TaskRun.id.in_(earlier))
        .values(taken_by=run.id, waiting=0, failed=0, retry_at=None)
        .execution_options(synchronize_session="fetch")
    )


def on_client_reactivated(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: a person gives these clients the service back. What cut runs have still open for them is off, and no
    retry takes it up. A run that is still writing is waited for, and finds them reactivated from then on."""
    cuts = select(PeriodicTask.id).where(PeriodicTask.kind == Kind.cut.value)
    open_items = RunItem.state.in_([state.value for state in OPEN_ITEMS])
    theirs = select(RunItem.run_id).where(RunItem.client_id.in_(client_ids), open_items)
    at_work = select(PeriodicTask.id).join(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
    at_work = at_work.join(Client, Client.zone_id == Zone.id).where(Client.id.in_(client_ids))
    own = select(PeriodicTask.id).join(Client, Client.schedule_id == PeriodicTask.schedule_id)
    working = TaskRun.task_id.in_(at_work.union(own.where(Client.id.in_(client_ids))))
    runs = select(TaskRun).where(
        TaskRun.task_id.in_(cuts), or_(TaskRun.id.in_(theirs), working & TaskRun.state.in_(_OPEN))
    )
    locked = (
        session().scalars(runs.order_by(TaskRun.id).with_for_update().execution_options(populate_existing=True)).all()
    )
    ids = [run.id for run in locked]
    changed = update(RunItem).where(RunItem.run_id.in_(ids), RunItem.client_id.in_(client_ids), open_items)
    values = {"state": ItemState.SUPERSEDED.value, "reason": Reason.REACTIVATED.value, "detail": ""}
    session().execute(changed.values(**values, updated_at=clock.now()).execution_options(synchronize_session=False))
    for run in locked:
        if run.state in _UNSETTLED and run.taken_by is None:
            finish(run)


def recount(run: TaskRun) -> None:
    """Bring the counts that follow from the router's answers in line with the items."""
    counts = dict(
        session()
        .execute(select(RunItem.state, func.count()).where(RunItem.run_id == run.id).group_by(RunItem.state))
        .all()
    )
    task = session().get_one(PeriodicTask, run.task_id)
    run.waiting = counts.get(ItemState.WAITING.value, 0)
    run.failed = counts.get(ItemState.FAILED.value, 0)
    if task.kind == Kind.invoices:
        return
    run.not_enforced = session().scalar(_not_enforced(run.id)) or 0
    run.unchanged = counts.get(ItemState.UNCHANGED.value, 0)
    if task.kind == Kind.notice:
        run.notified = counts.get(ItemState.DONE.value, 0)
    else:
        run.cut = counts.get(ItemState.DONE.value, 0)


def _not_enforced(run_id: int) -> Select[int]:
    """How many clients of a run stand on a list that their router does not apply."""
    return select(func.count()).where(RunItem.run_id == run_id, RunItem.reason == Reason.NOT_ENFORCED.value)


def on_lists_applied(router_id: int, lists: Collection[str]) -> None:
    """Receiver: a router's rules apply lists that they did not before. Whoever still stands on one of them by what a
    run did is cut, or shown the notice, from now on."""
    kinds = {Kind.notice.value if name == "notice" else Kind.cut.value for name in lists}
    here = select(Access.client_id).where(
        Access.applied_router_id == router_id, or_(Access.applied_suspended, Access.applied_notice)
    )
    runs = session().scalars(
        select(TaskRun)
        .join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
        .where(TaskRun.not_enforced > 0, PeriodicTask.kind.in_(kinds))
        .order_by(TaskRun.id)
        .with_for_update(of=TaskRun)
    )
    for run in runs.all():
        session().execute(
            update(RunItem)
            .where(RunItem.run_id == run.id, RunItem.reason == Reason.NOT_ENFORCED.value, RunItem.client_id.in_(here))
            .values(reason=Reason.NONE.value, updated_at=clock.now())
        )
        run.not_enforced = session().scalar(_not_enforced(run.id)) or 0


def finish(run: TaskRun) -> None:
    """End a run, or settle one that ended in error: its state follows from its items, the occurrence's from it."""
    recount(run)
    now = clock.now()
    run.state = end_state(run.waiting, run.failed, _after_hours(run)).value
    run.lease_until, run.phase = None, ""
    if run.finished_at is None:
        run.finished_at = now
        _follow(run, now)
    run.retry_at = _retry_at(run, now)
    if run.state == RunState.SUCCESS:
        run.completed_at = now
    session().flush()
    _show_on_task(run)
    if run.state == RunState.SUCCESS:
        for earlier in session().scalars(
            select(TaskRun).where(TaskRun.taken_by == run.id, TaskRun.state.in_(_UNSETTLED))
        ):
            earlier.state, earlier.completed_at = RunState.SUCCESS.value, now
            session().flush()
            _show_on_task(earlier)


def _follow(run: TaskRun, now: datetime) -> None:
    """Tasks of one owner run one after the other: where the next one is due already, the tick claims it at once."""
    if run.trigger == "manual":  # nobody waited for it
        return
    mine = select(PeriodicTask.schedule_id).where(PeriodicTask.id == run.task_id).scalar_subquery()
    next_one = select(PeriodicTask.id).where(PeriodicTask.schedule_id == mine, PeriodicTask.next_at <= now).limit(1)
    if session().scalar(next_one) is not None:
        after_commit(queueing.enqueue_tick)


def _after_hours(run: TaskRun) -> int:
    """How many of its clients wait for nothing but the hours in which cuts are allowed."""
    if not run.waiting:
        return 0
    query = select(func.count()).where(
        RunItem.run_id == run.id, RunItem.state == _WAITING, RunItem.reason == Reason.AFTER_HOURS.value
    )
    return session().scalar(query) or 0


def _retry_at(run: TaskRun, now: datetime) -> datetime | None:
    """When the clients that could not be written are tried again; what a router refuses has pauses of its own."""
    if not run.failed or run.attempts > GIVE_UP_AFTER or not session().scalar(unwritten(run.id).limit(1)):
        return None
    return now + RETRY_PAUSES[min(run.attempts, len(RETRY_PAUSES)) - 1]


def _show_on_task(run: TaskRun) -> None:
    """The state of a task is that of its scheduled occurrence, which a run by hand of a missed month may be too."""
    if run.scope == own_scope.OWN:
        own_scope.ended(run)
    task = session().get_one(PeriodicTask, run.task_id)
    if task.state_run_id != run.id:
        return
    tz = schedules.timezone_of(task.schedule)
    # What only waits for its hours has not had its moment yet: nothing went wrong.
    task.state = "pending" if run.state == RunState.HELD else run.state
    task.state_until = None
    if run.state == RunState.SUCCESS:
        task.state_until = calendar.state_until(run.planned_for or run.created_at, tz)


def unwritten(run_id: int) -> Select[int]:
    """Ids of the clients for whom a run could not even write what it wanted."""
    return select(RunItem.client_id).where(
        RunItem.run_id == run_id, RunItem.state == ItemState.FAILED.value, RunItem.reason == Reason.ERROR.value
    )


def on_router_synced(router_id: int, report: "SyncReport") -> None:
    """Receiver: settle the items that waited for this router with what it answered, then the runs they belong to."""
    queries = _waiting_runs(router_id), _runs_of_moved(router_id)
    found = {run_id for query in queries for run_id in session().scalars(query.with_only_columns(TaskRun.id))}
    locks.hold_of_runs(found)  # before the runs
    own, moved = (_held(query, found) for query in queries)
    waiting = [*own, *(run for run in moved if run not in own)]
    if not waiting:
        return
    # All at once, and held until the end: the session forgets rows that nobody holds.
    tasks = {task.id: task for task in session().scalars(select(PeriodicTask).where(_task_of(waiting)))}
    unsaid: set[int] = set()
    if report.reached:
        unsaid = _settle_items({run.id: tasks[run.task_id].kind for run in waiting}, report)
    for run in waiting:
        if run.state == RunState.RUNNING:
            if run not in own or run.phase != "syncing" or run.sync_order is None or report.order < run.sync_order:
                continue  # its own router's to end, still writing, or this synchronisation began before its orders
            if run.id in unsaid:
                _fail_unanswered(run, router_id, report)
        if report.reached:
            _say_after_hours(run, report)
        else:
            _say_router_off(run, router_id, report)
        finish(run)
        if not report.reached and run.waiting:
            access.note_waiting(router_id, run.task_id, run.id, _waiting_on(run, router_id))


def _task_of(runs: Iterable[TaskRun]) -> ColumnElement[bool]:
    return PeriodicTask.id.in_({run.task_id for run in runs})


def rehearse() -> None:
    """Put to the database what follows from a router's answer, for no run. See queue.rehearsal."""
    for query in (_waiting_runs(NOBODY), _runs_of_moved(NOBODY)):
        session().scalars(query.with_only_columns(TaskRun.id)).all()
        _held(query, [NOBODY])
    session().scalars(select(PeriodicTask).where(_task_of([]))).all()
    _settle_items({NOBODY: Kind.cut.value}, access.SyncReport(0, True))


def _held(query: Select[TaskRun], run_ids: Collection[int]) -> list[TaskRun]:
    """Those of these runs that are still so once they are locked."""
    if not run_ids:
        return []
    return list(session().scalars(query.where(TaskRun.id.in_(run_ids)).order_by(TaskRun.id).with_for_update()))


def _runs_of_moved(router_id: int) -> Select[TaskRun]:
    """Runs with items that wait for clients who are on this router by now, whichever router they were on then.

    Looked for from the clients of the router whom an answer of it can concern: what waits for all routers may be much.
    """
    here = select(Access.client_id).where(access.concerned(router_id))
    items = select(RunItem.run_id).where(RunItem.state == _WAITING, RunItem.client_id.in_(here))
    return select(TaskRun).where(TaskRun.id.in_(items), TaskRun.state.in_([RunState.RUNNING.value, *_UNSETTLED]))


def _waiting_on(run: TaskRun, router_id: int) -> Select[int]:
    """Ids of the clients of ``run`` who wait and are on this router."""
    return (
        select(RunItem.client_id)
        .join(Client, Client.id == RunItem.client_id)
        .where(RunItem.run_id == run.id, RunItem.state == _WAITING, Client.router_id == router_id)
    )


def _waiting_runs(router_id: int) -> Select[TaskRun]:
    """Runs of the tasks of this router that wait for it: still running, or ended in error with items open."""
    open_items = (
        select(RunItem.run_id)
        .where(RunItem.run_id == TaskRun.id, RunItem.state.in_([ItemState.WAITING.value, ItemState.FAILED.value]))
        .exists()
    )
    owner = (
        select(PeriodicTask.id)
        .join(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
        .where(Zone.router_id == router_id)
        .union(
            select(PeriodicTask.id)
            .join(Client, Client.schedule_id == PeriodicTask.schedule_id)
            .where(Client.router_id == router_id, Client.schedule_id.is_not(None))
        )
    )
    query = select(TaskRun).where(
        TaskRun.task_id.in_(owner),
        ((TaskRun.state == RunState.RUNNING.value) & TaskRun.sync_order.is_not(None))
        | (TaskRun.state.in_(_UNSETTLED) & TaskRun.taken_by.is_(None) & open_items),
    )
    kinds = select(PeriodicTask.id).where(PeriodicTask.kind != Kind.invoices.value)
    return query.where(TaskRun.task_id.in_(kinds))


def _settle_items(kinds: Mapping[int, str], report: "SyncReport") -> set[int]:
    """Give each open item the outcome of its client: written, read as wanted, refused, or no longer wanted. ``kinds``:
    of what kind each run is, by its id. Returns the runs of which an open item's client has no outcome."""
    now = clock.now()
    still_open = select(RunItem.run_id, RunItem.client_id).where(
        RunItem.run_id.in_(kinds), RunItem.state.in_([ItemState.WAITING.value, ItemState.FAILED.value])
    )
    rows = session().connection().execute(still_open).all()  # without the session's care for each row
    changes: list[dict[str, Any]] = []
    unsaid: set[int] = set()
    for run_id, client_id in rows:
        outcome = report.outcomes.get(client_id)
        if outcome is None and client_id in report.held and kinds[run_id] != Kind.cut:
            outcome = access.Outcome("unchanged", "cut")  # its cut took the notice's place
        if outcome is None:
            unsaid.add(run_id)
            continue
        state, reason = _item_of(kinds[run_id], outcome)
        changes.append(
            {
                "run_id": run_id,
                "client_id": client_id,
                "state": state,
                "reason": reason,
                "detail": outcome.detail or "",
                "address": outcome.address,
            }
        )
    paid = Reason.PAID.value
    for kind in sorted(set(kinds.values())):
        of_kind = [change for change in changes if change["reason"] == paid and kinds[change["run_id"]] == kind]
        why = why_not({change["client_id"] for change in of_kind}, kind)
        for change in of_kind:
            change["reason"] = why[change["client_id"]].value
    update_each(RunItem, changes, by=_KEY, updated_at=now)
    return unsaid


def _item_of(kind: str, outcome: access.Outcome) -> tuple[str, str]:
    """State and reason of an item by its run's kind and its client's outcome."""
    state, reason = _state_of(kind, outcome.wanted, outcome.state, outcome.detail, outcome.foreign)
    settled = state in (ItemState.DONE.value, ItemState.UNCHANGED.value)
    return state, reason if outcome.enforced or not settled else Reason.NOT_ENFORCED.value


@lru_cache(maxsize=256)
def _state_of(kind: str, wanted: str, how: str, detail: str, foreign: bool) -> tuple[str, str]:
    """The same for nearly all of a run's clients, so it is kept."""
    if wanted != ("cut" if kind == Kind.cut else "notice"):
        state, reason = ItemState.SUPERSEDED, Reason.ALREADY_CUT if wanted == "cut" else Reason.PAID
    elif how == "failed":
        state, reason = ItemState.FAILED, Reason.NO_ADDRESS if detail == "no_address" else Reason.ROUTER_REFUSED
    else:
        state = ItemState.DONE if how == "written" else ItemState.UNCHANGED
        reason = Reason.FOREIGN if foreign else Reason.NONE
    return state.value, reason.value


def why_not(client_ids: Collection[int], kind: str) -> dict[int, Reason]:
    """Why nothing is wanted any more for clients whose cut or notice (``kind``) had been ordered: by the rules of that
    kind, on the local date of each client's schedule."""
    if not client_ids:
        return {}
    today = invoices.local_today(clock.now())
    for_good = and_(Client.no_cut, Client.no_cut_until.is_(None))
    spared = or_(for_good, and_(Client.no_cut_until.is_not(None), Client.no_cut_until >= today))
    reason = case(
        (Client.cancelled_at.is_not(None), Reason.CANCELLED.value),
        (invoices.balance_of(Client.id) == 0, Reason.PAID.value),
        (invoices.promised(Client.id, today), Reason.PROMISE.value),
        (Client.free, Reason.FREE.value),
        (spared if kind == Kind.cut else Client.no_notice, Reason.EXCLUDED.value),
        else_=Reason.PAID.value,
    )
    query = (
        select(Client.id, reason)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
    )
    found: dict[int, Reason] = {}
    ids = sorted(client_ids)
    for at in range(0, len(ids), CHUNK):
        rows = session().execute(query.where(Client.id.in_(ids[at : at + CHUNK])))
        found |= {client_id: Reason(why) for client_id, why in rows}
    return found


def _fail_unanswered(run: TaskRun, router_id: int, report: "SyncReport") -> None:
    """A complete synchronisation that says nothing of a client of the router no longer wants anything for it."""
    waiting = set(session().scalars(_waiting_on(run, router_id))) - set(report.held)
    kind = session().get_one(PeriodicTask, run.task_id).kind
    changes = [
        {
            "run_id": run.id,
            "client_id": client_id,
            "state": ItemState.SUPERSEDED.value,
            "reason": reason.value,
        }
        for client_id, reason in why_not(waiting, kind).items()
    ]
    update_each(RunItem, changes, by=_KEY, updated_at=clock.now())


def _say_after_hours(run: TaskRun, report: "SyncReport") -> None:
    """Those whose cut waits for the hours in which cuts are allowed: until when."""
    ids, changes = sorted(report.held), []
    for at in range(0, len(ids), CHUNK):
        some = RunItem.client_id.in_(ids[at : at + CHUNK])
        query = select(RunItem.client_id).where(RunItem.run_id == run.id, RunItem.state == _WAITING, some)
        changes += [
            {
                "run_id": run.id,
                "client_id": client_id,
                "reason": Reason.AFTER_HOURS.value,
                "detail": report.held[client_id].isoformat(),
            }
            for client_id in session().scalars(query)
        ]
    update_each(RunItem, changes, by=_KEY, updated_at=clock.now())


def _say_router_off(run: TaskRun, router_id: int, report: "SyncReport") -> None:
    run.error = report.error
    session().execute(
        update(RunItem)
        .where(RunItem.run_id == run.id, RunItem.client_id.in_(_waiting_on(run, router_id)))
        .values(reason=Reason.ROUTER_OFF.value, detail=report.error, updated_at=clock.now())
    )
