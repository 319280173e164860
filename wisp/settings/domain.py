"""What the company's values may be. Pure: each check returns the value as it is stored or raises ``Invalid``."""

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from wisp.settings import hours

CURRENCIES = (
    "MXN", "ARS", "BOB", "BRL", "CLP", "COP", "CRC", "CUP", "DOP", "EUR", "GTQ", "HNL", "NIO", "PAB", "PEN", "PYG",
    "USD", "UYU", "VES",
)  # fmt: skip
LANGUAGES = ("es", "en")
TAX_MODES = ("included", "added")
TITLES = ("", "receipt", "invoice")
"""Titles of the document by code; the empty one is the default, "Aviso de cobro"."""
SECURITIES = ("none", "starttls", "tls")
PAGE_VARIABLES = {
    "nombre": "name", "importe": "amount", "vence": "due", "empresa": "company", "telefono": "phone",
    "name": "name", "amount": "amount", "due": "due", "company": "company", "phone": "phone",
}  # fmt: skip
"""What a text of the client pages may name in braces, in both languages, and what it stands for."""
MAX_ALERT_ADDRESSES = 20
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"[^\s@<>(),;:\"\\]+@(?:{_LABEL}\.)*{_LABEL}\.?")
"""The point between two labels is obligatory: where it is not, a wrong address can be read in endlessly many ways."""
MAX_HOSTS = 100
LIST_NAMES = ("list_overdue", "list_notice", "list_seen", "list_allowed", "list_dns")
"""The names of the address lists on the routers; no two may be the same."""
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?")
_LIST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Invalid(ValueError):
    """A value that cannot be stored: ``code`` names why, ``values`` fill its sentence."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@cache
def timezones() -> frozenset[str]:
    """The names that zoneinfo knows; asked of the disk once."""
    return frozenset(available_timezones())


def check_timezone(name: str) -> str:
    """An IANA time zone's name as zoneinfo knows it."""
    if name not in timezones():
        raise Invalid("settings.timezone", value=name)
    return name


def check_currency(code: str) -> str:
    """One of CURRENCIES, in capitals."""
    upper = code.strip().upper()
    if upper not in CURRENCIES:
        raise Invalid("settings.currency", value=code, known=", ".join(CURRENCIES))
    return upper


def parse_tax(text: str) -> int:
    """A percentage ("16", "10.5", "16 %") as basis points, 0 to 100 % with at most two decimals."""
    plain = text.strip().removesuffix("%").strip().replace(",", ".")
    try:
        points = Decimal(plain) * 100
    except ArithmeticError:
        raise Invalid("settings.tax", value=text) from None
    if not points.is_finite() or points != points.to_integral_value() or not 0 <= points <= 10_000:
        raise Invalid("settings.tax", value=text)
    return int(points)


