"""A provider with a simulated router, for tests of what stands on it for each client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from tests.factories import make_company, make_plan, make_router, make_zone
from wisp.access.models import Access, ClientProvision, RouterProvision, RouterSync
from wisp.access.provision import service
from wisp.clients import service as clients
from wisp.clients.models import Client, Plan
from wisp.core import queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus
from wisp.routers.models import Router, Zone

CLIENT_MENUS = (menus.QUEUE, menus.SECRET, menus.HOTSPOT_USER, menus.LEASE, menus.PROFILE, menus.HOTSPOT_PROFILE)
WRITING = ("add", "set", "unset", "remove", "make-static")
KINDS: dict[str, dict[str, Any]] = {
    "static": {"connection": "static", "address": "10.9.0.5"},
    "pppoe": {"connection": "pppoe", "username": "ana", "password": "secreto"},
    "hotspot": {"connection": "hotspot", "username": "ana", "password": "secreto"},
    "dhcp": {"connection": "dhcp", "address": "10.9.0.5", "mac": "02:00:00:00:00:0A"},
}
"""The values of a client for each kind of connection."""


class Tower:
    """A router in the database and the simulated one that it stands for, with a zone."""

    def __init__(self, server: SimulatorServer, **values: Any) -> None:
        self.server = server
        self.router_id = make_router(host=server.host, port=server.port, **values).id
        self.zone_id = make_zone(session().get_one(Router, self.router_id)).id

    @property
    def zone(self) -> Zone:
        """Its zone, in the present session."""
        return session().get_one(Zone, self.zone_id)

    def rows(self, menu: str) -> list[dict[str, str]]:
        """The rows of a menu, without ids."""
        return [{k: v for k, v in row.items() if k != ".id"} for row in self.server.router.snapshot(menu)]

    def ours(self, menu: str) -> list[dict[str, str]]:
        """The rows with our mark."""
        return [row for row in self.rows(menu) if row.get("comment", "").startswith("wisp")]

    def everything(self) -> dict[str, list[dict[str, str]]]:
        """All rows of all menus that provisioning touches, with their ids."""
        return {menu: self.server.router.snapshot(menu) for menu in CLIENT_MENUS}

    def writes(self) -> int:
        """How many commands that change something came since the counters were reset."""
        by_path = self.server.counters.by_path
        return sum(count for path, count in by_path.items() if path.rpartition("/")[2] in WRITING)

    def whole(self) -> RouterProvision:
        """Compare and write everything in this process; the counts."""
        self.server.counters.reset()
        with doing():
            service.write_router(session().get_one(Router, self.router_id))
        return self.work()

    def work(self) -> RouterProvision:
        """The row of its work as it is now."""
        session().rollback()
        return session().get_one(RouterProvision, self.router_id, populate_existing=True)


@contextmanager
def doing() -> Iterator[None]:
    """A transaction, and what follows from it, in this process; what is read then is what it has left."""
    with queue.inline(), transaction():
        yield
    session().rollback()


def company() -> None:
    """The company, before anything else."""
    make_company()


def add(tower: Tower, plan: Plan | None = None, code: str = "C1", **values: Any) -> Client:
    """Save a new client the way the pages do, and do what follows in this process."""
    plan = plan or make_plan()
    with doing():
        return clients.add(
            code=code, zone=tower.zone, plan=session().get_one(Plan, plan.id), name=f"Cliente {code}", **values
        )


def edit(code: str, **values: Any) -> set[str]:
    """Change a client the way the pages do, and do what follows in this process."""
    with doing():
        return clients.edit(clients.find(code), **values)


def cancel(code: str) -> None:
    """Cancel a client, and do what follows in this process."""
    with doing():
        clients.cancel(clients.find(code))


def provision_of(client: Client, router_id: int | None = None) -> ClientProvision | None:
    """The row of a client on a router as it is now."""
    session().rollback()
    key = (client.id, router_id or client.router_id)
    return session().get(ClientProvision, key, populate_existing=True)


def access_of(client: Client) -> Access:
    """The client's access row as it is now."""
    session().rollback()
    return session().get_one(Access, client.id, populate_existing=True)


def lease_is_free(router_id: int) -> bool:
    """Nobody holds the router."""
    session().rollback()
    return session().scalar(sa.select(RouterSync.lease_until).where(RouterSync.router_id == router_id)) is None


VERSIONS = ("6.49.19 (long-term)", "7.20.6 (stable)")


@contextmanager
def simulated(version: str = VERSIONS[1], **values: Any) -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"}, version=version, **values)) as server:
        yield server


def only(rows: list[dict[str, str]]) -> dict[str, str]:
    assert len(rows) == 1, rows
    return rows[0]


MENU = {"static": menus.QUEUE, "pppoe": menus.SECRET, "hotspot": menus.HOTSPOT_USER, "dhcp": menus.LEASE}
OTHER_PLACE: dict[str, dict[str, str]] = {
    "static": {"address": "10.9.0.77"}, "pppoe": {"username": "ana2", "address": "10.9.0.77"},
    "hotspot": {"username": "ana2"}, "dhcp": {"address": "10.9.0.77", "mac": "02:00:00:00:00:0B"},
}  # fmt: skip


def speed(tower: Tower, kind: str) -> str:
    """The speed that the client of the only object has there."""
    row = only(tower.ours(MENU[kind]))
    if kind in ("static", "dhcp"):
        return row["max-limit" if kind == "static" else "rate-limit"]
    place = menus.PROFILE if kind == "pppoe" else menus.HOTSPOT_PROFILE
    return only([profile for profile in tower.rows(place) if profile["name"] == row["profile"]])["rate-limit"]
