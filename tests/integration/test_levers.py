"""Cut, notice and back for every kind of connection: by entries, or by the client's own row on the router."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, NOTICE, Site, pay
from tests.support.levers import (
    ACTIVE,
    COOKIE,
    GUESTS,
    LEASE,
    LISTS6,
    MAC,
    PROFILE,
    SECRET,
    TRACKED,
    TRACKED6,
    USER,
    change,
    column,
    dhcp,
    hotspot,
    listed,
    load_hotspot,
    load_lease,
    load_ppp,
    one,
    ppp,
)
from wisp.access import jobs, left, sync
from wisp.access.models import AccessLeftover
from wisp.clients.models import Client
from wisp.core import clock, events
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.portal import service as portal
from wisp.routers.models import Router as RouterRow
from wisp.settings import service as settings


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


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
    with transaction() as s:
        s.execute(sa.update(RouterRow).values(pppoe_cut=name))


def remembered(site: Site) -> tuple[str, str, str]:
    row = site.access(site.clients[0])
    return row.lever, row.lever_name, row.lever_before


# PPPoE by profile -----------------------------------------------------------------------------------------


def test_pppoe_is_cut_by_a_profile_of_ours_and_comes_back(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    assert column(server, ACTIVE, "address") == ["10.9.0.2"]
    assert go(site, "cut") == ("written", "")
    assert column(server, SECRET, "profile") == [f"{CUT}:oro"]
    assert column(server, ACTIVE, ".id") == ["*80000002"]  # the session is another one
    assert listed(server) == [(CUT, "10.9.0.3", "router")]
    assert remembered(site) == ("profile", "ana", "oro")
    assert site.access(site.clients[0]).applied_address is None
    assert site.access(site.clients[0]).applied_suspended
    assert again(site) == ("unchanged", "")
    assert column(server, ACTIVE, ".id") == ["*80000002"]
    server.reboot()
    assert listed(server) == [(CUT, "10.9.0.4", "router")]
    pay(site.clients)
    assert again(site) == ("written", "")
    assert column(server, SECRET, "profile") == ["oro"]
    assert listed(server) == []
    assert column(server, ACTIVE, "address") == ["10.9.0.5"]
    assert remembered(site) == ("", "", "")
    assert site.unsettled() == 0
    site.close()


def test_our_profile_is_a_copy_with_our_list_and_is_repaired(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    profiles = {row["name"]: row for row in server.router.snapshot(PROFILE)}
    copy, old = profiles[f"{CUT}:oro"], profiles["oro"]
    assert (copy["address-list"], copy["comment"]) == (CUT, "wisp:profile")
    ours = {".id", "name", "address-list", "comment"}
    assert {k: v for k, v in copy.items() if k not in ours} == {k: v for k, v in old.items() if k not in ours}
    with server.router.lock:
        table = server.router.table(PROFILE)
        table.set(copy[".id"], {"rate-limit": "", "idle-timeout": "5m", "address-list": "otra"})
        table.set(old[".id"], {"local-address": "10.9.0.9"})
    assert again(site)[0] in ("written", "unchanged")
    copy = next(row for row in server.router.snapshot(PROFILE) if row["name"] == f"{CUT}:oro")
    assert (copy["rate-limit"], copy["address-list"], copy["local-address"]) == ("5M/20M", CUT, "10.9.0.9")
    assert "idle-timeout" not in copy
    site.close()


def test_a_notice_is_another_profile_and_a_cut_after_it_remembers_the_first(
    ctx: Flask, server: SimulatorServer
) -> None:
    site = ppp(server)
    assert go(site, "notify") == ("written", "")
    assert column(server, SECRET, "profile") == [f"{NOTICE}:oro"]
    assert listed(server) == [(NOTICE, "10.9.0.3", "router")]
    assert go(site, "cut") == ("written", "")
    assert column(server, SECRET, "profile") == [f"{CUT}:oro"]
    assert listed(server) == [(CUT, "10.9.0.4", "router")]
    assert remembered(site) == ("profile", "ana", "oro")
    assert go(site, "lift") == ("written", "")
    assert column(server, SECRET, "profile") == ["oro"]
    site.close()


def test_a_profile_that_somebody_changed_meanwhile_stays(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    server.router.load(PROFILE, [{"name": "plata"}])
    server.router.table(SECRET).set("*1", {"profile": "plata"})
    go(site, "lift")
    assert column(server, SECRET, "profile") == ["plata"]
    assert site.unsettled() == 0
    site.close()


def test_a_profile_changed_meanwhile_is_what_a_cut_goes_on_from(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    server.router.load(PROFILE, [{"name": "plata"}])
    server.router.table(SECRET).set("*1", {"profile": "plata"})
    assert again(site) == ("written", "")
    assert column(server, SECRET, "profile") == [f"{CUT}:plata"]
    go(site, "lift")
    assert column(server, SECRET, "profile") == ["plata"]
    site.close()


def test_a_remembered_profile_that_is_gone_is_said(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    server.router.table(PROFILE).remove("*1")
    assert go(site, "lift") == ("failed", "no_profile: oro")
    assert column(server, SECRET, "profile") == [f"{CUT}:oro"]
    assert site.access(site.clients[0]).applied_suspended
    assert remembered(site) == ("profile", "ana", "oro")
    server.router.load(PROFILE, [{"name": "oro"}])
    assert again(site) == ("written", "")
    assert column(server, SECRET, "profile") == ["oro"]
    site.close()


def test_a_profile_of_somebody_else_with_our_name_is_not_touched(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    server.router.load(PROFILE, [{"name": f"{CUT}:oro", "address-list": "otra"}])
    before = server.router.snapshot(PROFILE)
    assert go(site, "cut") == ("failed", f"profile_taken: {CUT}:oro")
    assert (server.router.snapshot(PROFILE), column(server, SECRET, "profile")) == (before, ["oro"])
    site.close()


def test_a_router_that_refuses_our_profile_says_why(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    server.fault("trap", "/ppp/profile/add", message="failure: no more profiles")
    assert go(site, "cut") == ("failed", "router: failure: no more profiles")
    assert column(server, SECRET, "profile") == ["oro"]
    assert again(site) == ("written", "")
    assert go(site, "lift") == ("written", "")
    assert column(server, SECRET, "profile") == ["oro"]
    site.close()


def test_a_list_that_is_renamed_takes_the_profiles_along(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    with transaction():
        settings.save_company({"list_overdue": "morosos"})
    site.sync()
    assert column(server, SECRET, "profile") == ["morosos:oro"]
    assert go(site, "lift") == ("written", "")
    assert column(server, SECRET, "profile") == ["oro"]
    site.close()


def test_a_secret_with_a_fixed_address_is_cut_by_the_list(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server, **{"remote-address": "10.6.0.2"})
    assert go(site, "cut") == ("written", "")
    assert (listed(server)[0][:2], column(server, SECRET, "profile")) == ((CUT, "10.6.0.2"), ["oro"])
    assert site.access(site.clients[0]).applied_address == "10.6.0.2"
    assert go(site, "lift") == ("written", "")
    assert listed(server) == []
    site.close()


def test_an_entry_by_session_gives_way_to_the_lever(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    site.load({"list": CUT, "address": "10.9.0.2", "comment": f"wisp:{site.client(site.clients[0]).code}"})
    assert go(site, "cut") == ("written", "")
    assert listed(server) == [(CUT, "10.9.0.3", "router")]
    site.close()


# PPPoE by switching off -----------------------------------------------------------------------------------


def test_pppoe_is_cut_by_switching_the_secret_off(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    mode(site, "disable")
    assert go(site, "cut") == ("written", "")
    assert (column(server, SECRET, "disabled"), column(server, ACTIVE, ".id")) == (["true"], [])
    assert column(server, SECRET, "profile") == ["oro"]
    assert again(site) == ("unchanged", "")
    server.reboot()
    assert column(server, ACTIVE, ".id") == []
    assert go(site, "lift") == ("written", "")
    assert column(server, SECRET, "disabled") == ["false"]
    assert len(column(server, ACTIVE, ".id")) == 1
    site.close()


def test_a_secret_that_an_operator_had_switched_off_stays_off(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server, disabled="true")
    mode(site, "disable")
    assert go(site, "cut") == ("unchanged", "")
    assert remembered(site) == ("disable", "ana", "disabled")
    assert again(site) == ("unchanged", "")
    assert go(site, "lift")[0] in ("unchanged", "written")
    assert column(server, SECRET, "disabled") == ["true"]
    assert remembered(site) == ("", "", "")
    site.close()


def test_a_notice_where_secrets_are_switched_off_is_by_the_session(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    mode(site, "disable")
    assert go(site, "notify") == ("written", "")
    assert [row[:2] for row in listed(server)] == [(NOTICE, "10.9.0.2")]
    assert column(server, ACTIVE, ".id") == ["*80000001"]  # it works, and is left alone
    assert go(site, "cut") == ("written", "")
    assert (listed(server), column(server, SECRET, "disabled")) == ([], ["true"])
    site.close()


def test_a_changed_setting_moves_a_cut_from_one_lever_to_the_other(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    mode(site, "disable")
    assert again(site) == ("written", "")
    assert (column(server, SECRET, "profile"), column(server, SECRET, "disabled")) == (["oro"], ["true"])
    assert remembered(site) == ("disable", "ana", "")
    assert left_behind() == []
    go(site, "lift")
    assert column(server, SECRET, "disabled") == ["false"]
    site.close()


# Hotspot --------------------------------------------------------------------------------------------------


def test_hotspot_is_cut_by_switching_the_user_off(ctx: Flask, server: SimulatorServer) -> None:
    site = hotspot(server)
    assert go(site, "cut") == ("written", "")
    assert column(server, USER, "disabled") == ["true"]
    assert (column(server, GUESTS, ".id"), column(server, COOKIE, ".id")) == ([], [])
    assert not server.router.hotspot_login("ana", "10.5.0.2", MAC)
    assert again(site) == ("unchanged", "")
    server.reboot()
    pay(site.clients)
    assert again(site) == ("written", "")
    assert column(server, USER, "disabled") == ["false"]
    assert server.router.hotspot_login("ana", "10.5.0.2", MAC)
    assert remembered(site) == ("", "", "")
    site.close()


def test_hotspot_with_a_fixed_address_stands_on_the_list_too(ctx: Flask, server: SimulatorServer) -> None:
    site = hotspot(server, address="10.5.0.2")
    assert go(site, "cut") == ("written", "")
    assert [row[:2] for row in listed(server)] == [(CUT, "10.5.0.2")]
    assert column(server, USER, "disabled") == ["true"]
    assert go(site, "lift") == ("written", "")
    assert (listed(server), column(server, USER, "disabled")) == ([], ["false"])
    site.close()


def test_a_hotspot_user_that_an_operator_had_switched_off_stays_off(ctx: Flask, server: SimulatorServer) -> None:
    site = hotspot(server, {"disabled": "true"})
    server.router.load(USER, [{"name": "ana", "server": "hs2"}])
    assert go(site, "cut") == ("written", "")
    assert column(server, USER, "disabled") == ["true", "true"]
    assert remembered(site) == ("hotspot", "ana", "disabled:all")
    assert column(server, GUESTS, ".id") == []
    go(site, "lift")
    assert column(server, USER, "disabled") == ["true", "false"]
    site.close()


def test_a_hotspot_notice_is_by_the_session_and_waits_for_one(ctx: Flask, server: SimulatorServer) -> None:
    site = hotspot(server)
    with server.router.lock:
        server.router.table(COOKIE).clear()
        server.router.table(GUESTS).clear()
    assert go(site, "notify") == ("waits", "no_session")
    assert site.unsettled() == 1
    assert site.state().attempts == 0
    again_at = site.state().next_attempt_at
    assert again_at is not None
    assert clock.now() + timedelta(minutes=10) < again_at < clock.now() + timedelta(minutes=20)
    server.router.hotspot_login("ana", "10.5.0.3", MAC)
    assert again(site) == ("written", "")
    assert [row[:2] for row in listed(server)] == [(NOTICE, "10.5.0.3")]
    assert site.state().next_attempt_at is None
    assert column(server, GUESTS, "address") == ["10.5.0.3"]
    assert go(site, "lift") == ("written", "")
    assert listed(server) == []
    site.close()


@pytest.mark.parametrize(("address", "answer"), [(None, ("failed", "no_user")), ("10.5.0.2", ("written", ""))])
def test_hotspot_without_a_user_on_the_router(
    ctx: Flask, server: SimulatorServer, address: str | None, answer: tuple[str, str]
) -> None:
    site = one(server, "hotspot", username="ana", address=address)
    assert go(site, "cut") == answer
    assert [row[1] for row in listed(server)] == ([address] if address else [])
    site.close()


# DHCP -----------------------------------------------------------------------------------------------------


def test_dhcp_is_cut_by_the_lists_of_its_lease(ctx: Flask, server: SimulatorServer) -> None:
    site = dhcp(server)
    assert go(site, "cut") == ("written", "")
    assert (column(server, LEASE, "dynamic"), column(server, LEASE, "address-lists")) == (["false"], [CUT])
    assert listed(server) == [(CUT, "10.7.0.5", "router")]
    assert site.access(site.clients[0]).applied_address is None
    assert again(site) == ("unchanged", "")
    server.reboot()
    assert listed(server) == [(CUT, "10.7.0.5", "router")]
    pay(site.clients)
    assert again(site) == ("written", "")
    assert (column(server, LEASE, "address-lists"), listed(server)) == ([""], [])
    assert site.unsettled() == 0
    site.close()


def test_foreign_lists_of_a_lease_stay_byte_for_byte(ctx: Flask, server: SimulatorServer) -> None:
    site = dhcp(server, {"dynamic": "false"}, address="10.7.0.5")
    theirs = "señal vip, tv,,x".encode("cp1252")
    server.router.table(LEASE).set("*1", {"address-lists": theirs.decode("latin-1")})
    assert go(site, "notify") == ("written", "")
    assert go(site, "cut") == ("written", "")
    stored = server.router.table(LEASE).rows["*1"]["address-lists"]
    assert stored.encode("latin-1") == theirs + b"," + CUT.encode()
    assert go(site, "lift") == ("written", "")
    assert server.router.table(LEASE).rows["*1"]["address-lists"].encode("latin-1") == theirs
    site.close()


def test_a_lease_that_somebody_else_has_cut_stays_cut_and_that_is_said(ctx: Flask, server: SimulatorServer) -> None:
    site = dhcp(server, {"dynamic": "false", "address-lists": f"tv,{CUT}"})
    site.cut()
    report = site.sync()
    assert [(o.state, o.foreign) for o in report.outcomes.values()] == [("unchanged", True)]
    assert go(site, "lift") == ("failed", f"foreign: {CUT}")
    assert column(server, LEASE, "address-lists") == [f"tv,{CUT}"]
    assert again(site) == ("failed", f"foreign: {CUT}")
    server.router.table(LEASE).set("*1", {"address-lists": "tv"})
    assert again(site)[0] in ("unchanged", "written")
    assert site.unsettled() == 0
    site.close()


@pytest.mark.parametrize(("address", "answer"), [(None, ("failed", "no_lease")), ("10.7.0.9", ("written", ""))])
def test_dhcp_without_a_lease(
    ctx: Flask, server: SimulatorServer, address: str | None, answer: tuple[str, str]
) -> None:
    site = one(server, "dhcp", mac=MAC, address=address)
    assert go(site, "cut") == answer
    assert [row[1] for row in listed(server)] == ([address] if address else [])
    site.close()


# IPv6 -----------------------------------------------------------------------------------------------------


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


def test_a_foreign_ipv6_prefix_prevents_a_release(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8:5::7")
    go(site, "cut")
    server.router.load(LISTS6, [{"list": CUT, "address": "2001:db8:5::/64", "comment": "de otro"}])
    assert go(site, "lift") == ("failed", f"foreign: {CUT}")
    assert site.access(site.clients[0]).applied_suspended
    site.close()


def test_without_an_ipv6_list_a_client_of_both_families_is_not_cut(ctx: Flask) -> None:
    with SimulatorServer(Router(version="6.49.19", ipv6=False)) as old:
        site = one(old, "static", address="10.0.0.5", address6="2001:db8::5")
        assert go(site, "cut") == ("failed", "no_ipv6")
        assert [row[1] for row in listed(old)] == ["10.0.0.5"]
        assert site.access(site.clients[0]).applied_suspended
        assert site.unsettled() == 1
        assert go(site, "lift") == ("written", "")
        assert (listed(old), site.unsettled()) == ([], 0)
        site.close()


def test_orphans_of_ipv6_are_found_at_night_and_removed(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5")
    server.router.load(LISTS6, [{"list": CUT, "address": "2001:db8::9", "comment": "wisp:NADIE"}])
    again_states = site.order(), site.sync()
    assert again_states
    assert len(listed(server, LISTS6)) == 1
    jobs.count(site.router_id)
    site.sync()
    assert listed(server, LISTS6) == []
    site.close()


# Established connections ----------------------------------------------------------------------------------


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


# Moved, renamed, cancelled --------------------------------------------------------------------------------


def left_behind() -> list[tuple[str, str]]:
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
    """The rows of clients, but for what making a lease static changes."""
    ignored = {"last-logged-out", "dynamic"}
    rows = [row for menu in OWN for row in server.router.snapshot(menu)]
    return [{name: value for name, value in row.items() if name not in ignored} for row in rows]


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
    site = {"hotspot": hotspot, "dhcp": dhcp}.get(way, ppp)(server)
    mode(site, "disable" if way == "disable" else "profile")
    menu = {"hotspot": USER, "dhcp": LEASE}.get(way, SECRET)
    server.router.load(
        menu,
        [
            {
                "hotspot": {"name": "bea"},
                "dhcp": {"address": "10.7.0.6", "mac-address": "02:00:00:00:00:06", "server": "d1", "status": "bound"},
            }.get(way, {"name": "bea", "profile": "oro"})
        ],
    )
    before = own_rows(server)
    go(site, "cut")
    change(site.clients[0], **({"mac": "02:00:00:00:00:06"} if way == "dhcp" else {"username": "bea"}))
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


# What breaks ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker is gone."""


