"""Pages of routers: list with live state, data, billing zones, tools."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.core.crypto import SecretUnreadable
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.gateway import Target
from wisp.routers import dates, health, service, texts
from wisp.routers.forms import RouterForm, ScheduleForm, SwitchForm, ZoneForm, typed
from wisp.routers.models import Router, Zone
from wisp.schedules.domain import Kind, Timetable
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings
from wisp.web import can, go, is_partial, registry, render, requires, scope, toast
from wisp.web.requests import row_number
from wisp.web.tables import Listing, csv_response, search_text
from wisp.web.turns import one_at_a_time

bp = Blueprint("routers", __name__, url_prefix="/router")
SORTS = {
    "name": (sa.func.lower(Router.name), Router.id), "state": Router.online, "host": (Router.host, Router.port),
    "version": Router.version, "identity": Router.identity,
}  # fmt: skip


@bp.get("/")
@requires(Permission.ROUTERS_VIEW)
def index() -> Response:
    """All routers with their live state; the table asks for itself every few seconds."""
    listing = Listing(service.listing(scope(), search_text()), SORTS, default="name")
    marks = [of_them([router.id for router in listing.rows]) for of_them in registry.router_marks.values()]
    return render(
        "routers/list.html", partial="routers/_table.html",
        listing=listing, routers=listing.rows, zones=_zones_by_router(), texts=texts, marks=marks,
    )  # fmt: skip


def _zones_by_router() -> dict[int, list[str]]:
    zones: dict[int, list[str]] = {}
    for zone in service.zones(scope()):
        zones.setdefault(zone.router_id, []).append(zone.name)
    return zones


@bp.get("/exportar.csv")
@requires(Permission.ROUTERS_VIEW)
def export() -> Response:
    """The routers that the list shows, as a CSV file."""
    head = (_("Router"), _("State"), _("Address"), "RouterOS", _("Model"), _("Identity"), _("Billing zones"))
    zones = _zones_by_router()
    found = session().scalars(service.listing(scope(), search_text()).order_by(*SORTS["name"]))
    return csv_response(
        "routers.csv", [str(text) for text in head],
        [
            (router.name, texts.state(router), f"{router.host}:{router.port}", router.version, router.board,
             router.identity, "; ".join(zones.get(router.id, [])))
            for router in found
        ],
    )  # fmt: skip


@bp.route("/nuevo/", methods=["GET", "POST"])
@requires(Permission.ROUTERS_EDIT)
def add() -> Response:
    """A new router."""
    form = RouterForm()
    if not form.validate_on_submit():
        return _form_page(form, None)
    if not typed(form.password):
        form.password.errors = [str(Refused("routers.password"))]
        return _form_page(form, None)
    try:
        with transaction():
            router_id = service.add_router(form.values()).id
    except Refused as refused:
        form.form_errors.append(str(refused))
        return _form_page(form, None)
    toast(_("The router is saved. Now add its first billing zone."))
    return go(url_for("routers.zone_add", router_id=router_id))


@bp.route("/<int:router_id>/", methods=["GET", "POST"])
@requires(Permission.ROUTERS_VIEW)
def edit(router_id: int) -> Response:
    """Tab "Datos"."""
    router = _router(router_id)
    form = RouterForm(obj=router, router_id=router.id)
    if request.method == "GET":
        return _form_page(form, router)
    _may_edit()
    _wholly_mine(router)
    if not form.validate_on_submit():
        return _form_page(form, router)
    try:
        with transaction():
            service.edit_router(_router(router_id), form.values())
    except Refused as refused:
        form.form_errors.append(str(refused))
        return _form_page(form, _router(router_id))
    toast(_("Saved."))
    return go(url_for("routers.edit", router_id=router_id))


def _form_page(form: RouterForm, router: Router | None, found: Any = None) -> Response:
    status = 422 if request.method == "POST" and found is None else 200
    return render(
        "routers/data.html", partial="routers/_probe.html", status=status, form=form, router=router, found=found,
        tab="data", cause=texts.cause, lacking=texts.lacking,
    )  # fmt: skip


@bp.post("/<int:router_id>/archivar/")
@requires(Permission.ROUTERS_EDIT)
def archive(router_id: int) -> Response:
    """Put a router without active clients away."""
    router = _router(router_id)
    _wholly_mine(router)
    try:
        with transaction():
            service.archive_router(_router(router_id))
    except Refused as refused:
        toast(str(refused), "danger")
        return go(url_for("routers.edit", router_id=router_id))
    toast(_("The router “%(name)s” is archived.", name=router.name))
    return go(url_for("routers.index"))


# Asking the router -----------------------------------------------------------------------------------


@bp.post("/probar/")
@requires(Permission.ROUTERS_EDIT)
@one_at_a_time
def try_out() -> Response:
    """Test the connection with what the form holds, before it is saved. Only that it was tried is written down."""
    form = RouterForm()
    saved_id = row_number(form.router_id.data)
    router = _router(saved_id) if saved_id is not None else None
    if not form.validate_on_submit():
        found = health.Health(error="form")
        return _form_page(form, router, found)
    try:
        target = _target(form, router)
    except (Refused, SecretUnreadable) as refused:
        return _form_page(form, router, health.Health(error="form", detail=_why(refused)))
    with transaction():
        service.note_test(target, router)
    found = health.ask(target, policies=True)  # nothing of the database is held while the network is waited for
    return _form_page(form, _router(router.id) if router else None, found)


def _target(form: RouterForm, router: Router | None) -> Target:
    values = service.normal(form.values())
    if values.password is not None:
        return service.target_of(values, values.password)
    if router is None:
        raise Refused("routers.password")
    service.password_stays_home(router, values)
    return service.target_of(values, service.target(router).password)


def _why(error: Exception) -> str:
    return texts.cause(health.UNREADABLE) if isinstance(error, SecretUnreadable) else str(error)


@bp.post("/<int:router_id>/probar/")
@requires(Permission.ROUTERS_VIEW)
@one_at_a_time
def probe(router_id: int) -> Response:
    """Ask a saved router now and write down what was found."""
    _router(router_id)
    wanted = health.targets([router_id])
    session().rollback()
    for known_id, found, asked_at in health.ask_all(wanted):
        with transaction():
            health.record(known_id, found, asked_at)
    return _tools_page(_router(router_id))


@bp.get("/<int:router_id>/herramientas/")
@requires(Permission.ROUTERS_VIEW)
def tools(router_id: int) -> Response:
    """Tab "Herramientas"."""
    return _tools_page(_router(router_id))


def _tools_page(router: Router) -> Response:
    marks = [of_them([router.id]) for of_them in registry.router_marks.values()]
    return render(
        "routers/tools.html", partial="routers/_health.html", router=router, tab="tools", texts=texts, marks=marks
    )


# Billing zones ---------------------------------------------------------------------------------------


@bp.get("/<int:router_id>/zonas/")
@requires(Permission.ROUTERS_VIEW)
def zones(router_id: int) -> Response:
    """Tab "Facturación - Zona": the router's zones with their three tasks."""
    router = _router(router_id)
    found = service.zones_of(router, scope())
    cycles = {zone.id: dates.of_schedule(zone.schedule) for zone in found}
    return render("routers/zones.html", router=router, zones=found, cycles=cycles, tab="zones", **schedule_words())


