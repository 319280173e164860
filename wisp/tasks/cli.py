"""Commands on periodic tasks and their runs: ``flask tasks …``, ``flask runs …``."""

import time
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from wisp.clients import timeline
from wisp.clients.cli import group as clients
from wisp.clients.models import Client
from wisp.clients.service import find as find_client
from wisp.core import queue
from wisp.core.commands import ROW, command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.schedules.models import PeriodicTask
from wisp.tasks import documents, jobs, planning, service
from wisp.tasks import why as reasons
from wisp.tasks.domain import OPEN_RUNS
from wisp.tasks.models import TaskRun

PAUSE, TRIES = 0.5, 7200
"""Between two looks at a run that another process works on, in seconds; and how often, a job's longest time."""

tasks = AppGroup("tasks", help="Periodic tasks: list, simulate, apply, the tick.")
own_option = click.option(
    "--own-billed", is_flag=True, help="A zone's notice or cut: act on its clients with own billing instead."
)
runs = AppGroup("runs", help="Runs of periodic tasks.")


@tasks.command("list")
@click.option("--zone", help="Only the tasks of this zone (its own and its clients').")
@click.option("--client", help="Only the own tasks of the client with this code.")
@json_option
@command
def list_tasks(zone: str | None, client: str | None, as_json: bool) -> None:
    """All tasks, of zones and of clients."""
    zone_id = documents.zone_named(zone) if zone else None
    rows: list[Any] = []
    if not client:
        rows += session().execute(service.listing(owner="zone", zone_id=zone_id).order_by(PeriodicTask.id)).all()
    own = service.listing(owner="client", zone_id=zone_id).order_by(PeriodicTask.id)
    if client:
        own = own.where(Client.id == documents.client_coded(client))
    rows += session().execute(own).all()
    emit([documents.task(row) for row in rows], as_json)


@tasks.command("simulate")
@click.argument("task_id", type=ROW)
@click.option("--month", help="YYYY-MM; the current month where not given.")
@click.option("--include-not-due", is_flag=True, help="A cut: count invoices that are not yet due.")
@own_option
@json_option
@command
def simulate(task_id: int, month: str | None, include_not_due: bool, own_billed: bool, as_json: bool) -> None:
    """What a run of TASK_ID would do now; nothing is changed."""
    with transaction():
        task = service.find(task_id)
        options = planning.Options(include_not_due=include_not_due, own=own_billed)
        plan = service.simulate(task, documents.month_given(month), options)
    emit(documents.plan(plan), as_json)


@tasks.command("apply")
@click.argument("task_id", type=ROW)
@click.option("--plan", type=ROW, help="A simulation's number: who has changed since is set aside.")
@click.option("--hold", multiple=True, help="Code of a client to leave out; may be repeated.")
@click.option("--include-not-due", is_flag=True, help="A cut: count invoices that are not yet due.")
@own_option
@click.option("--month", help="YYYY-MM; the current month where not given.")
@wait_option
@json_option
@command
def apply(
    task_id: int,
    plan: int | None,
    hold: tuple[str, ...],
    include_not_due: bool,
    own_billed: bool,
    month: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Apply TASK_ID now."""
    with queue.inline() if wait else nullcontext(), transaction():
        options = planning.Options(service.clients_by_code(hold), include_not_due, own_billed)
        found = service.order(service.find(task_id), month=documents.month_given(month), options=options, plan_id=plan)
        run_id = found.id
    if wait:
        _see_through(run_id)
    session().rollback()
    _show(run_id, as_json)


def _see_through(run_id: int) -> None:
    """Return when the run is open no more: it may have been ordered before, and wait for a worker that is not there."""
    for _ in range(TRIES):
        session().rollback()
        found = session().get_one(TaskRun, run_id, populate_existing=True)
        if found.state not in OPEN_RUNS:
            return
        with queue.inline():
            jobs.push(found)
        time.sleep(PAUSE)
    fail(f"run {run_id} is still under way in another process")


@tasks.command("tick")
@wait_option
@json_option
@command
def tick(wait: bool, as_json: bool) -> None:
    """Claim what is due, as the scheduler does every minute."""
    with queue.inline() if wait else nullcontext():
        run_ids = jobs.run_tick()
        if wait:  # what the scheduler's other jobs would do in the same minute
            queue.enqueue("access.sweep", key="access.sweep")
            queue.enqueue("outbox.sweep", key="outbox.sweep")
    session().rollback()
    emit([documents.run(session().get_one(TaskRun, i)) for i in run_ids], as_json)


@runs.command("list")
@click.option("--task", type=ROW, help="Only the runs of this task.")
@json_option
@command
def list_runs(task: int | None, as_json: bool) -> None:
    """Runs, newest first."""
    rows = session().execute(service.runs(task_id=task)).all()
    emit([documents.run(row[0]) for row in rows], as_json)


@runs.command("show")
@click.argument("run_id", type=ROW)
@json_option
@command
def show(run_id: int, as_json: bool) -> None:
    """One run with its ledger."""
    _show(run_id, as_json)


def _show(run_id: int, as_json: bool) -> None:
    found = session().get(TaskRun, run_id, populate_existing=True)
    if found is None:
        raise Refused("runs.unknown", id=run_id)
    emit(documents.run(found), as_json)


@clients.command("history")
@click.argument("code")
@json_option
@command
def client_history(code: str, as_json: bool) -> None:
    """Everything that has happened to one client, newest first."""
    emit([documents.event(event) for event in timeline.everything(find_client(code))], as_json)


@clients.command("why")
@click.argument("code")
@click.option("--question", type=click.Choice(reasons.QUESTIONS), help="Default: why it is cut, or why it is not.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="What was so on that day.")
@json_option
@command
def client_why(code: str, question: str | None, day: datetime | None, as_json: bool) -> None:
    """Why a client was cut, still is, was not, or was not invoiced."""
    answer = reasons.why(find_client(code), question or "", day.date() if day else None)
    emit(documents.why(answer), as_json, answer.because)


groups = (tasks, runs)
