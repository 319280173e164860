"""The order in which rows are locked, the same everywhere (docs/adr/0014):

router, periodic tasks (by id), runs (by id), the series, clients (by id), invoices, access (by client), the router's
synchronisation and its provisioning, messages, the mail server.

Whoever needs several takes them in this order, and all rows of one kind at once. So who writes a run holds its tasks
first: this module is for that. SQLite has one writer and needs none of it.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, or_, select

from wisp.core.db import dialect, session
from wisp.schedules.models import PeriodicTask
from wisp.tasks import own_scope
from wisp.tasks.models import TaskRun


def hold_owner(task: own_scope.Owned, own: bool) -> None:
    """Hold all tasks of the task's schedule: late invoices move the notice and the cut. ``own``: for a run over a
    zone's clients with own billing those clients' tasks, too."""
    concerned = PeriodicTask.schedule_id == task.schedule_id
    _hold(or_(concerned, PeriodicTask.id.in_(own_scope.own_tasks(task))) if own else concerned)


def hold_of_run(run_id: int) -> None:
    """Hold the tasks that working off this run may write to."""
    if dialect() != "postgresql":
        return
    query = select(PeriodicTask.schedule_id, PeriodicTask.kind, TaskRun.scope)
    query = query.join(TaskRun, TaskRun.task_id == PeriodicTask.id).where(TaskRun.id == run_id)
    row = session().execute(query).one_or_none()
    if row is not None:
        hold_owner(row, row.scope == own_scope.OWN)


def hold_of_runs(run_ids: Collection[int]) -> None:
    """Hold the tasks that settling these runs, and those that they took over, may write to."""
    of_runs = select(TaskRun.task_id).where(or_(TaskRun.id.in_(run_ids), TaskRun.taken_by.in_(run_ids)))
    _hold(or_(PeriodicTask.id.in_(of_runs), PeriodicTask.state_run_id.in_(run_ids)))


def _hold(concerned: ColumnElement[bool]) -> None:
    if dialect() == "postgresql":
        rows = select(PeriodicTask).where(concerned).order_by(PeriodicTask.id).with_for_update()
        session().scalars(rows.execution_options(populate_existing=True)).all()
