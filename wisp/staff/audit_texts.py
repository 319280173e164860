"""The audit log as people read it: names of fields, values and objects. What has no name here is shown as it is
stored, so that a line never goes missing because its words do."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core.audit import AuditEntry
from wisp.settings.texts import SECURITIES, TAX_ID, TAX_MODES, TITLES
from wisp.staff.texts import PERMISSIONS, ROLES
from wisp.web.formats import format_day, format_money, format_number

KINDS = {
    "bulk": _l("Bulk action"),
    "client": _l("Client"),
    "clock": _l("Clock"),
    "clients": _l("Clients"),
    "company": _l("Company"),
    "file": _l("File"),
    "import": _l("Import of clients"),
    "invoice": _l("Invoice"),
    "mail": _l("Mail server"),
    "message": _l("E-mail"),
    "outbox": _l("E-mails"),
    "payment": _l("Payment"),
    "plan": _l("Plan"),
    "router": _l("Router"),
    "schedule": _l("Days and hours"),
    "staff": _l("Person"),
    "task": _l("Periodic task"),
    "zone": _l("Billing zone"),
}
"""What the first part of a target is."""

_STAFF = {
    "email": _l("E-mail"), "given": _l("Permissions given"), "ip": _l("Address"), "password": _l("Password"),
    "permission": _l("Permission"), "permissions": _l("Permissions"), "recovery_codes": _l("Recovery codes"),
    "role": _l("Role"), "sessions": _l("Sessions"), "taken": _l("Permissions taken"), "totp": _l("Second factor"),
    "user_agent": _l("Browser"), "zones": _l("Zones"), "by": _l("By the link of"),
    "step": _l("Step"), "links": _l("Links"), "page": _l("Page"), "filter": _l("Filter"),
}  # fmt: skip
_CLIENT = {
    "note": _l("Note"),
    "coordinates": _l("Coordinates"),
    "networks": _l("Further addresses and networks"),
    "service_address": _l("Service address"),
    "phone2": _l("Second phone"),
    "bill_first_days": _l("Charge the first days of new clients"),
    "address": _l("IP address"), "address6": _l("IPv6 address or prefix"), "billed_through": _l("Billed through"),
    "connection": _l("Connection"), "fiscal_address": _l("Fiscal address"), "free": _l("Free service"),
    "installed_on": _l("Installed on"), "legal_name": _l("Legal name"), "mac": _l("MAC address"),
    "no_cut": _l("Never cut"), "no_cut_until": _l("Not cut until"), "no_notice": _l("Without notice"),
    "own_billing": _l("Own billing"), "phone": _l("Phone"), "plan": _l("Plan"), "tax_id": TAX_ID,
    "username": _l("User"), "zone": _l("Billing zone"), "zone_id": _l("Billing zone (number)"),
    "plan_id": _l("Plan (number)"), "router_id": _l("Router (number)"), "cancelled": _l("Cancelled"),
    "notice": _l("Notice"), "suspension": _l("Suspended"), "why": _l("Reason"),
}  # fmt: skip
_BILLING = {
    "seconds": _l("Seconds"),
    "activate": _l("Give the service back"), "again": _l("Invoice this month again"), "amount": _l("Amount"),
    "client": _l("Client"), "credit": _l("Credit"), "credits": _l("Credits"), "invoices": _l("Invoices"),
    "method": _l("Method"), "paid": _l("Paid so far"), "paid_on": _l("Date"), "price": _l("Price"),
    "outcome": _l("How it ended"), "reactivated": _l("Reactivated"), "reason": _l("Reason"),
    "reference": _l("Reference"),
    "settled": _l("Applied to invoices"), "state": _l("State"), "taken_back": _l("Open again"),
    "total": _l("Total"), "until": _l("Until"),
    "void": _l("Voided"), "down": _l("Download"), "up": _l("Upload"), "router_profile": _l("Profile on the router"),
}  # fmt: skip
_NETWORK = {
    "archived": _l("Archived"), "billing_type": _l("Type"), "comment": _l("Comment"), "cut": _l("Cut"),
    "due_day": _l("Payment day"), "fingerprint": _l("Certificate's fingerprint"), "host": _l("Address"),
    "hotspot_base": _l("Hotspot base profile"), "list": _l("List"), "lists": _l("Lists"),
    "menu": _l("Menu on the router"), "ordered_by": _l("Ordered by"), "port": _l("Port"),
    "ppp_base": _l("PPP base profile"), "pppoe_cut": _l("How PPPoE clients are cut"),
    "provision": _l("Write clients to the router"), "timezone": _l("Time zone"), "tls": _l("API-SSL"),
}  # fmt: skip
_COMPANY = {
    "alert_addresses": _l("Addresses for alerts"), "currency": _l("Currency"), "cut_days": _l("Days for cuts"),
    "cut_from": _l("Cuts from"), "cut_until": _l("Cuts until"), "cut_text_en": _l("Text of the cut page (English)"),
    "cut_text_es": _l("Text of the cut page (Spanish)"), "document_title": _l("Title of the document"),
    "hold_mail_days": _l("Days after which an unsent e-mail waits for a person"), "how_to_pay": _l("How to pay"),
    "invoice_suspended": _l("Invoice suspended clients too"), "language": _l("Language"),
    "late_days": _l("Days after which a missed task no longer runs by itself"),
    "promise_days": _l("Longest payment promise"),
    "promises_a_year": _l("Payment promises for one client in a year, at most"),
    "list_allowed": _l("List of what stays open"), "list_dns": _l("List of name servers"),
    "list_notice": _l("List of payment notices"), "list_overdue": _l("List of suspended clients"),
    "logo": _l("Logo"),
    "list_seen": _l("List of those who saw the notice"), "mail_password": _l("Password of the mail server"),
    "mail_port": _l("Port of the mail server"), "mail_security": _l("Security"), "mail_sender": _l("Sender"),
    "mail_server": _l("Mail server"), "mail_username": _l("User of the mail server"),
    "min_days_to_pay": _l("Minimum days to pay"), "notice_days": _l("Days of a confirmed notice"),
    "notice_hours": _l("Hours of a confirmed notice"),
    "notice_minimum": _l("Debt from which the payment notice is shown"),
    "notice_text_en": _l("Text of the notice page (English)"),
    "notice_text_es": _l("Text of the notice page (Spanish)"),
    "outage_minutes": _l("Minutes that a router must be off before an alert"),
    "page_port_cut": _l("Port of the cut page"), "page_port_notice": _l("Port of the notice page"),
    "page_servers": _l("Addresses of the server of the clients' pages"), "payment_hosts": _l("Payment sites"),
    "portal_url": _l("Address of the clients' pages"), "probe_seconds": _l("Seconds between two looks at a router"),
    "prorate": _l("Prorate a shortened first month"), "resolvers": _l("Name servers"),
    "review_days": _l("Days that a payment under review blocks the cut"),
    "seen_hours": _l("Hours for which a notice that was seen stays away"), "tax_bp": _l("Tax"),
    "tax_name": _l("Name of the tax"),
    "tax_mode": _l("Prices"), "tolerance": _l("Overdue debt that is tolerated without a cut"),
}  # fmt: skip
_OTHER = {
    "action": _l("Action"), "active": _l("Active"), "added": _l("New"), "changed": _l("Changed"),
    "enabled": _l("Switched on"), "file": _l("File"), "kinds": _l("Periodic tasks"), "message": _l("New message"),
    "messages": _l("Messages"), "month": _l("Month"), "name": _l("Name"), "recipient": _l("Recipient"),
    "run": _l("Run"), "unchanged": _l("Unchanged"),
}  # fmt: skip
FIELDS: dict[str, Any] = {
    **_STAFF, **_CLIENT, **_BILLING, **_NETWORK, **_COMPANY, **_OTHER,
    "settings.address": _l("Address"), "settings.phone": _l("Telephone"),
}  # fmt: skip
"""Names of fields; ``settings.address`` goes before ``address`` in the actions of settings."""

VALUES: dict[str, dict[Any, Any]] = {
    "billing_type": {"prepaid": _l("Prepaid"), "postpaid": _l("Postpaid")},
    "by": {"invitation": _l("Invitation"), "password_reset": _l("Forgotten password")},
    "connection": {
        "static": _l("Static IP"), "pppoe": _l("PPPoE"), "hotspot": _l("Hotspot"), "dhcp": _l("DHCP lease"),
    },
    "document_title": TITLES,
    "language": {"es": "Español", "en": "English"},
    "mail_security": SECURITIES,
    "method": {
        "cash": _l("Cash"), "transfer": _l("Bank transfer"), "card": _l("Card"), "deposit": _l("Bank deposit"),
        "credit": _l("Credit"), "other": _l("Other"),
    },
    "pppoe_cut": {"profile": _l("Profile of the cut"), "disable": _l("Secret switched off")},
    "recovery_codes": {"one used": _l("one was used"), "renewed": _l("made anew")},
    "role": ROLES,
    "outcome": {"kept": _l("Kept"), "broken": _l("Broken")},
    "suspension": {
        "debt": _l("for debt"), "imported": _l("for debt (previous system)"), "manual": _l("by hand"),
        "pause": _l("temporary pause"),
    },
    "state": {
        "pending": _l("Pending"), "partial": _l("Partial"), "paid": _l("Paid"), "void": _l("Voided"),
        "done": _l("Carried out"), "undoing": _l("Being undone"),
    },
    "tax_mode": TAX_MODES,
}  # fmt: skip
_KINDS_OF_TASKS = {"invoices": _l("Invoice creation"), "notice": _l("Payment notices"), "cut": _l("Service cut")}
_MONEY = {"amount", "credit", "notice_minimum", "paid", "price", "settled", "taken_back", "tolerance"}
_DAYS = {"billed_through", "installed_on", "no_cut_until", "paid_on", "until"}


def field_text(action: str, name: str) -> str:
    """The name of a field in lines of ``action``; the raw one where nobody gave it a name."""
    found = FIELDS.get(f"{action.partition('.')[0]}.{name}", FIELDS.get(name))
    if action.startswith("schedule.") or action == "zone.add":
        found = _KINDS_OF_TASKS.get(name, found)
    return name if found is None else str(found)


def object_text(target: str) -> str:
    """The kind of a target (``client:C001`` is a client); empty where it is unknown."""
    return str(KINDS.get(target.partition(":")[0], ""))


def value_text(action: str, name: str, value: Any) -> str:
    """A value as people read it; nothing is an empty text."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ", ".join(value_text(action, name, item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{_part(key)}: {value_text(action, str(key), value[key])}" for key in sorted(value))
    if isinstance(value, str) and value in PERMISSIONS:
        return str(PERMISSIONS[value])  # type: ignore[index]
    if value in ("changed", "… (changed)"):
        return str(_("changed, not shown"))
    known = VALUES.get(name, {}).get(value) if isinstance(value, str) else None
    return str(known) if known is not None else _plain(action, name, value)


