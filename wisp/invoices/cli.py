"""``flask invoices``: list, void."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

import click
from flask.cli import AppGroup

from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core.commands import command, emit, json_option
from wisp.core.db import session, transaction
from wisp.core.money import plain
from wisp.invoices import listing, service

group = AppGroup("invoices", help="Invoices.")


def _month(_context: Any, _option: Any, value: datetime | None) -> date | None:
    return value.date() if value is not None else None


@group.command("list")
@click.option("--client", "code", help="Of this client only.")
@click.option("--month", type=click.DateTime(["%Y-%m"]), callback=_month, help="Of this billing month only.")
@json_option
@command
def list_(code: str | None, month: date | None, as_json: bool) -> None:
    """All invoices, in the order of their numbers."""
    client_id = clients.find(code).id if code else None
    rows = listing.everything(listing.query(only=listing.Filters(month=month, client_id=client_id)))
    invoices = (shown(row, row.label, row.code) for row in rows)
    if as_json:
        for part in _array(invoices):
            click.echo(part)
    else:
        emit(list(invoices), False)


@group.command("void")
@click.argument("number")
@click.option("--why", required=True, help="The reason, kept with the invoice.")
@click.option("--again", is_flag=True, help="Let the next run invoice that month again; else it is exempt.")
@json_option
@command
def void(number: str, why: str, again: bool, as_json: bool) -> None:
    """Void an invoice. It keeps its number; what was paid on it goes back to the account."""
    with transaction():
        invoice = service.find(number)
        service.void(invoice, why, again)
        session().refresh(invoice)
        code = session().get_one(Client, invoice.client_id).code
        answer = shown(invoice, invoice.label, code)
    emit(answer, as_json, f"{answer['number']} is void")


def shown(invoice: Any, number: str, code: str) -> dict[str, Any]:
    """An invoice, or a row of listing.COLUMNS, as JSON."""
    return {
        "number": number,
        "client": code,
        "month": f"{invoice.month:%Y-%m}" if invoice.month else None,
        **{name: _day(getattr(invoice, name)) for name in ("period_from", "period_to", "issued", "due")},
        **{name: plain(getattr(invoice, name), invoice.currency) for name in ("net", "tax", "total")},
        "balance": plain(listing.balance(invoice), invoice.currency),
        "state": invoice.state,
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _array(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A JSON array, item by item: a list of a million is not held in memory."""
    opening = "["
    for item in items:
        yield opening + json.dumps(item, ensure_ascii=False)
        opening = ","
    yield "[]" if opening == "[" else "]"
