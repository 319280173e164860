"""The e-mail that an invoice exists: number, amount, due date, period, how to pay, in the client's language."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from sqlalchemy.orm import selectinload

from wisp.core.db import session
from wisp.invoices.models import Invoice
from wisp.outbox.kinds import CannotRender, Rendered, register_kind
from wisp.outbox.models import Message
from wisp.outbox.rendering import Formats, compose
from wisp.settings.service import company

KIND = "invoice"
client_link: Callable[[int], str] | None = None
"""The address of a client's own page, signed; the slice that has such a page sets it."""


def load(messages: Sequence[Message]) -> dict[int, Invoice]:
    """The invoices of a batch with their lines, in two statements."""
    wanted = {message.invoice_id for message in messages if message.invoice_id is not None}
    query = sa.select(Invoice).where(Invoice.id.in_(wanted)).options(selectinload(Invoice.lines))
    return {invoice.id: invoice for invoice in session().scalars(query)}


def render(message: Message, invoices: dict[int, Invoice]) -> Rendered:
    """The e-mail of one invoice. CannotRender where it was voided before its e-mail went."""
    invoice = invoices.get(message.invoice_id or 0)
    if invoice is None:
        raise CannotRender("gone")
    if invoice.state == "void":
        raise CannotRender("void")
    formats, title = Formats(message), document_title(company().document_title)
    total, due = formats.money(invoice.total, invoice.currency), formats.day(invoice.due)
    open_ = invoice.total - invoice.paid
    balance = formats.money(open_, invoice.currency)
    facts: list[tuple[str, Any]] = [(_("Number"), invoice.label), (_("Total"), total)]
    if invoice.paid:
        facts.append((_("Already paid"), formats.money(invoice.paid, invoice.currency)))
        facts.append((_("Amount to pay"), balance))
    if invoice.period_from and invoice.period_to:
        facts.append((_("Period"), f"{formats.day(invoice.period_from)} – {formats.day(invoice.period_to)}"))
    facts.append((_("Issued on"), formats.day(invoice.issued)))
    if open_:
        facts.append((_("Pay by"), due))
    return compose(
        KIND, message, _subject(title, invoice.label, open_, balance, due),
        title=title, invoice=invoice, lines=invoice.lines, facts=facts, open=open_, balance=balance, due=due,
        link=client_link(invoice.client_id) if client_link else "",
    )  # fmt: skip


def _subject(title: str, number: str, open_: int, balance: str, due: str) -> str:
    if not open_:
        return str(_("%(title)s %(number)s: paid, nothing is due", title=title, number=number))
    return str(_("%(title)s %(number)s: %(amount)s, due %(due)s", title=title, number=number, amount=balance, due=due))


def document_title(code: str) -> str:
    """The title of the document (a setting) in the present language; "Aviso de cobro" where none is chosen."""
    titles: dict[str, str] = {"receipt": _("Receipt"), "invoice": _("Invoice")}
    return titles.get(code) or str(_("Payment request"))


def register() -> None:
    """Make the kind known to the outbox; behind alerts and receipts, since there are thousands at once."""
    register_kind(KIND, render, load=load, urgent=False)
