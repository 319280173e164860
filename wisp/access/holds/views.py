"""The dialogs of a client's head: suspend, pause until a day, give the service back."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _

from wisp.access.holds import service, texts
from wisp.access.holds.forms import PauseForm, ReactivateForm, SuspendForm
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.invoices import service as invoices
from wisp.web import can, close_dialog, formats, go, render_dialog, requires, scope, toast

bp = Blueprint("holds", __name__, url_prefix="/clientes")


@bp.route("/<code>/suspender/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_SUSPEND)
def suspend(code: str) -> Response:
    """Take the service by hand, with a reason."""
    client, form = _client(code), SuspendForm()
    if form.validate_on_submit() and _done(form, lambda: service.suspend(_client(code), form.why.data or "")):
        return _back(code, _("%(name)s is suspended as soon as the router answers.", name=client.name))
    return _dialog("suspend", _("Suspend the service"), client, form)


@bp.route("/<code>/pausar/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_SUSPEND)
def pause(code: str) -> Response:
    """Let the service rest until a day, or change until when."""
    client, form = _client(code), PauseForm()
    if form.validate_on_submit() and form.until.data is not None:
        until = form.until.data
        if _done(form, lambda: service.pause(_client(code), until, form.why.data or "")):
            day = formats.format_day(until)
            return _back(code, _("%(name)s is on a pause until %(day)s.", name=client.name, day=day))
    return _dialog("pause", _("Pause until…"), client, form, today=service.today_of(client), longest=service.LONGEST)


@bp.route("/<code>/reactivar/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_SUSPEND)
def reactivate(code: str) -> Response:
    """Give the service back: says what it lifts, and when the next cut would cut again."""
    client, form = _client(code), ReactivateForm()
    name, found = client.name, False

    def lift() -> None:
        nonlocal found
        here = _client(code)
        spared = form.no_cut_until.data
        if spared is not None and can(Permission.CLIENTS_EDIT):
            if spared < service.today_of(here):
                raise Refused("holds.past")
            clients.edit(here, no_cut_until=spared)
        found = service.reactivate(here, form.why.data or "")

    if form.validate_on_submit() and _done(form, lift):
        if not found:
            toast(_("Nothing holds %(name)s: there was nothing to lift.", name=name), "info")
            close_dialog()
            return go(url_for("clients.show", code=code))
        return _back(code, _("The service of %(name)s comes back as soon as the router answers.", name=name))
    client = _client(code)
    return _dialog(
        "reactivate", _("Reactivate"), client, form, debt=invoices.debt_of(client.id),
        outlook=service.outlook(client), may_spare=can(Permission.CLIENTS_EDIT),
    )  # fmt: skip


def _done(form: Any, order: Callable[[], None]) -> bool:
    """Do it in a transaction; False where it was refused, and the form says why."""
    try:
        with transaction():
            order()
    except Refused as refused:
        form.form_errors.append(str(refused))
        return False
    return True


def _back(code: str, text: str) -> Response:
    toast(text)
    close_dialog()
    return go(url_for("clients.show", code=code))


def _dialog(name: str, title: str, client: Client, form: Any, **context: Any) -> Response:
    return render_dialog(
        f"access/holds/_{name}.html", title, status=422 if form.errors else 200, form=form, client=client,
        hold=service.of(client.id), words=texts, **context,
    )  # fmt: skip


def _client(code: str) -> Client:
    try:
        return clients.find(code, scope())
    except Refused:
        abort(404)
