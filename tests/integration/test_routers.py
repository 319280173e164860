"""Routers, billing zones, and how routers are found to be."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from wisp.core import clock, crypto, events
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import Scope
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import ErrorCode, Target
from wisp.routers import dates, health, jobs, service, texts
from wisp.routers.models import Router, Zone
from wisp.routers.service import RouterValues
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind

MOMENTS = {Kind.invoices: (15, 720), Kind.notice: (18, 540), Kind.cut: (22, 480)}


@pytest.fixture(autouse=True)
def _context(ctx: Flask) -> None:
    """All of it happens inside an application context."""


def refused(code: str) -> Any:
    """Expect a refusal with this code."""
    return pytest.raises(Refused, check=lambda error: error.code == code)


def values(**changes: Any) -> RouterValues:
    return RouterValues(
        **{"name": "Torre", "host": "10.0.0.1", "port": 8728, "username": "u", "password": "pw"} | changes
    )


def add(**changes: Any) -> Router:
    with transaction():
        return service.add_router(values(**changes))


def again() -> Router:
    session().rollback()
    return session().scalars(sa.select(Router)).one()


def test_the_password_is_stored_encrypted_and_never_written_down() -> None:
    router = add(password="s3cret")
    assert "s3cret" not in router.password
    assert service.target(router).password == "s3cret"
    with transaction():
        service.edit_router(service.find_router("Torre"), values(password="n3wer", port=8729))
    assert service.target(again()).password == "n3wer"
    written = json.dumps([[e.before, e.after] for e in session().scalars(sa.select(AuditEntry))])
    assert "s3cret" not in written
    assert "n3wer" not in written
    assert '"port": 8729' in written


@pytest.mark.parametrize("change", [
    {"host": "10.0.0.66"}, {"port": 8060}, {"username": "other"}, {"tls": False}, {"fingerprint": "b" * 64},
    {"fingerprint": ""},
])  # fmt: skip
def test_an_absent_password_stays_but_travels_nowhere_else(change: dict[str, Any]) -> None:
    before: dict[str, Any] = {"tls": True, "fingerprint": "a" * 64}
    add(**before)
    with transaction():
        service.edit_router(service.find_router("Torre"), values(password=None, name="Torre 2", **before))
    assert service.target(again()).password == "pw"
    with refused("routers.password_again"), transaction():
        service.edit_router(service.find_router("Torre 2"), values(password=None, **(before | change)))
    now = again()
    assert (now.host, now.port, now.tls) == ("10.0.0.1", 8728, True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"name": " "}, "routers.name"), ({"host": "http://x"}, "routers.host"), ({"host": "a b"}, "routers.host"),
     ({"port": 0}, "routers.port"), ({"port": 65536}, "routers.port"), ({"username": ""}, "routers.username"),
     ({"fingerprint": "abc"}, "routers.fingerprint")],
)  # fmt: skip
def test_values_that_cannot_be_right_are_refused(changes: dict[str, Any], code: str) -> None:
    with refused(code):
        add(**changes)


def test_names_are_unique_among_routers_in_use() -> None:
    first = add()
    with refused("routers.name_taken"):
        add()
    with transaction():
        service.archive_router(session().get_one(Router, first.id))
    add()


def test_a_router_with_clients_is_not_archived() -> None:
    client = factories.make_client()
    name = client.zone.router.name
    with refused("routers.has_clients"), transaction():
        service.archive_router(service.find_router(name))
    with transaction() as s:
        s.get_one(type(client), client.id).cancelled_at = clock.now()
    with transaction():
        service.archive_router(service.find_router(name))
    assert service.routers() == []
    assert service.zones() == []
    tasks = session().get_one(Zone, client.zone_id).schedule.tasks
    assert all(task.archived_at and task.next_at is None for task in tasks)


# Zones -----------------------------------------------------------------------------------------------


def add_zone(router: Router, name: str = "Norte", **changes: Any) -> Zone:
    schedule = {"billing_type": "prepaid", "due_day": 20, "moments": MOMENTS} | changes
    with transaction():
        return service.add_zone(session().get_one(Router, router.id), name, **schedule)


def test_a_zone_always_has_its_three_tasks() -> None:
    zone = add_zone(add())
    assert {task.kind: (task.day, task.minute) for task in zone.schedule.tasks} == MOMENTS
    assert all(task.next_at and task.enabled for task in zone.schedule.tasks)
    with refused("schedules.incomplete"):
        add_zone(zone.router, "Sur", moments={Kind.cut: (1, 0)})
    session().rollback()
    assert len(service.zones()) == 1


def test_zone_names_are_unique_on_a_router_and_found_by_router_elsewhere() -> None:
    first, second = add(), add(name="Cerro")
    north = add_zone(first)
    with refused("routers.zone_name_taken"):
        add_zone(first)
    assert service.find_zone("Norte").id == north.id
    other = add_zone(second)
    with refused("routers.zone_ambiguous") as said:
        service.find_zone("Norte")
    assert "Cerro/Norte" in said.value.values["names"]
    assert service.find_zone("Cerro/Norte").id == other.id
    with refused("routers.zone_unknown"):
        service.find_zone("Sur")


def test_the_scope_limits_routers_and_zones() -> None:
    first, second = add(), add(name="Cerro")
    mine, _theirs = add_zone(first), add_zone(second, "Sur")
    scope = Scope(frozenset({mine.id}))
    assert [router.id for router in service.routers(scope)] == [first.id]
    assert [zone.id for zone in service.zones(scope)] == [mine.id]
    assert service.get_router(second.id, scope) is None
    assert service.get_zone(_theirs.id, scope) is None
    assert service.routers(Scope(frozenset())) == []


def test_editing_a_zone_moves_its_next_runs_at_once() -> None:
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        zone = add_zone(add())
        with transaction():
            service.edit_zone(service.find_zone("Norte"), name="Centro", moments={Kind.cut: (25, 60)})
        cut = next(task for task in service.find_zone("Centro").schedule.tasks if task.kind == "cut")
        assert cut.next_at == factories.moment("2026-03-25 01:00")
        with refused("schedules.needs_choice"), transaction():
            service.edit_zone(service.find_zone("Centro"), name="Sur", moments={Kind.cut: (5, 60)})
        session().rollback()
        assert session().get_one(Zone, zone.id).name == "Centro"


def test_the_preview_is_what_saving_does() -> None:
    with clock.frozen(factories.moment("2026-03-10 12:00")):
        zone = add_zone(add())
        moved = {**MOMENTS, Kind.cut: (31, 60), Kind.notice: (5, 0)}
        days = schedules.timetable_of("prepaid", 20, moved)
        shown = dates.preview("America/Tijuana", days, zone.schedule)
        assert list(shown.passed) == [Kind.notice]
        with transaction():
            service.edit_zone(service.find_zone("Norte"), moments=moved, timezone="America/Tijuana", this_month="skip")
        for task in service.find_zone("Norte").schedule.tasks:
            assert shown.next_at[Kind(task.kind)] == task.next_at
        assert len(shown.cycles) == 12
        assert [one.cut.astimezone(shown.timezone).day for one in shown.cycles[:4]] == [31, 30, 31, 30]
        same = dates.preview("America/Tijuana", days, service.find_zone("Norte").schedule)
        assert (same.passed, same.next_at, same.cycles) == ({}, shown.next_at, shown.cycles)


# Health ----------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[list[int]]:
    """The routers of which it was said that they are back."""
    back: list[int] = []

    def receive(router_id: int, **_: Any) -> None:
        back.append(router_id)

    events.router_returned.connect(receive)
    yield back
    events.router_returned._receivers.remove(receive)


def make_router(sim: SimulatorServer, **changes: Any) -> Router:
    return factories.make_router(host="127.0.0.1", port=sim.port, **changes)


def test_a_router_that_answers_is_online(router_sim: SimulatorServer, told: list[int]) -> None:
    router = make_router(router_sim)
    jobs.probe(router.id)
    found = again()
    assert (found.online, found.error, found.offline_since) == (True, "", None)
    assert found.identity
    assert found.version.startswith(("6.", "7."))
    assert found.checked_at == found.online_at
    assert told == []


def test_a_router_that_goes_and_comes_back_is_told_once(router_sim: SimulatorServer, told: list[int]) -> None:
    router = make_router(router_sim)
    jobs.probe(router.id)
    router_sim.switch(off=True)
    jobs.probe(router.id)
    first = again()
    since = first.offline_since
    assert (first.online, first.error) == (False, "refused")
    assert first.identity
    jobs.probe(router.id)
    assert again().offline_since == since
    router_sim.switch(off=False)
    jobs.probe(router.id)
    jobs.probe(router.id)
    assert (again().online, again().offline_since, again().error) == (True, None, "")
    assert told == [router.id]


def test_a_late_answer_does_not_overwrite_a_newer_one() -> None:
    router = factories.make_router()
    now = clock.now()
    with transaction():
        health.record(router.id, health.Health(identity="new"), now)
    with transaction():
        health.record(router.id, health.Health(error="timeout"), now - timedelta(seconds=1))
    assert (again().online, again().identity) == (True, "new")


def test_wrong_password_names_its_cause(router_sim: SimulatorServer) -> None:
    router = make_router(router_sim, password="wrong")
    jobs.probe(router.id)
    assert (again().online, again().error) == (False, "login")
    assert texts.cause("login") != "login"


def test_a_password_of_another_key_is_not_sent_anywhere(router_sim: SimulatorServer) -> None:
    router = make_router(router_sim)
    with transaction() as s:
        s.execute(sa.update(Router).values(password=crypto.encrypt("x")[:-4] + "AAAA"))
    jobs.probe(router.id)
    assert (again().online, again().error) == (False, health.UNREADABLE)
    assert router_sim.counters.connections == 0


def test_all_routers_are_asked_at_the_same_time() -> None:
    arrived = threading.Barrier(3, timeout=10)
    kept = health.ask

    def ask(target: Target, *, policies: bool) -> health.Health:
        arrived.wait()  # breaks unless all three are here together
        return health.Health(identity=target.host)

    for name in ("a", "b", "c"):
        factories.make_router(host=f"{name}.example", name=name)
    factories.make_router(archived_at=clock.now(), name="old")
    health.ask = ask  # type: ignore[assignment]
    try:
        jobs.probe_due()
    finally:
        health.ask = kept
    session().rollback()
    assert [router.identity for router in service.routers()] == ["a.example", "b.example", "c.example"]


def test_one_dead_router_does_not_hold_up_the_others(router_sim: SimulatorServer) -> None:
    dead = factories.make_router(name="dead")
    alive = make_router(router_sim, name="alive")
    jobs.probe_due()
    session().rollback()
    assert session().get_one(Router, dead.id).online is False
    assert session().get_one(Router, alive.id).online is True


def test_every_cause_has_its_sentence() -> None:
    for code in [*ErrorCode, health.UNREADABLE]:
        assert texts.cause(code) != code


# Command line ----------------------------------------------------------------------------------------


def flask(app: Flask, *words: str, stdin: str = "") -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout, stderr."""
    session().rollback()
    result = app.test_cli_runner().invoke(args=[*words, "--json"], input=stdin)
    return result.exit_code, json.loads(result.stdout) if result.stdout.strip() else None, result.stderr


