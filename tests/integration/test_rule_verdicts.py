"""Whether the lists do anything on a router: looked at, kept, and said wherever somebody could be misled."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.access import Site
from tests.support.billing import by_hand, fresh, items_of
from tests.support.levers import load_hotspot
from tests.support.staff import signed_in, token_of
from wisp.access import jobs, texts
from wisp.access import service as access
from wisp.access.rules import checks, service, verdicts
from wisp.access.rules.wanted import FILTER
from wisp.clients import listing
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.outbox.models import Message
from wisp.routers import service as routers
from wisp.routers.models import Router, Zone
from wisp.settings import service as settings
from wisp.tasks.models import TaskRun


@pytest.fixture
def closed_site(app: Flask) -> Iterator[Site]:
    """Two clients by address and one by its hotspot user, all overdue, on a router without our rules. For pages: no
    context is pushed while they are asked for."""
    simulated = SimulatedRouter(users={"wisp": "secret"})
    with SimulatorServer(simulated) as server:
        load_hotspot(server)
        with app.app_context():
            made = Site(server, clients=2)
            made.clients += made.add(1, connection="hotspot", username="ana", address=None)
            with transaction():
                settings.save_company({"page_servers": "203.0.113.10"})
        yield made
        made.close()


@pytest.fixture
def site(app: Flask, closed_site: Site) -> Iterator[Site]:
    with app.app_context():
        yield closed_site


def look(site: Site) -> verdicts.Standing:
    jobs_look = verdicts.look(site.router_id)
    with transaction():
        verdicts.record(site.router_id, jobs_look)
    session().rollback()
    return verdicts.of_router(site.router_id)


def install(site: Site, action: str = "install") -> None:
    with queue.inline(), transaction():
        service.order(session().get_one(Router, site.router_id), action)
    session().rollback()


def cut(site: Site) -> TaskRun:
    return by_hand(session().get_one(Zone, site.zone_id), "cut")


def standing(client_id: int) -> str:
    session().expire_all()
    return listing.standings([session().get_one(Client, client_id)])[client_id].state


def test_nobody_is_called_cut_where_nothing_reads_the_list(site: Site) -> None:
    assert look(site).unread == {"cut", "cut6", "notice"}
    run = cut(site)
    assert (run.state, run.cut, run.not_enforced) == ("success", 3, 2)
    codes = {client.id: client.code for client in session().query(Client)}
    first, second, guest = (codes[client_id] for client_id in site.clients)
    assert items_of(run) == {
        first: ("done", "not_enforced"),
        second: ("done", "not_enforced"),
        guest: ("done", ""),  # its user is switched off: no list is needed for that
    }
    assert [standing(client_id) for client_id in site.clients] == ["listed", "listed", "suspended"]
    assert [access.state_of(client_id).enforced for client_id in site.clients] == [False, False, True]

    install(site)
    run = fresh(run.id)
    assert (run.cut, run.not_enforced, {reason for _state, reason in items_of(run).values()}) == (3, 0, {""})
    assert [standing(client_id) for client_id in site.clients] == ["suspended"] * 3
    assert verdicts.of_router(site.router_id).unread == set()

    install(site, "remove")
    assert [standing(client_id) for client_id in site.clients] == ["listed", "listed", "suspended"]
    assert items_of(fresh(run.id))[first] == ("done", "")  # that was so


def test_what_nobody_has_looked_at_is_not_called_unapplied(site: Site) -> None:
    run = cut(site)
    assert (run.cut, run.not_enforced) == (3, 0)
    assert verdicts.of_router(site.router_id) == verdicts.UNKNOWN
    assert standing(site.clients[0]) == "suspended"


def test_a_look_that_fails_keeps_what_was_known(site: Site) -> None:
    install(site)
    site.server.switch(off=True)
    found = look(site)
    assert (found.cut, found.error) == (True, "refused")
    assert found.checked_at is not None
    assert {one.key for one in found.found} == set(texts.CHECKS)


def test_the_night_and_a_new_router_are_looked_at(site: Site) -> None:
    with transaction():
        session().get_one(Router, site.router_id).online = True
    jobs.sweep()
    queue.drain()
    session().rollback()
    assert verdicts.of_router(site.router_id).cut is False
    assert verdicts.unlooked() == []
    site.server.router.load(FILTER, [{"chain": "forward", "action": "drop", "src-address-list": "wisp-overdue"}])
    jobs.count(site.router_id)
    queue.drain()
    session().rollback()
    assert verdicts.of_router(site.router_id).cut is True  # a rule of the provider's own does as well


def test_a_verdict_is_forgotten_with_the_names_of_the_lists_or_the_device(site: Site) -> None:
    look(site)
    with transaction():
        settings.save_company({"list_overdue": "Morosos"})
    assert verdicts.of_router(site.router_id) == verdicts.UNKNOWN
    look(site)
    with transaction():
        router = session().get_one(Router, site.router_id)
        routers.edit_router(router, routers.RouterValues(router.name, router.host, 9, router.username, "secret"))
    assert verdicts.of_router(site.router_id) == verdicts.UNKNOWN


def test_the_mail_of_a_router_that_is_back_does_not_call_them_cut(site: Site) -> None:
    look(site)
    site.server.switch(off=True)
    cut(site)
    site.server.switch(off=False)
    site.sync()
    session().rollback()
    (told,) = [m.data for m in session().query(Message).filter_by(kind="alert_router_back")]
    assert told is not None
    assert (told["cut"], told["not_enforced"]) == (3, 2)


def test_pages_say_so(closed_site: Site, app: Flask) -> None:
    """First page, routers, the question before a cut, the run, its row, the client's file."""
    site, browser = closed_site, signed_in(app)
    assert "Reglas sin revisar" in browser.get("/router/").text
    with app.app_context():
        look(site)
        run = cut(site)
        run_id, task = run.id, run.task_id
        code = session().get_one(Client, site.clients[0]).code
        name = session().get_one(Router, site.router_id).name
        site.add(1)
    home = browser.get("/").text
    assert f"{name} no tiene las reglas: ahí nadie está cortado" in home
    assert "Todo en orden" not in home
    assert "Sin las reglas: nadie está cortado" in browser.get("/router/").text
    page = browser.get(f"/tareas-periodicas/ejecuciones/{run_id}/").text
    assert f"2 clientes están en la lista, pero {name} no la aplica" in page
    assert "En la lista; el router no la aplica" in page
    assert "2 en la lista; el router no la aplica" in browser.get("/tareas-periodicas/").text
    assert "En la lista, sin corte" in browser.get(f"/clientes/{code}/").text
    assert "En la lista, sin corte" in browser.get("/clientes/").text
    assert "el router no la aplica, así que el servicio sigue" in browser.get(f"/clientes/{code}/historial/").text
    asked = browser.post(
        f"/tareas-periodicas/{task}/simular", data={"csrf_token": token_of(browser)}, follow_redirects=True
    ).text
    assert f"{name} no tiene las reglas: los clientes seguirán navegando" in asked
    assert f"/router/{site.router_id}/reglas/" in asked
    assert "quedan cortados" not in asked
    assert "queda cortado" not in asked


def test_a_rule_must_refuse_to_count() -> None:
    """Reading a list is not enough: FastTrack, counters, logs and what is meant for the router itself cut nobody."""

    def cuts(**row: str) -> bool:
        rule = {"chain": "forward", "src-address-list": "wisp-overdue", **row}
        return checks.applied(checks.Settings(), {FILTER: [{k.replace("_", "-"): v for k, v in rule.items()}]}).cut

    assert cuts(action="drop")
    assert cuts(action="jump")
    assert cuts(action="reject", src_address_list="", dst_address_list="wisp-overdue")
    assert cuts(action="accept", src_address_list="!wisp-overdue")
    assert not cuts(action="drop", disabled="true")
    assert not cuts(action="drop", chain="input")
    assert not cuts(action="accept")
    assert not cuts(action="log")
    assert not cuts(action="fasttrack-connection", src_address_list="!wisp-overdue")
    assert not cuts(action="drop", src_address_list="otra")
    assert checks.applied(
        checks.Settings(), {"/ip/firewall/raw": [{"chain": "prerouting", "action": "drop",
                                                  "src-address-list": "wisp-overdue"}]}
    ).cut  # fmt: skip
