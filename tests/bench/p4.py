"""P4: pages over 100,000 clients, 1.2 million invoices and 10,000 tasks against the same pages over a hundredth of it.

A page is asked for through the whole application, without a network. The time may grow by half; the number of SQL
statements may not grow at all.
"""

import gc
import time
from datetime import date, timedelta
from statistics import median, quantiles
from typing import Any

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, session
from tests.factories import make_company, make_plan, make_router
from tests.support.staff import signed_in
from wisp.access.models import Access
from wisp.clients import search
from wisp.clients.models import Client
from wisp.core import clock, db
from wisp.core.db import transaction
from wisp.invoices.models import Invoice, InvoiceSeries
from wisp.routers.models import Zone
from wisp.schedules.domain import add_months, clamp_day, month_of
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.tasks.models import TaskRun

SMALL, LARGE = 1_000, 100_000
MONTHS = 12
CLIENTS_A_ZONE, OWN = 300, 33
"""One client in 33 has own billing: 10,000 tasks for 100,000 clients, three a zone and three each of these."""
WARM, REPEATS = 5, 100
PAGES = {
    "clients": "/clientes/",
    "a search": "/clientes/?q=P00777",
    "a client's file": "/clientes/P00777/",
    "tasks": "/tareas-periodicas/",
    "invoices": "/facturas/",
}
FIRST = ("Ana", "Luis", "María", "José", "Carmen", "Pedro", "Lucía", "Juan", "Elena", "Raúl")
LAST = ("García", "Núñez", "López", "Pérez", "Sánchez", "Ibáñez", "Ruiz", "Gómez", "Díaz", "Torres", "Vega")


