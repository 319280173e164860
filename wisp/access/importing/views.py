"""Import from the router: read it, review and correct what it suggests, confirm. Nothing is written before that.

The router is read outside any transaction and with a deadline. Whoever is limited to some zones sees and imports into
these zones only.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from wisp.access.importing import confirming, service, talk, texts
from wisp.access.importing.models import RouterImport, RouterImportRow
from wisp.access.texts import explain
from wisp.clients import plans
from wisp.clients import texts as client_texts
from wisp.clients.domain import write_speed
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.gateway import GatewayError
from wisp.routers import service as routers
from wisp.routers.models import Router
from wisp.routers.texts import cause
from wisp.settings import service as settings
from wisp.web import can, go, render, requires, scope, toast
from wisp.web.requests import row_number
from wisp.web.tables import Listing

bp = Blueprint("imports", __name__, url_prefix="/router")
PER_PAGE = 50


def _router(router_id: int) -> Router:
    router = routers.get_router(router_id, scope())
    if router is None:
        abort(404)
    return router


@bp.get("/<int:router_id>/importar/")
@requires(Permission.CLIENTS_IMPORT)
def start(router_id: int) -> Response:
    """What is read, the reviews that can be continued, and what still waits to be taken off."""
    return _start_page(_router(router_id))


@bp.post("/<int:router_id>/importar/")
@requires(Permission.CLIENTS_IMPORT)
def read(router_id: int) -> Response:
    """Read the router and keep what it suggests as a review. Where it does not answer, say why."""
    try:
        target = service.target(_router(router_id))
        session().rollback()
        tables = talk.read(target)
    except Refused as refused:
        return _start_page(_router(router_id), str(refused))
    except GatewayError as error:
        session().rollback()
        return _start_page(_router(router_id), cause(error.code.value), error.detail)
    found = service.prepare(router_id, tables, scope())
    with transaction():
        token = service.keep(_router(router_id), found, scope()).token
    return go(url_for("imports.review", router_id=router_id, token=token))


def _start_page(router: Router, error: str = "", detail: str = "") -> Response:
    reviews = service.reviews(router.id)
    return render(
        "access/importing/start.html", router=router, tab="tools", error=error, detail=detail,
        open_reviews=[review for review in reviews if review.done_at is None],
        done_reviews=[review for review in reviews if review.done_at is not None],
        counts={review.id: service.counts(review) for review in reviews if review.done_at is None},
        leaving=confirming.leaving(router.id), has_zones=bool(service.zones(router, scope())), explain=explain,
    )  # fmt: skip


# Review ----------------------------------------------------------------------------------------------


@bp.get("/<int:router_id>/importar/<token>/")
@requires(Permission.CLIENTS_IMPORT)
def review(router_id: int, token: str) -> Response:
    """The table to review and to correct: filtered, paged."""
    router = _router(router_id)
    try:
        found = service.find(token, router_id, scope())
    except Refused as refused:
        return _gone(router, refused)
    return _review_page(router, found)


@bp.post("/<int:router_id>/importar/<token>/")
@requires(Permission.CLIENTS_IMPORT)
def save(router_id: int, token: str) -> Response:
    """Keep what was typed, then do what the pressed button says: look elsewhere, fill, tick, check or import.

    What was typed stays, right or wrong; where something is wrong the page comes back with 422 and says it at its
    field.
    """
    router = _router(router_id)
    action, _colon, value = request.form.get("do", "save").partition(":")
    try:
        with transaction():
            found = service.find(token, router_id, scope(), lock=True)
            changed = _keep(router, found, action, value)
            checked = confirming.check(found, scope()) if action == "save" else None
        if action == "confirm":
            return _confirm(router, token)
    except Refused as refused:
        if refused.code == "access.import_nothing":
            toast(str(refused), "warning")
            return go(_place(router_id, token, action, value))
        return _gone(router, refused)
    if checked is not None:
        if changed & checked.problems.keys():
            return _review_page(router, found, 422)
        toast(_("The changes are kept; nothing is imported yet."))
    return go(_place(router_id, token, action, value))


def _keep(router: Router, found: RouterImport, action: str, value: str) -> set[int]:
    form, zones = request.form, {zone.id for zone in service.zones(router, scope())}
    changed = service.edit(found, _edits(), zones)
    if form.get("lists"):
        service.choose(found, _choices(found), _own_lists())
    if action == "fill":
        zone_id, plan_id = row_number(form.get("all_zone")), row_number(form.get("all_plan"))
        count = service.fill(
            found, zone_id=zone_id if zone_id in zones else None,
            plan_id=plan_id if plan_id in {plan.id for plan in plans.plans() if plan.active} else None,
        )  # fmt: skip
        toast(ngettext("%(num)s row was filled in.", "%(num)s rows were filled in.", count))
    if action in ("tick", "untick") and form.get("status") in texts.STATUSES:
        service.tick(found, form["status"], action == "tick")
    return changed


def _confirm(router: Router, token: str) -> Response:
    """Import what is ticked; the token works once."""
    with transaction():
        found = service.find(token, router.id, scope(), lock=True)
        if any(choice["remove"] for choice in found.choices.values()) and not can(Permission.ROUTERS_EDIT):
            abort(403)  # the permission was withdrawn since it was ticked
        if not service.counts(found)["chosen"]:
            raise Refused("access.import_nothing")
        done = confirming.confirm(found, scope())
    if done is None:
        return _review_page(router, found, 422)
    toast(
        _("Imported: %(added)s new, %(changed)s changed, %(unchanged)s unchanged.",
          added=done.added, changed=done.changed, unchanged=done.unchanged)
    )  # fmt: skip
    if done.cut or done.notice or done.no_debt:
        toast(_("Taken over: %(cut)s suspended, %(notice)s notices; %(none)s without a debt get no notice.",
                cut=done.cut, notice=done.notice, none=done.no_debt), "info")  # fmt: skip
    return go(url_for("imports.start", router_id=router.id))


@bp.post("/<int:router_id>/importar/<token>/descartar/")
@requires(Permission.CLIENTS_IMPORT)
def discard(router_id: int, token: str) -> Response:
    """Throw the review away; nothing was written."""
    router = _router(router_id)
    try:
        with transaction():
            service.discard(service.find(token, router_id, scope(), lock=True))
    except Refused as refused:
        return _gone(router, refused)
    toast(_("The review is thrown away; nothing was written."))
    return go(url_for("imports.start", router_id=router_id))


def _gone(router: Router, refused: Refused) -> Response:
    toast(str(refused), "warning")
    return go(url_for("imports.start", router_id=router.id))


def _place(router_id: int, token: str, action: str, value: str) -> str:
    """Where the person looks next: another page, another filter, or the same."""
    show, text = _show(request.form.get("show", "")), request.form.get("q", "").strip()[:200]
    page = row_number(request.form.get("page")) or 1
    if action == "page":
        page = row_number(value) or 1
    elif action == "show":
        show, page = _show(value or show), 1
    arguments: dict[str, Any] = {"show": show, "q": text or None}
    arguments["page"] = page if page > 1 else None
    return url_for("imports.review", router_id=router_id, token=token, **arguments)


def _show(text: str) -> str:
    return text if text in service.SHOWS else "all"


# What was sent ---------------------------------------------------------------------------------------


def _edits() -> dict[int, dict[str, Any]]:
    """What was typed for each row that was shown."""
    edits: dict[int, dict[str, Any]] = {}
    for text in request.form.getlist("row"):
        row_id = row_number(text)
        if row_id is None:
            continue
        form, start = request.form, f"r{row_id}-"
        values: dict[str, Any] = {name: form[f"{start}{name}"] for name in service.TYPED if f"{start}{name}" in form}
        values |= {f"{name}_id": row_number(form[start + name]) for name in ("zone", "plan") if start + name in form}
        edits[row_id] = {**values, "include": f"{start}include" in form}
    return edits


def _choices(found: RouterImport) -> dict[str, dict[str, Any]]:
    """What is wanted of each list; to take entries off one needs to be allowed to edit routers."""
    choices: dict[str, dict[str, Any]] = {}
    for number, (name, _entries, _clients) in enumerate(found.lists):
        take, remove = request.form.get(f"list{number}", ""), f"remove{number}" in request.form
        if remove and take and not can(Permission.ROUTERS_EDIT):
            abort(403)
        choices[name] = {"take": take, "remove": remove}
    return choices


def _own_lists() -> set[str]:
    company = settings.company()
    return {company.list_overdue, company.list_notice}


# What is shown ---------------------------------------------------------------------------------------


def _review_page(router: Router, found: RouterImport, status: int = 200) -> Response:
    counts = service.counts(found)
    first = "new" if counts.get("new") else "all"
    show, text = _show(request.values.get("show", first)), request.values.get("q", "").strip()[:200]
    listing = Listing(
        service.rows_query(found, show, text), {"position": RouterImportRow.position}, "position", per_page=PER_PAGE
    )
    clients = service.clients_of(listing.rows)
    names = {plan.id: plan.name for plan in plans.plans()}

    def changes(row: RouterImportRow) -> list[tuple[str, str, str]]:
        return _changes(row, clients.get(row.client_id or 0), names)

    return render(
        "access/importing/review.html", status=status, router=router, tab="tools", review=found, listing=listing,
        show=show, text=text, counts=counts, zones=service.zones(router, scope()), plans=plans.plans(),
        entries=service.entries_of([row.id for row in listing.rows]), own=_own_lists(), texts=texts,
        client_texts=client_texts, speed=_speed, changes=changes, may_remove=can(Permission.ROUTERS_EDIT),
    )  # fmt: skip


def _changes(row: RouterImportRow, client: Client | None, plan_names: Mapping[int, str]) -> list[tuple[str, str, str]]:
    """What the router says otherwise: (label, as it is, as it would be); of a password only that it differs."""
    found: list[tuple[str, str, str]] = []
    for name in row.changes if client is not None else ():
        before, after = getattr(client, name, ""), getattr(row, name, "")
        if name == "password":
            before = after = ""
        elif name == "plan" and client is not None:
            before, after = plan_names.get(client.plan_id, ""), plan_names.get(row.plan_id or 0, "")
        elif name == "connection":
            before, after = (str(client_texts.CONNECTIONS[value]) for value in (before, after))
        found.append((client_texts.column(name), before or "", after))
    return found


def _speed(row: RouterImportRow) -> str:
    """The speed that the router gives, download first as plans say it."""
    if not (row.up or row.down):
        return ""
    return f"{write_speed(row.down) or '∞'} / {write_speed(row.up) or '∞'}"
