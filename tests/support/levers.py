"""Clients of every kind of connection on a simulated router, with what the router knows of them."""

from typing import Any

import sqlalchemy as sa

from tests.support.access import Site
from wisp.clients.models import Client
from wisp.core import events
from wisp.core.db import transaction
from wisp.demo.routeros import SimulatorServer

SECRET, PROFILE, ACTIVE = "/ppp/secret", "/ppp/profile", "/ppp/active"
USER, GUESTS, COOKIE = "/ip/hotspot/user", "/ip/hotspot/active", "/ip/hotspot/cookie"
LEASE, LISTS, LISTS6 = "/ip/dhcp-server/lease", "/ip/firewall/address-list", "/ipv6/firewall/address-list"
TRACKED, TRACKED6 = "/ip/firewall/connection", "/ipv6/firewall/connection"
MAC = "02:00:00:00:00:05"


def column(server: SimulatorServer, menu: str, name: str) -> list[str | None]:
    """One property of every row of a menu."""
    return [row.get(name) for row in server.router.snapshot(menu)]


def listed(server: SimulatorServer, menu: str = LISTS) -> list[tuple[str, str, str]]:
    """The entries of the lists: list, address, comment (``router`` where the router made it)."""
    return sorted(
        (row["list"], row["address"], "router" if row["dynamic"] == "true" else row.get("comment", ""))
        for row in server.router.snapshot(menu)
    )


def change(*client_ids: int, **values: Any) -> None:
    """Write values of clients and tell everybody."""
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id.in_(client_ids)).values(**values))
        events.client_saved.emit(client_ids=list(client_ids))


def one(server: SimulatorServer, connection: str, **values: Any) -> Site:
    """A site with one client of that connection, who owes."""
    site = Site(server, clients=1, connection=connection)
    with transaction() as s:
        s.execute(sa.update(Client).values({"address": None, **values}))
    return site


def ppp(server: SimulatorServer, **secret: str) -> Site:
    """A PPPoE client ``ana`` with a secret, on line with an address of a pool."""
    load_ppp(server, **secret)
    return one(server, "pppoe", username="ana")


def load_ppp(server: SimulatorServer, **secret: str) -> None:
    """What the router has of such a client."""
    server.router.load("/ip/pool", [{"name": "p", "ranges": "10.9.0.2-10.9.0.99"}])
    profile = {
        "name": "oro",
        "local-address": "10.9.0.1",
        "remote-address": "p",
        "rate-limit": "5M/20M",
        "on-up": ":log",
    }
    server.router.load(PROFILE, [profile])
    server.router.load(SECRET, [{"name": "ana", "password": "x", "service": "pppoe", "profile": "oro", **secret}])
    server.router.dial_all()


def hotspot(server: SimulatorServer, user: dict[str, str] | None = None, **values: Any) -> Site:
    """A hotspot client ``ana``, logged in, with a cookie."""
    load_hotspot(server, **(user or {}))
    return one(server, "hotspot", username="ana", **values)


def load_hotspot(server: SimulatorServer, **user: str) -> None:
    """What the router has of such a client."""
    server.router.load(USER, [{"name": "ana", "password": "x"}])
    server.router.hotspot_login("ana", "10.5.0.2", MAC)
    if user:
        server.router.table(USER).set("*1", user, loading=True)


def dhcp(server: SimulatorServer, lease: dict[str, str] | None = None, **values: Any) -> Site:
    """A DHCP client with a dynamic lease."""
    load_lease(server, **(lease or {}))
    return one(server, "dhcp", mac=MAC, **values)


def load_lease(server: SimulatorServer, **lease: str) -> None:
    """What the router has of such a client."""
    row = {
        "address": "10.7.0.5", "mac-address": MAC, "server": "d1", "status": "bound", "dynamic": "true",
        "active-address": "10.7.0.5", **lease,
    }  # fmt: skip
    server.router.load(LEASE, [row])
