"""Tasks, runs and simulations as plain documents: what the command line answers with --json."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from wisp.access import hours
from wisp.access.rules import verdicts
from wisp.clients.models import Client
from wisp.clients.timeline import Event
from wisp.core import money
from wisp.core.db import session
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import planning, service
from wisp.tasks.domain import STANDING
from wisp.tasks.models import TaskPlan, TaskRun
from wisp.tasks.why import MONEY, Why

COUNTS = (
    "invoiced",
    "notified",
    "cut",
    "unchanged",
    "waiting",
    "failed",
    "not_enforced",
    "skipped",
    "mails",
    "without_email",
)


def _moment(at: datetime | None, timezone: Any = None) -> str | None:
    return None if at is None else at.astimezone(timezone or settings.timezone()).isoformat(timespec="seconds")


def _amount(minor: int) -> str:
    return money.plain(minor, settings.company().currency)


def result_of(kind: str, run: TaskRun | None) -> str | None:
    """One line on the latest run: its state and what it counted."""
    if run is None:
        return None
    acted = {Kind.invoices: "invoiced", Kind.notice: "notified", Kind.cut: "cut"}[Kind(kind)]
    shown = [(acted, getattr(run, acted)), ("unchanged", run.unchanged)]
    more = ("waiting", "failed", "not_enforced", "skipped")
    shown += [(name, getattr(run, name)) for name in more if getattr(run, name)]
    return f"{run.state}: " + ", ".join(f"{count} {name}" for name, count in shown)


def task(row: Any) -> dict[str, Any]:
    """A row of ``service.listing`` as a document."""
    found: PeriodicTask = row.PeriodicTask
    client: Client | None = getattr(row, "Client", None)
    tz = schedules.timezone_of(row.BillingSchedule)
    return {
        "id": found.id,
        "kind": found.kind,
        "owner": "client" if client is not None else "zone",
        "zone": row.Zone.name,
        "router": row.Router.name,
        "client": client.code if client is not None else None,
        "enabled": found.enabled,
        "day": found.day,
        "time": f"{found.minute // 60:02d}:{found.minute % 60:02d}",
        "next_run": _moment(found.next_at, tz),
        "next_month": calendar.format_month(found.next_month),
        "state": row.occurrence,
        "result": result_of(found.kind, row.last_run),
        "last_run": _moment(found.last_applied_at, tz),
        "last_run_id": found.last_run_id,
        "times_applied": row.times,
        "times_applied_ever": found.applied_ever,
    }


def run(found: TaskRun, items: bool = True) -> dict[str, Any]:
    """A run with its counts and, where asked, its items."""
    document: dict[str, Any] = {
        "id": found.id,
        "task": found.task_id,
        "month": calendar.format_month(found.month),
        "trigger": found.trigger,
        "scope": found.scope or "task",
        "state": found.state,
        **{name: getattr(found, name) for name in COUNTS},
        "amount": _amount(found.amount),
        "planned_for": _moment(found.planned_for),
        "created": _moment(found.created_at),
        "started": _moment(found.started_at),
        "finished": _moment(found.finished_at),
        "completed": _moment(found.completed_at),
        "actor": found.actor,
    }
    if items:
        document["items"] = [
            {
                "client": client.code,
                "task": item.task_id or found.task_id,
                "state": item.state,
                "reason": item.reason,
                "detail": item.detail,
                "amount": _amount(item.amount),
                "address": item.address,
            }
            for item, client in session().execute(service.run_items(found.id).order_by(Client.code)).all()
        ]
    return document


def plan(found: TaskPlan) -> dict[str, Any]:
    """A simulation with its items and totals."""
    totals = service.totals(found)
    task = session().get_one(PeriodicTask, found.task_id)
    tz = schedules.timezone_of(task.schedule)
    opens = hours.opens_at(tz.key) if task.kind == Kind.cut else None
    rows = session().execute(service.plan_items(found.id)).all()
    return {
        "plan": str(found.id),
        "task": found.task_id,
        "month": calendar.format_month(found.month),
        "not_before": _moment(opens, tz),
        "applied": _applied(task),
        "items": [
            {
                "client": client.code,
                "action": "none" if item.reason in STANDING else item.action,
                "reason": item.reason,
                "detail": item.detail,
                "amount": _amount(item.amount),
                "address": item.address,
            }
            for item, client in rows
        ],
        "totals": {
            "clients": totals.clients,
            "amount": _amount(totals.amount),
            "mails": totals.mails,
            "without_email": totals.without_email,
            "standing": totals.standing,
            "left_out": totals.left_out,
            "nothing_to_do": totals.nothing,
        },
    }


def _applied(task: PeriodicTask) -> bool | None:
    """Whether the rules of the task's router apply its list; None where nobody has looked, or where it has none."""
    if task.kind == Kind.invoices:
        return None
    return verdicts.of_router(planning.owner_of(task.schedule_id)[1]).applies(task.kind)


def why(found: Why) -> dict[str, Any]:
    """Why something was done to a client, or not."""
    figures = {
        name: _amount(value) if name in MONEY else value.isoformat() if isinstance(value, date) else value
        for name, value in found.figures.items()
    }
    return {
        "question": found.question,
        "day": found.day.isoformat(),
        "state": found.state,
        "suspension": found.suspension or None,
        "because": found.because,
        "rule": found.rule,
        "figures": figures,
        "actor": found.actor or None,
        "run": found.run,
        "invoice": found.invoice or None,
        "amount": None if found.amount is None else _amount(found.amount),
        "router_answer": found.router_answer or None,
        "lifted_by": found.lifted_by or None,
    }


def event(found: Event) -> dict[str, Any]:
    """A line of a client's history."""
    return {
        "at": _moment(found.at),
        "actor": found.actor,
        "kind": found.kind,
        "text": found.said.text,
        "amount": None if found.amount is None else _amount(found.amount),
        "run": found.run,
        "invoice": found.invoice,
        "payment": found.payment,
    }


def zone_named(name: str) -> int:
    """The id of the zone with that name (Refused where none or two match)."""
    from wisp.routers import service as routers

    return routers.find_zone(name).id


def client_coded(code: str) -> int:
    """The id of the client with that code (Refused where there is none)."""
    found = session().scalar(select(Client.id).where(Client.code == code))
    if found is None:
        service.clients_by_code([code])
    return int(found or 0)


def month_given(text: str | None) -> date | None:
    """ "2026-11" as a month, None where not given. Refused("tasks.month") for anything else."""
    from wisp.core.errors import Refused

    if text is None:
        return None
    try:
        return calendar.parse_month(text)
    except ValueError:
        raise Refused("tasks.month", month=text) from None
