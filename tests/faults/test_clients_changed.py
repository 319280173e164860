"""Clients who lack something, and clients who change while a run about them is under way or waits for its router."""

from collections.abc import Iterator
from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_invoice, make_plan, make_router, make_zone, moment
from tests.support.billing import (
    NOTICE,
    at_work,
    by_hand,
    count,
    forget,
    fresh,
    gapless,
    items_of,
    listed,
    order,
    settle,
    task_of,
)
from wisp.access.models import Access
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice
from wisp.outbox.models import Message
from wisp.payments import service as payments
from wisp.tasks import service

pytestmark = pytest.mark.usefixtures("ctx")
NOW = moment("2026-11-22 10:00")
DUE = date(2026, 11, 20)


@pytest.fixture
def other_sim() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"})) as server:
        yield server


@pytest.fixture
def zone(router_sim):
    with clock.frozen(moment("2026-11-10 10:00")):
        return make_zone(make_router(host=router_sim.host, port=router_sim.port))


@pytest.fixture
def elsewhere(other_sim):
    """A zone on another router."""
    with clock.frozen(moment("2026-11-10 10:00")):
        return make_zone(make_router(host=other_sim.host, port=other_sim.port))


@pytest.fixture
def now() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def debtor(zone, code: str, **values) -> Client:
    client = make_client(zone, code=code, **values)
    make_invoice(client, due=DUE)
    return client


def change(client: Client, **values) -> None:
    """Save the client's form, and what follows from it."""
    with at_work(), transaction():
        clients.edit(session().get_one(Client, client.id), **values)


def retry() -> None:
    """Routers that were away answer again and are synchronised."""
    from wisp.access import service as access

    with at_work(), transaction():
        access.request_sync(access.all_routers())


# Who lacks something ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("now")
def test_a_client_without_email_is_invoiced_and_counted_and_no_error(zone) -> None:
    make_client(zone, email="")
    make_client(zone)
    run = by_hand(zone)
    assert (run.state, run.invoiced, run.mails, run.without_email, run.failed) == ("success", 2, 1, 1, 0)
    assert count(Message) == 1
    assert gapless() == [1, 2]
    change(session().scalars(sa.select(Client).where(Client.email == "")).one(), email="late@example.com")
    again = by_hand(zone)
    assert (again.invoiced, again.mails, again.unchanged) == (0, 0, 2)
    assert count(Message) == 1  # nothing is sent afterwards by itself


@pytest.mark.usefixtures("now")
def test_a_client_without_address_fails_alone_says_so_and_is_done_once_it_has_one(zone, router_sim) -> None:
    debtor(zone, "GOOD", address="10.1.0.1")
    bare = debtor(zone, "BARE", address=None)
    run = by_hand(zone, "cut")
    assert (run.state, run.cut, run.failed) == ("error", 1, 1)
    assert items_of(run) == {"GOOD": ("done", ""), "BARE": ("failed", "no_address")}
    assert listed(router_sim) == {"10.1.0.1": "wisp:GOOD"}
    change(bare, address="10.1.0.2")
    run = fresh(run.id)
    assert (run.state, run.cut, run.failed) == ("success", 2, 0)
    assert set(listed(router_sim)) == {"10.1.0.1", "10.1.0.2"}


@pytest.mark.usefixtures("now")
def test_an_address_that_went_to_a_new_client_while_the_router_was_off_is_not_cut_for_the_old_one(
    zone, router_sim
) -> None:
    old = debtor(zone, "OLD", address="10.1.0.1")
    assert by_hand(zone, "cut").cut == 1
    router_sim.switch(off=True)
    with at_work(), transaction():
        clients.cancel(session().get_one(Client, old.id))
    new = make_client(zone, code="NEW", address="10.1.0.1")
    by_hand(zone, "cut")
    router_sim.switch(off=False)
    retry()
    assert listed(router_sim) == {}
    make_invoice(session().get_one(Client, new.id), due=DUE)
    assert by_hand(zone, "cut").cut == 1
    assert listed(router_sim) == {"10.1.0.1": "wisp:NEW"}


