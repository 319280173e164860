"""Sentences of access: what stands in the way of a client's wanted state."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core.errors import messages

REFUSALS: dict[str, Any] = {
    "access.unreachable": _l("The router “%(router)s” could not be synchronised, everything waits: %(cause)s"),
    "access.not_read": _l("The router “%(router)s” could not be read: %(cause)s"),
    "access.no_owner": _l("No client of this router has the address %(address)s, so its entry can't be adopted."),
    "access.entry_changed": _l("The entry of %(address)s is not what it was any more. Nothing was changed."),
    "access.nothing_ticked": _l("Nothing was ticked."),
    "access.too_many_ticked": _l("At most %(limit)s lines at once."),
    "access.busy": _l("The router is being synchronised at this moment. Read it again in a minute."),
    "access.rules_failed": _l("The rules on router “%(router)s” are not as they should be: %(detail)s"),
}

PROBLEMS: dict[str, Any] = {
    "not_ipv6": _l("The client's IPv6 address is no address and no prefix, so it can't be put on a list."),
    "no_ipv6": _l("The router has no IPv6 address list that we may write to: the client's IPv6 stays open."),
    "ipv4_only": _l("IPv4 is held. The router has no IPv6 at all, so the client's IPv6 does not pass through it."),
    "no_user": _l("The router has no hotspot user of that name, and the client has no fixed address."),
    "no_lease": _l("The router has no lease for the client's device, and the client has no fixed address."),
    "no_session": _l("Nobody is logged in: the notice is put on as soon as the client is on line."),
    "no_profile": _l("The PPP profile “%(value)s” is not on the router any more: give the user another one there."),
    "profile_taken": _l("A PPP profile “%(value)s” that is not ours is on the router: rename it there."),
    "no_address": _l("The client has no known address: give it a fixed one, or wait until it is connected."),
    "not_ipv4": _l("The client's address is not a single IPv4 address, so it can't be put on a list."),
    "foreign": _l(
        "An entry that is not ours, on the list “%(value)s”, still holds the address: remove it on the router."
    ),
    "shared": _l("Client %(value)s has the same address and belongs on the list."),
    "router": _l("The router refused: %(value)s"),
    "connections": _l("The cut stands, but open connections could not be ended: %(value)s"),
    "old_session": _l("The profile is put back, but the session with the old one could not be ended: %(value)s"),
    "session_goes_on": _l("The user is cut, but its live session could not be ended and goes on: %(value)s"),
    "session": _l("The entry stands, but the live session could not be ended: %(value)s"),
}


CHECKS: dict[str, Any] = {
    "order": _l("Rules and their order"),
    "fasttrack": _l("FastTrack"),
    "dns": _l("Name resolution"),
    "server": _l("Server of the clients' pages"),
    "kept": _l("The client's address reaches the server"),
    "ipv6": _l("IPv6"),
    "unread": _l("Lists that rules read"),
    "payments": _l("Payment sites"),
    "own": _l("Own devices"),
    "proxy": _l("Web proxy of the router"),
    "duplicates": _l("Addresses of the clients"),
}

REASONS: dict[str, Any] = {
    "order": _l("Every rule is there, enabled, in order and above what would let the traffic past."),
    "misplaced": _l("Out of order, or below rules that let the traffic past: %(rules)s. Install the rules again."),
    "incomplete": _l("Missing or changed: %(rules)s. Install the rules again."),
    "fasttrack_first": _l(
        "FastTrack stands above the cut: open connections of suspended clients go on. Install the rules again."
    ),
    "fasttrack_below": _l("FastTrack stands below the cut."),
    "fasttrack_none": _l("The router does not use FastTrack."),
    "dns_named": _l("Suspended clients may ask the name servers of the settings."),
    "dns_rules": _l(
        "The rules that leave the name servers open are missing, so no page appears. Install the rules again."
    ),
    "dns_router": _l("The router itself answers names. Clients who ask another server get no answer while suspended."),
    "dns_none": _l(
        "The router answers no names and the settings name no name servers: suspended clients see no page. "
        "Write the name servers into the settings."
    ),
    "not_read": _l(
        "The router did not say. Check again; the group of the program's user on it needs the rights “read” and “test”."
    ),
    "server_none": _l(
        "The settings name no server of the clients' pages: the cut works, but shows no page. Write its address into "
        "the panel “Client pages” and install the rules again."
    ),
    "server_answers": _l("The router reaches %(address)s."),
    "server_silent": _l("The router does not reach %(address)s (no answer to a ping): look at the route or the VPN."),
    "kept": _l("Nothing hides the client's address on the way to the server."),
    "masqueraded": _l("A masquerade hides the client's address, so the page can't tell who looks. Install the rules."),
    "same_network": _l(
        "The server is in a network of the router itself (%(network)s). If clients are there too, their address is "
        "lost on the way: put the server elsewhere."
    ),
    "ipv6_none": _l("The router gives out no IPv6."),
    "ipv6_open": _l("IPv6 stays open: suspended clients who have it go on. Install the rules again."),
    "ipv6_empty": _l(
        "The rules are there, but the IPv6 list “%(list)s” is empty: who has IPv6 may go on. Write the clients' IPv6 "
        "addresses or prefixes into their connections."
    ),
    "ipv6_closed": _l("The cut holds for IPv6 too."),
    "unread": _l("Nobody reads %(lists)s: whoever stands there is not cut and sees no notice. Install the rules."),
    "read": _l("Every list that has entries is read by a rule."),
    "payments_none": _l(
        "The settings name no payment sites: suspended clients can't pay on line. Write them into the panel “Lists on "
        "the routers”, if there are any."
    ),
    "payments_closed": _l("Closed to suspended clients: %(sites)s. Install the rules again."),
    "payments_open": _l("The payment sites of the settings stay open."),
    "own_cut": _l("On the list “%(list)s” stand addresses of your own: %(addresses)s. Take them off."),
    "own_free": _l("No address of the router, the server or the name servers is on the list of the suspended."),
    "proxy_off": _l("The router's web proxy is off."),
    "proxy_guarded": _l("The web proxy is on (port %(port)s); a rule seems to guard it. Make sure that it does."),
    "proxy_open": _l(
        "The web proxy is on (port %(port)s) and no rule keeps strangers out: it will be abused. Switch it off, or "
        "close its port in the chain “input”."
    ),
    "single": _l("No two clients share an address."),
    "shared": _l(
        "Several clients share an address, whoever of them is cut takes the others along: %(addresses)s. Give each "
        "its own."
    ),
}

STATES: dict[str, Any] = {
    "good": _l("Good"),
    "warning": _l("To look at"),
    "bad": _l("Wrong"),
    "unknown": _l("Not known"),
}

WHY: dict[str, Any] = {
    "absent": _l("is not there"),
    "disabled": _l("is there, but disabled"),
    "lever": _l("the user or the lease on the router says something else"),
    "free": _l("the client is on no list"),
    "other_list": _l("the client belongs on the other list"),
    "address": _l("old address of the client"),
    "gone": _l("the client is cancelled or unknown"),
    "moved": _l("the client is on another router"),
}


def rules(standing: Any) -> tuple[str, str]:
    """Look and words of what is known of a router's rules (a ``verdicts.Standing``)."""
    if standing.cut is None:
        return "pending", str(_("Rules not looked at yet"))
    if not standing.cut:
        return "danger", str(_("Without the rules: nobody is cut"))
    if not standing.notice:
        return "warning", str(_("The rules show no notices"))
    if standing.worst == "bad":
        return "warning", str(_("Something is wrong with the rules"))
    return "success", str(_("Rules in place"))


def verdict(reason: str, values: Mapping[str, str]) -> str:
    """The sentence of a verdict."""
    return str(REASONS[reason]) % values


def explain(detail: str) -> str:
    """The sentence for an ``Outcome.detail`` or ``Access.error`` (``code`` or ``code: value``); empty for none."""
    if not detail:
        return ""
    code, _colon, value = detail.partition(": ")
    text = PROBLEMS.get(code)
    return str(text) % {"value": value} if text is not None else detail


def reason(code: str) -> str:
    """Why a client is suspended, in words."""
    names: dict[str, str] = {
        "debt": _("for debt"), "imported": _("for debt (previous system)"), "manual": _("by hand"),
        "pause": _("for a temporary pause"),
    }  # fmt: skip
    return names.get(code, "")


def register() -> None:
    """Let refusals of this slice be shown as sentences."""
    messages.update(REFUSALS)
