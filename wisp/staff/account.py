"""The pages of one's own account: password, second factor, sessions."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask import session as cookie
from flask_babel import gettext as _
from flask_login import current_user

from wisp.core import crypto
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.settings.service import company
from wisp.staff import service, sessions, throttle, totp
from wisp.staff.auth import enter
from wisp.staff.forms import ConfirmForm, PasswordForm, SecondFactorForm
from wisp.staff.models import StaffUser
from wisp.staff.texts import browser_text
from wisp.web import authenticated, go, render, toast

bp = Blueprint("account", __name__, url_prefix="/cuenta")


@bp.route("/clave/", methods=["GET", "POST"])
@authenticated
@throttle.own_password
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
            enter(current_user.id, cookie.permanent)
            toast(_("The password was changed. Your other sessions have ended."))
            return go(url_for("auth.start"))
    return render("auth/password.html", form=form, status=422 if form.errors else 200)


@bp.get("/sesiones/")
@authenticated
def devices() -> Response:
    """The browsers in which one is logged in."""
    return render("auth/sessions.html", rows=sessions.of(current_user.id), here=current_user.key, browser=browser_text)


@bp.post("/sesiones/<int:session_id>/cerrar/")
@authenticated
def end(session_id: int) -> Response:
    """End one of the own sessions; the present one is a log-out."""
    try:
        with transaction():
            sessions.end(current_user.id, session_id)
    except Refused as refused:
        toast(str(refused), "warning")
    else:
        toast(_("The session has ended."))
    return go(url_for("account.devices"))


@bp.post("/sesiones/cerrar-las-demas/")
@authenticated
def end_others() -> Response:
    """End every session but this one."""
    with transaction():
        count = sessions.end_others(current_user.id, current_user.key)
    toast(_("Sessions ended: %(count)s.", count=count), "success" if count else "info")
    return go(url_for("account.devices"))


@bp.route("/segundo-factor/", methods=["GET", "POST"])
@authenticated
@throttle.own_password
def second_factor() -> Response:
    """See the second factor, or turn it on: scan the code, then show that it works."""
    user = session().get_one(StaffUser, current_user.id)
    if totp.enabled(user):
        return _on_page(ConfirmForm())
    form = SecondFactorForm()
    if not form.validate_on_submit():
        return _setup_page(form)
    try:
        with transaction():
            codes = totp.enable(current_user.id, _scanned(form), form.code.data or "", form.password.data or "")
    except crypto.SecretUnreadable:
        form.secret.data = ""
        form.code.errors = [_("The page was too old. Scan the new code.")]
        return _setup_page(form)
    except Refused as refused:
        if refused.code == "staff.totp_on":
            return go(url_for("account.second_factor"))
        field = form.password if refused.code == "staff.password_wrong" else form.code
        field.errors = [str(refused)]
        return _setup_page(form)
    return render("auth/recovery.html", codes=codes)


def _setup_page(form: SecondFactorForm) -> Response:
    """The secret goes round through the form, encrypted, so that a wrong code does not make one scan again."""
    try:
        secret = _scanned(form) if request.method == "POST" else totp.new_secret()
    except crypto.SecretUnreadable:
        secret = totp.new_secret()
    form.secret.data = crypto.encrypt(_mark() + secret)
    picture = totp.picture(totp.uri(secret, current_user.email, company().name))
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    status = 422 if request.method == "POST" else 200
    return render("auth/second_factor.html", form=form, picture=picture, secret=spaced, status=status)


def _scanned(form: SecondFactorForm) -> str:
    """The secret that is on the phone already. SecretUnreadable for anything else: this page must not show what other
    encrypted values hold."""
    clear = crypto.decrypt(form.secret.data or "")
    if not clear.startswith(_mark()):
        raise crypto.SecretUnreadable
    return clear.removeprefix(_mark())


def _mark() -> str:
    return f"totp:{current_user.id}:"


def _on_page(form: ConfirmForm) -> Response:
    context: dict[str, Any] = {"left": totp.codes_left(current_user.id), "total": totp.RECOVERY_CODES}
    return render("auth/second_factor_on.html", form=form, status=422 if form.errors else 200, **context)


@bp.post("/segundo-factor/codigos/")
@authenticated
@throttle.own_password
def new_codes() -> Response:
    """New recovery codes; the earlier ones end."""
    form = ConfirmForm()
    if form.validate_on_submit():
        try:
            with transaction():
                codes = totp.renew_codes(current_user.id, form.password.data or "")
        except Refused as refused:
            form.password.errors = [str(refused)]
        else:
            return render("auth/recovery.html", codes=codes)
    return _on_page(form)


@bp.post("/segundo-factor/quitar/")
@authenticated
@throttle.own_password
def remove_second_factor() -> Response:
    """Turn the second factor off."""
    form = ConfirmForm()
    if form.validate_on_submit():
        try:
            with transaction():
                totp.disable(current_user.id, form.password.data or "")
        except Refused as refused:
            form.password.errors = [str(refused)]
        else:
            toast(_("The second factor is off. Log-in asks for the password only."), "warning")
            return go(url_for("account.second_factor"))
    return _on_page(form)
