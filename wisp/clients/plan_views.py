"""Pages of plans."""

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.clients import domain, plans
from wisp.clients.forms import PlanForm
from wisp.clients.models import Plan
from wisp.core import money
from wisp.core.db import read_parts, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.settings.service import company, currency_is_fixed
from wisp.web import go, render, requires, toast
from wisp.web.tables import Listing, csv_response, search_text

bp = Blueprint("plans", __name__, url_prefix="/planes")
SORTS = {
    "name": (sa.func.lower(Plan.name), Plan.id), "price": Plan.price, "down": Plan.down, "up": Plan.up,
    "clients": plans.COUNT, "state": Plan.active,
}  # fmt: skip


@bp.get("/")
@requires(Permission.CLIENTS_VIEW)
def index() -> Response:
    """All plans, with how many clients have each."""
    query: Any = plans.listing(search_text())
    listing = Listing(query, SORTS, default="name")
    return render("plans/list.html", partial="plans/_table.html", listing=listing, write_speed=domain.write_speed)


@bp.get("/exportar.csv")
@requires(Permission.CLIENTS_VIEW)
def export() -> Response:
    """The plans that the list shows, as a CSV file."""
    head = (_("Plan"), _("Monthly price"), _("Download"), _("Upload"), _("Clients"), _("State"))
    currency = company().currency
    rows = read_parts(plans.listing(search_text()).order_by(*SORTS["name"]))
    return csv_response(
        "planes.csv", [str(text) for text in head],
        (
            (plan.name, money.plain(plan.price, currency), domain.write_speed(plan.down), domain.write_speed(plan.up),
             clients, str(_("Offered") if plan.active else _("Not offered")))
            for plan, clients in rows
        ),
    )  # fmt: skip


@bp.route("/nuevo/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def add() -> Response:
    """A new plan."""
    form = PlanForm()
    if form.validate_on_submit():
        try:
            with transaction():
                plans.add(
                    form.name.data or "", form.price.data or 0, form.down.data, form.up.data,
                    form.router_profile.data or "",
                )  # fmt: skip
        except Refused as refused:
            saved = _there_already(form)
            if not saved:
                form.form_errors.append(str(refused))
        else:
            saved = True
        if saved:
            toast(_("The plan is saved."))
            return go(url_for("plans.index"))
    return _page(form, None)


def _there_already(form: PlanForm) -> bool:
    """True for a plan that stands just so: of two clicks the browser shows the second answer alone."""
    name = (form.name.data or "").strip()
    wanted = (name, form.price.data or 0, form.down.data, form.up.data, True)
    return any((plan.name, plan.price, plan.down, plan.up, plan.active) == wanted for plan in plans.plans())


@bp.route("/<int:plan_id>/", methods=["GET", "POST"])
@requires(Permission.SETTINGS_MANAGE)
def edit(plan_id: int) -> Response:
    """Change a plan; invoices already issued keep what they say."""
    plan = _plan(plan_id)
    form = PlanForm(obj=plan)
    if form.validate_on_submit():
        try:
            with transaction():
                plans.edit(
                    _plan(plan_id), name=form.name.data or "", price=form.price.data or 0, down=form.down.data,
                    up=form.up.data, active=bool(form.active.data), router_profile=form.router_profile.data or "",
                )  # fmt: skip
        except Refused as refused:
            form.form_errors.append(str(refused))
        else:
            toast(_("Saved."))
            return go(url_for("plans.index"))
    return _page(form, _plan(plan_id))


def _page(form: PlanForm, plan: Plan | None) -> Response:
    return render(
        "plans/edit.html", status=422 if request.method == "POST" else 200, form=form, plan=plan,
        currency_is_fixed=currency_is_fixed(),
    )  # fmt: skip


def _plan(plan_id: int) -> Plan:
    plan = plans.get(plan_id)
    if plan is None:
        abort(404)
    return plan
