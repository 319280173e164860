"""Synchronising a router: what is wanted stands there, what is not ours stays, and each client gets its own answer."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_router, make_zone
from tests.support.access import CUT, LISTS, NOTICE, Site, owe, pay
from wisp.access import service
from wisp.access.jobs import sweep, synchronise
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock, events, queue
from wisp.core.db import session, transaction
from wisp.core.scope import Scope
from wisp.demo.routeros import Router, SimulatorServer
from wisp.invoices.models import Promise

POOL = "100.64.0."


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Router(dial_in=None)) as running:
        yield running


@pytest.fixture
def site(ctx: Flask, server: SimulatorServer) -> Iterator[Site]:
    made = Site(server)
    yield made
    made.close()


def states(report: object) -> list[str]:
    return [outcome.state for outcome in report.outcomes.values()]  # type: ignore[attr-defined]


def test_cut_notice_and_lift(site: Site) -> None:
    first, second, third = site.clients
    site.notify()
    report = site.sync()
    assert states(report) == ["written"] * 3
    assert {outcome.wanted for outcome in report.outcomes.values()} == {"notice"}
    site.agree()
    site.cut([first, second])
    report = site.sync()
    assert {i: (o.wanted, o.state) for i, o in report.outcomes.items()} == {
        first: ("cut", "written"), second: ("cut", "written"), third: ("notice", "unchanged"),
    }  # fmt: skip
    assert {row[0] for row in site.ours()} == {CUT, NOTICE}
    site.agree()
    site.lift()
    report = site.sync()
    assert states(report) == ["written"] * 3
    assert site.ours() == set()
    site.agree()


def test_again_changes_nothing_and_is_read_on_the_router(site: Site) -> None:
    site.cut()
    site.sync()
    site.server.counters.reset()
    site.order()
    report = site.sync()
    assert states(report) == ["unchanged"] * 3
    assert not any(path.endswith(("/add", "/remove", "/set")) for path in site.server.counters.by_path)
    site.agree()


def test_many_orders_are_one_synchronisation(site: Site) -> None:
    for _ in range(5):
        site.cut()
    report = site.sync()
    assert report.order == 5
    assert len(site.reports) == 1
    assert site.server.counters.logins == 1
    synchronise(site.router_id, True)
    assert len(site.reports) == 1
    assert site.server.counters.logins == 1


def test_what_a_person_removed_or_disabled_on_the_router_comes_back(site: Site) -> None:
    first, second, _ = site.clients
    site.cut()
    site.sync()
    rows = {row["comment"]: row for row in site.entries()}
    table = site.server.router.table(LISTS)
    with site.server.router.lock:
        table.remove(rows[f"wisp:{site.client(first).code}"][".id"])
        table.set(rows[f"wisp:{site.client(second).code}"][".id"], {"disabled": "true"})
    site.order()
    report = site.sync()
    assert states(report) == ["written", "written", "unchanged"]
    site.agree()


def test_foreign_entries_are_never_touched(site: Site) -> None:
    first, second, _ = site.clients
    foreign = [
        {"list": CUT, "address": site.client(first).address or "", "comment": "lo puso Luis"},
        {"list": CUT, "address": "203.0.113.0/24"},
        {"list": NOTICE, "address": site.client(second).address or "", "comment": "wisp: nota"},
        {"list": "bogons", "address": "198.51.100.7", "comment": "wisp:ALGUIEN"},
    ]
    site.load(*foreign)
    before = site.entries()
    site.cut()
    report = site.sync()
    assert [(o.state, o.foreign) for o in report.outcomes.values()] == [
        ("unchanged", True), ("written", False), ("written", False),
    ]  # fmt: skip
    assert site.access(first).foreign
    assert site.access(first).applied_suspended
    assert site.unsettled() == 0
    # the release of the one whom the foreign entry holds fails, and says so
    site.lift()
    report = site.sync()
    assert report.outcomes[first].state == "failed"
    assert report.outcomes[first].detail == f"foreign: {CUT}"
    assert report.outcomes[second].detail == f"foreign: {NOTICE}"
    assert site.access(first).error == f"foreign: {CUT}"
    assert site.access(first).applied_suspended
    assert not site.access(second).applied_suspended
    assert site.unsettled() == 2
    assert site.state().next_attempt_at is not None
    assert site.entries() == before
    # a person takes it off; the next look settles it
    site.server.router.clear(LISTS)
    report = site.sync()
    assert states(report) == ["unchanged", "unchanged"]
    site.agree()
    assert site.state().next_attempt_at is None


def test_duplicates_and_orphans_are_cleared(site: Site) -> None:
    first = site.client(site.clients[0])
    site.load(
        {"list": CUT, "address": "10.9.9.9", "comment": f"wisp:{first.code}"},
        {"list": NOTICE, "address": first.address or "", "comment": f"wisp:{first.code}"},
        {"list": CUT, "address": first.address or "", "comment": f"wisp:{first.code}", "disabled": "true"},
        {"list": CUT, "address": "10.9.9.8", "comment": "wisp:BORRADO"},
    )
    site.cut()
    report = site.sync()
    assert states(report) == ["written"] * 3
    site.agree()
    assert len(site.entries()) == 3


def test_an_entry_of_ours_that_is_there_already_is_unchanged(site: Site) -> None:
    first = site.client(site.clients[0])
    site.load({"list": CUT, "address": first.address or "", "comment": f"wisp:{first.code}"})
    site.cut()
    report = site.sync()
    assert states(report) == ["unchanged", "written", "written"]
    site.agree()


def test_a_changed_address_moves_the_entry(site: Site) -> None:
    site.cut()
    site.sync()
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == site.clients[0]).values(address="10.77.0.1"))
        events.client_saved.emit(client_ids=[site.clients[0]])
    assert site.unsettled() == 1
    report = site.sync()
    assert report.outcomes[site.clients[0]].address == "10.77.0.1"
    assert (CUT, "10.77.0.1") in {row[:2] for row in site.ours()}
    site.agree()


def test_a_cancelled_client_leaves_the_lists(site: Site) -> None:
    site.cut()
    site.sync()
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == site.clients[0]).values(cancelled_at=clock.now()))
        events.client_cancelled.emit(client_ids=[site.clients[0]])
    report = site.sync()
    assert (report.outcomes[site.clients[0]].wanted, report.outcomes[site.clients[0]].state) == ("none", "written")
    site.agree()
    assert len(site.ours()) == 2


def test_a_client_who_moves_while_cut_is_cut_there_and_gone_here(ctx: Flask, server: SimulatorServer) -> None:
    here = Site(server)
    with SimulatorServer() as other:
        there = Site(other, clients=0)
        here.cut()
        here.sync()
        mover = here.clients[0]
        with transaction() as s:
            s.execute(
                sa.update(Client).where(Client.id == mover).values(router_id=there.router_id, zone_id=there.zone_id)
            )
            events.client_moved.emit(client_ids=[mover], old_router_id=here.router_id, new_router_id=there.router_id)
        assert there.sync().outcomes[mover].state == "written"
        assert here.sync().outcomes.keys() == set(here.clients[1:])
        here.agree()
        there.agree()
        assert len(there.ours()) == 1
        assert len(here.ours()) == 2
        there.close()
    here.close()


def test_a_client_who_moves_is_removed_first_where_the_old_router_answers_first(
    ctx: Flask, server: SimulatorServer
) -> None:
    here = Site(server)
    with SimulatorServer() as other:
        there = Site(other, clients=0)
        here.cut()
        here.sync()
        other.switch(off=True)
        with transaction() as s:
            s.execute(
                sa.update(Client)
                .where(Client.id == here.clients[0])
                .values(router_id=there.router_id, zone_id=there.zone_id)
            )
            events.client_saved.emit(client_ids=[here.clients[0]])  # the rows follow even without client_moved
        here.sync()
        here.agree()
        assert not there.sync().reached
        assert here.access(here.clients[0]).applied_router_id is None
        assert there.unsettled() == 1
        other.switch(off=False)
        there.sync()
        there.agree()
        there.close()
    here.close()


def test_debt_is_read_again_before_anything_is_sent(site: Site) -> None:
    first, second, third = site.clients
    site.cut([first, second])
    site.notify([third])
    pay([first, third])
    report = site.sync()
    assert {i: (o.wanted, o.state) for i, o in report.outcomes.items()} == {
        first: ("none", "unchanged"), second: ("cut", "written"), third: ("none", "unchanged"),
    }  # fmt: skip
    site.agree()
    assert len(site.ours()) == 1


def test_a_suspension_by_hand_or_kept_although_paid_stays(site: Site) -> None:
    first, second, third = site.clients
    site.cut([first], reason="manual")
    site.cut([second, third])
    with transaction():
        assert service.keep_suspended([first, second]) == 1
    pay(site.clients)
    site.sync()
    assert {row[2] for row in site.ours()} == {f"wisp:{site.client(i).code}" for i in (first, second)}
    site.agree()
    with transaction():
        assert service.lift(site.clients).suspended == 1
    site.order()
    site.sync()
    assert {row[2] for row in site.ours()} == {f"wisp:{site.client(first).code}"}


def test_the_basis_of_a_cut_decides_which_debt_justifies_it(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=2, owing=False)
    owe(site.clients, due=clock.now().date().replace(year=clock.now().year + 1))  # open, not due
    by_hand, overdue = site.clients
    site.cut([by_hand], basis="open")
    site.cut([overdue])
    site.sync()
    assert {row[2] for row in site.ours()} == {f"wisp:{site.client(by_hand).code}"}
    site.agree()
    site.close()


def test_two_clients_on_one_address(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=2, connection="pppoe")
    server.router.load("/ppp/secret", [{"name": "dos", "password": "x", "remote-address": "10.5.5.5"}])
    one, two = site.clients
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == one).values(address="10.5.5.5", username="uno"))
        s.execute(sa.update(Client).where(Client.id == two).values(address=None, username="dos"))
    site.cut()
    report = site.sync()
    assert states(report) == ["written", "written"]
    assert site.ours() == {(CUT, "10.5.5.5", f"wisp:{site.client(one).code}")}
    site.lift([one])
    pay([one])
    report = site.sync()
    assert report.outcomes[one].detail == f"shared: {site.client(two).code}"
    assert report.outcomes[one].state == "failed"
    assert site.ours() == {(CUT, "10.5.5.5", f"wisp:{site.client(two).code}")}
    site.lift([two])
    site.sync()
    assert site.ours() == set()
    site.agree()
    site.close()


def dial_by_radius(server: SimulatorServer, name: str, address: str) -> None:
    """A session of a user that the router has no secret of."""
    row = {"name": name, "service": "pppoe", "address": address, "radius": "true"}
    server.router.load("/ppp/active", [row])


def test_pppoe_addresses_come_from_client_secret_or_session(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=4, connection="pppoe")
    fixed, secret, radius, away = site.clients
    with transaction() as s:
        for name, client_id in (("fijo", fixed), ("secreto", secret), ("radius", radius), ("ausente", away)):
            values = {"username": name, "address": "10.6.0.1" if client_id == fixed else None}
            s.execute(sa.update(Client).where(Client.id == client_id).values(**values))
    server.router.load(
        "/ppp/secret",
        [
            {"name": "fijo", "password": "x", "remote-address": "10.6.0.1"},
            {"name": "secreto", "password": "x", "remote-address": "10.6.0.2"},
            {"name": "vecino", "password": "x"},
        ],
    )
    server.router.dial_all()
    dial_by_radius(server, "radius", f"{POOL}77")
    site.cut()
    report = site.sync()
    assert {row[1] for row in site.ours()} == {"10.6.0.1", "10.6.0.2", f"{POOL}77"}
    assert report.outcomes[away].detail == "no_address"
    assert site.access(away).error == "no_address"
    # the sessions of the three who were cut are ended, nobody else's is
    assert {row["name"] for row in server.router.snapshot("/ppp/active")} == {"vecino"}
    server.router.dial_all()
    dial_by_radius(server, "radius", f"{POOL}78")
    site.sync()
    assert {row[1] for row in site.ours()} == {"10.6.0.1", "10.6.0.2", f"{POOL}78"}
    assert {row["name"] for row in server.router.snapshot("/ppp/active")} == {"vecino", "fijo", "secreto", "radius"}
    site.close()


def test_who_may_come_back_with_another_address_is_looked_at_again(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=1, connection="pppoe", username="ana")
    with transaction() as s:
        s.execute(sa.update(Client).values(address=None))
    dial_by_radius(server, "ana", f"{POOL}77")
    site.cut()
    assert states(site.sync()) == ["written"]
    assert site.state().attempts == 0
    dial_by_radius(server, "ana", f"{POOL}78")
    (row,) = server.router.snapshot("/ppp/active")
    assert row["address"] not in {address for _, address, _ in site.ours()}
    with clock.frozen(clock.now() + timedelta(seconds=31)):
        sweep()
        queue.drain()
    assert {address for _, address, _ in site.ours()} == {row["address"]}
    assert site.state().next_attempt_at is None
    site.close()


def test_two_clients_on_one_address_fail_together(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=2, connection="pppoe")
    server.router.load("/ppp/secret", [{"name": "dos", "password": "x", "remote-address": "10.5.5.5"}])
    one, two = site.clients
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id == one).values(address="10.5.5.5", username="uno"))
        s.execute(sa.update(Client).where(Client.id == two).values(address=None, username="dos"))
    server.switch(full=True)
    site.cut()
    assert states(site.sync()) == ["failed", "failed"]
    assert site.recorded() == site.ours() == set()
    site.close()


@pytest.mark.parametrize("spare", [{"free": True}, {"no_cut": True, "no_notice": True}, "promise"])
def test_who_is_spared_before_the_router_was_told_is_not_cut(site: Site, spare: dict[str, bool] | str) -> None:
    first, second, third = site.clients
    site.cut([first])
    site.sync()
    site.cut([second])
    site.notify([third])
    with transaction() as s:
        for client_id in site.clients:
            if isinstance(spare, dict):
                s.execute(sa.update(Client).where(Client.id == client_id).values(**spare))
            else:
                until = clock.now().date() + timedelta(days=3)
                s.add(Promise(client_id=client_id, until=until, actor="x", created_at=clock.now()))
    report = site.sync()
    assert {i: o.wanted for i, o in report.outcomes.items()} == {first: "cut", second: "none", third: "none"}
    site.agree()


def test_an_exclusion_that_has_ended_spares_nobody(site: Site) -> None:
    with transaction() as s:
        s.execute(sa.update(Client).values(no_cut=True, no_cut_until=clock.now().date() - timedelta(days=2)))
    site.cut()
    assert states(site.sync()) == ["written"] * 3


def test_a_cancelled_client_is_neither_cut_nor_notified(site: Site) -> None:
    with transaction() as s:
        s.execute(sa.update(Client).values(cancelled_at=clock.now()))
        assert service.want_suspended(site.clients) == 0
        assert service.want_notice(site.clients) == 0


def test_a_renamed_list_is_moved(site: Site) -> None:
    site.cut()
    site.sync()
    with transaction():
        service.settings.save_company({"list_overdue": "morosos"})
    site.sync()
    assert {row[0] for row in site.ours()} == {"morosos"}
    assert len(site.ours()) == 3
    assert site.unsettled() == 0


def test_an_archived_router_is_left_alone(site: Site) -> None:
    site.cut()
    with transaction() as s:
        s.execute(sa.update(service.Router).where(service.Router.id == site.router_id).values(archived_at=clock.now()))
    synchronise(site.router_id, True)
    assert site.reports == []
    assert site.server.counters.logins == 0


def test_a_thousand_of_five_thousand_in_few_turns(ctx: Flask, server: SimulatorServer) -> None:
    site = Site(server, clients=0)
    ids = site.add(1000, connection="pppoe")
    site.add(500, owing=False)
    with transaction() as s:
        s.execute(sa.update(Client).where(Client.id.in_(ids)).values(username=Client.code))
    rows = session().execute(sa.select(Client.username, Client.address).where(Client.id.in_(ids))).all()
    server.router.load(
        "/ppp/secret", [{"name": name, "password": "x", "remote-address": address} for name, address in rows]
    )
    server.router.dial_all()
    server.counters.reset()
    server.switch(round_trip=5)
    site.cut(ids)
    report = site.sync()
    assert states(report) == ["written"] * 1000
    assert server.counters.connections <= 2
    assert server.counters.turns <= 25
    assert server.router.snapshot("/ppp/active") == []
    site.agree()
    site.close()


def test_rows_come_into_being_with_the_clients(site: Site) -> None:
    from tests.factories import make_clients
    from wisp.routers.models import Zone

    ids = make_clients(3, session().get_one(Zone, site.zone_id))
    with transaction() as s:
        s.execute(sa.delete(Access).where(Access.client_id.in_(ids)))
        events.client_saved.emit(client_ids=ids)
    with transaction():
        events.client_saved.emit(client_ids=ids)
    assert all(site.access(client_id).router_id == site.router_id for client_id in ids)
    assert site.unsettled() == 0


def test_wanting_the_same_again_changes_nothing(site: Site) -> None:
    first, second, third = site.clients
    with transaction():
        assert service.want_notice(site.clients) == 3
        assert service.want_notice(site.clients) == 0
        assert service.want_suspended(sa.select(Client.id).where(Client.id.in_([first, second]))) == 2
        assert service.want_suspended([first, second]) == 0
        assert service.want_notice(site.clients) == 0
        lifted = service.lift(site.clients)
        assert (lifted.suspended, lifted.notice) == (2, 1)
        assert service.lift(site.clients) == service.Lifted(0, 0)
    assert site.access(first).wanted_version == 3
    assert site.access(third).wanted_version == 2


def test_pages_can_say_what_waits(site: Site) -> None:
    first, second, _ = site.clients
    other = make_zone(make_router())
    site.cut([first])
    site.notify([second])
    (row,) = service.waiting()
    assert (row.router_id, row.cut, row.notice, row.release) == (site.router_id, 1, 1, 0)
    assert service.waiting(Scope(frozenset({other.id}))) == []
    found = service.states(site.clients)
    assert (found[first].kind, found[first].pending, found[first].on_router) == ("suspended", True, "none")
    site.sync()
    assert service.waiting() == []
    assert service.state_of(first).on_router == "cut"
