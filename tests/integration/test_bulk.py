"""Bulk actions: their reach, what they keep, how they are undone, how they go on after a kill."""

import json
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from wisp.bulk import jobs, service
from wisp.bulk.action import get
from wisp.bulk.models import BulkChange, BulkRun
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers import service as routers
from wisp.routers.models import Zone
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask

SWITCH, PLAN, EXCLUDE = "activar-tareas-periodicas", "cambiar-plan", "excluir-del-corte"
CUT_OFF = {"zone": None, "kinds": {"cut": False}}


@pytest.fixture
def world(app: Flask) -> Any:
    """Zones Norte (ZON and ZO2 billed by it, OWN with own billing) and Sur (SUR with own billing)."""
    with app.app_context(), clock.frozen(factories.moment("2026-11-10 10:00")):
        router = factories.make_router(name="Torre")
        north, south = factories.make_zone(router, name="Norte"), factories.make_zone(router, name="Sur")
        plan = factories.make_plan(name="Casa")
        for code in ("ZON", "ZO2"):
            factories.make_client(north, plan, code=code)
        factories.make_client(north, plan, code="OWN", own={})
        factories.make_client(south, plan, code="SUR", own={})
        yield {"Norte": north.id, "Sur": south.id, "Casa": plan.id}


def run(key: str, values: dict[str, Any], scope: Scope = EVERYTHING, token: str = "") -> BulkRun:
    with transaction():
        run_id = service.order(get(key), values, token or f"{key}-{len(runs())}", scope).id
    jobs.work(run_id)
    return fresh(run_id)


def fresh(run_id: int) -> BulkRun:
    session().rollback()
    session().expire_all()
    return session().get_one(BulkRun, run_id)


def undo(found: BulkRun) -> BulkRun:
    with transaction():
        service.undo(found.id)
    jobs.work(found.id)
    return fresh(found.id)


def runs() -> list[int]:
    return list(session().scalars(sa.select(BulkRun.id)))


def off() -> set[tuple[str, str]]:
    """(owner, kind) of what is switched off; fails where such a task has a next run, or another has none."""
    session().rollback()
    session().expire_all()
    found = set()
    for task in session().scalars(sa.select(PeriodicTask).where(PeriodicTask.archived_at.is_(None))):
        zone = session().scalar(sa.select(Zone.name).where(Zone.schedule_id == task.schedule_id))
        client = session().scalar(sa.select(Client.code).where(Client.schedule_id == task.schedule_id))
        assert (task.next_at is not None) == task.enabled
        if not task.enabled:
            found.add((zone or client or "", task.kind))
    return found


def client(code: str) -> Client:
    session().rollback()
    session().expire_all()
    return clients.find(code)


def test_it_reaches_both_kinds_of_billing_in_one_zone_or_in_all(world: dict[str, int]) -> None:
    reach = get(SWITCH).reach(CUT_OFF, EVERYTHING)
    assert (reach.changes, reach.zones, reach.clients) == (4, 2, 4)
    one = {"zone": world["Norte"], "kinds": {"cut": False, "notice": False}}
    found = run(SWITCH, one)
    assert (found.state, found.changed, found.zones, found.clients) == ("done", 4, 1, 3)
    assert off() == {(owner, kind) for owner in ("Norte", "OWN") for kind in ("cut", "notice")}
    found = run(SWITCH, CUT_OFF)
    assert (found.changed, found.zones, found.clients) == (2, 1, 1)
    assert ("Sur", "cut") in off()
    assert ("SUR", "cut") in off()
    run(SWITCH, {"zone": None, "kinds": {"cut": True, "notice": True}})
    assert off() == set()


def test_what_is_not_to_change_stays_and_nothing_twice(world: dict[str, int]) -> None:
    run(SWITCH, {"zone": None, "kinds": {"notice": False}})
    run(SWITCH, CUT_OFF)
    assert {kind for _owner, kind in off()} == {"notice", "cut"}
    assert run(SWITCH, CUT_OFF).changed == 0


def test_archived_tasks_and_cancelled_clients_are_not_reached(world: dict[str, int]) -> None:
    with transaction():
        clients.zone_billing(clients.find("OWN"))
        clients.cancel(clients.find("SUR"))
    reach = get(SWITCH).reach(CUT_OFF, EVERYTHING)
    assert (reach.changes, reach.zones, reach.clients) == (2, 2, 3)