ZONE = ("--type", "prepaid", "--invoice", "15 12:00", "--due", "20", "--notice", "18 09:00", "--cut", "22 08:00")


def test_commands(ctx: Flask, router_sim: SimulatorServer) -> None:
    where = ("--host", "127.0.0.1", "--port", str(router_sim.port), "--username", "wisp", "--password-stdin")
    code, router, _ = flask(ctx, "routers", "add", "--name", "Torre", *where, stdin="secret\n")
    assert (code, router["online"], "secret" in json.dumps(router)) == (0, None, False)
    code, router, _ = flask(ctx, "routers", "check", "Torre")
    assert (code, router["online"], router["error"]) == (0, True, "")
    assert (router["board"], router["cpu_load"], abs(router["clock_offset"]) <= 1) == ("RB5009UG+S+", 7, True)
    del router["lacking"]  # asked by a check alone, and kept nowhere
    assert flask(ctx, "routers", "list")[1] == [router]
    code, zone, _ = flask(ctx, "zones", "add", "--router", "Torre", "--name", "Norte", *ZONE, "--timezone", "UTC")
    assert code == 0
    assert (zone["invoices"], zone["cut"], zone["due"], zone["timezone"]) == ("15 12:00", "22 08:00", 20, "UTC")
    assert zone["next"]["cut"].endswith("08:00:00+00:00")
    code, zone, _ = flask(ctx, "zones", "set", "Norte", "--due", "21", "--cut", "28 10:00", "--this-month", "skip")
    assert (code, zone["due"], zone["cut"], zone["notice"], zone["timezone"]) == (0, 21, "28 10:00", "18 09:00", "UTC")
    assert [row["name"] for row in flask(ctx, "zones", "list")[1]] == ["Norte"]
    router_sim.switch(off=True)
    code, router, error = flask(ctx, "routers", "check", "Torre")
    assert (code, router["online"], router["error"]) == (1, False, "refused")
    assert len(error.strip().splitlines()) == 1
    assert [row["name"] for row in flask(ctx, "routers", "list")[1]] == ["Torre"]


@pytest.mark.parametrize(
    ("words", "code"),
    [(("routers", "check", "nowhere"), 1), (("zones", "set", "nowhere", "--due", "3"), 1),
     (("zones", "add", "--router", "nowhere", "--name", "Z", *ZONE), 1),
     (("zones", "add", "--router", "x", "--name", "Z"), 2), (("zones", "set", "x", "--due", "32"), 2)],
)  # fmt: skip
def test_commands_that_fail(ctx: Flask, words: tuple[str, ...], code: int) -> None:
    assert flask(ctx, *words)[0] == code
