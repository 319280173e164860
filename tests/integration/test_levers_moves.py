"""Clients who move, change their connection or their name, or are cancelled while cut leave nothing behind."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.levers import (
    KINDS,
    LEASE,
    SECRET,
    USER,
    again,
    change,
    column,
    dhcp,
    go,
    hotspot,
    left_behind,
    listed,
    load_ppp,
    mode,
    own_rows,
    ppp,
    remembered,
    two_rows,
)
from wisp.clients.models import Client
from wisp.core import clock, events
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["old", "new"])
def test_a_client_who_moves_while_cut_leaves_nothing_behind(
    ctx: Flask, server: SimulatorServer, kind: str, first: str
) -> None:
    make, load = KINDS[kind]
    here = make(server)
    before = own_rows(server)
    with SimulatorServer(Router(dial_in=0.0)) as second:
        load(second)
        there = Site(second, clients=0)
        go(here, "cut")
        mover = here.clients[0]
        with transaction() as s:
            s.execute(
                sa.update(Client).where(Client.id == mover).values(router_id=there.router_id, zone_id=there.zone_id)
            )
            events.client_moved.emit(client_ids=[mover], old_router_id=here.router_id, new_router_id=there.router_id)
        for site in (here, there) if first == "old" else (there, here):
            site.sync()
        assert own_rows(server) == before
        assert listed(server) == []
        assert left_behind() == []
        assert there.reports[-1].outcomes[mover].state == "written"
        assert there.access(mover).applied_suspended
        if kind != "hotspot":
            assert listed(second)
        there.lift([mover])
        there.sync()
        assert own_rows(second) == before
        assert listed(second) == []
        there.close()
    here.close()


def test_a_move_while_the_old_router_is_off_is_made_good_later(ctx: Flask, server: SimulatorServer) -> None:
    here = ppp(server)
    with SimulatorServer(Router(dial_in=0.0)) as second:
        load_ppp(second)
        there = Site(second, clients=0)
        go(here, "cut")
        server.switch(off=True)
        mover = here.clients[0]
        with transaction() as s:
            s.execute(
                sa.update(Client).where(Client.id == mover).values(router_id=there.router_id, zone_id=there.zone_id)
            )
            events.client_moved.emit(client_ids=[mover], old_router_id=here.router_id, new_router_id=there.router_id)
        there.sync()
        assert not here.sync().reached
        assert left_behind() == [("profile", "ana")]
        server.switch(off=False)
        here.sync()
        assert (left_behind(), column(server, SECRET, "profile")) == ([], ["oro"])
        assert listed(server) == []
        there.close()
    here.close()


@pytest.mark.parametrize("kind", ["pppoe", "hotspot", "dhcp"])
def test_another_kind_of_connection_while_cut(ctx: Flask, server: SimulatorServer, kind: str) -> None:
    site = KINDS[kind][0](server)
    before = own_rows(server)
    go(site, "cut")
    change(site.clients[0], connection="static", address="10.0.0.5")
    assert again(site) == ("written", "")
    assert own_rows(server) == before
    assert [row[:2] for row in listed(server)] == [(CUT, "10.0.0.5")]
    assert remembered(site) == ("", "", "")
    site.close()


@pytest.mark.parametrize("way", ["profile", "disable", "hotspot", "dhcp"])
def test_another_name_while_cut(ctx: Flask, server: SimulatorServer, way: str) -> None:
    """The old row is put back; the row of the new name is what is cut."""
    site, other = two_rows(server, way)
    before = own_rows(server)
    go(site, "cut")
    change(site.clients[0], **other)
    assert again(site) == ("written", "")
    after = own_rows(server)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert left_behind() == []
    go(site, "lift")
    assert own_rows(server) == before
    site.close()


@pytest.mark.parametrize("way", ["profile", "disable", "hotspot", "dhcp"])
def test_a_row_that_is_renamed_on_the_router_while_cut(ctx: Flask, server: SimulatorServer, way: str) -> None:
    """What was remembered goes over to the new name, so that it comes back."""
    site = {"hotspot": hotspot, "dhcp": dhcp}.get(way, ppp)(server)
    mode(site, "disable" if way == "disable" else "profile")
    menu = {"hotspot": USER, "dhcp": LEASE}.get(way, SECRET)
    before = own_rows(server)
    go(site, "cut")
    name = {"mac-address": "02:00:00:00:00:06"} if way == "dhcp" else {"name": "bea"}
    server.router.table(menu).set("*1", name)
    change(site.clients[0], **({"mac": "02:00:00:00:00:06"} if way == "dhcp" else {"username": "bea"}))
    assert again(site)[0] in ("written", "unchanged")
    assert go(site, "lift")[0] == "written"
    assert own_rows(server) == [{**row, **name} for row in before]
    assert left_behind() == []
    site.close()


@pytest.mark.parametrize("kind", ["pppoe", "hotspot", "dhcp"])
def test_a_client_cancelled_while_cut_leaves_nothing_behind(ctx: Flask, server: SimulatorServer, kind: str) -> None:
    site = KINDS[kind][0](server)
    before = own_rows(server)
    go(site, "cut")
    with transaction() as s:
        s.execute(sa.update(Client).values(cancelled_at=clock.now()))
        events.client_cancelled.emit(client_ids=site.clients)
    site.sync()
    assert (own_rows(server), listed(server)) == (before, [])
    site.close()
