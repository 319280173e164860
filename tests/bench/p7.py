"""P7: from the registration of a payment to the moment in which the client's entry is gone from the router.

An idle system: one real worker, a simulated router behind a line of 30 ms, payments one by one.
"""

import time
from datetime import date, timedelta
from statistics import median, quantiles

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, running, session, until
from tests.bench.routers import Line, client_rows, lines
from tests.factories import make_company, make_plan, make_router, make_zone
from tests.support.access import CUT, owe
from wisp.access import service as access
from wisp.access.models import Access, RouterSync
from wisp.clients.models import Client
from wisp.core import clock, db, queue
from wisp.core.db import transaction
from wisp.payments import service as payments

CLIENTS, PAYMENTS, PRICE = 500, 40, 35_000


def _provide(place: Ground, line: Line) -> list[int]:
    """Clients who owe and are cut, on the router too; their ids."""
    line.fresh()
    make_company()
    zone, plan = make_zone(make_router(port=line.port)), make_plan()
    rows = client_rows(zone, plan.id, CLIENTS, "C", installed_on=date(2020, 1, 1), created_at=clock.now())
    with transaction() as s:
        s.execute(sa.insert(Client), rows)
        ids = list(s.scalars(sa.select(Client.id).order_by(Client.id)))
        s.execute(sa.insert(Access), [{"client_id": i, "router_id": zone.router_id} for i in ids])
    owing = ids[:PAYMENTS]
    owe(owing, PRICE, clock.now().date() - timedelta(days=2))
    with queue.inline(), transaction():
        access.want_suspended(owing, basis="overdue")
        access.request_sync([zone.router_id])
    assert _listed(line) == PAYMENTS
    place.settle()
    return owing


def _listed(line: Line) -> int:
    return sum(row["list"] == CUT and row.get("comment", "").startswith("wisp:") for row in line.entries())


def _idle(place: Ground) -> bool:
    """No job waits or runs, and the router has confirmed all."""
    client = place.redis.client()
    if any(client.llen(f"rq:queue:{name}") or client.zcard(f"rq:wip:{name}") for name in queue.QUEUES):
        return False
    db.session().rollback()
    return db.session().scalar(sa.select(RouterSync.requested == RouterSync.done)) is True


def _pay(client_id: int, line: Line, left: int) -> float:
    begun = time.perf_counter()
    with transaction():
        payments.register(db.session().get_one(Client, client_id), PRICE, method="cash")
    until(lambda: _listed(line) == left, 30, 0.002)
    return time.perf_counter() - begun


def _measure(place: Ground, line: Line) -> Figure:
    seconds = []
    with place.app.app_context():
        owing = _provide(place, line)
        with running(place.start("flask", "worker", quiet=True)):
            client = place.redis.client()
            until(lambda: client.scard("rq:workers") == 1, 60)
            for left, client_id in zip(reversed(range(PAYMENTS)), owing, strict=True):
                seconds.append(_pay(client_id, line, left))
                until(lambda: _idle(place), 30, 0.05)
    p95 = quantiles(seconds, n=20)[-1]
    note = f"of {PAYMENTS}; median {median(seconds):.2f} s, longest {max(seconds):.2f} s"
    return Figure("P7", f"payment to entry gone, p95, {place.kind}", p95, 1, note=note)


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place, lines(place, 1, CLIENTS) as (line,):
            figures.append(_measure(place, line))
    return figures
