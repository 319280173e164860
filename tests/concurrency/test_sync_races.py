"""One synchronisation of a router at a time, whoever asks, however often, and whoever is killed."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import LISTS, Site
from tests.support.processes import ROOT, until
from wisp.access import conversation, service, sync
from wisp.access.jobs import sweep, synchronise
from wisp.access.models import RouterSync
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.core.process import following
from wisp.demo.routeros import Router, SimulatorServer

SYNC = """
import sys
from wisp.factory import create_app
from wisp.access.jobs import synchronise
with create_app().app_context():
    synchronise(int(sys.argv[1]), True)
"""


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=None)) as running:
        yield running


@pytest.fixture
def site(ctx: Flask, server: SimulatorServer) -> Iterator[Site]:
    made = Site(server, clients=30)
    yield made
    made.close()


def in_threads(app: Flask, *works: Callable[[], object]) -> list[Future[object]]:
    """Run these at once, each in an application context of its own; their errors are raised."""

    def inside(work: Callable[[], object]) -> object:
        with app.app_context():
            return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(inside, work) for work in works]
    for future in futures:
        future.result()
    return futures


def test_two_jobs_at_once_are_one(site: Site, ctx: Flask) -> None:
    site.server.switch(round_trip=40)
    site.cut()
    session().rollback()
    in_threads(ctx, *[lambda: synchronise(site.router_id, True)] * 4)
    assert len(site.reports) == 1
    assert site.server.counters.logins == 1
    assert site.server.counters.by_path[f"{LISTS}/add"] == 30
    site.agree()


def test_an_order_while_one_is_at_work_is_done_by_it(site: Site, ctx: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = conversation.Conversation.hold

    def interrupted(self: conversation.Conversation, connection: conversation.Connection) -> None:
        hold(self, connection)
        if not site.reports:
            in_threads(ctx, lambda: site.lift(site.clients[:10]), lambda: synchronise(site.router_id, True))

    monkeypatch.setattr(conversation.Conversation, "hold", interrupted)
    site.cut()
    site.sync()
    assert [report.order for report in site.reports] == [1, 2]
    assert len(site.ours()) == 20
    site.agree()


def test_an_order_while_one_fails_has_its_own_answer_at_once(
    site: Site, ctx: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job finds the lease taken and goes; so the one at work, who could not reach the router, calls another."""
    site.server.switch(off=True)
    site.cut()
    queue.connection().flushdb()
    record = sync.record

    def late(plan: sync.Plan, *rest: object, **more: object) -> bool:
        if not site.reports:
            session().execute(sa.update(RouterSync).values(requested=RouterSync.requested + 1))
        return record(plan, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sync, "record", late)
    site.sync()
    queue.drain()
    assert [(report.order, report.reached) for report in site.reports] == [(1, False), (2, False)]
    assert site.state().attempts == 1


def test_orders_from_everywhere_are_all_counted(site: Site, ctx: Flask) -> None:
    session().rollback()
    in_threads(ctx, *[lambda: [site.order() for _ in range(5)]] * 6)
    assert site.state().requested == 30
    site.sync()
    assert site.state().done == 30
    assert len(site.reports) == 1


def test_changes_and_synchronisations_in_any_order_end_in_agreement(site: Site, ctx: Flask) -> None:
    def changes(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            some = chance.sample(site.clients, 15)
            chance.choice((site.cut, site.lift, site.notify))(some)

    def syncs() -> None:
        for _ in range(12):
            synchronise(site.router_id, True)

    session().rollback()
    in_threads(ctx, lambda: changes(1), lambda: changes(2), lambda: changes(3), syncs, syncs)
    synchronise(site.router_id, True)
    site.agree()


def test_who_lost_the_lease_records_nothing(site: Site, ctx: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first job hangs until its lease has run out; the second does the work; the first wakes up with old news."""
    hold = conversation.Conversation.hold
    late = []

    def slow(self: conversation.Conversation, connection: conversation.Connection) -> None:
        hold(self, connection)
        if late:
            return
        late.append(1)
        with transaction() as s:
            s.execute(sa.update(RouterSync).values(lease_until=clock.now() - timedelta(seconds=1)))
        site.lift(site.clients[:10])
        synchronise(site.router_id, True)

    monkeypatch.setattr(conversation.Conversation, "hold", slow)
    site.cut()
    synchronise(site.router_id, True)
    assert [report.order for report in site.reports] == [2]
    assert len(site.ours()) == 20
    site.agree()


def test_a_job_killed_half_way_is_taken_up_when_its_lease_has_run_out(
    site: Site, environment: dict[str, str], tmp_path: Path
) -> None:
    site.server.switch(slow=40)
    site.cut()
    session().rollback()
    process = subprocess.Popen(
        [sys.executable, "-c", SYNC, str(site.router_id)],
        cwd=ROOT, env=environment, preexec_fn=following(signal.SIGKILL),
    )  # fmt: skip
    try:
        until(lambda: len(site.entries()) >= 3 or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    site.server.normal()
    queue.connection().flushdb()
    written = len(site.ours())
    assert 3 <= written < 30
    assert site.recorded() == set()
    sweep()
    queue.drain()
    assert site.reports == []  # the dead one still holds the lease
    with clock.frozen(clock.now() + timedelta(seconds=121)):
        sweep()
        queue.drain()
    states = [outcome.state for outcome in site.reports[0].outcomes.values()]
    assert (states.count("unchanged"), states.count("written")) == (written, 30 - written)
    site.agree()
    assert service.waiting() == []
