"""``flask company``: set and show."""

from typing import Any

import click
from flask.cli import AppGroup

from wisp.core import money
from wisp.core.commands import command, emit, fail, json_option
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.settings import domain, service

group = AppGroup("company", help="The company: name, time zone, currency, language, tax, alerts.")


def shown() -> dict[str, Any]:
    """The company as JSON; the mail server's password only as set or not."""
    firm = service.company()
    return {
        "name": firm.name,
        "timezone": firm.timezone,
        "currency": firm.currency,
        "language": firm.language,
        "tax": domain.format_tax(firm.tax_bp),
        "tax_mode": firm.tax_mode,
        "alerts": service.alert_addresses(),
        "min_days_to_pay": firm.min_days_to_pay,
        "late_days": firm.late_days,
        "prorate": firm.prorate,
        "invoice_suspended": firm.invoice_suspended,
        "tolerance": money.plain(firm.tolerance, firm.currency),
        "notice_minimum": money.plain(firm.notice_minimum, firm.currency),
        "list_overdue": firm.list_overdue,
        "list_notice": firm.list_notice,
        "mail_server": firm.mail_server,
        "mail_port": firm.mail_port,
        "mail_security": firm.mail_security,
        "mail_username": firm.mail_username,
        "mail_password": bool(firm.mail_password),
        "mail_sender": firm.mail_sender,
    }


@group.command("set")
@click.option("--name")
@click.option("--timezone", help="As America/Mexico_City.")
@click.option("--currency", help="As MXN.")
@click.option("--language", type=click.Choice(domain.LANGUAGES))
@click.option("--tax", help="Percentage, as 16 or 10.5.")
@click.option(
    "--tax-mode", type=click.Choice(domain.TAX_MODES), help="Whether prices include the tax (default: included)."
)
@click.option("--alerts", multiple=True, metavar="ADDRESS", help="Where alerts go; may be given several times.")
@json_option
@command
def set_(tax: str | None, alerts: tuple[str, ...], as_json: bool, **given: str | None) -> None:
    """Save what is given; what is not given stays as it is."""
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if tax is not None:
        try:
            values["tax_bp"] = domain.parse_tax(tax)
        except domain.Invalid as invalid:
            raise Refused(invalid.code, **invalid.values) from None
    if alerts:
        values["alert_addresses"] = "\n".join(alerts)
    if not values:
        fail("nothing to set")
    with transaction():
        service.save_company(values)
        answer = shown()
    emit(answer, as_json, "saved")


@group.command("show")
@json_option
@command
def show(as_json: bool) -> None:
    """The company's settings."""
    emit(shown(), as_json)
