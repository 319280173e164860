"""Language of the page, and amounts, dates and hours as people write them.

The company's values come from a source that the settings slice provides, since this package knows no tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from flask import Flask, g, has_request_context, request
from flask_babel import get_locale
from flask_login import current_user

from wisp.core import clock, money
from wisp.core.locales import DEFAULT_LANGUAGE, LANGUAGES, formatting_locale, language_or

COOKIE = "wisp_language"


@dataclass(frozen=True)
class Facts:
    """What the frame needs to know of the company."""

    name: str = ""
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Mexico_City"))
    currency: str = "MXN"
    language: str = DEFAULT_LANGUAGE


_source: Callable[[], Facts] = Facts


def provide(source: Callable[[], Facts]) -> None:
    """Set where the company's values come from."""
    global _source
    _source = source


def facts() -> Facts:
    """The company's values, read once for each request."""
    if "company_facts" not in g:
        g.company_facts = _source()
    found: Facts = g.company_facts
    return found


def forget() -> None:
    """Read the company's values again (they were changed in this request)."""
    g.pop("company_facts", None)


def select_language() -> str:
    """The language of the page: what the person chose, else the person's own, else the company's."""
    if has_request_context():
        chosen = request.cookies.get(COOKIE)
        if chosen in LANGUAGES:
            return str(chosen)
        if current_user and current_user.is_authenticated and current_user.language in LANGUAGES:
            return str(current_user.language)
    return language_or(facts().language)


def language() -> str:
    """The two letters of the present language."""
    present = get_locale()
    return present.language if present is not None else DEFAULT_LANGUAGE


def locale() -> Locale:
    """The locale for amounts and dates: the present language in the company's country."""
    return formatting_locale(language(), facts().currency)


def format_money(minor: int | None, currency: str | None = None) -> str:
    """Minor units as an amount with its sign; a dash for None."""
    if minor is None:
        return "–"
    return money.format_money(minor, currency or facts().currency, locale())


def format_moment(moment: datetime | None, timezone: ZoneInfo | str | None = None, seconds: bool = False) -> str:
    """Date and hour (24 h) in the company's or the given time zone; a dash for None."""
    if moment is None:
        return "–"
    zone = clock.zone(timezone) if isinstance(timezone, str) else timezone or facts().timezone
    local = moment.astimezone(zone)
    hour = local.strftime("%H:%M:%S" if seconds else "%H:%M")
    return f"{format_day(local.date())} {hour}"


def format_day(day: date | None, style: str = "medium") -> str:
    """A date as people write it (21 nov 2026); a moment is taken in the company's time zone; a dash for None."""
    if day is None:
        return "–"
    if isinstance(day, datetime):
        day = day.astimezone(facts().timezone).date()
    return dates.format_date(day, style, locale=locale())


def format_month(day: date | None) -> str:
    """A billing month (noviembre 2026); a dash for None."""
    if day is None:
        return "–"
    pattern = "MMMM 'de' y" if language() == "es" else "MMMM y"
    return dates.format_date(day, pattern, locale=locale())


def format_since(moment: datetime | None) -> str:
    """How long ago, or in how long (hace 3 horas, dentro de 2 días); a dash for None."""
    if moment is None:
        return "–"
    # by the language alone: Mexico's forms mix "en 1 mes" with "dentro de 3 semanas"
    return dates.format_timedelta(moment - clock.now(), add_direction=True, locale=language())


def format_number(value: float | None) -> str:
    """A number with grouped thousands; a dash for None."""
    return "–" if value is None else numbers.format_decimal(value, locale=locale())


def init_app(app: Flask) -> None:
    """Give the templates their filters."""
    app.jinja_env.filters.update(
        money=format_money,
        moment=format_moment,
        day=format_day,
        month=format_month,
        since=format_since,
        number=format_number,
    )
