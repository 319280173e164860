"""Amounts: integer minor units inside (cents, or whole pesos where there are no cents), text at the edges."""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal

from babel import Locale
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
)

from wisp.core.errors import Refused
from wisp.core.locales import DEFAULT_LANGUAGE, formatting_locale

MAX_MINOR = 99_999_999_999_999
"""The largest amount accepted: the integer formulas of tax and proration stay far inside 64 bits."""

_LONGEST = 60
_BLANKS = "\u0020\u00a0\u2009\u202f"
_MARKS = ".," + _BLANKS + "'\u2019"
_NUMBER = re.compile(rf"[0-9]+(?:[{_MARKS}][0-9]+)*")
_MINUS = ("-", "\u2212")


class NotAnAmount(ValueError):
    """A text that is no amount. Its text is the code of the reason: ``amount``; ``ambiguous``: it could be two;
    ``negative``; ``too_fine``: more decimals than the currency has; ``too_large``."""


def decimals(currency: str) -> int:
    """How many decimals a currency (ISO 4217) has: MXN 2, CLP 0. An unknown one counts as having two."""
    return get_currency_precision(currency)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as a Decimal with exactly the currency's decimals, whatever the size."""
    digits = tuple(int(digit) for digit in str(abs(minor)))
    return Decimal((int(minor < 0), digits, -decimals(currency)))


def to_minor(amount: Decimal, currency: str) -> int:
    """A Decimal as minor units. ValueError where it is not a number, too large or finer than the currency."""
    if not amount.is_finite() or abs(amount.adjusted()) > 20:  # keeps the integers below small
        raise ValueError(f"not an amount: {amount}")
    scale: int = 10 ** decimals(currency)
    numerator, denominator = amount.as_integer_ratio()
    minor, rest = divmod(numerator * scale, denominator)
    if rest:
        raise ValueError(f"{currency} has {decimals(currency)} decimals: {amount}")
    if abs(minor) > MAX_MINOR:
        raise ValueError(f"amount too large: {amount}")
    return minor


def parse_money(
    text: str,
    currency: str,
    locale: Locale | None = None,
    *,
    allow_negative: bool = False,
    decimal_marks: Collection[str] = (),
) -> int:
    """An amount as people write it, as minor units: "350", "350.00", "1,350.50", "1.350,50", "$1,350", "Gs. 150.000".

    ``locale``: the marks of whoever writes (default: Spanish as it is written where the currency is used). What could
    be two amounts is read only where that locale's marks decide: "33.871" is a whole number in es_AR, "33,871" is
    refused. ``decimal_marks``: marks seen as decimal marks beside it (the column of a file), which then group nothing.
    Raises NotAnAmount, also for a sign unless ``allow_negative``.
    """
    locale = locale or formatting_locale(DEFAULT_LANGUAGE, currency)
    if len(text) > _LONGEST:
        raise NotAnAmount("amount")
    bare, negative = _bare(text, currency, locale)
    if negative and not allow_negative:
        raise NotAnAmount("negative")
    whole, fraction = _split(bare, currency, locale, decimal_marks)
    digits = (whole + fraction.ljust(decimals(currency), "0")).lstrip("0")
    if len(digits) > len(str(MAX_MINOR)):  # checked before int(), which has a limit of its own
        raise NotAnAmount("too_large")
    minor = int(digits or "0")
    return -minor if negative else minor


def refusal(error: NotAnAmount, text: str, currency: str, locale: Locale) -> Refused:
    """The refusal of a text that is no amount, with an example in the company's own way."""
    return Refused(
        f"amount.{error}",
        value=text.strip()[:80],
        currency=currency,
        decimals=decimals(currency),
        example=example(currency, locale),
    )


def decimal_mark(text: str) -> str | None:
    """The mark that can only be the decimal one in this amount; None where there is none, or nobody could say."""
    core = text[:_LONGEST].rstrip()
    while core and not core[-1].isdigit():
        core = core[:-1]
    at = max(core.rfind("."), core.rfind(","))
    rest, mark, digits = core[: max(at, 0)], core[at : at + 1], core[at + 1 :]
    if at < 0 or not digits.isdecimal():
        return None
    mixed = any(other in rest for other in ".," if other != mark)
    return mark if (len(digits) != 3 or mixed) and mark not in rest else None


