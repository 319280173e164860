"""Who may open what: every address × everybody, with the code that it must answer.

A new address fails here until it has a line in ROUTES. What it expects follows from the permission that the view
declares; a line says only what that does not: whether the address names an object of one billing zone, which further
permission its form needs, and what is refused to people who are limited to some zones.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.staff import log_in, make_staff, token_of
from wisp.bulk.models import BulkChange, BulkRun
from wisp.clients import uploads
from wisp.core import audit, clock
from wisp.core.db import session, transaction
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.core.sql import LARGEST_ID
from wisp.outbox.models import Message
from wisp.payments import service as payments
from wisp.staff import changes, service
from wisp.staff.models import StaffSession
from wisp.tasks.models import TaskRun
from wisp.web import access
from wisp.web.requests import Number

P = Permission
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@dataclass(frozen=True)
class Row:
    """``zoned``: its arguments name an object of one zone, so out of scope it is 404. ``post``: what its form needs
    besides, ``also``: what its page needs besides. ``whole``: only for those who see all zones (403 for others)."""

    zoned: bool = False
    post: Permission | None = None
    also: Permission | None = None
    whole: bool = False


FREE, ZONED = Row(), Row(zoned=True)
WHOLE_ROUTER = Row(zoned=True, whole=True)
CLIENT_FORM, ROUTER_FORM = Row(zoned=True, post=P.CLIENTS_EDIT), Row(zoned=True, post=P.ROUTERS_EDIT)

ROUTES: dict[str, Row] = {
    # what anybody may open
    "static": FREE, "auth.start": FREE, "auth.login": FREE, "auth.code": FREE, "auth.forgotten": FREE,
    "auth.by_link": FREE, "auth.language": FREE, "auth.logout": FREE,
    "health.alive": FREE, "health.ready": FREE, "portal.page": FREE, "portal.by_link": FREE, "portal.confirm": FREE,
    # one's own account
    "account.password": FREE, "account.second_factor": FREE, "account.new_codes": FREE,
    "account.remove_second_factor": FREE, "account.devices": FREE, "account.end": FREE, "account.end_others": FREE,
    "dashboard.index": FREE,
    # clients and plans
    "clients.index": FREE, "clients.export": FREE, "clients.add": FREE, "clients.import_upload": FREE,
    "clients.import_template": FREE,
    "clients.import_review": FREE, "clients.import_confirm": FREE, "clients.show": ZONED, "clients.data": CLIENT_FORM,
    "clients.connection": CLIENT_FORM, "clients.billing": CLIENT_FORM, "clients.billing_dates": ZONED,
    "clients.own_billing": ZONED, "clients.switch": ZONED, "clients.cancel": ZONED,
    "plans.index": FREE, "plans.export": FREE, "plans.add": FREE, "plans.edit": FREE,
    "notices.of_client": ZONED, "notices.texts": FREE, "notices.preview": FREE,
    # billing
    "invoices.index": FREE, "invoices.export": FREE, "invoices.show": ZONED, "invoices.void": ZONED,
    "invoices.of_client": ZONED, "payments.index": FREE, "payments.export": FREE, "payments.new": FREE,
    "payments.show": ZONED, "payments.void": ZONED, "payments.of_client": ZONED, "payments.promise": ZONED,
    "holds.suspend": ZONED, "holds.pause": ZONED, "holds.reactivate": ZONED,
    # periodic tasks
    "tasks.index": FREE, "tasks.export": FREE, "tasks.row": ZONED, "tasks.detail": ZONED, "tasks.run": ZONED,
    "tasks.run_export": ZONED, "tasks.client_history": ZONED, "tasks.simulate": ZONED, "tasks.apply_page": ZONED,
    "tasks.apply_now": ZONED, "tasks.hold": ZONED,
    # network
    "routers.index": FREE, "routers.export": FREE,
    "routers.add": FREE, "routers.try_out": FREE, "routers.edit": ROUTER_FORM,
    "routers.tools": ZONED, "routers.probe": ZONED, "routers.archive": ZONED, "routers.zones": ZONED,
    "routers.zone_add": WHOLE_ROUTER, "routers.zone_edit": ROUTER_FORM, "routers.zone_dates": FREE,
    "routers.zone_switch": ZONED, "access.sync_now": WHOLE_ROUTER, "access.rules": WHOLE_ROUTER,
    "access.rules_order": WHOLE_ROUTER, "access.difference": WHOLE_ROUTER, "access.adopt": WHOLE_ROUTER,
    "access.repair_some": WHOLE_ROUTER,
    "access.log": WHOLE_ROUTER, "access.client_sessions": WHOLE_ROUTER,
    "provision.index": WHOLE_ROUTER, "provision.write_all": WHOLE_ROUTER, "provision.adopt": WHOLE_ROUTER,
    "provision.of_client": ZONED, "provision.write": ZONED,
    "imports.start": ZONED, "imports.read": ZONED, "imports.review": ZONED, "imports.save": ZONED,
    "imports.discard": ZONED,
    # bulk actions: each asks for its own permission besides
    "bulk.index": FREE, "bulk.action": Row(also=P.PERIODIC_TASKS_TOGGLE), "bulk.run": ZONED, "bulk.run_export": ZONED,
    "bulk.undo": Row(zoned=True, post=P.PERIODIC_TASKS_TOGGLE),
    # system
    "outbox.index": FREE, "outbox.show": ZONED, "outbox.resend": ZONED, "outbox.hold": ZONED, "outbox.release": ZONED,
    "outbox.release_all": FREE, "outbox.resend_failed": FREE,
    "settings.index": FREE, "settings.company": FREE, "settings.company_logo": FREE,
    "settings.billing": FREE, "settings.mail": FREE,
    "settings.mail_trial": FREE, "settings.alerts": FREE, "settings.lists": FREE, "settings.brakes": FREE,
    "staff.index": FREE, "staff.export": FREE, "staff.add": FREE, "staff.data": FREE, "staff.permissions": FREE,
    "staff.zones": FREE, "staff.deactivate": FREE, "staff.activate": FREE, "staff.invite": FREE,
    "staff.remove_second_factor": FREE,
    "audit.index": FREE, "audit.export": FREE,
}  # fmt: skip
PUBLIC_PROBES = ("portal.probe_",)
"""What phones ask for to find out whether they are behind a portal: a table of its own, tested there."""
"""Endings of the session, which come last for each person."""
LAST = ("clients.cancel", "routers.archive", "account.end_others", "account.end", "auth.logout")
SWITCH = "activar-tareas-periodicas"
PEOPLE = [
    "nobody", *(role.value for role in Role), "without", "all permissions, own zone", "all permissions, other zone",
]  # fmt: skip


@dataclass
class World:
    """Two zones with one object of each kind; ``here`` and ``there`` are the arguments of their addresses."""

    app: Flask
    here: dict[str, Any]
    there: dict[str, Any]
    zone_id: int


@pytest.fixture
def world(app: Flask) -> World:
    with app.app_context():
        here, there = _zone("AQUI"), _zone("ALLA")
    make_staff(app, "target@example.com", "cashier")
    with app.app_context():
        everywhere = {"user_id": service.find("target@example.com").id, "session_id": 9_999, "token": "none"}
    return World(app, {**everywhere, **here}, {**everywhere, **there}, here["zone_id"])


def _zone(code: str) -> dict[str, Any]:
    with factories.writing() as s:
        zone = factories.make_zone(name=f"Zona {code}")
        client = factories.make_client(zone, code=code, own={})
        invoice = factories.make_invoice(client, due=date(2020, 1, 1))
        payment = payments.register(client, 1_000, method="cash")
        task = zone.schedule.tasks[0]
        run = TaskRun(
            task_id=task.id, month=date(2026, 11, 1), trigger="manual", state="success", actor="system",
            created_at=clock.now(),
        )  # fmt: skip
        message = Message(
            kind="test", recipient="a@example.com", state="failed", created_at=clock.now(), client_id=client.id
        )
        bulk = BulkRun(
            token=code, action=SWITCH, choices={"zone": zone.id, "kinds": {"cut": False}}, zone_ids=[zone.id],
            state="done", actor="system", created_at=clock.now(), touched_at=clock.now(), changed=1,
        )  # fmt: skip
        s.add_all([run, message, bulk])
        s.flush()
        change = {"zone_id": zone.id, "before": {"enabled": True}, "after": {"enabled": False}}
        s.add(BulkChange(run_id=bulk.id, target=task.id, **change))
        return {
            "code": code, "zone_id": zone.id, "router_id": zone.router_id, "plan_id": client.plan_id,
            "invoice": invoice.label, "payment": payment.id, "task_id": task.id, "run_id": run.id,
            "message_id": message.id, "bulk": bulk.id, "key": SWITCH,
        }  # fmt: skip


def address(app: Flask, endpoint: str, values: dict[str, Any]) -> str:
    """The endpoint's address for these objects."""
    rule = next(rule for rule in app.url_map.iter_rules(endpoint))
    number = values["payment" if endpoint.startswith("payments.") else "invoice"]
    run_id = values["bulk" if endpoint.startswith("bulk.") else "run_id"]
    values = {**values, "filename": "app.js", "number": number, "run_id": run_id}
    missing = rule.arguments - values.keys()
    assert not missing, f"{endpoint}: the world of this test has no {missing}"
    with app.test_request_context():
        return str(app.url_map.bind("localhost").build(endpoint, {name: values[name] for name in rule.arguments}))


