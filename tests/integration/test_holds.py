"""Suspend, pause until a day and give back by hand: what each does, what lifts it, and what never does."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_router, make_zone, moment
from tests.support.access import CUT, Site
from tests.support.billing import at_work, by_hand, forget, fresh, items_of, order, tick, ticks
from wisp.access import service as access
from wisp.access.holds import service as holds
from wisp.access.jobs import sweep
from wisp.clients import csvcheck, csvimport
from wisp.clients import service as clients
from wisp.clients.models import Client, ClientPause
from wisp.core import clock, events, queue
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice
from wisp.payments import promises
from wisp.payments import service as payments
from wisp.routers.models import Zone
from wisp.tasks import runner

NOW = moment("2026-11-25 10:00")
DUE = date(2026, 11, 20)


@pytest.fixture
def site(ctx: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    """Three clients who owe 350.00 each, overdue since the 20th."""
    with clock.frozen(NOW):
        made = Site(router_sim, owing=False)
        for client_id in made.clients:
            make_invoice(session().get_one(Client, client_id), due=DUE)
        yield made
    made.close()


def client_of(site: Site, which: int = 0) -> Client:
    return session().get_one(Client, site.clients[which], populate_existing=True)


def zone_of(site: Site) -> Zone:
    return session().get_one(Zone, site.zone_id, populate_existing=True)


def do(what: Callable[[Client], Any], site: Site, which: int = 0) -> Any:
    """In a transaction, with what follows from it."""
    with at_work(), transaction():
        found = what(client_of(site, which))
    forget()
    return found


def reason(site: Site, which: int = 0) -> str:
    return site.access(site.clients[which]).reason


def on_router(site: Site, which: int = 0, name: str = CUT) -> bool:
    code = client_of(site, which).code
    return any(entry[0] == name and entry[2] == f"wisp:{code}" for entry in site.ours())


def audited(action: str) -> list[tuple[Any, Any]]:
    session().rollback()
    rows = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id))
    return [(row.before, row.after) for row in rows]


def pay(site: Site, which: int = 0, amount: int = 35_000, **options: Any) -> None:
    do(lambda client: payments.register(client, amount, method="cash", **options), site, which)


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Refused) as found, transaction():
        yield
    assert found.value.code == code


# Suspending ------------------------------------------------------------------------------------------


def test_a_client_suspended_by_hand_is_off_at_once_whatever_the_hour_and_once(site: Site) -> None:
    make_company(cut_from="20:00", cut_until="21:00")
    for _click in range(2):
        do(lambda client: holds.suspend(client, " se mudó "), site)
    assert on_router(site)
    row = site.access(site.clients[0])
    assert (row.reason, row.why, row.suspended_at) == ("manual", "se mudó", NOW)
    assert audited("client.suspend") == [
        ({"suspension": "", "why": ""}, {"suspension": "manual", "why": "se mudó"}),
    ]
    with refused("holds.why"):
        holds.suspend(client_of(site, 1), "  ")


def test_a_client_cut_for_debt_and_suspended_by_hand_is_not_lifted_by_money(site: Site) -> None:
    site.cut([site.clients[0]])
    do(lambda client: holds.suspend(client, "equipo robado"), site)
    pay(site)
    assert (reason(site), on_router(site)) == ("manual", True)


def lifting(site: Site) -> dict[str, Callable[[], Any]]:
    """Everything that gives the service back to somebody cut for debt, or writes access otherwise."""

    def undo() -> None:
        with transaction():
            payment = payments.register(client_of(site), 100, method="cash")
        with at_work(), transaction():
            payments.void(payment, "x")

    def move() -> None:
        other = make_zone(make_router(host=site.server.host, port=site.server.port))
        do(lambda client: clients.edit(client, zone=session().get_one(Zone, other.id)), site)

    def import_again() -> None:
        client = client_of(site)
        head = "code,name,email,phone,zone,plan,connection,address,mac,username,password,language,installed_on,state"
        row = f"{client.code},Otro nombre,,,{client.zone.name},{client.plan.name},static,{client.address},,,,es,,active"
        with at_work(), transaction():
            review = csvcheck.check(f"{head}\n{row}\n".encode())
            assert not review.problems
            csvimport.apply(review)

    def void_invoice() -> None:
        invoice_id = session().scalars(sa.select(Invoice.id).where(Invoice.client_id == site.clients[0])).one()
        with at_work(), transaction():
            invoices.void(session().get_one(Invoice, invoice_id), "x", again=False)

    def own() -> None:
        moments = dict.fromkeys(("invoices", "notice", "cut"), (5, 600))
        do(lambda c: clients.own_billing(c, billing_type="prepaid", due_day=4, moments=moments), site)  # type: ignore[arg-type]
        do(clients.zone_billing, site)

    def emitted() -> None:
        with at_work(), transaction():
            events.account_changed.emit(client_ids=site.clients)

    return {
        "promise": lambda: do(lambda client: promises.grant(client, date(2026, 11, 28)), site),
        "payment": lambda: pay(site),
        "payment kept": lambda: pay(site, activate=False),
        "synchronisation": lambda: site.order() and site.sync(),
        "void payment": undo,
        "void invoice": void_invoice,
        "account": emitted,
        "move": move,
        "import": import_again,
        "own billing": own,
        "excluded": lambda: do(lambda client: clients.edit(client, no_cut=True, free=True), site),
        "cut run": lambda: by_hand(zone_of(site), "cut"),
        "notice run": lambda: by_hand(zone_of(site), "notice"),
        "tick": lambda: ticks(NOW + timedelta(minutes=5)),
    }


@pytest.mark.parametrize("hold", ["manual", "pause"])
def test_nothing_but_a_person_lifts_what_a_person_ordered(site: Site, hold: str) -> None:
    site.cut([site.clients[0]])
    site.sync()
    if hold == "manual":
        do(lambda client: holds.suspend(client, "x"), site)
    else:
        do(lambda client: holds.pause(client, date(2026, 12, 10)), site)
    for name, way in lifting(site).items():
        way()
        row = site.access(site.clients[0])
        assert (row.suspended, row.reason, row.notice) == (True, hold, False), name
    session().rollback()
    assert do(holds.reactivate, site)
    assert not site.access(site.clients[0]).suspended


# Giving back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", ["debt", "kept", "imported", "manual", "pause"])
def test_giving_back_lifts_whatever_holds_the_client_and_does_not_hang_on_a_payment(site: Site, hold: str) -> None:
    if hold == "manual":
        do(lambda client: holds.suspend(client, "x"), site)
    elif hold == "pause":
        do(lambda client: holds.pause(client, date(2026, 12, 10)), site)
    else:
        site.cut([site.clients[0]], reason="imported" if hold == "imported" else "debt")
        site.sync()
    if hold == "kept":
        pay(site, activate=False)
        assert (reason(site), holds.of(site.clients[0]).paid, on_router(site)) == ("debt", True, True)
    assert do(lambda client: holds.reactivate(client, "acuerdo"), site)
    assert not on_router(site)
    row = site.access(site.clients[0])
    assert (row.reason, row.keep, row.why, row.pause_until, row.reactivated_at) == ("", False, "", None, NOW)
    after = audited("client.reactivate")[0][1]
    assert (after["suspension"], after["why"]) == ("", "acuerdo")
    assert do(holds.reactivate, site) is False, "the second click finds nothing to lift"
    assert len(audited("client.reactivate")) == 1
    site.order()
    site.sync()
    sweep()
    assert not on_router(site), "no synchronisation cuts again"


def test_the_next_cut_planned_after_it_treats_the_client_like_anybody(site: Site) -> None:
    by_hand(zone_of(site), "cut")
    do(holds.reactivate, site)
    run = by_hand(zone_of(site), "cut")
    assert items_of(run)[client_of(site).code] == ("done", "")


def test_what_cut_runs_have_left_open_is_off_and_no_retry_cuts_again(site: Site) -> None:
    site.server.switch(off=True)
    run = by_hand(zone_of(site), "cut")
    code = client_of(site).code
    assert items_of(run)[code] == ("waiting", "router_off")
    do(holds.reactivate, site)
    assert items_of(run)[code] == ("superseded", "reactivated")
    assert (fresh(run.id).waiting, fresh(run.id).state) == (2, "error")
    site.server.normal()
    with queue.inline():
        site.order()
    forget()
    assert not on_router(site)
    assert on_router(site, 1)
    assert fresh(run.id).state == "success"
    assert items_of(run)[code] == ("superseded", "reactivated")


def test_a_run_ordered_before_leaves_alone_who_got_the_service_back_since(site: Site) -> None:
    by_hand(zone_of(site), "cut")  # all three cut
    run_id = order(zone_of(site), "cut")
    with clock.frozen(NOW + timedelta(minutes=1)):
        do(holds.reactivate, site, 1)
        runner.work(run_id, chunk=1)
        run = fresh(run_id)
        assert items_of(run)[client_of(site, 1).code] == ("skipped", "reactivated")
        assert items_of(run)[client_of(site, 2).code][0] == "waiting"
    assert reason(site, 1) == ""


def test_giving_back_while_the_router_is_off_waits_for_it(site: Site) -> None:
    site.cut()
    site.sync()
    site.server.switch(off=True)
    assert do(holds.reactivate, site)
    assert access.state_of(site.clients[0]).pending
    site.server.normal()
    site.sync()
    assert not on_router(site)


# Pauses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [date(2026, 11, 24), date(2027, 11, 26)])
def test_a_pause_ends_between_today_and_a_year_from_now(site: Site, until: date) -> None:
    with refused("holds.pause_days"):
        holds.pause(client_of(site), until)
    assert reason(site) == ""


def test_a_paused_client_is_off_and_no_candidate_of_the_three_tasks_through_its_last_day(site: Site) -> None:
    do(lambda client: holds.pause(client, date(2026, 12, 15), "vacaciones"), site)
    assert on_router(site)
    code = client_of(site).code
    with clock.frozen(moment("2026-12-15 11:59")):  # the last day
        ticks(clock.now())
        assert reason(site) == "pause"
        found = {kind: items_of(by_hand(zone_of(site), kind)).get(code) for kind in ("invoices", "notice", "cut")}
    assert found == dict.fromkeys(("invoices", "notice", "cut"), ("skipped", "paused"))


@pytest.mark.parametrize(
    ("before", "happens", "after"),
    [
        ("", None, ""),
        ("debt", None, "debt"),
        ("debt", "pay", ""),
        ("debt", "pay kept", ""),
        ("debt", "promise", ""),
        ("debt", "exclude", ""),
        ("imported", None, "imported"),
        ("imported", "pay", ""),
        ("imported", "promise", ""),
        ("manual", "pay", "manual"),
    ],
)
def test_a_pause_ends_by_itself_and_what_was_before_and_is_still_due_comes_back(
    site: Site, before: str, happens: str | None, after: str
) -> None:
    if before == "manual":
        do(lambda client: holds.suspend(client, "x"), site)
    elif before:
        site.cut([site.clients[0]], reason=before)
    do(lambda client: holds.pause(client, date(2026, 11, 30)), site)
    if happens in ("pay", "pay kept"):
        pay(site, activate=happens == "pay")
    elif happens == "promise":
        do(lambda client: promises.grant(client, date(2026, 12, 5)), site)
    elif happens == "exclude":
        do(lambda client: clients.edit(client, no_cut_until=date(2026, 12, 31)), site)
    with clock.frozen(moment("2026-11-30 23:59")):
        tick()
        assert (reason(site), on_router(site)) == ("pause", True)
    with clock.frozen(moment("2026-12-01 00:00")):
        tick()
        tick()  # once
    assert (reason(site), on_router(site)) == (after, bool(after))
    assert audited("client.pause_end") == [
        ({"suspension": "pause", "until": "2026-11-30"}, {"suspension": after, "until": None})
    ]
    (days,) = session().scalars(sa.select(ClientPause))
    assert (days.first_day, days.last_day) == (NOW.date(), date(2026, 11, 30))
    assert days.ended_at is not None


def test_a_pause_whose_end_nobody_was_there_to_see_ends_late(site: Site) -> None:
    do(lambda client: holds.pause(client, date(2026, 11, 30)), site)
    ticks(moment("2026-12-04 07:00"), 1)
    assert (reason(site), on_router(site)) == ("", False)


def test_a_pause_ends_at_midnight_where_the_client_is(site: Site) -> None:
    there = make_zone(session().get_one(type(zone_of(site).router), site.router_id), timezone="America/Tijuana")
    west = make_client(there)
    with transaction():
        for client_id in (site.clients[0], west.id):
            holds.pause(session().get_one(Client, client_id), date(2026, 11, 30))
    tick(moment("2026-12-01 00:30"))
    assert [site.access(client_id).reason for client_id in (site.clients[0], west.id)] == ["", "pause"]
    tick(moment("2026-12-01 00:00", "America/Tijuana"))
    assert site.access(west.id).reason == ""


def test_the_next_period_begins_the_day_after_the_pause(site: Site) -> None:
    """Cycle of the 20th: the period from 20 December, of which the client was off through 4 January."""
    make_company(prorate=True)
    do(lambda client: holds.pause(client, date(2027, 1, 4)), site)
    with clock.frozen(moment("2027-01-05 09:00")):
        tick()
        run = by_hand(zone_of(site), "invoices", month=date(2026, 12, 1))
    code = client_of(site).code
    assert items_of(run)[code] == ("done", "shortened")
    invoice = session().scalars(
        sa.select(Invoice).where(Invoice.client_id == site.clients[0], Invoice.kind == "recurring")
    ).one()  # fmt: skip
    assert (invoice.period_from, invoice.period_to) == (date(2027, 1, 5), date(2027, 1, 19))
    assert invoice.total == 16_935  # 15 days of 31


def test_a_pause_can_be_changed_and_ended_sooner(site: Site) -> None:
    for until in (date(2026, 12, 31), date(2026, 11, 30), date(2026, 11, 30)):
        do(lambda client, until=until: holds.pause(client, until), site)
    assert site.access(site.clients[0]).pause_until == date(2026, 11, 30)
    assert len(audited("client.pause")) == 2, "the same once more is nothing new"
    with clock.frozen(NOW + timedelta(days=2)):
        do(holds.reactivate, site)
    (days,) = session().scalars(sa.select(ClientPause))
    assert (days.first_day, days.last_day) == (date(2026, 11, 25), date(2026, 11, 26))
    assert not on_router(site)


def test_a_cancelled_client_is_held_by_nothing_and_cannot_be(site: Site) -> None:
    do(lambda client: holds.pause(client, date(2026, 12, 31)), site)
    do(clients.cancel, site)
    assert reason(site) == ""
    assert session().scalar(sa.select(ClientPause.ended_at)) is not None
    for order_ in (holds.reactivate, lambda c: holds.suspend(c, "x"), lambda c: holds.pause(c, date(2026, 12, 1))):
        with refused("clients.cancelled"):
            order_(client_of(site))


# Taken over ------------------------------------------------------------------------------------------


def imported(site: Site, balance: str = "") -> int:
    """A new client that the other system had suspended, from its CSV."""
    zone, plan = zone_of(site), client_of(site).plan
    head = (
        "code,name,email,phone,zone,plan,connection,address,mac,username,password,language,installed_on,balance,state"
    )
    row = f"VIEJO,Vieja,,,{zone.name},{plan.name},static,10.77.0.1,,,,es,,{balance},suspended"
    with at_work(), transaction():
        review = csvcheck.check(f"{head}\n{row}\n".encode())
        assert not review.problems
        csvimport.apply(review)
    forget()
    return session().scalars(sa.select(Client.id).where(Client.code == "VIEJO")).one()


@pytest.mark.parametrize("balance", ["", "700.00"])
def test_a_suspension_taken_over_waits_for_a_payment_that_leaves_nothing_due(site: Site, balance: str) -> None:
    client_id = imported(site, balance)
    assert site.access(client_id).reason == "imported"
    for _again in range(2):
        site.order()
        site.sync()
        assert site.access(client_id).suspended, "no synchronisation lifts it"
    with at_work(), transaction():
        events.account_changed.emit(client_ids=[client_id])
    if balance:
        with at_work(), transaction():
            payments.register(session().get_one(Client, client_id), 100, method="cash")
        assert site.access(client_id).suspended, "something is still owed"
    with at_work(), transaction():
        payments.register(session().get_one(Client, client_id), 70_000, method="cash")
    assert not site.access(client_id).suspended
    assert not any(entry[2] == "wisp:VIEJO" for entry in site.ours())


def test_a_balance_that_comes_in_later_counts_for_it(site: Site) -> None:
    """The list of debtors was taken over first, the balances come after it."""
    client_id = imported(site)
    client = session().get_one(Client, client_id)
    head = "code,name,email,phone,zone,plan,connection,address,mac,username,password,language,installed_on,balance"
    row = f"VIEJO,Vieja,,,{client.zone.name},{client.plan.name},static,10.77.0.1,,,,es,,700.00"
    with at_work(), transaction():
        review = csvcheck.check(f"{head}\n{row}\n".encode())
        assert not review.problems
        csvimport.apply(review)
    forget()
    for amount, suspended in ((100, True), (69_900, False)):
        with at_work(), transaction():
            payments.register(session().get_one(Client, client_id), amount, method="cash")
        assert site.access(client_id).suspended is suspended


def test_only_registering_keeps_it_and_says_that_it_is_paid(site: Site) -> None:
    client_id = imported(site, "700.00")
    with at_work(), transaction():
        payment = payments.register(session().get_one(Client, client_id), 70_000, method="cash", activate=False)
        number = payment.id
    assert site.access(client_id).suspended
    assert payments.outcome(payments.find(number)) == "kept"
    assert holds.of(client_id).paid


def test_a_promise_lifts_it_even_where_no_debt_has_come_in(site: Site) -> None:
    client_id = imported(site)
    with at_work(), transaction():
        assert promises.grant(session().get_one(Client, client_id), date(2026, 11, 30)).reactivated
    assert not site.access(client_id).suspended


# The command line ------------------------------------------------------------------------------------


def run(app: Flask, *words: str) -> tuple[int, Any, str]:
    result = app.test_cli_runner().invoke(args=["clients", *words])
    forget()
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


def test_the_commands_do_it_and_show_how_the_client_stands(app: Flask, site: Site) -> None:
    code = client_of(site).code
    status, answer, _ = run(app, "suspend", code, "--why", "robado", "--wait", "--json")
    assert (status, answer["suspension"], answer["router"], on_router(site)) == (0, "manual", "done", True)
    status, answer, _ = run(app, "pause", code, "--until", "2026-12-24", "--wait", "--json")
    assert (status, answer["suspension"], answer["pause_until"]) == (0, "pause", "2026-12-24")
    _, shown, _ = run(app, "show", code, "--json")
    keys = ("state", "suspension", "pause_until", "promise")
    assert [shown[key] for key in keys] == ["suspended", "pause", "2026-12-24", None]
    assert shown["since"].startswith("2026-11-25")
    status, answer, _ = run(app, "reactivate", code, "--wait", "--json")
    assert (status, answer["state"], answer["suspension"], on_router(site)) == (0, "active", None, False)
    status, _, error = run(app, "reactivate", code, "--json")
    assert (status, error.count("\n")) == (1, 1)
    assert run(app, "pause", code, "--until", "2030-01-01", "--json")[0] == 1
    assert run(app, "suspend", code, "--json")[0] == 2
    _, everybody, _ = run(app, "list", "--json")
    assert {one["suspension"] for one in everybody} == {None}
