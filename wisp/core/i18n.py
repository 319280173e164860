"""Texts outside a web request: what an invoice's line or an e-mail says, in the client's language."""

from datetime import date
from functools import lru_cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.support import NullTranslations, Translations

TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"
LANGUAGES = ("es", "en")
DEFAULT = "es"


@lru_cache(maxsize=8)
def _catalogue(language: str) -> NullTranslations:
    return Translations.load(TRANSLATIONS, [language])


def known(language: str) -> str:
    """``language`` where there is a catalogue for it, else the default."""
    try:
        base = Locale.parse(language.replace("-", "_")).language
    except (ValueError, UnknownLocaleError):
        return DEFAULT
    return base if base in LANGUAGES else DEFAULT


def translate(language: str, msgid: str, **arguments: object) -> str:
    """The text of ``msgid`` in ``language``, its ``%(name)s`` filled in."""
    found: str = _catalogue(known(language)).gettext(msgid)
    return found % arguments if arguments else found


def long_day(day: date, language: str) -> str:
    """A date as people write it: "20 nov 2026"."""
    return format_date(day, "d MMM y", locale=known(language))
