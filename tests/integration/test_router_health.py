"""How routers are found to be: what is recorded, how often they are asked, and that none holds up another."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from tests.factories import make_clients, make_company, make_router, make_zone
from tests.support.access import Site, owe
from wisp.access import service as access
from wisp.access.models import RouterSync
from wisp.core import clock, queue
from wisp.core.db import db, session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.routers import health, jobs, service, texts
from wisp.routers.models import Router
from wisp.settings import service as settings


def test_what_our_user_may_not_do_on_the_router_is_named(ctx: Flask, router_sim: SimulatorServer) -> None:
    wanted = health.targets([add(router_sim)])
    assert [found.lacking for _id, found, _at in health.ask_all(wanted, policies=True)] == [()]
    users = router_sim.router.table("/user")
    users.set(next(iter(users.rows)), {"group": "write"})
    assert [found.lacking for _id, found, _at in health.ask_all(wanted, policies=True)] == [("sensitive",)]
    assert "sensitive" in texts.lacking(["sensitive"])
    users.clear()  # kept elsewhere
    assert [found.lacking for _id, found, _at in health.ask_all(wanted, policies=True)] == [()]


def row(router_id: int) -> Router:
    session().rollback()
    return session().get_one(Router, router_id, populate_existing=True)


def add(server: SimulatorServer, **values: Any) -> int:
    return make_router(host="127.0.0.1", port=server.port, **values).id


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread does; a bound, not a measure."""
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError(f"never came about: {what}")


