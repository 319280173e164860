"""A part of P2: the cut on 100 routers of which 30 are dead (half of them silent), beside the same on the 70 alone.

The dead ones are ordered first. They are known to be off, as the probe finds them within its interval.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import Ground, ground, running, session, until
from tests.bench.routers import Line, client_rows, lines
from tests.factories import make_company, make_plan, make_router, make_zone
from tests.support.access import CUT, owe
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, db
from wisp.core.db import transaction
from wisp.routers.models import Router, Zone
from wisp.schedules.models import PeriodicTask
from wisp.tasks import service
from wisp.tasks.models import TaskRun

ALIVE, SILENT, REFUSING = 70, 15, 15
CLIENTS, OWING, WORKERS = 40, 10, 4
MOST = 1.5
"""How many times as long as alone the living ones may take beside the dead: a hundred runs are written, not seventy."""


@contextmanager
def silent(count: int) -> Iterator[list[int]]:
    """Ports that take a connection and never say a word."""
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=32) for _ in range(count)]
    try:
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _provide(place: Ground, living: Sequence[int], dead: Sequence[int]) -> tuple[list[int], list[int]]:
    """The routers at these ports with their clients, some of whom owe; the cut tasks of the living and of the dead."""
    tasks: dict[bool, list[int]] = {True: [], False: []}
    with place.app.app_context():
        make_company()
        plan = make_plan()
        today = clock.now().date()
        for number, port in enumerate([*living, *dead]):
            zone = make_zone(make_router(port=port, online=number < len(living)))
            rows = client_rows(
                zone, plan.id, CLIENTS, f"R{number:03}-", installed_on=date(2020, 1, 1), created_at=clock.now()
            )
            with transaction() as s:
                s.execute(sa.insert(Client), rows)
                ids = s.scalars(sa.select(Client.id).where(Client.zone_id == zone.id).order_by(Client.id)).all()
                s.execute(sa.insert(Access), [{"client_id": i, "router_id": zone.router_id} for i in ids])
            owe(ids[:OWING], due=today - timedelta(days=2))
        query = (
            sa.select(PeriodicTask.id, Router.online)
            .join(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
            .join(Router, Router.id == Zone.router_id)
            .where(PeriodicTask.kind == "cut")
        )
        for task_id, online in db.session().execute(query):
            tasks[bool(online)].append(task_id)
    place.keep()
    return tasks[True], tasks[False]


def _seconds(place: Ground, routers: list[Line], first: list[int], counted: list[int]) -> float:
    """From the first order to the end of every cut in ``counted``; those in ``first`` are ordered before them."""
    place.restore()
    place.redis.client().flushdb()
    for line in routers:
        line.fresh()
    with (
        running(*[place.start("flask", "worker", quiet=True) for _ in range(WORKERS)]),
        place.app.app_context(),
    ):
        until(lambda: place.redis.client().scard("rq:workers") == WORKERS, 60)
        begun = time.perf_counter()
        for task_id in [*first, *counted]:
            with transaction():
                service.order(service.find(task_id))
        until(partial(_done, counted), 300, 0.1)
        seconds = time.perf_counter() - begun
        db.db.session.remove()
    for line in routers:
        assert sum(row["list"] == CUT for row in line.entries()) == OWING
    return seconds


def _done(task_ids: list[int]) -> bool:
    db.session().rollback()
    done = sa.select(sa.func.count()).where(TaskRun.task_id.in_(task_ids), TaskRun.state == "success")
    return db.session().scalar(done) == len(task_ids)


def dead_routers(kind: str) -> Figure:
    """Both measurements on one database, the one without the dead first."""
    with (
        session() as server,
        ground(kind, server) as place,
        lines(place, ALIVE, CLIENTS, 2) as routers,
        silent(SILENT) as ports,
    ):
        living, dead = _provide(place, [line.port for line in routers], [*ports, *([9] * REFUSING)])
        alone = _seconds(place, routers, [], living)
        beside = _seconds(place, routers, dead, living)
    what = f"{ALIVE} routers beside {SILENT + REFUSING} dead ones, {kind}"
    return Figure("P2", what, beside, MOST * alone, floor=alone, note=f"{beside:.1f} s, alone {alone:.1f} s")
