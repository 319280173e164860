"""Sentences and labels of clients and plans."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from wisp.clients.changeover import Unbilled
from wisp.clients.csvfile import Problem
from wisp.core.errors import messages
from wisp.settings.texts import TAX_ID
from wisp.web.formats import format_day

FIELDS: dict[str, Any] = {
    "code": _l("Code"),
    "name": _l("Name"),
    "email": _l("E-mail"),
    "phone": _l("Phone"),
    "phone2": _l("Second phone"),
    "language": _l("Language"),
    "legal_name": _l("Legal name"),
    "tax_id": TAX_ID,
    "fiscal_address": _l("Fiscal address"),
    "service_address": _l("Service address"),
    "coordinates": _l("Coordinates"),
    "note": _l("Note"),
    "zone": _l("Billing zone"),
    "plan": _l("Plan"),
    "connection": _l("Connection"),
    "address": _l("IP address"),
    "address6": _l("IPv6 address or prefix"),
    "networks": _l("Further addresses and networks"),
    "mac": _l("MAC address"),
    "username": _l("User"),
    "password": _l("Password"),
    "installed_on": _l("Installed on"),
    "billed_through": _l("Billed through"),
    "balance": _l("Balance"),
    "state": _l("State"),
    "free": _l("Free service"),
    "no_notice": _l("Excluded from the payment notice"),
    "no_cut": _l("Excluded from the cut"),
    "no_cut_until": _l("Excluded from the cut until"),
}

CONNECTIONS: dict[str, Any] = {
    "static": _l("Static IP"),
    "pppoe": _l("PPPoE"),
    "hotspot": _l("Hotspot"),
    "dhcp": _l("DHCP lease"),
}

STATES: dict[str, Any] = {
    "active": _l("Active"),
    "suspended": _l("Suspended"),
    "listed": _l("On the list, not cut"),
    "cutting": _l("Cut pending"),
    "reactivating": _l("Reactivation pending"),
    "cancelled": _l("Cancelled"),
}

STATE_LOOKS = {
    "active": "success",
    "suspended": "danger",
    "listed": "warning",
    "cutting": "waiting",
    "reactivating": "waiting",
    "cancelled": "off",
}

SUSPENSIONS: dict[str, Any] = {
    "debt": _l("for debt"),
    "imported": _l("for debt (previous system)"),
    "manual": _l("by hand"),
    "pause": _l("for a temporary pause"),
}

VALUES: dict[str, Any] = {
    "required": _l("This must not be empty."),
    "too_long": _l("This is too long."),
    "control": _l("This holds characters that cannot be printed."),
    "invisible": _l("This holds characters that nobody sees. Delete all of it and type it again."),
    "damaged": _l("A spreadsheet has cut this number short. Write it out, in a column formatted as text."),
    "phone": _l("A phone number has only digits, blanks and + ( ) - . signs."),
    "coordinates": _l("These are not coordinates: write latitude and longitude like 19.432608, -99.133209."),
    "network": _l(
        "Write addresses or networks like 10.0.0.9 203.0.113.8/29 2001:db8:0:4000::/56, with blanks between."
    ),
    "network_bits": _l(
        "This network has an address inside it instead of its first one: write 10.0.0.0/24 or 10.0.0.5."
    ),
    "code": _l("A code is 1 to 64 of the letters A–Z and a–z, digits and . _ @ - (no spaces or accents)."),
    "email": _l("This is no e-mail address that can be sent to. Separate several with a semicolon."),
    "address": _l("This is not the IP address of one device (10.0.0.5, without a mask)."),
    "address6": _l("This is not an IPv6 address (2001:db8::5) or prefix (2001:db8:0:40::/56)."),
    "mac": _l("This is not a MAC address (AA:BB:CC:DD:EE:FF)."),
    "date": _l("This is not a date: write it as 2026-01-31."),
    "choice": _l("This is not one of the possible values."),
    "speed": _l("This is not a speed: write 20M, 512k or 1G."),
}
"""Why one value cannot be right; the codes of domain.READERS."""

PROBLEMS: dict[str, Any] = {
    "encoding": _l(
        "The letters of this line are neither UTF-8 nor Windows-1252. Save the file as “CSV UTF-8” and upload it again."
    ),
    "spreadsheet_password": _l("The spreadsheet is protected with a password. Save it without one."),
    "spreadsheet_damaged": _l("The spreadsheet is damaged, or it is no spreadsheet."),
    "spreadsheet_too_large": _l("The spreadsheet holds too much: at most %(limit)s MB of text. Save it as CSV."),
    "too_many_columns": _l("This line has more than %(limit)s columns."),
    "nul": _l("The file holds NUL bytes: it is not a text file."),
    "too_large": _l("The file is larger than %(limit)s MB."),
    "too_many_rows": _l("The file holds more than %(limit)s clients."),
    "empty": _l("The file is empty."),
    "quoting": _l("The quotation marks do not match: %(detail)s"),
    "cells": _l("This line has %(found)s cells, the header has %(expected)s."),
    "column_missing": _l("The header lacks this column."),
    "column_unknown": _l("The header has a column that this program does not know."),
    "column_twice": _l("The header has this column twice."),
    "invisible_in": _l("This holds characters that nobody sees (%(found)s). Type it again."),
    "dropped": _l("Characters that nobody sees were left out (%(found)s)."),
    "zeros_lost": _l(
        "%(value)s was %(present)s: a spreadsheet has taken off its first noughts. Format the column as text."
    ),
    "date_order": _l(
        "“%(value)s” could be day and month or month and day, and no other date of the column tells. "
        "Write it as 2026-01-31."
    ),
    "not_yet": _l("This cannot be imported yet. Leave the column empty."),
    "network_twice": _l("%(value)s and %(other)s, on line %(line)s (client %(code)s), have addresses in common."),
    "network_taken": _l("%(value)s and %(other)s of %(name)s (%(code)s) have addresses in common."),
    "state_ignored": _l("%(code)s: the state is passed over, since it holds for new clients only."),
    "balance_ignored": _l(
        "%(code)s: the balance is passed over, since the account has an invoice or a payment already."
    ),
    "code_twice": _l("The code %(code)s is on line %(line)s already."),
    "code_taken": _l("The code %(code)s belongs to another client."),
    "code_cancelled": _l("The code %(code)s belongs to a cancelled client; codes are never used again."),
    "zone_unknown": _l("There is no billing zone named “%(name)s”."),
    "zone_ambiguous": _l("Several zones are named “%(name)s”: write Router/Zone."),
    "plan_unknown": _l("There is no plan named “%(name)s”."),
    "username_required": _l("This kind of connection needs a user."),
    "address_twice": _l("The address %(value)s is on line %(line)s already (client %(code)s)."),
    "address_taken": _l("The address %(value)s belongs to %(name)s (%(code)s) on the same router."),
    "address6_twice": _l("The address %(value)s is on line %(line)s already (client %(code)s)."),
    "address6_taken": _l("The address %(value)s belongs to %(name)s (%(code)s) on the same router."),
    "username_twice": _l("The user %(value)s is on line %(line)s already (client %(code)s)."),
    "username_taken": _l("The user %(value)s belongs to %(name)s (%(code)s) on the same router."),
}
"""Why a line of a CSV cannot be imported; the other codes are those of VALUES."""

REFUSALS: dict[str, Any] = {
    "clients.unknown": _l("There is no client with the code “%(client)s”."),
    "clients.code_taken": _l("The code “%(client)s” is taken. Codes of cancelled clients are not used again either."),
    "clients.address_taken": _l("The address %(address)s belongs to %(name)s (%(client)s) on the same router."),
    "clients.address6_taken": _l("The address %(address)s belongs to %(name)s (%(client)s) on the same router."),
    "clients.network_taken": _l(
        "%(network)s and %(other)s of %(name)s (%(client)s), on the same router, have addresses in common."
    ),
    "clients.username_taken": _l("The user %(username)s belongs to %(name)s (%(client)s) on the same router."),
    "clients.username_required": _l("PPPoE and hotspot connections need a user."),
    "clients.no_own_billing": _l(
        "The client %(client)s is billed with its zone: its tasks are the zone's. Nothing was changed."
    ),
    "clients.cancelled": _l("The client %(client)s is cancelled; nothing was changed."),
    "clients.conflict": _l(
        "Somebody else saved the same code, address or user a moment ago. Nothing was changed; look and try again."
    ),
    "clients.value": _l("%(field)s: this value cannot be right (%(reason)s)."),
    "clients.import_problems": _l("The file has %(count)s problems; nothing was written."),
    "clients.upload_gone": _l("This file is not here any more. Upload it again; nothing was written."),
    "clients.upload_done": _l("This file has been imported already: %(added)s new, %(changed)s changed."),
    "plans.router_profile": _l("The name of a profile has at most 64 characters, none of them a control character."),
    "plans.name": _l("A plan needs a name of 1 to 80 characters."),
    "plans.name_taken": _l("There is already a plan named “%(name)s”."),
    "plans.price": _l("A plan's price is not negative and not beyond all bounds."),
    "plans.unknown": _l("There is no plan named “%(name)s”."),
}


def problem(found: Problem) -> str:
    """The sentence of a problem of a CSV."""
    text = PROBLEMS.get(found.reason) or VALUES.get(found.reason) or messages.get(found.reason) or found.reason
    return str(text) % dict(found.values) if found.values else str(text)


def unbilled(hole: Unbilled) -> str:
    """The days that a change of billing leaves out."""
    return str(
        ngettext(
            "%(start)s falls between two periods: "
            "the next invoice, of %(first)s, charges it unless you choose otherwise.",
            "%(start)s to %(end)s (%(count)s days) fall between two periods: "
            "the next invoice, of %(first)s, charges them unless you choose otherwise.",
            hole.days,
            count=hole.days,
            start=format_day(hole.start),
            end=format_day(hole.end),
            first=format_day(hole.first),
        )
    )


def column(name: str) -> str:
    """The label of a value of a client."""
    return str(FIELDS.get(name, name))


def register() -> None:
    """Let refusals of this slice be shown as sentences."""
    messages.update(REFUSALS)
    messages.update({f"value.{code}": sentence for code, sentence in VALUES.items()})
