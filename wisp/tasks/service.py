"""Use cases of periodic tasks: order a run, simulate one, and the queries behind the pages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, or_, select
from sqlalchemy.orm import aliased

from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import Rows, after_commit, insert_into, session
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers.models import Router, Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, Occurrence, PeriodicTask
from wisp.tasks import locks, own_scope, planning, queueing
from wisp.tasks.domain import ACTION_OF, FOLLOWUP, NOTHING_TO_DO, OPEN_RUNS, STANDING, Action, RunState
from wisp.tasks.models import PlanItem, RunItem, TaskPlan, TaskRun


def find(task_id: int, scope: Scope = EVERYTHING) -> PeriodicTask:
    """The task with that id inside ``scope``. Refused("tasks.unknown")."""
    task = session().get(PeriodicTask, task_id)
    if task is None or task.archived_at is not None:
        raise Refused("tasks.unknown", id=task_id)
    zone_id, _, _ = planning.owner_of(task.schedule_id)
    if not scope.allows(zone_id):
        raise Refused("tasks.unknown", id=task_id)
    return task


def manual_months(task: PeriodicTask) -> list[calendar.ManualMonth]:
    """The months a run by hand may bill: the current one first, missed ones of 60 days, the next if it is near."""
    missed = (
        session()
        .scalars(select(Occurrence.month).where(Occurrence.task_id == task.id, Occurrence.state != "claimed"))
        .all()
    )
    return calendar.manual_months(clock.today(schedules.timezone_of(task.schedule)), schedules.when_of(task), missed)


def month_for(task: PeriodicTask, month: date | None) -> date:
    """The month of a run by hand. Refused("tasks.month") for one that may not be billed."""
    months = [m.month for m in manual_months(task)]
    if month is None:
        return months[0]
    if month not in months:
        raise Refused("tasks.month", month=calendar.format_month(month))
    return month


def order(
    task: PeriodicTask,
    *,
    month: date | None = None,
    options: planning.Options | None = None,
    plan_id: int | None = None,
    token: str | None = None,
) -> TaskRun:
    """ "Aplicar ahora": a queued run by hand, enqueued after the commit.

    Where the task has an open run, that one is the answer; the same ``token`` (a form sent twice) gives the same run.
    """
    chosen, options = month_for(task, month), options or planning.Options()
    scope = _scope_of(task, options)
    if plan_id is not None:
        _check_plan(plan_id, task, chosen, options)
    if token:
        known = session().scalars(select(TaskRun).where(TaskRun.token == token)).one_or_none()
        if known is not None:
            return known
    locks.hold_owner(task, bool(scope))
    new_id = session().scalar(
        insert_into(TaskRun)
        .values(
            task_id=task.id,
            month=chosen,
            trigger="manual",
            scope=scope,
            state=RunState.QUEUED.value,
            token=token or None,
            options=options.as_json(),
            plan_id=plan_id,
            actor=audit.actor().name,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing()
        .returning(TaskRun.id)
    )
    if new_id is None:
        return _open_run(task, token, scope)
    own_scope.settle(task, chosen, new_id, own=bool(scope))
    audit.record("task.apply", f"task:{task.id}", None, {"run": new_id, "month": calendar.format_month(chosen)})
    after_commit(lambda: queueing.enqueue_run(new_id))
    return session().get_one(TaskRun, new_id)


def _scope_of(task: PeriodicTask, options: planning.Options) -> str:
    """TaskRun.scope of a run with these options. Refused("tasks.own_scope") where the task cannot have it."""
    if not options.own:
        return ""
    own_scope.check(task)
    return own_scope.OWN


def _open_run(task: PeriodicTask, token: str | None, scope: str) -> TaskRun:
    found = session().scalars(
        select(TaskRun)
        .where(
            or_(TaskRun.token == token if token else literal(False),
                (TaskRun.task_id == task.id) & TaskRun.state.in_([s.value for s in OPEN_RUNS]))
        )
        .order_by(TaskRun.id.desc())
        .limit(1)
    ).one_or_none()  # fmt: skip
    if found is None:  # it ended between the insert and this look
        raise Refused("tasks.try_again")
    if (
        found.scope != scope or found.trigger == FOLLOWUP
    ):  # it acts on others: to answer with it would say that this order is under way
        raise Refused("tasks.other_run", run=found.id)
    return found


def _check_plan(plan_id: int, task: PeriodicTask, month: date, options: planning.Options) -> None:
    plan = session().get(TaskPlan, plan_id)
    if plan is None or plan.task_id != task.id or plan.month != month:
        raise Refused("tasks.plan", plan=plan_id)
    if planning.Options.from_json(plan.options).own != options.own:
        raise Refused("tasks.plan", plan=plan_id)


def is_new() -> ColumnElement[bool]:
    """Over PlanItem: the run would bring about something; else it reads what stands, or leaves the client out."""
    return (PlanItem.action != Action.NONE.value) & PlanItem.reason.not_in([reason.value for reason in STANDING])


@dataclass(frozen=True)
class Totals:
    """What a simulation comes to: clients acted on, their amount, e-mails; those who have it already or wait for their
    router; left out by a rule; nothing to do."""

    clients: int
    amount: int
    mails: int
    without_email: int
    standing: int
    left_out: int
    nothing: int


def simulate(task: PeriodicTask, month: date | None = None, options: planning.Options | None = None) -> TaskPlan:
    """ "Simular": what a run would do now, kept as rows for a day so that it can be handed over as the plan."""
    chosen, options = month_for(task, month), options or planning.Options()
    _scope_of(task, options)
    spec = planning.spec_of(task, chosen, options=options)
    rows = planning.candidates(spec)
    plan = TaskPlan(
        task_id=task.id,
        month=chosen,
        options=options.as_json(),
        actor=audit.actor().name,
        created_at=clock.now(),
    )
    session().add(plan)
    session().flush()
    c = rows.c
    columns = ["plan_id", "client_id", "action", "reason", "detail", "amount", "address", "without_email"]
    query = select(
        literal(plan.id), c.client_id, c.action, c.reason, c.detail, c.amount, c.address, c.email == ""
    ).where(c.reason.not_in([r.value for r in NOTHING_TO_DO]))
    session().execute(insert_into(PlanItem).from_select(columns, query))
    everybody = session().scalar(select(func.count()).select_from(Client).where(spec.clients())) or 0
    listed = session().scalar(select(func.count()).select_from(PlanItem).where(PlanItem.plan_id == plan.id)) or 0
    plan.nothing = everybody - listed
    session().flush()
    return plan


def totals(plan: TaskPlan) -> Totals:
    """The sums of a simulation."""
    acts, out = is_new(), PlanItem.action == Action.NONE.value
    row = (
        session()
        .execute(
            select(
                func.count().filter(acts),
                func.coalesce(func.sum(PlanItem.amount).filter(acts), 0),
                func.count().filter(PlanItem.action == Action.INVOICE.value, PlanItem.without_email.is_(False)),
                func.count().filter(acts, PlanItem.without_email),
                func.count().filter(~acts, ~out),
                func.count().filter(out),
            ).where(PlanItem.plan_id == plan.id)
        )
        .one()
    )
    return Totals(*row, plan.nothing)


def reasons(plan: TaskPlan) -> list[tuple[str, int]]:
    """(reason, clients) of those left out of a simulation, the most frequent first."""
    rows = session().execute(
        select(PlanItem.reason, func.count())
        .where(PlanItem.plan_id == plan.id, PlanItem.action == Action.NONE.value)
        .group_by(PlanItem.reason)
        .order_by(func.count().desc())
    )
    return [(row[0], row[1]) for row in rows]


def plan_items(plan_id: int, only: str = "") -> Rows:
    """(PlanItem, Client) of a simulation: all, or ``only`` "acting" or "left_out"."""
    query: Rows = (
        select(PlanItem, Client).join(Client, Client.id == PlanItem.client_id).where(PlanItem.plan_id == plan_id)
    )
    if only == "acting":
        query = query.where(is_new())
    if only == "left_out":
        query = query.where(PlanItem.action == Action.NONE.value)
    return query.order_by(case((PlanItem.action == Action.NONE.value, 1), else_=0), Client.name, Client.id)


def shown_state(now: datetime) -> ColumnElement[str]:
    """The state a person sees: success counts until the local month ends; switched off is "inactive"."""
    return case(
        (PeriodicTask.enabled.is_(False), "inactive"),
        ((PeriodicTask.state == "success") & (PeriodicTask.state_until <= now), "pending"),
        else_=PeriodicTask.state,
    )


def occurrence_state(now: datetime) -> ColumnElement[str]:
    """The state of the scheduled occurrence, whatever the switch says."""
    return case(
        ((PeriodicTask.state == "success") & (PeriodicTask.state_until <= now), "pending"), else_=PeriodicTask.state
    )


def times_applied(now: datetime) -> ColumnElement[int]:
    """How often the task was applied in the present period."""
    return case((PeriodicTask.applied_until > now, PeriodicTask.applied), else_=0)


def listing(
    scope: Scope = EVERYTHING,
    *,
    owner: str = "zone",
    text: str = "",
    zone_id: int | None = None,
    kind: str = "",
    state: str = "",
    enabled: bool | None = None,
) -> Rows:
    """Rows of the tasks page: task, zone, client (own tasks), router, last run, the open run, state, times.

    ``owner``: "zone" or "client". Columns: PeriodicTask, BillingSchedule, Zone, Client|None, Router, last TaskRun|None,
    open TaskRun|None, state (as shown), occurrence (whatever the switch says), times.
    """
    now = clock.now()
    last, working = aliased(TaskRun, name="last_run"), aliased(TaskRun, name="open_run")
    query: Rows = select(
        PeriodicTask, BillingSchedule, Zone, *([Client] if owner == "client" else []), Router, last, working,
        shown_state(now).label("state"), occurrence_state(now).label("occurrence"), times_applied(now).label("times"),
    ).join_from(PeriodicTask, BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)  # fmt: skip
    if owner == "client":
        query = query.join(Client, (Client.schedule_id == BillingSchedule.id) & Client.own_billing)
        query = query.join(Zone, Zone.id == Client.zone_id)
    else:
        query = query.join(Zone, Zone.schedule_id == BillingSchedule.id)
    query = (
        query.join(Router, Router.id == Zone.router_id)
        .outerjoin(last, last.id == PeriodicTask.last_run_id)
        .outerjoin(working, (working.task_id == PeriodicTask.id) & working.state.in_([s.value for s in OPEN_RUNS]))
        .where(PeriodicTask.archived_at.is_(None), Router.archived_at.is_(None))
    )
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    if text:
        columns = [Zone.name, Router.name, *([Client.name, Client.code] if owner == "client" else [])]
        names = [column.icontains(text.strip(), autoescape=True) for column in columns]
        query = query.where(or_(*names))
    if zone_id is not None:
        query = query.where(Zone.id == zone_id)
    if kind:
        query = query.where(PeriodicTask.kind == kind)
    if state:
        query = query.where(shown_state(now) == state)
    if enabled is not None:
        query = query.where(PeriodicTask.enabled.is_(enabled))
    return query


def find_run(run_id: int, scope: Scope = EVERYTHING) -> TaskRun:
    """The run with that id inside ``scope``. Refused("runs.unknown")."""
    run = session().get(TaskRun, run_id)
    if run is None:
        raise Refused("runs.unknown", id=run_id)
    task = session().get_one(PeriodicTask, run.task_id)
    if not scope.allows(planning.owner_of(task.schedule_id)[0]):
        raise Refused("runs.unknown", id=run_id)
    return run


def runs(scope: Scope = EVERYTHING, task_id: int | None = None) -> Rows:
    """(TaskRun, PeriodicTask, Zone, Client|None) for lists, newest first."""
    query: Rows = (
        select(TaskRun, PeriodicTask, Zone, Client)
        .join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
        .outerjoin(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .join(Zone, or_(Zone.schedule_id == PeriodicTask.schedule_id, Zone.id == Client.zone_id))
        .order_by(TaskRun.id.desc())
    )
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    if task_id is not None:
        query = query.where(TaskRun.task_id == task_id)
    return query


def run_items(run_id: int, *, text: str = "", state: str = "") -> Rows:
    """(RunItem, Client) of a run's ledger: what waits and failed first."""
    query: Rows = select(RunItem, Client).join(Client, Client.id == RunItem.client_id).where(RunItem.run_id == run_id)
    if state:
        query = query.where(RunItem.state == state)
    if text:
        word = text.strip()
        begins = [column.istartswith(word, autoescape=True) for column in (Client.code, RunItem.address)]
        query = query.where(or_(*begins, Client.name.icontains(word, autoescape=True)))
    return query


