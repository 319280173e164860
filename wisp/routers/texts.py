"""Sentences of the routers: refusals, and the likely cause where a router cannot be used."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from babel import dates
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core.errors import messages
from wisp.outbox.causes import cause as cause
from wisp.routers.health import CLOCK_WARNING
from wisp.routers.models import Router
from wisp.schedules.domain import Odd
from wisp.web.formats import locale

REFUSALS: dict[str, Any] = {
    "routers.name": _l("A router needs a name of 1 to 80 characters."),
    "routers.name_taken": _l("There is already a router named “%(name)s”."),
    "routers.host": _l("“%(host)s” is not an address: write the router's IP address or host name, without http://."),
    "routers.port": _l("%(port)s is not a port: it goes from 1 to 65535 (API 8728, API-SSL 8729)."),
    "routers.username": _l("A router needs the name of an API user, of 1 to 80 characters."),
    "routers.fingerprint": _l("A certificate's fingerprint is its SHA-256: 64 hexadecimal digits."),
    "routers.pppoe_cut": _l("This is not a way to cut PPPoE clients: profile or disable."),
    "routers.base": _l("The name of a profile has at most 64 characters, none of them a control character."),
    "routers.unknown": _l("There is no router named “%(name)s”."),
    "routers.has_clients": _l(
        "The router “%(router)s” still has %(count)s active clients. Move or cancel them first; nothing was changed."
    ),
    "routers.zone_unknown": _l("There is no billing zone named “%(name)s”."),
    "routers.zone_ambiguous": _l("Several zones are named “%(name)s”; write one of: %(names)s"),
    "routers.zone_name": _l("A billing zone needs a name of 1 to 80 characters."),
    "routers.zone_name_taken": _l("This router already has a zone named “%(name)s”."),
    "routers.password_again": _l(
        "Address, port, user or security of the connection have changed: enter the router's password again."
    ),
    "routers.password": _l("A new router needs the password of its API user."),
}

KINDS: dict[str, Any] = {
    "invoices": _l("Invoice creation"),
    "notice": _l("Payment notices"),
    "cut": _l("Service cut"),
}
ODDITIES: dict[str, Any] = {
    Odd.due_late: _l("The invoice is due %(days)s days after it is issued."),
    Odd.notice_early: _l("The notice comes up to %(days)s days before the due date."),
    Odd.notice_after_cut: _l("The notice comes up to %(days)s days after the cut of its cycle."),
    Odd.cut_late: _l("The cut comes up to %(days)s days after the due date."),
    Odd.cut_on_due_day: _l(
        "The cut falls on the payment day, on which people still pay in time: it finds only debts of the month before. "
        "Choose the day after."
    ),
}
TYPES: dict[str, Any] = {"prepaid": _l("Prepaid"), "postpaid": _l("Postpaid")}


def oddity(odd: str, days: int) -> str:
    """The warning about the days of a schedule."""
    return str(ODDITIES[odd]) % {"days": days}


def state(router: Router) -> str:
    """How a router is, in a word or two."""
    if router.online is None:
        return str(_("Not asked yet"))
    return str(_("Online") if router.online else _("Offline"))


def lacking(policies: Sequence[str]) -> str:
    """What does not work without these policies of our user's group on the router; empty where none is lacking."""
    if not policies:
        return ""
    named = ", ".join(policies)
    text = _("The user's group on the router lacks: %(policies)s.", policies=named)
    if "sensitive" in policies:
        text += " " + _("Without “sensitive” passwords cannot be read: an import leaves them unknown.")
    return str(text)


def clock(offset: int | None) -> str:
    """How a router's clock stands against ours, ``offset`` in seconds."""
    if offset is None:
        return "–"
    if abs(offset) <= 1:
        return str(_("exact"))
    span = dates.format_timedelta(timedelta(seconds=abs(offset)), threshold=2, locale=locale())
    return str(_("%(span)s fast", span=span) if offset > 0 else _("%(span)s slow", span=span))


def clock_is_wrong(offset: int | None) -> bool:
    """True where the difference is worth a warning."""
    return offset is not None and abs(offset) > CLOCK_WARNING


def register() -> None:
    """Let refusals of this slice be shown as sentences."""
    messages.update(REFUSALS)
