"""Pages of clients: list, file, edit, cancel. The upload of a CSV is in import_views, plans are in plan_views."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.clients import changeover, csvexport, listing, networks, plans, service, texts
from wisp.clients.forms import BillingForm, ConnectionForm, DataForm, ExclusionsForm, NewClientForm
from wisp.clients.listing import Filters
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.routers import dates
from wisp.routers import service as routers
from wisp.routers.forms import SwitchForm
from wisp.routers.views import say_switched, schedule_context, schedule_words
from wisp.schedules.domain import Kind, month_of
from wisp.settings import service as settings
from wisp.web import can, go, is_partial, render, requires, scope, toast
from wisp.web.forms import put_error
from wisp.web.requests import row_number
from wisp.web.tables import COUNT_LIMIT, Listing, csv_stream, search_text

bp = Blueprint("clients", __name__, url_prefix="/clientes")

SEARCH_COUNT = 1_000
TWO_CLICKS = timedelta(minutes=1)
"""A client added so short a time ago, with the same values, is the one that the form meant."""
FIELD_OF = {
    "clients.code_taken": "code",
    "clients.address_taken": "address",
    "clients.address6_taken": "address6",
    "clients.network_taken": "networks",
    "clients.username_taken": "username",
    "clients.username_required": "username",
}


def _filters() -> Filters:
    state, billing, debt = (request.args.get(name, "") for name in ("state", "billing", "debt"))
    return Filters(
        text=search_text(),
        zone_id=row_number(request.args.get("zone")),
        state=state if state in listing.STATES else "current",
        billing=billing if billing in ("zone", "own") else "",
        plan_id=row_number(request.args.get("plan")),
        debt=debt if debt in listing.DEBTS and can(Permission.INVOICES_VIEW) else "",
    )


def _debts(clients: Sequence[Client]) -> dict[int, Any] | None:
    """What the clients of a page owe, for whoever may see it."""
    if listing.accounts is None or not can(Permission.INVOICES_VIEW):
        return None
    return listing.accounts.debts([client.id for client in clients])


@bp.get("/")
@requires(Permission.CLIENTS_VIEW)
def index() -> Response:
    """Search, filter, sort, page."""
    filters = _filters()
    limit = SEARCH_COUNT if filters.text else COUNT_LIMIT  # counting what a search finds costs more than a whole list
    found = Listing(listing.query(scope(), filters), listing.SORTS, default="name", count_limit=limit)
    zones = routers.zone_names(scope())
    return render(
        "clients/list.html", partial="clients/_table.html", listing=found, filters=filters,
        zones={zone.id: zone for zone in zones}, plans={plan.id: plan.name for plan in plans.plans()},
        several_routers=len({zone.router_id for zone in zones}) > 1, standings=listing.standings(found.rows),
        debts=_debts(found.rows), texts=texts,
    )  # fmt: skip


@bp.get("/accion/exportar/")
@requires(Permission.CLIENTS_VIEW)
def export() -> Response:
    """The list as it is filtered, as a CSV that imports again; never with passwords."""
    pieces = chain(["\ufeff"], csvexport.export(scope(), _filters()))
    return csv_stream(f"clients-{settings.today()}.csv", pieces)


@bp.route("/accion/nuevo/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_EDIT)
def add() -> Response:
    """A new client."""
    form = NewClientForm(language=settings.company().language, installed_on=settings.today())
    _choices(form, None)
    status = 422 if request.method == "POST" else 200
    if form.validate_on_submit():
        try:
            with transaction():
                zone, plan = _chosen(form)
                service.add(
                    code=form.code.data or "", zone=zone, plan=plan, **{**form.values(), **form.connection_values()}
                )
        except Refused as refused:
            saved = _just_added(form)
            if not saved:
                put_error(form, refused, FIELD_OF)
        else:
            saved = True
        if saved:
            toast(_("The client is saved."))
            return go(url_for("clients.show", code=form.code.data))
    return render("clients/add.html", status=status, form=form, has_zones=bool(form.zone.choices), texts=texts)


def _just_added(form: NewClientForm) -> bool:
    """True where this very form was saved a moment ago: of two clicks the browser shows the second answer alone."""
    try:
        client = service.find(form.code.data or "", scope())
    except Refused:
        return False
    there = (client.name, client.zone_id, client.plan_id, client.connection, client.address or "")
    meant = ((form.name.data or "").strip(), form.zone.data, form.plan.data, form.connection.data)
    same = there == (*meant, (form.address.data or "").strip())
    return same and clock.now() - client.created_at < TWO_CLICKS


@bp.get("/<code>/")
@requires(Permission.CLIENTS_VIEW)
def show(code: str) -> Response:
    """The client's file."""
    client = _client(code)
    return _page("clients/show.html", client, "file", networks=networks.of([client.id]).get(client.id, ()))


