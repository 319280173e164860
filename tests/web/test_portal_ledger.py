"""Who saw a notice on its screen and who confirmed it, in the ledger of the run that put it there."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import Site, owe
from tests.support.staff import signed_in
from tests.web.test_portal import client_of, press, visit
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.portal.models import PortalVisit
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings
from wisp.tasks import service as tasks

_serial = itertools.count(1)
NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.fixture
def site(app: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    """A router with four clients who owe; at noon nothing has been done about it."""
    with app.app_context(), clock.frozen(NOON):
        made = Site(router_sim, clients=4, owing=False)
        owe(made.clients, due=date(2026, 11, 15))
        with transaction():
            settings.save_company({"name": "Red Norte"})
    yield made
    made.close()


def run(app: Flask, kind: str, hours: float) -> int:
    """Apply the zone's task so many hours after noon; the run."""
    with clock.frozen(NOON + timedelta(hours=hours)), app.app_context(), queue.inline(), transaction():
        task = session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == kind)).one()
        return tasks.order(task).id


def look(app: Flask, site: Site, number: int, hours: float, *, confirm: bool = False) -> None:
    """One client opens its page so many hours after noon."""
    address = client_of(app, site.clients[number]).address
    with clock.frozen(NOON + timedelta(hours=hours)), app.app_context(), queue.inline():
        browser = app.test_client()
        page = visit(browser, address)
        if confirm:
            press(browser, address, page)


def asked(app: Flask, *paths: str) -> list[str]:
    """What these pages say days later to somebody of the office who just logged in."""
    with clock.frozen(NOON + timedelta(days=5)):
        office = signed_in(app, f"{next(_serial)}@example.com")
        return [office.get(path).text for path in paths]


def shown(app: Flask, run_id: int) -> str:
    return asked(app, f"/tareas-periodicas/ejecuciones/{run_id}/")[0]


def test_a_run_counts_who_saw_and_who_confirmed_until_the_next_one(app: Flask, site: Site) -> None:
    look(app, site, 3, -1)  # before there was a notice
    first = run(app, "notice", 0)
    assert "Vieron el aviso 0, confirmaron 0" in shown(app, first)
    look(app, site, 0, 1, confirm=True)
    look(app, site, 0, 2)  # its account, not the notice
    look(app, site, 1, 3)
    look(app, site, 1, 30)
    page = shown(app, first)
    assert "Vieron el aviso 2, confirmaron 1" in page
    assert page.count("Visto</span>") == 1
    assert page.count("Confirmado</span>") == 1
    second = run(app, "notice", 48)
    look(app, site, 2, 49)
    look(app, site, 1, 50)
    assert "Vieron el aviso 2, confirmaron 1" in shown(app, first)
    assert "Vieron el aviso 2, confirmaron 0" in shown(app, second)


def test_a_look_minutes_before_the_notice_does_not_hide_the_one_after(app: Flask, site: Site) -> None:
    look(app, site, 0, -0.02)
    first = run(app, "notice", 0)
    look(app, site, 0, 0.02)
    assert "Vieron el aviso 1, confirmaron 0" in shown(app, first)
    second = run(app, "notice", 3)
    assert "Vieron el aviso 1, confirmaron 0" in shown(app, first)
    look(app, site, 0, 4)
    assert "Vieron el aviso 1, confirmaron 0" in shown(app, first)
    assert "Vieron el aviso 1, confirmaron 0" in shown(app, second)


def test_whoever_met_only_the_cut_page_did_not_see_the_notice(app: Flask, site: Site) -> None:
    first = run(app, "notice", 0)
    cut = run(app, "cut", 1)
    look(app, site, 0, 2)
    assert "Vieron el aviso 0, confirmaron 0" in shown(app, first)
    assert "Vieron el aviso" not in shown(app, cut)
    with app.app_context():
        row = session().scalars(sa.select(PortalVisit)).one()
        assert (row.seen, row.notice_first_at) == (1, None)


def test_the_ledger_of_a_client_and_its_file_for_spreadsheets_say_when(app: Flask, site: Site) -> None:
    first = run(app, "notice", 0)
    look(app, site, 0, 1, confirm=True)
    look(app, site, 1, 2)
    names = [client_of(app, site.clients[number]).code for number in (0, 1, 2)]
    paths = [f"/clientes/{code}/historial/" for code in names]
    *history, csv = asked(app, *paths, f"/tareas-periodicas/ejecuciones/{first}/clientes.csv")
    assert re.search("El cliente confirmó el aviso en su pantalla.*?20 nov 2026 13:00", history[0], re.S)
    assert re.search("El cliente vio el aviso en su pantalla.*?20 nov 2026 14:00", history[1], re.S)
    assert "aviso en su pantalla" not in history[2]
    lines = csv.splitlines()
    assert lines[0].endswith(",Visto,Confirmado")
    by_code = {line.split(",")[0]: line.split(",")[-2:] for line in lines[1:]}
    stamp = "2026-11-20 13:00-06:00"
    assert [by_code[code] for code in names] == [[stamp, stamp], ["2026-11-20 14:00-06:00", ""], ["", ""]]
