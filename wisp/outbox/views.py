"""Pages of the outbox: the list, one e-mail, and what a person may do with it."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.outbox import kinds, rendering, server, service, texts, transport, trial
from wisp.outbox.forms import ResendForm
from wisp.outbox.models import STATES, Message
from wisp.settings.hooks import TrialResult
from wisp.web import go, render, requires, scope, toast
from wisp.web.tables import Listing, search_text

bp = Blueprint("outbox", __name__, url_prefix="/correos")
SORTS = {"id": Message.id, "recipient": Message.recipient, "kind": Message.kind, "state": Message.state}


@bp.get("/")
@requires(Permission.OUTBOX_VIEW)
def index() -> Response:
    """All e-mails, newest first."""
    only = service.Filter(search_text(), _chosen("state", STATES), _chosen("kind", [*texts.KINDS, *kinds.names()]))
    query: Any = service.listing(scope(), only)
    listing = Listing(query, SORTS, default="-id")
    return render(
        "outbox/list.html",
        partial="outbox/_table.html",
        listing=listing,
        only=only,
        counts=service.counts(scope()),
        texts=texts,
        **_server(),
    )


@bp.get("/<int:message_id>/")
@requires(Permission.OUTBOX_VIEW)
def show(message_id: int) -> Response:
    """One e-mail: its fate and its text."""
    return _page(_message(message_id), ResendForm())


@bp.post("/<int:message_id>/reenviar/")
@requires(Permission.OUTBOX_VIEW, Permission.OUTBOX_RESEND)
def resend(message_id: int) -> Response:
    """Send it again, to the same or to a corrected address."""
    message, form = _message(message_id), ResendForm()
    if not form.validate_on_submit():
        return _page(message, form, 422)
    try:
        with transaction():
            new = service.resend(message_id, form.recipient.data or None).id
    except Refused as refused:
        form.form_errors.append(str(refused))
        return _page(_message(message_id), form, 422)
    toast(_("The e-mail is in the outbox again."))
    return go(url_for("outbox.show", message_id=new))


@bp.post("/<int:message_id>/retener/")
@requires(Permission.OUTBOX_VIEW, Permission.OUTBOX_RESEND)
def hold(message_id: int) -> Response:
    """Keep a waiting e-mail back."""
    return _act(message_id, service.hold, _("The e-mail is held."))


@bp.post("/<int:message_id>/liberar/")
@requires(Permission.OUTBOX_VIEW, Permission.OUTBOX_RESEND)
def release(message_id: int) -> Response:
    """Let a held e-mail go."""
    return _act(message_id, service.release, _("The e-mail goes now."))


@bp.post("/liberar-retenidos/")
@requires(Permission.OUTBOX_VIEW, Permission.OUTBOX_RESEND)
def release_all() -> Response:
    """Let all held e-mails go."""
    with transaction():
        count = service.release_all(scope())
    toast(_("%(count)s e-mails go now.", count=count), "success" if count else "info")
    return go(url_for("outbox.index"))


@bp.post("/reenviar-fallidos/")
@requires(Permission.OUTBOX_VIEW, Permission.OUTBOX_RESEND)
def resend_failed() -> Response:
    """Send all failed e-mails again."""
    with transaction():
        count = service.resend_failed(scope())
    text = ngettext("%(num)s e-mail is in the outbox again.", "%(num)s e-mails are in the outbox again.", count)
    toast(text, "success" if count else "info")
    return go(url_for("outbox.index"))


def mail_trial(address: str) -> TrialResult:
    """The test e-mail of the settings page."""
    result = trial.send_test(address)
    return TrialResult(result.ok, "" if result.ok else texts.error_text(result.code), result.detail)


def _act(message_id: int, action: Callable[[int], Message], done: str) -> Response:
    _message(message_id)
    try:
        with transaction():
            action(message_id)
    except Refused as refused:
        toast(str(refused), "warning")
    else:
        toast(done)
    return go(url_for("outbox.show", message_id=message_id))


def _page(message: Message, form: ResendForm, status: int = 200) -> Response:
    if request.method == "GET":
        form.recipient.data = message.recipient
    context = {**_text(message), **_around(message), **_server()}
    return render("outbox/show.html", status=status, message=message, form=form, texts=texts, **context)


def _text(message: Message) -> dict[str, Any]:
    """The text as it would be sent now, or why there is none."""
    try:
        return {"content": rendering.preview(message), "missing": ""}
    except kinds.CannotRender as error:
        return {"content": None, "missing": texts.error_text(str(error))}
    except Exception:
        rendering.log.exception("preview of e-mail %s failed", message.id)
        return {"content": None, "missing": texts.error_text("cannot_render")}


def _around(message: Message) -> dict[str, Any]:
    return {"again": service.sent_again_as(message.id), "client_code": service.client_code(message)}


def _server() -> dict[str, Any]:
    """What the banner says of the mail server."""
    return {"configured": transport.configured(), "server": server.state(), "paused": server.paused()}


def _message(message_id: int) -> Message:
    found = service.find(message_id, scope())
    if found is None:
        abort(404)
    return found


def _chosen(name: str, allowed: Any) -> str:
    wanted = request.args.get(name, "")
    return wanted if wanted in allowed else ""