@pytest.mark.usefixtures("now")
def test_two_clients_on_one_address_are_never_cut_by_halves(zone, router_sim) -> None:
    """A PPPoE client may hold the very address of another: it stays listed until neither of them is to be cut."""
    one = debtor(zone, "ONE", address="10.1.0.1")
    two = debtor(zone, "TWO", connection="pppoe", username="two", address=None)
    router_sim.router.load("/ppp/secret", [{"name": "two", "remote-address": "10.1.0.1"}])
    run = by_hand(zone, "cut")
    assert run.cut + run.unchanged + run.failed == 2
    assert set(listed(router_sim)) == {"10.1.0.1"}
    settle([one.id])
    retry()
    assert listed(router_sim) == {"10.1.0.1": "wisp:TWO"}
    settle([two.id])
    retry()
    assert listed(router_sim) == {}


# Who changes -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("off", ["neither", "old", "new"])
def test_a_cut_client_who_moves_to_another_router_is_cut_there_and_nowhere_else(
    zone, elsewhere, router_sim, other_sim, off
) -> None:
    client = debtor(zone, "MOVES", address="10.1.0.1")
    assert by_hand(zone, "cut").cut == 1
    {"old": router_sim, "new": other_sim}.get(off, SimulatedOff()).switch(off=True)
    change(client, zone=elsewhere)
    if off != "neither":
        {"old": router_sim, "new": other_sim}[off].switch(off=False)
        retry()
    assert listed(router_sim) == {}
    assert listed(other_sim) == {"10.1.0.1": "wisp:MOVES"}
    settle([client.id])
    retry()
    assert listed(router_sim) == listed(other_sim) == {}


class SimulatedOff:
    """Nobody's switch."""

    def switch(self, **_: bool) -> None:
        """Nothing."""


@pytest.mark.usefixtures("now")
def test_a_client_who_moves_while_its_cut_waits_is_cut_on_the_new_router_and_the_run_ends_well(
    zone, elsewhere, router_sim, other_sim
) -> None:
    router_sim.switch(off=True)
    client, _stays = debtor(zone, "MOVES"), debtor(zone, "STAYS")
    run = by_hand(zone, "cut")
    assert (run.state, run.waiting) == ("error", 2)
    change(client, zone=elsewhere)
    assert listed(other_sim) == {client.address: "wisp:MOVES"}
    assert items_of(fresh(run.id)) == {"MOVES": ("done", ""), "STAYS": ("waiting", "router_off")}
    router_sim.switch(off=False)
    retry()
    run = fresh(run.id)
    assert items_of(run) == {"MOVES": ("done", ""), "STAYS": ("done", "")}
    assert (run.state, run.cut, run.waiting) == ("success", 2, 0)
    assert set(listed(router_sim).values()) == {"wisp:STAYS"}
    assert task_of(zone, "cut").state == "pending"  # a run by hand


@pytest.mark.usefixtures("now")
def test_who_moved_and_paid_before_any_router_was_told_leaves_no_run_waiting(
    zone, elsewhere, router_sim, other_sim
) -> None:
    router_sim.switch(off=True)
    other_sim.switch(off=True)
    client = debtor(zone, "MOVES")
    run = by_hand(zone, "cut")
    change(client, zone=elsewhere)
    settle([client.id])
    for server in (router_sim, other_sim):
        server.switch(off=False)
    retry()
    run = fresh(run.id)
    assert (run.state, run.waiting, run.cut) == ("success", 0, 0)
    assert items_of(run)["MOVES"][0] == "superseded"
    assert listed(router_sim) == listed(other_sim) == {}


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("off", [False, True])
def test_a_client_cancelled_while_cut_leaves_the_list(zone, router_sim, off) -> None:
    client = debtor(zone, "GOES")
    assert by_hand(zone, "cut").cut == 1
    router_sim.switch(off=off)
    with at_work(), transaction():
        clients.cancel(session().get_one(Client, client.id))
    if off:
        assert set(listed(router_sim).values()) == {"wisp:GOES"}  # not yet, and nobody says so
        assert session().get_one(Access, client.id, populate_existing=True).applied_suspended
        router_sim.switch(off=False)
        retry()
    assert listed(router_sim) == {}
    again = by_hand(zone, "cut")
    assert (again.expected, again.cut, again.state) == (0, 0, "success")


