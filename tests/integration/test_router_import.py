"""Import from a router, over TCP: read, propose, correct, confirm; the lists of another system taken over."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.support.access import CUT, LISTS, NOTICE, Site
from wisp.access.importing import confirming, jobs, service, talk
from wisp.access.importing.models import RouterImport, RouterImportEntry, RouterImportRow
from wisp.clients import networks
from wisp.clients.models import Client
from wisp.core import audit, clock, crypto, queue
from wisp.core.audit import AuditEntry
from wisp.core.db import db, session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.demo.routeros import Router as Simulated
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import ErrorCode, GatewayError
from wisp.invoices.models import Invoice
from wisp.routers.models import Router

MENUS = (
    "/ppp/secret", "/ppp/profile", "/queue/simple", "/ip/dhcp-server/lease", "/ip/hotspot/user", LISTS,
    "/ipv6/firewall/address-list",
)  # fmt: skip
LATIN = "Ana Núñez, señora".encode("cp1252")


def fill(router: Simulated) -> None:
    """A router as another system left it: one client of each kind, two on Morosos, one on Avisos."""
    router.load("/ppp/profile", [{"name": "casa", "local-address": "10.1.0.1", "rate-limit": "6M/30M"}])
    router.load(
        "/ppp/secret",
        [
            {"name": "ana", "password": "12345", "service": "pppoe", "profile": "casa", "remote-address": "10.1.0.5",
             "comment": LATIN},
            {"name": "eva", "password": "yes", "service": "any", "profile": "default", "comment": "Eva ñ",
             "routes": "203.0.113.8/29"},
        ],
    )  # fmt: skip
    router.load(
        "/queue/simple",
        [
            {"name": "cola ana", "target": "10.1.0.5/32", "max-limit": "6M/30M"},
            {"name": "Luis", "target": "10.1.0.6/32", "max-limit": "6000000/30000000", "comment": "Luis Peña"},
            {"name": "Paz", "target": "10.1.0.8/32", "max-limit": "6M/30M"},
            {"name": "red", "target": "10.1.0.0/24", "max-limit": "0/0"},
        ],
    )
    router.load(
        "/ip/dhcp-server/lease",
        [{"address": "10.1.0.7", "mac-address": "02:00:00:00:00:07", "comment": "Ivón"}],
    )
    router.load("/ip/hotspot/user", [{"name": "sol", "password": "abc", "comment": "Sol"}])
    router.load(
        LISTS,
        [
            {"list": "Morosos", "address": "10.1.0.5", "comment": "debe agosto — ñ".encode("cp1252", "replace")},
            {"list": "Morosos", "address": "10.1.0.6"},
            {"list": "Morosos", "address": "10.1.0.99", "comment": "de nadie"},
            {"list": "Avisos", "address": "10.1.0.8"},
            {"list": CUT, "address": "10.1.0.250", "comment": "ajeno"},
        ],
    )


class Import:
    """A site whose router holds clients of another system, and the steps of the import."""

    def __init__(self, server: SimulatorServer) -> None:
        self.site = Site(server, clients=0)
        self.router = server.router
        fill(self.router)
        self.plan = factories.make_plan(name="Hogar", down=30_000_000, up=6_000_000)

    def read(self, scope: Scope = EVERYTHING) -> RouterImport:
        router = session().get_one(Router, self.site.router_id)
        target = service.target(router)
        session().rollback()
        found = service.prepare(self.site.router_id, talk.read(target), scope)
        with transaction():
            return service.keep(session().get_one(Router, self.site.router_id), found, scope)

    def rows(self, review: RouterImport) -> dict[str, RouterImportRow]:
        session().rollback()
        query = service.rows_query(review).execution_options(populate_existing=True)
        return {row.name: row for row in session().scalars(query)}

    def correct(self, review: RouterImport, **rows: dict[str, Any]) -> None:
        """Change rows by code; the plan of those without one."""
        with transaction():
            codes = {row.code: row.id for row in self.rows_now(review)}
            edits = {codes[code]: values for code, values in rows.items()}
            service.edit(self.mine(review), edits, {self.site.zone_id})
            service.fill(self.mine(review), plan_id=self.plan.id)

    def rows_now(self, review: RouterImport) -> list[RouterImportRow]:
        return list(session().scalars(service.rows_query(review)))

    def mine(self, review: RouterImport) -> RouterImport:
        return service.find(review.token, self.site.router_id, lock=True)

    def choose(self, review: RouterImport, **choices: Any) -> None:
        with transaction():
            wanted = {name: {"take": take, "remove": remove} for name, (take, remove) in choices.items()}
            service.choose(self.mine(review), wanted, {CUT, NOTICE})

    def confirm(self, review: RouterImport, scope: Scope = EVERYTHING) -> confirming.Done | None:
        with transaction():
            return confirming.confirm(self.mine(review), scope)

    def entries(self, name: str) -> set[tuple[str, str]]:
        rows = self.router.snapshot(LISTS)
        return {(row["address"], row.get("comment", "")) for row in rows if row["list"] == name}

    def snapshot(self) -> dict[str, Any]:
        return {menu: self.router.snapshot(menu) for menu in MENUS}

    def clients(self) -> dict[str, Client]:
        session().rollback()
        return {client.code: client for client in session().scalars(sa.select(Client))}


@pytest.fixture
def work(ctx: Flask) -> Iterator[Import]:
    with SimulatorServer(Simulated(users={"wisp": "secret"})) as server:
        made = Import(server)
        with transaction():
            router = session().get_one(Router, made.site.router_id)
            router.provision = False  # what saving a client writes has its own tests
        yield made
        made.site.close()


def test_what_is_on_the_router_becomes_clients_and_nothing_changes_there(work: Import) -> None:
    before = work.snapshot()
    review = work.read()
    rows = work.rows(review)
    assert {name: (row.status, row.connection, row.address) for name, row in rows.items()} == {
        "Ana Núñez, señora": ("new", "pppoe", "10.1.0.5"), "Eva ñ": ("new", "pppoe", ""),
        "Ivón": ("new", "dhcp", "10.1.0.7"), "Sol": ("new", "hotspot", ""), "Luis Peña": ("new", "static", "10.1.0.6"),
        "Paz": ("new", "static", "10.1.0.8"),
    }  # fmt: skip
    assert {name for name, row in rows.items() if row.plan_id == work.plan.id} == {
        "Ana Núñez, señora", "Luis Peña", "Paz",
    }  # fmt: skip
    assert "12345" not in rows["Ana Núñez, señora"].password
    assert work.clients() == {}
    work.correct(review, Luis={"code": "L-1", "email": "luis@example.com"})
    assert work.confirm(review) == confirming.Done(added=6)
    clients = work.clients()
    assert set(clients) == {"ana", "eva", "sol", "Paz", "L-1", "02-00-00-00-00-07"}
    assert crypto.decrypt(clients["ana"].password) == "12345"
    assert crypto.decrypt(clients["eva"].password) == "yes"
    assert networks.of([clients["eva"].id]) == {clients["eva"].id: ("203.0.113.8/29",)}
    assert (clients["L-1"].email, clients["L-1"].name, clients["L-1"].plan_id) == (
        "luis@example.com", "Luis Peña", work.plan.id,
    )  # fmt: skip
    assert work.snapshot() == before
    queue.drain()
    assert work.snapshot() == before
    assert not work.rows_now(review)


def test_reading_again_finds_everything_equal_and_writes_nothing(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.confirm(review)
    queue.drain()
    again = work.read()
    assert {row.status for row in work.rows(again).values()} == {"same"}
    written = session().scalar(sa.select(sa.func.count()).select_from(AuditEntry))
    done = work.confirm(again)
    assert done is not None
    assert (done.added, done.changed) == (0, 0)
    lines = session().scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id).offset(written))
    assert list(lines) == ["client.import_router"]


def test_what_differs_is_changed_and_only_that(work: Import) -> None:
    review = work.read()
    work.correct(review, ana={"email": "ana@example.com", "phone": "555"})
    work.confirm(review)
    secret = next(row for row in work.router.snapshot("/ppp/secret") if row["name"] == "ana")
    work.router.table("/ppp/secret").set(secret[".id"], {"password": "nueva", "remote-address": "10.1.0.55"})
    queue_id = next(row[".id"] for row in work.router.snapshot("/queue/simple") if row["name"] == "cola ana")
    work.router.table("/queue/simple").set(queue_id, {"target": "10.1.0.55/32"})
    again = work.read()
    rows = {row.code: row for row in work.rows(again).values()}
    assert (rows["ana"].status, rows["ana"].changes) == ("changed", ["address", "password"])
    assert not rows["ana"].include
    work.correct(again, ana={"include": True, "code": "OTRA", "balance": "5"})
    with transaction():  # somebody edits the client while the review is open
        client = session().scalar(sa.select(Client).where(Client.code == "ana"))
        assert client is not None
        client.email = "nuevo@example.com"
    done = work.confirm(again)
    assert done is not None
    assert (done.added, done.changed) == (0, 1)
    assert len(work.clients()) == 6
    assert session().scalar(sa.select(sa.func.count()).select_from(Invoice)) == 0
    ana = work.clients()["ana"]
    assert (ana.address, crypto.decrypt(ana.password)) == ("10.1.0.55", "nueva")
    assert (ana.email, ana.phone, ana.name) == ("nuevo@example.com", "555", "Ana Núñez, señora")


def test_a_queue_changes_the_plan_and_not_how_a_client_is_attached(work: Import) -> None:
    zone = session().get_one(factories.Zone, work.site.zone_id)
    factories.make_client(zone, code="P", connection="pppoe", username="luis", address="10.1.0.6", mac="")
    review = work.read()
    work.correct(review, P={"include": True})
    done = work.confirm(review)
    assert done is not None
    assert (done.added, done.changed) == (5, 1)
    client = work.clients()["P"]
    assert (client.connection, client.username, client.plan_id) == ("pppoe", "luis", work.plan.id)


def test_one_wrong_row_and_nothing_is_written(work: Import) -> None:
    review = work.read()
    taken = factories.make_client(factories.make_zone(), code="eva", address=None)
    work.correct(review, Luis={"email": "no es", "code": "eva"}, ana={"plan_id": None, "zone_id": None})
    assert work.confirm(review) is None
    rows = {row.address or row.username: row for row in work.rows(review).values()}
    assert rows["10.1.0.6"].problems == {"code": ["code_taken", {"code": "eva"}]}
    assert rows["10.1.0.5"].problems == {"zone": ["required", {"name": ""}]}
    assert {name for row in rows.values() for name in row.problems or {}} == {"code", "zone"}
    work.correct(review, ana={"zone_id": work.site.zone_id}, eva={"code": "L-2"})
    assert work.confirm(review) is None
    rows = {row.address or row.username: row for row in work.rows(review).values()}
    assert set(rows["10.1.0.6"].problems or {}) == {"email"}
    assert rows["10.1.0.6"].email == "no es"
    assert set(work.clients()) == {taken.code}


def test_an_address_that_somebody_took_meanwhile_is_named(work: Import) -> None:
    review = work.read()
    zone = session().get_one(factories.Zone, work.site.zone_id)
    factories.make_client(zone, code="OTRO", name="Otro", address="10.1.0.6")
    work.correct(review)
    assert work.confirm(review) is None
    problem = (work.rows(review)["Luis Peña"].problems or {})["address"]
    assert problem == ["address_taken", {"value": "10.1.0.6", "code": "OTRO", "name": "Otro"}]
    assert set(work.clients()) == {"OTRO"}


def test_a_review_works_once_belongs_to_its_person_and_is_forgotten(work: Import) -> None:
    review = work.read()
    work.correct(review)
    assert work.confirm(review)
    with pytest.raises(Refused) as refused:
        work.confirm(review)
    assert refused.value.code == "access.import_done"
    mine, other = work.read(), work.read()
    audit.act_as(audit.Actor("staff:otra@example.com"))
    with pytest.raises(Refused):
        service.find(mine.token, work.site.router_id)
    audit.act_as(audit.SYSTEM)
    with transaction():
        service.discard(work.mine(other))
    with clock.frozen(clock.now() + service.KEPT + timedelta(hours=1)):
        jobs.forget()
    session().rollback()
    assert session().scalar(sa.select(sa.func.count()).select_from(RouterImportRow)) == 0
    assert session().scalar(sa.select(sa.func.count()).select_from(RouterImportEntry)) == 0
    assert session().scalars(sa.select(RouterImport.token)).all() == [review.token]


def test_only_zones_of_ones_own(work: Import) -> None:
    other = factories.make_zone(session().get_one(Router, work.site.router_id))
    factories.make_client(other, code="AJENO", connection="pppoe", username="ana", address="10.1.0.5")
    scope = Scope(frozenset({work.site.zone_id}))
    review = work.read(scope)
    assert "Ana Núñez, señora" not in work.rows(review)
    assert review.passed_over["hidden"] == 1
    elsewhere = factories.make_zone().id
    for zone_id, seen in ((other.id, scope), (elsewhere, EVERYTHING)):  # however it came there
        with transaction():
            service.fill(work.mine(review), zone_id=zone_id, plan_id=work.plan.id)
        assert work.confirm(review, seen) is None
        assert {name for row in work.rows(review).values() for name in row.problems or {}} == {"zone"}


# Lists of another system -----------------------------------------------------------------------------


def test_morosos_taken_over_the_old_entries_stay_unless_ticked(work: Import) -> None:
    review = work.read()
    assert [item for item in review.lists if item[2]] == [["Avisos", 1, 1], ["Morosos", 3, 2]]
    before = work.snapshot()
    work.correct(review, ana={"balance": "350.00"})
    work.choose(review, Morosos=("cut", False), Avisos=("notice", False))
    done = work.confirm(review)
    assert done is not None
    assert (done.cut, done.notice, done.no_debt, done.leaving) == (2, 0, 1, 0)
    queue.drain()
    clients = work.clients()
    ana, luis = work.site.access(clients["ana"].id), work.site.access(clients["Luis"].id)
    assert (ana.suspended, ana.reason, ana.basis, ana.applied_suspended) == (True, "imported", "open", True)
    assert (luis.suspended, luis.reason, luis.applied_suspended) == (True, "imported", True)
    ours = {("10.1.0.5", "wisp:ana"), ("10.1.0.6", "wisp:Luis")}
    assert work.entries(CUT) == {("10.1.0.250", "ajeno"), *ours}
    mine = [row for row in work.snapshot()[LISTS] if not row.get("comment", "").startswith("wisp:")]
    assert mine == before[LISTS]
    assert {menu: rows for menu, rows in work.snapshot().items() if menu != LISTS} == {
        menu: rows for menu, rows in before.items() if menu != LISTS
    }


def test_a_notice_is_put_on_where_there_is_a_debt(work: Import) -> None:
    review = work.read()
    work.correct(review, Paz={"balance": "120"})
    work.choose(review, Avisos=("notice", True))
    done = work.confirm(review)
    assert done is not None
    assert (done.cut, done.notice, done.no_debt, done.leaving) == (0, 1, 0, 1)
    queue.drain()
    assert work.entries(NOTICE) == {("10.1.0.8", "wisp:Paz")}
    assert work.entries("Avisos") == set()


def test_where_no_notice_is_put_on_the_old_entry_stays(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.choose(review, Avisos=("notice", True))
    done = work.confirm(review)
    assert done is not None
    assert (done.notice, done.no_debt, done.leaving) == (0, 1, 0)
    queue.drain()
    assert work.entries("Avisos") == {("10.1.0.8", "")}


def test_ticked_entries_go_once_ours_stand_and_not_before(work: Import) -> None:
    others = [row for row in work.router.snapshot(LISTS) if row["address"] not in ("10.1.0.5", "10.1.0.6")]
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    work.site.server.switch(off=True)
    done = work.confirm(review)
    assert done is not None
    assert done.leaving == 2
    queue.drain()
    jobs.remove(work.site.router_id)
    work.site.server.switch(off=False)
    assert len(work.entries("Morosos")) == 3
    assert len(confirming.leaving(work.site.router_id)) == 2
    work.site.order()
    queue.drain()
    assert work.entries("Morosos") == {("10.1.0.99", "de nadie")}
    assert {("10.1.0.5", "wisp:ana"), ("10.1.0.6", "wisp:Luis")} < work.entries(CUT)
    assert [row for row in work.router.snapshot(LISTS) if not row.get("comment", "").startswith("wisp:")] == others
    session().rollback()
    lines = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "router.remove_entry")).all()
    assert {(line.before or {})["address"] for line in lines} == {"10.1.0.5", "10.1.0.6"}
    assert {(line.before or {})["client"] for line in lines} == {"ana", "Luis"}
    assert confirming.leaving(work.site.router_id) == []


def test_while_ours_does_not_stand_the_old_entry_stays(work: Import) -> None:
    work.router.load(LISTS, [{"list": CUT, "address": "10.1.0.6", "comment": "de otro programa"}])
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    work.confirm(review)
    jobs.remove(work.site.router_id)  # before any synchronisation
    assert len(work.entries("Morosos")) == 3
    queue.drain()
    assert work.entries("Morosos") == {("10.1.0.6", ""), ("10.1.0.99", "de nadie")}
    assert ("10.1.0.6", "de otro programa") in work.entries(CUT)
    session().rollback()
    assert [entry[:2] for entry in confirming.leaving(work.site.router_id)] == [("Morosos", "10.1.0.6")]


def test_an_entry_that_is_another_by_now_stays(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    entry = next(row for row in work.router.snapshot(LISTS) if row["address"] == "10.1.0.6")
    work.router.table(LISTS).set(entry[".id"], {"comment": "ahora de otro"})
    work.confirm(review)
    queue.drain()
    assert ("10.1.0.6", "ahora de otro") in work.entries("Morosos")
    assert confirming.leaving(work.site.router_id) == []


def test_our_own_list_by_name_is_never_emptied_from_here(work: Import) -> None:
    work.router.load(LISTS, [{"list": CUT, "address": "10.1.0.8", "comment": "viejo"}])
    review = work.read()
    work.correct(review)
    work.choose(review, **{CUT: ("cut", True)})
    assert work.mine(review).choices == {CUT: {"take": "cut", "remove": False}}
    done = work.confirm(review)
    assert done is not None
    assert (done.cut, done.leaving) == (1, 0)
    queue.drain()
    assert ("10.1.0.8", "viejo") in work.entries(CUT)
    client = work.clients()["Paz"]
    assert work.site.access(client.id).foreign


def test_an_entry_of_the_ipv6_list_leaves_too(work: Import) -> None:
    lists6 = "/ipv6/firewall/address-list"
    queue_id = next(row[".id"] for row in work.router.snapshot("/queue/simple") if row["name"] == "Paz")
    work.router.table("/queue/simple").set(queue_id, {"target": "10.1.0.8/32,2001:db8:8::/64"})
    stranger = {"list": "Morosos", "address": "2001:db8:9::/64"}
    work.router.load(lists6, [{"list": "Morosos", "address": "2001:db8:8::/64", "comment": "viejo"}, stranger])
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    done = work.confirm(review)
    assert done is not None
    assert (done.cut, done.leaving) == (3, 3)
    queue.drain()
    assert work.clients()["Paz"].address6 == "2001:db8:8::/64"
    assert [row["address"] for row in work.router.snapshot(lists6) if row["list"] == "Morosos"] == ["2001:db8:9::/64"]
    assert ("10.1.0.8", "wisp:Paz") in work.entries(CUT)


def test_a_client_that_is_there_already_is_taken_over_too(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.confirm(review)
    queue.drain()
    again = work.read()
    work.choose(again, Morosos=("cut", False))
    assert service.counts(again)["chosen"] == 2
    done = work.confirm(again)
    assert done is not None
    assert (done.added, done.changed, done.cut) == (0, 0, 2)
    assert session().scalar(sa.select(sa.func.count()).select_from(Invoice)) == 0


# The router ------------------------------------------------------------------------------------------


def test_a_router_that_is_off_or_forbids_it_says_so(work: Import) -> None:
    target = service.target(session().get_one(Router, work.site.router_id))
    work.site.server.fault("trap", "/ppp/secret/print", message="not enough permissions (9)")
    with pytest.raises(GatewayError) as forbidden:
        talk.read(target)
    assert forbidden.value.code is ErrorCode.permission
    work.site.server.switch(off=True)
    with pytest.raises(GatewayError) as off:
        talk.read(target)
    assert off.value.code is ErrorCode.refused


def test_a_menu_that_the_router_does_not_have_is_empty(work: Import) -> None:
    for path in ("/ip/hotspot/user/print", "/ip/hotspot/user/profile/print", "/ipv6/firewall/address-list/print"):
        work.site.server.fault("trap", path, message="no such command prefix")
    tables = talk.read(service.target(session().get_one(Router, work.site.router_id)))
    assert (tables.users, tables.user_profiles, tables.lists6) == ((), (), ())
    assert len(tables.secrets) == 2


def test_a_break_after_the_command_is_looked_at_again(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    work.confirm(review)
    work.site.sync()
    work.site.server.fault("drop_after", f"{LISTS}/remove")
    jobs.remove(work.site.router_id)
    assert work.entries("Morosos") == {("10.1.0.99", "de nadie")}
    session().rollback()
    assert confirming.leaving(work.site.router_id) == []
    removed = sa.select(sa.func.count()).where(AuditEntry.action == "router.remove_entry")
    assert session().scalar(removed) == 2


def test_a_removal_that_the_router_refuses_waits_and_says_why(work: Import) -> None:
    review = work.read()
    work.correct(review)
    work.choose(review, Morosos=("cut", True))
    work.confirm(review)
    work.site.sync()
    work.site.server.fault("trap", f"{LISTS}/remove", message="failure: busy", count=None)
    jobs.remove(work.site.router_id)
    session().rollback()
    assert {answer for _list, _address, answer in confirming.leaving(work.site.router_id)} == {"failure: busy"}
    assert len(work.entries("Morosos")) == 3


def test_thousands_of_rows_take_few_statements(work: Import) -> None:
    work.router.load(
        "/ppp/secret",
        [{"name": f"u{n:05}", "password": "x", "service": "pppoe", "comment": f"Cliente {n}"} for n in range(2_000)],
    )
    review = work.read()
    work.correct(review)
    statements: list[str] = []
    engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    done = work.confirm(review)
    assert done is not None
    assert done.added == 2_006
    assert len(statements) < 300


# The command -----------------------------------------------------------------------------------------


def flask(app: Flask, *words: str) -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout, and stderr."""
    result = app.test_cli_runner().invoke(args=["routers", "import", *words, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


def test_the_command_proposes_then_confirms_once(work: Import, ctx: Flask) -> None:
    name = session().get_one(Router, work.site.router_id).name
    code, out, _ = flask(ctx, name)
    assert (code, out["new"], out["same"]) == (0, 6, 0)
    assert {"list": "Morosos", "entries": 3, "clients": 2} in out["lists"]
    ana = next(row for row in out["clients"] if row["code"] == "ana")
    assert (ana["name"], ana["address"], ana["plan"], ana["lists"]) == (
        "Ana Núñez, señora", "10.1.0.5", "Hogar", ["Morosos"],
    )  # fmt: skip
    assert "12345" not in json.dumps(out)
    token = out["token"]
    code, refused, error = flask(ctx, name, "--confirm", token)
    assert (code, {problem["column"] for problem in refused["problems"]}) == (1, {"plan"})
    assert error.strip().count("\n") == 0
    assert work.clients() == {}
    code, done, _ = flask(
        ctx, name, "--confirm", token, "--plan", "Hogar", "--take", "Morosos=cut", "--remove", "Morosos", "--wait"
    )
    assert (code, done["added"], done["cut"], done["leaving"]) == (0, 6, 2, 2)
    assert work.entries("Morosos") == {("10.1.0.99", "de nadie")}
    assert flask(ctx, name, "--confirm", token)[0] == 1
    code, out, _ = flask(ctx, name)
    assert (code, out["new"], out["same"]) == (0, 0, 6)


def test_the_command_refuses_what_it_does_not_understand(work: Import, ctx: Flask) -> None:
    name = session().get_one(Router, work.site.router_id).name
    token = flask(ctx, name)[1]["token"]
    assert flask(ctx, name, "--confirm", token, "--take", "Morosos")[0] == 2
    assert flask(ctx, name, "--confirm", token, "--take", "Nadie=cut")[0] == 1
    assert flask(ctx, name, "--confirm", token, "--include", "todos")[0] == 2
    assert flask(ctx, name, "--confirm", "otro")[0] == 1
    assert flask(ctx, "Nadie")[0] == 1
    work.site.server.switch(off=True)
    code, out, error = flask(ctx, name)
    assert (code, out) == (1, None)
    assert name in error
    assert work.clients() == {}
