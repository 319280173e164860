"""Whatever goes wrong with a router: nothing is lost, nothing doubled, nothing said that is not so."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, LISTS, Site
from tests.support.processes import until
from wisp.access import conversation, service, sync
from wisp.access.jobs import sweep, synchronise
from wisp.access.models import Access, Outage, RouterSync
from wisp.clients.models import Client
from wisp.core import clock, events, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import Target
from wisp.routers import service as routers
from wisp.routers.models import Router

ADD, REMOVE, PRINT = f"{LISTS}/add", f"{LISTS}/remove", f"{LISTS}/print"


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedRouter(dial_in=None)) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for answers."""

    def target(router: Router) -> Target:
        return replace(original(router), reply_timeout=0.8, connect_timeout=2.0)

    original = routers.target
    monkeypatch.setattr(sync.routers, "target", target)
    monkeypatch.setattr(conversation, "DEADLINE", 5.0)


@pytest.fixture
def site(ctx: Flask, server: SimulatorServer, impatient: None) -> Iterator[Site]:
    made = Site(server, clients=20)
    yield made
    made.close()


def states(report: service.SyncReport) -> set[str]:
    return {outcome.state for outcome in report.outcomes.values()}


def open_outages() -> int:
    return session().scalar(sa.select(sa.func.count()).where(Outage.ended_at.is_(None)).select_from(Outage)) or 0


def listening(site: Site) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((site.server.host, site.server.port)) == 0


def later(site: Site) -> None:
    """The pause is over: what the minute's sweep starts."""
    with clock.frozen(clock.now() + timedelta(hours=1)):
        sweep()
        queue.drain()


@pytest.mark.parametrize("action", ["drop_before", "drop_after", "half_sentence", "fatal", "hang", "swallow"])
@pytest.mark.parametrize("path", [ADD, REMOVE, PRINT])
def test_a_break_is_looked_into_and_finished_in_the_same_job(site: Site, action: str, path: str) -> None:
    orphans = [{"list": CUT, "address": f"10.8.0.{n}", "comment": f"wisp:VIEJO{n}"} for n in range(1, 6)]
    site.load(*orphans)
    site.server.fault(action, path, after=0 if path != ADD else 7)  # type: ignore[arg-type]
    site.cut()
    report = site.sync()
    assert report.reached
    assert site.server.counters.connections == 2
    assert states(report) == {"written"}
    assert len(report.outcomes) == 20
    site.agree()


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"off": True}, {"refused", "unreachable"}),
        ({"refuse": True}, {"refused"}),
        ({"silent": True}, {"silent"}),
        ({"drip": 40}, {"timeout", "silent"}),
        ({"slow": 2000}, {"timeout", "silent"}),
        ({"wrong_password": True}, {"login"}),
    ],
)
def test_a_router_that_cannot_be_used_waits_and_is_done_when_it_can(
    site: Site, switches: dict[str, object], code: set[str]
) -> None:
    site.cut()
    site.server.switch(**switches)
    report = site.sync()
    assert not report.reached
    assert report.error in code
    assert report.outcomes == {}
    state = site.state()
    assert state.done == 0
    assert state.error == report.error
    assert state.lease_until is None
    assert state.next_attempt_at is not None
    assert site.unsettled() == 20
    assert site.recorded() == set()
    assert open_outages() == 1
    site.server.normal()
    assert site.sync().reached
    site.agree()
    assert open_outages() == 0


