"""Log-in, log-out, one's own password and language."""

import hashlib
from typing import Any

from flask import Blueprint, Response, make_response, redirect, request, session, url_for
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from flask_limiter.util import get_remote_address
from flask_login import current_user, login_user, logout_user

from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.extensions import limiter, login_manager
from wisp.core.locales import LANGUAGES
from wisp.staff import service
from wisp.staff.forms import LoginForm, PasswordForm
from wisp.staff.identity import identity, load
from wisp.web import authenticated, go, is_htmx, public, redirect_back, render, safe_path, toast
from wisp.web.formats import COOKIE
from wisp.web.navigation import home

bp = Blueprint("auth", __name__)
WRONG = 422
PER_ACCOUNT_AND_ADDRESS = "6 per 10 minutes"
PER_ACCOUNT = "30 per hour"
PER_ADDRESS = "60 per 10 minutes"


def _account() -> str:
    """The account as a key of the limiter: what was typed may hold anything, so only its hash is kept."""
    return hashlib.sha256(service.normal(request.form.get("email", "")).encode()).hexdigest()[:32]


def _account_and_address() -> str:
    return f"{_account()}-{get_remote_address()}"


def _failed(response: Response) -> bool:
    """Only attempts that failed count, so that nobody is locked out by logging in."""
    return response.status_code == WRONG


def _limit(value: str, key: Any) -> Any:
    return limiter.limit(value, key_func=key, methods=["POST"], deduct_when=_failed)


@bp.get("/inicio/")
@public
def start() -> Response:
    """To the first page that the user may open."""
    if not current_user.is_authenticated:
        return go(url_for("auth.login"))
    return go(home() or url_for("auth.password"))


@bp.route("/entrar/", methods=["GET", "POST"])
@public
@_limit(PER_ADDRESS, get_remote_address)
@_limit(PER_ACCOUNT, _account)
@_limit(PER_ACCOUNT_AND_ADDRESS, _account_and_address)
def login() -> Response:
    """Log in. The session starts anew, so that one planted before is worth nothing."""
    if current_user.is_authenticated and request.method == "GET":
        return start()
    form = LoginForm(next=request.args.get("next", ""))
    if not form.validate_on_submit():
        return render("auth/login.html", form=form, status=WRONG if form.is_submitted() else 200)
    found = service.authenticate(form.email.data or "", form.password.data or "")
    if found is None:
        form.password.data = ""
        return render("auth/login.html", form=form, status=WRONG, refused=_("The e-mail or the password is not right."))
    with transaction():
        service.signed_in(found.id, form.password.data or "")
    _enter(found.id)
    return go(safe_path(form.next.data) or url_for("auth.start"))


def _enter(user_id: int) -> None:
    """Begin a new session of the user; the old one's content, its CSRF token included, is dropped."""
    session.clear()
    session.permanent = True
    login_user(identity(user_id))


@bp.app_errorhandler(RateLimitExceeded)
def too_many(_error: RateLimitExceeded) -> Response:
    """The log-in form again with the reason."""
    form = LoginForm()
    form.password.data = ""
    message = _("Too many attempts. Wait ten minutes, then try again.")
    return render("auth/login.html", form=form, status=429, refused=message)


@bp.post("/salir/")
@public
def logout() -> Response:
    """Log out; harmless for whoever is not logged in."""
    logout_user()
    session.clear()
    return go(url_for("auth.login"))


@bp.route("/cuenta/clave/", methods=["GET", "POST"])
@authenticated
def password() -> Response:
    """Change one's own password; every other session of the user ends."""
    form = PasswordForm()
    if form.validate_on_submit():
        try:
            with transaction():
                service.change_password(current_user.id, form.old.data or "", form.new.data or "")
        except Refused as refused:
            field = form.old if refused.code == "staff.password_wrong" else form.new
            field.errors = [str(refused)]
        else:
            _enter(current_user.id)
            toast(_("The password was changed. Your other sessions have ended."))
            return go(url_for("auth.start"))
    return render("auth/password.html", form=form, status=422 if form.errors else 200)


@bp.post("/idioma/")
@public
def language() -> Response:
    """Choose the language of the pages; kept in a cookie and, logged in, with the user."""
    chosen = request.form.get("language", "")
    response = make_response(redirect_back("auth.start"))
    if chosen not in LANGUAGES:
        return response
    if current_user.is_authenticated:
        with transaction():
            service.choose_language(current_user.id, chosen)
    with force_locale(chosen):
        toast(_("The pages are now in English."), "info")
    response.set_cookie(COOKIE, chosen, max_age=365 * 24 * 3600, samesite="Lax", httponly=True)
    return response


def lost() -> Any:
    """No session: to the log-in and back here afterwards. htmx gets a header: it would put the form into a table."""
    if is_htmx() or "HX-History-Restore-Request" in request.headers:
        came_from = safe_path(request.headers.get("HX-Current-URL"))
        return Response(status=401, headers={"HX-Redirect": url_for("auth.login", next=came_from)})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.login", next=safe_path(wanted)), code=302)


def bind() -> None:
    """Tell Flask-Login how a user is found and what happens without one."""
    login_manager.user_loader(load)
    login_manager.unauthorized_handler(lost)