def test_a_person_with_some_zones_reaches_no_others(world: dict[str, int]) -> None:
    scope = Scope(frozenset({world["Sur"]}))
    found = run(SWITCH, CUT_OFF, scope)
    assert off() == {("Sur", "cut"), ("SUR", "cut")}
    assert service.find(found.id, scope).id == found.id
    with pytest.raises(Refused):
        service.find(found.id, Scope(frozenset({world["Norte"]})))
    everywhere = run(SWITCH, {"zone": None, "kinds": {"notice": False}})
    with pytest.raises(Refused):
        service.find(everywhere.id, scope)


def test_undo_restores_what_nobody_has_changed_since_and_lists_the_rest(world: dict[str, int]) -> None:
    with transaction():
        clients.switch(clients.find("SUR"), {Kind.cut: False})
    found = run(SWITCH, CUT_OFF)
    assert found.changed == 3
    with transaction():  # somebody switches one on again, and gives a client back to its zone
        routers.switch_zone(session().get_one(Zone, world["Norte"]), {Kind.cut: True})
        clients.zone_billing(clients.find("OWN"))
    found = undo(found)
    assert (found.state, found.restored, found.kept) == ("undone", 1, 2)
    outcomes = {
        (zone.name, owner.code if owner else ""): change.outcome
        for change, zone, owner in session().execute(service.changes_of(found.id))
    }
    assert outcomes == {("Norte", ""): "kept", ("Sur", ""): "restored", ("Norte", "OWN"): "kept"}
    assert ("SUR", "cut") in off()  # it stood so before
    assert ("Norte", "cut") not in off()
    assert ("Sur", "cut") not in off()
    with pytest.raises(Refused), transaction():
        service.undo(found.id)


def test_undo_leaves_alone_what_somebody_changed_and_changed_back(world: dict[str, int]) -> None:
    found = run(SWITCH, CUT_OFF)
    for wanted in (True, False):
        with transaction():
            routers.switch_zone(session().get_one(Zone, world["Norte"]), {Kind.cut: wanted})
    found = undo(found)
    assert (found.restored, found.kept) == (3, 1)
    assert off() == {("Norte", "cut")}


def test_undo_of_two_actions_one_after_the_other_restores_both(world: dict[str, int]) -> None:
    first = run(SWITCH, CUT_OFF)
    second = run(SWITCH, {"zone": None, "kinds": {"cut": True}})
    assert (undo(second).restored, len(off())) == (4, 4)
    assert (undo(first).restored, off()) == (4, set())


def test_undo_tells_other_changes_of_a_client_from_its_own(world: dict[str, int]) -> None:
    other = factories.make_plan(name="Fibra")
    found = run(PLAN, {"zone": world["Norte"], "present": world["Casa"], "new": other.id})
    with transaction():
        clients.edit(clients.find("ZON"), phone="55 1234 5678")
    for plan in (factories.make_plan(name="Otro"), other):
        with transaction():
            clients.edit(clients.find("ZO2"), plan=plan)
    found = undo(found)
    assert (found.restored, found.kept) == (2, 1)
    assert [client(code).plan.name for code in ("ZON", "OWN", "ZO2")] == ["Casa", "Casa", "Fibra"]


def test_switched_on_again_takes_the_next_future_occurrence(world: dict[str, int]) -> None:
    found = run(SWITCH, CUT_OFF)
    with clock.frozen(factories.moment("2027-02-25 10:00")):
        undo(found)
    assert {t.next_at for t in session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "cut"))} == {
        factories.moment("2027-03-22 08:00")
    }


def test_every_change_is_in_the_name_of_whoever_ordered_it(world: dict[str, int]) -> None:
    audit.act_as(audit.Actor("staff:ana@example.com"))
    with transaction():
        run_id = service.order(get(SWITCH), CUT_OFF, "t" * 16).id
    audit.act_as(audit.SYSTEM)
    jobs.work(run_id)
    names = session().scalars(sa.select(audit.AuditEntry.actor).where(audit.AuditEntry.action == "task.switch"))
    assert list(names) == ["staff:ana@example.com"] * 4
    assert audit.actor() == audit.SYSTEM


