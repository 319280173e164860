"""DHCP: servers, pools, and leases that put their address on lists while they are bound."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wisp.demo.routeros import values as v
from wisp.demo.routeros.spec import Menu, Prop, Row, Trap, Unique, read_only

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

LEASE, POOL = "/ip/dhcp-server/lease", "/ip/pool"
_TEXT = Prop()
_DISABLED = Prop(v.boolean, default="false")
_BY_NAME = Unique(("name",), "failure: already have such name")


def _lease_check(router: Router, table: Table, row_id: str | None, row: Row) -> None:
    """A static address is there once over all servers; a client once per server among enabled rows."""
    if row["dynamic"] == "true":
        return
    client, server = row.get("mac-address"), row.get("server")
    for other_id, other in table.rows.items():
        if other_id == row_id or other["dynamic"] == "true":
            continue
        if row.get("address") and other.get("address") == row["address"]:
            raise Trap("failure: already have static lease with this IP address")
        same_server = server is None or "server" not in other or other["server"] == server
        enabled = row["disabled"] == other["disabled"] == "false"
        if client and other.get("mac-address") == client and same_server and enabled:
            raise Trap("failure: already have static lease for this client")


def _lease_guard(row: Row, changes: Row) -> None:
    if changes and row["dynamic"] == "true":
        raise Trap("failure: can not change dynamic lease")


def _make_static(router: Router, table: Table, row_id: str) -> None:
    table.set(row_id, {"dynamic": "false"}, loading=True)


def hold_lists(router: Router, table: Table, row_id: str, row: Row) -> None:
    """A bound static lease holds its address on its lists."""
    router.held.drop(LEASE, row_id)
    if (row["status"], row["dynamic"], row["disabled"]) == ("bound", "false", "false"):
        router.held.put(
            LEASE, row_id, row["address-lists"].split(","), row.get("active-address") or row.get("address", "")
        )


def hold_all(router: Router) -> None:
    """After a reboot the leases are what they were, read from the disk."""
    table = router.table(LEASE)
    for row_id, row in table.rows.items():
        hold_lists(router, table, row_id, row)


def _lease_removed(router: Router, table: Table, row_id: str, row: Row) -> None:
    router.held.drop(LEASE, row_id)


def addresses_of(pool: Row) -> Iterator[str]:
    """The addresses of a pool, in order."""
    for part in pool["ranges"].split(","):
        first, dash, last = part.partition("-")
        if not dash:
            yield from map(str, ipaddress.ip_network(first, strict=False).hosts())
            continue
        for number in range(int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last)) + 1):
            yield str(ipaddress.IPv4Address(number))


DHCP = (
    Menu(
        POOL,
        {"name": Prop(required=True), "ranges": Prop(required=True), "next-pool": _TEXT, "comment": _TEXT},
        uniques=(_BY_NAME,),
        named=True,
    ),
    Menu(
        "/ip/dhcp-server",
        {
            "name": Prop(required=True),
            "interface": Prop(v.interface, required=True),
            "address-pool": Prop(default="static-only"),
            "lease-time": Prop(v.duration, default="30m"),
            "authoritative": Prop(default="yes"),
            "add-arp": Prop(v.boolean),
            "comment": _TEXT,
            "dynamic": Prop(v.boolean, default="false", readonly=True),
            "invalid": Prop(v.boolean, default="false", readonly=True),
            "disabled": _DISABLED,
        },
        uniques=(_BY_NAME,),
        named=True,
    ),
    Menu(
        LEASE,
        {
            "address": Prop(v.address_or_pool),
            "mac-address": Prop(v.mac),
            "client-id": _TEXT,
            "address-lists": Prop(default=""),
            "server": _TEXT,
            "dhcp-option": Prop(default=""),
            "rate-limit": _TEXT,
            "lease-time": Prop(v.duration),
            "block-access": Prop(v.boolean),
            "always-broadcast": Prop(v.boolean),
            "use-src-mac": Prop(v.boolean),
            "insert-queue-before": _TEXT,
            "status": Prop(default="waiting", readonly=True),
            **read_only(
                "last-seen expires-after active-address active-mac-address active-client-id active-server host-name"
            ),
            "radius": Prop(v.boolean, default="false", readonly=True),
            "blocked": Prop(v.boolean, default="false", readonly=True),
            "comment": _TEXT,
            "dynamic": Prop(v.boolean, default="false", readonly=True),
            "disabled": _DISABLED,
        },
        check=_lease_check,
        guard=_lease_guard,
        added=hold_lists,
        changed=hold_lists,
        removed=_lease_removed,
        verbs_of_its_own={"make-static": _make_static},
    ),
)
