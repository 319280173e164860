"""The settings page: one panel an address."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.settings import forms, hooks, pictures, service
from wisp.web import administrators, formats, go, render, requires, toast
from wisp.web.turns import one_at_a_time

bp = Blueprint("settings", __name__, url_prefix="/ajustes")


@bp.get("/")
@requires(Permission.SETTINGS_MANAGE)
def index() -> Response:
    """To the first panel."""
    return go(url_for("settings.company"))


@bp.route("/empresa/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def company() -> Response:
    """Name, address, time zone, currency, language."""
    fixed = service.currency_is_fixed()
    form = partial(forms.CompanyForm, currency_is_fixed=fixed)
    return _panel("company", form, currency_is_fixed=fixed, **_logo(forms.LogoForm()))


@bp.post("/empresa/logo/")
@requires(Permission.SETTINGS_MANAGE)
def company_logo() -> Response:
    """Take an uploaded picture as the logo, or take the logo away."""
    form = forms.LogoForm()
    try:
        if request.form.get("action") == "remove":
            with transaction():
                removed = service.remove_logo()
            toast(_("The logo was taken away.") if removed else _("There was nothing to change."))
            return go(url_for("settings.company"))
        if form.validate_on_submit():
            with transaction():
                service.set_logo(form.picture.data.read())
            toast(_("The logo was saved."))
            return go(url_for("settings.company"))
    except Refused as refused:
        form.picture.errors = [str(refused)]
    fixed = service.currency_is_fixed()
    panel = forms.CompanyForm(obj=service.company(), formdata=None, currency_is_fixed=fixed)
    return _answer("company", panel, 422, currency_is_fixed=fixed, **_logo(form))


@bp.route("/facturacion/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def billing() -> Response:
    """Tax, document, minimum days, tolerances."""
    return _panel("billing", forms.BillingForm)


@bp.route("/correo/", methods=["GET", "POST"])
@administrators
def mail() -> Response:
    """The mail server. For administrators only: every link that opens an account goes through it."""
    trial = forms.TrialForm(address=current_user.email, formdata=None)
    before = hooks.mail_present() if hooks.mail_present is not None and request.method == "POST" else None
    context = {"trial": trial, "result": None, "has_password": bool(service.company().mail_password)}

    def tell(changed: set[str]) -> None:
        if changed & service.MAIL and hooks.mail_changed is not None:
            hooks.mail_changed(before)

    return _panel("mail", forms.MailForm, tell, **context)


@bp.post("/correo/prueba/")
@administrators
@one_at_a_time
def mail_trial() -> Response:
    """Send a test e-mail with the saved settings and say what the server answered."""
    form = forms.TrialForm()
    result = None
    if form.validate_on_submit() and hooks.mail_trial is not None:
        result = hooks.mail_trial(form.address.data or "")
    return _answer(
        "mail",
        forms.MailForm(obj=service.company(), formdata=None),
        200 if result else 422,
        partial="settings/_trial.html",
        trial=form,
        result=result,
        has_password=bool(service.company().mail_password),
    )


@bp.route("/alertas/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def alerts() -> Response:
    """Addresses for alerts."""
    return _panel("alerts", forms.AlertsForm)


@bp.route("/frenos/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def brakes() -> Response:
    """The hours and days in which clients may be cut."""
    return _panel("brakes", forms.BrakesForm)


@bp.route("/router/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def lists() -> Response:
    """The names of the lists on the routers."""
    return _panel("lists", forms.ListsForm)


def _logo(form: forms.LogoForm) -> dict[str, Any]:
    return {"logo": form, "picture": service.logo_text(), "logo_limit": pictures.MAX_BYTES // 1000}


def _panel(
    key: str, form_class: Callable[..., forms.Panel], after: Callable[[set[str]], None] | None = None, **context: Any
) -> Response:
    """Show a panel, or save it: invalid is 422 with the reason at the field, saved goes back to the panel."""
    form = form_class(obj=service.company())
    if not form.validate_on_submit():
        return _answer(key, form, 422 if request.method == "POST" else 200, **context)
    try:
        with transaction():
            changed = service.save_company(form.values())
    except Refused as refused:
        form.form_errors.append(str(refused))
        return _answer(key, form, 422, **context)
    formats.forget()
    if after is not None:
        after(changed)
    toast(_("Saved.") if changed else _("There was nothing to change."), "success" if changed else "info")
    return go(url_for(f"settings.{key}"))


def _answer(key: str, form: forms.Panel, status: int, partial: str | None = None, **context: Any) -> Response:
    return render(f"settings/{key}.html", partial=partial, form=form, status=status, **context)
