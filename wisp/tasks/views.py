"""The pages of periodic tasks: the list, one task, one run, the ledger of one client."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from wisp.access import hours as cut_hours
from wisp.clients import timeline
from wisp.clients.models import Client
from wisp.clients.service import find as find_client
from wisp.core import clock
from wisp.core.db import read_parts, session
from wisp.core.errors import Refused
from wisp.core.money import plain
from wisp.core.permissions import Permission
from wisp.routers import service as routers
from wisp.routers.models import Router, Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import planning, presenters, queries, sentences, service, texts
from wisp.tasks import why as reasons
from wisp.tasks.domain import UNSETTLED_RUNS, ItemState
from wisp.tasks.hooks import Look
from wisp.tasks.models import RunItem, TaskRun
from wisp.web import can, render, requires, scope
from wisp.web.requests import row_number
from wisp.web.tables import Listing, csv_response, search_text

bp = Blueprint("tasks", __name__)
VIEW = Permission.PERIODIC_TASKS_VIEW
OWNERS = ("zone", "client")
CSV_LIMIT = 200_000


# The list --------------------------------------------------------------------------------------------


def _filters() -> dict[str, Any]:
    """The filters of the address, as service.listing takes them; what is not known counts as not given."""
    asked = request.args
    active = {"yes": True, "no": False}.get(asked.get("active", ""))
    return {
        "owner": asked.get("owner") if asked.get("owner") in OWNERS else "zone",
        "text": search_text(),
        "zone_id": row_number(asked.get("zone")),
        "kind": asked.get("kind") if asked.get("kind") in set(Kind) else "",
        "state": asked.get("state") if asked.get("state") in texts.STATES else "",
        "enabled": active,
    }


def _sorts(owner: str) -> dict[str, Any]:
    now = clock.now()
    by_name = [Zone.name, PeriodicTask.schedule_id] if owner == "zone" else [Client.name_key, Client.id]
    return {
        "name": [*by_name, PeriodicTask.id],
        "next": PeriodicTask.next_at,
        "state": service.shown_state(now),
        "last": PeriodicTask.last_applied_at,
        "times": service.times_applied(now),
        "zone": [Zone.name, *by_name],
    }


@bp.get("/tareas-periodicas/")
@requires(VIEW)
def index() -> Response:
    """One row per task, by zone or by client. The number of statements does not grow with the rows."""
    chosen = _filters()
    owner = chosen["owner"]
    listing = Listing(queries.bare(service.listing(scope(), **chosen)), _sorts(owner), default="name")
    rows = presenters.task_rows(queries.rows_of([task.id for task in listing.rows], owner))
    filtered = any((chosen["text"], chosen["zone_id"], chosen["kind"], chosen["state"], chosen["enabled"] is not None))
    return render(
        "tasks/index.html",
        partial="tasks/_table.html",
        listing=listing,
        rows=rows,
        chosen=chosen,
        owner=owner,
        filtered=filtered,
        zones=[(found.id, f"{found.name} · {found.router}") for found in routers.zone_names(scope())],
        kinds=texts.KINDS,
        states=texts.STATES,
    )


@bp.get("/tareas-periodicas/tareas.csv")
@requires(VIEW)
def export() -> Response:
    """The list as filtered, all of it."""
    chosen = _filters()
    query = service.listing(scope(), **chosen).order_by(*_sorts(chosen["owner"])["name"]).limit(CSV_LIMIT)
    rows = map(presenters.task_row, read_parts(query))
    header = [
        _("Task"), _("Zone"), _("Client"), _("Next run"), _("State"), _("Result"), _("Last applied"),
        _("Times applied"), _("Active"),
    ]  # fmt: skip
    lines = (
        [
            row.kind, row.zone.name, row.client.code if row.client else "",
            _iso(row.task.next_at, row.timezone), row.state_text, " · ".join(row.result),
            _iso(row.task.last_applied_at, row.timezone), row.times, _("Yes") if row.task.enabled else _("No"),
        ]
        for row in rows
    )  # fmt: skip
    return csv_response("tareas-periodicas.csv", header, lines)


def _iso(moment: Any, timezone: Any) -> str:
    return moment.astimezone(timezone).isoformat(sep=" ", timespec="minutes") if moment else ""


def row_of(task_id: int) -> presenters.TaskRow:
    """One task's row inside the person's zones; 404 where there is none."""
    try:
        found, _owner = queries.row_of(task_id, scope())
    except Refused:
        abort(404)
    return presenters.task_rows([found])[0]


@bp.get("/tareas-periodicas/<int:task_id>/fila")
@requires(VIEW)
def row(task_id: int) -> Response:
    """The row of one task: it asks for itself while a run is open, and stops by its own shape."""
    return render("tasks/task.html", partial="tasks/_row.html", **_task_page(row_of(task_id)))


# One task --------------------------------------------------------------------------------------------


@bp.get("/tareas-periodicas/<int:task_id>/")
@requires(VIEW)
def detail(task_id: int) -> Response:
    """One task: its schedule, its next twelve occurrences, its runs."""
    return render("tasks/task.html", partial="tasks/_runs.html", **_task_page(row_of(task_id)))


def _task_page(found: presenters.TaskRow) -> dict[str, Any]:
    task = found.task
    upcoming = []
    if task.next_at is not None:
        upcoming = calendar.upcoming(task.next_month, schedules.when_of(task), found.timezone, 12)
        upcoming[0] = task.next_at
    return {
        "row": found,
        "upcoming": upcoming,
        "listing": Listing(queries.runs_of(task.id), {"started": TaskRun.id}, default="-started", per_page=20),
        "moment_text": schedules.format_moment(task.day, task.minute),
        "p": presenters,
        "texts": texts,
    }


# One run ---------------------------------------------------------------------------------------------


def _run_page(run_id: int) -> dict[str, Any]:
    try:
        run = service.find_run(run_id, scope())
    except Refused:
        abort(404)
    task = session().get_one(PeriodicTask, run.task_id)
    zone_id, router_id, client_id = planning.owner_of(task.schedule_id)
    router = session().get_one(Router, router_id)
    return {
        "run": run,
        "task": task,
        "kind": task.kind,
        "zone": session().get_one(Zone, zone_id),
        "client": session().get_one(Client, client_id) if client_id else None,
        "router": router,
        "timezone": schedules.timezone_of(task.schedule),
        "live": presenters.is_open(run),
        "waits": run.state in set(UNSETTLED_RUNS) and run.waiting > 0 and run.taken_by is None,
        "progress": presenters.progress(run) if presenters.is_open(run) else None,
        "texts": texts,
        "p": presenters,
        "says": sentences,
    }


@bp.get("/tareas-periodicas/ejecuciones/<int:run_id>/")
@requires(VIEW)
def run(run_id: int) -> Response:
    """One run and its ledger. While it is open its summary and its lines ask for themselves."""
    page = _run_page(run_id)
    counts = service.item_counts(run_id)
    page["cards"] = presenters.cards(page["kind"], page["run"], counts)
    if page["waits"]:
        page["wait"] = queries.wait_of(page["router"])
        page["opens"] = cut_hours.opens_at(page["timezone"].key)
    state = request.args.get("state", "")
    page["state"] = state if state in set(ItemState) else ""
    order = {
        "client": Client.name_key, "amount": RunItem.amount, "address": RunItem.address,
        "state": [queries.by_urgency(), Client.name_key],
    }  # fmt: skip
    query = queries.run_items(run_id, text=search_text(), state=page["state"])
    page["listing"] = Listing(query, order, default="state", per_page=50)
    if page["kind"] == Kind.notice:
        page["audience"] = queries.audience(page["run"])
        page["looks"] = queries.looks([(item, page["run"]) for item, _client, _label in page["listing"].rows])
    return render(
        "tasks/run.html",
        partials={"run-summary": "tasks/_run_summary.html"},
        partial="tasks/_run_items.html",
        counts=counts,
        reasons=queries.reason_counts(run_id),
        **page,
    )


@bp.get("/tareas-periodicas/ejecuciones/<int:run_id>/clientes.csv")
@requires(VIEW)
def run_export(run_id: int) -> Response:
    """The ledger of a run as filtered."""
    page = _run_page(run_id)
    state = request.args.get("state", "")
    query = queries.run_items(run_id, text=search_text(), state=state if state in set(ItemState) else "")
    rows = read_parts(query.order_by(Client.name_key, Client.id).limit(CSV_LIMIT))
    header = [_("Code"), _("Client"), _("State"), _("Reason"), _("Amount"), _("Invoice"), _("Address"), _("Answer")]
    currency, zone = settings.company().currency, page["timezone"]
    notice = page["kind"] == Kind.notice
    if notice:
        header += [_("Seen"), _("Confirmed")]

    def lines() -> Iterator[list[str]]:
        while part := list(islice(rows, 1000)):
            run = session().get_one(TaskRun, run_id)  # the view's own one belongs to a session that has ended by now
            known = queries.looks([(item, run) for item, _client, _label in part]) if notice else {}
            for item, client, label in part:
                look = known.get((client.id, run_id), Look())
                yield [
                    client.code, client.name, texts.item_state(page["kind"], item.state, item.reason),
                    texts.item_reason(page["kind"], item.state, item.reason, item.detail),
                    plain(item.amount, currency), label or "", item.address or "",
                    texts.answer_text(item.reason, item.detail),
                    *([_iso(look.seen_at, zone), _iso(look.confirmed_at, zone)] if notice else []),
                ]  # fmt: skip

    return csv_response(f"ejecucion-{run_id}.csv", header, lines())


# One client ------------------------------------------------------------------------------------------


@bp.get("/clientes/<code>/historial/")
@requires(Permission.CLIENTS_VIEW, VIEW)
def client_history(code: str) -> Response:
    """Everything that has happened to one client, newest first, and why it is suspended."""
    try:
        client = find_client(code, scope())
    except Refused:
        abort(404)
    zone, question = settings.timezone(), request.args.get("pregunta", "")
    found, newest = timeline.query(client, can)
    listing = Listing(found, {"at": newest}, default="-at", per_page=40)
    return render(
        "tasks/client_history.html",
        partial="tasks/_client_history.html",
        client=client,
        tab="history",
        listing=listing,
        events=timeline.events(client, listing.rows),
        answer=reasons.why(client, question if question in reasons.QUESTIONS else ""),
        questions=reasons.ASKED,
        timezone=zone,
        words=texts,
    )
