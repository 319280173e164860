"""What the client pages go by: addresses, texts with variables, what operating systems ask to find a portal."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network

_VARIABLE = re.compile(r"\{([a-z]+)\}")
_GOOGLE = ("", "text/plain", 204)
_APPLE = ("<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>", "text/html", 200)
_FIREFOX = '<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
PROBES: dict[str, tuple[str, str, int]] = {
    "/generate_204": _GOOGLE,
    "/gen_204": _GOOGLE,
    "/hotspot-detect.html": _APPLE,
    "/library/test/success.html": _APPLE,
    "/connecttest.txt": ("Microsoft Connect Test", "text/plain", 200),
    "/ncsi.txt": ("Microsoft NCSI", "text/plain", 200),
    "/success.txt": ("success\n", "text/plain", 200),
    "/canonical.html": (_FIREFOX, "text/html", 200),
    "/check_network_status.txt": ("NetworkManager is online\n", "text/plain", 200),
}
"""Paths that phones and computers ask by HTTP after connecting, and the answer (body, type, status) that tells them
that nothing stands in the way."""


def normal(address: str | None) -> str | None:
    """A visitor's address as clients have it: shortest form, an IPv4 address inside IPv6 as IPv4; None for nonsense
    and for the machine itself, which is never a client (it is a proxy that the settings do not name)."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return None if found.is_loopback or found.is_unspecified else str(found)


LONGEST_PREFIX = 32
"""The largest IPv6 prefix that one client can have, in bits."""


def prefixes(address: str) -> list[str]:
    """Every way in which an IPv6 address can be a client's: itself and the prefixes around it; none for IPv4."""
    if ":" not in address:
        return []
    around = [ip_network((address, bits), strict=False) for bits in range(LONGEST_PREFIX, 128)]
    return [address, *map(str, around)]


def fill(text: str, meanings: Mapping[str, str], values: Mapping[str, str]) -> str:
    """``text`` with its variables replaced once (a value is never searched for variables); unknown ones stay."""

    def value(match: re.Match[str]) -> str:
        meaning = meanings.get(match[1])
        return match[0] if meaning is None else values.get(meaning, "")

    return _VARIABLE.sub(value, text)


def language_of(accepted: str, default: str) -> str:
    """The language that a browser asks for first among ours (Accept-Language), else ``default``."""
    for part in accepted[:200].split(","):
        wanted = part.split(";")[0].strip().lower()[:2]
        if wanted in ("es", "en"):
            return wanted
    return default
