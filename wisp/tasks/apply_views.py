""" "Aplicar ahora": the dialog that simulates first, holds clients out, and orders the run.

Opening it writes a simulation, so it is a POST; the simulation is then read by its id, which also makes an address
of its own for whoever has no JavaScript.
"""

from secrets import token_hex
from typing import Any
from uuid import uuid4

from flask import Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _

from wisp.access import hours as cut_hours
from wisp.access.rules import verdicts
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.outbox.transport import configured as mail_configured
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import planning, presenters, queries, service, texts
from wisp.tasks.forms import ORIGINS, ApplyForm, SimulateForm
from wisp.tasks.models import PlanItem, TaskPlan, TaskRun
from wisp.tasks.views import bp as bp
from wisp.tasks.views import row_of
from wisp.web import close_dialog, go, is_htmx, is_partial, render, requires, scope, toast
from wisp.web.formats import format_month
from wisp.web.requests import row_number
from wisp.web.tables import Listing, search_text

FEW_DAYS = 5
"""With fewer days than that to pay, the question before invoicing says so."""
APPLY = Permission.PERIODIC_TASKS_APPLY
PER_PAGE = 20


class PlanListing(Listing):
    """A page of a simulation's clients; its addresses are those of the page that only reads."""

    def __init__(self, task_id: int, plan_id: int, origin: str, reason: str | None = None) -> None:
        self._fixed = {"task_id": task_id, "plan": plan_id, "origin": origin, "reason": reason}
        text = search_text() if reason is None else ""
        query = queries.plan_items(plan_id, text=text, reason=reason)
        super().__init__(query, {"name": Client.name_key, "amount": PlanItem.amount}, "name", PER_PAGE)

    def url(self, **changes: Any) -> str:
        """The address of this page with ``changes``."""
        values: dict[str, Any] = {"q": self.q, "sort": self.sort, "page": self.page, **self._fixed, **changes}
        kept = {name: value for name, value in values.items() if value not in (None, "")}
        return url_for("tasks.apply_page", **kept)


def _origin(text: str | None) -> str:
    return text if text in ORIGINS else "page"


def _dialog(row: presenters.TaskRow, plan: TaskPlan, origin: str, months: Any) -> dict[str, Any]:
    """Everything that the dialog shows of one simulation."""
    options = planning.Options.from_json(plan.options)
    zone_billed, own_billed = queries.billing_counts(row.zone.id)
    found = queries.summary(plan)
    return {
        "row": row,
        "plan": plan,
        "origin": origin,
        "months": presenters.month_options(months),
        "month": presenters.month_key(plan.month),
        "month_text": format_month(plan.month),
        "include_not_due": options.include_not_due,
        "own": options.own,
        "held": options.hold,
        "summary": found,
        "listing": (listing := PlanListing(row.id, plan.id, origin)),
        "debts": _debts(row, plan, listing),
        "token": uuid4().hex,
        "zone_billed": zone_billed,
        "own_billed": own_billed,
        "list_name": _list_name(row.task.kind),
        "rules": verdicts.of_router(row.router.id),
        "opens": cut_hours.opens_at(row.timezone.key) if row.task.kind == Kind.cut else None,
        "cycle": _cycle(row.task, plan) if row.task.kind == Kind.invoices else None,
        "mail_missing": row.task.kind == Kind.invoices and not mail_configured(),
        "confirm_label": presenters.confirm_label(row.task.kind, found.clients),
        "few_days": FEW_DAYS,
        "texts": texts,
        "p": presenters,
    }


def _cycle(task: PeriodicTask, plan: TaskPlan) -> dict[str, Any]:
    """What the invoices of a simulation say: their period and due date, and how many days are left to pay."""
    spec = planning.spec_of(task, plan.month)
    return {
        "start": spec.cycle.period_from,
        "end": spec.cycle.period_to,
        "due": spec.due,
        "days": (spec.due - spec.today).days,
    }


def _debts(row: presenters.TaskRow, plan: TaskPlan, listing: Listing) -> dict[int, queries.Owing]:
    """The invoices that a notice (all open ones) or a cut (those that count for it) is about, on this page."""
    if row.task.kind == Kind.invoices:
        return {}
    overdue = row.task.kind == Kind.cut and not (plan.options or {}).get("include_not_due")
    return queries.owing([client.id for _item, client in listing.rows], clock.today(row.timezone), overdue)


def _list_name(kind: str) -> str:
    """The list of the router that this kind writes to."""
    firm = settings.company()
    return firm.list_overdue if kind == Kind.cut else firm.list_notice


def _show(row: presenters.TaskRow, plan: TaskPlan, origin: str) -> Response:
    months = service.manual_months(row.task)
    context = _dialog(row, plan, origin, months)
    return render("tasks/apply.html", partial="tasks/_apply.html", **context)


def _running(row: presenters.TaskRow) -> Response:
    """Instead of a simulation: the run that is already open."""
    return render("tasks/running.html", partial="tasks/_running.html", row=row, run=row.working, p=presenters)


