"""P9: an invoice run over clients who have all paid ahead, against the same run over clients who have not.

Both begin on the same database, put back before each, in a process that did nothing else. Meanwhile another writer
commits one small change after the other, as a cashier does; the longest of them is how long anybody waits.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from statistics import median
from typing import Any

import sqlalchemy as sa

from tests.bench import p1
from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, session
from tests.factories import make_clients, make_company, make_plan, make_zone
from wisp.core import clock
from wisp.core.db import transaction
from wisp.invoices.models import Invoice, Payment

CLIENTS, PRICE = 5_000, 35_000
REPEATS = 5
PAUSE = 0.01
CASHIER = "UPDATE company SET phone = phone WHERE id = 1"


@contextmanager
def _cashier(place: Ground) -> Iterator[list[float]]:
    """Seconds of each commit of another writer, during the block."""
    waits: list[float] = []
    done = threading.Event()

    def work() -> None:
        with place.connection() as connection:
            while not done.wait(PAUSE):
                begun = time.perf_counter()
                connection.execute(CASHIER)
                waits.append(time.perf_counter() - begun)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def _pay_ahead() -> None:
    """A payment for every client: more than a month's price for some, less for others."""
    with transaction() as s:
        ids = s.scalars(sa.text("SELECT id FROM client ORDER BY id")).all()
        amounts = [PRICE, 2 * PRICE, PRICE // 2]
        common = {"method": "cash", "paid_on": date(2026, 1, 1), "actor": "bench", "created_at": clock.now()}
        rows = [{**common, "client_id": id_, "amount": amounts[n % 3]} for n, id_ in enumerate(ids)]
        s.execute(sa.insert(Payment), [{**row, "remaining": row["amount"]} for row in rows])


def _run(place: Ground) -> tuple[float, float]:
    """Seconds of the run, and the longest wait of the other writer meanwhile."""
    with _cashier(place) as waits:
        run = place.child(p1.__name__)
    assert (run["state"], run["invoiced"]) == ("success", CLIENTS), run
    return run["seconds"], max(waits)


def _settled(place: Ground) -> None:
    with place.app.app_context():
        states = dict(_states())
    assert states == {"paid": CLIENTS - CLIENTS // 3, "partial": CLIENTS // 3}, states


def _states() -> Any:
    from wisp.core.db import session as reading

    return reading().execute(sa.select(Invoice.state, sa.func.count()).group_by(Invoice.state)).all()


def _measure(place: Ground) -> list[Figure]:
    with place.app.app_context():
        make_company(tax_bp=1600)
        make_clients(CLIENTS, make_zone(), make_plan(price=PRICE))
    place.keep()
    without, ahead, waits = [], [], []
    for _ in range(REPEATS):
        place.restore()
        without.append(_run(place)[0])
        place.restore()
        with place.app.app_context():
            _pay_ahead()
        place.settle()
        seconds, wait = _run(place)
        ahead.append(seconds)
        waits.append(wait)
        _settled(place)
    bare, took = median(without), median(ahead)
    what = f"{CLIENTS:,} clients who paid ahead, {place.kind}"
    return [
        Figure("P9", f"invoice run, {what}", took, 3 * bare, floor=bare, note="floor: the same run without credit"),
        Figure("P9", f"longest wait of another writer, {what}", max(waits), 1),
    ]


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures: list[Figure] = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place:
            figures += _measure(place)
    return figures
