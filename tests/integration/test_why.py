"""Why a client was cut, still is, was not, was not invoiced: one sentence, its rule and its figures."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_plan, make_router, make_zone, moment
from tests.support.access import Site
from tests.support.billing import by_hand, items_of
from tests.support.staff import signed_in
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, Promise
from wisp.payments import service as payments
from wisp.routers.models import Zone
from wisp.tasks import ledger
from wisp.tasks import why as reasons
from wisp.tasks.domain import Reason

NOW = moment("2026-11-28 10:00")


def asked(app: Flask, code: str, question: str = "", *more: str) -> dict[str, Any]:
    words = ["clients", "why", code, *(["--question", question] if question else []), *more, "--json"]
    answer = app.test_cli_runner().invoke(args=words)
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture
def cut_one(app: Flask) -> Iterator[tuple[Site, str]]:
    """A client that a run by hand of Ana has cut, a week after its invoice was due."""
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"})) as server, clock.frozen(NOW):
        with app.app_context():
            site = Site(server, clients=1, owing=False)
            client = session().get_one(Client, site.clients[0])
            make_invoice(client, due=date(2026, 11, 20), created_at=NOW - timedelta(days=10))
            audit.act_as(audit.Actor("staff:ana@example.com"))
            by_hand(session().get_one(Zone, site.zone_id), "cut")
            audit.act_as(audit.SYSTEM)
            code = session().get_one(Client, site.clients[0]).code
        yield site, code
        site.close()


def pay(site: Site, amount: int, **values: Any) -> None:
    with queue.inline(), transaction():
        payments.register(session().get_one(Client, site.clients[0]), amount, method="cash", **values)


def test_why_it_was_cut_and_what_lifted_it(cut_one: tuple[Site, str], app: Flask) -> None:
    site, code = cut_one
    found = asked(app, code, "cut")
    assert set(found) == {
        "question", "day", "state", "suspension", "because", "rule", "figures", "actor", "run", "invoice", "amount",
        "router_answer", "lifted_by",
    }  # fmt: skip
    assert (found["state"], found["suspension"], found["rule"]) == ("suspended", "debt", "overdue")
    assert (found["actor"], found["amount"], found["lifted_by"]) == ("staff:ana@example.com", "350.00", None)
    assert found["figures"] == {"overdue": "350.00", "tolerance": "0.00", "due": "2026-11-20"}
    with app.app_context():
        label = session().scalar(sa.select(Invoice.label))
    assert found["invoice"] == label
    assert label in found["because"]
    assert "$350.00" in found["because"]
    with app.app_context(), clock.frozen(NOW + timedelta(hours=1)):
        pay(site, 35_000)
    with clock.frozen(NOW + timedelta(hours=2)):
        later = asked(app, code, "cut")
        assert later["invoice"] == label  # what is paid now was owed then
        assert "1" in later["lifted_by"]
        assert asked(app, code, "still-cut")["rule"] == "not_cut"
        assert asked(app, code)["question"] == "not-cut"
    assert asked(app, code, "cut", "--day", "2026-11-01")["rule"] == "never_cut"


def test_why_it_is_still_cut(cut_one: tuple[Site, str], app: Flask) -> None:
    site, code = cut_one
    with app.app_context():
        pay(site, 10_000)
    found = asked(app, code)
    assert (found["question"], found["rule"], found["figures"]["overdue"]) == ("still-cut", "overdue", "250.00")
    assert "$250.00" in found["because"]
    with app.app_context():
        pay(site, 25_000, activate=False)
    found = asked(app, code)
    assert found["rule"] == "kept"
    assert "2" in found["because"]
    assert "Solo registrar" in found["because"]


def test_a_person_who_suspended_is_named(cut_one: tuple[Site, str], app: Flask) -> None:
    _site, code = cut_one
    with app.app_context(), transaction() as s:
        s.execute(sa.update(Access).values(reason="manual"))
        audit.act_as(audit.Actor("staff:luis@example.com"))
        audit.record("client.suspend", f"client:{code}", {"why": ""}, {"why": "equipo robado"})
        audit.act_as(audit.SYSTEM)
    for question in ("", "cut"):
        found = asked(app, code, question)
        assert (found["rule"], found["actor"]) == ("by_hand", "staff:luis@example.com")
        assert "equipo robado" in found["because"]


class TestNotCut:
    """Why the cut passed somebody over, or will."""

    @pytest.fixture(autouse=True)
    def _now(self) -> Iterator[None]:
        with clock.frozen(NOW):
            yield

    def test_by_the_rules_of_now(self, app: Flask) -> None:
        with app.app_context():
            make_company()
            zone = make_zone(make_router())
            make_client(zone, code="NONE")
            until = {"SPARED": date(2026, 12, 31), "OLD": date(2025, 1, 1)}
            for code in ("DUE", "SPARED", "OLD", "PROMISED"):
                values = {"no_cut_until": until[code]} if code in until else {}
                client = make_client(zone, code=code, **values)
                make_invoice(client, due=date(2026, 11, 30) if code == "DUE" else date(2026, 11, 20))
                if code == "PROMISED":
                    with transaction() as s:
                        s.add(Promise(client_id=client.id, until=date(2026, 11, 29), actor="x", created_at=NOW))
        rules = {code: asked(app, code)["rule"] for code in ("NONE", "DUE", "SPARED", "PROMISED", "OLD")}
        assert rules == {
            "NONE": "nothing_owed", "DUE": "not_due", "SPARED": "excluded", "PROMISED": "promise",
            "OLD": "cut_to_come",  # its exclusion has ended
        }  # fmt: skip
        assert asked(app, "OLD")["figures"]["cut"] == "2026-12-22"
        assert asked(app, "OLD", "not-cut", "--day", "2026-11-22")["rule"] == "no_run"

    def test_by_what_the_run_of_that_day_wrote(self, app: Flask) -> None:
        with SimulatorServer(SimulatedRouter(users={"wisp": "secret"})) as server, app.app_context():
            zone = make_zone(make_router(host=server.host, port=server.port))
            client = make_client(zone, code="SPARED", no_cut=True)
            make_invoice(client, due=date(2026, 11, 20))
            with clock.frozen(moment("2026-11-22 08:00")):
                run = by_hand(zone, "cut")
                run_id = run.id
            assert items_of(run) == {"SPARED": ("skipped", "excluded")}
            with transaction():
                session().get_one(Client, client.id).no_cut = False
        found = asked(app, "SPARED", "not-cut", "--day", "2026-11-22")
        assert (found["rule"], found["run"]) == ("excluded", run_id)


def test_why_it_was_not_invoiced(app: Flask) -> None:
    with app.app_context():
        zone = make_zone(make_router())
        make_client(zone, code="FREE", free=True)
        done = make_client(zone, code="DONE")
        make_invoice(done, due=date(2026, 12, 20), month=date(2026, 12, 1))
        make_client(zone, code="LATER", plan=make_plan(price=35_000))
    with clock.frozen(NOW):
        assert asked(app, "FREE", "not-invoiced")["rule"] == "free"
        found = asked(app, "DONE", "not-invoiced", "--day", "2026-12-01")
        assert (found["rule"], found["amount"]) == ("invoiced", "350.00")
        found = asked(app, "LATER", "not-invoiced", "--day", "2026-12-01")
        assert (found["rule"], found["figures"]) == ("to_come", {"invoice": "2026-12-15"})


def test_the_same_answer_stands_on_the_clients_page(cut_one: tuple[Site, str], app: Flask) -> None:
    _site, code = cut_one
    with app.app_context():
        sentence = reasons.why(session().scalars(sa.select(Client)).one(), "cut").because
    browser = signed_in(app)
    assert "$350.00 siguen vencidos" in browser.get(f"/clientes/{code}/historial/").text
    assert sentence in browser.get(f"/clientes/{code}/historial/?pregunta=cut").text


def test_an_exclusion_that_ended_excludes_nobody_and_each_zone_has_its_own_date(app: Flask) -> None:
    with clock.frozen(NOW), app.app_context():
        make_company(timezone="America/Mexico_City")
        zone, far = make_zone(), make_zone(timezone="Pacific/Kiritimati")  # there it is the 29th
        ended = make_client(zone, no_cut_until=date(2025, 1, 31))
        spared = make_client(zone, no_cut_until=date(2026, 11, 28))
        unnoticed = make_client(zone, no_notice=True)
        near, away = make_client(zone), make_client(far)
        for client in (ended, spared, unnoticed, near, away):
            make_invoice(client, due=date(2026, 11, 20))
        with transaction() as s:
            for client in (near, away):
                s.add(Promise(client_id=client.id, until=date(2026, 11, 28), actor="x", created_at=NOW))
        ids = [client.id for client in (ended, spared, unnoticed, near, away)]
        cut, notice = ledger.why_not(ids, "cut"), ledger.why_not(ids, "notice")
        assert [cut[i] for i in ids] == [Reason.PAID, Reason.EXCLUDED, Reason.PAID, Reason.PROMISE, Reason.PAID]
        assert notice[unnoticed.id] == Reason.EXCLUDED
        assert notice[spared.id] == Reason.PAID
