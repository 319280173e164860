"""Provisioning when things break, in chunks beside the synchronisation, for many clients, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_plan
from tests.support import provision as p
from tests.support.provision import Tower, only
from wisp.access.domain import SyncReport
from wisp.access.models import Access, ClientProvision, RouterSync
from wisp.access.provision import jobs, service, work
from wisp.clients import csvcheck, csvfile, csvimport
from wisp.clients import service as clients
from wisp.clients.models import Client, Plan
from wisp.core import clock, events, queue
from wisp.core.db import db, session, transaction
from wisp.core.lease import LEASE
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus
from wisp.routers.models import Router

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


# When things break -----------------------------------------------------------------------------------


def test_saved_while_the_router_is_off_it_is_written_when_the_router_returns(tower: Tower) -> None:
    tower.server.switch(off=True)
    client = p.add(tower, **p.KINDS["static"])
    assert service.standing(client).state == "pending"
    work_row = tower.work()
    assert (work_row.error, work_row.done < work_row.requested) == ("refused", True)
    assert work_row.next_attempt_at is not None
    assert service.due(clock.now()) == []
    assert service.due(work_row.next_attempt_at) == [tower.router_id]
    assert p.lease_is_free(tower.router_id)
    tower.server.switch(off=False)
    with p.doing():
        events.router_returned.emit(router_id=tower.router_id)
    assert only(tower.rows(menus.QUEUE))["comment"] == "wisp:C1"
    assert service.standing(client).state == "done"
    assert (tower.work().error, tower.work().next_attempt_at) == ("", None)


def test_killed_after_sending_the_second_run_writes_nothing_and_says_so(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            p.add(tower, **p.KINDS["pppoe"])
    before = tower.everything()
    assert only(tower.rows(menus.SECRET))["name"] == "ana"
    with transaction() as s:  # a killed process gives nothing back: its lease runs out
        s.execute(sa.update(RouterSync).values(lease_until=None, lease_owner=""))
    tower.server.counters.reset()
    jobs.provision(tower.router_id, True)
    assert tower.writes() == 0
    assert tower.everything() == before
    done = tower.work()
    assert (done.added, done.changed, done.unchanged) == (0, 0, 1)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "half_sentence", "swallow"])
def test_a_break_in_the_middle_is_read_again_and_every_object_is_there_once(tower: Tower, fault: Any) -> None:
    make_clients(8, tower.zone)
    with transaction():
        service.want(Client.router_id == tower.router_id)
        service.request([tower.router_id])
    if fault == "swallow":
        tower.server.fault("fatal", "/queue/simple/add", after=3)
    else:
        tower.server.fault(fault, "/queue/simple/add", after=3)
    jobs.provision(tower.router_id, True)
    assert len(tower.ours(menus.QUEUE)) == 8
    assert service.counts(tower.router_id)["done"] == 8
    assert tower.server.counters.logins == 2


def test_what_the_router_refuses_is_told_and_tried_again(tower: Tower) -> None:
    tower.server.fault("trap", "/queue/simple/add", message="failure: out of memory")
    client = p.add(tower, **p.KINDS["static"])
    row = p.provision_of(client)
    assert (row.state, row.detail) == ("failed", "router: failure: out of memory")
    assert tower.work().next_attempt_at is not None
    jobs.provision(tower.router_id, True)
    assert p.provision_of(client).state == "done"
    assert tower.work().next_attempt_at is None


def test_it_goes_in_chunks_and_gives_the_router_back_between_them(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 3)
    make_clients(8, tower.zone)
    free = []
    real = work.begin

    def begin(*args: Any, **values: Any) -> Any:
        session().rollback()
        free.append(session().scalar(sa.select(RouterSync.lease_until)))
        session().rollback()
        session().connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        return real(*args, **values)

    monkeypatch.setattr(work, "begin", begin)
    done = tower.whole()
    assert free == [None, None, None]
    assert (done.added, len(tower.ours(menus.QUEUE)), tower.server.counters.logins) == (8, 8, 3)
    assert tower.whole().unchanged == 8


def test_while_somebody_else_is_at_the_router_nothing_is_sent_and_after_it_the_work_goes_on(tower: Tower) -> None:
    with transaction() as s:
        s.add(RouterSync(router_id=tower.router_id, lease_owner="other", lease_until=clock.now() + LEASE))
    p.add(tower, **p.KINDS["static"])
    assert tower.server.counters.logins == 0
    with transaction() as s:
        s.execute(sa.update(RouterSync).values(lease_until=None, lease_owner=""))
    with p.doing():
        events.router_synced.emit(router_id=tower.router_id, report=SyncReport(0, True))
    assert len(tower.ours(menus.QUEUE)) == 1


def test_a_synchronisation_that_waits_goes_between_two_chunks(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    ids = make_clients(4, tower.zone)
    begin, record = work.begin, work.record
    seen = []

    def counted_begin(*args: Any, **values: Any) -> Any:
        seen.append((len(tower.ours(menus.QUEUE)), len(tower.rows("/ip/firewall/address-list"))))
        return begin(*args, **values)

    def cut_meanwhile(*args: Any) -> bool:
        cut_now = {"suspended": True, "reason": "manual", "wanted_version": 1}
        session().execute(sa.update(Access).where(Access.client_id == ids[3], ~Access.suspended).values(cut_now))
        session().execute(sa.update(RouterSync).values(requested=RouterSync.done + 1))
        return record(*args)

    monkeypatch.setattr(work, "begin", counted_begin)
    monkeypatch.setattr(work, "record", cut_meanwhile)
    tower.whole()
    assert seen[:2] == [(0, 0), (2, 1)]
    assert len(tower.ours(menus.QUEUE)) == 4


def test_an_answer_that_leaves_a_doubt_is_settled_by_another_look(tower: Tower) -> None:
    tower.server.fault("trap", "/queue/simple/add", message="failure: already have such name")
    client = p.add(tower, **p.KINDS["static"])
    assert p.provision_of(client).state == "done"
    assert (len(tower.ours(menus.QUEUE)), tower.server.counters.logins) == (1, 1)


# Many at once ----------------------------------------------------------------------------------------


def test_an_import_costs_a_bounded_number_of_statements(tower: Tower) -> None:
    def statements(count: int, first: int) -> int:
        plan = make_plan()
        lines = [",".join((*csvfile.BASE, "address6"))]
        for n in range(first, first + count):
            lines.append(
                f"I{n},Cliente {n},,,{tower.zone.name},{plan.name},static,10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255},"
                f",,,es,2024-01-01,2001:db8::{n:x}"
            )
        session().rollback()
        seen = []
        engine = db.engine

        def count_one(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "client_provision" in statement or "router_provision" in statement:
                seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", count_one)
        try:
            with transaction():
                csvimport.apply(csvcheck.check("\n".join(lines).encode()))
        finally:
            sa.event.remove(engine, "before_cursor_execute", count_one)
        return len(seen)

    assert statements(10, 1) == statements(1500, 100) > 0
    assert session().scalar(sa.select(sa.func.count()).select_from(ClientProvision)) == 1510


def test_the_command_writes_everything_and_counts(ctx: Flask, tower: Tower) -> None:
    runner = ctx.test_cli_runner()
    make_clients(3, tower.zone)
    tower.server.router.load(menus.SECRET, [{"name": "ana"}])
    with transaction():
        clients.add(
            code="X", zone=tower.zone, plan=session().scalars(sa.select(Plan)).first(), name="X", **p.KINDS["pppoe"]
        )
    name = session().get_one(Router, tower.router_id).name
    result = runner.invoke(args=["routers", "provision", name, "--wait", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    counts = {
        what: found[what] for what in ("added", "changed", "removed", "unchanged", "foreign", "failed", "waiting")
    }
    assert counts == {"added": 3, "changed": 0, "removed": 0, "unchanged": 0, "foreign": 1, "failed": 0, "waiting": 0}
    assert found["state"] == "done"
    tower.server.switch(off=True)
    result = runner.invoke(args=["routers", "provision", name, "--wait", "--json"])
    assert result.exit_code == 1
    result = runner.invoke(args=["routers", "provision", name, "--json"])
    assert json.loads(result.output)["state"] == "ordered"


def test_commands_that_save_clients_can_wait_for_the_router(ctx: Flask, tower: Tower, tmp_path: Path) -> None:
    plan = make_plan()
    file = tmp_path / "clients.csv"
    line = f"I1,Ana,,,{tower.zone.name},{plan.name},static,10.9.0.5,,,,es,"
    file.write_text(",".join(csvfile.BASE) + "\n" + line + "\n")
    session().rollback()
    result = ctx.test_cli_runner().invoke(args=["clients", "import", str(file), "--wait", "--json"])
    assert result.exit_code == 0, result.output
    assert only(tower.rows(menus.QUEUE))["comment"] == "wisp:I1"
    result = ctx.test_cli_runner().invoke(args=["clients", "cancel", "I1", "--wait", "--json"])
    assert result.exit_code == 0, result.output
    assert tower.rows(menus.QUEUE) == []


def test_the_nightly_job_looks_at_every_router(tower: Tower) -> None:
    p.add(tower, **p.KINDS["static"])
    tower.server.router.clear(menus.QUEUE)
    with queue.inline():
        jobs.provision_all()
    assert len(tower.ours(menus.QUEUE)) == 1


def test_due_work_is_started_by_the_sweep(tower: Tower) -> None:
    make_clients(1, tower.zone)
    with transaction():
        service.want(Client.router_id == tower.router_id)
        service.request([tower.router_id])
    with queue.inline():
        jobs.sweep()
    assert len(tower.ours(menus.QUEUE)) == 1