@bp.route("/<int:router_id>/zonas/nueva/", methods=["GET", "POST"])
@requires(Permission.ROUTERS_EDIT)
def zone_add(router_id: int) -> Response:
    """A new billing zone; its three tasks come into being with it."""
    router = _router(router_id)
    if scope().zone_ids is not None:
        abort(403)  # somebody who is limited to some zones would not see the new one
    form = ZoneForm(name=None if service.zones_of(router) else router.name)
    if not form.validate_on_submit() or "preview" in request.form:
        return _zone_page(form, router, None)
    try:
        with transaction():
            service.add_zone(_router(router_id), form.name.data or "", **form.schedule_values())
    except Refused as refused:
        form.form_errors.append(str(refused))
        return _zone_page(form, _router(router_id), None)
    toast(_("The zone is saved. Its three periodic tasks are planned."))
    return go(url_for("routers.zones", router_id=router_id))


@bp.route("/<int:router_id>/zonas/<int:zone_id>/", methods=["GET", "POST"])
@requires(Permission.ROUTERS_VIEW)
def zone_edit(router_id: int, zone_id: int) -> Response:
    """A zone's name and schedule. Where a new day has gone by in this month, it asks first (no silent choice)."""
    router, zone = _zone(router_id, zone_id)
    form = ZoneForm(data={"name": zone.name, **ScheduleForm.data_of(zone.schedule)})
    if request.method == "GET":
        return _zone_page(form, router, zone)
    _may_edit()
    if not form.validate_on_submit() or "preview" in request.form:
        return _zone_page(form, router, zone)
    try:
        with transaction():
            zone = _zone(router_id, zone_id)[1]
            service.edit_zone(
                zone, name=form.name.data, this_month=form.choices(),
                may_apply=can(Permission.PERIODIC_TASKS_APPLY), gap=form.gap.data or "ask", **form.schedule_values(),
            )  # fmt: skip
    except Refused as refused:
        router, zone = _zone(router_id, zone_id)
        asked = str(refused) if refused.code == "billing.gap" else ""
        if not asked and refused.code != "schedules.needs_choice":
            form.form_errors.append(str(refused))
        return _zone_page(form, router, zone, asked)
    toast(_("Saved. The next runs are recomputed."))
    return go(url_for("routers.zones", router_id=router_id))


