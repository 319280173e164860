"""``flask company``: set and show."""

from typing import Any, BinaryIO

import click
from flask.cli import AppGroup

from wisp.core import money
from wisp.core.commands import command, emit, fail, json_option
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.settings import domain, hours, service

brakes = AppGroup("brakes", help="Brakes on cuts: the hours and days in which clients may be cut.")
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
        "tax_name": firm.tax_name,
        "alerts": service.alert_addresses(),
        "min_days_to_pay": firm.min_days_to_pay,
        "late_days": firm.late_days,
        "promise_days": firm.promise_days,
        "promises_a_year": firm.promises_a_year,
        "prorate": firm.prorate,
        "bill_first_days": firm.bill_first_days,
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
@click.option("--tax-name", help="As IVA.")
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


@group.command("logo")
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--remove", is_flag=True, help="Take the logo away.")
@json_option
@command
def logo(file: BinaryIO | None, remove: bool, as_json: bool) -> None:
    """Take a PNG or JPEG as the logo of the client pages, or take the logo away; without either, say which it is."""
    if file is not None and remove:
        raise click.UsageError("give a file or --remove, not both")
    with transaction():
        if file is not None:
            service.set_logo(file.read())
        elif remove:
            service.remove_logo()
        found = service.logo()
        size = {"type": found.kind, "width": found.width, "height": found.height} if found is not None else None
        emit({"logo": size}, as_json)


@group.command("show")
@json_option
@command
def show(as_json: bool) -> None:
    """The company's settings."""
    emit(shown(), as_json)


# Brakes ----------------------------------------------------------------------------------------------


def _span(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, str]:
    """ "08:00-18:00" or "any" as columns of the company."""
    if text in (None, "any"):
        return {} if text is None else {"cut_from": "", "cut_until": ""}
    try:
        begin, end = (hours.format_clock(hours.parse_clock(part)) for part in text.split("-"))
    except ValueError:
        raise click.BadParameter(f"{text} is not a span of hours like 08:00-18:00, nor any") from None
    if begin >= end:
        raise click.BadParameter(f"{text}: the first hour must be earlier than the second")
    return {"cut_from": begin, "cut_until": end}


def _weekdays(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, str]:
    """ "mon-thu", "mon,wed" or "any" as a column of the company."""
    try:
        return {} if text is None else {"cut_days": "" if text == "any" else hours.parse_days(text)}
    except ValueError:
        raise click.BadParameter(f"{text} are not days like mon-thu or mon,wed,fri, nor any") from None


def shown_brakes() -> dict[str, str]:
    """The brakes as JSON, as the options take them."""
    firm = service.company()
    return {
        "hours": f"{firm.cut_from}-{firm.cut_until}" if firm.cut_from else "any",
        "days": hours.format_days(firm.cut_days),
    }


@brakes.command("show")
@json_option
@command
def show_brakes(as_json: bool) -> None:
    """When clients may be cut."""
    emit(shown_brakes(), as_json)


@brakes.command("set")
@click.option("--hours", "span", callback=_span, metavar="08:00-18:00|any", help="By the clock of the client's zone.")
@click.option("--days", "weekdays", callback=_weekdays, metavar="mon-thu|any", help="Also like mon,wed,fri.")
@json_option
@command
def set_brakes(span: dict[str, str], weekdays: dict[str, str], as_json: bool) -> None:
    """Change what is given. A cut that is due outside these hours waits for them; reactivations and notices do not."""
    values = span | weekdays
    if not values:
        raise click.UsageError("nothing to set: give --hours or --days")
    with transaction():
        service.save_company(values)
        answer = shown_brakes()
    emit(answer, as_json)
