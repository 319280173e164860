"""Text that people type or paste: what of it is never meant, and e-mail addresses that can be sent to."""

import re
import unicodedata

from email_validator import EmailNotValidError, validate_email

_DAMAGED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{1,3}")


def format_characters(text: str) -> str:
    """The characters of a text that nobody sees (category Cf), by their numbers: "U+200B, U+FEFF"."""
    if text.isprintable():
        return ""
    return ", ".join(dict.fromkeys(f"U+{ord(c):04X}" for c in text if unicodedata.category(c) == "Cf"))


def without_format(text: str) -> str:
    """The text without characters that nobody sees."""
    return text if text.isprintable() else "".join(c for c in text if unicodedata.category(c) != "Cf")


def damaged_number(text: str) -> bool:
    """True for a number that a spreadsheet has cut short (5.2155E+11): its digits are lost."""
    return _DAMAGED.fullmatch(text) is not None


def read_email(text: str) -> str:
    """One e-mail address that any server can send to, its domain in small letters and in ASCII. ValueError("email")."""
    try:
        # .test stays possible: people try the program out in a network of their own
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("email") from None
    return found.ascii_email or found.normalized


def read_emails(text: str, longest: int = 254) -> str:
    """Several addresses, separated by semicolons, commas or blanks, as they are stored: each once, with "; " between.

    The empty text stays. ValueError("email"), or ("too_long") where they are more than ``longest`` together.
    """
    each = dict.fromkeys(read_email(part) for part in re.split(r"[;,\s]+", text) if part)
    joined = "; ".join(each)
    if len(joined) > longest:
        raise ValueError("too_long")
    return joined


def split_emails(field: str) -> list[str]:
    """The addresses of a field that ``read_emails`` has read."""
    return [part for part in (part.strip() for part in field.split(";")) if part]