def example(currency: str, locale: Locale) -> str:
    """An amount as it may be typed, with all its marks ("1,350.50")."""
    minor = 1350 * 10 ** decimals(currency) + 5 * 10 ** decimals(currency) // 10
    return format_decimal(to_decimal(minor, currency), f"#,##0.{'0' * decimals(currency)}", locale)


def _bare(text: str, currency: str, locale: Locale) -> tuple[str, bool]:
    """The digits and marks alone, and whether there is a minus: before or behind the currency's sign or code."""
    names = {get_currency_symbol(currency, locale), currency}
    if "$" in get_currency_symbol(currency, locale) or "$" in get_currency_symbol(currency, "es"):
        names.add("$")
    edges = _BLANKS + "\t"
    text, negative = text.strip(edges), False
    for _ in range(3):  # at most: sign, name, blank
        if not negative and text.startswith(_MINUS):
            text, negative = text[1:].strip(edges), True
        for name in sorted(names, key=len, reverse=True):
            if text[: len(name)].upper() == name.upper():
                text, names = text[len(name) :].strip(edges), set()
                break
            if text[-len(name) :].upper() == name.upper():
                text, names = text[: -len(name)].strip(edges), set()
                break
    return text, negative


def _split(text: str, currency: str, locale: Locale, decimal_marks: Collection[str]) -> tuple[str, str]:
    """Whole and fraction of an unsigned number, both of digits alone."""
    if not _NUMBER.fullmatch(text):
        raise NotAnAmount("amount")
    parts = re.split(f"[{_MARKS}]", text)
    marks = [" " if mark in _BLANKS else mark for mark in re.findall(f"[{_MARKS}]", text)]
    if not marks:
        return text, ""
    last, kinds = marks[-1], set(marks)
    if len(kinds) == 1 and _in_groups(parts, locale):
        if len(marks) > 1 or last not in ".," or _groups(last, currency, locale, decimal_marks):
            return "".join(parts), ""
    elif (
        len(kinds) > 2
        or last not in ".,"
        or marks.count(last) > 1
        or (len(marks) > 1 and not _in_groups(parts[:-1], locale))
    ):
        raise NotAnAmount("amount")
    return "".join(parts[:-1]), _fraction(parts[-1], currency)


def _in_groups(parts: Sequence[str], locale: Locale) -> bool:
    """Digits as grouping leaves them: threes (the first ones shorter in India) after a few that do not begin with 0."""
    usual = {3, locale.currency_formats["standard"].grouping[1]}
    middle = {len(part) for part in parts[1:-1]}
    return len(parts[0]) <= 3 and not parts[0].startswith("0") and len(parts[-1]) == 3 and middle <= usual


def _groups(mark: str, currency: str, locale: Locale, decimal_marks: Collection[str]) -> bool:
    """Whether a point or comma before three digits, the only one of the number, groups thousands; else it is the
    decimal mark. NotAnAmount("ambiguous") where neither is certain."""
    if mark == get_group_symbol(locale) and mark not in decimal_marks:
        return True
    if decimals(currency) < 3 or mark not in {get_decimal_symbol(locale), *decimal_marks}:
        raise NotAnAmount("ambiguous")
    return False


def _fraction(digits: str, currency: str) -> str:
    """Decimals of an amount; zeros that the currency does not have are let go ("350.00" of CLP)."""
    places = decimals(currency)
    if len(digits) > max(places, 2) or digits[places:].strip("0"):
        raise NotAnAmount("too_fine")
    return digits[:places]


def plain(minor: int, currency: str) -> str:
    """Minor units as bare text with the currency's decimals ("350.00"), for JSON, CSV and form fields."""
    return f"{to_decimal(minor, currency):f}"


def format_money(minor: int, currency: str, locale: str | Locale) -> str:
    """Minor units as people of a locale write them ("$1,350.00" for MXN in es_MX)."""
    return format_currency(to_decimal(minor, currency), currency, locale=locale)
