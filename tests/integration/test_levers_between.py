"""Levers when names go from client to client, and when the router hides or refuses a part of what is needed."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import Site
from tests.support.levers import (
    ACTIVE,
    GUESTS,
    LEASE,
    LISTS,
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
    load_hotspot,
    mode,
    own_rows,
    ppp,
    remembered,
    two_rows,
)
from wisp.clients.models import Client
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.settings import service as settings

WAYS = ["profile", "disable", "hotspot", "dhcp"]


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


def pair(server: SimulatorServer, way: str) -> tuple[Site, list[dict[str, str]]]:
    """Two clients, each with a row of its own; what each is called."""
    site, second = two_rows(server, way)
    own = {name: str(getattr(site.client(site.clients[0]), name)) for name in second}
    site.clients += site.add(1, connection="dhcp" if way == "dhcp" else site.client(site.clients[0]).connection)
    change(site.clients[1], address=None, **second)
    return site, [own, second]


def swap(site: Site, names: list[dict[str, str]]) -> None:
    """Each client gets the other's row, before any synchronisation."""
    first, second = site.clients
    change(second, **dict.fromkeys(names[0], ""))
    change(first, **names[1])
    change(second, **names[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lifted", [None, 1])
def test_two_who_are_cut_and_swap_their_names_stay_cut(
    ctx: Flask, server: SimulatorServer, way: str, lifted: int | None
) -> None:
    site, names = pair(server, way)
    before = own_rows(server)
    site.cut()
    site.sync()
    both = own_rows(server)
    swap(site, names)
    if lifted is not None:
        site.lift([site.clients[lifted]])
    site.order()
    site.sync()
    after = own_rows(server)
    held = [after[at] == both[at] for at in (0, 1)]
    assert held == [True, True] if lifted is None else held == [lifted == 0, lifted == 1]
    assert [after[at] == before[at] for at in (0, 1)] == [not one for one in held]
    assert (left_behind(), site.unsettled()) == ([], 0)
    site.lift()
    site.sync()
    assert own_rows(server) == before
    site.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_goes_from_a_cancelled_client_to_one_who_is_cut_stays_cut(
    ctx: Flask, server: SimulatorServer, way: str
) -> None:
    """The one who takes it over is the elder, so that its turn comes first."""
    site, names = pair(server, way)
    before = own_rows(server)
    elder, goes = site.clients
    site.cut()
    site.sync()
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == goes).values(cancelled_at=sa.func.now()))
    change(elder, **names[1])
    site.order()
    site.sync()
    after = own_rows(server)
    assert (after[0], after[1] == before[1]) == (before[0], False)
    site.lift()
    site.sync()
    assert own_rows(server) == before
    site.close()


MENUS = {"profile": SECRET, "disable": SECRET, "hotspot": USER, "dhcp": LEASE}


@pytest.mark.parametrize(
    ("way", "text"), [*((way, "not enough permissions (9)") for way in WAYS), ("profile", "failure: busy")]
)
def test_rows_that_can_not_be_read_are_not_taken_for_gone(
    ctx: Flask, server: SimulatorServer, way: str, text: str
) -> None:
    site = {"hotspot": hotspot, "dhcp": dhcp}.get(way, ppp)(server)
    mode(site, "disable" if way == "disable" else "profile")
    before = own_rows(server)
    go(site, "cut")
    lever, cut = remembered(site), own_rows(server)
    server.fault("trap", f"{MENUS[way]}/print", message=text, count=None)
    assert again(site) == ("failed", f"router: {text}")
    assert (remembered(site), site.access(site.clients[0]).applied_suspended) == (lever, True)
    assert go(site, "lift") == ("failed", f"router: {text}")
    assert (own_rows(server), remembered(site), site.unsettled()) == (cut, lever, 1)
    assert site.access(site.clients[0]).applied_suspended
    server.normal()
    assert again(site) == ("written", "")
    assert (own_rows(server), remembered(site)) == (before, ("", "", ""))
    site.close()


