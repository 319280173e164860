"""The same confirmation sent fifty times at once changes everything once."""

import threading
import time

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.concurrency.test_payments import at_once
from tests.factories import make_client, make_zone
from tests.support.staff import signed_in, token_of
from wisp.bulk import jobs, service
from wisp.bulk.action import get
from wisp.bulk.models import BulkChange, BulkRun
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.schedules.models import PeriodicTask

KEY = "activar-tareas-periodicas"


def changed(app: Flask) -> tuple[int, int, int, int]:
    """Runs, changes, audit lines of switches, tasks that are off."""
    with app.app_context():
        tables = (
            sa.select(sa.func.count()).select_from(BulkRun),
            sa.select(sa.func.count()).select_from(BulkChange),
            sa.select(sa.func.count()).select_from(AuditEntry).where(AuditEntry.action == "task.switch"),
            sa.select(sa.func.count()).select_from(PeriodicTask).where(PeriodicTask.enabled.is_(False)),
        )
        runs, changes, audited, off = (session().scalar(query) or 0 for query in tables)
        return runs, changes, audited, off


def provider(app: Flask) -> None:
    with app.app_context():
        for _ in range(3):
            make_client(make_zone(), own={})


def test_fifty_orders_with_one_token_change_once(app: Flask) -> None:
    provider(app)

    def order(_n: int) -> int:
        with transaction():
            run_id = service.order(get(KEY), {"zone": None, "kinds": {"cut": False}}, "t" * 16).id
        jobs.work(run_id)
        return run_id

    assert len(set(at_once(app, 50, order))) == 1
    assert changed(app) == (1, 6, 6, 6)


def test_fifty_submissions_of_one_form_change_once(app: Flask) -> None:
    provider(app)
    browser = signed_in(app)
    form = {"csrf_token": token_of(browser), "zone": "all", "cut": "off", "invoices": "keep", "notice": "keep"}
    data = {**form, "token": "a" * 32, "confirm": "yes"}
    cookie = browser.get_cookie("session")
    assert cookie is not None

    def send(_n: int) -> str:
        client = app.test_client()
        client.set_cookie("session", cookie.value)
        answer = client.post(f"/acciones-masivas/{KEY}/", data=data)
        assert answer.status_code == 303
        return str(answer.location)

    assert len(set(at_once(app, 50, send))) == 1
    assert changed(app) == (1, 6, 6, 6)


def test_others_write_while_a_large_one_is_worked_off(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who only wants to save a client is not kept out until the last change is made."""
    provider(app)
    monkeypatch.setattr(service, "STEP", 1)
    begun, step = threading.Event(), service.step

    def slow(run_id: int) -> bool:
        more = step(run_id)
        begun.set()
        time.sleep(0.05)  # the transaction is still open
        return more

    monkeypatch.setattr(service, "step", slow)
    with app.app_context(), transaction():
        run_id = service.order(get(KEY), {"zone": None, "kinds": {"cut": False}}, "t" * 16).id

    def work() -> None:
        with app.app_context():
            jobs.work(run_id)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    with app.app_context(), transaction():
        state = session().scalar(sa.select(BulkRun.state).where(BulkRun.id == run_id))
    thread.join()
    assert state in ("queued", "running")  # its first step may not be committed yet
    assert changed(app)[3] == 6


def test_two_people_who_undo_at_once_restore_once(app: Flask) -> None:
    provider(app)
    with app.app_context():
        with transaction():
            run_id = service.order(get(KEY), {"zone": None, "kinds": {"cut": False}}, "t" * 16).id
        jobs.work(run_id)

    def undo(_n: int) -> None:
        try:
            with transaction():
                service.undo(run_id)
        except service.Refused:
            return
        jobs.work(run_id)

    at_once(app, 8, undo)
    with app.app_context():
        run = session().get_one(BulkRun, run_id)
        assert (run.state, run.restored, run.kept) == ("undone", 6, 0)
    assert changed(app) == (1, 6, 12, 0)
