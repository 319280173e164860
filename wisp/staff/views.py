"""The staff pages: the list, adding by invitation, data, permissions, zones, deactivating."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import PRESETS, WITHOUT_FEATURE, Permission, Role
from wisp.outbox import transport
from wisp.routers import service as routers
from wisp.settings import service as settings
from wisp.staff import changes, links, listing, presenters, service, throttle, totp
from wisp.staff.forms import StaffForm
from wisp.staff.models import StaffUser
from wisp.staff.texts import GROUPS, HELP, PERMISSIONS, ROLES, group_of
from wisp.web import go, render, requires, scope, toast
from wisp.web.errors import problem
from wisp.web.requests import row_numbers
from wisp.web.tables import Listing, csv_response, search_text

bp = Blueprint("staff", __name__, url_prefix="/staff")
FORBIDDEN = {"staff.only_admins", "staff.yourself", "staff.not_yours", "staff.zones_yours"}
"""Refusals that only a forged or outdated request meets: answered with 403."""


def _filters() -> listing.Filters:
    asked = request.args
    return listing.Filters(search_text(), asked.get("role", "")[:12], asked.get("state", "")[:12])


@bp.get("/")
@requires(Permission.STAFF_MANAGE)
def index() -> Response:
    """Everybody, with role, zones and permissions."""
    only, names = _filters(), {zone.id: zone.name for zone in routers.zone_names(scope())}
    found = Listing(listing.query(only), listing.SORTS, default="state")
    people = [(user, sorted(service.permissions_of(user))) for user in listing.prepared(found.rows)]
    return render(
        "staff/list.html", partial="staff/_table.html", listing=found, people=people, only=only, roles=ROLES,
        states=presenters.STATES, permissions=PERMISSIONS, state_of=listing.state_of,
        zones_text=lambda user: presenters.zones_text(user, names, scope()),
    )  # fmt: skip


@bp.get("/exportar.csv")
@requires(Permission.STAFF_MANAGE)
def export() -> Response:
    """The people of the list as a CSV file."""
    names = {zone.id: zone.name for zone in routers.zone_names(scope())}
    ordered = listing.query(_filters()).order_by(*listing.SORTS["state"], StaffUser.id)
    people = listing.prepared(session().scalars(ordered).all())
    return csv_response(
        f"personal-{settings.today()}.csv", presenters.csv_head(), list(presenters.csv_rows(people, names, scope()))
    )


@bp.route("/agregar/", methods=["GET", "POST"])
@requires(Permission.STAFF_MANAGE)
def add() -> Response:
    """Invite somebody: the e-mail holds a link that works once."""
    form = StaffForm(role=Role.SUPPORT.value)
    form.role.choices = _roles(None)
    if not form.validate_on_submit():
        return render("staff/add.html", form=form, status=422 if form.errors else 200)
    try:
        with transaction():
            user = service.invite(form.email.data or "", form.name.data or "", form.role.data, current_user.manager)
            links.send(user, links.INVITATION)
            user_id = user.id
    except Refused as refused:
        return _refused(refused, lambda: render("staff/add.html", form=form, status=422), form)
    _say_mailed(_("The invitation is on its way. Check now what the person may do."))
    return go(url_for("staff.data" if form.role.data == Role.ADMIN else "staff.permissions", user_id=user_id))


def _say_mailed(text: str) -> None:
    """The e-mail goes out at once, or waits until there is a mail server: nobody must wait for it in vain."""
    if transport.configured():
        toast(text)
    else:
        toast(_("The invitation waits: no mail server is set. It goes out once there is one."), "warning")


def _roles(user: StaffUser | None) -> list[tuple[str, Any]]:
    """The roles that the logged-in user may give: those whose permissions it has, and the one that is there."""
    manager = current_user.manager
    return [
        (role.value, label)
        for role, label in ROLES.items()
        if (user is not None and user.role == role)
        or (manager.admin if role == Role.ADMIN else manager.permissions >= PRESETS[role])
    ]


def _refused(refused: Refused, page: Callable[[], Response], form: StaffForm | None = None) -> Response:
    """403 for what the pages do not offer; else the sentence at its field or above the form."""
    if refused.code == "staff.gone":
        abort(404)
    if refused.code in FORBIDDEN:
        return problem(403, str(refused), _("Nothing was changed."))
    if form is None:
        toast(str(refused), "danger")
        return page()
    fields = {
        "staff.email": form.email, "staff.taken": form.email, "staff.name": form.name,
        "staff.password_wrong": form.password,
    }  # fmt: skip
    if refused.code in fields:
        fields[refused.code].errors = [str(refused)]
    else:
        form.form_errors.append(str(refused))
    return page()


@bp.route("/<int:user_id>/", methods=["GET", "POST"])
@requires(Permission.STAFF_MANAGE)
@throttle.own_password
def data(user_id: int) -> Response:
    """Tab "Datos": name, address and role; deactivating, another invitation, a lost phone."""
    user = _person(user_id)
    form = StaffForm(obj=user)
    form.role.choices = _roles(user)
    if not form.validate_on_submit():
        return _data_page(form, user)
    try:
        with transaction():
            values = form.email.data or "", form.name.data or "", form.role.data
            seen, password = request.form.get("seen"), form.password.data or ""
            changes.edit(user_id, *values, current_user.manager, seen, password)
    except Refused as refused:
        if refused.code == "staff.changed":
            form.role.data = form.role.default = _person(user_id).role
        return _refused(refused, lambda: _data_page(form, _person(user_id)), form)
    toast(_("Saved."))
    return go(url_for("staff.data", user_id=user_id))


def _data_page(form: StaffForm, user: StaffUser) -> Response:
    status = 422 if request.method == "POST" else 200
    return _tab("staff/data.html", user, "data", status=status, form=form, second=totp.enabled(user))


@bp.route("/<int:user_id>/permisos/", methods=["GET", "POST"])
@requires(Permission.STAFF_MANAGE)
def permissions(user_id: int) -> Response:
    """Tab "Permisos": each one with what it allows. A preset only fills the boxes in; saving is what counts."""
    user = _person(user_id)
    if request.method == "POST":
        known = set(Permission)
        wanted = {Permission(text) for text in request.form.getlist("permission") if text in known}
        # Their boxes cannot be changed or are not there, so they are not sent.
        kept = service.permissions_of(user) & (WITHOUT_FEATURE | set(Permission) - current_user.permissions)
        try:
            with transaction():
                changes.set_permissions(user_id, wanted | kept, current_user.manager, _seen())
        except Refused as refused:
            user = _person(user_id)
            chosen = service.permissions_of(user) if refused.code == "staff.changed" else frozenset(wanted)
            return _refused(refused, lambda: _permissions_page(user, chosen, 422))
        toast(_("Saved. It counts from the person's next click."))
        return go(url_for("staff.permissions", user_id=user_id))
    preset = request.args.get("preset", "")
    chosen = PRESETS[Role(preset)] if preset in set(Role) - {Role.ADMIN} else service.permissions_of(user)
    return _permissions_page(user, chosen, 200, preset)


def _seen() -> list[str] | None:
    """What the page showed when it was opened; None where the request does not say."""
    text = request.form.get("seen")
    return None if text is None else [part for part in text.split(",") if part]


def _permissions_page(user: StaffUser, chosen: frozenset[Permission], status: int, preset: str = "") -> Response:
    groups: dict[str, list[Permission]] = {key: [] for key in GROUPS}
    for permission in sorted(set(Permission) - WITHOUT_FEATURE, key=list(Permission).index):
        groups[group_of(permission)].append(permission)
    presets = [(role, label) for role, label in ROLES.items() if role != Role.ADMIN]
    return _tab(
        "staff/permissions.html", user, "permissions", status=status, groups=groups, titles=GROUPS, chosen=chosen,
        labels=PERMISSIONS, help=HELP, presets=presets, preset=preset,
        seen=",".join(sorted(service.permissions_of(user))),
    )  # fmt: skip


@bp.route("/<int:user_id>/zonas/", methods=["GET", "POST"])
@requires(Permission.STAFF_MANAGE)
def zones(user_id: int) -> Response:
    """Tab "Zonas": everything, or only some billing zones."""
    user = _person(user_id)
    if request.method == "POST":
        ids = row_numbers(request.form.getlist("zone"))
        limited = request.form.get("limited") == "yes"
        try:
            with transaction():
                seen = _seen()
                known = None if seen is None else set(row_numbers(list(seen)))
                changes.set_zones(user_id, limited, ids, current_user.manager, known)
        except Refused as refused:
            user = _person(user_id)
            now = {zone.zone_id for zone in user.zones}
            chosen = (user.limited, now) if refused.code == "staff.changed" else (limited, set(ids))
            return _refused(refused, lambda: _zones_page(user, *chosen, 422))
        toast(_("Saved. It counts from the person's next click."))
        return go(url_for("staff.zones", user_id=user_id))
    return _zones_page(user, user.limited, {zone.zone_id for zone in user.zones}, 200)


def _zones_page(user: StaffUser, limited: bool, chosen: set[int], status: int) -> Response:
    offered: dict[str, list[Any]] = {}
    for zone in routers.zones(scope()):
        offered.setdefault(zone.router.name, []).append(zone)
    return _tab(
        "staff/zones.html",
        user,
        "zones",
        status=status,
        limited=limited,
        chosen=chosen,
        offered=offered,
        seen=",".join(str(zone.zone_id) for zone in user.zones),
    )


@bp.post("/<int:user_id>/desactivar/")
@requires(Permission.STAFF_MANAGE)
def deactivate(user_id: int) -> Response:
    """Out at the next request; what the person did stays."""
    return _act(user_id, lambda: changes.set_active(user_id, False, current_user.manager), _("Deactivated."))


@bp.post("/<int:user_id>/activar/")
@requires(Permission.STAFF_MANAGE)
def activate(user_id: int) -> Response:
    """May log in again."""
    return _act(user_id, lambda: changes.set_active(user_id, True, current_user.manager), _("Activated."))


@bp.post("/<int:user_id>/invitar/")
@requires(Permission.STAFF_MANAGE)
def invite(user_id: int) -> Response:
    """Send another invitation; the link before it ends."""
    done = _("Another invitation is on its way.")
    return _act(user_id, lambda: changes.invite_again(user_id, current_user.manager), done, _say_mailed)


@bp.post("/<int:user_id>/quitar-segundo-factor/")
@requires(Permission.STAFF_MANAGE)
def remove_second_factor(user_id: int) -> Response:
    """For somebody who lost the phone and the recovery codes."""
    done = _("The second factor of this person is off.")
    return _act(user_id, lambda: changes.remove_second_factor(user_id, current_user.manager), done)


def _act(user_id: int, action: Callable[[], Any], done: str, say: Callable[[str], None] = toast) -> Response:
    back = url_for("staff.data", user_id=user_id)
    _person(user_id)
    try:
        with transaction():
            action()
    except Refused as refused:
        return _refused(refused, lambda: go(back))
    say(done)
    return go(back)


def _tab(template: str, user: StaffUser, tab: str, status: int = 200, **context: Any) -> Response:
    manager = current_user.manager
    return render(
        template, status=status, user=user, tab=tab, roles=ROLES, changeable=manager.over(user),
        myself=user.id == manager.user_id, manager=manager, **context,
    )  # fmt: skip


def _person(user_id: int) -> StaffUser:
    user = session().get(StaffUser, user_id)
    if user is None:
        abort(404)
    return user
