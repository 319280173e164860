"""What people read about bulk actions."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from wisp.bulk.models import BulkRun
from wisp.core.errors import messages
from wisp.web.formats import format_number

STATES: dict[str, Any] = {
    "queued": _l("In the queue"),
    "running": _l("Running"),
    "done": _l("Carried out"),
    "undoing": _l("Being undone"),
    "undone": _l("Undone"),
}
LOOKS = {"queued": "pending", "running": "running", "done": "success", "undoing": "running", "undone": "off"}
OUTCOMES: dict[str, Any] = {
    "": _l("Was changed"),
    "failed": _l("Could not be changed"),
    "restored": _l("Restored"),
    "kept": _l("Changed since by somebody else: left alone"),
}
OUTCOME_LOOKS = {"": "success", "failed": "danger", "restored": "muted", "kept": "warning"}

REFUSALS: dict[str, Any] = {
    "bulk.unknown": _l("There is no bulk action “%(action)s”."),
    "bulk.no_run": _l("There is no bulk action number %(id)s."),
    "bulk.token": _l("This form was used for something else already. Nothing was changed: begin again."),
    "bulk.not_done": _l("Only a bulk action that is done, and was not undone yet, can be undone."),
    "bulk.nothing": _l("Name what to switch: --invoices, --notice or --cut, each on or off."),
    "bulk.where": _l("Name one zone with --zone, or all with --all-zones."),
    "bulk.yes": _l("Nothing was changed: add --yes to do it."),
}


def register() -> None:
    """Let the refusals be shown as sentences."""
    messages.update(REFUSALS)


def reach(zones: int, clients: int) -> str:
    """ "2 zonas y 40 clientes"."""
    return str(
        _(
            "%(zones)s and %(clients)s",
            zones=ngettext("%(count)s zone", "%(count)s zones", zones, count=format_number(zones)),
            clients=ngettext("%(count)s client", "%(count)s clients", clients, count=format_number(clients)),
        )
    )


def changes(count: int) -> str:
    """ "4 cambios"."""
    return str(ngettext("%(count)s change", "%(count)s changes", count, count=format_number(count)))


def outcome(run: BulkRun) -> str:
    """What has come of a run, in words."""
    words = [changes(run.changed)]
    if run.failed:
        words.append(_("%(count)s could not be changed", count=format_number(run.failed)))
    if run.state == "undone":
        words.append(_("%(count)s restored", count=format_number(run.restored)))
        if run.kept:
            words.append(_("%(count)s left alone", count=format_number(run.kept)))
    return " · ".join(words)
