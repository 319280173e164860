"""Amounts: integer minor units inside (cents, or whole pesos where there are no cents), text at the edges."""

import re
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency, get_currency_precision

MAX_MINOR = 99_999_999_999_999
"""The largest amount accepted: the integer formulas of tax and proration stay far inside 64 bits."""

_PLAIN = r"[0-9]+"
_GROUPED = r"[0-9]{1,3}(?:,[0-9]{3})+"
_AMOUNT = re.compile(rf"(?P<sign>-?)(?P<whole>{_GROUPED}|{_PLAIN})(?:\.(?P<fraction>[0-9]+))?")


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


def parse_money(text: str, currency: str, *, allow_negative: bool = False) -> int:
    """ "350", "350.00" or "1,350.50" as minor units.

    The point is the decimal mark and the comma groups thousands; whatever could be read in two ways is
    refused. ValueError for anything else, for more decimals than the currency has, for a sign unless
    `allow_negative`, and above MAX_MINOR.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an amount: {text!r}")
    if match["sign"] and not allow_negative:
        raise ValueError(f"negative amount: {text!r}")
    fraction = match["fraction"] or ""
    if len(fraction) > decimals(currency):
        raise ValueError(f"{currency} has {decimals(currency)} decimals: {text!r}")
    digits = (match["whole"].replace(",", "") + fraction.ljust(decimals(currency), "0")).lstrip("0")
    if len(digits) > len(str(MAX_MINOR)):  # checked before int(), which has a limit of its own
        raise ValueError("amount too large")
    minor = int(digits or "0")
    return -minor if match["sign"] else minor


def plain(minor: int, currency: str) -> str:
    """Minor units as bare text with the currency's decimals ("350.00"), for JSON, CSV and form fields."""
    return f"{to_decimal(minor, currency):f}"


def format_money(minor: int, currency: str, locale: str | Locale) -> str:
    """Minor units as people of a locale write them ("$1,350.00" for MXN in es_MX)."""
    return format_currency(to_decimal(minor, currency), currency, locale=locale)
