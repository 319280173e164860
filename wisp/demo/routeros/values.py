"""Values as the router takes them and as it prints them: addresses, rates, times, yes and no."""

from __future__ import annotations

import ipaddress
import re
from socket import AF_INET, inet_pton
from typing import TYPE_CHECKING

from wisp.demo.routeros.spec import Normalise, Trap

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}$)(?!(?:.*\.)?\d+$){_LABEL}(?:\.{_LABEL})*\.?")
_POOL_NAME = re.compile(r"[A-Za-z_][\w .-]*")
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}")
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:\d+[wdhms])+")
_CLOCK = re.compile(r"(?:(\d+)d)?\s*(\d+):(\d+)(?::(\d+))?")
_RATE = re.compile(r"(\d+(?:\.\d+)?)([kKMG]?)")
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}


def invalid(name: str) -> Trap:
    """The error for a malformed value."""
    return Trap(f"invalid value for argument {name}")


def no_match(name: str) -> Trap:
    """The error for a reference to something that is not there."""
    return Trap(f"input does not match any value of {name}", category=1)


def boolean(value: str, name: str, router: Router) -> str:
    """yes, no, true, false -> true or false."""
    if value in ("yes", "true"):
        return "true"
    if value in ("no", "false"):
        return "false"
    raise invalid(name)


def number(value: str, name: str, router: Router) -> str:
    """A whole number, not negative."""
    if not value.isdecimal():
        raise invalid(name)
    return str(int(value))


def one_of(*choices: str) -> Normalise:
    """One of these words."""

    def normalise(value: str, name: str, router: Router) -> str:
        if value not in choices:
            raise no_match(name)
        return value

    return normalise


def reference(path: str, *also: str) -> Normalise:
    """The name of a row of that menu, or one of some fixed words."""

    def normalise(value: str, name: str, router: Router) -> str:
        if value not in also and not router.table(path).has_name(value):
            raise no_match(name)
        return value

    return normalise


def interface(value: str, name: str, router: Router) -> str:
    """An interface that this router has, perhaps negated."""
    if value.removeprefix("!") not in router.interfaces:
        raise no_match("interface")
    return value


def mac(value: str, name: str, router: Router) -> str:
    """A MAC address, upper case with colons."""
    if not _MAC.fullmatch(value):
        raise Trap(f"invalid value of {name}, mac address required")
    digits = re.sub("[:-]", "", value).upper()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def seconds_of(value: str, name: str = "timeout") -> int:
    """Seconds of `1d2h`, `hh:mm:ss` or plain seconds."""
    if value.isdecimal():
        return int(value)
    if _TIME.fullmatch(value):
        return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d{1,9})([wdhms])", value))
    if found := _CLOCK.fullmatch(value):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return days * 86400 + hours * 3600 + minutes * 60 + seconds
    raise invalid(name)


def printed_time(seconds: int) -> str:
    """Seconds as the router prints them: `1w2d3h4m5s`, zero parts left out."""
    out = ""
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, size)
        if count:
            out += f"{count}{unit}"
    return out or "0s"


def duration(value: str, name: str, router: Router) -> str:
    """A time, in the form that is printed."""
    return printed_time(seconds_of(value, name))


def rate(value: str, name: str, router: Router) -> str:
    """Bits per second; `10M` in, `10000000` out."""
    found = _RATE.fullmatch(value)
    if not found:
        raise invalid(name)
    return str(int(float(found[1]) * _FACTORS[found[2]]))


def pair(part: Normalise) -> Normalise:
    """Upload/download; a single value counts for both."""

    def normalise(value: str, name: str, router: Router) -> str:
        parts = value.split("/")
        if len(parts) > 2:
            raise invalid(name)
        return "/".join(part(item, name, router) for item in (parts * 2)[:2])

    return normalise


def _network(value: str) -> str | None:
    """An IPv4 address or prefix, `/32` left out; None where it is neither."""
    address, slash, bits = value.partition("/")
    if not slash and _plain(value):  # the short way for thousands of entries
        return value
    try:
        parsed = ipaddress.IPv4Address(address)
        if not slash or bits == "32":
            return str(parsed)
        return str(ipaddress.IPv4Network((int(parsed), int(bits)), strict=False))
    except ValueError:
        return None


def _plain(address: str) -> bool:
    """Whether this is an IPv4 address, which then has only one form."""
    try:
        inet_pton(AF_INET, address)
    except (OSError, ValueError):
        return False
    return True


def _range(value: str) -> str | None:
    """An IPv4 range; one that is exactly a prefix becomes it."""
    first, dash, last = value.partition("-")
    if not dash:
        return None
    try:
        nets = list(ipaddress.summarize_address_range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)))
    except (ValueError, TypeError):
        return None
    return str(nets[0]).removesuffix("/32") if len(nets) == 1 else value


def list_address(value: str, name: str, router: Router) -> str:
    """A member of an IPv4 address list: address, prefix, range or DNS name."""
    known = _network(value) or _range(value)
    if known is not None:
        return known
    if not _DNS_NAME.fullmatch(value):
        raise Trap(f"failure: {value} is not a valid dns name")
    return value


def list_address6(value: str, name: str, router: Router) -> str:
    """A member of an IPv6 address list: address (printed with /128), prefix or DNS name."""
    try:
        return str(ipaddress.IPv6Network(value, strict=False))
    except ValueError:
        if not _DNS_NAME.fullmatch(value):
            raise Trap(f"failure: {value} is not a valid dns name") from None
        return value


def matcher(value: str, name: str, router: Router) -> str:
    """An address, prefix or range in a firewall rule, perhaps negated."""
    sign = "!" if value.startswith("!") else ""
    bare = value[len(sign) :]
    known = _network(bare) or _range(bare)
    if known is None:
        raise invalid(name)
    return sign + known


def matcher6(value: str, name: str, router: Router) -> str:
    """An IPv6 address or prefix in a firewall rule (printed with its length), perhaps negated."""
    sign = "!" if value.startswith("!") else ""
    try:
        return sign + str(ipaddress.IPv6Network(value[len(sign) :], strict=False))
    except ValueError:
        raise invalid(name) from None


def interface_address(value: str, name: str, router: Router) -> str:
    """An address with the length of its network."""
    try:
        return str(ipaddress.ip_interface(value))
    except ValueError:
        raise invalid(name) from None


def address_or_pool(value: str, name: str, router: Router) -> str:
    """An IPv4 address or the name of a pool."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        if not _POOL_NAME.fullmatch(value):
            raise invalid(name) from None
        return value


def targets(value: str, name: str, router: Router) -> str:
    """A queue's targets: addresses always with their prefix length, or interfaces."""
    out = []
    for item in value.split(","):
        if item in router.interfaces:
            out.append(item)
            continue
        try:
            out.append(str(ipaddress.ip_network(item, strict=False)))
        except ValueError:
            raise invalid(name) from None
    return ",".join(out)
