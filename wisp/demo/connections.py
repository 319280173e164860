"""How the demo company's clients are attached: the one rule that its CSV file and its router are both made from. Pure.

Of every hundred clients eight are of a rarer kind, by the end of their number; of the others the even ones are on
PPPoE and the odd ones have a fixed address.
"""

from dataclasses import dataclass

from wisp.demo.routeros import address_of

PLANS = (("Básico", 25000, 10, 3), ("Hogar", 35000, 20, 5), ("Negocio", 69000, 50, 10))
"""Name, price in minor units, Mbit/s down and up."""
PPPOE_POOLED, HOTSPOT_OPEN, LEASE_OPEN = (10, 12), (15,), (27, 87)
"""Without a fixed address. The others that follow have one."""
HOTSPOT_FIXED, LEASE_FIXED, DUAL_STACK = (17,), (25,), (30, 31)
BY_OTHERS = 41
"""Of every thousand clients this one has the queue of another system, and not ours."""
NEW_DEVICE = 87
"""Of every thousand clients this one's device has a lease for the moment only: it is kept at the next look."""


@dataclass(frozen=True)
class Attachment:
    """A client's connection; an empty text where it has no such thing."""

    connection: str
    address: str = ""
    address6: str = ""
    mac: str = ""
    username: str = ""
    password: str = ""


def attachment(number: int) -> Attachment:
    """How the client with that number, from 1, is attached."""
    end, address = number % 100, address_of(number)
    mac, password = mac_of(number), f"clave{number:05}"
    address6 = f"2001:db8:{number:x}::/64" if end in DUAL_STACK else ""
    if end in HOTSPOT_OPEN + HOTSPOT_FIXED:
        address = "" if end in HOTSPOT_OPEN else address
        return Attachment("hotspot", address, username=f"hot{number:05}", password=password)
    if end in LEASE_OPEN + LEASE_FIXED:
        return Attachment("dhcp", "" if end in LEASE_OPEN else address, mac=mac)
    if number % 2 == 0:
        address = "" if end in PPPOE_POOLED else address
        return Attachment("pppoe", address, address6, username=f"ppp{number:05}", password=password)
    return Attachment("static", address, address6)


def mac_of(number: int) -> str:
    """The hardware address of that client's device."""
    return f"02:00:00:00:{number >> 8 & 255:02X}:{number & 255:02X}"


def plan_of(number: int) -> int:
    """The place in PLANS of what the client with that number has bought."""
    return number % len(PLANS)
