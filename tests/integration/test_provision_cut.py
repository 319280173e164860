"""What each client has on its router while a cut or a notice holds it."""

import pytest
import sqlalchemy as sa

from tests.factories import make_plan
from tests.support import provision as p
from tests.support.provision import MENU, OTHER_PLACE, Tower, only, simulated
from wisp.access.domain import Outcome, SyncReport
from wisp.access.models import Access
from wisp.clients import service as clients
from wisp.clients.models import Client, Plan
from wisp.core import events
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


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


def test_what_a_client_has_stays_until_what_replaces_it_stands() -> None:
    p.company()
    with simulated() as one, simulated() as two:
        here, there = Tower(one), Tower(two)
        client = p.add(here, None, **p.KINDS["pppoe"])
        two.switch(off=True)
        p.edit("C1", zone=there.zone)
        assert [row["name"] for row in here.ours(menus.SECRET)] == ["ana"]
        here.whole()  # nor does a comparison of everything take it away
        assert [row["name"] for row in here.ours(menus.SECRET)] == ["ana"]
        two.switch(off=False)
        there.whole()
        assert [row["password"] for row in there.ours(menus.SECRET)] == ["secreto"]
        assert here.ours(menus.SECRET) == []
        assert p.provision_of(client, here.router_id) is None


def test_the_only_copy_of_a_password_is_never_deleted_by_a_move() -> None:
    p.company()
    with simulated() as one, simulated() as two:
        here, there = Tower(one), Tower(two)
        one.router.load(menus.SECRET, [{"name": "ana", "password": "suya", "service": "pppoe", "comment": "wisp:C1"}])
        client = p.add(here, None, connection="pppoe", username="ana")
        p.edit("C1", zone=there.zone)
        row = p.provision_of(client)
        assert row is not None
        assert (row.state, row.detail) == ("failed", "no_password")
        assert [row["password"] for row in here.ours(menus.SECRET)] == ["suya"]
        p.edit("C1", password="suya")
        assert [row["password"] for row in there.ours(menus.SECRET)] == ["suya"]
        assert here.ours(menus.SECRET) == []


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
