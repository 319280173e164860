"""What the office sees of the client pages: their texts with a preview, and who saw and confirmed them."""

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.clients import service as clients
from wisp.core import clock
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.portal import presenters, views
from wisp.portal.forms import TextsForm
from wisp.settings import service as settings
from wisp.settings.models import Company
from wisp.web import go, render, requires, scope, toast

bp = Blueprint("notices", __name__)


@bp.route("/ajustes/avisos/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def texts() -> Response:
    """Edit the texts and the times of the client pages."""
    form = TextsForm(obj=settings.company())
    if not form.validate_on_submit():
        return render("portal/texts.html", form=form, status=422 if request.method == "POST" else 200)
    try:
        with transaction():
            changed = settings.save_company(form.values())
    except Refused as refused:
        form.form_errors.append(str(refused))
        return render("portal/texts.html", form=form, status=422)
    toast(_("Saved.") if changed else _("There was nothing to change."), "success" if changed else "info")
    return go(url_for("notices.texts"))


@bp.post("/ajustes/avisos/vista/")
@requires(Permission.SETTINGS_MANAGE)
def preview() -> Response:
    """The page as a client would see it, with the texts as they stand in the form; nothing is saved."""
    stored = settings.company()
    form = TextsForm(obj=stored)
    if not form.validate():
        return render("portal/texts.html", form=form, status=422)
    columns = {column.key: getattr(stored, column.key) for column in Company.__table__.columns}
    firm = Company(**{**columns, **form.values()})
    state, language = request.form.get("page", "-").partition("-")[::2]
    if state not in ("notice", "cut") or language not in ("es", "en"):
        abort(400)
    return presenters.sample(state, language, firm, clock.now().date())


@bp.get("/clientes/<code>/aviso/")
@requires(Permission.CLIENTS_VIEW)
def of_client(code: str) -> Response:
    """The tab of a client's file: the page that it sees, and when it saw and confirmed it."""
    try:
        client = clients.find(code, scope())
    except Refused:
        abort(404)
    return render("portal/client.html", client=client, tab="portal", **views.page_facts(client.id))
