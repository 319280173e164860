"""Sentences of access: what stands in the way of a client's wanted state."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core.errors import messages

REFUSALS: dict[str, Any] = {
    "access.unreachable": _l("The router “%(router)s” could not be synchronised, everything waits: %(cause)s"),
    "access.not_read": _l("The router “%(router)s” could not be read: %(cause)s"),
}

PROBLEMS: dict[str, Any] = {
    "no_address": _l("The client has no known address: give it a fixed one, or wait until it is connected."),
    "not_ipv4": _l("The client's address is not a single IPv4 address, so it can't be put on a list."),
    "foreign": _l(
        "An entry that is not ours, on the list “%(value)s”, still holds the address: remove it on the router."
    ),
    "shared": _l("Client %(value)s has the same address and belongs on the list."),
    "router": _l("The router refused: %(value)s"),
    "session": _l("The entry stands, but the live session could not be ended: %(value)s"),
}


def explain(detail: str) -> str:
    """The sentence for an ``Outcome.detail`` or ``Access.error`` (``code`` or ``code: value``); empty for none."""
    if not detail:
        return ""
    code, _colon, value = detail.partition(": ")
    text = PROBLEMS.get(code)
    return str(text) % {"value": value} if text is not None else detail


def reason(code: str) -> str:
    """Why a client is suspended, in words."""
    names: dict[str, str] = {"debt": _("for debt"), "manual": _("by hand"), "pause": _("temporary pause")}
    return names.get(code, "")


def register() -> None:
    """Let refusals of this slice be shown as sentences."""
    messages.update(REFUSALS)