@pytest.mark.parametrize("kind", ["pppoe", "hotspot", "dhcp"])
@pytest.mark.parametrize("way", ["profile", "disable"])
def test_killed_between_sending_and_recording_nothing_is_forgotten(
    ctx: Flask, server: SimulatorServer, kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = KINDS[kind][0](server)
    mode(site, way)
    before = own_rows(server)

    def killed(*_: object, **__: object) -> bool:
        raise Killed

    site.cut()
    with monkeypatch.context() as patch:
        patch.setattr(sync, "record", killed)
        with pytest.raises(Killed):
            site.sync()
    assert own_rows(server) != before
    assert remembered(site)[0]
    assert again(site) == ("written", "")
    go(site, "lift")
    assert own_rows(server) == before
    site.close()


@pytest.mark.parametrize("kind", ["pppoe", "hotspot", "dhcp"])
@pytest.mark.parametrize("action", ["drop_before", "drop_after", "half_sentence"])
@pytest.mark.parametrize("verb", ["set", "remove", "make-static", "add"])
def test_a_connection_that_breaks_on_the_way_is_made_good(
    ctx: Flask, server: SimulatorServer, kind: str, action: str, verb: str
) -> None:
    site = KINDS[kind][0](server)
    before = own_rows(server)
    menu = {"pppoe": SECRET, "hotspot": USER, "dhcp": LEASE}[kind]
    sessions = {"pppoe": ACTIVE, "hotspot": GUESTS, "dhcp": ACTIVE}[kind]
    path = {"remove": f"{sessions}/remove", "add": f"{PROFILE}/add"}.get(verb, f"{menu}/{verb}")
    server.fault(action, path)  # type: ignore[arg-type]
    assert go(site, "cut") == ("written", "")
    assert own_rows(server) != before
    if kind != "dhcp":
        assert column(server, sessions, ".id") in ([], ["*80000002"], ["*80000003"])
    server.fault(action, path)  # type: ignore[arg-type]
    assert go(site, "lift") == ("written", "")
    assert own_rows(server) == before
    assert listed(server) == []
    site.close()


def test_a_secret_that_is_refused_is_a_failure_with_its_words(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    server.fault("trap", "/ppp/secret/set", message="failure: busy", count=None)
    assert go(site, "cut") == ("failed", "router: failure: busy")
    assert (column(server, SECRET, "profile"), site.access(site.clients[0]).applied_suspended) == (["oro"], False)
    site.close()


def test_a_lift_is_not_done_while_the_old_session_goes_on(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    server.fault("trap", f"{ACTIVE}/remove", message="failure: busy")
    assert go(site, "lift") == ("failed", "old_session: failure: busy")
    assert (column(server, SECRET, "profile"), remembered(site)[0]) == (["oro"], "profile")
    assert listed(server) == [(CUT, "10.9.0.3", "router")]
    assert site.unsettled() == 1
    assert again(site)[0] in ("written", "unchanged")
    assert (listed(server), site.unsettled(), remembered(site)[0]) == ([], 0, "")
    site.close()


def test_nobody_is_shown_the_page_of_one_who_is_held_by_a_lever(ctx: Flask, server: SimulatorServer) -> None:
    """The address that the session had is another's tomorrow: the page knows nobody by it."""
    for site in (ppp(server), dhcp(server)):
        go(site, "cut")
        for _list, address, _comment in listed(server):
            assert portal.by_address(address, settings.company()) is None
        site.close()
        break


def test_what_is_left_belongs_to_the_router(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    assert left.of_router(site.router_id) == []
    site.close()
