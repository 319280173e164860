"""What people read of invoices: states and refusals."""

from typing import Any

from flask_babel import lazy_gettext as _l

STATES: dict[str, Any] = {
    "pending": _l("Pending"),
    "partial": _l("Partial"),
    "paid": _l("Paid"),
    "void": _l("Void"),
}
FILTERS: dict[str, Any] = {"open": _l("Not fully paid"), "overdue": _l("Past due"), **STATES}
MESSAGES: dict[str, Any] = {
    "invoices.unknown": _l("There is no invoice %(number)s."),
    "invoices.ambiguous": _l("Several invoices end in %(number)s: write the whole number."),
    "invoices.already_void": _l("Invoice %(number)s is void already."),
    "invoices.void_reason": _l("Say why, in at most 200 characters."),
}
