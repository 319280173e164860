"""What each client has on its router, from saving it to cancelling it, on a simulated router over TCP."""

import pytest
import sqlalchemy as sa

from tests.factories import make_plan
from tests.support import provision as p
from tests.support.provision import MENU, OTHER_PLACE, VERSIONS, Tower, only, simulated, speed
from wisp.access.models import ClientProvision
from wisp.access.provision import jobs, service
from wisp.clients import plans
from wisp.clients import service as clients
from wisp.clients.models import Plan
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


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
