"""Whatever breaks between remembering, sending and recording, a lever is moved once and put back."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.levers import (
    ACTIVE,
    GUESTS,
    KINDS,
    LEASE,
    PROFILE,
    SECRET,
    USER,
    again,
    change,
    column,
    dhcp,
    go,
    left_behind,
    listed,
    load_ppp,
    mode,
    own_rows,
    ppp,
    remembered,
    two_rows,
)
from wisp.access import leverage, sync
from wisp.clients.models import Client
from wisp.core import events
from wisp.core.db import transaction
from wisp.demo.routeros import Router, SimulatorServer
from wisp.portal import service as portal
from wisp.settings import service as settings


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


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


@pytest.mark.parametrize("way", ["profile", "disable", "hotspot", "dhcp"])
def test_killed_after_remembering_another_name_both_are_made_good(
    ctx: Flask, server: SimulatorServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, other = two_rows(server, way)
    before = own_rows(server)
    go(site, "cut")
    change(site.clients[0], **other)

    def killed(*_: object, **__: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(leverage.Leverage, "_send_rows", killed)
        with pytest.raises(Killed):
            again(site)
    assert len(left_behind()) == 1
    assert again(site) == ("written", "")
    after = own_rows(server)
    assert (after[0], after[1] != before[1], left_behind()) == (before[0], True, [])
    go(site, "lift")
    assert own_rows(server) == before
    site.close()


def test_a_client_who_moves_while_its_lever_is_moved_leaves_nothing_behind(
    ctx: Flask, server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ppp(server)
    write_down = leverage.Leverage._write_down
    with SimulatorServer(Router(dial_in=0.0)) as second:
        load_ppp(second)
        there = Site(second, clients=0)
        mover = here.clients[0]

        def moving(self: leverage.Leverage) -> None:
            if here.client(mover).router_id == here.router_id:
                with transaction() as s:
                    s.execute(sa.update(Client).values(router_id=there.router_id, zone_id=there.zone_id))
                    events.client_moved.emit(
                        client_ids=[mover], old_router_id=here.router_id, new_router_id=there.router_id
                    )
            write_down(self)

        monkeypatch.setattr(leverage.Leverage, "_write_down", moving)
        here.cut()
        here.sync()
        assert (column(server, SECRET, "profile"), left_behind()) == (["oro"], [])
        there.sync()
        assert column(second, SECRET, "profile") == [f"{CUT}:oro"]
        there.close()
    here.close()


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


def test_what_a_mover_left_is_not_forgotten_while_its_session_goes_on(ctx: Flask, server: SimulatorServer) -> None:
    here = ppp(server)
    with SimulatorServer() as second:
        there = Site(second, clients=0)
        go(here, "cut")
        with transaction() as s:
            s.execute(sa.update(Client).values(router_id=there.router_id, zone_id=there.zone_id))
            events.client_saved.emit(client_ids=here.clients)
        server.fault("trap", f"{ACTIVE}/remove", message="failure: busy")
        here.sync()
        assert (column(server, SECRET, "profile"), left_behind()) == (["oro"], [("profile", "ana")])
        assert here.state().next_attempt_at is not None
        here.sync()
        assert (listed(server), left_behind()) == ([], [])
        there.close()
    here.close()


def test_a_row_that_is_another_by_now_is_looked_at_again(
    ctx: Flask, server: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ppp(server)
    write_down = leverage.Leverage._write_down
    looks: list[int] = []

    def late(self: leverage.Leverage) -> None:
        write_down(self)
        looks.append(1)
        if len(looks) == 1:
            (row,) = server.router.snapshot(SECRET)
            server.router.clear(SECRET)
            server.router.load(SECRET, [{name: value for name, value in row.items() if name != ".id"}])

    monkeypatch.setattr(leverage.Leverage, "_write_down", late)
    assert go(site, "cut") == ("written", "")
    assert (len(looks), column(server, SECRET, "profile")) == (2, [f"{CUT}:oro"])
    site.close()


@pytest.mark.parametrize("kind", ["pppoe", "dhcp"])
def test_nobody_is_shown_the_page_of_one_who_is_held_by_a_lever(ctx: Flask, server: SimulatorServer, kind: str) -> None:
    """The address that the session had is another's tomorrow: the page knows nobody by it."""
    site = {"pppoe": ppp, "dhcp": dhcp}[kind](server)
    go(site, "cut")
    ((_list, address, _comment),) = listed(server)
    assert portal.by_address(address, settings.company()) is None
    assert not portal.listed(address)
    site.close()
