"""What people read of payments: methods, results, refusals."""

from typing import Any

from flask_babel import lazy_gettext as _l

METHODS: dict[str, Any] = {
    "cash": _l("Cash"),
    "transfer": _l("Bank transfer"),
    "card": _l("Card"),
    "deposit": _l("Bank deposit"),
    "credit": _l("Credit"),
    "other": _l("Other"),
}
STATES: dict[str, Any] = {"valid": _l("Applied"), "credit": _l("With credit left"), "void": _l("Voided")}
REACTIVATED: dict[str, Any] = {
    "yes": _l("Payment %(number)s was registered and the service of %(client)s is back."),
    "waiting": _l(
        "Payment %(number)s was registered. The service of %(client)s comes back as soon as the router answers."
    ),
    "kept": _l("Payment %(number)s was registered. %(client)s has paid and stays suspended, as you chose."),
    "debt": _l("Payment %(number)s was registered. %(client)s stays suspended: the remaining debt is too high."),
    "suspended": _l("Payment %(number)s was registered. %(client)s stays suspended: the suspension is not for debt."),
    "no": _l("Payment %(number)s of %(client)s was registered."),
}
ENDED: dict[str, Any] = {"kept": _l("Kept"), "broken": _l("Broken"), "replaced": _l("Replaced by another one")}
"""How a promise ended."""
ENDED_LOOKS = {"kept": "success", "broken": "danger", "replaced": "muted"}
MESSAGES: dict[str, Any] = {
    "payments.amount": _l("The amount must be more than zero."),
    "payments.method": _l("There is no payment method “%(method)s”. Known: %(known)s."),
    "payments.future": _l("The date of a payment cannot lie in the future."),
    "payments.reference": _l("The reference may have at most %(limit)s characters."),
    "payments.duplicate": _l(
        "Payment %(number)s of client %(client)s has the same reference. Nothing was registered: where this is "
        "another payment, say so (--duplicate)."
    ),
    "payments.invoice": _l("This invoice is not of this client, or nothing of it is open any more."),
    "payments.token": _l("This form was used before for another payment. Open it again; nothing was registered."),
    "payments.void": _l("Payment %(number)s is void already."),
    "payments.void_reason": _l("Say why, in at most 200 characters."),
    "payments.unknown": _l("There is no payment %(number)s."),
    "promises.past": _l("A promise cannot end in the past."),
    "promises.too_long": _l("A promise ends at the latest on %(last)s: at most %(days)s days are promised."),
    "promises.too_many": _l(
        "Client %(client)s has promised %(limit)s times in %(year)s; no more are granted this year."
    ),
    "promises.no_debt": _l("Client %(client)s owes nothing, so there is nothing to promise."),
}
