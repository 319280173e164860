"""What is told when a router is off: each thing once, what begins together in one e-mail, and when it is over."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from wisp.access import service
from wisp.access.jobs import reconcile, sweep, tell
from wisp.access.models import Outage, OutageTask
from wisp.core import clock, events, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.outbox.models import Message
from wisp.routers.jobs import probe
from wisp.routers.models import Router, Zone
from wisp.schedules.models import PeriodicTask
from wisp.tasks.models import RunItem, TaskRun


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def site(ctx: Flask, server: SimulatorServer) -> Iterator[Site]:
    made = Site(server)
    yield made
    made.close()


def mails(kind: str = "") -> list[dict[str, Any]]:
    session().rollback()
    query = sa.select(Message).order_by(Message.id)
    return [{"kind": m.kind, **(m.data or {})} for m in session().scalars(query) if kind in ("", m.kind)]


def run_of(site: Site, kind: str = "cut", zone_id: int | None = None, state: str = "error") -> tuple[int, int]:
    """A run of the zone's task; its id and the task's."""
    with transaction() as s:
        zone = s.get_one(Zone, zone_id or site.zone_id)
        task = s.scalars(
            sa.select(PeriodicTask).where(PeriodicTask.schedule_id == zone.schedule_id, PeriodicTask.kind == kind)
        ).one()
        run = TaskRun(
            task_id=task.id, month=date(2026, 1, 1), trigger="manual", state=state, actor="x", created_at=clock.now()
        )
        s.add(run)
        s.flush()
        for client_id in site.clients:
            s.add(RunItem(run_id=run.id, client_id=client_id, state="waiting", updated_at=clock.now()))
        return task.id, run.id


def wait_for(site: Site, *runs: tuple[int, int]) -> None:
    """What the tasks' receiver does when a synchronisation did not get through."""
    with transaction():
        for task_id, run_id in runs:
            service.note_waiting(site.router_id, task_id, run_id)


def test_one_e_mail_for_an_outage_and_task_and_one_when_it_is_over(site: Site) -> None:
    run = run_of(site)
    site.server.switch(off=True)
    site.cut()
    for _ in range(3):
        site.sync()
        wait_for(site, run)
        queue.drain()
        tell()
    (mail,) = mails()
    name = session().get_one(Router, site.router_id).name
    zone = session().get_one(Zone, site.zone_id).name
    assert (mail["kind"], mail["router"], mail["error"]) == ("alert_router_waiting", name, "refused")
    (task,) = mail["tasks"]
    assert (task["kind"], task["zone"], task["clients"]) == ("cut", zone, 3)
    assert task["codes"] == sorted(site.client(i).code for i in site.clients)
    assert mail["more"] == []
    site.server.switch(off=False)
    site.sync()
    queue.drain()
    (back,) = mails("alert_router_back")
    assert (back["router"], back["cut"], back["restored"], back["failed"]) == (name, 3, 0, 0)
    assert len(mails()) == 2
    # the next outage is told again
    site.server.switch(off=True)
    site.order()
    site.sync()
    wait_for(site, run)
    queue.drain()
    assert len(mails("alert_router_waiting")) == 2


def test_what_begins_together_is_one_e_mail(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server)
    with SimulatorServer() as second:
        other = Site(second)
        server.switch(off=True)
        second.switch(off=True)
        for each in (site, other):
            each.cut()
        first, notice = run_of(site), run_of(site, "notice", state="queued")
        site.sync()
        wait_for(site, first)
        tell()
        assert mails() == []  # a run and a synchronisation of the same minute may find a router off too
        far = run_of(other)
        other.sync()
        wait_for(other, far)
        tell()
        assert mails() == []
        with transaction() as s:
            s.execute(sa.update(TaskRun).where(TaskRun.id == notice[1]).values(state="error"))
        wait_for(site, notice)
        tell()
        (mail,) = mails()
        assert [task["kind"] for task in mail["tasks"]] == ["cut", "notice"]
        assert [more["router"] for more in mail["more"]] == [session().get_one(Router, other.router_id).name]
        tell()
        assert len(mails()) == 1
        other.close()
    site.close()


