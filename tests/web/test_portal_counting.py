"""Looks at the client pages are counted beside them: together, each once, and never at the cost of the page."""

import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.factories import make_clients, make_company, make_zone
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.portal import counting, service
from wisp.portal.models import PortalVisit
from wisp.portal.service import Glance

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)
DAY = date(2026, 11, 20)
CLIENTS = 60


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with clock.frozen(NOON):
        yield


@pytest.fixture
def addresses(app: Flask) -> dict[int, str]:
    """Clients with a notice, by id."""
    with app.app_context():
        make_company()
        ids = make_clients(CLIENTS, make_zone())
        with transaction() as s:
            s.execute(sa.update(Access).values(notice=True))
        found = session().execute(sa.select(Client.id, Client.address).where(Client.id.in_(ids)))
        return {row.id: row.address for row in found}


def look(app: Flask, address: str) -> int:
    return app.test_client().get("/aviso/", environ_base={"REMOTE_ADDR": address}).status_code


def counted(app: Flask) -> dict[int, int]:
    app.extensions["wisp_looks"].settle()
    with app.app_context():
        return dict(session().execute(sa.select(PortalVisit.client_id, PortalVisit.seen)).all())


def test_a_storm_is_written_in_few_transactions(
    app: Flask, addresses: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = service.seen, []

    def seen(glances: Collection[Glance]) -> None:
        written.append(len(glances))
        real(glances)

    monkeypatch.setattr(service, "seen", seen)
    monkeypatch.setattr(counting, "PAUSE", 0.3)
    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(lambda address: look(app, address), [*addresses.values()] * 2)) == {200}
    assert counted(app) == dict.fromkeys(addresses, 1)
    assert len(written) < CLIENTS / 4, written


def test_one_look_that_two_processes_saw_is_one(app: Flask, addresses: dict[int, str]) -> None:
    """Both read that there was none before either had written."""
    client_id = min(addresses)

    def at(minutes: float, notice: bool) -> None:
        with app.app_context(), transaction():
            service.seen([Glance(client_id, DAY, NOON + timedelta(minutes=minutes), notice)])

    def row() -> tuple[object, ...]:
        with app.app_context():
            found = session().scalars(sa.select(PortalVisit)).one()
            first, last = found.notice_first_at, found.notice_last_at
            return found.seen, found.last_seen_at - NOON, first and first - NOON, last and last - NOON

    minute = timedelta(minutes=1)
    at(0, False)
    at(1, False)
    assert row() == (1, minute, None, None)
    at(2, True)  # the first that meets a notice
    at(3, True)
    assert row() == (2, 3 * minute, 2 * minute, 3 * minute)
    at(9, False)
    assert row() == (3, 9 * minute, 2 * minute, 3 * minute)
    at(10, True)
    assert row() == (4, 10 * minute, 2 * minute, 10 * minute)


def test_a_connection_that_dropped_costs_no_look(
    app: Flask, addresses: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = service.seen, iter([OperationalError("INSERT", {}, Exception("the server closed the connection"))])

    def seen(glances: Collection[Glance]) -> None:
        for fault in faults:
            raise fault
        real(glances)

    monkeypatch.setattr(service, "seen", seen)
    assert look(app, addresses[min(addresses)]) == 200
    assert counted(app) == {min(addresses): 1}


def test_where_the_database_is_busy_the_page_comes_and_the_next_look_is_counted(
    app: Flask, addresses: dict[int, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, *_ = sorted(addresses)

    def busy(_glances: Collection[Glance]) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(service, "seen", busy)
        assert look(app, addresses[first]) == 200
        assert counted(app) == {}
    assert "1 looks at notice pages were not counted" in caplog.text
    assert look(app, addresses[second]) == 200
    assert counted(app) == {second: 1}


def test_a_process_that_ends_has_written_its_looks(
    app: Flask, addresses: dict[int, str], environment: dict[str, str]
) -> None:
    address = addresses[min(addresses)]
    code = f"from app import app; app.test_client().get('/aviso/', environ_base={{'REMOTE_ADDR': '{address}'}})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=60)
    assert counted(app) == {min(addresses): 1}