def format_tax(points: int) -> str:
    """Basis points as a percentage without needless decimals: 1600 is "16", 1050 is "10.5"."""
    return f"{Decimal(points) / 100:f}".rstrip("0").rstrip(".") if points % 100 else str(points // 100)


def check_address(text: str) -> str:
    """An e-mail address, trimmed."""
    address = text.strip()
    if len(address) > 254 or not address.isascii() or not _ADDRESS.fullmatch(address):
        raise Invalid("settings.address", value=text.strip())
    return address


def parse_addresses(text: str) -> str:
    """Addresses separated by line ends, commas, semicolons or spaces: one a line, each once."""
    found: list[str] = []
    for part in re.split(r"[\s,;]+", text.strip()):
        if part and check_address(part) not in found:
            found.append(part)
    if len(found) > MAX_ALERT_ADDRESSES:
        raise Invalid("settings.too_many_addresses", limit=MAX_ALERT_ADDRESSES)
    return "\n".join(found)


def check_list_name(name: str) -> str:
    """The name of an address list on the routers: letters, digits, point, dash, underscore, at most 63."""
    if not _LIST_NAME.fullmatch(name.strip()):
        raise Invalid("settings.list_name", value=name)
    return name.strip()


def parse_hosts(text: str, *, names: bool = True, networks: bool = True) -> str:
    """Addresses of IPv4 and IPv6, with ``networks`` also prefixes, with ``names`` also host names; separated by line
    ends, commas, semicolons or spaces: one a line, each once, in their usual spelling."""
    found: list[str] = []
    for part in re.split(r"[\s,;]+", text.strip()):
        if part and (host := _host(part, names, networks)) not in found:
            found.append(host)
    if len(found) > MAX_HOSTS:
        raise Invalid("settings.too_many_addresses", limit=MAX_HOSTS)
    return "\n".join(found)


def _host(part: str, names: bool, networks: bool) -> str:
    try:
        network = ipaddress.ip_network(part, strict=False)
    except ValueError:
        if not names or not _HOST_NAME.fullmatch(part):
            raise Invalid("settings.host", value=part) from None
        return part.lower()
    alone = network.prefixlen == network.max_prefixlen
    if not alone and (not networks or network.prefixlen < 8):
        raise Invalid("settings.host", value=part)
    return str(network.network_address if alone else network)


def parse_servers(text: str) -> str:
    """Addresses of single machines: no names, no prefixes."""
    return parse_hosts(text, names=False, networks=False)


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """A check that takes only ``choices``."""

    def check(value: str) -> str:
        if value not in choices:
            raise Invalid("settings.choice", value=value, known=", ".join(choices))
        return value

    return check


def whole(low: int, high: int) -> Callable[[int], int]:
    """A check that takes whole numbers from ``low`` to ``high``."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise Invalid("settings.range", value=value, low=low, high=high)
        return value

    return check


def text(limit: int) -> Callable[[str], str]:
    """A check that trims and takes at most ``limit`` signs."""

    def check(value: str) -> str:
        trimmed = value.strip()
        if len(trimmed) > limit:
            raise Invalid("settings.too_long", limit=limit)
        return trimmed

    return check


def name(value: str) -> str:
    """The company's name: must not be empty."""
    trimmed = text(120)(value)
    if not trimmed:
        raise Invalid("settings.name")
    return trimmed


def page_text(value: str) -> str:
    """A text of the client pages: at most 2000 signs, names in braces only from PAGE_VARIABLES."""
    trimmed = text(2000)(value)
    for written in re.findall(r"\{([^{}]*)\}?", trimmed):
        if written not in PAGE_VARIABLES or f"{{{written}}}" not in trimmed:
            known = ", ".join(f"{{{name}}}" for name in PAGE_VARIABLES)
            raise Invalid("settings.variable", value=f"{{{written}", known=known)
    return trimmed


def check_clock(value: str) -> str:
    """An hour of the day as "08:00"; the empty text stays."""
    try:
        return hours.format_clock(hours.parse_clock(value)) if value.strip() else ""
    except ValueError:
        raise Invalid("settings.clock", value=value) from None


def own_machine(host: str) -> bool:
    """True where what is sent to ``host`` does not leave this machine, by its name alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_days(value: str) -> str:
    """ISO digits of weekdays ("1234") in order; all of them are the same as none."""
    try:
        return hours.check_days(value)
    except ValueError:
        raise Invalid("settings.days", value=value) from None


def check_hours(cut_from: str, cut_until: str) -> None:
    """Both hours of a span or none, the first before the second."""
    if bool(cut_from) != bool(cut_until) or (cut_from and cut_from >= cut_until):
        raise Invalid("settings.hours")


def _yes_no(value: Any) -> bool:
    return bool(value)


CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": name,
    "legal_name": text(160),
    "tax_id": text(40),
    "address": text(300),
    "phone": text(40),
    "email": lambda value: check_address(value) if value.strip() else "",
    "timezone": check_timezone,
    "currency": check_currency,
    "language": one_of(LANGUAGES),
    "tax_bp": whole(0, 10_000),
    "tax_mode": one_of(TAX_MODES),
    "tax_name": text(20),
    "document_title": one_of(TITLES),
    "how_to_pay": text(2000),
    "alert_addresses": parse_addresses,
    "min_days_to_pay": whole(0, 60),
    "late_days": whole(0, 31),
    "promise_days": whole(1, 90),
    "promises_a_year": whole(0, 100),
    "prorate": _yes_no,
    "bill_first_days": _yes_no,
    "invoice_suspended": _yes_no,
    "tolerance": whole(0, 10**12),
    "notice_minimum": whole(1, 10**12),
    "notice_hours": whole(1, 720),
    "notice_days": whole(0, 365),
    "notice_text_es": page_text,
    "notice_text_en": page_text,
    "cut_text_es": page_text,
    "cut_text_en": page_text,
    "hold_mail_days": whole(1, 30),
    "outage_minutes": whole(1, 1440),
    "probe_seconds": whole(10, 3600),
    "cut_from": check_clock,
    "cut_until": check_clock,
    "cut_days": check_days,
    "list_overdue": check_list_name,
    "list_notice": check_list_name,
    "list_seen": check_list_name,
    "list_allowed": check_list_name,
    "list_dns": check_list_name,
    "page_servers": parse_servers,
    "page_port_cut": whole(1, 65535),
    "page_port_notice": whole(1, 65535),
    "seen_hours": whole(1, 168),
    "payment_hosts": parse_hosts,
    "resolvers": parse_servers,
    "mail_server": text(200),
    "mail_port": whole(1, 65535),
    "mail_security": one_of(SECURITIES),
    "mail_username": text(200),
    "mail_password": text(500),
    "mail_sender": lambda value: check_address(value) if value.strip() else "",
}
"""What may be saved, and the check of each."""


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` as they are stored. Raises Invalid at the first that cannot be, KeyError for an unknown name."""
    return {key: CHECKS[key](value) for key, value in values.items()}
