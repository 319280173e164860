"""Languages of the program, and the locale that writes amounts and dates as people of a place do."""

from babel import Locale, UnknownLocaleError

LANGUAGES = ("es", "en")
DEFAULT_LANGUAGE = "es"
_SHARED_CURRENCIES = {"EUR": "ES", "USD": "US"}


def language_or(wanted: str | None, default: str = DEFAULT_LANGUAGE) -> str:
    """``wanted`` where the program speaks it, else ``default``."""
    return wanted if wanted in LANGUAGES else default


def formatting_locale(language: str, currency: str) -> Locale:
    """The locale for numbers, money and dates: the language as spoken where the currency is used.

    A currency's first two letters are its country (MXN: MX), so Spanish and MXN give ``es_MX``, which writes
    ``$1,350.00``. Where there is no such locale it is the language alone.
    """
    territory = _SHARED_CURRENCIES.get(currency, currency[:2])
    try:
        return Locale.parse(f"{language_or(language)}_{territory}")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("es_MX" if language_or(language) == "es" else "en_US")
