"""Log-in with its second step, log-out, a forgotten password, the language."""

import logging
from typing import Any

from flask import Blueprint, Response, current_app, make_response, redirect, request, session, url_for
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from flask_login import current_user, login_user, logout_user
from sqlalchemy.exc import OperationalError

from wisp.core import audit, clock
from wisp.core.db import session as db_session
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.extensions import limiter, login_manager
from wisp.core.locales import LANGUAGES
from wisp.outbox import transport
from wisp.staff import links, mail, service, sessions, throttle, totp
from wisp.staff.forms import CodeForm, LoginForm, NewPasswordForm, ResetForm
from wisp.staff.identity import load
from wisp.staff.models import StaffUser
from wisp.staff.throttle import PENDING, WRONG
from wisp.web import go, is_htmx, public, redirect_back, render, safe_path, toast
from wisp.web.errors import problem
from wisp.web.formats import COOKIE
from wisp.web.navigation import home

bp = Blueprint("auth", __name__)
log = logging.getLogger(__name__)
PENDING_SECONDS = 300
PER_ACCOUNT_AND_ADDRESS = "6 per 10 minutes"
PER_ACCOUNT = "30 per hour"
PER_ADDRESS = "60 per 10 minutes"
CODES = "6 per 10 minutes"
CODES_PER_DAY = "20 per day"


@bp.after_app_request
def _give_back(response: Response) -> Response:
    return throttle.give_back(response)


@bp.get("/inicio/")
@public
def start() -> Response:
    """To the first page that the user may open."""
    if not current_user.is_authenticated:
        return go(url_for("auth.login"))
    return go(home() or url_for("account.password"))


@bp.route("/entrar/", methods=["GET", "POST"])
@public
@throttle.counted(PER_ADDRESS, throttle.visitor)
@throttle.counted(PER_ACCOUNT, throttle.account)
@throttle.counted(PER_ACCOUNT_AND_ADDRESS, throttle.account_and_network)
def login() -> Response:
    """Log in. The session starts anew, so that one planted before is worth nothing."""
    if current_user.is_authenticated and request.method == "GET":  # in another tab, perhaps
        return go(safe_path(request.args.get("next")) or url_for("auth.start"))
    form = LoginForm(next=request.args.get("next", ""))
    if not form.validate_on_submit():
        return render("auth/login.html", form=form, status=WRONG if form.is_submitted() else 200)
    found = service.authenticate(form.email.data or "", form.password.data or "")
    if found is None:
        _note_failure("password", service.active(form.email.data or ""))
        form.password.data = ""
        return render("auth/login.html", form=form, status=WRONG, refused=_("The e-mail or the password is not right."))
    with transaction():
        user = service.signed_in(found.id, form.password.data or "")
        second, epoch = totp.enabled(user), user.session_epoch
    after, remember = safe_path(form.next.data) or "", bool(form.remember.data)
    if second:
        session.clear()
        session[PENDING] = [found.id, epoch, int(clock.now().timestamp()), remember, after]
        return go(url_for("auth.code"))
    enter(found.id, remember)
    return throttle.remember(go(after or url_for("auth.start")), found.id, found.email)


def _pending() -> list[Any] | None:
    """Who has given the right password within the last five minutes and owes the second factor."""
    found = session.get(PENDING)
    if not isinstance(found, list) or not 0 <= clock.now().timestamp() - found[2] < PENDING_SECONDS:
        return None
    return found


@bp.route("/entrar/codigo/", methods=["GET", "POST"])
@public
@throttle.counted(CODES_PER_DAY, throttle.second_step)
@throttle.counted(CODES, throttle.second_step)
def code() -> Response:
    """The second step of the log-in: a code of the phone, or a recovery code. Each opens once."""
    pending = _pending()
    if pending is None:
        session.pop(PENDING, None)
        return go(url_for("auth.login"))
    form = CodeForm()
    user_id, epoch, _at, remember, after = pending
    readable = totp.readable(user_id)
    if not form.validate_on_submit():
        return render("auth/code.html", form=form, readable=readable, status=WRONG if form.is_submitted() else 200)
    with transaction():
        user = db_session().get(StaffUser, user_id)
        right = user is not None and user.session_epoch == epoch and totp.check(user_id, form.code.data or "")
    if not right:
        _note_failure("code", user)
        form.code.data = ""
        wrong = _("The code is not right, or was used.")
        return render("auth/code.html", form=form, readable=readable, status=WRONG, refused=wrong)
    enter(user_id, remember)
    email = current_user.email if current_user.is_authenticated else ""
    return throttle.remember(go(safe_path(after) or url_for("auth.start")), user_id, email)


