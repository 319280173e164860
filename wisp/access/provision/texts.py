"""Sentences about what clients have on their routers."""

from typing import Any

from flask_babel import lazy_gettext as _l

from wisp.core.errors import messages
from wisp.gateway import menus

REFUSALS: dict[str, Any] = {
    "access.provision_off": _l("On router “%(router)s” clients are not written: switch it on in its data first."),
    "access.not_provisioned": _l("Not everything could be written to router “%(router)s”: %(cause)s"),
    "access.not_foreign": _l("What was shown stands there no more, or is ours by now. Nothing was changed."),
}

OBJECTS: dict[str, Any] = {
    "static": _l("Queue with the plan's speed"),
    "pppoe": _l("PPPoE user"),
    "hotspot": _l("Hotspot user"),
    "dhcp": _l("DHCP lease"),
}

MENUS: dict[str, Any] = {
    menus.QUEUE: _l("queue"),
    menus.SECRET: _l("PPPoE user"),
    menus.HOTSPOT_USER: _l("hotspot user"),
    menus.LEASE: _l("lease"),
}

STATES: dict[str, Any] = {
    "off": _l("Not written"),
    "pending": _l("Waiting for the router"),
    "done": _l("On the router"),
    "waiting": _l("Waiting"),
    "foreign": _l("Somebody else's"),
    "failed": _l("Failed"),
}
LOOKS = {
    "off": "off", "pending": "waiting", "done": "success", "waiting": "waiting", "foreign": "warning",
    "failed": "danger",
}  # fmt: skip

DETAILS: dict[str, Any] = {
    "off": _l("Writing clients is switched off for this router."),
    "pending": _l("It is written as soon as the router answers."),
    "foreign": _l(
        "Something that is not ours stands in its place: a queue for the same address, a user with the same name, or a "
        "lease with the same MAC or IP address. It is never changed, unless you adopt it."
    ),
    "no_address": _l("The client has no fixed address, so it needs no queue."),
    "no_speed": _l("The plan has no speed, so no queue is needed."),
    "no_username": _l("The client has no user."),
    "no_password": _l("The user is not on the router, and its password is not known: enter it here."),
    "no_mac": _l("The client has no MAC address: a lease needs one."),
    "no_lease": _l("The client has no fixed address and has not asked for one yet. Its lease is kept once it has."),
    "no_menu": _l("This router does not have that menu: a package is missing."),
    "held": _l("The client is cut: its new profile is written when the cut is lifted."),
    "no_profile": _l("The router has no profile “%(value)s”."),
    "no_base": _l("The router has no profile “%(value)s” that ours could be a copy of: choose another in its data."),
    "foreign_profile": _l("The profile “%(value)s” on the router is not ours, so it is not used and not changed."),
    "shared": _l("Client %(value)s has the same MAC address."),
    "router": _l("The router refused: %(value)s"),
}


def explain(state: str, detail: str) -> str:
    """The sentence that says why a client's object stands as it does; empty where there is nothing to add."""
    code, _colon, value = detail.partition(": ")
    text = DETAILS.get(code) if code else DETAILS.get(state)
    if text is None:
        return detail
    return str(text) % {"value": value} if value else str(text)


def register() -> None:
    """Let refusals be shown as sentences."""
    messages.update(REFUSALS)
