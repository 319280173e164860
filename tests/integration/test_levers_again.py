"""Levers where somebody comes back, looks away or shares: moves there and back, a lost lease, one device for two."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.levers import (
    KINDS,
    LEASE,
    MAC,
    SECRET,
    USER,
    again,
    change,
    dhcp,
    go,
    left_behind,
    mode,
    own_rows,
    remembered,
)
from wisp.access import differences, jobs, leverage
from wisp.access.models import RouterSync
from wisp.clients.models import Client
from wisp.core import clock, events
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer

WAYS = {"profile": "pppoe", "disable": "pppoe", "hotspot": "hotspot", "lease": "dhcp"}
MENUS = {"profile": SECRET, "disable": SECRET, "hotspot": USER, "lease": LEASE}


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


def make(server: SimulatorServer, way: str) -> Site:
    site = dhcp(server, {"dynamic": "false"}) if way == "lease" else KINDS[WAYS[way]][0](server)
    mode(site, "disable" if way == "disable" else "profile")
    return site


def move(client_id: int, old: Site, new: Site) -> None:
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == client_id).values(router_id=new.router_id, zone_id=new.zone_id))
        events.client_moved.emit(client_ids=[client_id], old_router_id=old.router_id, new_router_id=new.router_id)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("paid", [False, True])
def test_there_and_back_before_any_router_is_told(ctx: Flask, server: SimulatorServer, way: str, paid: bool) -> None:
    here = make(server, way)
    before = own_rows(server)
    go(here, "cut")
    held = own_rows(server)
    with SimulatorServer() as second:
        there = Site(second, clients=0)
        move(here.clients[0], here, there)
        move(here.clients[0], there, here)
        if paid:
            here.lift()
        here.sync()
        assert own_rows(server) == (before if paid else held)
        assert (left_behind(), here.unsettled(), bool(remembered(here)[0])) == ([], 0, not paid)
        if not paid:
            go(here, "lift")
        assert own_rows(server) == before
        there.close()
    here.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_lease_that_is_lost_in_the_middle_leaves_the_work_to_the_other(
    ctx: Flask, server: SimulatorServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make(server, way)
    before = own_rows(server)
    write_down = leverage.Leverage._write_down

    def slowly(self: leverage.Leverage) -> None:
        with transaction() as s:
            s.execute(sa.update(RouterSync).values(lease_owner="another"))
        write_down(self)

    site.cut()
    with monkeypatch.context() as patch:
        patch.setattr(leverage.Leverage, "_write_down", slowly)
        from wisp.access.jobs import synchronise

        synchronise(site.router_id, True)
    assert (own_rows(server), remembered(site), site.reports) == (before, ("", "", ""), [])
    with transaction() as s:
        s.execute(sa.update(RouterSync).values(lease_until=None))
    assert again(site) == ("written", "")
    go(site, "lift")
    assert own_rows(server) == before
    site.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_is_renamed_on_the_router_and_only_later_here(ctx: Flask, server: SimulatorServer, way: str) -> None:
    """Between the two a synchronisation finds nothing of the old name: that is no reason to forget."""
    site = make(server, way)
    before = own_rows(server)
    go(site, "cut")
    mac = "02:00:00:00:00:06"
    name = {"mac-address": mac} if way == "lease" else {"name": "bea"}
    server.router.table(MENUS[way]).set("*1", name)
    again(site)
    change(site.clients[0], **({"mac": mac} if way == "lease" else {"username": "bea"}))
    assert again(site)[0] in ("written", "unchanged")
    assert go(site, "lift")[0] == "written"
    assert own_rows(server) == [{**row, **name} for row in before]
    assert left_behind() == []
    site.close()


def test_one_device_for_two_clients_is_free_when_both_are(ctx: Flask, server: SimulatorServer) -> None:
    site = dhcp(server, {"dynamic": "false"})
    site.clients += site.add(1, connection="dhcp")
    change(site.clients[1], address=None, mac=MAC)
    before = own_rows(server)
    site.cut()
    site.sync()
    held = own_rows(server)
    for first, other in (site.clients, site.clients[::-1]):
        site.lift([first])
        report = site.sync()
        assert own_rows(server) == held
        assert report.outcomes[first].state == "failed"
        assert report.outcomes[first].detail == f"shared: {site.client(other).code}"
        site.cut([first])
        site.sync()
    site.lift()
    site.sync()
    assert (own_rows(server), site.unsettled()) == (before, 0)
    site.close()


@pytest.mark.parametrize("own", [True, False], ids=["ours", "foreign"])
def test_a_cancelled_client_waits_for_nobody_who_has_its_address(
    ctx: Flask, server: SimulatorServer, own: bool
) -> None:
    """Its entry goes; that the address is another's by now, or in somebody else's entry, is no matter."""
    site = Site(server, clients=1)
    old = site.client(site.clients[0])
    site.cut()
    site.sync()
    server.switch(off=True)
    with transaction() as s:
        s.execute(sa.update(Client).values(cancelled_at=clock.now()))
        events.client_cancelled.emit(client_ids=site.clients)
    if own:
        site.clients += site.add(1, address=old.address)
        site.cut(site.clients[1:])
    else:
        site.load({"list": CUT, "address": f"{old.address}/31", "comment": "de otro"})
    server.switch(off=False)
    report = site.sync()
    assert report.outcomes[old.id].state in ("written", "unchanged")
    assert (site.unsettled(), site.state().next_attempt_at) == (0, None)
    site.close()


def test_users_on_profiles_of_ours_whom_nobody_knows_of_are_found_at_night(ctx: Flask, server: SimulatorServer) -> None:
    """The router was set back to a copy from the days of the cut, or our database to one from before it."""
    site = make(server, "profile")
    server.router.load(SECRET, [{"name": "bea", "profile": "oro"}, {"name": "eva", "profile": "oro"}])
    site.clients += site.add(1, connection="pppoe")
    change(site.clients[1], address=None, username="bea")
    before = own_rows(server)
    site.cut()
    site.sync()
    site.lift([site.clients[0]])
    site.sync()
    server.router.table(SECRET).set("*1", {"profile": f"{CUT}:oro"})
    server.router.load("/ppp/profile", [{"name": f"{CUT}:plata", "address-list": CUT, "comment": "de otro"}])
    server.router.table(SECRET).set("*3", {"profile": f"{CUT}:plata"})
    found = differences.look(site.router_id)
    assert [(line.address, line.why, line.lever) for line in found.stale] == [("ana", "gone", True)]
    jobs.count(site.router_id)
    site.sync()
    profiles = [row["profile"] for row in server.router.snapshot(SECRET)]
    assert profiles == ["oro", f"{CUT}:oro", f"{CUT}:plata"]
    assert (site.unsettled(), site.state().ipv6, left_behind()) == (0, False, [])
    assert differences.look(site.router_id).empty
    site.lift()
    site.sync()
    assert own_rows(server)[:2] == before[:2]
    site.close()
