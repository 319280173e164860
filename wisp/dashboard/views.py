"""The first page. Each part is shown to whom the permissions let see it, and inside the person's zones."""

from typing import Any

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _

from wisp.access import service as access
from wisp.access.rules import verdicts
from wisp.core import clockwatch
from wisp.core.permissions import Permission
from wisp.dashboard import queries
from wisp.outbox import server as mail_server
from wisp.outbox import service as outbox
from wisp.outbox import transport
from wisp.routers.texts import cause
from wisp.schedules import service as schedules
from wisp.settings import service as settings
from wisp.tasks import presenters, texts
from wisp.tasks import service as tasks
from wisp.web import authenticated, can, render, scope
from wisp.web.access import ADMINISTRATORS

bp = Blueprint("dashboard", __name__)
P = Permission


@bp.get("/")
@authenticated
def index() -> Response:
    """What runs next, what failed, what waits for which router, how the month goes; the next step of a new start."""
    return render("dashboard/index.html", partial="dashboard/_news.html", **_news(), **_numbers(), guide=_guide())


def _news() -> dict[str, Any]:
    """What a person should look at, and what comes next."""
    found: dict[str, Any] = {"texts": texts, "p": presenters, "cause": cause, "off": [], "upcoming": []}
    if can(P.ROUTERS_VIEW):
        found["off"] = queries.routers_off(scope())
        found["not_applied"] = verdicts.not_applied(scope())
        found["waiting"] = {row.router_id: row for row in access.waiting(scope())}
        offline = {router.id for router in found["off"]}
        found["waiting_online"] = [row for row in found["waiting"].values() if row.router_id not in offline]
    if can(P.PERIODIC_TASKS_VIEW):
        found["upcoming"] = [(moment, schedules.stored_zone(moment.timezone)) for moment in queries.upcoming(scope())]
        found["troubled"] = tasks.troubled(scope())
        found["missed"] = queries.missed(scope())
    if can(P.OUTBOX_VIEW):
        found["mails"] = {**outbox.counts(scope()), "failed": outbox.failed(scope())}
        found["mail_state"] = mail_server.state()
        found["mail_set_up"] = transport.configured()
    found["lost_zones"] = schedules.lost_zones() if can(P.SETTINGS_MANAGE) else []
    found["set_back"] = clockwatch.last() if can(P.SETTINGS_MANAGE) else None
    found["no_alerts"] = can(P.SETTINGS_MANAGE) and not settings.alert_addresses()
    found["calm"] = not _anything(found)
    found["under_way"] = found.get("mails", {}).get("pending", 0) + found.get("mails", {}).get("sending", 0)
    return found


def _anything(found: dict[str, Any]) -> bool:
    mails = found.get("mails", {})
    server = found.get("mail_state")
    return bool(
        found["off"]
        or found.get("not_applied")
        or found.get("waiting_online")
        or found.get("troubled")
        or found.get("missed")
        or found.get("set_back")
        or found.get("lost_zones")
        or mails.get("failed")
        or mails.get("held")
        or (server is not None and server.error)
    )


def _numbers() -> dict[str, Any]:
    return {
        "clients": queries.clients(scope()) if can(P.CLIENTS_VIEW) else None,
        "month": queries.month(scope()) if can(P.REPORTS_VIEW) else None,
        # The lists are those of whole routers: not for whoever is limited to some zones.
        "differences": queries.differences() if can(P.ROUTERS_SYNC) and scope().zone_ids is None else None,
    }


def _guide() -> list[dict[str, Any]] | None:
    """The steps of a new installation; None once all are done, or for whom none of them is open."""
    if not can(P.SETTINGS_MANAGE):
        return None
    begun = queries.beginning(transport.configured())
    if begun.complete:
        return None
    zone_url = url_for("routers.zones", router_id=begun.router_id) if begun.router_id else url_for("routers.index")
    return [
        _step(begun.company, _("Company"), _("Name, time zone, currency and tax."), url_for("settings.company")),
        *(
            [_step(begun.mail, _("E-mail"), _("The server that sends invoices and alerts."), url_for("settings.mail"))]
            if can(ADMINISTRATORS)
            else []
        ),
        _step(begun.router, _("Router"), _("A MikroTik router with its API user."), url_for("routers.add")),
        _step(begun.zone, _("Billing zone"), _("The days of invoices, notices and cuts."), zone_url),
        _step(begun.clients, _("Clients"), _("One by one, or all from a CSV file."), url_for("clients.import_upload")),
    ]


def _step(done: bool, title: str, text: str, url: str) -> dict[str, Any]:
    return {"done": done, "title": title, "text": text, "url": url}
