"""Pages of payments: the list, registering, a payment's page, voiding, the client's tab, promises."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from wisp.access import service as access
from wisp.access import texts as access_texts
from wisp.clients import service as clients
from wisp.clients import texts as client_texts
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import Rows, session, transaction
from wisp.core.errors import Refused
from wisp.core.money import plain
from wisp.core.permissions import Permission
from wisp.invoices import listing as invoice_lists
from wisp.invoices import service as invoices
from wisp.invoices.models import Payment
from wisp.payments import doubts, promises, service
from wisp.payments import listing as lists
from wisp.payments.doubts import Doubts
from wisp.payments.forms import PaymentForm, PromiseForm, VoidForm
from wisp.payments.texts import ENDED, ENDED_LOOKS, METHODS, REACTIVATED, STATES
from wisp.settings import service as settings
from wisp.web import close_dialog, formats, go, render, render_dialog, requires, scope, tables, toast
from wisp.web.forms import put_error
from wisp.web.tables import csv_lines, csv_stream

bp = Blueprint("payments", __name__)
FIELD_OF = {
    "payments.amount": "amount",
    "payments.future": "paid_on",
    "payments.reference": "reference",
    "payments.invoice": "invoice",
}
WATCH = timedelta(minutes=10)
"""So long after a payment its page asks by itself whether the router has answered."""


@bp.get("/pagos/")
@requires(Permission.INVOICES_VIEW)
def index() -> Response:
    """All payments, filtered, searched, sorted."""
    only = _filters()
    listing = tables.Listing(lists.query(scope(), only), lists.SORTS, "-number")
    return render(
        "payments/list.html",
        partial="payments/_table.html",
        listing=listing,
        only=only,
        states=STATES,
        methods=METHODS,
        rows=lists.rows(listing.rows),
    )


@bp.get("/pagos/exportar.csv")
@requires(Permission.INVOICES_VIEW)
def export() -> Response:
    """The payments of the list, whatever the number, as a CSV file."""
    return csv_stream(f"pagos-{settings.today()}.csv", _csv(lists.query(scope(), _filters())))


def _csv(found: Rows) -> Iterator[str]:
    head = (
        _("Number"), _("Date"), _("Client code"), _("Client"), _("Method"), _("Reference"), _("Amount"),
        _("Credit left"), _("Voided"), _("Registered by"), _("Note"),
    )  # fmt: skip
    currency, methods, yes = settings.company().currency, {key: str(text) for key, text in METHODS.items()}, _("yes")
    rows = (
        (
            row.id, row.paid_on, row.code, row.name, methods[row.method], row.reference, plain(row.amount, currency),
            plain(row.remaining, currency), yes if row.voided_at else "", row.actor, row.note,
        )
        for row in lists.everything(found)
    )  # fmt: skip
    return csv_lines(head, rows)


@bp.route("/pagos/nuevo/", methods=["GET", "POST"])
@requires(Permission.PAYMENTS_REGISTER)
def new() -> Response:
    """Register a payment: first the client is searched for, then its debt and the form are shown."""
    code = request.args.get("client", "")
    if not code:
        text = tables.search_text()
        found = lists.candidates(scope(), text)
        if request.args.get("take") and len(found) == 1:  # Enter takes the only one
            return go(url_for("payments.new", client=found[0].client.code))
        return render(
            "payments/choose.html", partial="payments/_candidates.html", text=text, found=found,
            client_texts=client_texts,
        )  # fmt: skip
    client = _client(code)
    form = PaymentForm(paid_on=settings.today())
    if request.method == "GET":
        return _form_page(form, client)
    _choices(form, client)
    if not form.validate_on_submit():
        return _form_page(form, client)
    asked = doubts.of(
        client, form.amount.data or 0, method=form.method.data, reference=form.reference.data or "",
        token=form.token.data,
    )  # fmt: skip
    if asked.answer and asked.answer != form.sure.data:
        return _form_page(form, client, asked)
    try:
        with transaction():
            number = _register(form, _client(code), duplicate=asked.twin is not None).id
    except Refused as refused:
        put_error(form, refused, FIELD_OF)
        return _form_page(form, _client(code))
    _tell(service.find(number), _client(code))
    return go(url_for("payments.show", number=number))


def _register(form: PaymentForm, client: Client, *, duplicate: bool) -> Payment:
    return service.register(
        client,
        form.amount.data or 0,
        method=form.method.data,
        reference=form.reference.data or "",
        paid_on=form.paid_on.data,
        activate=request.form.get("activate") != "no",
        token=form.token.data,
        note=form.note.data or "",
        invoice_id=form.invoice.data or None,
        duplicate=duplicate,
    )


def _choices(form: PaymentForm, client: Client) -> list[Any]:
    open_ = lists.open_invoices(client.id)
    money = formats.format_money
    form.invoice.choices = [(0, _("The account: the oldest invoice first"))] + [
        (i.id, _("First %(number)s (%(amount)s), then the account", number=i.label, amount=money(i.total - i.paid)))
        for i in open_
    ]
    return open_


def _twin(asked: Doubts | None) -> dict[str, Any] | None:
    """The payment with the same reference; whose it is only inside the person's scope."""
    if asked is None or asked.twin is None:
        return None
    client = session().get_one(Client, asked.twin.client_id)
    return {"payment": asked.twin, "client": client if scope().allows(client.zone_id) else None}


