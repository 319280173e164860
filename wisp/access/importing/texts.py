"""Sentences of the import from the router."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.access.importing.domain import DISABLED
from wisp.clients import texts as clients
from wisp.clients.csvfile import Problem
from wisp.core.errors import messages

STATUSES: dict[str, Any] = {
    "new": _l("New one"),
    "changed": _l("Would change"),
    "conflict": _l("Conflict"),
    "same": _l("Equal"),
}
STATUS_LOOKS = {"new": "info", "changed": "warning", "conflict": "danger", "same": "success"}

SHOWS: dict[str, Any] = {
    "all": _l("All"),
    "new": _l("New ones"),
    "changed": _l("Would change"),
    "conflict": _l("In conflict"),
    "same": _l("Equal ones"),
    "problems": _l("With errors"),
    "lists": _l("On lists of others"),
}

SOURCES: dict[str, Any] = {
    "secret": _l("PPP secret"),
    "lease": _l("DHCP lease"),
    "user": _l("Hotspot user"),
    "queue": _l("Queue"),
}

TAKES: dict[str, Any] = {"": _l("Ignore"), "cut": _l("Suspended ones"), "notice": _l("Notices")}

REASONS: dict[str, Any] = {
    "address_taken": _l("The address %(value)s belongs to %(name)s (%(code)s)."),
    "address6_taken": _l("The address %(value)s belongs to %(name)s (%(code)s)."),
    "username_taken": _l("The user %(value)s belongs to %(name)s (%(code)s)."),
    "code_taken": _l("Our mark names %(name)s (%(code)s), but the rest belongs to somebody else."),
    "elsewhere": _l("Our mark names the client %(code)s, who is cancelled or on another router."),
    "client_twice": _l("“%(name)s” on this router is the same client (%(value)s)."),
    "address_twice": _l("“%(name)s” on this router has the address %(value)s too."),
    "address6_twice": _l("“%(name)s” on this router has the address %(value)s too."),
    "username_twice": _l("“%(name)s” on this router has the user %(value)s too."),
}
"""Why a proposal is in conflict."""

PASSED_OVER: dict[str, Any] = {
    "service": _l("PPP users of another kind than PPPoE"),
    "target": _l("queues that serve no single address"),
    "hidden": _l("objects of clients of other zones"),
    "password": _l("passwords, which the router did not show: the user's group needs the policy “sensitive”"),
}

REFUSALS: dict[str, Any] = {
    "access.password_unreadable": _l("The stored password of router “%(router)s” cannot be read: type it again."),
    "access.import_gone": _l("This review is not here any more: read the router again. Nothing was written."),
    "access.import_done": _l("This review has been imported already: %(added)s new, %(changed)s changed."),
    "access.import_problems": _l("%(count)s rows have errors; nothing was written."),
    "access.import_nothing": _l("No row is ticked that would change anything: nothing was imported."),
    "access.import_list": _l("No proposed client is on a list named “%(name)s”."),
}

PROBLEMS: dict[str, Any] = {
    "elsewhere": _l("The client %(code)s is on another router by now: read the router again."),
}


def reason(code: str, values: Mapping[str, str]) -> str:
    """Why a proposal is in conflict, in words; who holds what is not named where the reader may not see that client."""
    if not code:
        return ""
    if not (values.get("code") or values.get("name")):
        return str(_("%(value)s belongs to a client of another zone.", value=values.get("value", "")))
    return str(REASONS[code]) % dict(values)


def problem(column: str, found: list[Any]) -> str:
    """The sentence of what is wrong with a value; ``found``: reason and values."""
    code, values = found
    if code in PROBLEMS:
        return str(PROBLEMS[code]) % dict(values)
    return clients.problem(Problem(0, column, code, values))


def list_name(name: str) -> str:
    """A list's name; what is switched off on the router is counted like a list."""
    return str(_("Switched off on the router")) if name == DISABLED else name


def register() -> None:
    """Let refusals be shown as sentences."""
    messages.update(REFUSALS)
