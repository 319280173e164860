"""What others wrote on a router stays as it is, and what a router that is switched off for it keeps."""

import pytest

from tests.factories import make_plan
from tests.support import provision as p
from tests.support.provision import MENU, OTHER_PLACE, Tower, only
from wisp.access.provision import adopting, service
from wisp.clients import service as clients
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import menus
from wisp.routers.models import Router

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


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
