"""A cut holds for IPv6 too, and at once: the lists of both families, and connections that are open."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.support.access import CUT, Site
from tests.support.levers import (
    ACTIVE,
    LISTS6,
    TRACKED,
    TRACKED6,
    again,
    change,
    column,
    dhcp,
    go,
    hotspot,
    listed,
    one,
    ppp,
    state,
)
from wisp.access import jobs
from wisp.clients.models import ClientNetwork
from wisp.demo.routeros import Router, SimulatorServer


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


def test_both_families_are_cut_and_come_back(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8:5::/56")
    code = site.client(site.clients[0]).code
    server.router.load(LISTS6, [{"list": CUT, "address": "2001:db8:9::1", "comment": "de otro"}])
    assert go(site, "cut") == ("written", "")
    theirs = (CUT, "2001:db8:9::1/128", "de otro")
    assert listed(server, LISTS6) == [(CUT, "2001:db8:5::/56", f"wisp:{code}"), theirs]
    assert [row[1] for row in listed(server)] == ["10.0.0.5"]
    assert site.access(site.clients[0]).applied_address6 == "2001:db8:5::/56"
    assert again(site) == ("unchanged", "")
    server.reboot()
    assert again(site) == ("unchanged", "")
    change(site.clients[0], address6="2001:db8:6::1")
    assert again(site) == ("written", "")
    assert listed(server, LISTS6) == [(CUT, "2001:db8:6::1/128", f"wisp:{code}"), theirs]
    assert go(site, "lift") == ("written", "")
    assert (listed(server), listed(server, LISTS6)) == ([], [theirs])
    assert not site.state().ipv6
    server.counters.reset()
    site.cut(reason="manual")
    change(site.clients[0], address6=None)
    site.sync()
    assert f"{LISTS6}/print" not in server.counters.by_path
    site.close()


def test_an_ipv6_address_that_is_taken_away_leaves_its_list(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8::5")
    go(site, "cut")
    change(site.clients[0], address6=None)
    assert again(site)[0] == "unchanged"
    assert (listed(server, LISTS6), len(listed(server))) == ([], 1)
    assert site.access(site.clients[0]).applied_address6 is None
    site.close()


def test_who_is_cut_already_keeps_the_session_when_ipv6_comes_along(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    change(site.clients[0], address6="2001:db8::5")
    assert again(site) == ("written", "")
    assert len(listed(server, LISTS6)) == 1
    assert column(server, ACTIVE, ".id") == ["*80000002"]
    site.close()


def test_a_foreign_ipv6_prefix_prevents_a_release(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8:5::7")
    go(site, "cut")
    server.router.load(LISTS6, [{"list": CUT, "address": "2001:db8:5::/64", "comment": "de otro"}])
    assert go(site, "lift") == ("failed", f"foreign: {CUT}")
    assert site.access(site.clients[0]).applied_suspended
    site.close()


def test_on_a_router_without_ipv6_ipv4_is_cut_and_that_is_said(ctx: Flask) -> None:
    with SimulatorServer(Router(version="6.49.19", ipv6=False)) as old:
        site = one(old, "static", address="10.0.0.5", address6="2001:db8::5")
        assert go(site, "cut") == ("written", "ipv4_only")
        assert [row[1] for row in listed(old)] == ["10.0.0.5"]
        assert site.access(site.clients[0]).applied_suspended
        assert site.unsettled() == 0
        assert go(site, "lift") == ("written", "")
        assert (listed(old), site.unsettled()) == ([], 0)
        site.close()


def test_orphans_of_ipv6_are_found_at_night_and_removed(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5")
    server.router.load(LISTS6, [{"list": CUT, "address": "2001:db8::9", "comment": "wisp:NADIE"}])
    site.order()
    site.sync()
    assert len(listed(server, LISTS6)) == 1
    jobs.count(site.router_id)
    site.sync()
    assert listed(server, LISTS6) == []
    site.close()


def tracked(server: SimulatorServer, menu: str = TRACKED) -> list[str]:
    return sorted(str(source) for source in column(server, menu, "src-address"))


def test_open_connections_of_who_is_cut_end_and_the_others_stay(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=2)
    first, second = (site.client(i) for i in site.clients)
    change(first.id, address6="2001:db8:5::/64")
    sources = [f"{first.address}:5001", f"{first.address}:5002", f"{first.address}0:5001", f"{second.address}:80"]
    server.router.load(TRACKED, [{"src-address": source, "protocol": "tcp"} for source in sources])
    sources6 = ["[2001:db8:5::7]:443", "2001:db8:5:1::7", "2001:db8:6::7"]
    server.router.load(TRACKED6, [{"src-address": source} for source in sources6])
    site.cut([first.id])
    site.sync()
    assert tracked(server) == sorted(sources[2:])
    assert tracked(server, TRACKED6) == sources6[1:]
    server.router.load(TRACKED, [{"src-address": sources[0]}])
    site.order()
    site.sync()
    assert sources[0] in tracked(server)  # cut before: nothing new is cut
    server.counters.reset()
    site.lift([first.id])
    site.sync()
    assert f"{TRACKED}/print" not in server.counters.by_path
    site.close()


def test_one_family_that_can_not_be_read_does_not_keep_the_other(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8::5")
    server.router.load(TRACKED6, [{"src-address": "[2001:db8::5]:443"}])
    server.fault("trap", f"{TRACKED}/print", message="not enough permissions (9)")
    assert go(site, "cut") == ("written", "")
    assert tracked(server, TRACKED6) == []
    site.close()


@pytest.mark.parametrize("kind", ["ppp", "hotspot", "dhcp"])
def test_open_connections_end_whatever_the_lever_is(ctx: Flask, server: SimulatorServer, kind: str) -> None:
    site = {"ppp": ppp, "hotspot": hotspot, "dhcp": dhcp}[kind](server)
    address = {"ppp": "10.9.0.2", "hotspot": "10.5.0.2", "dhcp": "10.7.0.5"}[kind]
    server.router.load(TRACKED, [{"src-address": f"{address}:9"}, {"src-address": "10.99.0.1:9"}])
    go(site, "cut")
    assert tracked(server) == ["10.99.0.1:9"]
    site.close()


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        (("trap", f"{TRACKED}/print", "not enough permissions (9)"), ""),
        (("drop_after", f"{TRACKED}/remove", ""), "connections"),
        (("trap", f"{TRACKED}/remove", "no such item (4)"), ""),
        (("drop_before", f"{TRACKED}/print", ""), "connections"),
    ],
)
def test_a_cut_holds_although_connections_can_not_be_ended(
    ctx: Flask, server: SimulatorServer, fault: tuple[str, str, str], detail: str
) -> None:
    site = Site(server, clients=1)
    server.router.load(TRACKED, [{"src-address": f"{site.client(site.clients[0]).address}:9"}])
    action, path, message = fault
    server.fault(action, path, message=message, count=None)  # type: ignore[arg-type]
    assert go(site, "cut")[0] == "written"
    assert state(site)[1].partition(":")[0] == detail
    site.agree()
    site.close()


@pytest.mark.parametrize("look", [False, True])
def test_a_list_of_ipv6_that_can_not_be_read_is_not_taken_for_empty(
    ctx: Flask, server: SimulatorServer, look: bool
) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8::5")
    go(site, "cut")
    server.fault("trap", f"{LISTS6}/print", message="not enough permissions (9)", count=None)
    if look:
        assert again(site) == ("failed", "no_ipv6")
    assert go(site, "lift") == ("failed", "router: not enough permissions (9)")
    row = site.access(site.clients[0])
    assert (listed(server), len(listed(server, LISTS6))) == ([], 1)
    assert (row.applied_suspended, row.applied_address6, site.state().ipv6) == (True, "2001:db8::5", True)
    server.normal()
    assert again(site) == ("written", "")
    assert (listed(server, LISTS6), site.unsettled(), site.state().ipv6) == ([], 0, False)
    site.close()


def test_a_client_of_ipv6_alone_is_not_called_cut_by_a_router_without_it(ctx: Flask) -> None:
    with SimulatorServer(Router(version="6.49.19", ipv6=False)) as old:
        site = one(old, "static", address6="2001:db8::5")
        assert go(site, "cut") == ("failed", "no_ipv6")
        site.close()


def ours(server: SimulatorServer) -> list[str]:
    """The addresses of the entries that are not the router's own."""
    return sorted(row[1] for row in listed(server) if row[2] != "router")