@bp.post("/tareas-periodicas/<int:task_id>/simular")
@requires(APPLY)
def simulate(task_id: int) -> Response:
    """ "Aplicar ahora", first half: what would happen. Nothing but the simulation is written."""
    row, form = row_of(task_id), SimulateForm()
    if not form.validate_on_submit():
        abort(400)
    origin = _origin(form.origin.data)
    if row.working is not None:
        return _running(row)
    with transaction():
        task = service.find(task_id, scope())
        options = planning.Options(include_not_due=bool(form.include_not_due.data), own=bool(form.own.data))
        plan = service.simulate(task, form.chosen_month(), options)
        _keep_held(plan, task_id, form.plan.data)
        plan_id = plan.id
    if not is_partial():
        return go(url_for("tasks.apply_page", task_id=task_id, plan=plan_id, origin=origin))
    return _show(row_of(task_id), queries.plan_of(task_id, plan_id), origin)


def _keep_held(plan: TaskPlan, task_id: int, earlier_id: int | None) -> None:
    """Who was held out of the simulation before stays so in this one (another month, another option)."""
    if earlier_id is None:
        return
    try:
        held = queries.held_of(queries.plan_of(task_id, earlier_id))
    except Refused:
        return
    queries.hold(plan, held, held)


@bp.get("/tareas-periodicas/<int:task_id>/aplicar")
@requires(APPLY)
def apply_page(task_id: int) -> Response:
    """A simulation as a page of its own, and its lists of clients, paged and searched. Only reads."""
    row, origin = row_of(task_id), _origin(request.args.get("origin"))
    plan_id = row_number(request.args.get("plan"))
    if plan_id is None:
        months = presenters.month_options(service.manual_months(row.task))
        return render("tasks/apply_start.html", row=row, months=months)
    try:
        plan = queries.plan_of(task_id, plan_id)
    except Refused as gone:
        toast(str(gone), "warning")
        return go(url_for("tasks.apply_page", task_id=task_id))
    target = request.headers.get("HX-Target", "").rpartition("#")[2] if is_partial() else ""
    if target == "plan-items":
        return _items(row, plan, origin)
    if target.startswith("left-out-") or request.args.get("reason"):
        return _left_out(row, plan, origin)
    return _show(row, plan, origin)


def _items(row: presenters.TaskRow, plan: TaskPlan, origin: str) -> Response:
    listing = PlanListing(row.id, plan.id, origin)
    context = {
        "row": row, "plan": plan, "origin": origin, "texts": texts, "p": presenters, "listing": listing,
        "held": queries.held_of(plan), "debts": _debts(row, plan, listing),
    }  # fmt: skip
    return make_response(render_template("tasks/_plan_items.html", **context))


def _left_out(row: presenters.TaskRow, plan: TaskPlan, origin: str) -> Response:
    reason = request.args.get("reason", "")
    listing = PlanListing(row.id, plan.id, origin, reason)
    return render(
        "tasks/left_out.html", partial="tasks/_left_out.html",
        row=row, plan=plan, origin=origin, reason=reason, listing=listing, texts=texts,
    )  # fmt: skip


@bp.post("/tareas-periodicas/<int:task_id>/fuera")
@requires(APPLY)
def hold(task_id: int) -> Response:
    """Hold clients of the simulation out, or take them in again: those whose boxes were shown."""
    row, form = row_of(task_id), ApplyForm()
    if not form.validate_on_submit():
        abort(400)
    with transaction():
        plan = queries.plan_of(task_id, form.plan.data)
        queries.hold(plan, form.shown, form.held)
        plan_id = plan.id
    return _after_hold(row, plan_id, _origin(form.origin.data))


def _after_hold(row: presenters.TaskRow, plan_id: int, origin: str) -> Response:
    if not is_partial():
        return go(url_for("tasks.apply_page", task_id=row.id, plan=plan_id, origin=origin))
    context = _dialog(row, queries.plan_of(row.id, plan_id), origin, service.manual_months(row.task))
    return make_response(render_template("tasks/_sums_swap.html", **context))


@bp.post("/tareas-periodicas/<int:task_id>/aplicar")
@requires(APPLY)
def apply_now(task_id: int) -> Response:
    """ "Aplicar ahora", second half: one run, however often the form arrives."""
    row, form = row_of(task_id), ApplyForm()
    if not form.validate_on_submit():
        abort(400)
    origin = _origin(form.origin.data)
    with transaction():
        plan = queries.plan_of(task_id, form.plan.data)
        queries.hold(plan, form.shown, form.held)
        run = _order(task_id, plan, form.token.data or token_hex(16)) if form.confirm.data else None
        plan_id, run_id = plan.id, run.id if run else None
        mine = run is not None and run.token == form.token.data
    if run_id is None:
        return _after_hold(row, plan_id, origin)
    if mine:
        toast(_("%(task)s was ordered for %(owner)s.", task=row.kind, owner=row.owner))
    else:
        toast(_("This task already had an open run. No second one was ordered: you see that one."), "info")
    if not is_htmx() or origin != "list":
        return go(url_for("tasks.run", run_id=run_id))
    close_dialog()
    return make_response(render_template("tasks/_row_swap.html", row=row_of(task_id)))


def _order(task_id: int, plan: TaskPlan, token: str) -> TaskRun:
    task = service.find(task_id, scope())
    options = planning.Options.from_json(plan.options)
    return service.order(task, month=plan.month, options=options, plan_id=plan.id, token=token)
