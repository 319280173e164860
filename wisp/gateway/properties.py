"""What may be written in each menu that we write, by RouterOS version: documented properties, and those of captures.

A router refuses any other one with `unknown parameter`, and then nothing of the command is done; the simulated router
refuses what is not named here. `name>=7.21.3` exists from that version on, `name<7.16` only before it.
"""

import re
from functools import cache

from wisp.gateway import menus

_ENTRY = "list address timeout comment disabled"
_RULE = (
    "chain action protocol src-address dst-address src-address-list dst-address-list src-port dst-port in-interface"
    " out-interface in-interface-list out-interface-list src-mac-address connection-mark packet-mark dst-limit limit"
    " hotspot time jump-target address-list address-list-timeout log log-prefix comment disabled"
)
_WRITTEN = {
    menus.LISTS: _ENTRY,
    menus.LISTS6: _ENTRY,
    menus.NAT: f"{_RULE} to-addresses to-ports randomise-ports same-not-by-dst tls-host<7.16",
    menus.FILTER: f"{_RULE} reject-with connection-state connection-nat-state tls-host",
    menus.FILTER6: f"{_RULE} reject-with connection-state tls-host",
    menus.SECRET: (
        "name password service caller-id profile local-address remote-address remote-ipv6-prefix routes ipv6-routes"
        " limit-bytes-in limit-bytes-out comment disabled"
    ),
    menus.PROFILE: (
        "name local-address remote-address rate-limit address-list only-one use-mpls use-compression use-encryption"
        " use-ipv6 use-upnp change-tcp-mss dns-server wins-server parent-queue queue-type insert-queue-before"
        " session-timeout idle-timeout incoming-filter outgoing-filter interface-list bridge bridge-horizon"
        " bridge-learning bridge-path-cost bridge-port-priority remote-ipv6-prefix-pool dhcpv6-pd-pool on-up on-down"
        " comment"
    ),
    menus.HOTSPOT_USER: (
        "server name password address mac-address profile routes email limit-uptime limit-bytes-in limit-bytes-out"
        " limit-bytes-total comment disabled otp-secret>=7.21.3"
    ),
    menus.HOTSPOT_PROFILE: (  # users have a comment, their profiles have none
        "name address-pool session-timeout idle-timeout keepalive-timeout status-autorefresh shared-users"
        " add-mac-cookie mac-cookie-timeout address-list rate-limit parent-queue queue-type insert-queue-before"
        " incoming-filter outgoing-filter incoming-packet-mark outgoing-packet-mark transparent-proxy open-status-page"
        " on-login on-logout"
    ),
    menus.LEASE: (
        "address mac-address client-id server address-lists rate-limit dhcp-option lease-time block-access"
        " always-broadcast use-src-mac insert-queue-before comment disabled"
    ),
    menus.QUEUE: (
        "name target dst parent packet-marks priority queue limit-at max-limit burst-limit burst-threshold burst-time"
        " bucket-size total-queue total-limit-at total-max-limit total-priority time comment disabled"
    ),
}
_WORD = re.compile(r"([a-z0-9-]+)(?:(>=|<)([\d.]+))?")


@cache
def writable(menu: str, release: tuple[int, ...]) -> frozenset[str] | None:
    """The properties that a router of this version (7, 20, 6) takes in ``menu``; None: we never write that menu."""
    if menu not in _WRITTEN:
        return None
    found = set()
    for name, relation, version in _WORD.findall(_WRITTEN[menu]):
        numbers = tuple(map(int, version.split("."))) if version else ()
        if not relation or (release >= numbers) is (relation == ">="):
            found.add(name)
    return frozenset(found)


def written() -> tuple[str, ...]:
    """The menus that we write."""
    return tuple(_WRITTEN)