def test_a_killed_run_goes_on_and_keeps_every_earlier_value(
    world: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STEP", 1)
    with transaction():
        run_id = service.order(get(SWITCH), CUT_OFF, "t" * 16).id
    with transaction():
        assert service.step(run_id)
    with pytest.raises(ZeroDivisionError), transaction():
        service.step(run_id)
        raise ZeroDivisionError
    assert len(off()) == 1
    assert service.abandoned() == []
    with clock.frozen(clock.now() + 2 * service.ABANDONED):
        assert service.abandoned() == [run_id]
        jobs.work(run_id)
    assert (fresh(run_id).changed, len(off())) == (4, 4)
    kept = session().scalars(sa.select(BulkChange.before).where(BulkChange.run_id == run_id)).all()
    assert kept == [{"enabled": True}] * 4
    assert undo(fresh(run_id)).restored == 4
    assert off() == set()


def test_change_the_plan_of_many_clients_and_back(world: dict[str, int]) -> None:
    other = factories.make_plan(name="Fibra").id
    values = {"zone": world["Norte"], "present": world["Casa"], "new": other}
    found = run(PLAN, values)
    assert (found.changed, found.zones, found.clients) == (3, 1, 3)
    assert [client(code).plan_id for code in ("ZON", "OWN", "SUR")] == [other, other, world["Casa"]]
    with transaction():
        clients.edit(clients.find("ZO2"), plan=factories.make_plan(name="Otro"))
        clients.cancel(clients.find("OWN"))
    found = undo(found)
    assert (found.restored, found.kept) == (1, 2)
    assert client("ZON").plan.name == "Casa"
    assert client("ZO2").plan.name == "Otro"


def test_exclude_from_the_cut_until_a_date_and_back(world: dict[str, int]) -> None:
    with transaction():
        clients.edit(clients.find("ZON"), no_cut_until=date(2026, 11, 12))
        clients.edit(clients.find("ZO2"), no_cut_until=date(2026, 12, 31))
        clients.edit(clients.find("SUR"), no_cut=True)
    found = run(EXCLUDE, {"zone": None, "until": "2026-11-30"})
    assert (found.changed, found.clients) == (2, 2)
    days = {code: client(code).no_cut_until for code in ("ZON", "ZO2", "OWN", "SUR")}
    assert days == {"ZON": date(2026, 11, 30), "ZO2": date(2026, 12, 31), "OWN": date(2026, 11, 30), "SUR": None}
    assert undo(found).restored == 2
    assert (client("ZON").no_cut_until, client("OWN").no_cut_until) == (date(2026, 11, 12), None)


def test_one_that_is_refused_fails_alone(world: dict[str, int]) -> None:
    with transaction():
        session().execute(sa.text("UPDATE client SET connection = 'pppoe', username = '' WHERE code = 'ZON'"))
    found = run(EXCLUDE, {"zone": None, "until": "2026-11-30"})
    assert (found.state, found.changed, found.failed) == ("done", 3, 1)
    assert undo(found).restored == 3


def test_on_the_command_line(app: Flask, world: dict[str, int]) -> None:
    command = app.test_cli_runner()
    args = ["bulk", "switch", "--all-zones", "--cut", "off", "--json"]
    shown = command.invoke(args=args)
    assert shown.exit_code == 1
    assert json.loads(shown.stdout) == {"run": None, "zones": 2, "clients": 4, "changes": 4}
    assert off() == set()
    answer = json.loads(command.invoke(args=[*args, "--yes"]).stdout)
    assert (answer["zones"], answer["clients"], answer["changes"]) == (2, 4, 4)
    assert {kind for _owner, kind in off()} == {"cut"}
    answer = json.loads(command.invoke(args=["bulk", "undo", str(answer["run"]), "--json"]).stdout)
    assert (answer["state"], answer["restored"]) == ("undone", 4)
    for wrong in (["--cut", "off"], ["--all-zones"], ["--zone", "Norte", "--all-zones", "--cut", "off"]):
        assert command.invoke(args=["bulk", "switch", *wrong, "--yes"]).exit_code == 1
    assert command.invoke(args=["bulk", "switch", "--zone", "Sur", "--cut", "off", "--yes"]).exit_code == 0
    assert off() == {("Sur", "cut"), ("SUR", "cut")}
