"""Whatever else a router holds, a cut and its end change none of it but the client's own row, which is put back."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import make_clients, make_company, make_router, make_zone
from tests.support.access import CUT, NOTICE, owe
from tests.support.levers import LEASE, LISTS, LISTS6, MAC, PROFILE, SECRET, TRACKED, USER, change
from wisp.access import service
from wisp.access.jobs import synchronise
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.demo.routeros.spec import Trap

QUEUE = "/queue/simple"
OURS = re.compile(r"wisp:[A-Za-z0-9._@-]+")
MENUS = (LISTS, LISTS6, PROFILE, SECRET, USER, LEASE, QUEUE, TRACKED)
NAMES = ["ana", "bea", "ANA", "ana ", "niña", "año:1"]
PROFILES = ["default", "oro", f"{CUT}:oro", f"{NOTICE}:bronce", "plata", f"{CUT}:"]
text = st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw)
comments = st.one_of(text, st.sampled_from([b"wisp:profile ", b"wisp: ana", b"wisp-rule:x", b"Wisp:ana", b"wisp:"]))
some = st.booleans().map(str).map(str.lower)


def rows(**values: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to five rows of a menu, each perhaps with a comment."""
    optional = {"comment": comments} if "src_address" not in values else {}
    required = {name.replace("_", "-"): value for name, value in values.items()}
    return st.lists(st.fixed_dictionaries(required, optional=optional), max_size=5)


LIST_NAMES = st.sampled_from([CUT, NOTICE, "tv", "soporte"])
CONTENT = st.fixed_dictionaries(
    {
        LISTS: rows(
            list=LIST_NAMES, address=st.sampled_from(["10.99.0.1", "10.99.0.0/24", "x.example"]), disabled=some
        ),
        LISTS6: rows(list=LIST_NAMES, address=st.sampled_from(["2001:db8:9::1", "2001:db8:9::/64"]), disabled=some),
        PROFILE: rows(name=st.one_of(text, st.sampled_from(PROFILES[1:])), on_up=text, address_list=LIST_NAMES),
        SECRET: rows(name=st.one_of(text, st.sampled_from(NAMES)), password=text, disabled=some),
        USER: rows(name=st.one_of(text, st.sampled_from(NAMES)), password=text, disabled=some),
        LEASE: rows(
            address=st.sampled_from(["10.7.0.6", "10.7.0.7", "10.7.0.8"]),
            mac_address=st.sampled_from(["02:00:00:00:00:06", "02:00:00:00:00:07"]),
            address_lists=st.one_of(text, st.sampled_from([CUT, f"tv,{NOTICE}", "tv"])),
            dynamic=some,
            status=st.sampled_from(["bound", "waiting"]),
        ),
        QUEUE: rows(name=text, target=st.sampled_from(["10.0.0.5/32", "10.9.0.0/24"])),
        TRACKED: rows(src_address=st.sampled_from(["10.99.0.1:1", "10.0.0.50:1", "10.0.0.55:5"])),
    }
)
OWN = st.fixed_dictionaries(
    {
        "secret": st.fixed_dictionaries({"disabled": some, "comment": text}),
        "user": st.fixed_dictionaries({"disabled": some, "comment": text}),
        "lease": st.fixed_dictionaries({"address-lists": st.sampled_from(["", "tv", "tv,vip"]), "comment": text}),
    }
)


@pytest.fixture
def place(ctx: Flask) -> Iterator[tuple[SimulatorServer, int, list[int]]]:
    """A router with one client of each kind."""
    with SimulatorServer(Router(dial_in=0.0)) as server:
        make_company()
        router = make_router(host=server.host, port=server.port)
        zone = make_zone(router)
        ids = []
        for connection, values in (
            ("pppoe", {"username": "ana", "address": None}),
            ("hotspot", {"username": "ana", "address": None}),
            ("dhcp", {"mac": MAC, "address": None}),
            ("static", {"address": "10.0.0.5", "address6": "2001:db8:5::/64"}),
        ):
            ids += make_clients(1, zone, connection=connection)
            change(ids[-1], **values)
        owe(ids)
        yield server, router.id, ids


def fill(router: Router, content: dict[str, list[dict[str, Any]]], own: dict[str, dict[str, Any]]) -> None:
    """Empty the router and put that on it; what the router would refuse is left out."""
    for menu in (*MENUS, "/ppp/active", "/ip/hotspot/active", "/ip/hotspot/cookie"):
        router.clear(menu)
    router.load(PROFILE, [{"name": "default", "default": "true"}, {"name": "mio", "rate-limit": "1M/2M"}])
    router.load(SECRET, [{"name": "ana", "profile": "mio", **own["secret"]}])
    router.load(USER, [{"name": "ana", "server": "hs", **own["user"]}])
    lease = {"address": "10.7.0.5", "mac-address": MAC, "status": "bound", "active-address": "10.7.0.5"}
    router.load(LEASE, [{**lease, **own["lease"]}])
    for menu, found in content.items():
        for row in found:
            try:
                router.load(menu, [row])
            except Trap:
                continue


def state(router: Router) -> dict[str, dict[str, dict[str, str]]]:
    """Every row as its bytes, but for what the router makes and unmakes by itself and for our profiles."""
    with router.lock:
        return {
            menu: {
                row_id: {name: value for name, value in row.items() if name != "creation-time"}
                for row_id, row in router.table(menu).rows.items()
                if not (menu == LISTS and row["dynamic"] == "true") and row.get("comment") != "wisp:profile"
            }
            for menu in MENUS
        }


def without_own(found: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, dict[str, str]]]:
    """The same without the rows that are the clients' own, and without entries of ours."""

    def own(menu: str, row: dict[str, str]) -> bool:
        if menu in (SECRET, USER):
            return row["name"] == "ana"
        if menu == LEASE:
            return row["mac-address"] == MAC
        return menu in (LISTS, LISTS6) and OURS.fullmatch(row.get("comment", "")) is not None

    return {menu: {at: row for at, row in rows.items() if not own(menu, row)} for menu, rows in found.items()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, own=OWN, mode=st.sampled_from(["profile", "disable"]), first=st.booleans())
def test_nothing_of_others_is_changed_and_the_own_rows_are_put_back(
    place: tuple[SimulatorServer, int, list[int]],
    content: dict[str, list[dict[str, Any]]],
    own: dict[str, dict[str, Any]],
    mode: str,
    first: bool,
) -> None:
    server, router_id, ids = place
    fill(server.router, content, own)
    with transaction() as s:
        s.execute(service.sa.update(service.Router).values(pppoe_cut=mode))
    before = state(server.router)
    orders = [lambda: service.want_notice(ids)] if first else []
    for order in [*orders, lambda: service.want_suspended(ids, reason="manual")]:
        with transaction():
            order()
            service.request_sync([router_id])
        synchronise(router_id, True)
        assert without_own(state(server.router)) == without_own(before)
    assert state(server.router) != before
    with transaction():
        service.lift(ids, reasons=("manual",))
        service.request_sync([router_id])
    synchronise(router_id, True)
    assert state(server.router) == before
