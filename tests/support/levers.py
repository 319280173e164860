"""Clients of every kind of connection on a simulated router, with what the router knows of them."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tests.support.access import Site
from wisp.access.models import AccessLeftover
from wisp.clients.models import Client
from wisp.core import events
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.routers.models import Router as RouterRow

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


def state(site: Site) -> tuple[str, str]:
    """What the last synchronisation says of the only client."""
    (outcome,) = site.reports[-1].outcomes.values()
    return outcome.state, outcome.detail


def go(site: Site, what: str) -> tuple[str, str]:
    """Order ``cut``, ``notify`` or ``lift`` and synchronise."""
    getattr(site, what)()
    site.sync()
    return state(site)


def again(site: Site) -> tuple[str, str]:
    """Synchronise once more, nothing ordered but to look."""
    site.order()
    site.sync()
    return state(site)


def mode(site: Site, name: str) -> None:
    """How the router cuts PPPoE: ``profile`` or ``disable``."""
    with transaction() as s:
        s.execute(sa.update(RouterRow).values(pppoe_cut=name))


def remembered(site: Site) -> tuple[str, str, str]:
    """The lever that is written down for the only client: kind, name, what was before."""
    row = site.access(site.clients[0])
    return row.lever, row.lever_name, row.lever_before


def left_behind() -> list[tuple[str, str]]:
    """What is written down as left behind on any router."""
    session().rollback()
    return [(row.lever, row.name) for row in session().scalars(sa.select(AccessLeftover))]


KINDS: dict[str, tuple[Callable[[SimulatorServer], Site], Callable[[SimulatorServer], None]]] = {
    "pppoe": (ppp, load_ppp),
    "hotspot": (hotspot, load_hotspot),
    "dhcp": (dhcp, load_lease),
    "static": (lambda server: one(server, "static", address="10.0.0.5"), lambda server: None),
}
OWN = (SECRET, USER, LEASE)


def own_rows(server: SimulatorServer) -> list[dict[str, str]]:
    """The rows of clients, but for what making a lease static changes: it stays so, with our mark."""
    ignored = {"last-logged-out", "dynamic"}
    rows = [(menu, row) for menu in OWN for row in server.router.snapshot(menu)]
    return [
        {
            name: value
            for name, value in row.items()
            if name not in ignored and not (menu == LEASE and name == "comment" and value.startswith("wisp:"))
        }
        for menu, row in rows
    ]


def two_rows(server: SimulatorServer, way: str) -> tuple[Site, dict[str, str]]:
    """A client, and what it is called by another row of its kind."""
    site = {"hotspot": hotspot, "dhcp": dhcp}.get(way, ppp)(server)
    mode(site, "disable" if way == "disable" else "profile")
    mac = "02:00:00:00:00:06"
    rows = {
        "hotspot": {"name": "bea"},
        "dhcp": {"address": "10.7.0.6", "mac-address": mac, "server": "d1", "status": "bound"},
    }
    menu = {"hotspot": USER, "dhcp": LEASE}.get(way, SECRET)
    server.router.load(menu, [rows.get(way, {"name": "bea", "profile": "oro"})])
    return site, {"mac": mac} if way == "dhcp" else {"username": "bea"}
