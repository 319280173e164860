"""Levers and IPv6 where people see them: the difference page, the log, a run's ledger; and how few turns they take."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.levers import LEASE, LISTS6, SECRET, USER, change, column, dhcp, hotspot, one, ppp
from wisp.access import differences, texts
from wisp.access.cli import live_difference
from wisp.access.models import RouterTalk
from wisp.clients.models import Client
from wisp.core import events, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.gateway import Target, connect, listening, menus
from wisp.routers.models import Router as RouterRow


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


def shown(lines: list[differences.Line]) -> list[tuple[str, str, str]]:
    return [(line.list, line.address, line.why) for line in lines]


@pytest.mark.parametrize(
    ("make", "who"), [(ppp, "ana"), (hotspot, "ana"), (dhcp, "02:00:00:00:00:05")], ids=["ppp", "hotspot", "dhcp"]
)
def test_the_difference_names_levers(ctx: Flask, server: SimulatorServer, make: object, who: str) -> None:
    site: Site = make(server)  # type: ignore[operator]
    site.cut()
    queue.connection().flushdb()
    before = [server.router.snapshot(menu) for menu in (SECRET, USER, LEASE)]
    found = differences.look(site.router_id)
    assert (shown(found.missing), found.counts()["missing"], found.extra) == ([(CUT, who, "lever")], 1, [])
    assert [server.router.snapshot(menu) for menu in (SECRET, USER, LEASE)] == before
    router = session().get_one(RouterRow, site.router_id)
    assert [add.address for add in live_difference(router).add] == [who]
    site.order()
    site.sync()
    assert differences.look(site.router_id).empty
    site.lift()
    found = differences.look(site.router_id)
    assert (shown(found.extra), found.missing) == ([(CUT, who, "free")], [])
    site.close()


def test_what_a_mover_left_behind_is_shown_as_left_over(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    site.cut()
    site.sync()
    with SimulatorServer() as second:
        there = Site(second, clients=0)
        with transaction() as s:
            s.execute(sa.update(Client).values(router_id=there.router_id, zone_id=there.zone_id))
            events.client_saved.emit(client_ids=site.clients)
        there.close()
    found = differences.look(site.router_id)
    assert shown(found.stale) == [(CUT, "ana", "moved")]
    assert found.stale[0].code == site.client(site.clients[0]).code
    site.close()


def test_the_difference_shows_ipv6_and_adopts_there(ctx: Flask, server: SimulatorServer) -> None:
    site = one(server, "static", address="10.0.0.5", address6="2001:db8:5::7")
    site.cut()
    queue.connection().flushdb()
    server.router.load(
        LISTS6,
        [
            {"list": CUT, "address": "2001:db8:5::7", "comment": "de otro"},
            {"list": CUT, "address": "2001:db8:9::9", "comment": "wisp:NADIE"},
        ],
    )
    found = differences.look(site.router_id)
    code = site.client(site.clients[0]).code
    assert shown(found.missing) == [(CUT, "10.0.0.5", "absent")]
    assert shown(found.stale) == [(CUT, "2001:db8:9::9", "gone")]
    assert [(line.address, line.code) for line in found.foreign] == [("2001:db8:5::7", code)]
    assert found.ipv6
    line = found.foreign[0]
    wish = differences.adoption(site.router_id, line.id, line.list, line.address)
    session().rollback()
    assert differences.adopt(wish) == "de otro"
    assert column(server, LISTS6, "comment") == [f"wisp:{code}", "wisp:NADIE"]
    site.close()


def test_every_detail_has_a_sentence(ctx: Flask) -> None:
    codes = [
        "no_ipv6",
        "ipv4_only",
        "not_ipv6",
        "no_user",
        "no_lease",
        "no_session",
        "no_profile: x",
        "profile_taken: x",
    ]
    for detail in [*codes, "connections: closed", "session_goes_on: busy"]:
        assert texts.explain(detail) != detail
    assert str(texts.WHY["lever"])


def test_no_password_reaches_the_log(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server, password="geheim-1")
    site.cut()
    site.sync()
    with transaction() as s:
        lines = [line for talk in s.scalars(sa.select(RouterTalk)) for line in talk.lines]
    assert any("/ppp/secret/set" in words for _direction, words in lines)
    assert not any("geheim" in words for _direction, words in lines)
    heard: list[str] = []
    with (
        listening(lambda _direction, sentences, words: heard.extend(word for one in sentences for word in words(one))),
        connect(Target(server.host, server.port, "wisp", "secret"), deadline=10) as connection,
    ):
        connection.add(menus.SECRET, [{"name": "bea", "password": "geheim-2"}], raw=True)
        connection.change(menus.SECRET, [("*1", {"password": "geheim-3"})])
        connection.read_whole(menus.SECRET)
    assert "=password=•••" in heard
    assert not any("geheim" in word for word in heard)
    site.close()


def test_a_thousand_by_profile_in_few_turns(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=0)
    ids = site.add(1000, connection="pppoe")
    with transaction() as s:
        s.execute(sa.update(Client).values(username=Client.code, address=None))
    names = session().scalars(sa.select(Client.username)).all()
    server.router.load("/ppp/profile", [{"name": "oro"}, {"name": "plata"}])
    server.router.load(SECRET, [{"name": n, "profile": "oro" if at % 2 else "plata"} for at, n in enumerate(names)])
    server.router.dial_all()
    sources = [{"src-address": f"{address}:9"} for address in column(server, "/ppp/active", "address")]
    server.router.load(menus.CONNECTIONS, [*sources, {"src-address": "10.0.0.1:9"}])
    site.cut(ids)
    server.counters.reset()
    server.switch(round_trip=5)
    report = site.sync()
    assert {outcome.state for outcome in report.outcomes.values()} == {"written"}
    assert server.counters.connections <= 2
    assert server.counters.turns <= 25
    assert set(column(server, SECRET, "profile")) == {f"{CUT}:oro", f"{CUT}:plata"}
    assert column(server, menus.CONNECTIONS, "src-address") == ["10.0.0.1:9"]
    site.close()


def test_nobody_with_ipv6_costs_no_turn(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=2)
    site.cut()
    server.counters.reset()
    site.sync()
    assert not any("ipv6" in path for path in server.counters.by_path)
    change(site.clients[0], address6="2001:db8::7")
    site.sync()
    assert server.counters.by_path[f"{LISTS6}/print"] == 1
    site.close()
