"""Provisioning and synchronisation of one router: never both at once, nothing twice, nothing lost."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients
from tests.support import provision as p
from tests.support.processes import ROOT, until
from tests.support.provision import Tower
from wisp.access import jobs as access_jobs
from wisp.access import service as access
from wisp.access.models import Access, RouterSync
from wisp.access.provision import jobs, service, work
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.db import session, transaction
from wisp.core.process import following
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus

PROVISION = """
import sys
from wisp.factory import create_app
from wisp.access.provision.jobs import provision
with create_app().app_context():
    provision(int(sys.argv[1]), True)
"""


@pytest.fixture
def tower(ctx: Flask, router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


def at_once(app: Flask, *works: Callable[[], object]) -> None:
    def inside(work: Callable[[], object]) -> object:
        with app.app_context():
            return work()

    session().rollback()
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(inside, work) for work in works]:
            future.result()
    session().rollback()


def ordered(tower: Tower, count: int) -> list[int]:
    ids = make_clients(count, tower.zone)
    with transaction():
        service.want(Client.router_id == tower.router_id)
        service.request([tower.router_id])
    return ids


def test_several_jobs_at_once_write_everything_once(tower: Tower, ctx: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHUNK", 10)
    ordered(tower, 30)
    tower.server.switch(round_trip=10)
    at_once(ctx, *[lambda: jobs.provision(tower.router_id, True)] * 4)
    jobs.provision(tower.router_id, True)
    assert tower.server.counters.by_path["/queue/simple/add"] == 30
    assert service.counts(tower.router_id)["done"] == 30
    assert p.lease_is_free(tower.router_id)


def test_the_two_kinds_of_work_are_never_at_the_router_together(
    tower: Tower, ctx: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 5)
    ids = ordered(tower, 30)
    with transaction():
        access.want_suspended(ids[:10], reason="manual")
        access.request_sync([tower.router_id])
    tower.server.switch(round_trip=10)
    open_now: list[int] = []
    most: list[int] = []

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def inside(*args: Any) -> Any:
            open_now.append(1)
            most.append(len(open_now))
            try:
                return real(*args)
            finally:
                open_now.pop()

        monkeypatch.setattr(module, name, inside)

    counted(jobs.talk, "provision")
    counted(access_jobs, "converse")
    for _ in range(6):
        at_once(
            ctx,
            *[lambda: jobs.provision(tower.router_id, True)] * 2,
            *[lambda: access_jobs.synchronise(tower.router_id, True)] * 2,
        )
    queue.drain()  # whoever found the other at it was enqueued again
    session().rollback()
    assert max(most) == 1
    assert service.counts(tower.router_id)["done"] == 30
    cut = sa.select(sa.func.count()).select_from(Access).where(Access.applied_suspended)
    assert session().scalar(cut) == 10
    assert p.lease_is_free(tower.router_id)


def test_clients_saved_while_the_router_is_worked_at_are_not_lost(tower: Tower, ctx: Flask) -> None:
    ordered(tower, 10)
    tower.server.switch(round_trip=10)

    def save() -> None:
        for code in codes:
            with transaction():
                clients.edit(clients.find(code), address=f"10.77.0.{codes.index(code) + 1}")

    codes = list(session().scalars(sa.select(Client.code).order_by(Client.id)))
    at_once(ctx, save, *[lambda: jobs.provision(tower.router_id, True)] * 3)
    for _ in range(3):
        jobs.provision(tower.router_id, True)
    session().rollback()
    found = {row["comment"]: row["target"] for row in tower.ours(menus.QUEUE)}
    assert found == {f"wisp:{code}": f"10.77.0.{number}/32" for number, code in enumerate(codes, 1)}
    assert service.counts(tower.router_id)["done"] == 10


def test_a_worker_killed_in_the_middle_is_made_up_for(tower: Tower, environment: dict[str, str]) -> None:
    ordered(tower, 40)
    session().rollback()
    tower.server.switch(slow=20)
    process = subprocess.Popen(
        [sys.executable, "-c", PROVISION, str(tower.router_id)],
        cwd=ROOT,
        env=environment,
        preexec_fn=following(signal.SIGKILL),
    )
    try:
        until(lambda: len(tower.ours(menus.QUEUE)) >= 5, 60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    tower.server.switch(slow=0)
    with transaction() as s:
        s.execute(sa.update(RouterSync).values(lease_until=None, lease_owner=""))
    jobs.provision(tower.router_id, True)
    rows = tower.ours(menus.QUEUE)
    assert len({row["target"] for row in rows}) == len(rows) == 40
    done = tower.work()
    assert done.added + done.unchanged == 40
    assert done.unchanged >= 5
