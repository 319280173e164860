"""Pages of invoices: the list, the document, voiding, the client's tab, the CSV file."""

from collections.abc import Iterator
from datetime import date

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core.db import Rows, session, transaction
from wisp.core.errors import Refused
from wisp.core.money import plain
from wisp.core.permissions import Permission
from wisp.invoices import listing as lists
from wisp.invoices import mail, service
from wisp.invoices.forms import VoidForm
from wisp.invoices.models import Allocation, Invoice, Payment
from wisp.invoices.texts import FILTERS, STATES
from wisp.outbox import texts as outbox_texts
from wisp.outbox.models import Message
from wisp.routers import service as routers
from wisp.settings import service as settings
from wisp.settings.domain import format_tax
from wisp.settings.texts import tax_name
from wisp.web import close_dialog, go, render, render_dialog, requires, scope, tables, toast
from wisp.web.requests import row_number
from wisp.web.tables import csv_lines, csv_stream

bp = Blueprint("invoices", __name__)
MONTHS = 25
"""So many months the filter offers, next month first."""


@bp.get("/facturas/")
@requires(Permission.INVOICES_VIEW)
def index() -> Response:
    """All invoices, filtered, searched, sorted."""
    only = _filters()
    listing = tables.Listing(lists.query(scope(), only), lists.SORTS, "-number")
    return render(
        "invoices/list.html", partial="invoices/_table.html", listing=listing, only=only, states=STATES,
        filters=FILTERS, months=_months(), zones={zone.id: zone.name for zone in routers.zone_names(scope())},
        rows=lists.rows(listing.rows), late=lists.overdue(listing.rows),
    )  # fmt: skip


@bp.get("/facturas/exportar.csv")
@requires(Permission.INVOICES_VIEW)
def export() -> Response:
    """The invoices of the list, whatever the number, as a CSV file."""
    zones = {zone.id: zone.name for zone in routers.zone_names(scope())}
    return csv_stream(f"facturas-{settings.today()}.csv", _csv(lists.query(scope(), _filters()), zones))


def _csv(found: Rows, zones: dict[int, str]) -> Iterator[str]:
    head = (
        _("Number"), _("Client code"), _("Client"), _("Zone"), _("Month"), _("Period from"), _("Period to"),
        _("Issued on"), _("Due"), _("Net"), _("Tax"), _("Total"), _("Balance"), _("State"),
    )  # fmt: skip
    states = {state: str(text) for state, text in STATES.items()}
    rows = (
        (
            row.label, row.code, row.name, zones.get(row.zone_id, ""), f"{row.month:%Y-%m}" if row.month else "",
            row.period_from, row.period_to, row.issued, row.due,
            *(plain(amount, row.currency) for amount in (row.net, row.tax, row.total, lists.balance(row))),
            states[row.state],
        )
        for row in lists.everything(found)
    )  # fmt: skip
    return csv_lines(head, rows)


@bp.get("/facturas/<number>/")
@requires(Permission.INVOICES_VIEW)
def show(number: str) -> Response:
    """One invoice as a document, with its payments and its e-mail."""
    invoice = _invoice(number)
    client = session().get_one(Client, invoice.client_id)
    company = settings.company()
    return render(
        "invoices/show.html", invoice=invoice, client=client, company=company, states=STATES,
        title=mail.document_title(company.document_title), tax=format_tax(invoice.tax_bp), tax_name=tax_name(company),
        balance=lists.balance(invoice), late=invoice.id in lists.overdue([invoice.id]),
        payments=_payments(invoice), messages=_messages(invoice), mail_texts=outbox_texts,
    )  # fmt: skip


@bp.route("/facturas/<number>/anular/", methods=["GET", "POST"])
@requires(Permission.INVOICES_VOID)
def void(number: str) -> Response:
    """Void an invoice, with a reason."""
    invoice, form = _invoice(number), VoidForm()
    if form.validate_on_submit():
        try:
            with transaction():
                service.void(service.find(number, scope()), form.reason.data or "", bool(form.again.data))
        except Refused as refused:
            form.form_errors.append(str(refused))
        else:
            toast(_("Invoice %(number)s is void. What was paid on it is credit on the account.", number=invoice.label))
            close_dialog()
            return go(url_for("invoices.show", number=invoice.label))
    return render_dialog(
        "invoices/_void.html", _("Void invoice %(number)s", number=invoice.label), status=422 if form.errors else 200,
        form=form, invoice=invoice,
    )  # fmt: skip


@bp.get("/clientes/<code>/facturas/")
@requires(Permission.CLIENTS_VIEW, Permission.INVOICES_VIEW)
def of_client(code: str) -> Response:
    """The tab "Facturas" of a client's file."""
    try:
        client = clients.find(code, scope())
    except Refused:
        abort(404)
    listing = tables.Listing(lists.query(scope(), lists.Filters(client_id=client.id)), lists.SORTS, "-number")
    return render(
        "invoices/client.html", partial="invoices/_table.html", listing=listing, client=client, states=STATES,
        tab="invoices", only=lists.Filters(client_id=client.id), zones={}, debt=service.debt_of(client.id),
        rows=lists.rows(listing.rows), late=lists.overdue(listing.rows),
    )  # fmt: skip


def _invoice(number: str) -> Invoice:
    try:
        return service.find(number, scope())
    except Refused:
        abort(404)


def _payments(invoice: Invoice) -> list[tuple[Payment, int]]:
    query = (
        sa.select(Payment, Allocation.amount)
        .join(Allocation, Allocation.payment_id == Payment.id)
        .where(Allocation.invoice_id == invoice.id)
        .order_by(Payment.id)
    )
    return [(payment, amount) for payment, amount in session().execute(query)]


def _messages(invoice: Invoice) -> list[Message]:
    return list(session().scalars(sa.select(Message).where(Message.invoice_id == invoice.id).order_by(Message.id)))


def _filters() -> lists.Filters:
    """What the address asks for; what cannot be is left out."""
    state, zone = request.args.get("state", ""), request.args.get("zone", "")
    return lists.Filters(
        text=tables.search_text(),
        month=_month(request.args.get("month", "")),
        state=state if state in lists.STATES else "",
        zone_id=row_number(zone),
    )


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01") if len(text) == 7 else None
    except ValueError:
        return None


def _months() -> list[date]:
    today = settings.today()
    last = today.year * 12 + today.month  # the month after this one, counted from year 0
    return [date(n // 12, n % 12 + 1, 1) for n in range(last, last - MONTHS, -1)]
