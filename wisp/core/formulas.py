"""Cells of a CSV file as a spreadsheet reads them: none is run as a formula. Pure."""

import re

_BLANK = " \u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
"""What a spreadsheet passes over before a formula: blanks, and signs that nobody sees."""
_FORMULA = "=+\\-@＝＋－＠"
# A cell begins at the beginning, and where a spreadsheet separates otherwise than we do, after each ; tab and line end.
_BEGINNING = rf"(?<![^;\t\r\n])([{_BLANK}]*)"
_BARE = re.compile(rf"{_BEGINNING}(?='*[{_FORMULA}])|\A(?='*[\t\r\n]|')")
_GUARDED = re.compile(rf"{_BEGINNING}'(?='*[{_FORMULA}])|\A'(?='*[\t\r\n]|')")


def guard(text: str) -> str:
    """``text`` with an apostrophe wherever a spreadsheet would begin a formula; ``unguard`` gives it back."""
    return _BARE.sub(lambda found: f"{found[0]}'", text)


def unguard(text: str) -> str:
    """A cell as it was before ``guard``."""
    return _GUARDED.sub(lambda found: found[1] or "", text)
