"""What a client's values must look like, how they are searched, and how they travel in a CSV cell. Pure.

The ``read_*`` functions take what a person typed and return the normal form; ValueError carries the code of
the reason, which the pages and the commands turn into a sentence.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

CONNECTIONS = ("static", "pppoe", "hotspot", "dhcp")
LANGUAGES = ("es", "en")
STATES = ("active", "suspended", "cancelled")
CODE = re.compile(r"[A-Za-z0-9._@-]{1,64}")
MAX_SPEED = 10**12
TERM_LENGTH = 64

_EMAIL = re.compile(r"[^@\s<>()\[\]\\,;:\"]{1,64}@[^@\s<>()\[\]\\,;:\"]+\.[^@\s<>()\[\]\\,;:\".]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAC = re.compile(r"[0-9A-F]{12}")
_SPEED = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,3}))?([kKmMgG]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_WORD = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"[0-9+() .-]+")
_EDGES = ",;:()\"'"
_GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def read_text(text: str, longest: int, *, required: bool = False) -> str:
    """One line of text without control characters, trimmed: ``required``, ``too_long`` or ``control``."""
    text = text.strip()
    if required and not text:
        raise ValueError("required")
    if len(text) > longest:
        raise ValueError("too_long")
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("control")
    return text


def read_code(text: str) -> str:
    """A client's code: 1 to 64 of ``A-Z a-z 0-9 . _ @ -``."""
    text = text.strip()
    if not text:
        raise ValueError("required")
    if not CODE.fullmatch(text):
        raise ValueError("code")
    return text


def read_email(text: str) -> str:
    """One e-mail address, or the empty text."""
    text = read_text(text, 254)
    if text and not _EMAIL.fullmatch(text):
        raise ValueError("email")
    return text


def read_address(text: str) -> str | None:
    """The address of one device, IPv4 or IPv6, in its shortest form; None for the empty text."""
    text = text.strip()
    if not text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("address") from None
    if address.is_unspecified or address.is_loopback or address.is_multicast or "%" in text:
        raise ValueError("address")
    return str(address)


def read_address6(text: str) -> str | None:
    """An IPv6 address, or a prefix of at least 32 bits, in its shortest form (host bits and ``/128`` left out); None
    for the empty text."""
    text = text.strip()
    if not text:
        return None
    try:
        network = ipaddress.IPv6Network(text, strict=False)
    except ValueError:
        raise ValueError("address6") from None
    first = network.network_address
    nobodys = first.is_unspecified or first.is_loopback or first.is_multicast or first.is_link_local
    if nobodys or network.prefixlen < 32 or "%" in text:
        raise ValueError("address6")
    return str(first if network.prefixlen == 128 else network)


def read_mac(text: str) -> str:
    """A hardware address as ``AA:BB:CC:DD:EE:FF``, from any of the usual spellings; the empty text stays."""
    digits = re.sub(r"[:.\-\s]", "", text).upper()
    if not digits:
        return ""
    if not _MAC.fullmatch(digits):
        raise ValueError("mac")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def read_date(text: str) -> date | None:
    """A date written ``YYYY-MM-DD`` between 1990 and 2100; None for the empty text."""
    text = text.strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not 1990 <= day.year <= 2100:
        raise ValueError("date")
    return day


def read_choice(text: str, choices: Iterable[str]) -> str:
    """One of ``choices``, whatever the case."""
    text = text.strip().lower()
    if not text:
        raise ValueError("required")
    if text not in choices:
        raise ValueError("choice")
    return text


READERS: dict[str, Callable[[str], Any]] = {
    "code": read_code,
    "name": lambda text: read_text(text, 120, required=True),
    "email": read_email,
    "phone": lambda text: read_text(text, 40),
    "language": lambda text: read_choice(text, LANGUAGES),
    "legal_name": lambda text: read_text(text, 160),
    "tax_id": lambda text: read_text(text, 40),
    "fiscal_address": lambda text: read_text(text, 300),
    "connection": lambda text: read_choice(text, CONNECTIONS),
    "address": read_address,
    "address6": read_address6,
    "mac": read_mac,
    "username": lambda text: read_text(text, 64),
    "password": lambda text: read_text(text, 64),
    "installed_on": read_date,
    "billed_through": read_date,
}
"""How each value of a client that comes as text is read; ValueError carries the code of the reason."""


def missing_username(connection: str, username: str) -> bool:
    """True where this kind of connection logs in by a user and there is none."""
    return connection in ("pppoe", "hotspot") and not username


def read_speed(text: str) -> int:
    """ "20M", "512k", "1.5G" or bare bits per second as bits per second; 0 (no limit) for the empty text."""
    text = text.strip()
    if not text:
        return 0
    match = _SPEED.fullmatch(text)
    if match is None:
        raise ValueError("speed")
    unit = _UNITS[match[3].lower()]
    thousandths = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
    if thousandths * unit % 1000 or thousandths * unit // 1000 > MAX_SPEED:
        raise ValueError("speed")
    return thousandths * unit // 1000


def write_speed(bits: int) -> str:
    """Bits per second as RouterOS writes them ("20M"); the empty text for 0."""
    for letter in "GMk":
        if bits and bits % _UNITS[letter.lower()] == 0:
            return f"{bits // _UNITS[letter.lower()]}{letter}"
    return str(bits) if bits else ""


def fold(text: str) -> str:
    """``text`` without accents and capitals, for comparing and sorting: "Ávila Ñúñez" -> "avila nunez"."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def search_terms(
    name: str, code: str, address: str | None, phone: str, username: str, email: str = "", address6: str | None = None
) -> set[str]:
    """Everything by whose beginning a client is found: the words of the name, the code (whole and its parts), both
    addresses, the phone (whole and without the country's or area's digits), the user and the e-mail."""
    terms = {word.strip(_EDGES) for word in fold(name).split()} | set(_WORD.findall(fold(name)))
    for whole in (code, username):
        terms |= {fold(whole), *_WORD.findall(fold(whole))}
    digits = re.sub(r"[^0-9]", "", phone)
    terms |= {digits, digits[-10:], digits[-7:], address or "", address6 or "", fold(email)}
    return {term[:TERM_LENGTH] for term in terms if term}


def query_terms(query: str) -> list[str]:
    """What a person searches for, as beginnings of terms that must all be found; at most eight.

    A query that looks like a phone number is one term, however it is grouped.
    """
    query = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in query).strip()
    digits = re.sub(r"[^0-9]", "", query)
    if _PHONE.fullmatch(query) and len(digits) >= 6 and not _is_dotted(query):
        return [digits]
    terms: list[str] = []
    for word in fold(query).split():
        word = word.strip(_EDGES)[:TERM_LENGTH]
        if word and word not in terms:
            terms.append(word)
    return terms[:8]


def _is_dotted(query: str) -> bool:
    """True for (the beginning of) an IPv4 address."""
    parts = query.split(".")
    return len(parts) > 1 and all(part.isdecimal() or not part for part in parts)


def guard_cell(text: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula; ``unguard_cell`` gives ``text`` back."""
    return "'" + text if text.startswith(_GUARDED) else text


def unguard_cell(text: str) -> str:
    """A cell as it was before ``guard_cell``."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_GUARDED) else text