@pytest.mark.usefixtures("now")
def test_a_client_cancelled_while_its_cut_waits_is_not_cut_and_the_run_ends_well(zone, router_sim) -> None:
    router_sim.switch(off=True)
    client, _ = debtor(zone, "GOES"), debtor(zone, "STAYS")
    run = by_hand(zone, "cut")
    with at_work(), transaction():
        clients.cancel(session().get_one(Client, client.id))
    router_sim.switch(off=False)
    retry()
    run = fresh(run.id)
    assert (run.state, run.cut, run.waiting) == ("success", 1, 0)
    assert items_of(run)["GOES"][0] == "superseded"
    assert set(listed(router_sim).values()) == {"wisp:STAYS"}


@pytest.mark.usefixtures("now")
def test_a_new_zone_on_the_same_router_leaves_the_waiting_cut_to_its_run(zone, router_sim) -> None:
    beside = make_zone(session().get_one(type(zone.router), zone.router_id))
    router_sim.switch(off=True)
    client = debtor(zone, "MOVES")
    run = by_hand(zone, "cut")
    change(client, zone=beside)
    router_sim.switch(off=False)
    retry()
    assert items_of(fresh(run.id)) == {"MOVES": ("done", "")}
    assert fresh(run.id).state == "success"


# Who pays --------------------------------------------------------------------------------------------


def pay(client: Client, amount: int = 35_000) -> None:
    with at_work(), transaction():
        payments.register(session().get_one(Client, client.id), amount, method="cash")


@pytest.mark.usefixtures("now")
def test_who_paid_between_simulation_and_run_is_set_aside(zone, router_sim) -> None:
    payer, other = debtor(zone, "PAYS"), debtor(zone, "OWES")
    partly = debtor(zone, "PARTLY")
    with transaction():
        plan_id = service.simulate(task_of(zone, "cut")).id
    pay(payer)
    pay(partly, 10_000)
    run = by_hand(zone, "cut", plan_id=plan_id)
    assert items_of(run) == {
        "PAYS": ("skipped", "changed"), "PARTLY": ("skipped", "changed"), "OWES": ("done", ""),
    }  # fmt: skip
    assert set(listed(router_sim).values()) == {"wisp:OWES"}
    assert other.id


@pytest.mark.usefixtures("now")
def test_who_paid_between_the_order_and_the_worker_is_not_cut(zone, router_sim) -> None:
    payer, _ = debtor(zone, "PAYS"), debtor(zone, "OWES")
    run_id = order(zone, "cut")
    pay(payer)
    with at_work():
        queue.enqueue("tasks.run", [run_id])
    assert fresh(run_id).state == "success"
    assert items_of(fresh(run_id)) == {"OWES": ("done", "")}
    assert set(listed(router_sim).values()) == {"wisp:OWES"}


@pytest.mark.usefixtures("now")
def test_who_paid_while_the_router_was_off_never_reaches_its_list(zone, router_sim) -> None:
    payer, _ = debtor(zone, "PAYS"), debtor(zone, "OWES")
    router_sim.switch(off=True)
    cut, notice = by_hand(zone, "cut"), by_hand(zone, "notice")
    pay(payer)
    router_sim.switch(off=False)
    retry()
    assert items_of(fresh(cut.id)) == {"PAYS": ("superseded", "paid"), "OWES": ("done", "")}
    assert (fresh(cut.id).state, fresh(notice.id).state) == ("success", "success")
    assert set(listed(router_sim).values()) == {"wisp:OWES"}
    assert listed(router_sim, NOTICE) == {}


@pytest.mark.usefixtures("now")
def test_the_price_changes_between_simulation_and_invoice(zone) -> None:
    cheap, dear = make_plan(price=10_000), make_plan(price=20_000)
    client = make_client(zone, cheap, code="CHANGES")
    make_client(zone, cheap, code="SAME")
    with transaction():
        plan_id = service.simulate(task_of(zone)).id
    change(client, plan=dear)
    run = by_hand(zone, plan_id=plan_id)
    assert items_of(run) == {"CHANGES": ("skipped", "changed"), "SAME": ("done", "")}
    assert (run.amount, run.invoiced) == (10_000, 1)
    forget()
    assert by_hand(zone).amount == 20_000
    assert sorted(session().scalars(sa.select(Invoice.total))) == [10_000, 20_000]
