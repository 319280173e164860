"""What each client has on its router, from saving it to cancelling it, on a simulated router over TCP."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_plan
from tests.support import provision as p
from tests.support.provision import Tower
from wisp.access.domain import Outcome, SyncReport
from wisp.access.models import Access, ClientProvision, RouterSync
from wisp.access.provision import adopting, jobs, service, work
from wisp.clients import csvcheck, csvfile, csvimport, plans
from wisp.clients import service as clients
from wisp.clients.models import Client, Plan
from wisp.core import clock, events, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus
from wisp.routers.models import Router

pytestmark = pytest.mark.usefixtures("ctx")
VERSIONS = ("6.49.19 (long-term)", "7.20.6 (stable)")


@contextlib.contextmanager
def simulated(version: str = VERSIONS[1], **values: Any) -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedRouter(users={"wisp": "secret"}, version=version, **values)) as server:
        yield server


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


def only(rows: list[dict[str, str]]) -> dict[str, str]:
    assert len(rows) == 1, rows
    return rows[0]


MENU = {"static": menus.QUEUE, "pppoe": menus.SECRET, "hotspot": menus.HOTSPOT_USER, "dhcp": menus.LEASE}
OTHER_PLACE: dict[str, dict[str, str]] = {
    "static": {"address": "10.9.0.77"}, "pppoe": {"username": "ana2", "address": "10.9.0.77"},
    "hotspot": {"username": "ana2"}, "dhcp": {"address": "10.9.0.77", "mac": "02:00:00:00:00:0B"},
}  # fmt: skip


def speed(tower: Tower, kind: str) -> str:
    """The speed that the client of the only object has there."""
    row = only(tower.ours(MENU[kind]))
    if kind in ("static", "dhcp"):
        return row["max-limit" if kind == "static" else "rate-limit"]
    place = menus.PROFILE if kind == "pppoe" else menus.HOTSPOT_PROFILE
    return only([profile for profile in tower.rows(place) if profile["name"] == row["profile"]])["rate-limit"]


# The life of a client --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", list(p.KINDS))
def test_from_adding_to_cancelling_the_router_follows_and_ends_as_it_was(kind: str, version: str) -> None:
    p.company()
    with simulated(version) as one, simulated(version) as two:
        here, there = Tower(one), Tower(two)
        before, before_there = here.everything(), there.everything()
        slow, fast = make_plan(down=10_000_000, up=2_000_000), make_plan(down=50_000_000, up=10_000_000)
        client = p.add(here, slow, **p.KINDS[kind])
        assert only(here.ours(MENU[kind]))["comment"] == "wisp:C1"
        assert speed(here, kind) == "2000000/10000000"
        p.edit("C1", plan=session().get_one(Plan, fast.id))
        assert speed(here, kind) == "10000000/50000000"
        p.edit("C1", **OTHER_PLACE[kind])
        row = only(here.ours(MENU[kind]))
        for name, value in OTHER_PLACE[kind].items():
            shown = {"username": "name", "mac": "mac-address"}.get(name, name)
            shown = {"static": "target", "pppoe": "remote-address"}.get(kind, shown) if name == "address" else shown
            assert row[shown].removesuffix("/32") == value
        p.edit("C1", zone=there.zone)
        assert here.everything() == before
        assert speed(there, kind) == "10000000/50000000"
        assert p.provision_of(client, here.router_id) is None
        found = p.provision_of(client, there.router_id)
        assert found is not None
        assert (found.state, found.wanted_version) == ("done", found.applied_version)
        p.cancel("C1")
        assert there.everything() == before_there
        assert session().scalar(sa.select(sa.func.count()).select_from(ClientProvision)) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_second_comparison_sends_nothing(version: str) -> None:
    p.company()
    with simulated(version) as server:
        tower = Tower(server)
        server.router.load(menus.POOL, [{"name": "clientes", "ranges": "10.50.0.2-10.50.0.99"}])
        server.router.table(menus.PROFILE).rows["*0"] |= {
            "local-address": "10.50.0.1", "remote-address": "clientes", "dns-server": "10.50.0.1",
        }  # fmt: skip
        plan = make_plan()
        for number in range(4):
            mac = f"02:00:00:00:01:{number:02X}"
            p.add(
                tower,
                plan,
                f"S{number}",
                connection="static",
                address=f"10.1.0.{number}",
                address6=f"2001:db8::{number + 1}",
            )
            p.add(
                tower, plan, f"P{number}", connection="pppoe", username=f"p{number}", password=f"{number}" * 4,
                address6=f"2001:db8:{number + 1}::/56",
            )  # fmt: skip
            p.add(tower, plan, f"H{number}", connection="hotspot", username=f"h{number}", password="yes", mac=mac)
            p.add(tower, plan, f"D{number}", connection="dhcp", address=f"10.2.0.{number}", mac=mac)
        assert len(tower.ours(menus.QUEUE)) == len(tower.ours(menus.LEASE)) == 4
        profile = only(tower.ours(menus.PROFILE))
        assert (profile["remote-address"], profile["rate-limit"]) == ("clientes", "5000000/20000000")
        done = tower.whole()
        assert tower.writes() == 0
        assert (done.added, done.changed, done.removed, done.unchanged, done.error) == (0, 0, 0, 16, "")
        assert service.counts(tower.router_id)["done"] == 16


def test_a_client_who_changes_its_kind_leaves_nothing_behind(tower: Tower) -> None:
    p.add(tower, **p.KINDS["pppoe"])
    p.edit("C1", connection="static", address="10.9.0.5")
    assert tower.rows(menus.SECRET) == []
    assert only(tower.ours(menus.QUEUE))["target"] == "10.9.0.5/32"
    assert tower.ours(menus.PROFILE) == []


def test_a_plan_without_speed_needs_no_queue_and_the_routers_own_profile(tower: Tower) -> None:
    plan = make_plan(down=0, up=0)
    client = p.add(tower, plan, "C1", **p.KINDS["static"])
    assert tower.rows(menus.QUEUE) == []
    assert (p.provision_of(client).state, p.provision_of(client).detail) == ("done", "no_speed")
    p.add(tower, plan, "C2", **p.KINDS["pppoe"])
    assert only(tower.rows(menus.SECRET))["profile"] == "default"


def test_a_changed_plan_reaches_all_its_clients_and_a_named_profile_is_used(tower: Tower) -> None:
    plan = make_plan()
    p.add(tower, plan, "C1", **p.KINDS["static"])
    p.add(tower, plan, "C2", **p.KINDS["pppoe"])
    with p.doing():
        found = session().get_one(Plan, plan.id)
        plans.edit(found, name=found.name, price=1, down=8_000_000, up=1_500_000)
    assert only(tower.ours(menus.QUEUE))["max-limit"] == "1500000/8000000"
    assert only(tower.ours(menus.PROFILE))["rate-limit"] == "1500000/8000000"
    tower.server.router.load(menus.PROFILE, [{"name": "casa 8M"}])
    with p.doing():
        found = session().get_one(Plan, plan.id)
        plans.edit(found, name=found.name, price=1, down=8_000_000, up=1_500_000, router_profile="casa 8M")
    assert only(tower.rows(menus.SECRET))["profile"] == "casa 8M"
    assert tower.ours(menus.PROFILE) == []


def test_a_plan_whose_price_alone_changes_asks_nothing_of_the_routers(tower: Tower) -> None:
    plan = make_plan()
    p.add(tower, plan, **p.KINDS["static"])
    before = tower.work().requested
    with transaction():
        found = session().get_one(Plan, plan.id)
        plans.edit(found, name="Otro", price=99, down=found.down, up=found.up)
        clients.edit(clients.find("C1"), name="Otra", email="x@example.com", no_cut=True)
    assert tower.work().requested == before


def test_two_clients_swap_what_nobody_else_may_have(tower: Tower) -> None:
    p.add(tower, None, "C1", connection="pppoe", username="uno", password="1111")
    p.add(tower, None, "C2", connection="pppoe", username="dos", password="2222")
    p.add(tower, None, "D1", connection="dhcp", address="10.3.0.1", mac="02:00:00:00:00:01")
    p.add(tower, None, "D2", connection="dhcp", address="10.3.0.2", mac="02:00:00:00:00:02")
    with transaction():
        clients.edit(clients.find("C1"), username="tmp")
        clients.edit(clients.find("D1"), address="10.3.0.9")
    with p.doing():
        clients.edit(clients.find("C2"), username="uno")
        clients.edit(clients.find("C1"), username="dos")
        clients.edit(clients.find("D2"), address="10.3.0.1")
        clients.edit(clients.find("D1"), address="10.3.0.2")
    assert {row["comment"]: (row["name"], row["password"]) for row in tower.rows(menus.SECRET)} == {
        "wisp:C1": ("dos", "1111"), "wisp:C2": ("uno", "2222"),
    }  # fmt: skip
    assert {row["comment"]: (row["address"], row["mac-address"]) for row in tower.rows(menus.LEASE)} == {
        "wisp:D1": ("10.3.0.2", "02:00:00:00:00:01"), "wisp:D2": ("10.3.0.1", "02:00:00:00:00:02"),
    }  # fmt: skip


def test_ipv6_stands_in_the_queue_and_in_the_secret_and_goes_again(tower: Tower) -> None:
    p.add(tower, None, "C1", connection="static", address="10.9.0.5", address6="2001:0DB8::5/128")
    assert only(tower.rows(menus.QUEUE))["target"] == "10.9.0.5/32,2001:db8::5/128"
    p.add(
        tower,
        None,
        "C2",
        connection="pppoe",
        username="b",
        password="bbbb",
        address="10.9.0.6",
        address6="2001:db8:9::/56",
    )
    secret = only(tower.rows(menus.SECRET))
    assert (secret["remote-ipv6-prefix"], secret["remote-address"]) == ("2001:db8:9::/56", "10.9.0.6")
    p.edit("C2", address=None, address6=None)
    assert not {"remote-ipv6-prefix", "remote-address"} & set(only(tower.rows(menus.SECRET)))


# DHCP ------------------------------------------------------------------------------------------------


def test_a_client_without_address_keeps_the_lease_that_it_asked_for(tower: Tower) -> None:
    mac = "02:00:00:00:00:0C"
    client = p.add(tower, connection="dhcp", mac=mac)
    row = p.provision_of(client)
    assert (row.state, row.detail) == ("waiting", "no_lease")
    assert tower.work().next_attempt_at is not None
    tower.server.router.load(
        menus.LEASE, [{"address": "10.3.0.44", "mac-address": mac, "dynamic": "true", "status": "bound"}]
    )
    jobs.provision(tower.router_id, True)
    lease = only(tower.rows(menus.LEASE))
    assert (lease["dynamic"], lease["address"], lease["comment"]) == ("false", "10.3.0.44", "wisp:C1")
    assert lease["rate-limit"] == "5000000/20000000"
    assert p.provision_of(client).state == "done"
    assert tower.whole().unchanged == 1
    assert tower.writes() == 0


def test_a_lease_without_mac_is_refused_until_there_is_one(tower: Tower) -> None:
    client = p.add(tower, connection="dhcp", address="10.3.0.1")
    assert (p.provision_of(client).state, p.provision_of(client).detail) == ("failed", "no_mac")
    assert tower.work().next_attempt_at is None
    p.edit("C1", mac="02-00-00-00-00-01")
    assert only(tower.rows(menus.LEASE))["mac-address"] == "02:00:00:00:00:01"


# Passwords -------------------------------------------------------------------------------------------


def test_without_a_password_a_user_is_not_made_but_one_that_stands_is_kept_up(tower: Tower) -> None:
    client = p.add(tower, connection="pppoe", username="ana")
    assert (p.provision_of(client).state, p.provision_of(client).detail) == ("failed", "no_password")
    assert tower.rows(menus.SECRET) == []
    p.edit("C1", password="secreto")
    assert only(tower.rows(menus.SECRET))["password"] == "secreto"


def test_a_password_that_the_router_hides_is_sent_once_and_then_only_if_it_is_new(tower: Tower) -> None:
    p.add(tower, **p.KINDS["pppoe"])
    tower.server.router.table(menus.SECRET).rows["*1"]["password"] = "*****"
    tower.whole()
    assert tower.writes() == 0
    p.edit("C1", password="otro")
    assert only(tower.rows(menus.SECRET))["password"] == "otro"
    tower.server.router.table(menus.SECRET).rows["*1"]["password"] = "cambiado a mano"
    assert tower.whole().changed == 1
    assert only(tower.rows(menus.SECRET))["password"] == "otro"


# What is not ours ------------------------------------------------------------------------------------


THEIRS: dict[str, dict[str, str | bytes]] = {
    "static": {"name": "señor".encode("cp1252"), "target": "10.9.0.5/32", "max-limit": "1M/1M"},
    "pppoe": {"name": "ana", "password": "suya", "service": "any", "comment": "año: otro".encode("cp1252")},
    "hotspot": {"name": "ana", "password": "suya", "comment": "wisp"},
    "dhcp": {"address": "10.9.0.99", "mac-address": "02:00:00:00:00:0A", "comment": b"wisp:\xf1"},
}


@pytest.mark.parametrize("kind", list(p.KINDS))
def test_what_is_not_ours_is_never_touched_and_can_be_adopted(tower: Tower, kind: str) -> None:
    (row_id,) = tower.server.router.load(MENU[kind], [THEIRS[kind]])
    before = dict(tower.server.router.table(MENU[kind]).rows[row_id])
    client = p.add(tower, **p.KINDS[kind])
    assert p.provision_of(client).state == "foreign"
    tower.whole()
    p.edit("C1", **OTHER_PLACE[kind])  # elsewhere there is room
    assert p.provision_of(client).state == "done"
    p.edit("C1", **{**dict.fromkeys(OTHER_PLACE[kind], ""), **p.KINDS[kind]})
    assert p.provision_of(client).state == "foreign"
    assert tower.server.router.table(MENU[kind]).rows[row_id] == before
    assert service.counts(tower.router_id)["foreign"] == 1
    assert [code for _row, code, _name in service.listed(tower.router_id, "foreign")] == ["C1"]

    wish = adopting.wish(session().get_one(Router, tower.router_id), clients.find("C1"))
    session().rollback()
    found = adopting.adopt(wish)
    with p.doing():
        adopting.record(session().get_one(Router, tower.router_id), clients.find("C1"), MENU[kind], found)
    assert p.provision_of(client).state == "done"
    assert [row["comment"] for row in tower.rows(MENU[kind])] == ["wisp:C1"]
    session().rollback()
    with pytest.raises(Refused):
        adopting.adopt(wish)


def test_objects_of_others_beside_ours_stay_to_the_byte(tower: Tower) -> None:
    others = {
        menus.QUEUE: [
            {"name": "oficina", "target": "10.9.0.0/24", "comment": "wisp:C1 copia"}, {"name": "x", "target": "ether1"},
        ],
        menus.SECRET: [{"name": "otra", "comment": "ñ".encode("cp1252"), "profile": "default"}],
        menus.HOTSPOT_USER: [{"name": "invitado", "comment": "WISP:C1"}],
        menus.LEASE: [{"address": "10.9.0.200", "mac-address": "02:00:00:00:00:FF", "comment": "impresora"}],
        menus.PROFILE: [{"name": "wisp-plan-99", "comment": "de otro"}],
    }  # fmt: skip
    for menu, rows in others.items():
        tower.server.router.load(menu, rows)
    before = tower.everything()
    for number, (kind, values) in enumerate(p.KINDS.items()):
        p.add(tower, None, f"K{number}", **{**values, **({"address": "10.9.1.1"} if kind == "dhcp" else {})})
    tower.whole()
    for number in range(4):
        p.cancel(f"K{number}")
    tower.whole()
    assert tower.everything() == before


def test_a_profile_of_somebody_else_with_our_name_is_not_used(tower: Tower) -> None:
    plan = make_plan()
    tower.server.router.load(menus.PROFILE, [{"name": f"wisp-plan-{plan.id}", "rate-limit": "1M/1M"}])
    client = p.add(tower, plan, **p.KINDS["pppoe"])
    assert (p.provision_of(client).state, p.provision_of(client).detail) == (
        "failed", f"foreign_profile: wisp-plan-{plan.id}",
    )  # fmt: skip
    assert tower.rows(menus.SECRET) == []


def test_a_comparison_of_everything_removes_what_nobody_has_and_doubles(tower: Tower) -> None:
    p.add(tower, **p.KINDS["static"])
    tower.server.router.load(
        menus.QUEUE,
        [
            {"name": "a", "target": "10.9.0.5/32", "comment": "wisp:C1"},
            {"name": "b", "target": "10.9.0.6/32", "comment": "wisp:SE-FUE"},
        ],
    )
    tower.server.router.load(menus.SECRET, [{"name": "vieja", "comment": "wisp:C1"}])
    done = tower.whole()
    assert done.removed == 3
    assert only(tower.rows(menus.QUEUE))["name"] == "wisp-C1"
    assert tower.rows(menus.SECRET) == []


# Switched off ----------------------------------------------------------------------------------------


def switch(tower: Tower, on: bool) -> None:
    from wisp.routers.service import RouterValues, edit_router

    with p.doing():
        router = session().get_one(Router, tower.router_id)
        edit_router(router, RouterValues(router.name, router.host, router.port, router.username, None, provision=on))


def test_switched_off_nothing_is_written_or_removed_and_switched_on_everything_is(tower: Tower) -> None:
    p.add(tower, None, "C1", **p.KINDS["static"])
    switch(tower, False)
    p.cancel("C1")
    p.add(tower, None, "C2", connection="static", address="10.9.0.6")
    assert [row["comment"] for row in tower.rows(menus.QUEUE)] == ["wisp:C1"]
    assert service.standing(clients.find("C2")).state == "off"
    with transaction(), pytest.raises(Refused):
        service.write_router(session().get_one(Router, tower.router_id))
    switch(tower, True)
    assert [row["comment"] for row in tower.rows(menus.QUEUE)] == ["wisp:C2"]
    assert service.standing(clients.find("C2")).state == "done"


# When things break -----------------------------------------------------------------------------------


def test_saved_while_the_router_is_off_it_is_written_when_the_router_returns(tower: Tower) -> None:
    tower.server.switch(off=True)
    client = p.add(tower, **p.KINDS["static"])
    assert service.standing(client).state == "pending"
    work_row = tower.work()
    assert (work_row.error, work_row.done < work_row.requested) == ("refused", True)
    assert work_row.next_attempt_at is not None
    assert service.due(clock.now()) == []
    assert service.due(work_row.next_attempt_at) == [tower.router_id]
    assert p.lease_is_free(tower.router_id)
    tower.server.switch(off=False)
    with p.doing():
        events.router_returned.emit(router_id=tower.router_id)
    assert only(tower.rows(menus.QUEUE))["comment"] == "wisp:C1"
    assert service.standing(client).state == "done"
    assert (tower.work().error, tower.work().next_attempt_at) == ("", None)


def test_killed_after_sending_the_second_run_writes_nothing_and_says_so(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            p.add(tower, **p.KINDS["pppoe"])
    before = tower.everything()
    assert only(tower.rows(menus.SECRET))["name"] == "ana"
    with transaction() as s:  # a killed process gives nothing back: its lease runs out
        s.execute(sa.update(RouterSync).values(lease_until=None, lease_owner=""))
    tower.server.counters.reset()
    jobs.provision(tower.router_id, True)
    assert tower.writes() == 0
    assert tower.everything() == before
    done = tower.work()
    assert (done.added, done.changed, done.unchanged) == (0, 0, 1)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "half_sentence", "swallow"])
def test_a_break_in_the_middle_is_read_again_and_every_object_is_there_once(tower: Tower, fault: Any) -> None:
    make_clients(8, tower.zone)
    with transaction():
        service.want(Client.router_id == tower.router_id)
        service.request([tower.router_id])
    if fault == "swallow":
        tower.server.fault("fatal", "/queue/simple/add", after=3)
    else:
        tower.server.fault(fault, "/queue/simple/add", after=3)
    jobs.provision(tower.router_id, True)
    assert len(tower.ours(menus.QUEUE)) == 8
    assert service.counts(tower.router_id)["done"] == 8
    assert tower.server.counters.logins == 2


def test_what_the_router_refuses_is_told_and_tried_again(tower: Tower) -> None:
    tower.server.fault("trap", "/queue/simple/add", message="failure: out of memory")
    client = p.add(tower, **p.KINDS["static"])
    row = p.provision_of(client)
    assert (row.state, row.detail) == ("failed", "router: failure: out of memory")
    assert tower.work().next_attempt_at is not None
    jobs.provision(tower.router_id, True)
    assert p.provision_of(client).state == "done"
    assert tower.work().next_attempt_at is None


def test_it_goes_in_chunks_and_gives_the_router_back_between_them(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 3)
    make_clients(8, tower.zone)
    free = []
    real = work.begin

    def begin(*args: Any, **values: Any) -> Any:
        session().rollback()
        free.append(session().scalar(sa.select(RouterSync.lease_until)))
        session().rollback()
        session().connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        return real(*args, **values)

    monkeypatch.setattr(work, "begin", begin)
    done = tower.whole()
    assert free == [None, None, None]
    assert (done.added, len(tower.ours(menus.QUEUE)), tower.server.counters.logins) == (8, 8, 3)
    assert tower.whole().unchanged == 8


def test_while_somebody_else_is_at_the_router_nothing_is_sent_and_after_it_the_work_goes_on(tower: Tower) -> None:
    with transaction() as s:
        s.add(RouterSync(router_id=tower.router_id, lease_owner="other", lease_until=clock.now() + 2 * work.sync.LEASE))
    p.add(tower, **p.KINDS["static"])
    assert tower.server.counters.logins == 0
    with transaction() as s:
        s.execute(sa.update(RouterSync).values(lease_until=None, lease_owner=""))
    with p.doing():
        events.router_synced.emit(router_id=tower.router_id, report=SyncReport(0, True))
    assert len(tower.ours(menus.QUEUE)) == 1


def test_a_synchronisation_that_waits_goes_between_two_chunks(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    ids = make_clients(4, tower.zone)
    begin, record = work.begin, work.record
    seen = []

    def counted_begin(*args: Any, **values: Any) -> Any:
        seen.append((len(tower.ours(menus.QUEUE)), len(tower.rows("/ip/firewall/address-list"))))
        return begin(*args, **values)

    def cut_meanwhile(*args: Any) -> bool:
        cut_now = {"suspended": True, "reason": "manual", "wanted_version": 1}
        session().execute(sa.update(Access).where(Access.client_id == ids[3], ~Access.suspended).values(cut_now))
        session().execute(sa.update(RouterSync).values(requested=RouterSync.done + 1))
        return record(*args)

    monkeypatch.setattr(work, "begin", counted_begin)
    monkeypatch.setattr(work, "record", cut_meanwhile)
    tower.whole()
    assert seen[:2] == [(0, 0), (2, 1)]
    assert len(tower.ours(menus.QUEUE)) == 4


def test_an_answer_that_leaves_a_doubt_is_settled_by_another_look(tower: Tower) -> None:
    tower.server.fault("trap", "/queue/simple/add", message="failure: already have such name")
    client = p.add(tower, **p.KINDS["static"])
    assert p.provision_of(client).state == "done"
    assert (len(tower.ours(menus.QUEUE)), tower.server.counters.logins) == (1, 1)


# Cut, and a change of plan ---------------------------------------------------------------------------


def hold(client: Client, lever: str, before: str = "") -> None:
    with transaction() as s:
        s.execute(
            sa.update(Access)
            .where(Access.client_id == client.id)
            .values(lever=lever, lever_name=client.username, lever_before=before)
        )


def test_while_a_cut_holds_the_profile_the_new_one_is_remembered_not_written(tower: Tower) -> None:
    slow, fast = make_plan(), make_plan(down=50_000_000)
    client = p.add(tower, slow, **p.KINDS["pppoe"])
    tower.server.router.load(menus.PROFILE, [{"name": f"wisp-overdue:wisp-plan-{slow.id}", "comment": "wisp:profile"}])
    tower.server.router.table(menus.SECRET).rows["*1"]["profile"] = f"wisp-overdue:wisp-plan-{slow.id}"
    hold(client, "profile", f"wisp-plan-{slow.id}")
    p.edit("C1", plan=session().get_one(Plan, fast.id), password="nueva")
    secret = only(tower.rows(menus.SECRET))
    assert (secret["profile"], secret["password"]) == (f"wisp-overdue:wisp-plan-{slow.id}", "nueva")
    assert p.access_of(client).lever_before == f"wisp-plan-{fast.id}"
    assert f"wisp-plan-{fast.id}" in {row["name"] for row in tower.ours(menus.PROFILE)}
    assert p.provision_of(client).state == "done"
    tower.whole()  # nobody is to get the old profile back any more
    assert [row["name"] for row in tower.ours(menus.PROFILE) if row["name"].startswith("wisp-plan")] == [
        f"wisp-plan-{fast.id}"
    ]
    tower.whole()
    assert tower.writes() == 0
    assert f"wisp-plan-{fast.id}" in {row["name"] for row in tower.ours(menus.PROFILE)}


def test_while_a_cut_holds_the_switch_the_profile_waits_until_it_is_let_go(tower: Tower) -> None:
    slow, fast = make_plan(), make_plan(down=50_000_000)
    client = p.add(tower, slow, **p.KINDS["pppoe"])
    tower.server.router.table(menus.SECRET).rows["*1"]["disabled"] = "true"
    hold(client, "disable")
    p.edit("C1", plan=session().get_one(Plan, fast.id))
    secret = only(tower.rows(menus.SECRET))
    assert (secret["profile"], secret["disabled"]) == (f"wisp-plan-{slow.id}", "true")
    assert (p.provision_of(client).state, p.provision_of(client).detail) == ("waiting", "held")
    hold(client, "")
    report = SyncReport(0, True, outcomes={client.id: Outcome("written", "none")})
    with p.doing():
        events.router_synced.emit(router_id=tower.router_id, report=report)
    secret = only(tower.rows(menus.SECRET))
    assert (secret["profile"], secret["disabled"]) == (f"wisp-plan-{fast.id}", "true")
    assert p.provision_of(client).state == "done"


def test_a_profile_that_somebody_is_to_get_back_stays(tower: Tower) -> None:
    plan = make_plan()
    client = p.add(tower, plan, **p.KINDS["pppoe"])
    tower.server.router.table(menus.SECRET).rows["*1"]["profile"] = "default"
    hold(client, "profile", f"wisp-plan-{plan.id}")
    p.add(tower, None, "C2", connection="pppoe", username="bea", password="bbbb")
    assert f"wisp-plan-{plan.id}" in {row["name"] for row in tower.ours(menus.PROFILE)}


def test_a_cancelled_user_is_thrown_out(tower: Tower) -> None:
    p.add(tower, None, "C1", **p.KINDS["pppoe"])
    p.add(tower, None, "C2", connection="pppoe", username="bea", password="bbbb")
    tower.server.router.dial_all()
    p.cancel("C1")
    assert [row["name"] for row in tower.rows(menus.PPP_ACTIVE)] == ["bea"]


@pytest.mark.parametrize("theirs", [False, True])
def test_whose_user_is_gone_already_is_thrown_out_but_not_who_has_that_name_now(tower: Tower, theirs: bool) -> None:
    p.add(tower, None, "C1", **p.KINDS["pppoe"])
    tower.server.router.dial_all()
    tower.server.router.clear(menus.SECRET)
    if theirs:
        tower.server.router.load(menus.SECRET, [{"name": "ana"}])
    p.cancel("C1")
    assert len(tower.rows(menus.PPP_ACTIVE)) == theirs


def test_another_plan_or_user_holds_at_once_and_nobody_else_is_disturbed(tower: Tower) -> None:
    p.add(tower, None, "C1", **p.KINDS["pppoe"])
    p.add(tower, None, "C2", connection="pppoe", username="bea", password="bbbb")
    p.add(tower, None, "H1", **p.KINDS["hotspot"])
    tower.server.router.dial_all()
    assert tower.server.router.hotspot_login("ana", "10.8.0.2", "02:00:00:00:00:07")
    p.edit("C1", plan=session().get_one(Plan, make_plan().id))
    assert [row["name"] for row in tower.rows(menus.PPP_ACTIVE)] == ["bea"]
    p.edit("C2", password="otra", email="b@example.com")
    assert [row["name"] for row in tower.rows(menus.PPP_ACTIVE)] == ["bea"]
    assert len(tower.rows(menus.HOTSPOT_ACTIVE)) == 1
    p.edit("H1", username="ana2")
    assert tower.rows(menus.HOTSPOT_ACTIVE) == tower.rows(menus.HOTSPOT_COOKIE) == []


# Many at once ----------------------------------------------------------------------------------------


def test_an_import_costs_a_bounded_number_of_statements(tower: Tower) -> None:
    def statements(count: int, first: int) -> int:
        plan = make_plan()
        lines = [",".join((*csvfile.BASE, "address6"))]
        for n in range(first, first + count):
            lines.append(
                f"I{n},Cliente {n},,,{tower.zone.name},{plan.name},static,10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255},"
                f",,,es,2024-01-01,2001:db8::{n:x}"
            )
        session().rollback()
        seen = []
        engine = session().get_bind()

        def count_one(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "client_provision" in statement or "router_provision" in statement:
                seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", count_one)
        try:
            with transaction():
                csvimport.apply(csvcheck.check("\n".join(lines).encode()))
        finally:
            sa.event.remove(engine, "before_cursor_execute", count_one)
        return len(seen)

    assert statements(10, 1) == statements(1500, 100) > 0
    assert session().scalar(sa.select(sa.func.count()).select_from(ClientProvision)) == 1510


def test_the_command_writes_everything_and_counts(ctx: Flask, tower: Tower) -> None:
    runner = ctx.test_cli_runner()
    make_clients(3, tower.zone)
    tower.server.router.load(menus.SECRET, [{"name": "ana"}])
    with transaction():
        clients.add(
            code="X", zone=tower.zone, plan=session().scalars(sa.select(Plan)).first(), name="X", **p.KINDS["pppoe"]
        )
    name = session().get_one(Router, tower.router_id).name
    result = runner.invoke(args=["routers", "provision", name, "--wait", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    counts = {
        what: found[what] for what in ("added", "changed", "removed", "unchanged", "foreign", "failed", "waiting")
    }
    assert counts == {"added": 3, "changed": 0, "removed": 0, "unchanged": 0, "foreign": 1, "failed": 0, "waiting": 0}
    assert found["state"] == "done"
    tower.server.switch(off=True)
    result = runner.invoke(args=["routers", "provision", name, "--wait", "--json"])
    assert result.exit_code == 1
    result = runner.invoke(args=["routers", "provision", name, "--json"])
    assert json.loads(result.output)["state"] == "ordered"


def test_commands_that_save_clients_can_wait_for_the_router(ctx: Flask, tower: Tower, tmp_path: Path) -> None:
    plan = make_plan()
    file = tmp_path / "clients.csv"
    line = f"I1,Ana,,,{tower.zone.name},{plan.name},static,10.9.0.5,,,,es,"
    file.write_text(",".join(csvfile.BASE) + "\n" + line + "\n")
    session().rollback()
    result = ctx.test_cli_runner().invoke(args=["clients", "import", str(file), "--wait", "--json"])
    assert result.exit_code == 0, result.output
    assert only(tower.rows(menus.QUEUE))["comment"] == "wisp:I1"
    result = ctx.test_cli_runner().invoke(args=["clients", "cancel", "I1", "--wait", "--json"])
    assert result.exit_code == 0, result.output
    assert tower.rows(menus.QUEUE) == []


def test_the_nightly_job_looks_at_every_router(tower: Tower) -> None:
    p.add(tower, **p.KINDS["static"])
    tower.server.router.clear(menus.QUEUE)
    with queue.inline():
        jobs.provision_all()
    assert len(tower.ours(menus.QUEUE)) == 1


def test_due_work_is_started_by_the_sweep(tower: Tower) -> None:
    make_clients(1, tower.zone)
    with transaction():
        service.want(Client.router_id == tower.router_id)
        service.request([tower.router_id])
    with queue.inline():
        jobs.sweep()
    assert len(tower.ours(menus.QUEUE)) == 1


# Cut by the synchronisation itself -------------------------------------------------------------------


def cut(*codes: str) -> None:
    from wisp.access import service as access

    with p.doing():
        ids = [clients.find(code).id for code in codes]
        access.want_suspended(ids, reason="manual")
        access.request_sync_of(ids)


def lift(*codes: str) -> None:
    from wisp.access import service as access

    with p.doing():
        ids = [clients.find(code).id for code in codes]
        access.lift(ids, reasons=("manual",))
        access.request_sync_of(ids)


@pytest.mark.parametrize("way", ["profile", "disable"])
def test_cut_then_another_plan_then_back_ends_with_the_new_plan(router_sim: SimulatorServer, way: str) -> None:
    p.company()
    tower = Tower(router_sim, pppoe_cut=way)
    before = tower.everything()
    slow, fast = make_plan(), make_plan(down=50_000_000)
    client = p.add(tower, slow, **p.KINDS["pppoe"])
    cut("C1")
    assert p.access_of(client).lever == way
    held = only(tower.rows(menus.SECRET))
    p.edit("C1", plan=session().get_one(Plan, fast.id))
    secret = only(tower.rows(menus.SECRET))
    assert (secret["profile"], secret["disabled"]) == (held["profile"], held["disabled"])
    lift("C1")
    secret = only(tower.rows(menus.SECRET))
    assert (secret["profile"], secret["disabled"]) == (f"wisp-plan-{fast.id}", "false")
    assert p.access_of(client).lever == ""
    p.cancel("C1")
    left = tower.everything()
    left[menus.PROFILE] = [row for row in left[menus.PROFILE] if row.get("comment") != "wisp:profile"]
    assert left == before


@pytest.mark.parametrize("kind", list(p.KINDS))
def test_cut_and_moved_to_another_router_the_cut_goes_along_and_nothing_stays(kind: str) -> None:
    p.company()
    with simulated() as one, simulated() as two:
        here, there = Tower(one), Tower(two)
        lists = "/ip/firewall/address-list"
        before = here.everything()
        client = p.add(here, None, **p.KINDS[kind])
        cut("C1")
        assert p.access_of(client).applied_suspended
        p.edit("C1", zone=there.zone)
        left = here.everything()
        left[menus.PROFILE] = [row for row in left[menus.PROFILE] if row.get("comment") != "wisp:profile"]
        assert (left, here.rows(lists)) == (before, [])
        assert p.access_of(client).applied_suspended
        row = only(there.ours(MENU[kind]))
        if kind == "pppoe":
            assert row["profile"].startswith("wisp-overdue:wisp-plan-")
        elif kind == "hotspot":
            assert row["disabled"] == "true"
        elif kind == "dhcp":
            assert row["address-lists"] == "wisp-overdue"
        else:
            assert [(entry["list"], entry["address"]) for entry in there.rows(lists)] == [("wisp-overdue", "10.9.0.5")]
        lift("C1")
        assert not p.access_of(client).applied_suspended
        row = only(there.ours(MENU[kind]))
        assert (row.get("disabled", "false"), row.get("address-lists", "")) == ("false", "")
        assert there.rows(lists) == []


@pytest.mark.parametrize("kind", list(p.KINDS))
def test_cut_and_changed_the_cut_holds_the_new_object(tower: Tower, kind: str) -> None:
    client = p.add(tower, None, **p.KINDS[kind])
    cut("C1")
    changes = OTHER_PLACE[kind] if kind != "pppoe" else {"username": "ana2"}
    p.edit("C1", **changes)
    assert p.provision_of(client).state == "done"
    assert p.access_of(client).applied_suspended
    row = only(tower.ours(MENU[kind]))
    if kind == "pppoe":
        assert (row["name"], row["profile"].startswith("wisp-overdue:")) == ("ana2", True)
    elif kind == "hotspot":
        assert (row["name"], row["disabled"]) == ("ana2", "true")
    elif kind == "dhcp":
        assert (row["mac-address"], row["address-lists"]) == ("02:00:00:00:00:0B", "wisp-overdue")
    lift("C1")
    row = only(tower.ours(MENU[kind]))
    assert (row.get("disabled", "false"), row.get("address-lists", "")) == ("false", "")
    assert not row.get("profile", "").startswith("wisp-overdue")
    assert tower.rows("/ip/firewall/address-list") == []