def _part(key: Any) -> str:
    return str(_KINDS_OF_TASKS.get(key, key))


def _plain(action: str, name: str, value: Any) -> str:
    """Amounts, dates, shares and speeds are stored as bare numbers and texts."""
    if isinstance(value, int):
        if name in _MONEY or (action == "account.open" and name == "total"):
            return format_money(value)
        return _NUMBERS[name](value) if name in _NUMBERS else str(value)
    if isinstance(value, str):
        try:
            return format_day(date.fromisoformat(value)) if name in _DAYS else value
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _speed(bits: int) -> str:
    return f"{format_number(bits / 1_000_000)} Mb/s"


_NUMBERS: dict[str, Callable[[int], str]] = {
    "tax_bp": lambda points: f"{format_number(points / 100)} %",
    "down": _speed,
    "up": _speed,
}


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Name, value before and value after of what changed, in the order of the stored names."""
    before, after = entry.before or {}, entry.after or {}
    return [
        (
            field_text(entry.action, name),
            value_text(entry.action, name, before.get(name)),
            value_text(entry.action, name, after.get(name)),
        )
        for name in sorted({*before, *after})
    ]


def values_text(entry: AuditEntry, values: dict[str, Any] | None) -> str:
    """All values of one side in a line, for the CSV file."""
    side, action = values or {}, entry.action
    return "; ".join(f"{field_text(action, name)}: {value_text(action, name, side[name])}" for name in sorted(side))
