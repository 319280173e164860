"""A worker is killed before or after each thing that it says to the router, on every way of cutting and back."""

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.levers import (
    ACTIVE,
    KINDS,
    PROFILE,
    SECRET,
    again,
    change,
    column,
    go,
    left_behind,
    listed,
    mode,
    own_rows,
    remembered,
    two_rows,
)
from wisp.demo.routeros import Router, SimulatorServer
from wisp.gateway.exchange import Exchange

WAYS = {"list": "static", "profile": "pppoe", "disable": "pppoe", "hotspot": "hotspot", "lease": "dhcp"}


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=0.0)) as running:
        yield running


class Killed(BaseException):
    """The worker is gone."""


def killed(site: Site, at: int, *, sent: bool) -> bool:
    """Synchronise with a worker that is killed at the question of this number, ``sent`` or not; False where it has
    asked fewer."""
    numbers = count()
    ask = Exchange.ask

    def dying(self: Exchange, commands: Sequence[tuple[str, ...]], *rest: object) -> None:
        if (last := next(numbers) == at) and not sent:
            raise Killed
        ask(self, commands, *rest)  # type: ignore[arg-type]
        if last:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "ask", dying)
        try:
            site.sync()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_killed_anywhere_while_cutting_and_while_lifting(
    ctx: Flask, server: SimulatorServer, way: str, sent: bool
) -> None:
    site = KINDS[WAYS[way]][0](server)
    mode(site, "disable" if way == "disable" else "profile")
    go(site, "cut")  # what making a lease static changes stays
    held = own_rows(server)
    go(site, "lift")
    before = own_rows(server)
    for at in count():
        site.cut()
        more = killed(site, at, sent=sent)
        if more:
            assert again(site)[0] in ("written", "unchanged")
        assert own_rows(server) == held
        assert [name for name, *_ in listed(server)] == [CUT] * (way not in ("disable", "hotspot"))
        assert column(server, ACTIVE, ".id") == [] or way == "profile"
        assert (site.unsettled(), left_behind(), bool(remembered(site)[0])) == (0, [], way != "list")
        site.lift()
        if killed(site, at, sent=sent):
            more = True
            site.order()
            site.sync()
        assert (own_rows(server), listed(server)) == (before, [])
        assert (site.unsettled(), left_behind(), remembered(site)) == (0, [], ("", "", ""))
        if not more:
            break
    assert at > 3
    site.close()


@pytest.mark.parametrize("way", ["profile", "dhcp"])
@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_killed_anywhere_while_a_cut_goes_over_to_another_row(
    ctx: Flask, server: SimulatorServer, way: str, sent: bool
) -> None:
    site, other = two_rows(server, way)
    own = {name: str(getattr(site.client(site.clients[0]), name)) for name in other}
    go(site, "cut")
    change(site.clients[0], **other)
    again(site)
    second = own_rows(server)
    change(site.clients[0], **own)
    again(site)
    first = own_rows(server)
    for at in count():
        more = False
        for values, rows in ((other, second), (own, first)):
            change(site.clients[0], **values)
            more |= killed(site, at, sent=sent)
            again(site)
            assert own_rows(server) == rows
            assert (site.unsettled(), left_behind()) == (0, [])
        if not more:
            break
    assert at > 3
    site.close()


@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_killed_anywhere_while_the_way_of_cutting_changes_there_and_back(
    ctx: Flask, server: SimulatorServer, sent: bool
) -> None:
    site = KINDS["pppoe"][0](server)
    before = own_rows(server)
    go(site, "cut")
    for at in count():
        more = False
        for name in ("disable", "profile"):
            mode(site, name)
            site.order()
            more |= killed(site, at, sent=sent)
            mode(site, {"disable": "profile", "profile": "disable"}[name])  # and back before anybody looks again
            again(site)
            mode(site, name)
            again(site)
            wanted = ("oro", "true") if name == "disable" else (f"{CUT}:oro", "false")
            (row,) = server.router.snapshot(SECRET)
            assert (row["profile"], row.get("disabled")) == wanted
            assert (site.unsettled(), left_behind(), remembered(site)[0]) == (0, [], name)
        if not more:
            break
    go(site, "lift")
    assert own_rows(server) == before
    assert len(server.router.snapshot(ACTIVE)) == 1
    site.close()


def test_a_router_that_breaks_off_again_and_again_is_stuck_to_while_it_gets_on(
    ctx: Flask, server: SimulatorServer
) -> None:
    """Four profiles, four commands: each connection carries out one and breaks at the next."""
    site = Site(server, clients=4, connection="pppoe")
    for at, client_id in enumerate(site.clients):
        server.router.load(PROFILE, [{"name": f"p{at}"}])
        server.router.load(SECRET, [{"name": f"u{at}", "profile": f"p{at}"}])
        change(client_id, address=None, username=f"u{at}")
    for after in (1, 2, 3):
        server.fault("drop_before", f"{SECRET}/set", after=after)
    site.cut()
    report = site.sync()
    assert report.reached
    assert server.counters.connections == 4
    assert column(server, SECRET, "profile") == [f"{CUT}:p{at}" for at in range(4)]
    assert {outcome.state for outcome in report.outcomes.values()} == {"written"}
    site.close()