@pytest.mark.parametrize("way", ["profile", "disable", "hotspot"])
@pytest.mark.parametrize("verb", ["print", "remove"])
def test_a_cut_by_a_lever_is_not_done_while_the_session_goes_on(
    ctx: Flask, server: SimulatorServer, way: str, verb: str
) -> None:
    """The row says what is wanted and the client works on: that is no cut."""
    site = hotspot(server) if way == "hotspot" else ppp(server)
    mode(site, "disable" if way == "disable" else "profile")
    menu = GUESTS if way == "hotspot" else ACTIVE
    session = column(server, menu, ".id")
    server.fault("trap", f"{menu}/{verb}", message="not enough permissions (9)", count=None)
    assert go(site, "cut") == ("failed", "session_goes_on: not enough permissions (9)")
    assert column(server, menu, ".id") == session
    row = site.access(site.clients[0])
    assert (row.applied_suspended, site.unsettled()) == (False, 1)
    assert site.state().next_attempt_at is not None
    server.normal()
    assert again(site)[0] in ("written", "unchanged")
    assert column(server, menu, ".id") != session
    assert (site.access(site.clients[0]).applied_suspended, site.unsettled()) == (True, 0)
    site.close()


def test_a_lift_is_not_done_while_sessions_can_not_be_read(ctx: Flask, server: SimulatorServer) -> None:
    site = ppp(server)
    go(site, "cut")
    server.fault("trap", f"{ACTIVE}/print", message="not enough permissions (9)", count=None)
    assert go(site, "lift") == ("failed", "old_session: not enough permissions (9)")
    server.normal()
    assert again(site)[0] in ("written", "unchanged")
    assert (listed(server), site.unsettled()) == ([], 0)
    site.close()


@pytest.mark.parametrize("way", ["static", "profile", "dhcp"])
def test_a_former_list_that_could_not_be_left_is_left_later(ctx: Flask, server: SimulatorServer, way: str) -> None:
    site = {"profile": ppp, "dhcp": dhcp}[way](server) if way != "static" else Site(server, clients=1)
    before = own_rows(server)
    go(site, "cut")
    with transaction():
        settings.save_company({"list_overdue": "morosos"})
    path = {"static": f"{LISTS}/remove", "profile": f"{SECRET}/set", "dhcp": f"{LEASE}/set"}[way]
    server.fault("trap", path, message="failure: busy")
    site.sync()
    assert again(site)[0] in ("written", "unchanged")
    assert {name for name, _address, _comment in listed(server)} == {"morosos"}
    assert go(site, "lift")[0] == "written"
    assert (listed(server), own_rows(server)) == ([], before)
    site.close()


def test_the_reason_is_the_one_of_the_user_and_not_of_a_namesake(ctx: Flask, server: SimulatorServer) -> None:
    """A hotspot user may be called like a PPP user."""
    site = ppp(server)
    load_hotspot(server)
    site.clients += site.add(1, connection="hotspot")
    change(site.clients[1], address=None, username="ana")
    server.fault("trap", f"{ACTIVE}/remove", message="failure: busy", count=None)
    site.cut()
    found = [(one.state, one.detail) for _id, one in sorted(site.sync().outcomes.items())]
    assert found == [("failed", "session_goes_on: failure: busy"), ("written", "")]
    site.close()


@pytest.mark.parametrize("way", ["profile", "disable", "hotspot", "dhcp"])
@pytest.mark.parametrize("order", ["cut", "notify"])
def test_what_can_not_be_read_is_not_called_absent(ctx: Flask, server: SimulatorServer, way: str, order: str) -> None:
    """Nothing is remembered yet: the router's own words are the reason, and not that there is no such user."""
    site = {"hotspot": hotspot, "dhcp": dhcp}.get(way, ppp)(server)
    mode(site, "disable" if way == "disable" else "profile")
    before = own_rows(server)
    for menu in (MENUS[way], ACTIVE, GUESTS):
        server.fault("trap", f"{menu}/print", message="not enough permissions (9)", count=None)
    assert go(site, order) == ("failed", "router: not enough permissions (9)")
    assert (own_rows(server), listed(server), site.unsettled()) == (before, [], 1)
    server.normal()
    assert again(site) == ("written", "")
    site.close()
