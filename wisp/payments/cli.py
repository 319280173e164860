"""``flask payments``: add, promise."""

from contextlib import nullcontext
from datetime import date, datetime
from typing import Any

import click
from flask.cli import AppGroup

from wisp.clients import service as clients
from wisp.core import queue
from wisp.core.commands import command, emit, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.money import plain
from wisp.invoices.models import Payment
from wisp.payments import promises, service
from wisp.settings import service as settings

group = AppGroup("payments", help="Payments and payment promises.")


def _day(_context: Any, _option: Any, value: datetime | None) -> date | None:
    return value.date() if value is not None else None


@group.command("add")
@click.option("--client", "code", required=True, help="Code of the client.")
@click.option("--amount", required=True, help="Like 350.00, in the company's currency.")
@click.option("--method", required=True, type=click.Choice(service.METHODS))
@click.option("--reference", default="")
@click.option("--duplicate", is_flag=True, help="Also where another payment has the same reference.")
@click.option("--no-activate", is_flag=True, help="Only register: a suspended client stays suspended.")
@wait_option
@json_option
@command
def add(
    code: str, amount: str, method: str, reference: str, duplicate: bool, no_activate: bool, wait: bool, as_json: bool
) -> None:  # fmt: skip
    """Register a payment against the account: oldest invoice first, the rest stays as credit.

    A reference that another payment has (cash apart) is refused without --duplicate."""
    with queue.inline() if wait else nullcontext(), transaction():
        client = clients.find(code)
        payment = service.register(
            client,
            settings.read_amount(amount),
            method=method,
            reference=reference,
            activate=not no_activate,
            duplicate=duplicate,
        )
        number = payment.id
    session().rollback()
    answer = shown(service.find(number), code)
    emit(answer, as_json)


@group.command("promise")
@click.option("--client", "code", required=True, help="Code of the client.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), callback=_day, help="Included.")
@wait_option
@json_option
@command
def promise(code: str, until: date, wait: bool, as_json: bool) -> None:
    """Grant a promise to pay: until that day the client is neither notified nor cut, and a cut for debt is lifted."""
    with queue.inline() if wait else nullcontext(), transaction():
        client = clients.find(code)
        granted, client_id = promises.grant(client, until), client.id
        number, lifted = granted.promise.id, granted.reactivated
    session().rollback()
    reactivated = service.reactivation(client_id, lifted)
    emit({"id": number, "client": code, "until": until.isoformat(), "reactivated": reactivated}, as_json)


def shown(payment: Payment, code: str) -> dict[str, Any]:
    """A payment as JSON."""
    currency = settings.company().currency
    return {
        "id": payment.id,
        "client": code,
        "amount": plain(payment.amount, currency),
        "applied": plain(payment.amount - payment.remaining, currency),
        "credit": plain(payment.remaining, currency),
        "reactivated": service.reactivation(payment.client_id, payment.reactivated),
        "method": payment.method,
        "reference": payment.reference,
        "paid_on": payment.paid_on.isoformat(),
    }
