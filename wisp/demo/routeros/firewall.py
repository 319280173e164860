"""The rule tables: ordered, duplicates allowed, matchers printed only where they were ever written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wisp.demo.routeros import values as v
from wisp.demo.routeros.spec import ORDER, READ, WRITE, Menu, Normalise, Prop, Row, Trap

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

_WITH_PORTS = ("tcp", "udp", "udp-lite", "dccp", "sctp")
_BOTH_ACTIONS = "accept add-dst-to-address-list add-src-to-address-list jump log passthrough return"
_PLAIN = (
    "src-address-list dst-address-list src-port dst-port port in-interface-list out-interface-list connection-mark"
    " packet-mark connection-type connection-rate connection-limit dst-limit limit hotspot time content layer7-protocol"
    " icmp-options dscp ttl nth random address-list address-list-timeout jump-target log-prefix comment"
)


def _ports_need_protocol(router: Router, table: Table, row_id: str | None, row: Row) -> None:
    if any(name in row for name in ("src-port", "dst-port", "port", "to-ports")):
        if row.get("protocol") in _WITH_PORTS:
            return
        raise Trap("failure: ports can be specified if proto is tcp,udp,udp-lite,dccp,sctp")


def _rules(path: str, actions: str, more: str, matcher: Normalise = v.matcher) -> Menu:
    return Menu(
        path,
        {
            "chain": Prop(required=True),
            "action": Prop(v.one_of(*_BOTH_ACTIONS.split(), *actions.split()), default="accept"),
            "protocol": Prop(),
            "src-address": Prop(matcher),
            "dst-address": Prop(matcher),
            "in-interface": Prop(v.interface),
            "out-interface": Prop(v.interface),
            "src-mac-address": Prop(v.mac),
            **{name: Prop() for name in f"{_PLAIN} {more}".split()},
            "log": Prop(v.boolean),
            "disabled": Prop(v.boolean),
            "bytes": Prop(default="0", readonly=True),
            "packets": Prop(default="0", readonly=True),
            "invalid": Prop(v.boolean, default="false", readonly=True),
            "dynamic": Prop(v.boolean, default="false", readonly=True),
        },
        verbs=READ | WRITE | ORDER,
        check=_ports_need_protocol,
    )


FILTER = _rules(
    "/ip/firewall/filter",
    "drop fasttrack-connection reject tarpit",
    "reject-with connection-state connection-nat-state tls-host hw-offload",
)
NAT = _rules(
    "/ip/firewall/nat",
    "dst-nat masquerade netmap redirect same src-nat",
    "to-addresses to-ports randomise-ports same-not-by-dst",
)
RAW = _rules("/ip/firewall/raw", "drop notrack", "tls-host")
FILTER6 = _rules(
    "/ipv6/firewall/filter",
    "drop fasttrack-connection reject",
    "reject-with connection-state hop-limit headers",
    v.matcher6,
)
