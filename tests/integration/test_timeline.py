"""A client's history: everything that has happened to it, with who and when, on the page and the command line."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.access import Site, owe
from tests.support.billing import by_hand
from tests.support.staff import signed_in
from wisp.access import service as access
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.db import db, session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice, Payment, Promise
from wisp.outbox.models import Message
from wisp.payments import promises
from wisp.payments import service as payments
from wisp.portal.models import PortalVisit
from wisp.routers.models import Zone
from wisp.schedules.domain import Kind


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"})) as server:
        with app.app_context():
            made = Site(server, clients=1, owing=False)
        yield made
        made.close()


def the_client(site: Site) -> Client:
    return session().get_one(Client, site.clients[0])


class Story:
    """What an office does in a year, each thing a minute after the one before, by Ana."""

    def __init__(self, site: Site) -> None:
        self.site, self.at = site, clock.now() - timedelta(hours=2)

    def then(self, what: Any) -> None:
        self.at += timedelta(minutes=1)
        with clock.frozen(self.at), queue.inline(), transaction():
            audit.act_as(audit.Actor("staff:ana@example.com"))
            what()
        session().rollback()

    def pay(self, **values: Any) -> Payment:
        return payments.register(the_client(self.site), 35_000, method="cash", **values)

    def tell(self) -> None:
        site = self.site
        with clock.frozen(self.at):
            owe(site.clients)
            self.mail()
        zone = session().get_one(Zone, site.zone_id)
        self.at += timedelta(minutes=1)
        with clock.frozen(self.at):
            audit.act_as(audit.Actor("staff:ana@example.com"))
            by_hand(zone, "cut")
        self.then(lambda: promises.grant(the_client(site), clock.now().date() + timedelta(days=3)))
        self.then(lambda: session().execute(sa.update(Promise).values(ended_at=clock.now(), outcome="broken")))
        self.then(lambda: access.want_suspended(site.clients))
        self.then(lambda: access.request_sync([site.router_id]))
        self.then(lambda: self.pay(activate=False))
        self.then(lambda: payments.void(session().scalars(sa.select(Payment)).one(), "billete falso"))
        self.then(self.pay)
        self.then(lambda: clients.edit(the_client(site), phone="555 1234"))
        own = {"invoices": (20, 480), "notice": (23, 480), "cut": (28, 480)}
        days = {Kind(kind): moment for kind, moment in own.items()}
        self.then(
            lambda: clients.own_billing(
                the_client(site), billing_type="prepaid", due_day=25, moments=days, this_month="skip"
            )
        )
        self.then(self.visit)
        self.then(lambda: invoices.void(session().scalars(sa.select(Invoice)).one(), "otro plan", again=False))

    def mail(self) -> None:
        with transaction() as s:
            s.add(Message(kind="invoice", client_id=self.site.clients[0], recipient="x@example.com", state="sent",
                          subject="Su aviso", created_at=clock.now(), sent_at=clock.now()))  # fmt: skip

    def visit(self) -> None:
        day, now = clock.now().date(), clock.now()
        session().add(PortalVisit(client_id=self.site.clients[0], day=day, seen=2, first_seen_at=now,
                                  last_seen_at=now, notice_first_at=now, confirmed_at=now))  # fmt: skip


@pytest.fixture
def told(site: Site, app: Flask) -> str:
    with app.app_context():
        Story(site).tell()
        audit.act_as(audit.SYSTEM)
        return the_client(site).code


def test_everything_is_told_with_who_and_when(told: str, app: Flask) -> None:
    answer = app.test_cli_runner().invoke(args=["clients", "history", told, "--json"])
    lines = json.loads(answer.stdout)
    assert [line["at"] for line in lines] == sorted((line["at"] for line in lines), reverse=True)
    kinds = {line["kind"] for line in lines}
    assert kinds >= {
        "invoice", "void", "mail", "seen", "cut", "reactivated", "payment", "payment_void", "promise",
        "promise_broken", "edit",
    }  # fmt: skip
    by_kind = {line["kind"]: line for line in lines}
    by_ana = ("payment", "payment_void", "promise", "cut", "void")
    assert {line["actor"] for line in lines if line["kind"] in by_ana} == {"staff:ana@example.com"}
    assert by_kind["reactivated"]["actor"].startswith("router:")
    assert (by_kind["cut"]["amount"], by_kind["payment"]["amount"]) == ("350.00", "350.00")
    assert by_kind["cut"]["run"] is not None
    assert by_kind["void"]["invoice"].startswith("T-")
    assert by_kind["payment_void"]["payment"] is not None
    assert sum(line["kind"] == "reactivated" for line in lines) == 2  # by the promise, and by the second payment
    assert set(lines[0]) == {"at", "actor", "kind", "text", "amount", "run", "invoice", "payment"}


def test_the_page_tells_it_in_words_and_pages_it(told: str, app: Flask) -> None:
    page = signed_in(app).get(f"/clientes/{told}/historial/").text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for words in (
        "Se cortó el servicio",
        "confirmó que el servicio está de vuelta",
        "Pago 1 de $350.00 (Efectivo). “Solo registrar”: no devuelve el servicio.",
        "Se anuló el pago 1 de $350.00: billete falso",
        "Pago 2 de $350.00 (Efectivo). Con él se ordenó devolver el servicio.",
        "se incumplió",
        "Correo a x@example.com: “Su aviso”",
        "El cliente vio el aviso en su pantalla.",
        "El cliente confirmó el aviso en su pantalla.",
        "Teléfono: – → 555 1234",
        "Facturación propia: no → sí",
        "Se anuló la factura T-1: otro plan",
        "ana@example.com",
    ):
        assert words in text, words


def test_who_may_not_see_invoices_reads_no_money(told: str, app: Flask) -> None:
    page = signed_in(app, role="technician", invoices_view=False).get(f"/clientes/{told}/historial/").text
    assert 'data-kind="cut"' in page
    for kind in ("payment", "payment_void", "invoice", "void"):
        assert f'data-kind="{kind}"' not in page


def test_the_statements_are_as_many_for_a_long_history(told: str, app: Flask) -> None:
    browser, seen = signed_in(app), []
    with app.app_context():
        engine, client_id = db.engine, session().scalars(sa.select(Client.id).where(Client.code == told)).one()
    sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    counts = []
    for _ in range(2):
        seen.clear()
        browser.get(f"/clientes/{told}/historial/")
        counts.append(len(seen))
        with app.app_context(), transaction() as s:
            paid = {"client_id": client_id, "amount": 100, "remaining": 0, "method": "cash", "actor": "cli:x"}
            s.add_all(Payment(**paid, paid_on=clock.now().date(), created_at=clock.now()) for _ in range(60))
    assert counts[1] <= counts[0]
    assert "2" in re.findall(r"[?&]page=(\d+)", browser.get(f"/clientes/{told}/historial/").text)