def person(world: World, who: str) -> tuple[FlaskClient, frozenset[Permission]]:
    """A browser logged in as ``who``, and what that person may do."""
    client = world.app.test_client()
    if who == "nobody":
        return client, frozenset()
    role = who if who in set(Role) else "support"
    email = make_staff(world.app, f"{len(who)}@example.com", role)
    if who not in set(Role):
        _grant(world, email, frozenset() if who == "without" else frozenset(Permission), who)
    assert log_in(client, email).status_code == 303
    with world.app.app_context():
        user = service.find(email)
        mine = session().query(StaffSession).filter_by(staff_id=user.id).one()
        world.here["session_id"] = world.there["session_id"] = mine.id
        return client, service.permissions_of(user)


def _grant(world: World, email: str, permissions: frozenset[Permission], who: str) -> None:
    with world.app.app_context(), transaction():
        user_id = service.find(email).id
        changes.set_permissions(user_id, permissions, service.COMMAND_LINE)
        if who.endswith("zone"):
            changes.set_zones(user_id, True, [world.zone_id], service.COMMAND_LINE)
            target = service.find("target@example.com")
            changes.set_zones(target.id, True, [world.zone_id], service.COMMAND_LINE)


def expected(app: Flask, endpoint: str, method: str, who: str, held: frozenset[Permission]) -> str:
    """``log-in``, ``403``, ``404`` or ``open``."""
    row, mark = ROUTES[endpoint], getattr(app.view_functions[endpoint], access.MARK)
    if mark == access.PUBLIC:
        return "open"
    if who == "nobody":
        return "log-in"
    if mark == access.ADMINISTRATORS:
        return "open" if who == Role.ADMIN else "403"
    needed = frozenset() if mark == access.AUTHENTICATED else mark
    if not needed <= held or (row.also is not None and row.also not in held):
        return "403"
    if row.zoned and who == "all permissions, other zone":
        return "404"
    if method == "POST" and row.post is not None and row.post not in held:
        return "403"
    return "403" if row.whole and who == "all permissions, own zone" else "open"