def _note_failure(step: str, user: StaffUser | None) -> None:
    """Write down an attempt that failed, and from where; the throttle keeps these lines few. What was typed is not
    kept: it may be a password in the wrong field."""
    with transaction():
        target = f"staff:{user.email}" if user is not None else "staff"
        audit.record("staff.log_in_failed", target, None, {"step": step})


def enter(user_id: int, remember: bool) -> None:
    """Begin a new session of the user; the old one's content, its CSRF token included, is dropped."""
    with transaction() as s:
        user = s.get_one(StaffUser, user_id)
        key = sessions.begin(
            user, ip=request.remote_addr or "", user_agent=request.user_agent.string, remembered=remember
        )
    session.clear()
    session.permanent = remember
    found = load(key)
    if found is not None:
        login_user(found)


@bp.before_app_request
def seen() -> None:
    """Write down, at most once a minute, that the session is in use; later where the database is busy."""
    if not current_user.is_authenticated or not sessions.stale(current_user.seen_at):
        return
    try:
        with transaction():
            sessions.seen(current_user.key, request.remote_addr or "")
    except OperationalError:
        log.info("the session's last use could not be written now")


@bp.route("/entrar/recuperar/", methods=["GET", "POST"])
@public
@limiter.limit("20 per 10 minutes", key_func=throttle.network, methods=["POST"])
@limiter.limit("5 per hour", key_func=throttle.account, methods=["POST"])
def forgotten() -> Response:
    """Have a link for a new password sent. The answer is the same whether somebody has this address or not."""
    form = ResetForm()
    if not form.validate_on_submit():
        return render("auth/forgotten.html", form=form, status=WRONG if form.is_submitted() else 200)
    with transaction():
        links.request_reset(form.email.data or "")
    waits = not transport.configured()
    return render("auth/forgotten.html", form=None, address=(form.email.data or "").strip(), waits=waits)


@bp.route(mail.PATH + "<token>/", methods=["GET", "POST"])
@public
@limiter.limit("60 per 10 minutes", key_func=throttle.network)
def by_link(token: str) -> Response:
    """Choose a password by a link from an e-mail: looking at it does not use it up, saving does."""
    form = NewPasswordForm()
    try:
        user = links.find(token).user
        if form.validate_on_submit():
            with transaction():
                links.use(token, form.new.data or "")
            session.clear()
            toast(_("The password is saved. You can log in with it now."))
            return go(url_for("auth.login"))
    except Refused as refused:
        if refused.code == "staff.link":
            return render("auth/by_link.html", form=None, refused=str(refused), status=410)
        form.new.errors = [str(refused)]
    return render("auth/by_link.html", form=form, email=user.email, status=WRONG if form.errors else 200)


@bp.app_errorhandler(RateLimitExceeded)
def too_many(error: RateLimitExceeded) -> Response:
    """What was tried too often, and how long to wait: above the form of the log-in, else as a page."""
    log.warning("too many attempts at %s from %s", request.endpoint, request.remote_addr)
    seconds = error.limit.limit.get_expiry() if error.limit else 0
    waits = {600: _("Wait ten minutes, then try again."), 3600: _("Wait an hour, then try again.")}
    advice = waits.get(seconds, _("Wait until tomorrow, then try again."))
    if request.endpoint != "auth.login":
        return problem(429, _("Too many attempts"), advice)
    form = LoginForm()
    form.password.data = ""
    return render("auth/login.html", form=form, status=429, refused=f"{_('Too many attempts')}. {advice}")


@bp.post("/salir/")
@public
def logout() -> Response:
    """Log out; harmless for whoever is not logged in."""
    if current_user.is_authenticated:
        with transaction():
            sessions.forget(current_user.key)
    logout_user()
    session.clear()
    return go(url_for("auth.login"))


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
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(COOKIE, chosen, max_age=365 * 24 * 3600, samesite="Lax", httponly=True, secure=secure)
    return response


def lost() -> Any:
    """No session: to the log-in and back here afterwards, from a form to the page with the form, and word of it where
    there was one or something was sent. htmx gets a header: it would put the log-in into a table."""
    if request.method != "GET":
        toast(_("Your session has ended; nothing was saved. Log in and enter it again."), "warning")
    elif "_user_id" in session:
        toast(_("Your session has ended. Log in again."), "warning")
    if is_htmx() or "HX-History-Restore-Request" in request.headers:
        came_from = safe_path(request.headers.get("HX-Current-URL"))
        return Response(status=401, headers={"HX-Redirect": url_for("auth.login", next=came_from)})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else request.referrer
    return redirect(url_for("auth.login", next=safe_path(wanted)), code=302)


def bind() -> None:
    """Tell Flask-Login how a user is found and what happens without one."""
    login_manager.user_loader(load)
    login_manager.unauthorized_handler(lost)
