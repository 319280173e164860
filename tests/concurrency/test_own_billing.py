"""Own billing given fifty times at once, and schedules edited while a tick claims them."""

import threading
import time
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.concurrency.test_payments import at_once
from tests.factories import make_client, make_zone, moment
from tests.support.staff import signed_in, token_of
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.routers import service as routers
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.tasks import tick
from wisp.tasks.models import TaskRun

SAVE = "/clientes/ANA/facturacion/propia/"
OWN = {"billing": "own", "billing_type": "prepaid", "due_day": "28", "timezone": "",
       "invoices_day": "25", "invoices_time": "12:00", "notice_day": "27", "notice_time": "09:00",
       "cut_day": "30", "cut_time": "08:00", "this_month": "skip"}  # fmt: skip
MOMENTS = {Kind.invoices: (25, 720), Kind.notice: (27, 540), Kind.cut: (30, 480)}


def counted(app: Flask) -> tuple[int, int, int]:
    """Schedules, tasks, and tasks that belong to nobody."""
    with app.app_context():
        owned = sa.select(Zone.schedule_id).union(sa.select(Client.schedule_id).where(Client.schedule_id.is_not(None)))
        queries = (
            sa.select(sa.func.count()).select_from(BillingSchedule),
            sa.select(sa.func.count()).select_from(PeriodicTask),
            sa.select(sa.func.count()).where(PeriodicTask.schedule_id.not_in(owned)),
        )
        schedules, tasks, orphans = (session().scalar(query) or 0 for query in queries)
        return schedules, tasks, orphans


def test_fifty_submissions_give_one_schedule(app: Flask) -> None:
    with app.app_context():
        make_client(make_zone(), code="ANA")
    browser = signed_in(app)
    data = {"csrf_token": token_of(browser), **OWN}
    cookie = browser.get_cookie("session")
    assert cookie is not None

    def send(_n: int) -> int:
        client = app.test_client()
        client.set_cookie("session", cookie.value)
        return client.post(SAVE, data=data).status_code

    assert set(at_once(app, 50, send)) == {303}
    assert counted(app) == (2, 6, 0)
    with app.app_context():
        changes = sa.select(sa.func.count()).where(AuditEntry.action == "client.billing")
        assert session().scalar(changes) == 1


def test_own_and_zone_billing_at_once_end_in_one_of_the_two(app: Flask) -> None:
    with app.app_context():
        make_client(make_zone(), code="ANA")

    def send(n: int) -> None:
        with transaction():
            client = clients.find("ANA")
            if n % 2:
                clients.zone_billing(client)
            else:
                clients.own_billing(client, billing_type="prepaid", due_day=28, moments=MOMENTS, this_month="skip")

    at_once(app, 16, send)
    assert counted(app)[2] == 0
    with app.app_context():
        client = clients.find("ANA")
        assert client.schedule is not None
        assert {task.archived_at is None for task in client.schedule.tasks} == {client.own_billing}


def test_cancelled_and_given_own_billing_at_once_leaves_no_task_behind(app: Flask) -> None:
    with app.app_context():
        make_client(make_zone(), code="ANA")

    def send(n: int) -> None:
        try:
            with transaction():
                client = clients.find("ANA")
                if n == 4:
                    clients.cancel(client)
                else:
                    clients.own_billing(client, billing_type="prepaid", due_day=28, moments=MOMENTS, this_month="skip")
        except Refused:
            return

    at_once(app, 8, send)
    with app.app_context():
        of_client = PeriodicTask.schedule_id == Client.schedule_id
        planned = sa.select(PeriodicTask.id).join(Client, of_client).where(PeriodicTask.next_at.is_not(None))
        assert session().scalars(planned).all() == []


def test_a_day_moved_while_a_tick_claims_the_month_does_not_run_it_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit has seen that November has not run before the tick claims it, and would write after it."""
    with app.app_context(), clock.frozen(moment("2026-11-14 12:00")):
        zone_id = make_zone().id
    read, looked = threading.Event(), schedules.edit_outcomes

    def slowly(*args: Any) -> Any:
        found = looked(*args)
        read.set()
        time.sleep(0.3)  # the tick claims now, if nothing holds it
        return found

    monkeypatch.setattr(schedules, "edit_outcomes", slowly)

    def edit() -> None:
        with app.app_context(), transaction():
            zone = session().get_one(Zone, zone_id)
            routers.edit_zone(zone, moments={Kind.invoices: (25, 720)}, this_month="skip")

    with clock.frozen(moment("2026-11-15 12:00")):
        thread = threading.Thread(target=edit)
        thread.start()
        assert read.wait(10)
        with app.app_context():
            tick.claim_due()
        thread.join()
    with clock.frozen(moment("2026-11-25 12:00")), app.app_context():
        for _kind in Kind:  # one after the other, each when the one before has ended
            with transaction():
                session().execute(sa.update(TaskRun).values(state="success"))
            tick.claim_due()
        runs = sa.select(TaskRun.month).join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
        assert session().scalars(runs.where(PeriodicTask.kind == "invoices")).all() == [date(2026, 11, 1)]
        task = session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "invoices")).one()
        assert (task.next_month, task.next_at) == (date(2026, 12, 1), moment("2026-12-25 12:00"))
        assert task.state != "missed"
