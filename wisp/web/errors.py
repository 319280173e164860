"""Error pages, and what htmx shows instead of swapping an error page into a table."""

import logging

from flask import Flask, Response, g, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from wisp.core.commands import BUSY
from wisp.core.errors import Refused
from wisp.core.extensions import login_manager
from wisp.web import access
from wisp.web.dispatch import DatabaseBusy
from wisp.web.pages import go, is_htmx, is_partial, safe_path, toast
from wisp.web.registry import permission_labels

log = logging.getLogger(__name__)


def _texts(code: int) -> tuple[str, str]:
    """Title and advice of an error page."""
    known = {
        400: (_("The request could not be read"), _("Nothing was changed. Go back and try again.")),
        403: (
            _("You do not have permission for this"),
            _("Nothing was changed. Ask an administrator for the permission if you need it."),
        ),
        404: (_("This page does not exist"), _("It may have been removed, or the address has a typing error.")),
        405: (_("This address does not take that kind of request"), _("Nothing was changed. Go back and try again.")),
        413: (_("The file is too large"), _("Nothing was changed. The limit is 16 MB.")),
        429: (_("Too many attempts"), _("Wait a few minutes, then try again.")),
    }
    if code in known:
        return known[code]
    if code >= 500:
        return (
            _("Something went wrong on our side"),
            _("What you ordered may not have been done. Look at the page again before you repeat it."),
        )
    return _("The request was refused"), _("Nothing was changed. Go back and try again.")


def problem(code: int, title: str, advice: str, *, keep: bool = False) -> Response:
    """An error as a page, or as a message where htmx waits for a fragment, or the page is to be kept."""
    if is_partial() or (is_htmx() and (keep or code < 500)):
        toast(f"{title}. {advice}" if advice else title, "danger")
        response = Response(status=code)
        response.headers["HX-Reswap"] = "none"
        return response
    return make_response(render_template("errors/problem.html", code=code, title=title, advice=advice), code)


def _busy() -> Response:
    """Nothing was saved; what was typed stays: in the page where htmx asked, else in the answer, to be sent again. A
    password or a file is not sent back: the browser's own page has it still."""
    if is_htmx():
        return problem(503, str(BUSY), "", keep=True)
    kept: list[tuple[str, str]] | None = None
    if request.method == "POST" and not request.files and not any("password" in name for name in request.form):
        kept = list(request.form.items(multi=True))
    return make_response(render_template("errors/busy.html", title=BUSY, again=kept), 503)


def init_app(app: Flask) -> None:
    """Register the handlers."""

    @app.errorhandler(DatabaseBusy)
    def busy(error: DatabaseBusy) -> Response:
        log.warning("%s was not answered: the database is busy (%s)", request.endpoint, error.__cause__)
        return _busy()

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response | HTTPException:
        code = error.code or 500
        if code < 400:
            return error
        title, advice = _texts(code)
        missing = g.get("missing_permissions") if code == 403 else None
        if missing:
            names = ", ".join(f"“{permission_labels.get(permission, permission)}”" for permission in missing)
            needed = _("Permission needed: %(names)s.", names=names)
            advice = f"{needed} {advice}"
        return problem(code, title, advice)

    @app.errorhandler(CSRFError)
    def csrf(error: CSRFError) -> Response:
        # the form is older than the session (log-in in another tab, new key): a fresh page has a fresh token
        # the view, not the path: that of a link from an e-mail still opens
        log.info("CSRF check failed at %s: %s", request.endpoint, error.description)
        if access.needs_session():  # the session is gone, and the token with it
            answer: Response = login_manager.unauthorized()
            return answer
        if request.endpoint == "auth.login" and request.cookies:  # logged in meanwhile, in another tab
            toast(_("The page was out of date and has been loaded again. Nothing was changed."), "warning")
            return go(url_for("auth.login", next=safe_path(request.form.get("next"))))
        if is_htmx():
            toast(_("The page was out of date and has been loaded again. Nothing was changed."), "warning")
            return Response(status=400, headers={"HX-Refresh": "true"})
        title = _("This page was out of date")
        return problem(400, title, _("Nothing was changed. Go back, load the page again and repeat."))

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return problem(409, str(error), "")
