"""Rules ordered by a person: the job, the page, the command, on both databases; nothing said that is not so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import CUT, Site
from tests.support.staff import signed_in, token_of
from wisp.access.models import RouterRules
from wisp.access.rules import service
from wisp.access.rules.wanted import FILTER, MENUS, NAT
from wisp.core import queue
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.demo.routeros.seed import seed
from wisp.routers.models import Router
from wisp.settings import service as settings
from wisp.staff import changes
from wisp.staff import service as staff

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    router = SimulatedRouter(users={"wisp": "secret"})
    seed(router, 2)
    with SimulatorServer(router) as server, app.app_context():
        made = Site(server)
        with transaction():
            settings.save_company({"page_servers": "203.0.113.10", "payment_hosts": "pay.example.net"})
        yield made
        made.close()


@pytest.fixture
def router(app: Flask) -> Iterator[Site]:
    """The same for pages: no context is pushed while they are asked for."""
    simulated = SimulatedRouter(users={"wisp": "secret"})
    seed(simulated, 2)
    with SimulatorServer(simulated) as server:
        with app.app_context():
            made = Site(server)
            with transaction():
                settings.save_company({"page_servers": "203.0.113.10", "payment_hosts": "pay.example.net"})
        yield made
        made.close()


def snapshot(site: Site) -> dict[str, Any]:
    return {menu: site.server.router.snapshot(menu) for menu in MENUS}


def flask(app: Flask, *words: str) -> tuple[int, Any, str]:
    result = app.test_cli_runner().invoke(args=["routers", "rules", *words])
    out = json.loads(result.stdout) if "--json" in words and result.stdout else result.stdout
    return result.exit_code, out, result.stderr


def name_of(site: Site) -> str:
    return session().get_one(Router, site.router_id).name


def test_the_command_shows_installs_and_removes(site: Site, app: Flask) -> None:
    name, before = name_of(site), snapshot(site)
    code, out, _ = flask(app, name, "--json")
    assert code == 0
    assert "fwd-overdue" in out["missing"]
    assert "place-before" in out["script"]
    assert {check["key"]: check["state"] for check in out["checks"]}["order"] == "bad"
    assert snapshot(site) == before
    code, out, error = flask(app, name, "--install", "--json")
    assert (code, out["state"], error) == (0, "done", "")
    code, out, _ = flask(app, name, "--json")
    assert (out["missing"], out["changed"], out["misplaced"], out["extra"]) == ([], [], [], [])
    states = {check["key"]: check["state"] for check in out["checks"]}
    assert {states[key] for key in ("order", "fasttrack", "dns", "server", "kept", "unread", "payments")} == {"good"}
    assert flask(app, name, "--remove")[0] == 0
    assert snapshot(site) == before
    with app.app_context():
        actions = list(session().scalars(sa.select(AuditEntry.action).where(AuditEntry.action.like("router.rules%"))))
    assert actions == ["router.rules_install", "router.rules_remove"]


def test_a_router_that_is_off_fails_and_the_script_is_there_all_the_same(site: Site, app: Flask) -> None:
    name = name_of(site)
    site.server.switch(off=True)
    code, out, error = flask(app, name, "--json")
    assert (code, out["error"]) == (1, "refused")
    assert "place-before" in out["script"]
    assert name in error
    code, out, error = flask(app, name, "--install", "--json")
    assert (code, out["state"], out["error"]) == (1, "failed", "refused")
    site.server.switch(off=False, full=True)
    code, out, error = flask(app, name, "--install", "--json")
    assert (code, out["state"]) == (1, "failed")
    assert "out of memory" in error


def test_a_lost_job_is_found_by_the_sweep_and_done_once(site: Site) -> None:
    from wisp.access.jobs import sweep

    with transaction():
        service.order(session().get_one(Router, site.router_id), "install")
        service.order(session().get_one(Router, site.router_id), "install")
    queue.connection().flushdb()
    assert service.unfinished() == [site.router_id]
    sweep()
    queue.drain()
    session().rollback()
    row = session().get_one(RouterRules, site.router_id, populate_existing=True)
    assert (row.asked, row.done, row.good) == (2, 2, True)
    assert len([row for row in site.server.router.snapshot(NAT) if "nat-overdue" in row.get("comment", "")]) == 1


def test_lists_renamed_in_the_settings_are_a_difference_until_installed_again(site: Site, app: Flask) -> None:
    name = name_of(site)
    assert flask(app, name, "--install")[0] == 0
    with transaction():
        settings.save_company({"list_overdue": "Morosos"})
    out = flask(app, name, "--json")[1]
    assert "fwd-overdue" in out["changed"]
    assert flask(app, name, "--install")[0] == 0
    jumps = [row for row in site.server.router.snapshot(FILTER) if row.get("action") == "jump"]
    assert [row["src-address-list"] for row in jumps] == ["Morosos"]
    assert CUT not in jumps[0].values() or jumps[0]["jump-target"] == CUT


class TestPage:
    """Under the router's tools."""

    def test_it_shows_the_script_and_reads_only_when_asked(self, router: Site, app: Flask) -> None:
        browser = signed_in(app)
        url = f"/router/{router.router_id}/reglas/"
        assert url in browser.get(f"/router/{router.router_id}/herramientas/").text
        router.server.router.counters.reset()
        page = browser.get(url).text
        assert "wisp-rule:fwd-overdue" in page
        assert "Instalar" in page
        assert "Quitar" in page
        assert router.server.router.counters.logins == 0
        page = browser.get(url + "?leer=1").text
        assert 'data-check="order" data-state="bad"' in page
        assert "Falta" in page
        part = browser.get(url + "?leer=1", headers={**PARTIAL, "HX-Target": "section#rules-read"}).text
        assert part.strip().startswith('<section class="card mb-3" id="rules-read"')

    def test_install_and_remove_by_post(self, router: Site, app: Flask) -> None:
        browser, before = signed_in(app), snapshot(router)
        url = f"/router/{router.router_id}/reglas/"
        token = token_of(browser)
        answer = browser.post(url, data={"csrf_token": token, "action": "install"})
        assert (answer.status_code, answer.location) == (303, url)
        part = browser.get(url, headers={**PARTIAL, "HX-Target": "div#rules-order"}).text
        assert "Instalando" in part
        assert "hx-trigger" in part
        with app.app_context():
            queue.drain()
        part = browser.get(url, headers={**PARTIAL, "HX-Target": "div#rules-order"}).text
        assert "Instaladas" in part
        assert "hx-trigger" not in part
        assert 'data-check="order" data-state="good"' in browser.get(url + "?leer=1").text
        browser.post(url, data={"csrf_token": token, "action": "remove"})
        with app.app_context():
            queue.drain()
        assert snapshot(router) == before
        assert browser.post(url, data={"csrf_token": token, "action": "x"}).status_code == 400

    def test_tools_of_the_whole_router_are_not_offered_to_whoever_sees_some_zones(
        self, router: Site, app: Flask
    ) -> None:
        url = f"/router/{router.router_id}"
        tools = [f"{url}/{name}/" for name in ("sincronizar", "reglas", "diferencia", "registro", "sesiones")]
        browser = signed_in(app, "tec@example.com", "technician")
        page = browser.get(f"{url}/herramientas/").text
        assert [tool for tool in tools if tool not in page] == []
        assert "quien ve todas las zonas" not in page
        with app.app_context(), transaction():
            changes.set_zones(staff.find("tec@example.com").id, True, [router.zone_id], staff.COMMAND_LINE)
        page = browser.get(f"{url}/herramientas/").text
        assert [tool for tool in tools if tool in page] == []
        assert "quien ve todas las zonas" in page
        assert "Probar la conexión" in page

    def test_who_may(self, router: Site, app: Flask) -> None:
        url = f"/router/{router.router_id}/reglas/"
        for role, status in (("technician", 200), ("support", 403), ("cashier", 403)):
            browser = signed_in(app, f"{role}@example.com", role=role)
            assert browser.get(url).status_code == status, role
            assert browser.get(f"/router/{router.router_id}/diferencia/").status_code == status, role
            assert browser.get(f"/router/{router.router_id}/registro/").status_code == status, role
        half = signed_in(app, "half@example.com", role="technician", routers_sync=False)
        assert half.post(url, data={"csrf_token": token_of(half), "action": "install"}).status_code == 403
        assert signed_in(app, "eva@example.com").get("/router/999/reglas/").status_code == 404