NETWORKS = ("10.0.0.9", "203.0.113.8/29", "2001:db8:77::/48")


@pytest.mark.parametrize(
    ("connection", "values"),
    [
        ("static", {"address": "10.0.0.5"}),
        ("pppoe", {"username": "ana", "address": "10.0.0.5"}),
        ("pppoe", {"username": "ana"}),
    ],
    ids=["static", "fixed", "floating"],
)
def test_a_cut_and_a_notice_hold_everything_that_a_client_has(
    ctx: Flask, server: SimulatorServer, connection: str, values: dict[str, str]
) -> None:
    if connection == "pppoe":
        server.router.load("/ppp/secret", [{"name": "ana", "profile": "default"}])
    site = one(server, connection, **values)
    with factories.writing() as s:
        for network in NETWORKS:
            s.add(ClientNetwork(client_id=site.clients[0], router_id=site.router_id, network=network))
    own = [values["address"]] if "address" in values else []
    for order in ("cut", "notify"):
        assert go(site, order)[0] == "written"
        assert ours(server) == sorted([*own, *NETWORKS[:2]])
        assert [row[1] for row in listed(server, LISTS6)] == ["2001:db8:77::/48"]
        assert go(site, "lift")[0] == "written"
        assert listed(server) == listed(server, LISTS6) == []
    server.fault("trap", f"{LISTS6}/add", message="full", count=None)
    assert go(site, "cut")[0] == "failed"  # a part of it is not all of it
    server.normal()
    assert again(site)[0] == "written"
    with factories.writing() as s:
        s.execute(sa.delete(ClientNetwork).where(ClientNetwork.network == NETWORKS[1]))
    again(site)
    assert ours(server) == sorted([*own, NETWORKS[0]])
    assert site.unsettled() == 0
    site.close()