def _form_page(form: PaymentForm, client: Client, asked: Doubts | None = None) -> Response:
    """The form, with what is asked before it is saved."""
    form.sure.data = asked.answer if asked else ""
    open_, debt = _choices(form, client), invoices.debt_of(client.id)
    if request.method == "GET":
        chosen = next((i for i in open_ if i.label == request.args.get("invoice")), None)
        form.invoice.data = chosen.id if chosen else 0
        due = (chosen.total - chosen.paid) if chosen else debt.open - debt.credit
        form.amount.data = due if due > 0 else None
    return render(
        "payments/new.html", status=422 if request.method == "POST" else 200, form=form, client=client, debt=debt,
        open_invoices=open_, late=invoice_lists.overdue([i.id for i in open_]), state=access.state_of(client.id),
        reason=access_texts.reason, company=settings.company(), asked=asked, twin=_twin(asked),
    )  # fmt: skip


def _tell(payment: Payment, client: Client) -> None:
    """Say what came of it, the service of a suspended client above all."""
    outcome = service.outcome(payment)
    kind = {"yes": "success", "no": "success", "waiting": "info"}.get(outcome, "warning")
    toast(str(REACTIVATED[outcome]) % {"number": payment.id, "client": client.name}, kind)


@bp.get("/pagos/<int:number>/")
@requires(Permission.INVOICES_VIEW)
def show(number: int) -> Response:
    """One payment: what it settled, what is left, and whether the service is back. Asks for itself while it waits."""
    payment = _payment(number)
    client = session().get_one(Client, payment.client_id)
    outcome = service.outcome(payment)
    return render(
        "payments/show.html", partial="payments/_outcome.html", payment=payment, client=client, methods=METHODS,
        settled=service.settled_by(payment), outcome=outcome, problem=_problem(client.id, outcome),
        watch=outcome == "waiting" and payment.created_at > clock.now() - WATCH,
        currency=settings.company().currency,
    )  # fmt: skip


@bp.route("/pagos/<int:number>/anular/", methods=["GET", "POST"])
@requires(Permission.PAYMENTS_VOID)
def void(number: int) -> Response:
    """Void a payment, with a reason."""
    payment, form = _payment(number), VoidForm()
    if form.validate_on_submit():
        try:
            with transaction():
                service.void(_payment(number), form.reason.data or "")
        except Refused as refused:
            form.form_errors.append(str(refused))
        else:
            toast(_("Payment %(number)s is void; what it had settled is open again.", number=number))
            close_dialog()
            return go(url_for("payments.show", number=number))
    return render_dialog(
        "payments/_void.html", _("Void payment %(number)s", number=number), status=422 if form.errors else 200,
        form=form, payment=payment,
    )  # fmt: skip


@bp.get("/clientes/<code>/pagos/")
@requires(Permission.CLIENTS_VIEW, Permission.INVOICES_VIEW)
def of_client(code: str) -> Response:
    """The tab "Pagos" of a client's file."""
    client = _client(code)
    only = lists.Filters(client_id=client.id)
    listing = tables.Listing(lists.query(scope(), only), lists.SORTS, "-number")
    return render(
        "payments/client.html", partial="payments/_table.html", client=client, tab="payments", only=only,
        listing=listing, rows=lists.rows(listing.rows), methods=METHODS,
    )  # fmt: skip


@bp.route("/clientes/<code>/promesa/", methods=["GET", "POST"])
@requires(Permission.PROMISES_GRANT)
def promise(code: str) -> Response:
    """Grant a promise to pay."""
    client, form = _client(code), PromiseForm()
    if form.validate_on_submit() and form.until.data is not None:
        try:
            with transaction():
                granted = promises.grant(_client(code), form.until.data)
                lifted = granted.reactivated
        except Refused as refused:
            form.form_errors.append(str(refused))
        else:
            day = formats.format_day(form.until.data)
            if lifted:
                toast(
                    _(
                        "The promise stands until %(day)s. The service comes back as soon as the router answers.",
                        day=day,
                    )
                )
            else:
                toast(_("The promise stands until %(day)s. Until then there is neither notice nor cut.", day=day))
            close_dialog()
            return go(url_for("payments.of_client", code=code))
    return render_dialog(
        "payments/_promise.html", _("Payment promise"), status=422 if form.errors else 200, form=form, client=client,
        debt=invoices.debt_of(client.id), allowed=promises.allowance(client), earlier=promises.earlier(client.id),
        ended=ENDED, looks=ENDED_LOOKS,
    )  # fmt: skip


def _problem(client_id: int, outcome: str) -> str:
    """What stands in the way of a reactivation that waits."""
    return access_texts.explain(access.state_of(client_id).error) if outcome == "waiting" else ""


def _client(code: str) -> Client:
    try:
        return clients.find(code, scope())
    except Refused:
        abort(404)


def _payment(number: int) -> Payment:
    try:
        return service.find(number, scope())
    except Refused:
        abort(404)


def _filters() -> lists.Filters:
    """What the address asks for; what cannot be is left out."""
    state, method = request.args.get("state", ""), request.args.get("method", "")
    return lists.Filters(
        text=tables.search_text(),
        state=state if state in lists.STATES else "",
        method=method if method in METHODS else "",
        since=_day("since"),
        until=_day("until"),
    )


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