def test_an_attempt_in_a_pause_is_a_persons_and_leaves_the_pause_as_it_is(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    first = site.state().next_attempt_at
    assert site.state().attempts == 1
    synchronise(site.router_id, False)
    assert len(site.reports) == 1  # the pause is kept to
    site.order()
    site.sync()
    assert len(site.reports) == 2
    assert (site.state().next_attempt_at, site.state().attempts) == (first, 1)
    pauses = []
    for _ in range(8):
        assert first is not None
        with clock.frozen(first):
            site.sync(force=False)
            following = site.state().next_attempt_at
            assert following is not None
            pauses.append((following - first).total_seconds())
            first = following
    assert all(a <= b * 1.2 for a, b in pairwise(pauses))
    assert 900 <= pauses[-1] <= 1080
    assert open_outages() == 1


def test_a_router_that_comes_back_is_done_by_itself(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    queue.drain()
    assert not site.reports[-1].reached
    site.server.switch(off=False)
    sweep()
    queue.drain()
    assert len(site.reports) == 1  # the pause is not over
    later(site)
    assert site.reports[-1].reached
    site.agree()


def test_the_probe_brings_a_router_back_at_once(site: Site) -> None:
    from wisp.routers.jobs import probe

    site.server.switch(off=True)
    site.cut()
    queue.drain()
    probe(site.router_id)
    site.server.switch(off=False)
    probe(site.router_id)
    queue.drain()
    site.agree()
    assert open_outages() == 0


def test_an_order_lost_with_redis_is_found(site: Site) -> None:
    site.cut()
    assert queue.connection().flushdb()
    queue.drain()
    assert site.reports == []
    sweep()
    queue.drain()
    site.agree()


def test_no_permission_to_write_fails_each_client_and_is_tried_again(site: Site) -> None:
    site.cut()
    site.server.switch(no_permission=True)
    report = site.sync()
    assert report.reached
    assert states(report) == {"failed"}
    assert {outcome.detail for outcome in report.outcomes.values()} == {"router: not enough permissions (9)"}
    assert site.unsettled() == 20
    assert site.recorded() == site.ours() == set()
    site.server.normal()
    later(site)
    site.agree()


def test_no_permission_to_read_is_an_outage(site: Site) -> None:
    site.cut()
    site.server.fault("trap", PRINT, message="not enough permissions (9)", count=None)
    report = site.sync()
    assert (report.reached, report.error) == (False, "permission")
    assert open_outages() == 1
    router = session().get_one(Router, site.router_id, populate_existing=True)
    assert router.online is None  # it lets us in: whether it is on line is for the probe to say


def test_a_full_router_takes_what_it_can(site: Site) -> None:
    site.cut(site.clients[:5])
    site.sync()
    site.server.switch(full=True)
    site.cut()
    report = site.sync()
    assert [outcome.state for outcome in report.outcomes.values()].count("unchanged") == 5
    assert [outcome.state for outcome in report.outcomes.values()].count("failed") == 15
    assert site.recorded() == site.ours()
    site.lift(site.clients[:2])  # taking off works on a full router
    report = site.sync()
    assert {report.outcomes[i].state for i in site.clients[:2]} == {"written"}
    site.server.normal()
    later(site)
    site.agree()
    assert len(site.ours()) == 18


def test_one_refused_entry_fails_alone(site: Site) -> None:
    site.cut()
    site.server.fault("trap", ADD, after=3, message="failure: out of memory")
    report = site.sync()
    assert [outcome.detail for outcome in report.outcomes.values() if outcome.state == "failed"] == [
        "router: failure: out of memory"
    ]
    assert site.unsettled() == 1
    assert site.recorded() == site.ours()
    later(site)
    site.agree()


def test_an_entry_removed_by_hand_that_cannot_be_put_back_is_not_called_applied(site: Site) -> None:
    site.cut()
    site.sync()
    site.server.router.clear(LISTS)
    site.server.switch(full=True)
    site.order()
    assert states(site.sync()) == {"failed"}
    assert site.recorded() == set()
    assert site.unsettled() == 20


def test_an_entry_that_appears_between_reading_and_adding_is_looked_at(site: Site) -> None:
    """The router says "already have such entry" to an add: whose it is decides what is told."""
    first, second = (site.client(i) for i in site.clients[:2])
    site.cut()
    entries = [
        {"list": CUT, "address": first.address or "", "comment": "otro"},
        {"list": CUT, "address": second.address or "", "comment": f"wisp:{second.code}"},
    ]
    read = conversation.Connection.read_lists
    looks = []

    def late(self: conversation.Connection, names: object, **more: object) -> object:
        found = read(self, names, **more)  # type: ignore[arg-type]
        looks.append(len(found))
        if len(looks) == 1:
            site.load(*entries)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation.Connection, "read_lists", late)
        report = site.sync()
    assert len(looks) == 2
    assert (report.outcomes[first.id].state, report.outcomes[first.id].foreign) == ("unchanged", True)
    assert report.outcomes[second.id].state == "written"
    assert site.unsettled() == 0
    assert len(site.entries()) == 20


def test_an_entry_that_disappears_between_reading_and_removing_is_gone(site: Site) -> None:
    site.cut()
    site.sync()
    site.lift()
    read = conversation.Connection.read_lists

    def late(self: conversation.Connection, names: object, **more: object) -> object:
        found = read(self, names, **more)  # type: ignore[arg-type]
        site.server.router.clear(LISTS)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation.Connection, "read_lists", late)
        assert site.sync().reached
    site.agree()


def test_a_reboot_between_reading_and_writing(site: Site) -> None:
    site.cut(site.clients[:3])
    site.sync()
    site.cut()
    read = conversation.Connection.read_lists
    looks = []

    def booting(self: conversation.Connection, names: object, **more: object) -> object:
        found = read(self, names, **more)  # type: ignore[arg-type]
        looks.append(1)
        if len(looks) == 1:
            site.server.reboot(0)
            until(lambda: listening(site))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation.Connection, "read_lists", booting)
        report = site.sync()
    assert report.reached
    assert [o.state for o in report.outcomes.values()] == ["unchanged"] * 3 + ["written"] * 17
    site.agree()


