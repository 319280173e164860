"""No cell of a CSV file is run as a formula, by whichever sign a spreadsheet separates cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wisp.core.formulas import guard, unguard


@pytest.mark.parametrize("text, safe", [
    ("Juan", "Juan"), ("a-b = c", "a-b = c"), ("", ""), ("O'Neil", "O'Neil"),
    ("=1+1", "'=1+1"), ("-5", "'-5"), ("@SUM(1)", "'@SUM(1)"), ("\u200b=1", "\u200b'=1"), (" +1", " '+1"),
    ("Juan;=1+1;@SUM(1)", "Juan;'=1+1;'@SUM(1)"), ("nota\n=3+3", "nota\n'=3+3"), ("a\t=1", "a\t'=1"),
    ("a; \u200b-1", "a; \u200b'-1"), ("＝1", "'＝1"), ("\tx", "'\tx"), ("'=1", "''=1"),
])  # fmt: skip
def test_where_a_formula_would_begin_an_apostrophe_stands(text: str, safe: str) -> None:
    assert guard(text) == safe
    assert unguard(safe) == text


@given(st.text(alphabet="=+-@;\t\r\n '\u200b1a,＝", max_size=12))
def test_reading_gives_back_what_was_written(text: str) -> None:
    assert unguard(guard(text)) == text
