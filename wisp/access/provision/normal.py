"""Values of router objects in a form in which equal ones are equal, however they were written. Pure."""

import re

from wisp.gateway import canonical_address

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKMG]?)")
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_NOTHING = {
    "mac-address": ("00:00:00:00:00:00",), "address": ("0.0.0.0",), "remote-address": ("0.0.0.0",),  # noqa: S104
    "remote-ipv6-prefix": ("::/0",), "rate-limit": ("0/0", "0"),
}  # fmt: skip


def normal(name: str, value: str) -> object:
    """The value of a property for comparing; None where it says nothing."""
    if not value or value in _NOTHING.get(name, ()):
        return None
    if name == "target":
        return frozenset(canonical_address(part) for part in value.split(","))
    if name in ("max-limit", "rate-limit"):
        return rates(value)
    if name in ("address", "remote-address", "remote-ipv6-prefix"):
        return canonical_address(value)
    if name == "mac-address":
        return value.upper()
    if name == "disabled":
        return value in ("yes", "true")
    return value


def rates(text: str) -> object:
    """``10M/20M`` and ``10000000/20000000`` as the same pair; what is more than a pair of rates stays as it is."""
    parts = text.split("/")
    found = [_RATE.fullmatch(part) for part in parts]
    if len(parts) > 2 or not all(found):
        return text
    numbers = [int(float(match[1]) * _UNITS[match[2]]) for match in found if match]
    return (numbers * 2)[0], (numbers * 2)[1]


def same(name: str, one: str, other: str) -> bool:
    """True where two values of a property mean the same."""
    if name == "disabled":
        return bool(normal(name, one)) == bool(normal(name, other))
    return normal(name, one) == normal(name, other)
