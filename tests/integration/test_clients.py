"""Clients and plans: what may be saved, what follows from it, who is found."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from wisp.access.models import Access
from wisp.clients import csvfile, listing, networks, plans, search, service
from wisp.clients.listing import Filters
from wisp.clients.models import Client
from wisp.core import crypto, events
from wisp.core.audit import AuditEntry
from wisp.core.db import db, session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers.models import Zone
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask

MOMENTS = {Kind.invoices: (10, 480), Kind.notice: (13, 540), Kind.cut: (15, 480)}


@pytest.fixture(autouse=True)
def _context(ctx: Flask) -> None:
    """All of it happens inside an application context."""


@contextmanager
def listening(event: events.Event) -> Iterator[list[dict[str, Any]]]:
    """What is told while the block runs."""
    told: list[dict[str, Any]] = []

    def receive(**values: Any) -> None:
        told.append(values)

    event.connect(receive)
    yield told
    event._receivers.remove(receive)


def again(code: str = "C1") -> Client:
    session().rollback()
    return service.find(code)


def add(code: str = "C1", zone: Zone | None = None, **values: Any) -> Client:
    """A client saved by the use case."""
    zone, plan = zone or factories.make_zone(), factories.make_plan()
    with transaction():
        return service.add(code=code, zone=zone, plan=plan, **{"name": "Ana", "connection": "static", **values})


def refused(code: str) -> Any:
    """Expect a refusal with this code."""
    return pytest.raises(Refused, check=lambda error: error.code == code)


def last_audit() -> AuditEntry:
    return session().scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first() or AuditEntry()


def test_a_new_client_is_told_found_and_written_down() -> None:
    with listening(events.client_saved) as told:
        client = add(name="Ñico Peña", address="10.0.0.9", password="pw", mac="aabbccddeeff")
    assert told == [{"client_ids": [client.id]}]
    client = again()
    assert (client.name_key, client.mac, client.router_id) == ("nico pena", "AA:BB:CC:DD:EE:FF", client.zone.router_id)
    assert crypto.decrypt(client.password) == "pw"
    assert [found.code for found in listed(text="pena")] == ["C1"]
    entry = last_audit()
    assert (entry.action, entry.target) == ("client.add", "client:C1")
    assert "pw" not in json.dumps(entry.after)
    assert session().get(Access, client.id) is not None


def listed(scope: Scope = EVERYTHING, **filters: Any) -> list[Client]:
    session().rollback()
    query = listing.query(scope, Filters(**filters))
    return list(session().scalars(query.order_by(Client.name_key, Client.id)))


@pytest.mark.parametrize(
    ("values", "code"),
    [({"name": " "}, "clients.value"), ({"address": "10.0.0.0/8"}, "clients.value"), ({"email": "x"}, "clients.value"),
     ({"connection": "fibre"}, "clients.value"), ({"connection": "pppoe"}, "clients.username_required"),
     ({"code": "a b"}, "clients.value")],
)  # fmt: skip
def test_values_that_cannot_be_right_are_refused(values: dict[str, str], code: str) -> None:
    with refused(code):
        add(**values)
    session().rollback()
    assert session().scalars(sa.select(Client)).all() == []


def test_a_code_is_never_used_again() -> None:
    add()
    with transaction():
        service.cancel(service.find("C1"))
    with refused("clients.code_taken"):
        add()


def test_an_address_is_unique_among_the_living_of_a_router() -> None:
    zone = factories.make_zone()
    sibling = factories.make_zone(zone.router)
    add("A", zone, address="10.0.0.1", name="Vecina")
    with refused("clients.address_taken") as said:
        add("B", sibling, address="10.0.0.1")
    assert (said.value.values["client"], said.value.values["name"]) == ("A", "Vecina")
    add("elsewhere", address="10.0.0.1")
    with transaction():
        service.cancel(service.find("A"))
    add("C", sibling, address="10.0.0.1")
    add("D", zone, address="10.0.0.2")
    with refused("clients.address_taken"), transaction():
        service.edit(service.find("D"), address="10.0.0.1")


@pytest.mark.parametrize(
    ("mine", "free"),
    [
        ({"networks": "203.0.113.8/29"}, False), ({"networks": "203.0.113.0/24"}, False),
        ({"networks": "203.0.113.12"}, False), ({"address": "203.0.113.15"}, False),
        ({"networks": "10.9.0.0/24"}, False),
        ({"networks": "2001:db8:1::/64"}, False), ({"address6": "2001:db8:1::5"}, False),
        ({"address6": "2001:db8::/32"}, False), ({"networks": "10.9.0.5"}, False),
        ({"networks": "203.0.113.16/29 10.9.1.0/24 2001:db8:2::/64"}, True), ({"address6": "2001:db8:2::5"}, True),
    ],
)  # fmt: skip
def test_networks_have_nothing_in_common_with_what_others_of_the_router_have(mine: dict[str, str], free: bool) -> None:
    zone, plan = factories.make_zone(), factories.make_plan()
    common: dict[str, Any] = {"plan": plan, "name": "Ana", "connection": "static"}
    with transaction():
        first = service.add(
            code="A", zone=zone, address="10.9.0.5", networks="203.0.113.8/29 2001:db8:1::/56", **common
        )
        service.add(code="B", zone=factories.make_zone(), **common, **mine)  # another router
    session().rollback()
    if not free:
        with pytest.raises(Refused) as refused, transaction():
            service.add(code="C", zone=zone, **common, **mine)
        assert refused.value.values["client"] == "A"
        with transaction():
            other = service.add(code="C", zone=zone, **common)
        with pytest.raises(Refused), transaction():
            service.edit(service.find("C"), **mine)
        with pytest.raises(Refused), transaction():
            service.move(service.find("B"), zone)
        with transaction():
            service.cancel(first)  # what it had is free again
        assert networks.of([first.id]) == {first.id: ("2001:db8:1::/56", "203.0.113.8/29")}
        with transaction():
            service.edit(service.find(other.code), **mine)
    else:
        with transaction():
            service.add(code="C", zone=zone, **common, **mine)


def test_networks_move_with_their_client_and_are_all_known() -> None:
    zone, other = factories.make_zone(), factories.make_zone()
    with transaction():
        client = service.add(
            code="A", zone=zone, plan=factories.make_plan(), name="Ana", connection="static", address="10.9.0.5",
            address6="2001:db8::5", networks="203.0.113.8/29",
        )  # fmt: skip
    with transaction():
        service.move(service.find("A"), other)
        assert service.edit(service.find("A"), networks="203.0.113.8/29 10.9.0.6", phone2="555") == {
            "networks",
            "phone2",
        }
    session().rollback()
    with transaction():
        assert service.edit(service.find("A"), networks=("10.9.0.6", "203.0.113.8/29")) == set()
    has = ("10.9.0.5", "2001:db8::5", "10.9.0.6", "203.0.113.8/29")
    assert {tuple(row) for row in session().execute(networks.everything())} == {
        (client.id, other.router_id, value) for value in has
    }
    for found in ("10.9.0.6", "203.0.113", "555"):
        condition = search.matching(found)
        assert condition is not None
        assert session().scalars(sa.select(Client.code).where(condition)).all() == ["A"]
    line = session().scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert line is not None
    assert line.before is not None
    assert line.after is not None
    assert (line.before["networks"], line.after["networks"]) == (["203.0.113.8/29"], ["10.9.0.6", "203.0.113.8/29"])


def test_a_user_is_unique_for_its_kind_of_connection() -> None:
    zone = factories.make_zone()
    add("A", zone, connection="pppoe", username="u")
    add("B", zone, connection="hotspot", username="u")
    with refused("clients.username_taken"):
        add("C", zone, connection="pppoe", username="u")


def test_the_database_itself_refuses_a_second_holder() -> None:
    zone = factories.make_zone()
    add("A", zone, address="10.0.0.1")
    add("B", zone, address="10.0.0.2")
    with pytest.raises(sa.exc.IntegrityError), transaction() as s:
        s.execute(sa.update(Client).where(Client.code == "B").values(address="10.0.0.1"))


def test_only_what_changed_is_written() -> None:
    add(address="10.0.0.1", phone="1")
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE client "):
            statements.append(statement)

    bind = db.engine
    sa.event.listen(bind, "before_cursor_execute", note)
    try:
        with transaction():
            changed = service.edit(service.find("C1"), phone="2", address="10.0.0.1", name="Ana")
    finally:
        sa.event.remove(bind, "before_cursor_execute", note)
    assert changed == {"phone"}
    assert len(statements) == 1
    assert "address" not in statements[0]
    assert (last_audit().before, last_audit().after) == ({"phone": "1"}, {"phone": "2"})


def test_a_client_is_found_by_what_it_is_called_now() -> None:
    add(name="Ana Roja", address="10.0.0.1")
    with transaction():
        service.edit(service.find("C1"), name="Ana Verde", address="10.0.0.2")
    assert [codes(listed(text=text)) for text in ("verde", "roja", "10.0.0.2", "10.0.0.1")] == [["C1"], [], ["C1"], []]
    assert again().name_key == "ana verde"


def test_nothing_changed_tells_nobody() -> None:
    add()
    with listening(events.client_saved) as told, transaction():
        assert service.edit(service.find("C1"), name="Ana", password="") == set()
    assert told == []
    assert last_audit().action == "client.add"


def test_a_password_is_kept_unless_a_new_one_is_given() -> None:
    add(connection="pppoe", username="u", password="one")
    with transaction():
        assert service.edit(service.find("C1"), password="") == set()
        assert service.edit(service.find("C1"), password="two") == {"password"}
    assert crypto.decrypt(again().password) == "two"
    assert "two" not in json.dumps(last_audit().after)


def test_moving_takes_the_client_to_the_other_router() -> None:
    client = add(address="10.0.0.1")
    old, other = client.router_id, factories.make_zone()
    with listening(events.client_moved) as told, transaction():
        assert service.move(service.find("C1"), other)
    moved = again()
    assert (moved.zone_id, moved.router_id) == (other.id, other.router_id)
    assert told == [{"client_ids": [client.id], "old_router_id": old, "new_router_id": other.router_id}]


def test_moving_to_a_router_where_the_address_is_taken_is_refused() -> None:
    other = factories.make_zone()
    add("there", other, address="10.0.0.1")
    add(address="10.0.0.1")
    with refused("clients.address_taken"), transaction():
        service.move(service.find("C1"), other)


def test_cancelling_keeps_the_client_and_ends_its_tasks() -> None:
    add()
    with transaction():
        service.own_billing(service.find("C1"), billing_type="prepaid", due_day=12, moments=MOMENTS)
    with listening(events.client_cancelled) as told, transaction():
        service.cancel(service.find("C1"))
    client = again()
    assert told == [{"client_ids": [client.id]}]
    assert client.cancelled_at is not None
    assert all(task.archived_at and task.next_at is None for task in client.schedule.tasks)
    for change in (lambda: service.cancel(again()), lambda: service.edit(again(), name="B")):
        with refused("clients.cancelled"), transaction():
            change()


def test_own_billing_brings_its_three_tasks_and_zone_billing_archives_them() -> None:
    add()
    with transaction():
        service.own_billing(service.find("C1"), billing_type="postpaid", due_day=12, moments=MOMENTS)
    schedule = again().schedule
    assert {task.kind: (task.day, task.minute) for task in schedule.tasks} == MOMENTS
    assert all(task.next_at for task in schedule.tasks)
    with transaction():
        service.zone_billing(service.find("C1"))
    client = again()
    assert not client.own_billing
    assert all(task.archived_at and task.next_at is None for task in client.schedule.tasks)
    with transaction():
        service.own_billing(
            service.find("C1"), billing_type="prepaid", due_day=3, moments={**MOMENTS, Kind.cut: (1, 0)}
        )
    client = again()
    assert client.schedule_id == schedule.id
    assert all(task.archived_at is None and task.next_at for task in client.schedule.tasks)
    assert session().scalar(sa.select(sa.func.count()).select_from(PeriodicTask)) == 6


def test_changing_own_billing_to_a_day_gone_by_asks() -> None:
    from wisp.core import clock

    add()
    with clock.frozen(factories.moment("2026-03-11 12:00")):
        with transaction():
            service.own_billing(service.find("C1"), billing_type="prepaid", due_day=12, moments=MOMENTS)
        early = {**MOMENTS, Kind.cut: (2, 480)}
        with refused("schedules.needs_choice"), transaction():
            service.own_billing(service.find("C1"), billing_type="prepaid", due_day=12, moments=early)
        with transaction():
            service.own_billing(
                service.find("C1"), billing_type="prepaid", due_day=12, moments=early, this_month="skip"
            )
    cut = next(task for task in again().schedule.tasks if task.kind == "cut")
    assert cut.next_at == factories.moment("2026-04-02 08:00")


# Lists -----------------------------------------------------------------------------------------------


def make_crowd() -> tuple[Zone, Zone]:
    north, south = factories.make_zone(name="Norte"), factories.make_zone(name="Sur")
    factories.make_client(north, code="A1", name="Águeda Zapata", phone="+52 55 1234 5678", address="10.5.0.1")
    factories.make_client(north, code="A2", name="Benito Ávila", connection="pppoe", username="benito@isp", own={})
    factories.make_client(south, code="A3", name="Zoé Águila", cancelled_at=factories.moment("2026-01-01 00:00"))
    factories.make_client(south, code="A4", name="ana luz", address="10.5.0.10")
    with transaction() as s:
        search.index(list(s.scalars(sa.select(Client.id))))
    return north, south


def codes(clients: list[Client]) -> list[str]:
    return [client.code for client in clients]


def test_lists_are_sorted_as_people_sort() -> None:
    make_crowd()
    assert [client.name for client in listed(state="all")] == ["Águeda Zapata", "ana luz", "Benito Ávila", "Zoé Águila"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("agueda", ["A1"]), ("avila", ["A2"]), ("agu", ["A1", "A3"]), ("zapata agueda", ["A1"]), ("a4", ["A4"]),
     ("10.5.0.1", ["A1", "A4"]), ("10.5.0.10", ["A4"]), ("1234 5678", []), ("55 1234 5678", ["A1"]),
     ("benito@", ["A2"]), ("isp", ["A2"]), ("nobody", []), ("%", []), ("_", []), ("\0'\"", None)],
)  # fmt: skip
def test_search(text: str, expected: list[str] | None) -> None:
    make_crowd()
    found = codes(listed(state="all", text=text))
    assert found == (expected if expected is not None else codes(listed(state="all")))


def test_a_word_that_many_have_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    make_crowd()
    for text in ("agu", "a", "a luz", "10"):
        few = codes(listed(state="all", text=text))
        with monkeypatch.context() as patch:
            patch.setattr(search, "COMMON", 0)
            assert codes(listed(state="all", text=text)) == few


def test_search_by_invoice() -> None:
    from wisp.core import clock
    from wisp.invoices.models import Invoice, InvoiceSeries

    make_crowd()
    with transaction() as s:
        series = InvoiceSeries(prefix="F-", next_number=43)
        s.add(series)
        s.flush()
        owner = s.scalars(sa.select(Client).where(Client.code == "A4")).one()
        s.add(
            Invoice(
                series_id=series.id, number=42, label="F-42", client_id=owner.id, kind="opening", currency="MXN",
                issued=date(2026, 1, 1), due=date(2026, 1, 9), customer="x", tax_bp=0, net=1, tax=0, total=1,
                created_at=clock.now(),
            )
        )  # fmt: skip
    for text in ("F-42", "f-42", "42"):
        assert codes(listed(text=text)) == ["A4"], text
    assert codes(listed(text="G-42")) == []


def test_filters() -> None:
    north, south = make_crowd()
    with transaction() as s:
        owner = s.scalars(sa.select(Client).where(Client.code == "A4")).one()
        s.execute(sa.update(Access).where(Access.client_id == owner.id).values(suspended=True, reason="debt"))
    assert codes(listed()) == ["A1", "A4", "A2"]
    assert codes(listed(zone_id=south.id)) == ["A4"]
    assert codes(listed(state="cancelled")) == ["A3"]
    assert codes(listed(state="suspended")) == ["A4"]
    assert codes(listed(state="active")) == ["A1", "A2"]
    assert codes(listed(billing="own")) == ["A2"]
    assert codes(listed(billing="zone")) == ["A1", "A4"]
    assert codes(listed(Scope(frozenset({north.id})), state="all")) == ["A1", "A2"]
    assert codes(listed(Scope(frozenset()), state="all")) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, "active"), ({"suspended": True, "reason": "debt"}, "cutting"), ({"applied_suspended": True}, "reactivating"),
     ({"suspended": True, "reason": "manual", "applied_suspended": True}, "suspended")],
)  # fmt: skip
def test_where_a_client_stands(values: dict[str, Any], expected: str) -> None:
    client = factories.make_client()
    if values:
        with transaction() as s:
            s.execute(sa.update(Access).values(**values))
    assert listing.standings([client])[client.id].state == expected


def test_out_of_scope_is_not_found() -> None:
    client = factories.make_client()
    assert service.find(client.code, Scope(frozenset({client.zone_id}))).id == client.id
    with refused("clients.unknown"):
        service.find(client.code, Scope(frozenset({client.zone_id + 1})))


# Plans -----------------------------------------------------------------------------------------------


def test_plans() -> None:
    with transaction():
        plans.add("Casa", 35_000, 20_000_000, 5_000_000)
    with refused("plans.name_taken"), transaction():
        plans.add(" Casa ", 1)
    with refused("plans.price"), transaction():
        plans.add("Otro", -1)
    with transaction():
        plans.edit(plans.find("Casa"), name="Casa", price=40_000, down=0, up=0)
    assert (last_audit().before, last_audit().after) == (
        {"price": 35_000, "down": 20_000_000, "up": 5_000_000}, {"price": 40_000, "down": 0, "up": 0},
    )  # fmt: skip


# Command line ----------------------------------------------------------------------------------------


def flask(app: Flask, *words: str) -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout, stderr."""
    session().rollback()
    result = app.test_cli_runner().invoke(args=[*words, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.strip() else None, result.stderr


def test_commands_from_plan_to_cancellation(ctx: Flask, tmp_path: Path) -> None:
    factories.make_zone(factories.make_router(name="Torre"), name="Norte")
    code, plan, _ = flask(ctx, "plans", "add", "--name", "Casa", "--price", "350.00", "--down", "20M", "--up", "5M")
    assert (code, plan["price"], plan["down"]) == (0, "350.00", "20M")
    file = tmp_path / "clients.csv"
    file.write_text(",".join(csvfile.BASE) + "\nA,Ana,,,Norte,Casa,static,10.0.0.1,,,,,\n")
    code, told, _ = flask(ctx, "clients", "import", str(file))
    assert (code, told) == (0, {"added": 1, "passwords": 0, "ignored": 0, "next_run": 1, "notes": []}
                            | {"changed": 0, "unchanged": 0, "errors": []})  # fmt: skip
    assert flask(ctx, "clients", "import", str(file))[1]["unchanged"] == 1
    code, rows, _ = flask(ctx, "clients", "list")
    assert [(row["code"], row["zone"], row["state"], row["billing"]) for row in rows] == [
        ("A", "Norte", "active", "zone")
    ]
    moments = ["--invoice", "10 08:00", "--due", "12", "--notice", "13 09:00", "--cut", "15 08:00"]
    assert flask(ctx, "clients", "own-billing", "A", *moments)[0] == 0
    shown = flask(ctx, "clients", "show", "A")[1]
    assert shown["billing"] == "own"
    assert (shown["schedule"]["invoices"], shown["schedule"]["due"]) == ("10 08:00", 12)
    assert flask(ctx, "clients", "zone-billing", "A")[0] == 0
    assert flask(ctx, "clients", "export", str(tmp_path / "out.csv"))[0] == 0
    assert flask(ctx, "clients", "import", str(tmp_path / "out.csv"))[1]["unchanged"] == 1
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600
    assert flask(ctx, "clients", "cancel", "A")[0] == 0
    code, _, error = flask(ctx, "clients", "cancel", "A")
    assert code == 1
    assert "A" in error
    assert len(error.strip().splitlines()) == 1


def test_a_refused_import_lists_the_errors_and_fails(ctx: Flask, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_text(",".join(csvfile.BASE) + "\nA,Ana,,,Norte,Casa,static,10.0.0.1,,,,,\n")
    code, answer, error = flask(ctx, "clients", "import", str(file))
    assert code == 1
    assert [(row["line"], row["column"]) for row in answer["errors"]] == [(2, "zone"), (2, "plan")]
    assert "Norte" in answer["errors"][0]["reason"]
    assert len(error.strip().splitlines()) == 1
    assert flask(ctx, "clients", "list")[1] == []


def test_a_client_is_changed_on_the_command_line(ctx: Flask) -> None:
    factories.make_client(factories.make_zone(name="Norte"), factories.make_plan(name="Casa"), code="C1")
    factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    factories.make_plan(name="Negocio")
    run = ctx.test_cli_runner().invoke
    named = ("--zone", "Sur", "--plan", "Negocio", "--free", "yes", "--no-notice", "yes", "--no-cut", "2027-01-31")
    told = run(args=["clients", "set", "C1", *named, "--json"])
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["changed"] == ["free", "no_cut_until", "no_notice", "plan", "zone"]
    session().rollback()
    client = service.find("C1")
    assert (client.zone.name, client.plan.name, client.free, client.no_notice) == ("Sur", "Negocio", True, True)
    assert (client.no_cut, client.no_cut_until) == (False, date(2027, 1, 31))
    assert run(args=["clients", "set", "C1", "--no-cut", "no", "--free", "no"]).exit_code == 0
    session().rollback()
    assert (service.find("C1").no_cut_until, service.find("C1").free) == (None, False)
    assert run(args=["clients", "set", "C1", "--no-cut", "soon"]).exit_code == 2
    assert run(args=["clients", "set", "C1", "--zone", "Oeste"]).exit_code == 1
    assert run(args=["clients", "set", "nobody", "--free", "yes"]).exit_code == 1


def test_wrong_usage_is_exit_2(ctx: Flask) -> None:
    assert flask(ctx, "plans", "add", "--name", "Casa", "--price", "lots")[0] == 2
    assert flask(ctx, "clients", "import", "/nowhere.csv")[0] == 2
