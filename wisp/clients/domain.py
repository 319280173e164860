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

from wisp.core import formulas
from wisp.core.text import damaged_number, read_emails, split_emails

CONNECTIONS = ("static", "pppoe", "hotspot", "dhcp")
LANGUAGES = ("es", "en")
STATES = ("active", "suspended", "cancelled")
CODE = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._@-]{1,64}")
"""Not "." nor "..": in an address they would name a folder, and the client's page could not be opened."""
MAX_SPEED = 10**12
TERM_LENGTH = 64
NOTE = 2_000
SHORTEST_PREFIX = {4: 16, 6: 32}
"""Whatever is larger is nobody's network, but a slip."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAC = re.compile(r"[0-9A-F]{12}")
_SPEED = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,3}))?([kKmMgG]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_WORD = re.compile(r"[^\W_]+")
_PHONE = re.compile(r"[0-9+() .-]+")
_DEGREES = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{1,9})?")
_EDGES = ",;:()\"'"


def read_text(text: str, longest: int, *, required: bool = False) -> str:
    """One line of text, trimmed: ``required``, ``too_long``, ``control`` or ``invisible`` (format characters)."""
    text = text.strip()
    if required and not text:
        raise ValueError("required")
    if len(text) > longest:
        raise ValueError("too_long")
    if not text.isprintable():
        kinds = {unicodedata.category(letter) for letter in text}
        if kinds & {"Cc", "Cs"}:
            raise ValueError("control")
        if "Cf" in kinds:
            raise ValueError("invisible")
    return text


def read_note(text: str) -> str:
    """Lines of text; the breaks between them are the only control characters."""
    lines = [read_text(line, NOTE) for line in text.strip().splitlines()]
    if len(note := "\n".join(lines)) > NOTE:
        raise ValueError("too_long")
    return note


def read_code(text: str) -> str:
    """A client's code: 1 to 64 of ``A-Z a-z 0-9 . _ @ -``, but not what addresses of pages take for a folder."""
    text = text.strip()
    if not text:
        raise ValueError("required")
    if not CODE.fullmatch(text) or text in (".", ".."):
        raise ValueError("code")
    return text


def read_phone(text: str) -> str:
    """A phone number: digits, ``+ ( ) - .`` and blanks; the empty text stays."""
    text = read_text(text, 40)
    if damaged_number(text):
        raise ValueError("damaged")
    if text and not (_PHONE.fullmatch(text) and re.search("[0-9]", text)):
        raise ValueError("phone")
    return text


def read_coordinates(text: str) -> str:
    """Latitude and longitude in degrees ("19.432608, -99.133209"); the empty text stays."""
    parts = [part for part in re.split(r"[,;\s]", text) if part]
    if not parts:
        return ""
    if len(parts) != 2 or not all(_DEGREES.fullmatch(part) for part in parts):
        raise ValueError("coordinates")
    if abs(float(parts[0])) > 90 or abs(float(parts[1])) > 180:
        raise ValueError("coordinates")
    return ", ".join(parts)


def read_networks(text: str) -> tuple[str, ...]:
    """Addresses and prefixes, IPv4 and IPv6, separated by blanks, commas or semicolons: in canonical form, each once.

    A prefix that has host bits is refused (``network_bits``): whoever writes 10.0.0.5/24 means one of two things.
    """
    return tuple(sorted({_network(part) for part in re.split(r"[;,\s]+", text) if part}))


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("network") from None
    first = network.network_address
    nobodys = (
        first.is_unspecified
        or first.is_loopback
        or first.is_multicast
        or (network.version == 6 and first.is_link_local)
    )
    if nobodys or network.prefixlen < SHORTEST_PREFIX[network.version] or "%" in text:
        raise ValueError("network")
    if str(first) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise ValueError("network_bits")
    return str(first if network.prefixlen == network.max_prefixlen else network)


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
    "email": read_emails,
    "phone": read_phone,
    "phone2": read_phone,
    "language": lambda text: read_choice(text, LANGUAGES),
    "legal_name": lambda text: read_text(text, 160),
    "tax_id": lambda text: read_text(text, 40),
    "fiscal_address": lambda text: read_text(text, 300),
    "service_address": lambda text: read_text(text, 300),
    "coordinates": read_coordinates,
    "note": read_note,
    "networks": read_networks,
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
    name: str, code: str, address: str | None, phone: str, username: str, email: str = "", address6: str | None = None,
    phone2: str = "", networks: Iterable[str] = (),
) -> set[str]:  # fmt: skip
    """Everything by whose beginning a client is found: the words of the name, the code (whole and its parts), all its
    addresses, the phones (whole and without the country's or area's digits), the user and the e-mails."""
    terms = {word.strip(_EDGES) for word in fold(name).split()} | set(_WORD.findall(fold(name)))
    for whole in (code, username):
        terms |= {fold(whole), *_WORD.findall(fold(whole))}
    for digits in (re.sub(r"[^0-9]", "", number) for number in (phone, phone2)):
        terms |= {digits, digits[-10:], digits[-7:]}
    terms |= {address or "", address6 or "", *networks, *map(fold, split_emails(email))}
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
    return formulas.guard(text)


def unguard_cell(text: str) -> str:
    """A cell as it was before ``guard_cell``."""
    return formulas.unguard(text)
