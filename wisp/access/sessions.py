"""What a client has open on its router right now: PPP and hotspot sessions, leases. Network only."""

from collections.abc import Sequence
from dataclasses import dataclass

from wisp.gateway import Connection, ErrorCode, GatewayError, Row, Target, connect

DEADLINE = 30.0


@dataclass(frozen=True)
class Session:
    """One session. ``kind``: ``pppoe``, ``hotspot`` or ``dhcp``; ``uptime`` as the router prints it."""

    kind: str
    name: str
    address: str
    mac: str
    uptime: str


def read(target: Target, username: str, address: str) -> list[Session]:
    """The sessions of a user name or an address; empty strings match nothing. Raises GatewayError."""
    with connect(target, deadline=DEADLINE) as connection:
        ppp = _rows(connection, "/ppp/active", ["name", "address", "caller-id", "uptime"])
        hotspot = _rows(connection, "/ip/hotspot/active", ["user", "address", "mac-address", "uptime"])
        leases = _rows(connection, "/ip/dhcp-server/lease", ["address", "mac-address", "host-name", "status"])
    found = [_session("pppoe", row, "name", "caller-id") for row in ppp]
    found += [_session("hotspot", row, "user", "mac-address") for row in hotspot]
    found += [_session("dhcp", row, "host-name", "mac-address") for row in leases if row.get("status") == "bound"]
    return [
        one
        for one in found
        if (address and one.address == address) or (username and one.kind != "dhcp" and one.name == username)
    ]


def _session(kind: str, row: Row, name: str, mac: str) -> Session:
    return Session(kind, row.get(name, ""), row.get("address", ""), row.get(mac, ""), row.get("uptime", ""))


def _rows(connection: Connection, menu: str, properties: Sequence[str]) -> list[Row]:
    """What a menu holds; nothing where this router has no such menu or does not let us read it."""
    try:
        return connection.print(menu, properties)
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return []
        raise