@bp.route("/<code>/datos/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_VIEW)
def data(code: str) -> Response:
    """Tab "Datos"."""
    client = _client(code)
    form = DataForm(obj=client)
    if request.method == "GET":
        form.zone.data, form.plan.data = client.zone_id, client.plan_id
    _choices(form, client)
    if not _submitted(form):
        return _page("clients/data.html", client, "data", form)
    try:
        with transaction():
            zone, plan = _chosen(form)
            service.edit(_client(code), zone=zone, plan=plan, gap=form.gap.data or "ask", **form.values())
    except Refused as refused:
        asked = str(refused) if refused.code == "billing.gap" else ""
        if not asked:
            put_error(form, refused, FIELD_OF)
        return _page("clients/data.html", _client(code), "data", form, gap_asked=asked)
    return _saved("clients.data", code)


@bp.route("/<code>/conexion/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_VIEW)
def connection(code: str) -> Response:
    """Tab "Conexión"."""
    client = _client(code)
    form = ConnectionForm(obj=client, networks=networks.of([client.id]).get(client.id, ()))
    if not _submitted(form):
        return _page("clients/connection.html", client, "connection", form)
    try:
        with transaction():
            service.edit(_client(code), **form.connection_values())
    except Refused as refused:
        put_error(form, refused, FIELD_OF)
        return _page("clients/connection.html", _client(code), "connection", form)
    return _saved("clients.connection", code)


@bp.route("/<code>/facturacion/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_VIEW)
def billing(code: str) -> Response:
    """Tab "Facturación": what the tasks leave out, and the schedule that counts for the client."""
    client = _client(code)
    form = ExclusionsForm(obj=client)
    if not _submitted(form):
        return _billing_page(client, form, _billing_form(client))
    try:
        with transaction():
            service.edit(_client(code), **form.values())
    except Refused as refused:
        put_error(form, refused, FIELD_OF)
        client = _client(code)
        return _billing_page(client, form, _billing_form(client))
    return _saved("clients.billing", code)


@bp.post("/<code>/facturacion/propia/")
@requires(Permission.CLIENTS_EDIT)
def own_billing(code: str) -> Response:
    """Give the client a schedule of its own, change it, or bill it with its zone again."""
    client = _client(code)
    form = BillingForm()
    valid = form.billing.data == "zone" or form.validate_on_submit()
    if not valid or "preview" in request.form:
        return _billing_page(client, ExclusionsForm(obj=client, formdata=None), form)
    try:
        with transaction():
            hole = _change_billing(_client(code), form)
    except Refused as refused:
        asked = str(refused) if refused.code == "billing.gap" else ""
        if not asked and refused.code != "schedules.needs_choice":
            form.form_errors.append(str(refused))
        client = _client(code)
        return _billing_page(client, ExclusionsForm(obj=client, formdata=None), form, asked)
    if hole and form.gap.data == "waive":
        toast(texts.unbilled(hole), "warning")
    return _saved("clients.billing", code)


def _change_billing(client: Client, form: BillingForm) -> changeover.Unbilled | None:
    """Do what the form says; the days that nobody bills because of it."""
    before = changeover.present(client)
    if form.billing.data == "zone":
        service.zone_billing(client, gap=form.gap.data or "ask")
    else:
        may_apply = can(Permission.PERIODIC_TASKS_APPLY)
        service.own_billing(
            client, this_month=form.choices(), may_apply=may_apply, gap=form.gap.data or "ask",
            **form.schedule_values(),
        )  # fmt: skip
    return changeover.unbilled(client, changeover.present(client), before)


@bp.post("/<code>/facturacion/tareas/")
@requires(Permission.CLIENTS_VIEW, Permission.PERIODIC_TASKS_TOGGLE)
def switch(code: str) -> Response:
    """Switch one of the client's own tasks on or off: this client's alone."""
    client = _client(code)
    form = SwitchForm()
    if not form.validate_on_submit():
        abort(400)
    try:
        with transaction():
            service.switch(_client(code), form.wanted())
    except Refused as refused:
        toast(str(refused), "danger")
        return go(url_for("clients.billing", code=code))
    say_switched(form)
    client = _client(code)
    if not is_partial():
        return go(url_for("clients.billing", code=code))
    return render("clients/_switches.html", client=client, **schedule_words())


@bp.get("/<code>/facturacion/fechas/")
@requires(Permission.CLIENTS_VIEW)
def billing_dates(code: str) -> Response:
    """The next dates of the client's own schedule while it is being edited."""
    client = _client(code)
    form = BillingForm(request.args, meta={"csrf": False})
    context = _schedule_context(client, form)
    return render("routers/dates.html", partial="routers/_dates.html", form=form, **context)


def _schedule_context(client: Client, form: BillingForm) -> dict[str, Any]:
    """The dates of the form, the question about this month, and the days that nobody would bill."""
    begin = None if client.own_billing else partial(service.begin_choices, client)
    context = schedule_context(form, client.schedule, begin)
    return context | {"unbilled": _unbilled(client, form, context["preview"])}


def _unbilled(client: Client, form: BillingForm, preview: Any) -> str:
    """What is said of days that saving the form would leave unbilled; empty where there are none."""
    days = form.due_day.data
    if preview is None or not isinstance(days, int) or not 1 <= days <= 31:
        return ""
    first = preview.next_at[Kind.invoices].astimezone(preview.timezone).date()
    if form.choices().get(Kind.invoices) == "run" and Kind.invoices in preview.passed:
        first = clock.today(preview.timezone)
    new = changeover.Terms(month_of(first), form.invoices_day.data or 1, days, form.billing_type.data or "prepaid")
    hole = changeover.unbilled(client, new, changeover.present(client))
    return texts.unbilled(hole) if hole else ""


def _back_to_zone(client: Client) -> str:
    """The same for going back to the zone's billing."""
    if not client.own_billing:
        return ""
    hole = changeover.unbilled(client, changeover.terms_of(client.zone.schedule), changeover.present(client))
    return texts.unbilled(hole) if hole else ""


def _billing_form(client: Client) -> BillingForm:
    """The form as the client is billed now; for zone billing its fields begin with the zone's days."""
    schedule = client.schedule if client.own_billing and client.schedule else client.zone.schedule
    data = {**BillingForm.data_of(schedule), "billing": "own" if client.own_billing else "zone"}
    return BillingForm(formdata=None, data=data)


def _billing_page(client: Client, form: ExclusionsForm, billing_form: BillingForm, gap_asked: str = "") -> Response:
    context = _schedule_context(client, billing_form)
    return _page(
        "clients/billing.html", client, "billing", form, billing_form=billing_form, gap_asked=gap_asked,
        zone_unbilled=_back_to_zone(client), zone_cycles=dates.of_schedule(client.zone.schedule), **context,
    )  # fmt: skip


@bp.post("/<code>/cancelar/")
@requires(Permission.CLIENTS_CANCEL)
def cancel(code: str) -> Response:
    """End the client's contract; the history stays."""
    client = _client(code)
    try:
        with transaction():
            service.cancel(_client(code))
    except Refused as refused:
        if refused.code != "clients.cancelled":  # of two clicks only the second answer is seen
            toast(str(refused), "warning")
            return go(url_for("clients.show", code=code))
    toast(_("%(name)s is cancelled. Invoices, payments and history are kept.", name=client.name))
    return go(url_for("clients.show", code=code))


def _page(template: str, client: Client, tab: str, form: Any = None, **context: Any) -> Response:
    status = 422 if request.method == "POST" and "preview" not in request.form else 200
    editable = can(Permission.CLIENTS_EDIT) and client.cancelled_at is None
    return render(
        template, status=status, client=client, tab=tab, form=form, editable=editable, texts=texts,
        standing=listing.standings([client])[client.id], now=clock.now(), **context,
    )  # fmt: skip


def _client(code: str) -> Client:
    """The client inside the person's scope, else 404."""
    try:
        return service.find(code, scope())
    except Refused:
        abort(404)


def _submitted(form: Any) -> bool:
    """True for a valid form of somebody who may edit; 403 for a form of somebody who may not."""
    if request.method == "POST" and not can(Permission.CLIENTS_EDIT):
        abort(403)
    return bool(form.validate_on_submit())


def _saved(endpoint: str, code: str) -> Response:
    # "Saved" also where nothing differed: the second of two clicks has nothing left to change, and only it is seen.
    toast(_("Saved."))
    return go(url_for(endpoint, code=code))


def _choices(form: DataForm, client: Client | None) -> None:
    """What can be chosen: zones inside the person's scope, plans that are offered (or that the client has)."""
    form.zone.choices = [(zone.id, f"{zone.router} · {zone.name}") for zone in routers.zone_names(scope())]
    own = client.plan_id if client else None
    form.plan.choices = [(plan.id, plan.name) for plan in plans.plans() if plan.active or plan.id == own]


def _chosen(form: DataForm) -> tuple[Any, Any]:
    zone, plan = routers.get_zone(form.zone.data or 0, scope()), plans.get(form.plan.data or 0)
    if zone is None or plan is None:
        raise Refused("clients.conflict")
    return zone, plan
