"""Amounts between minor units, Decimal and text."""

from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import list_currencies
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.core.locales import LANGUAGES, formatting_locale
from wisp.core.money import (
    MAX_MINOR,
    NotAnAmount,
    decimal_mark,
    decimals,
    example,
    format_money,
    parse_money,
    plain,
    to_decimal,
    to_minor,
)

AMOUNTS = st.integers(-MAX_MINOR, MAX_MINOR)
CURRENCIES = st.sampled_from(["MXN", "USD", "CLP", "PYG", "COP", "KWD", "JPY"])


def test_decimals_are_those_of_the_currency() -> None:
    assert [decimals(code) for code in ("MXN", "CLP", "KWD")] == [2, 0, 3]


@settings(max_examples=200, deadline=None)
@given(AMOUNTS, CURRENCIES)
def test_every_amount_survives_the_way_out_and_back(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, currency), currency) == minor
    assert parse_money(plain(minor, currency), currency, allow_negative=True) == minor


EVERYWHERE = sorted(
    {(code, formatting_locale(language, code)) for code in list_currencies() for language in LANGUAGES}, key=str
)


@settings(max_examples=200, deadline=None)
@given(AMOUNTS | st.integers(-2_000_000, 2_000_000), st.sampled_from(EVERYWHERE))
def test_whatever_the_program_writes_it_reads_in_every_locale(minor: int, place: tuple[str, Locale]) -> None:
    currency, locale = place
    for text in (format_money(minor, currency, locale), plain(minor, currency)):
        assert parse_money(text, currency, locale, allow_negative=True) == minor


def test_an_example_is_an_amount_of_the_company() -> None:
    assert [example(code, formatting_locale("es", code)) for code in ("MXN", "ARS", "CLP", "PYG", "KWD")] == [
        "1,350.50", "1.350,50", "1.350", "1.350", "1,350.500",
    ]  # fmt: skip
    for currency, locale in EVERYWHERE:
        assert parse_money(example(currency, locale), currency, locale) > 0


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.,' $-", max_size=12), st.sampled_from(["MXN", "ARS", "CLP", "KWD", "CRC"]))
def test_two_companies_never_read_the_same_text_differently(text: str, currency: str) -> None:
    """What depends on the locale's marks is read by one and refused by the other, where no currency has 3 decimals."""
    read = set()
    for locale in (Locale.parse("es_MX"), Locale.parse("es_AR"), Locale.parse("es_CR"), Locale.parse("en_CH")):
        try:
            read.add(parse_money(text, currency, locale, allow_negative=True))
        except NotAnAmount:
            continue
    assert len(read) <= 1 or currency == "KWD"


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
        ("1.234", "KWD", 1234),
        ("999,999,999,999.99", "MXN", MAX_MINOR),
        ("$350", "MXN", 35000),
        ("350 MXN", "MXN", 35000),
        ("350,50", "MXN", 35050),
        ("1.350,50", "MXN", 135050),
        ("1,350.50", "ARS", 135050),
        ("33.871", "ARS", 3387100),
        ("$ 33.871,5", "ARS", 3387150),
        ("75.000", "PYG", 75000),
        ("Gs. 150.000", "PYG", 150000),
        ("1.350.000", "MXN", 135000000),
        ("1 350", "MXN", 135000),
        ("1'350.50", "MXN", 135050),
        ("350.0", "CLP", 350),
        ("15990.00", "CLP", 15990),
    ],
)
def test_text_is_read_as_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_money(text, currency) == minor


@pytest.mark.parametrize(
    "text, currency",
    [
        ("", "MXN"),
        ("abc", "MXN"),
        ("350.001", "MXN"),
        ("350.000", "MXN"),
        ("1,35,000", "MXN"),
        ("33,871", "ARS"),
        ("33.871", "MXN"),
        ("150,000", "PYG"),
        ("350,5", "CLP"),
        ("US$350", "MXN"),
        ("$350", "PYG"),
        ("1.350.50", "MXN"),
        ("1.350,500", "ARS"),
        ("1,350'000", "MXN"),
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
        ("350\n351", "MXN"),
        ("1000000000000.00", "MXN"),
        ("9" * 6000, "MXN"),
    ],
)
def test_what_is_not_plainly_an_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError):
        parse_money(text, currency)


@pytest.mark.parametrize(
    "text, mark",
    [("350.00", "."), ("1.350,5", ","), ("1,350.500", "."), ("1.350", None), ("1,350,000", None), ("Gs. 150", None),
     ("350", None), ("", None), ("350,50 €", ",")],
)  # fmt: skip
def test_the_decimal_mark_is_learnt_where_it_is_certain(text: str, mark: str | None) -> None:
    assert decimal_mark(text) == mark


def test_a_mark_that_is_the_decimal_one_beside_it_groups_nothing() -> None:
    assert parse_money("33.871", "ARS") == 3387100
    with pytest.raises(NotAnAmount, match=r"^ambiguous$"):
        parse_money("33.871", "ARS", decimal_marks={"."})


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