def answered(answer: Any, endpoint: str) -> str:
    """The same words for what came."""
    code: int = answer.status_code
    location = answer.headers.get("Location", "")
    if code == 302 or (code == 303 and location.startswith("/entrar/") and not endpoint.startswith("auth.")):
        return "log-in"
    if code in (401, 403, 404, 405) or code >= 500:
        return str(code)
    return "open"


def methods_of(app: Flask) -> list[tuple[str, str]]:
    """Every (endpoint, method), looks first, then changes, then what ends the session or its objects."""
    pairs = {
        (rule.endpoint, method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}
        if rule.endpoint in ROUTES
    }
    order = {endpoint: number for number, endpoint in enumerate(LAST, start=1)}
    return sorted(pairs, key=lambda pair: (order.get(pair[0], 0) if pair[1] != "GET" else -1, pair))


@sqlite
def test_every_address_has_a_line_and_every_line_an_address(app: Flask) -> None:
    there = {rule.endpoint for rule in app.url_map.iter_rules()}
    for endpoint in there:
        mark = getattr(app.view_functions[endpoint], access.MARK)
        assert mark in (access.PUBLIC, access.AUTHENTICATED, access.ADMINISTRATORS) or mark <= set(Permission), endpoint
        assert not endpoint.startswith(PUBLIC_PROBES) or mark == access.PUBLIC
    tabled = {endpoint for endpoint in there if not endpoint.startswith(PUBLIC_PROBES)}
    assert tabled - set(ROUTES) == set(), "addresses without a line"
    assert set(ROUTES) - tabled == set(), "lines without an address"
    assert set(LAST) <= set(ROUTES)