def test_nothing_is_waited_for_longer_than_a_minute(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    run_of(site, "notice", state="queued")  # a run that nobody works on
    wait_for(site, run_of(site))
    tell()
    assert mails() == []
    with clock.frozen(clock.now() + timedelta(seconds=61)):
        sweep()
    assert [mail["kind"] for mail in mails()] == ["alert_router_waiting"]


def test_a_router_off_for_long_is_told_once_and_so_is_its_return(site: Site) -> None:
    probe(site.router_id)
    site.server.switch(off=True)
    probe(site.router_id)
    sweep()
    assert mails() == []
    with clock.frozen(clock.now() + timedelta(minutes=4)):
        sweep()
    assert mails() == []
    with clock.frozen(clock.now() + timedelta(minutes=6)):
        sweep()
        sweep()
    (mail,) = mails()
    assert (mail["kind"], mail["host"], mail["minutes"]) == ("alert_router_off", "127.0.0.1", 6)
    site.server.switch(off=False)
    probe(site.router_id)
    queue.drain()
    assert [mail["kind"] for mail in mails()] == ["alert_router_off", "alert_router_back"]
    assert session().scalars(sa.select(Outage.ended_at)).one() is not None


def test_the_return_is_told_after_what_waited_was_applied_and_says_what(site: Site) -> None:
    cut, notified, released = site.clients
    site.cut([released])
    site.sync()
    probe(site.router_id)
    site.server.switch(off=True)
    probe(site.router_id)
    site.lift([released])
    site.cut([cut])
    site.notify([notified])
    queue.drain()
    with clock.frozen(clock.now() + timedelta(minutes=6)):
        sweep()
        queue.drain()
    assert [mail["kind"] for mail in mails()] == ["alert_router_off"]
    site.server.switch(off=False)
    with clock.frozen(clock.now() + timedelta(minutes=7)):
        probe(site.router_id)
        assert [mail["kind"] for mail in mails()] == ["alert_router_off"]  # nothing is applied yet
        queue.drain()
        back = mails("alert_router_back")
        assert [(b["cut"], b["notified"], b["restored"], b["failed"], b["held"]) for b in back] == [(1, 1, 1, 0, 0)]
        site.agree()
        for _ in range(3):
            site.order()
            queue.drain()
            sweep()
    assert len(mails()) == 2


def test_a_return_on_which_the_router_refuses_is_told_with_what_failed(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    wait_for(site, run_of(site))
    queue.drain()
    site.server.switch(off=False, full=True)
    site.sync()
    (back,) = mails("alert_router_back")
    assert (back["cut"], back["failed"]) == (0, 3)


def test_a_return_for_which_nothing_waited_says_so(site: Site) -> None:
    from wisp.outbox.rendering import preview

    site.server.switch(off=True)
    probe(site.router_id)
    with clock.frozen(clock.now() + timedelta(minutes=10)):
        sweep()
        site.server.switch(off=False)
        probe(site.router_id)
        queue.drain()
    (message,) = session().scalars(sa.select(Message).where(Message.kind == "alert_router_back"))
    text = preview(message).text
    assert "Nada lo esperaba" in text
    assert "Clientes cortados" not in text


def test_a_router_that_comes_and_goes_is_not_told_each_time(site: Site) -> None:
    begin = clock.now()
    for minute in range(12):
        with clock.frozen(begin + timedelta(minutes=minute)):
            site.server.switch(off=minute % 2 == 0)
            probe(site.router_id)
            sweep()
            queue.drain()
    assert mails() == []
    assert session().scalar(sa.select(sa.func.count()).select_from(Outage)) == 6


def test_a_short_outage_in_which_nothing_waited_is_not_worth_an_e_mail(site: Site) -> None:
    site.server.switch(off=True)
    site.order()
    site.sync()
    site.server.switch(off=False)
    site.sync()
    queue.drain()
    assert mails() == []


def test_what_waited_in_an_outage_that_ended_at_once_is_told_all_the_same(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    wait_for(site, run_of(site))
    site.server.switch(off=False)
    site.sync()  # before the job that tells
    queue.drain()
    assert [mail["kind"] for mail in mails()] == ["alert_router_waiting", "alert_router_back"]


def test_an_outage_left_open_by_an_accident_is_closed(site: Site) -> None:
    with transaction() as s:
        s.add(Outage(router_id=site.router_id, started_at=clock.now(), error="refused"))
        s.execute(sa.update(Router).values(online=True))
    sweep()
    queue.drain()
    assert session().scalars(sa.select(Outage.ended_at)).one() is not None


def test_an_archived_routers_outage_ends_without_a_word(site: Site) -> None:
    site.server.switch(off=True)
    site.order()
    site.sync()
    with transaction() as s:
        s.execute(sa.update(Router).values(archived_at=clock.now()))
    with clock.frozen(clock.now() + timedelta(hours=1)):
        sweep()
    assert mails() == []
    assert session().scalars(sa.select(Outage.ended_at)).one() is not None


def test_without_an_alert_address_all_else_goes_on(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, alerts="")
    server.switch(off=True)
    site.cut()
    site.sync()
    wait_for(site, run_of(site))
    queue.drain()
    server.switch(off=False)
    site.sync()
    assert mails() == []
    assert session().scalars(sa.select(OutageTask.alerted_at)).one() is not None
    site.agree()
    site.close()


def test_what_lapsed_while_the_router_was_off_is_counted(site: Site) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    wait_for(site, run_of(site))
    queue.drain()
    site.lift(site.clients[:1])
    site.server.switch(off=False)
    site.sync()
    (back,) = mails("alert_router_back")
    assert (back["cut"], back["lapsed"]) == (2, 1)


def test_the_e_mails_can_be_read(site: Site) -> None:
    """The texts name router, zone and clients."""
    from wisp.outbox.rendering import preview

    site.server.switch(off=True)
    site.cut()
    site.sync()
    wait_for(site, run_of(site))
    queue.drain()
    with clock.frozen(clock.now() + timedelta(minutes=10)):
        sweep()
        site.server.switch(off=False)
        site.sync()
    router = session().get_one(Router, site.router_id).name
    zone = session().get_one(Zone, site.zone_id).name
    texts = {message.kind: preview(message) for message in session().scalars(sa.select(Message))}
    assert set(texts) == {"alert_router_waiting", "alert_router_off", "alert_router_back"}
    assert all(router in text.subject + text.text for text in texts.values())
    waiting = texts["alert_router_waiting"].text
    assert zone in waiting
    assert site.client(site.clients[0]).code in waiting


def test_once_a_day_every_router_is_looked_at(site: Site) -> None:
    site.cut()
    site.sync()
    row = site.entries()[0]
    with site.server.router.lock:
        site.server.router.table("/ip/firewall/address-list").remove(row[".id"])
    site.load({"list": CUT, "address": "10.1.1.1", "comment": "wisp:NADIE"})
    reconcile()
    queue.drain()
    site.agree()


def test_clients_suspended_in_the_earlier_system_are_suspended_here(site: Site) -> None:
    from wisp.clients.csvimport import Imported

    first, second, third = site.clients
    rows = [
        Imported(first, "A", True, 5_000, "suspended"),
        Imported(second, "B", True, None, "suspended"),
        Imported(third, "C", True, None, ""),
    ]
    with transaction():
        events.clients_imported.emit(rows=rows)
    site.sync()
    found = service.states(site.clients)
    assert [(found[i].kind, found[i].reason) for i in site.clients] == [
        ("suspended", "imported"), ("suspended", "imported"), ("active", ""),
    ]  # fmt: skip
    assert [site.access(i).basis for i in (first, second)] == ["open", "overdue"]  # who owes, and who does not
    site.agree()
