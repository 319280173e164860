"""Amounts between minor units, Decimal and text."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.core.money import MAX_MINOR, decimals, format_money, parse_money, plain, to_decimal, to_minor

AMOUNTS = st.integers(-MAX_MINOR, MAX_MINOR)
CURRENCIES = st.sampled_from(["MXN", "USD", "CLP", "PYG", "COP", "KWD", "JPY"])


def test_decimals_are_those_of_the_currency() -> None:
    assert [decimals(code) for code in ("MXN", "CLP", "KWD")] == [2, 0, 3]


@settings(max_examples=200, deadline=None)
@given(AMOUNTS, CURRENCIES)
def test_every_amount_survives_the_way_out_and_back(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, currency), currency) == minor
    assert parse_money(plain(minor, currency), currency, allow_negative=True) == minor


@settings(max_examples=200, deadline=None)
@given(st.integers(0, MAX_MINOR), CURRENCIES)
def test_thousands_may_be_grouped_with_commas(minor: int, currency: str) -> None:
    assert parse_money(f"{to_decimal(minor, currency):,}", currency) == minor


@pytest.mark.parametrize(
    "text, currency, minor",
    [
        ("350", "MXN", 35000),
        ("350.5", "MXN", 35050),
        ("350.00", "MXN", 35000),
        ("1,350.50", "MXN", 135050),
        ("1350.50", "MXN", 135050),
        (" 350 ", "MXN", 35000),
        ("0", "MXN", 0),
        ("000350.00", "MXN", 35000),
        ("19,990", "CLP", 19990),
        ("1.234", "KWD", 1234),
        ("999,999,999,999.99", "MXN", MAX_MINOR),
    ],
)
def test_text_is_read_as_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_money(text, currency) == minor


@pytest.mark.parametrize(
    "text, currency",
    [
        ("", "MXN"),
        ("abc", "MXN"),
        ("$350", "MXN"),
        ("350 MXN", "MXN"),
        ("350.001", "MXN"),
        ("350.000", "MXN"),
        ("350.0", "CLP"),
        ("350,50", "MXN"),
        ("1.350,50", "MXN"),
        ("1,35,000", "MXN"),
        (",350", "MXN"),
        ("1,3500", "MXN"),
        (".5", "MXN"),
        ("5.", "MXN"),
        ("1e3", "MXN"),
        ("1_000", "MXN"),
        ("+1", "MXN"),
        ("-1", "MXN"),
        ("NaN", "MXN"),
        ("Infinity", "MXN"),
        ("٣٥٠", "MXN"),
        ("1 350", "MXN"),
        ("350\n351", "MXN"),
        ("1000000000000.00", "MXN"),
        ("9" * 6000, "MXN"),
    ],
)
def test_what_is_not_plainly_an_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError):
        parse_money(text, currency)


def test_a_negative_amount_is_read_only_where_allowed() -> None:
    assert parse_money("-350.00", "MXN", allow_negative=True) == -35000
    with pytest.raises(ValueError, match="negative"):
        parse_money("-350.00", "MXN")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "0.001", "1E+30", "1E-30", "1E-999999", "1000000000000.00"])
def test_a_decimal_that_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError):
        to_minor(Decimal(amount), "MXN")


def test_a_decimal_may_be_written_shorter_or_longer() -> None:
    assert [to_minor(Decimal(text), "MXN") for text in ("350", "350.000", "3.5E+2", "-0.5")] == [
        35000,
        35000,
        35000,
        -50,
    ]


@pytest.mark.parametrize(
    "minor, currency, text",
    [
        (35000, "MXN", "350.00"),
        (5, "MXN", "0.05"),
        (-50, "MXN", "-0.50"),
        (0, "MXN", "0.00"),
        (19990, "CLP", "19990"),
        (1234, "KWD", "1.234"),
        (10**30, "CLP", "1" + "0" * 30),
    ],
)
def test_plain_text_has_the_currencys_decimals(minor: int, currency: str, text: str) -> None:
    assert plain(minor, currency) == text


def test_people_read_amounts_as_their_locale_writes_them() -> None:
    assert format_money(135000, "MXN", "es_MX") == "$1,350.00"
    assert format_money(135000, "USD", "en_US") == "$1,350.00"
    assert format_money(1999000, "COP", "es_CO") == "$19.990,00"
    assert format_money(-5, "MXN", "es_MX") == "-$0.05"
    assert "19.990" in format_money(19990, "CLP", "es_CL")