class Elsewhere:
    """A job that runs beside the test, as another worker would run it."""

    def __init__(self, app: Flask, job: Callable[[], object]) -> None:
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(app, job))
        self._thread.start()

    def _run(self, app: Flask, job: Callable[[], object]) -> None:
        with app.app_context():
            try:
                job()
            except BaseException as error:
                self.errors.append(error)
            finally:
                db.session.remove()

    def end(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self.errors


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routers that say nothing are waited for as long as a test needs, however slow the machine is."""
    monkeypatch.setattr(health, "ask", partial(health.ask, deadline=60))
    monkeypatch.setattr(health, "_target_or_none", lambda router: replace(service.target(router), reply_timeout=60))


@pytest.fixture
def servers() -> Iterator[Callable[..., SimulatorServer]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(SimulatorServer(SimulatedRouter(**options)))


# What is recorded ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ctx")
@pytest.mark.parametrize("version", ["7.20.6 (stable)", "6.49.19 (long-term)"])
@pytest.mark.parametrize("offset", ["+00:00", "-06:00", "+05:30"])
def test_version_board_load_and_clock(servers: Callable[..., SimulatorServer], version: str, offset: str) -> None:
    server = servers(version=version)
    server.router.load("/system/clock", [{"gmt-offset": offset}])
    server.router.load("/system/resource", [{"cpu-load": "37"}])
    router_id = add(server)
    jobs.probe_due()
    found = row(router_id)
    assert (found.online, found.version, found.board, found.cpu_load) == (True, version, "RB5009UG+S+", 37)
    assert found.clock_offset in (-1, 0)
    assert found.probing_until is None
    server.switch(clock_ahead=3725)
    jobs.probe(router_id)
    assert row(router_id).clock_offset in (3724, 3725)
    server.switch(clock_ahead=-90)
    jobs.probe(router_id)
    assert row(router_id).clock_offset in (-91, -90)
    assert texts.clock_is_wrong(row(router_id).clock_offset)
    server.switch(off=True)
    jobs.probe(router_id)
    found = row(router_id)
    assert (found.online, found.version, found.cpu_load, found.clock_offset) == (False, version, None, None)


@pytest.mark.usefixtures("ctx")
def test_a_router_without_a_clock_that_we_may_read_is_online_all_the_same(router_sim: SimulatorServer) -> None:
    router_id = add(router_sim)
    router_sim.fault("trap", "/system/clock", message="not enough permissions (9)", count=None)
    jobs.probe_due()
    assert (row(router_id).online, row(router_id).clock_offset) == (True, None)


@pytest.mark.usefixtures("ctx")
def test_what_a_synchronisation_finds_corrects_what_the_probe_believed(router_sim: SimulatorServer) -> None:
    site = Site(router_sim)
    jobs.probe_due()
    router_sim.switch(off=True)
    site.cut()
    site.sync()
    assert row(site.router_id).online is False  # before any probe
    router_sim.switch(off=False)
    site.sync()
    found = row(site.router_id)
    assert (found.online, found.offline_since, found.error) == (True, None, "")
    site.close()


@pytest.mark.usefixtures("ctx")
def test_a_router_that_goes_in_the_middle_of_a_synchronisation_is_not_left_as_online(
    router_sim: SimulatorServer, redis: Redis
) -> None:
    site = Site(router_sim)
    jobs.probe_due()
    router_sim.fault("drop_before", "/ip/firewall/address-list", count=None)  # it lets in, and then breaks off
    site.cut()
    redis.flushdb()
    site.sync()
    router_sim.switch(off=True)
    queue.drain()
    assert row(site.router_id).online is False
    site.close()


# How often -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ctx")
def test_each_router_is_asked_at_the_set_interval(router_sim: SimulatorServer) -> None:
    make_company(probe_seconds=60)
    add(router_sim)
    begin = clock.now()

    def logins(seconds: float) -> int:
        with clock.frozen(begin + timedelta(seconds=seconds)):
            jobs.probe_due()
        return router_sim.counters.logins

    assert [logins(s) for s in (0, 10, 20, 50, 60, 70, 110, 121)] == [1, 1, 1, 1, 2, 2, 2, 3]
    with transaction():
        settings.save_company({"probe_seconds": 10})
    assert [logins(s) for s in (131, 141)] == [4, 5]
    with transaction():
        settings.save_company({"probe_seconds": 3600})
    assert [logins(s) for s in (200, 3000, 3741)] == [5, 5, 6]


@pytest.mark.usefixtures("ctx")
def test_a_router_that_says_nothing_is_asked_every_half_minute_one_that_turns_us_away_is_not(
    servers: Callable[..., SimulatorServer],
) -> None:
    make_company(probe_seconds=3600)
    off, strict = servers(), servers()
    off_id, strict_id = add(off), add(strict, password="wrong")
    off.switch(off=True)
    begin = clock.now()

    def look(seconds: float) -> None:
        with clock.frozen(begin + timedelta(seconds=seconds)):
            jobs.probe_due()

    look(0)
    assert (row(off_id).online, row(strict_id).error) == (False, "login")
    asked = strict.counters.connections
    off.switch(off=False)
    look(20)
    assert row(off_id).online is False
    look(30)
    assert row(off_id).online is True
    look(60)
    assert (off.counters.connections, strict.counters.connections) == (1, asked)


@pytest.mark.usefixtures("patient")
def test_a_router_that_is_being_asked_is_left_alone(app: Flask, router_sim: SimulatorServer) -> None:
    with app.app_context():
        router_id = add(router_sim)
        router_sim.switch(silent=True)
        slow = Elsewhere(app, jobs.probe_due)
        until(lambda: router_sim.counters.connections == 1, "the first question")
        jobs.probe_due()
        jobs.probe(router_id)
        assert router_sim.counters.connections == 1
        assert row(router_id).online is None  # it has still not answered
        router_sim.switch(off=True)
        slow.end()
        assert row(router_id).online is False


@pytest.mark.usefixtures("ctx")
def test_who_was_killed_while_asking_holds_a_router_only_for_a_while(router_sim: SimulatorServer) -> None:
    router_id = add(router_sim)
    with transaction():
        assert health.claim([router_id], only_due=True) == [router_id]
    jobs.probe_due()
    assert router_sim.counters.connections == 0
    with clock.frozen(clock.now() + health.LEASE):
        jobs.probe_due()
    assert row(router_id).online is True


# Side by side ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_a_silent_and_a_dripping_router_hold_up_nobody(app: Flask, servers: Callable[..., SimulatorServer]) -> None:
    silent, dripping, fine = servers(), servers(), servers()
    silent.switch(silent=True)
    dripping.switch(drip=60_000)
    with app.app_context():
        ids = [add(server) for server in (silent, dripping, fine)]
        asking = Elsewhere(app, jobs.probe_due)
        until(lambda: row(ids[2]).online is True, "the answer of the one that is well")
        assert [row(i).online for i in ids] == [None, None, True]
        silent.switch(off=True)
        dripping.switch(off=True)
        asking.end()
        assert [row(i).online for i in ids] == [False, False, True]


@pytest.fixture
def silent_ports() -> Iterator[list[socket.socket]]:
    """Ports that take a connection and never say a word, until they are closed."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8)) for _ in range(15)]


@pytest.mark.usefixtures("patient")
def test_of_a_hundred_routers_thirty_are_dead_and_the_others_do_not_wait_for_them(
    app: Flask, servers: Callable[..., SimulatorServer], silent_ports: list[socket.socket]
) -> None:
    """With one worker, and orders that come in the worst order: those of the dead routers first."""
    alive = [servers() for _ in range(70)]
    with app.app_context():
        silent = [make_router(port=each.getsockname()[1]).id for each in silent_ports]
        refusing = [make_router(port=9).id for _ in range(15)]
        living = [add(server) for server in alive]
        asking = Elsewhere(app, jobs.probe_due)
        until(lambda: states(living) == {True} and states(refusing) == {False}, "all answers but those of the silent")
        assert states(silent) == {None}  # they are still waited for
        for each in silent_ports:
            each.close()
        asking.end()
        assert states(silent) == {False}
        clients = {i: make_clients(1, make_zone(session().get_one(Router, i))) for i in silent + refusing + living}
        owe([client for ids in clients.values() for client in ids])
        with transaction():
            for i in clients:
                access.want_suspended(clients[i])
                access.request_sync([i])
        assert queue.drain(70) == 70
        done = sa.select(RouterSync.router_id).where(RouterSync.done >= RouterSync.requested)
        session().rollback()
        assert set(session().scalars(done)) == set(living)
    assert all(len(server.router.snapshot("/ip/firewall/address-list")) == 1 for server in alive)


def states(router_ids: list[int]) -> set[bool | None]:
    session().rollback()
    return set(session().scalars(sa.select(Router.online).where(Router.id.in_(router_ids))))
