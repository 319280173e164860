"""Races between a person's order, the tick and a cut run: each thing happens once, and nobody waits for ever."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_company, make_invoice, make_zone, moment
from wisp.access import service as access
from wisp.access.holds import service as holds
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.invoices.models import Promise
from wisp.schedules.models import PeriodicTask
from wisp.tasks import followups, runner, service
from wisp.tasks.models import RunItem, TaskRun

NOW = moment("2026-11-25 10:00")


def at_once(app: Flask, *works: Callable[[], Any]) -> list[Any]:
    """All of these in threads, each in a context of its own, starting together; their results."""
    gate = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        with app.app_context():
            gate.wait(timeout=30)
            return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


@pytest.fixture
def clients(app: Flask) -> Iterator[list[int]]:
    """Twelve who owe, and are cut."""
    with clock.frozen(NOW), app.app_context():
        make_company()
        ids = make_clients(12, make_zone())
        for client_id in ids:
            make_invoice(session().get_one(Client, client_id), due=date(2026, 11, 20))
        with transaction():
            access.want_suspended(ids)
        session().rollback()
    with clock.frozen(NOW):
        yield ids


def reactivate(client_id: int) -> bool:
    with transaction():
        return holds.reactivate(session().get_one(Client, client_id))


def count(what: Any, *where: Any) -> int:
    return session().scalar(sa.select(sa.func.count()).select_from(what).where(*where)) or 0


def test_two_clicks_at_once_give_back_once(app: Flask, clients: list[int]) -> None:
    found = at_once(app, *[lambda: reactivate(clients[0])] * 4)
    assert sorted(found) == [False, False, False, True]
    with app.app_context():
        assert count(AuditEntry, AuditEntry.action == "client.reactivate") == 1


def test_giving_back_beside_a_cut_run_neither_blocks_it_nor_is_undone_by_it(app: Flask, clients: list[int]) -> None:
    with app.app_context():
        query = sa.select(PeriodicTask.id).where(PeriodicTask.kind == "cut")
        with transaction():
            run_id = service.order(service.find(session().scalars(query).one())).id

    def give_back(first: int) -> list[bool]:
        return [reactivate(client_id) for client_id in clients[first::3]]

    with clock.frozen(NOW + timedelta(minutes=1)):
        results = at_once(
            app, lambda: runner.work(run_id, chunk=1), lambda: give_back(0), lambda: give_back(1), lambda: give_back(2)
        )
    assert results == [True, *[[True] * 4] * 3]
    with app.app_context():
        assert count(Access, Access.suspended) == 0
        open_items = RunItem.state.in_(["waiting", "failed"])
        assert count(RunItem, RunItem.run_id == run_id, open_items) == 0


def test_what_was_decided_before_a_person_gave_the_service_back_is_not_carried_out(
    app: Flask, clients: list[int]
) -> None:
    with app.app_context():
        assert reactivate(clients[0])
        with transaction():
            assert access.want_suspended(clients[:1], planned_at=NOW - timedelta(seconds=1)) == 0
        with transaction():
            assert access.want_suspended(clients[:1], planned_at=NOW + timedelta(seconds=1)) == 1


def test_two_ticks_end_each_pause_once(app: Flask, clients: list[int]) -> None:
    with app.app_context(), transaction():
        for client_id in clients:
            holds.pause(session().get_one(Client, client_id), date(2026, 11, 30))

    def end() -> int:
        with transaction():
            return holds.end_pauses()

    with clock.frozen(moment("2026-12-01 00:00")):
        assert sum(at_once(app, *[end] * 4)) == 12
    with app.app_context():
        assert count(AuditEntry, AuditEntry.action == "client.pause_end") == 12
        assert count(Access, Access.reason == "debt") == 12


def test_two_ticks_begin_one_run_after_broken_promises(app: Flask, clients: list[int]) -> None:
    with app.app_context(), transaction() as s:
        access.lift(clients)
        ended = {"until": date(2026, 11, 24), "follow_on": date(2026, 11, 25), "outcome": "broken", "ended_at": NOW}
        s.add_all([Promise(client_id=c, actor="x", created_at=NOW, spared=True, **ended) for c in clients])

    def claim() -> list[int]:
        with transaction():
            return followups.claim()

    found = [run_id for run_ids in at_once(app, *[claim] * 4) for run_id in run_ids]
    assert len(found) == 1
    with app.app_context():
        assert count(TaskRun, TaskRun.trigger == "followup") == 1
        assert count(Promise, Promise.run_id == found[0]) == 12