@bp.post("/<int:router_id>/zonas/<int:zone_id>/tareas/")
@requires(Permission.ROUTERS_VIEW, Permission.PERIODIC_TASKS_TOGGLE)
def zone_switch(router_id: int, zone_id: int) -> Response:
    """Switch one of the zone's tasks on or off; tasks of clients with own billing are never touched."""
    _zone(router_id, zone_id)
    form = SwitchForm()
    if not form.validate_on_submit():
        abort(400)
    with transaction():
        zone = _zone(router_id, zone_id)[1]
        service.switch_zone(zone, form.wanted())
    say_switched(form)
    if not is_partial():
        return go(url_for("routers.zones", router_id=router_id))
    router, zone = _zone(router_id, zone_id)
    return render("routers/_switches.html", router=router, zone=zone, **schedule_words())


def say_switched(form: SwitchForm) -> None:
    """Tell the person what a switch has done."""
    task = texts.KINDS[form.kind.data or ""]
    if form.enabled.data == "on":
        toast(_("%(task)s: active. Its next run is shown.", task=task))
    else:
        toast(_("%(task)s: inactive. From now on it runs by hand only.", task=task))


@bp.get("/zonas/fechas/")
@requires(Permission.ROUTERS_VIEW)
def zone_dates() -> Response:
    """The next twelve dates of each task of the zone being edited, for the form's live part."""
    form = ZoneForm(request.args, meta={"csrf": False})
    zone_id = row_number(request.args.get("zone_id"))
    zone = service.get_zone(zone_id, scope()) if zone_id is not None else None
    context = schedule_context(form, zone.schedule if zone else None)
    return render("routers/dates.html", partial="routers/_dates.html", form=form, zone=zone, **context)


def _zone_page(form: ZoneForm, router: Router, zone: Zone | None, gap_asked: str = "") -> Response:
    context = schedule_context(form, zone.schedule if zone else None)
    wrong = request.method == "POST" and "preview" not in request.form
    return render(
        "routers/zone.html", partial="routers/_zone_form.html", status=422 if wrong else 200,
        form=form, router=router, zone=zone, tab="zones", gap_asked=gap_asked, **context,
    )  # fmt: skip


def schedule_context(
    form: ScheduleForm,
    schedule: BillingSchedule | None,
    begin: Callable[[Timetable, str], list[Kind]] | None = None,
) -> dict[str, Any]:
    """What the schedule part of a form needs: the next cycles, and whether this month is to be asked for.

    ``begin`` answers that for a schedule that would only now come into force.
    """
    preview, days = None, form.timetable()
    if days is not None:
        try:
            preview = dates.preview(form.timezone.data or "", days, schedule)
            if begin is not None:
                preview = preview.asking(begin(days, form.timezone.data or ""), days)
        except Refused:
            preview = None
    return {"preview": preview, **schedule_words()}


def schedule_words() -> dict[str, Any]:
    """The names of kinds and types, and the company's time zone, for templates that show a schedule."""
    return {
        "kinds": texts.KINDS,
        "types": texts.TYPES,
        "oddity": texts.oddity,
        "company_timezone": settings.company().timezone,
        "may_apply": can(Permission.PERIODIC_TASKS_APPLY),
    }


def _router(router_id: int) -> Router:
    router = service.get_router(router_id, scope())
    if router is None:
        abort(404)
    return router


def _zone(router_id: int, zone_id: int) -> tuple[Router, Zone]:
    zone = service.get_zone(zone_id, scope())
    if zone is None or zone.router_id != router_id:
        abort(404)
    return zone.router, zone


def _wholly_mine(router: Router) -> None:
    if any(not scope().allows(zone.id) for zone in service.zones_of(router)):
        abort(403)  # it serves zones that are not this person's, too


def _may_edit() -> None:
    if not can(Permission.ROUTERS_EDIT):
        abort(403)
