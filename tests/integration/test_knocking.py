"""Routers that did not answer last time: asked at once, before the work at them, and never all workers waiting."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_router, make_zone
from tests.support.access import Site
from wisp.access import differences, knocking, outages, transcripts
from wisp.access import service as access
from wisp.access.jobs import reconcile
from wisp.access.models import RouterProvision, RouterSync
from wisp.access.provision import service as provision
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.routers.models import Router, Zone


@pytest.fixture
def site(ctx: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    made = Site(router_sim)
    yield made
    made.close()


@contextmanager
def mute(count: int) -> Iterator[list[int]]:
    """Ports that take a connection and hang up without a word, but not before all have been called at once."""
    everybody = threading.Barrier(count)

    def hold(listener: socket.socket) -> None:
        with listener.accept()[0]:
            everybody.wait(1.5)  # less than PATIENCE: who comes after the first has given up is late

    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        pool = stack.enter_context(ThreadPoolExecutor(count))
        for listener in listeners:
            listener.settimeout(10)
        held = [pool.submit(hold, listener) for listener in listeners]
        yield [listener.getsockname()[1] for listener in listeners]
        for each in held:
            each.result()  # raises where they were not all called at once


def off(site: Site, *ports: int) -> list[int]:
    """More routers, known to be off; so is the site's own."""
    ids = [make_zone(make_router(port=port)).router_id for port in ports]
    with transaction() as s:
        s.execute(sa.update(Router).values(online=False))
    return ids


def order(*router_ids: int) -> None:
    """Their synchronisation."""
    with transaction():
        access.request_sync(router_ids)


def row(router_id: int) -> RouterSync:
    session().rollback()
    return session().get_one(RouterSync, router_id, populate_existing=True)


def test_they_are_asked_at_once_and_who_is_back_is_served(site: Site) -> None:
    with mute(6) as ports:
        *silent, refusing = off(site, *ports, 9)
        site.cut()
        order(*silent, refusing)
        assert queue.drain() == 3  # the knock, and who is back with its probe
    site.agree()
    assert [report.reached for report in site.reports] == [True]
    for router_id in (*silent, refusing):
        found = row(router_id)
        assert found.error in ("refused", "silent", "closed", "unreachable"), found.error
        assert (found.requested, found.done, found.attempts) == (1, 0, 1)
        assert found.lease_until is None
        assert found.next_attempt_at is not None
        assert [talk.error for talk in transcripts.last(router_id)] == [found.error]
        assert outages.current(router_id) is not None
        assert session().get_one(Router, router_id).online is False


def test_the_same_without_redis_where_a_person_waits(site: Site) -> None:
    with mute(3) as ports:
        silent = off(site, *ports)
        with queue.inline():
            order(*silent)
            site.cut()
    site.agree()
    assert {row(router_id).attempts for router_id in silent} == {1}


def test_provisioning_asks_them_at_once_too(site: Site) -> None:
    with mute(3) as ports:
        silent = off(site, *ports)
        with transaction() as s:
            s.execute(sa.update(Router).values(provision=True))
            for router_id in silent:
                zone_id = s.scalar(sa.select(Zone.id).where(Zone.router_id == router_id))
                s.execute(
                    sa.update(Client)
                    .where(Client.id == site.clients[silent.index(router_id)])
                    .values(zone_id=zone_id, router_id=router_id)
                )
                provision.want(Client.router_id == router_id)
            provision.request(silent)
        queue.drain()
    for router_id in silent:
        found = session().get_one(RouterProvision, router_id, populate_existing=True)
        assert (found.requested, found.done, found.attempts) == (1, 0, 1)
        assert found.error
        assert found.next_attempt_at is not None
        assert row(router_id).lease_until is None


def test_one_that_cannot_be_written_down_keeps_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, *good = off(site, 9, 9, 9)
    real = access.unwarranted

    def unwarranted(router_id: int) -> object:
        if router_id == bad:
            raise ZeroDivisionError
        return real(router_id)

    monkeypatch.setattr(access, "unwarranted", unwarranted)
    monkeypatch.setattr(knocking, "as_completed", list)  # in their order: the bad one first
    order(bad, *good)
    with pytest.raises(ZeroDivisionError):
        queue.drain()
    assert [row(router_id).attempts for router_id in (bad, *good)] == [0, 1, 1]
    assert row(bad).lease_until is None


def test_a_look_that_fails_keeps_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, *good = off(site, 9, 9, 9)
    real, looks = knocking._is_back, iter([ZeroDivisionError()])

    def is_back(router_id: int) -> bool:
        for error in looks:
            raise error
        return real(router_id)

    monkeypatch.setattr(knocking, "_is_back", is_back)
    monkeypatch.setattr(knocking, "as_completed", list)
    order(bad, *good)
    with pytest.raises(ZeroDivisionError):
        queue.drain()
    assert [row(router_id).attempts for router_id in (bad, *good)] == [0, 1, 1]


def test_a_job_whose_time_is_over_ends(site: Site) -> None:
    calls = [[router_id, True] for router_id in off(site, 9, 9, 9)]
    done = []

    def work(*arguments: object) -> None:
        done.append(arguments)
        raise queue.TimeUp

    with pytest.raises(queue.TimeUp):
        knocking.work_off(calls, "access.sync", work)
    assert len(done) == 1


def test_who_came_back_while_it_was_asked_is_not_written_down_as_off(
    ctx: Flask, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its silence is older than what the probe has found since."""
    off(site)
    site.cut()
    real, sim = knocking._knock, site.server
    sim.switch(off=True)

    def knock(target: object) -> object:
        found = real(target)  # type: ignore[arg-type]
        sim.switch(off=False)
        with ctx.app_context(), transaction() as s:
            s.execute(sa.update(Router).values(online=True))
        return found

    monkeypatch.setattr(knocking, "_knock", knock)
    queue.drain()
    assert [report.reached for report in site.reports] == [True]
    assert session().get_one(Router, site.router_id, populate_existing=True).offline_since is None
    site.agree()


def test_a_router_whose_password_cannot_be_read_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    off(site)
    with transaction() as s:
        s.execute(sa.update(Router).values(password="of another key"))
    site.cut()
    queue.drain()
    assert row(site.router_id).error == "unreadable"
    assert site.server.counters.logins == 0


def test_the_nightly_count_asks_them_at_once_and_counts_who_is_back(site: Site) -> None:
    with mute(3) as ports:
        silent = off(site, *ports)
        reconcile()
        queue.drain()
    (row_back,) = differences.history(site.router_id)
    assert (row_back.error, row_back.missing) == ("", 0)
    for router_id in silent:
        (counted,) = differences.history(router_id)
        assert counted.error in ("closed", "silent", "unreachable")