def _provide(place: Ground, count: int) -> None:
    with place.app.app_context():
        make_company(tax_bp=1600)
        plan, router = make_plan(), make_router()
        zones = max(count // CLIENTS_A_ZONE, 20)  # the list of tasks fills its page at either size
        _schedules(zones + count // OWN)
        with transaction() as s:
            rows = [
                {"id": i, "router_id": router.id, "name": f"Zona {i}", "schedule_id": i} for i in range(1, zones + 1)
            ]
            s.execute(sa.insert(Zone), [{**row, "created_at": clock.now()} for row in rows])
        _clients(router.id, plan.id, count, zones)
        for back in range(MONTHS):
            _invoices(count, back)
        with transaction() as s:
            s.execute(sa.update(InvoiceSeries).values(next_number=count * MONTHS + 1))
    place.settle()


def _schedules(count: int) -> None:
    """Schedules with their three tasks, each of which has run last month."""
    now, ids = clock.now(), range(1, count + 1)
    with transaction() as s:
        s.execute(
            sa.insert(BillingSchedule),
            [{"id": i, "billing_type": "prepaid", "due_day": 20, "timezone": ""} for i in ids],
        )
        tasks = [
            {"schedule_id": i, "kind": kind, "day": day, "minute": 720, "next_at": now + timedelta(days=day)}
            for i in ids
            for kind, day in (("invoices", 5), ("notice", 8), ("cut", 12))
        ]
        s.execute(sa.insert(PeriodicTask), [{**task, "next_month": now.date().replace(day=1)} for task in tasks])
        ran = now - timedelta(days=20)
        past = {"month": ran.date().replace(day=1), "trigger": "schedule", "state": "success", "actor": "system"}
        moments = dict.fromkeys(("planned_for", "created_at", "started_at", "finished_at", "completed_at"), ran)
        task_ids = s.scalars(sa.select(PeriodicTask.id)).all()
        s.execute(sa.insert(TaskRun), [{"task_id": i, **past, **moments} for i in task_ids])
        last = sa.select(TaskRun.id).where(TaskRun.task_id == PeriodicTask.id).scalar_subquery()
        s.execute(sa.update(PeriodicTask).values(last_run_id=last, last_applied_at=ran, applied=1, applied_ever=1))


def _clients(router_id: int, plan_id: int, count: int, zones: int) -> None:
    common = {"router_id": router_id, "plan_id": plan_id, "connection": "pppoe", "created_at": clock.now()}
    rows = [
        {
            "id": n,
            "code": f"P{n:05}",
            "name": f"{FIRST[n % len(FIRST)]} {LAST[n % len(LAST)]} {LAST[n // 7 % len(LAST)]}",
            "email": f"p{n:05}@example.com",
            "username": f"ppp{n:05}",
            "zone_id": n % zones + 1,
            "installed_on": date(2020, 1, 1),
            "own_billing": n % OWN == 0,
            "schedule_id": None if n % OWN else zones + n // OWN,
            **common,
        }
        for n in range(1, count + 1)
    ]
    with transaction() as s:
        s.execute(sa.insert(Client), rows)
        s.execute(sa.insert(Access), [{"client_id": n, "router_id": router_id} for n in range(1, count + 1)])
        search.index(range(1, count + 1))


def _invoices(count: int, back: int) -> None:
    """The invoices of one month, so many months ago: of the present one a third is open."""
    today = clock.now().date()
    month = add_months(month_of(today), -back)
    issued = clamp_day(month, today.day)
    number = Client.id + count * (MONTHS - 1 - back)
    open_now = (Client.id % 3 == 0) if not back else sa.literal(False)
    values: dict[str, Any] = {
        "series_id": sa.select(sa.func.min(InvoiceSeries.id)).scalar_subquery(),
        "number": number,
        "label": sa.literal("A") + sa.cast(number, sa.String),
        "client_id": Client.id,
        "kind": sa.literal("recurring"),
        "month": sa.literal(month),
        "period_from": sa.literal(issued),
        "period_to": sa.literal(issued + timedelta(days=29)),
        "issued": sa.literal(issued),
        "due": sa.literal(issued + timedelta(days=10)),
        "currency": sa.literal("MXN"),
        "customer": Client.name,
        "customer_tax_id": sa.literal(""),
        "tax_bp": sa.literal(1600),
        "net": sa.literal(30_172),
        "tax": sa.literal(4_828),
        "total": sa.literal(35_000),
        "paid": sa.case((open_now, 0), else_=35_000),
        "state": sa.case((open_now, "pending"), else_="paid"),
        "created_at": sa.literal(clock.now(), Invoice.created_at.type),
    }
    with transaction() as s:
        query = sa.select(*[value.label(name) for name, value in values.items()]).order_by(Client.id)
        s.execute(sa.insert(Invoice).from_select(list(values), query))


class Reader:
    """A person who is logged in and reads pages."""

    def __init__(self, place: Ground) -> None:
        self.statements = 0
        self.times: dict[str, list[float]] = {page: [] for page in PAGES}
        self.counts: dict[str, int] = {}
        self.browser = signed_in(place.app)
        with place.app.app_context():
            sa.event.listen(db.db.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    def read(self, page: str) -> None:
        """One page, timed."""
        self.statements = 0
        begun = time.perf_counter()
        answer = self.browser.get(PAGES[page])
        self.times[page].append((time.perf_counter() - begun) * 1000)
        self.counts[page] = self.statements
        assert answer.status_code == 200, f"{page}: {answer.status_code}"

    def p95(self, page: str) -> float:
        """Milliseconds in 95 of 100 cases, the first ones left out."""
        return quantiles(self.times[page][WARM:], n=20)[-1]

    def median(self, page: str) -> float:
        """Milliseconds in the middle."""
        return median(self.times[page][WARM:])


def _measure(small: Ground, large: Ground) -> list[Figure]:
    """The two sizes in turns, so that what else the machine does meets both."""
    _provide(small, SMALL)
    _provide(large, LARGE)
    few, many = Reader(small), Reader(large)
    gc.collect()
    gc.freeze()  # what the making of so many rows has left would make each full collection longer, for both sizes
    figures = []
    for page in PAGES:
        for _ in range(WARM + REPEATS):
            few.read(page)
            many.read(page)
        what = f"{page}, {LARGE:,} clients, {large.kind}"
        before = few.p95(page)
        note = f"p95; medians {few.median(page):.0f} and {many.median(page):.0f}"
        figures.append(Figure("P4", what, many.p95(page), 1.5 * before, "ms", before, note=note))
        counts = many.counts[page], few.counts[page]
        figures.append(Figure("P4", f"{what}: SQL statements", counts[0], counts[1], "", counts[1]))
    return figures


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures = []
    for kind in KINDS:
        with (
            session() as server,
            ground(kind, server, name="small") as small,
            ground(kind, server, name="large") as large,
        ):
            figures += _measure(small, large)
    return figures
