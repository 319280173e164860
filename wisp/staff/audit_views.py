"""The audit page: every change with who, when, from where, before and after; filter and export."""

from collections.abc import Iterator
from datetime import date

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from wisp.core.audit import AuditEntry
from wisp.core.permissions import Permission
from wisp.settings import service as settings
from wisp.staff import audit_log, audit_texts, service
from wisp.staff.texts import ACTIONS, actor_text
from wisp.web import render, requires, scope
from wisp.web.tables import Listing, csv_response, search_text

bp = Blueprint("audit", __name__, url_prefix="/auditoria")
LINKS = {
    "client": ("clients.show", "code"),
    "invoice": ("invoices.show", "number"),
    "payment": ("payments.show", "number"),
    "task": ("tasks.detail", "task_id"),
    "message": ("outbox.show", "message_id"),
    "bulk": ("bulk.run", "run_id"),
}
"""Kinds of targets that have a page: its endpoint and the name of its argument."""


@bp.get("/")
@requires(Permission.AUDIT_VIEW)
def index() -> Response:
    """All changes, newest first."""
    only = _filters()
    listing = Listing(audit_log.query(scope(), only, settings.timezone()), {"at": AuditEntry.id}, default="-at")
    return render(
        "audit/list.html", partial="audit/_table.html", listing=listing, only=only, actions=ACTIONS, actors=_actors(),
        actor_text=actor_text, differences=audit_texts.differences, object_text=audit_texts.object_text, links=LINKS,
    )  # fmt: skip


@bp.get("/exportar.csv")
@requires(Permission.AUDIT_VIEW)
def export() -> Response:
    """The changes of the list, whatever the number, as a CSV file."""
    found = audit_log.query(scope(), _filters(), settings.timezone())
    header = [_("When"), _("Who"), _("From where"), _("Action"), _("Object"), _("Before"), _("After")]
    return csv_response(f"auditoria-{settings.today()}.csv", header, _lines(audit_log.everything(found)))


def _lines(entries: Iterator[AuditEntry]) -> Iterator[list[str]]:
    zone = settings.timezone()
    for entry in entries:
        yield [
            entry.at.astimezone(zone).isoformat(timespec="seconds"), entry.actor, entry.ip,
            str(ACTIONS.get(entry.action, entry.action)), entry.target,
            audit_texts.values_text(entry, entry.before), audit_texts.values_text(entry, entry.after),
        ]  # fmt: skip


def _actors() -> list[tuple[str, str]]:
    """Who can be chosen in the filter: the staff, the program itself, the command line."""
    people = [(f"staff:{user.email}", user.name) for user in service.everybody()]
    others = [("system", actor_text("system")), ("visitor", actor_text("visitor")), ("cli:", _("Command line"))]
    return [*people, *others]


def _filters() -> audit_log.Filters:
    asked = request.args
    return audit_log.Filters(
        text=search_text(),
        action=asked.get("action", "")[:64],
        actor=asked.get("actor", "")[:200],
        since=_day(asked.get("since", "")),
        until=_day(asked.get("until", "")),
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None