@sqlite
def test_an_address_that_names_an_object_of_a_zone_is_marked_so(app: Flask) -> None:
    ours = {"code", "zone_id", "router_id", "task_id", "run_id", "message_id", "number"}
    wrong = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.arguments & ours and rule.endpoint in ROUTES and not ROUTES[rule.endpoint].zoned
    ]
    assert not wrong


@sqlite
@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_gets_what_the_table_says(world: World, who: str) -> None:
    client, held = person(world, who)
    values = world.there if who == "all permissions, other zone" else world.here
    csrf = token_of(client) if who != "nobody" else ""
    with world.app.app_context(), transaction():
        audit.act_as(audit.Actor(f"staff:{len(who)}@example.com"))
        values["token"] = uploads.keep(b"code,name\n", "a.csv")
        audit.act_as(audit.SYSTEM)
    wrong: list[str] = []
    if who == "nobody":
        page = client.get("/entrar/").text
        csrf = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    form = {"csrf_token": csrf, "limited": "yes", "zone": str(world.zone_id)}
    for endpoint, method in methods_of(world.app):
        target = address(world.app, endpoint, values)
        answer = client.open(target, method=method, data=form if method != "GET" else None)
        wanted, found = expected(world.app, endpoint, method, who, held), answered(answer, endpoint)
        answer.close()
        if endpoint == "health.ready" and found == "503":
            found = "open"  # no worker runs here, and it says so to everybody
        if getattr(world.app.view_functions[endpoint], access.MARK) == access.PUBLIC and found in ("404", "log-in"):
            found = "open"  # a link that is none, a step of the log-in that is not due
        if wanted != found:
            wrong.append(f"{method} {target} ({endpoint}): {answer.status_code}, not {wanted}")
    assert not wrong, "\n".join(wrong)


@sqlite
@pytest.mark.parametrize("address, name", [
    ("/clientes/?q=ALLA", "ALLA"), ("/clientes/accion/exportar/", "ALLA"), ("/facturas/", "ALLA"),
    ("/facturas/exportar.csv", "ALLA"), ("/pagos/", "ALLA"), ("/pagos/exportar.csv", "ALLA"),
    ("/pagos/nuevo/?q=ALLA", "ALLA"), ("/tareas-periodicas/", "ALLA"), ("/tareas-periodicas/?owner=client", "ALLA"),
    ("/tareas-periodicas/tareas.csv", "ALLA"), ("/router/", "ALLA"), ("/correos/", "ALLA"), ("/", "ALLA"),
    ("/clientes/accion/nuevo/", "ALLA"), ("/auditoria/", "ALLA"), ("/auditoria/exportar.csv", "ALLA"),
])  # fmt: skip
def test_lists_show_nothing_of_another_zone(world: World, address: str, name: str) -> None:
    client, _held = person(world, "all permissions, own zone")
    with world.app.app_context(), transaction():
        audit.record("client.edit", "client:ALLA", {"name": "a"}, {"name": "b"})
        audit.record("client.edit", "client:AQUI", {"name": "a"}, {"name": "b"})
    shown = client.get(address).text.replace(f"q={name}", "").replace(f'value="{name}"', "")
    assert name not in shown
    everything = world.app.test_client()
    log_in(everything, make_staff(world.app, "all@example.com"))
    assert everything.get(address).text.replace(f"q={name}", "").count(name) > 0 or address == "/"


