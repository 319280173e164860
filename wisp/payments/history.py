"""What the history of a client says of its payments and promises."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.core.audit import AuditEntry
from wisp.core.permissions import Permission
from wisp.invoices.models import Payment, Promise
from wisp.payments.texts import METHODS
from wisp.web.formats import format_day, format_money


def _payments(client: Client) -> list[sa.Select[Any]]:
    mine = Payment.client_id == client.id
    how = sa.case((Payment.reactivated, "back"), (Payment.activate, ""), else_="kept")
    made = sa.select(
        *columns("payment", "payment", Payment.created_at, Payment.id, actor=Payment.actor, amount=Payment.amount,
                 payment=Payment.id, detail=how + "|" + Payment.method + "|" + Payment.reference)
    ).where(mine)  # fmt: skip
    by = sa.func.coalesce(AuditEntry.actor, "system")
    written = sa.and_(
        AuditEntry.target == "payment:" + sa.cast(Payment.id, sa.String), AuditEntry.action == "payment.void"
    )
    void = sa.select(
        *columns("payment", "payment_void", Payment.voided_at, Payment.id, actor=by, amount=Payment.amount,
                 payment=Payment.id, detail=Payment.void_reason)
    ).outerjoin(AuditEntry, written).where(mine, Payment.voided_at.is_not(None))  # fmt: skip
    return [made, void]


def _payment_words(client: Client, rows: Sequence[Any]) -> list[Said]:
    return [Said(_payment_sentence(row)) for row in rows]


def _payment_sentence(row: Any) -> str:
    amount = format_money(row.amount)
    if row.kind == "payment_void":
        return str(_("Payment %(number)s of %(amount)s was voided: %(reason)s", number=row.payment, amount=amount,
                     reason=row.detail))  # fmt: skip
    how, method, reference = row.detail.split("|", 2)
    if method == "credit":
        return str(_("Credit of %(amount)s was brought along.", amount=amount))
    name = str(METHODS[method]) + (f", {reference}" if reference else "")
    words = _("Payment %(number)s of %(amount)s (%(method)s).", number=row.payment, amount=amount, method=name)
    if how == "back":
        words += " " + _("With it the service was ordered back.")
    if how == "kept":
        words += " " + _("“Register only”: it does not give the service back.")
    return str(words)


def _promises(client: Client) -> list[sa.Select[Any]]:
    mine = Promise.client_id == client.id
    until = sa.cast(Promise.until, sa.String)
    granted = sa.select(
        *columns("promise", "promise", Promise.created_at, Promise.id, actor=Promise.actor, detail=until)
    ).where(mine)  # fmt: skip
    broken = sa.select(
        *columns("promise", "promise_broken", Promise.ended_at, Promise.id, actor="system", run=Promise.run_id,
                 detail=until)
    ).where(mine, Promise.ended_at.is_not(None), Promise.outcome == "broken")  # fmt: skip
    return [granted, broken]


def _promise_words(client: Client, rows: Sequence[Any]) -> list[Said]:
    return [Said(_promise_sentence(row.kind, format_day(date.fromisoformat(row.detail[:10])))) for row in rows]


def _promise_sentence(kind: str, day: str) -> str:
    if kind == "promise_broken":
        return str(_("The promise to pay until %(day)s was broken.", day=day))
    return str(_("Promise to pay until %(day)s.", day=day))


def register() -> None:
    """Add these sources."""
    add(Source("payment", _payments, _payment_words, Permission.INVOICES_VIEW))
    add(Source("promise", _promises, _promise_words))