def test_what_was_sent_before_a_break_counts_as_written_when_it_is_found(site: Site) -> None:
    """The router dies half-way and comes back an hour later: the run that waits says 20 cut, not 10."""
    site.server.fault("drop_after", ADD, after=10, count=None)
    site.cut()
    assert not site.sync().reached
    assert 10 < len(site.ours()) < 20
    assert site.recorded() == set()
    site.server.normal()
    report = site.sync()
    assert states(report) == {"written"}
    site.agree()


def test_the_session_is_ended_once_the_entry_stands_and_again_after_a_break(
    ctx: Flask, server: SimulatorServer
) -> None:
    site = Site(server, clients=4, connection="pppoe")
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id.in_(site.clients)).values(username=Client.code))
    rows = session().execute(sa.select(Client.username, Client.address).where(Client.id.in_(site.clients))).all()
    server.router.load(
        "/ppp/secret", [{"name": name, "password": "x", "remote-address": address} for name, address in rows]
    )
    server.router.dial_all()
    server.fault("drop_before", "/ppp/active/remove")
    site.cut()
    assert states(site.sync()) == {"written"}
    assert server.router.snapshot("/ppp/active") == []
    site.agree()
    # who was cut before is left alone when looked at again
    server.router.dial_all()
    site.order()
    site.sync()
    assert len(server.router.snapshot("/ppp/active")) == 4
    site.close()


def test_a_session_that_cannot_be_ended_is_said(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=1, connection="pppoe", username="ana")
    server.router.load("/ppp/secret", [{"name": "ana", "password": "x"}])
    server.router.dial_all()
    server.fault("trap", "/ppp/active/remove", message="failure: busy", count=None)
    site.cut()
    report = site.sync()
    assert report.outcomes[site.clients[0]].state == "written"
    assert report.outcomes[site.clients[0]].detail == "session: failure: busy"
    assert site.access(site.clients[0]).error == "session: failure: busy"
    site.agree()
    site.close()


def test_a_password_saved_with_another_key(site: Site) -> None:
    with transaction() as s:
        s.execute(sa.update(Router).where(Router.id == site.router_id).values(password="not ours"))
    site.cut()
    report = site.sync()
    assert (report.reached, report.error) == (False, "unreadable")
    assert site.server.counters.connections == 0


def test_a_change_during_the_talk_stays_open_and_makes_another_round(site: Site) -> None:
    """Paid while the router was being told: the first round's record does not cover it, the second removes it."""
    first = site.clients[0]
    site.cut()
    add = conversation.Connection.add_entries
    talks = []

    def paying(self: conversation.Connection, entries: object, **more: object) -> object:
        talks.append(1)
        if len(talks) == 1:
            site.lift([first])
        return add(self, entries, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation.Connection, "add_entries", paying)
        site.sync()
    assert [report.order for report in site.reports] == [1, 2]
    assert site.reports[1].outcomes[first].wanted == "none"
    assert len(site.ours()) == 19
    site.agree()


def test_a_client_who_moves_during_the_talk_is_the_other_routers_to_record(site: Site) -> None:
    """The other router has confirmed the cut before this one's answers are recorded: they must not undo that."""
    mover = site.clients[0]
    with SimulatorServer() as second:
        other = Site(second, clients=0)
        hold = conversation.Conversation.hold

        def moving(self: conversation.Conversation, connection: conversation.Connection) -> None:
            hold(self, connection)
            if self.plan.router_id == site.router_id and not other.reports:
                with transaction() as s:
                    s.execute(
                        sa.update(Client)
                        .where(Client.id == mover)
                        .values(router_id=other.router_id, zone_id=other.zone_id)
                    )
                    events.client_moved.emit(
                        client_ids=[mover], old_router_id=site.router_id, new_router_id=other.router_id
                    )
                other.sync()

        site.cut()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conversation.Conversation, "hold", moving)
            site.sync()
        assert [report.order for report in site.reports] == [1, 3]
        assert len(site.ours()) == 19
        site.agree()
        other.agree()
        other.close()


def test_an_error_of_our_own_gives_the_lease_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    site.cut()
    with monkeypatch.context() as patch:
        patch.setattr(sync, "record", broken)
        with pytest.raises(ZeroDivisionError):
            synchronise(site.router_id, True)
    assert site.state().lease_until is None
    later(site)
    site.agree()


def test_nothing_is_left_waiting_for_a_lost_row(site: Site) -> None:
    assert session().get(RouterSync, site.router_id) is None
    synchronise(site.router_id, True)
    assert site.reports == []
    assert session().scalar(sa.select(sa.func.count()).select_from(Access)) == 20
