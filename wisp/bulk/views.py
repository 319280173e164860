"""Pages of bulk actions: the list with its history, one action with its confirmation, one run."""

from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.bulk import jobs, service, texts
from wisp.bulk.action import BulkAction, actions, get
from wisp.bulk.forms import ConfirmForm
from wisp.bulk.models import BulkChange, BulkRun
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.db import read_parts, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.routers.models import Zone
from wisp.tasks.texts import actor_text
from wisp.web import can, go, render, requires, scope, toast
from wisp.web.tables import Listing, csv_response

bp = Blueprint("bulk", __name__, url_prefix="/acciones-masivas")
USE = Permission.BULK_USE
SHOWN = 200
"""Rows of the confirmation's table; beyond them it says how many more there are."""
AT_ONCE = 500
"""So many changes are made before the answer; more are left to a worker, and the page shows how far it is."""


@bp.get("/")
@requires(USE)
def index() -> Response:
    """The actions, and what was done with them."""
    listing = Listing(service.visible(scope()), {"newest": BulkRun.id}, default="-newest", per_page=30)
    known = {action.key: action for action in actions()}
    return render(
        "bulk/index.html", partial="bulk/_history.html", listing=listing, known=known,
        actions=[action for action in actions() if can(action.permission)], texts=texts, actor_text=actor_text,
    )  # fmt: skip


@bp.route("/<key>/", methods=["GET", "POST"])
@requires(USE)
def action(key: str) -> Response:
    """Choose; see exactly what would change; confirm. Only the confirmation changes anything."""
    chosen = _action(key)
    form = chosen.form()
    chosen.fill(form, scope())
    if not form.validate_on_submit():
        return render("bulk/action.html", status=422 if form.is_submitted() else 200, action=chosen, form=form)
    values, confirm = chosen.values(form), ConfirmForm()
    if "list" in request.form:
        return _listed(chosen, values)
    if confirm.confirm.data:
        if not confirm.validate() or not confirm.token.data:
            abort(400)
        return _order(chosen, values, confirm.token.data)
    reach = chosen.reach(values, scope())
    rows = service.owners(chosen.preview(values, scope(), SHOWN))
    return render(
        "bulk/confirm.html", action=chosen, form=form, values=values, reach=reach, rows=rows, shown=SHOWN,
        token=uuid4().hex, texts=texts,
    )  # fmt: skip


def _listed(chosen: BulkAction, values: dict[str, Any]) -> Response:
    """Everything that would change, as a CSV: the confirmation's table holds the first ones only."""
    header = [_("Zone"), _("Code"), _("Client"), _("Periodic task"), _("Now"), _("Afterwards")]
    lines = (
        [
            zone.name, client.code if client else "", client.name if client else _("Zone billing"),
            _subject(chosen, change.found.subject), chosen.words(change.found.value), chosen.words(change.after),
        ]
        for change, zone, client in service.everything(chosen, values, scope())
    )  # fmt: skip
    return csv_response(f"{chosen.key}.csv", header, lines)


def _subject(chosen: BulkAction, name: str) -> str:
    return chosen.subject(name) if name else ""


def _order(chosen: BulkAction, values: dict[str, Any], token: str) -> Response:
    try:
        with transaction():
            run = service.order(chosen, values, token, scope())
            run_id, large = run.id, run.expected > AT_ONCE
    except Refused as refused:
        toast(str(refused), "warning")
        return go(url_for("bulk.action", key=chosen.key))
    _work(run_id, large)
    # Said for a repeated form too: of two clicks the browser shows the second answer alone.
    _say(run_id)
    return go(url_for("bulk.run", run_id=run_id))


def _work(run_id: int, large: bool) -> None:
    if large:
        queue.enqueue("bulk.run", run_id, key=f"bulk-{run_id}")
    else:
        jobs.work(run_id)


def _say(run_id: int) -> None:
    run = service.find(run_id)
    if run.state == "done":
        reach = texts.reach(run.zones, run.clients)
        toast(_("Done: %(changes)s, in %(reach)s.", changes=texts.changes(run.changed), reach=reach))
    elif run.state == "undone":
        toast(_("Undone: %(outcome)s.", outcome=texts.outcome(run)), "warning" if run.kept else "success")
    else:
        toast(_("Ordered. This page shows how far it is."), "info")


@bp.get("/ejecuciones/<int:run_id>/")
@requires(USE)
def run(run_id: int) -> Response:
    """One run: what it changed, with the earlier values, and what an undo restored or left alone."""
    found = _run(run_id)
    order = {"target": BulkChange.target, "zone": [Zone.name, BulkChange.target], "client": [Client.name_key]}
    listing = Listing(service.changes_of(run_id), order, default="target", per_page=50)
    return render(
        "bulk/run.html", partial="bulk/_run.html", run=found, action=get(found.action), listing=listing, texts=texts,
        actor_text=actor_text, live=found.state in service.OPEN, may_undo=_may_undo(found),
    )  # fmt: skip


@bp.get("/ejecuciones/<int:run_id>/cambios.csv")
@requires(USE)
def run_export(run_id: int) -> Response:
    """Every change of one run, with what has become of it."""
    found = _run(run_id)
    chosen = get(found.action)
    header = [_("Zone"), _("Code"), _("Client"), _("Periodic task"), _("Before"), _("Afterwards"), _("Result")]
    rows = read_parts(service.changes_of(run_id).order_by(BulkChange.target), service.LISTED)
    lines = (
        [
            zone.name, client.code if client else "", client.name if client else _("Zone billing"),
            _subject(chosen, change.subject), chosen.words(change.before), chosen.words(change.after),
            str(texts.OUTCOMES[change.outcome]),
        ]
        for change, zone, client in rows
    )  # fmt: skip
    return csv_response(f"accion-masiva-{run_id}.csv", header, lines)


@bp.post("/ejecuciones/<int:run_id>/deshacer/")
@requires(USE)
def undo(run_id: int) -> Response:
    """Put back what nobody has changed since."""
    found = _run(run_id)
    if not can(get(found.action).permission):
        abort(403)
    try:
        with transaction():
            service.undo(run_id)
    except Refused as refused:
        if service.find(run_id).state not in ("undoing", "undone"):
            toast(str(refused), "warning")
            return go(url_for("bulk.run", run_id=run_id))
    # The second of two clicks comes here too: it waits for the first one's work and says the same.
    _work(run_id, found.changed > AT_ONCE)
    _say(run_id)
    return go(url_for("bulk.run", run_id=run_id))


def _may_undo(found: BulkRun) -> bool:
    return found.state == "done" and found.changed > 0 and can(get(found.action).permission)


def _action(key: str) -> BulkAction:
    """The action, for those who have its permission."""
    try:
        chosen = get(key)
    except Refused:
        abort(404)
    if not can(chosen.permission):
        abort(403)
    return chosen


def _run(run_id: int) -> BulkRun:
    try:
        return service.find(run_id, scope())
    except Refused:
        abort(404)
