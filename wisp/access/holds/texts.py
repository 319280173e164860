"""Sentences of suspending, pausing and giving back by hand."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.access.holds.service import Hold
from wisp.core.errors import messages
from wisp.web.formats import format_day, format_moment

REFUSALS: dict[str, Any] = {
    "holds.why": _l("Say why, in at most %(limit)s characters."),
    "holds.past": _l("That day is over: choose today or a later one."),
    "holds.pause_days": _l("A pause ends between %(first)s and %(last)s."),
}


def held(hold: Hold) -> str:
    """What holds a client, beside its state: "Pausa temporal hasta 20 ene 2027"."""
    if hold.paid:
        return str(_("Paid, still suspended"))
    if hold.reason == "pause" and hold.until is not None:
        return str(_("Temporary pause until %(day)s", day=format_day(hold.until)))
    return {
        "debt": str(_("Suspended for debt")),
        "imported": str(_("Suspended for debt (previous system)")),
        "manual": str(_("Suspended by hand")),
    }.get(hold.reason, "")


def lifts(hold: Hold) -> str:
    """What giving the service back lifts, as a sentence."""
    since = format_moment(hold.since) if hold.since else ""
    if hold.reason == "pause":
        return str(_("The pause ends today: it was to last until %(day)s.", day=format_day(hold.until)))
    if hold.reason == "manual":
        return str(_("This lifts the suspension by hand of %(moment)s: %(why)s", moment=since, why=hold.why or "–"))
    if hold.reason == "imported":
        return str(
            _("This lifts the suspension that was taken over from the previous system on %(moment)s.", moment=since)
        )
    if hold.paid:
        return str(_("This lifts the cut of %(moment)s. The debt is paid; “only register” was chosen.", moment=since))
    return str(_("This lifts the cut for debt of %(moment)s. The debt stays.", moment=since))


def register() -> None:
    """Let refusals be shown as sentences."""
    messages.update(REFUSALS)