def test_the_presets_can_be_told_apart() -> None:
    """A table that expects the same of everybody would prove nothing."""
    assert len({PRESETS[role] for role in Role}) == len(Role)


@sqlite
def test_what_an_address_names_after_the_question_mark_stays_in_ones_zones_too(world: World) -> None:
    """Arguments and fields that name an object of another zone: 404, or as if it were not there."""
    client, _held = person(world, "all permissions, own zone")
    csrf, there = token_of(client), world.there
    assert client.get("/pagos/nuevo/?client=ALLA").status_code == 404
    probe = client.post("/router/probar/", data={"csrf_token": csrf, "router_id": str(there["router_id"])})
    assert probe.status_code == 404
    assert "ALLA" not in client.get(f"/router/zonas/fechas/?zone_id={there['zone_id']}").text
    for listed in ("/facturas/", "/tareas-periodicas/", "/clientes/"):
        assert "ALLA" not in client.get(f"{listed}?zone={there['zone_id']}").text, listed
    data = client.get("/clientes/AQUI/datos/").text
    assert "ALLA" not in data
    moved = client.post(
        "/clientes/AQUI/datos/",
        data={"csrf_token": csrf, "name": "X", "zone": there["zone_id"], "plan": there["plan_id"], "language": "es"},
    )
    assert moved.status_code == 422
    foreign = f"/router/{world.here['router_id']}/zonas/{there['zone_id']}/"
    assert client.get(foreign).status_code == 404
    assert client.post(f"{foreign}tareas/", data={"csrf_token": csrf}).status_code == 404


RESERVED = ("endpoint", "values", "_anchor", "_scheme", "_method", "_external", "_query", "code", "run_id", "task_id")
NUMBERS = (
    "plan", "zone", "zone_id", "client", "client_id", "invoice", "router_id", "page", "hold", "shown", "seen", "days",
    "all_zone", "all_plan", "row", "task", "run", "port", "number", "id", "q",
)  # fmt: skip
"""Arguments and fields in which some page looks for a number."""


def beyond(world: World, endpoint: str) -> str | None:
    """The endpoint's address with numbers that no row can have; None where it holds no number."""
    rule = next(rule for rule in world.app.url_map.iter_rules(endpoint))
    big = {name: LARGEST_ID + 1 for name, converter in rule._converters.items() if isinstance(converter, Number)}
    values = dict.fromkeys(rule.arguments, "x")
    return world.app.url_map.bind("localhost").build(endpoint, {**values, **big}) if big else None


def test_no_number_no_nul_and_no_name_in_a_request_is_our_fault(world: World) -> None:
    """Whatever stands in the path, the query or a form: 4xx at worst."""
    client, _held = person(world, "admin")
    world.app.config["PROPAGATE_EXCEPTIONS"] = False
    csrf, wrong = {"csrf_token": token_of(client)}, []
    strange = {name: str(2**63) for name in (*NUMBERS, *RESERVED)}
    for endpoint, method in methods_of(world.app):
        if endpoint in LAST:
            continue
        plain, part = address(world.app, endpoint, world.here), "query_string" if method == "GET" else "data"
        tries = [(plain, {"name": "a\0b"}, {400}), (plain, strange, set())]
        if where := beyond(world, endpoint):
            tries.append((where, {}, {404, 405}))
        for where, sent, codes in tries:
            answer = client.open(where, method=method, **{part: {**csrf, **sent}})
            silent = endpoint == "health.ready" and answer.status_code == 503  # no worker runs here, and it says so
            if (answer.status_code >= 500 and not silent) or (codes and answer.status_code not in codes):
                wrong.append(f"{method} {where} {sent} ({endpoint}): {answer.status_code}")
            answer.close()
    assert not wrong, "\n".join(wrong)


def test_nul_in_a_path_or_from_a_stranger_is_refused(client: FlaskClient) -> None:
    assert client.get("/clientes/a%00b/").status_code == 400
    csrf = client.get("/entrar/").text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    for where in ("/entrar/", "/entrar/recuperar/"):
        assert client.post(where, data={"csrf_token": csrf, "email": "a\0b"}).status_code == 400
