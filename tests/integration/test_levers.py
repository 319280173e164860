"""Cut, notice and back for every kind of connection: by entries, or by the client's own row on the router."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from tests.support.access import CUT, NOTICE, pay
from tests.support.levers import (
    ACTIVE,
    COOKIE,
    GUESTS,
    LEASE,
    MAC,
    PROFILE,
    SECRET,
    USER,
    again,
    column,
    dhcp,
    go,
    hotspot,
    left_behind,
    listed,
    mode,
    one,
    ppp,
    remembered,
)
from wisp.core import clock
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.settings import service as settings


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


# PPPoE by profile ------------------------------------------------------------


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


@pytest.mark.parametrize("code_page", ["cp1252", "utf-8"])
def test_names_keep_their_bytes(ctx: Flask, server: SimulatorServer, code_page: str) -> None:
    name, profile = "niña".encode(code_page), "señal".encode(code_page)
    server.router.load(PROFILE, [{"name": profile, "on-up": b"\xff\x01"}])
    server.router.load(SECRET, [{"name": name, "profile": profile}])
    site = one(server, "pppoe", username="niña")
    rows, profiles = server.router.table(SECRET).rows, server.router.table(PROFILE).rows
    assert go(site, "cut") == ("written", "")
    held = rows["*1"]["profile"].encode("latin-1")
    assert held == CUT.encode() + b":" + profile
    (copy,) = (row for row in profiles.values() if row["name"].encode("latin-1") == held)
    assert copy["on-up"].encode("latin-1") == b"\xff\x01"
    assert again(site) == ("unchanged", "")
    assert go(site, "lift") == ("written", "")
    assert rows["*1"]["profile"].encode("latin-1") == profile
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


# PPPoE by switching off ------------------------------------------------------------


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


# Hotspot ------------------------------------------------------------


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


# DHCP ------------------------------------------------------------


def test_dhcp_is_cut_by_the_lists_of_its_lease(ctx: Flask, server: SimulatorServer) -> None:
    site = dhcp(server)
    assert go(site, "cut") == ("written", "")
    assert server.counters.by_path[f"{LEASE}/print"] == 2  # again, once it is static
    assert (column(server, LEASE, "dynamic"), column(server, LEASE, "address-lists")) == (["false"], [CUT])
    marked = column(server, LEASE, "comment")
    assert [text and text[:5] for text in marked] == ["wisp:"]  # or it would be somebody else's from now on
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
