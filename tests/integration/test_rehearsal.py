"""The rehearsal before a process's first job: it compiles what a cut needs, and leaves nothing behind."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine.interfaces import CacheStats

from tests.factories import make_clients, make_invoice, make_router, make_zone, moment
from tests.support.billing import count, fresh, order, task_of
from wisp.access.models import Access, RouterSync
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import db, session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.settings.models import Company
from wisp.tasks.models import RunItem, TaskRun

pytestmark = pytest.mark.usefixtures("ctx")
AT = moment("2026-11-21 10:00")


def debtors(zone: Any, number: int) -> None:
    ids = make_clients(number, zone)
    for client in session().scalars(sa.select(Client).where(Client.id.in_(ids))).all():
        make_invoice(client, due=date(2026, 11, 1))


def compiled_anew(statement: str) -> tuple[list[bool], Callable[[], None]]:
    """Collect, for statements that begin so, whether they had to be compiled; and how to end that."""
    found: list[bool] = []

    def note(_connection: Any, _cursor: Any, text: str, _values: Any, context: Any, _many: bool) -> None:
        if text.startswith(statement):
            found.append(context.cache_hit is not CacheStats.CACHE_HIT)

    sa.event.listen(db.engine, "after_cursor_execute", note)
    return found, lambda: sa.event.remove(db.engine, "after_cursor_execute", note)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO run_item",
        "UPDATE access SET suspended",
        "UPDATE access SET applied_suspended",
        "SELECT access.client_id, access.suspended",
        "SELECT access.client_id, client.code",
    ],
)
@pytest.mark.parametrize("rehearsed", [True, False])
def test_after_it_the_first_cut_finds_its_statements_compiled(
    app: Flask, router_sim: SimulatorServer, statement: str, rehearsed: bool
) -> None:
    with clock.frozen(AT):
        zone = make_zone(make_router(host=router_sim.host, port=router_sim.port))
        debtors(zone, 3)
        run_id = order(zone, "cut")
        db.engine.clear_compiled_cache()
        if rehearsed:
            queue.rehearse()
        found, end = compiled_anew(statement)
        with queue.inline():
            queue.enqueue("tasks.run", [run_id])
        end()
    assert fresh(run_id).cut == 3
    assert found[0] is not rehearsed


def test_it_changes_nothing(app: Flask) -> None:
    with clock.frozen(AT):
        zone = make_zone()
        debtors(zone, 3)
        before = task_of(zone).last_run_id
        queue.rehearse()
        assert (count(TaskRun), count(RunItem), count(RouterSync), count(Access, Access.suspended)) == (0, 0, 0, 0)
        assert task_of(zone).last_run_id == before


def test_what_one_writes_is_rolled_back_and_one_that_fails_keeps_no_other_from_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fails() -> None:
        raise ValueError("out of tune")

    def writes() -> None:
        session().execute(sa.update(Company).values(name="rehearsed"))
        seen.append(session().scalars(sa.select(Company.name)).one())

    with transaction() as s:
        s.execute(sa.update(Company).values(name="as it was"))
    monkeypatch.setattr(queue, "rehearsals", [fails, writes])
    queue.rehearse()
    session().rollback()
    assert seen == ["rehearsed"]
    assert session().scalars(sa.select(Company.name)).one() == "as it was"
    assert "out of tune" in caplog.text


def test_an_empty_database_is_no_trouble(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    queue.rehearse()
    assert not caplog.records