def item_counts(run_id: int) -> dict[str, int]:
    """How many items of a run stand in each state."""
    rows = session().execute(
        select(RunItem.state, func.count()).where(RunItem.run_id == run_id).group_by(RunItem.state)
    )
    return dict(rows.all())


def upcoming(scope: Scope = EVERYTHING, limit: int = 8) -> Sequence[Any]:
    """(PeriodicTask, Zone, Client|None) that run next."""
    query = (
        select(PeriodicTask, Zone, Client)
        .outerjoin(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .join(Zone, or_(Zone.schedule_id == PeriodicTask.schedule_id, Zone.id == Client.zone_id))
        .where(PeriodicTask.next_at.is_not(None))
        .order_by(PeriodicTask.next_at, PeriodicTask.id)
        .limit(limit)
    )
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    return session().execute(query).all()


def troubled(scope: Scope = EVERYTHING, limit: int = 8) -> Sequence[Any]:
    """(TaskRun, PeriodicTask, Zone, Client|None) that ended in error and are not settled, newest first."""
    query = runs(scope).where(TaskRun.state == RunState.ERROR.value, TaskRun.taken_by.is_(None)).limit(limit)
    return session().execute(query).all()


def clients_by_code(codes: Iterable[str]) -> frozenset[int]:
    """Ids of the clients with these codes. Refused("clients.unknown") names the first that there is not."""
    wanted = [code for code in codes if code]
    rows = dict(session().execute(select(Client.code, Client.id).where(Client.code.in_(wanted))).all())
    for code in wanted:
        if code not in rows:
            raise Refused("clients.unknown", client=code)
    return frozenset(rows.values())


KINDS = tuple(Kind)
ACTIONS = ACTION_OF
